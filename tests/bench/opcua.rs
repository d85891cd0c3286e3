//! P13: processor time of our OPC UA driver for each value that is told, beside a bare subscriber of the library that it
//! stands on, and whether anything is missing in what was told.

use crate::Effort;
use crate::opcua_device::OpcUaDevice;
use crate::process;
use crate::report::{Row, Table, median};

/// Monitored items, each of which changes each second.
const ITEMS: usize = 10_000;
const PARTS: &str = "client alone, on a core of its own; the server is the simulator's";

/// How often a subscriber may begin anew that was never told of some of its items: the library's own at times is not.
const TRIES: usize = 10;

/// What a subscriber took.
struct Took {
    values: f64,
    missing: f64,
    processor_ns: f64,
}

/// What a subscriber took that was told of all items, and how often it had to begin anew until it was.
fn run_whole(kind: &str, seconds: u64) -> (Took, usize) {
    let tries = (0..TRIES).map(|again| (run_one(kind, seconds), again));
    let whole = tries.filter_map(|(took, again)| Some((took.ok()?, again))).find(|(took, _)| took.values > 0.0);
    whole.unwrap_or_else(|| panic!("{kind} was not told of all items, {TRIES} times"))
}

/// Each has a server of its own: one that still holds the sessions of those before tells the next one less.
fn run_one(kind: &str, seconds: u64) -> Result<Took, String> {
    let device = OpcUaDevice::start(ITEMS);
    let words = [device.port.to_string(), ITEMS.to_string(), seconds.to_string()];
    let mut command = process::on_core(process::CORE_OF_MEASURED, &process::own_program());
    let run = command.arg(kind).args(&words).output().expect("a program of this machine");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let fields: Vec<f64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    match fields[..] {
        [values, missing, processor_ns] => Ok(Took { values, missing, processor_ns }),
        _ => Err(format!("{kind}: {text}{}", String::from_utf8_lossy(&run.stderr))),
    }
}

/// All rows.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let (mut bare, mut ours, mut anew) = (Vec::new(), Vec::new(), 0);
    for _ in 0..effort.rounds {
        let (took, again) = run_whole("opcua-bare", effort.seconds);
        bare.push(took);
        anew += again;
        ours.push(run_one("opcua-driver", effort.seconds).unwrap_or_else(|why| panic!("{why}")));
    }
    let each = |all: &[Took]| -> Vec<f64> { all.iter().map(|took| took.processor_ns / took.values).collect() };
    let sum = |all: &[Took], of: fn(&Took) -> f64| all.iter().map(of).sum::<f64>();
    let share = median(&each(&ours)) * ITEMS as f64 / 1e9 * 100.0;
    let (told, of_bare) = (sum(&ours, |took| took.values), sum(&bare, |took| took.values));
    let row = Row::new("P13", "CPU per value of 10,000 monitored items at 1 s: the whole driver")
        .measured("ns", &each(&ours));
    let row = row.against("a bare subscriber of async-opcua", &each(&bare)).gate_of_ratio(1.5, 1.1);
    let proof = format!(
        "{told:.0} values were told, {of_bare:.0} to the bare subscriber, which began anew {anew} times because it was not \
         told of all items"
    );
    table.add(row.proof(proof).beside(format!("{share:.1} % of a core at 1 s")).parts(PARTS));
    let missing: Vec<f64> = ours.iter().map(|took| took.missing).collect();
    let row =
        Row::new("P13", "values missing between two that were told, by their own count").measured("values", &missing);
    let proof = format!("the bare subscriber missed {:.0}", sum(&bare, |took| took.missing));
    table.add(row.gate(0.0, 0.0).proof(proof).parts(PARTS));
}
