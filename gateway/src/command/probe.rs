//! `forebay probe URL ADDRESS`: what lies at an address, read as every type in every order, and one place beside it.

mod candidates;
mod expect;

use std::time::Duration;

use driver_core::{
    AnyDriver, Contact, DeviceSpec, EndpointUrl, GroupId, Line, LineSpec, LinkError, Order, Reading, Readings,
    SystemClock, TagId, TagSpec, Value,
};
use serde_json::json;

use super::Exit;
use super::advice::advice;
use super::json::json_value;
use super::one_shot::{Purpose, block_on, line};
use super::stdout::print;
use super::table::table;
use candidates::{Candidate, candidates};
use expect::Expected;

/// Between two units, so that a bus is not kept busy.
const PAUSE: Duration = Duration::from_millis(50);

/// Show what an address holds under every type, byte order and base.
#[derive(clap::Args)]
#[command(after_help = "\
Registers are read as INT, UINT, DINT, UDINT, REAL, LINT, ULINT, LREAL and F16 in every byte order, at the address and at
one before and behind it, for tables that count from 1. With --expect only what holds that value is shown, also as a whole
number with the decimal point moved, each with the line for the configuration.
Exit codes: 0 read, and with --expect found; 1 not found, or the address is wrong; 2 the command line is wrong; 3 the
device does not answer.")]
pub(super) struct Args {
    /// The device, such as modbus-tcp://10.0.0.11?unit=1
    url: String,
    /// Where the value begins, such as hr:100 or DB1.DBD4
    address: String,
    /// What the device shows there, such as 229.01, or a text
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    expect: Option<String>,
    /// Units of a Modbus line to be asked, such as 1-10 or 1,2,17
    #[arg(long, value_name = "UNITS")]
    units: Option<super::units::Units>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What one unit holds.
struct Held {
    unit: Option<u16>,
    /// A reading for each candidate, in their order; or why there is none.
    readings: Result<Vec<Reading>, String>,
}

pub(super) fn run(args: &Args) -> Exit {
    match probe(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn probe(args: &Args) -> Result<Exit, Exit> {
    let usual = line(&args.url, std::slice::from_ref(&args.address), Purpose::Read)?;
    let canonical = usual.tag_text(0, 0).canonical;
    let expected = args.expect.as_deref().map(Expected::of);
    let (driver, url) = driver(&args.url)?;
    let spec = |addresses: &[&str], units: &[Option<u16>]| spec(&url, addresses, units);
    let is_read = |address: &str| driver.line(&spec(&[address], &[None])).is_ok();
    let candidates = candidates(&canonical, expected.as_ref(), is_read);
    let addresses: Vec<&str> = candidates.iter().map(|candidate| candidate.address.as_str()).collect();
    let units: Vec<Option<u16>> = match &args.units {
        Some(units) => units.list().map(Some).collect(),
        None => vec![None],
    };
    let mut line = driver.line(&spec(&addresses, &units)).map_err(|errors| {
        errors.iter().for_each(|error| eprintln!("{error}"));
        Exit::Configuration
    })?;
    let held = block_on(read_all(line.as_mut(), &units))?;
    if args.json {
        print(&format!("{:#}\n", described(args, &candidates, &held, expected.as_ref())));
    } else {
        held.iter().for_each(|held| print(&told(args, &candidates, held, expected.as_ref())));
    }
    let is_found =
        |held: &Held| expected.as_ref().is_none_or(|expected| found(&candidates, held, expected).next().is_some());
    let answered = held.iter().filter(|held| held.readings.is_ok());
    Ok(match answered.clone().count() {
        0 => {
            eprintln!("nothing was read");
            Exit::Failure
        }
        _ if answered.into_iter().any(is_found) => Exit::Success,
        _ => {
            eprintln!(
                "no type and order gives {}; try another address, or --units",
                args.expect.as_deref().unwrap_or_default()
            );
            Exit::Incomplete
        }
    })
}

fn driver(url: &str) -> Result<(&'static dyn AnyDriver, EndpointUrl), Exit> {
    let parsed = url.parse::<EndpointUrl>().ok();
    let found = parsed.and_then(|url| Some((drivers::by_scheme(url.scheme())?, url)));
    // What is wrong with a URL has been told.
    found.ok_or(Exit::Configuration)
}

fn spec(url: &EndpointUrl, addresses: &[&str], units: &[Option<u16>]) -> LineSpec {
    let mut ids = (0..).map(TagId);
    let devices = units.iter().map(|unit| DeviceSpec {
        unit: *unit,
        groups: vec![Duration::from_secs(1)],
        tags: addresses.iter().zip(&mut ids).map(|(address, id)| TagSpec { id, address, group: GroupId(0) }).collect(),
        ..DeviceSpec::default()
    });
    LineSpec { url: url.clone(), timeout: None, devices: devices.collect() }
}

/// One unit after another; each is touched before it is read, so that a silent one costs one timeout.
async fn read_all(line: &mut dyn Line, units: &[Option<u16>]) -> Vec<Held> {
    let mut held = Vec::with_capacity(units.len());
    for (device, unit) in units.iter().enumerate() {
        if device > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let readings = match read_one(line, device).await {
            Ok(Some(readings)) => Ok(readings),
            Ok(None) => Err("no answer".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        held.push(Held { unit: *unit, readings });
    }
    line.close().await;
    held
}

async fn read_one(line: &mut dyn Line, device: usize) -> Result<Option<Vec<Reading>>, LinkError> {
    if !line.is_connected() {
        line.connect().await?;
    }
    if line.touch(device).await? == Contact::Silent {
        return Ok(None);
    }
    let mut readings = Vec::new();
    line.poll(device, GroupId(0), &mut Readings::new(&mut readings, &SystemClock)).await?;
    readings.sort_by_key(|reading| reading.tag);
    Ok(Some(readings))
}

/// The candidates that hold what is expected, with the factor that gives it, the likeliest first.
fn found<'c>(
    candidates: &'c [Candidate],
    held: &Held,
    expected: &Expected,
) -> impl Iterator<Item = (&'c Candidate, Value, f64)> + use<'c> {
    let readings = held.readings.as_deref().unwrap_or_default();
    let pairs = candidates.iter().zip(readings);
    let mut found: Vec<_> = pairs
        .filter_map(|(candidate, reading)| Some((candidate, reading.value.clone(), expected.factor(&reading.value)?)))
        .collect();
    found.sort_by_key(|(candidate, _, factor)| (*factor != 1.0, candidate.shift.abs(), candidate.order != Order::Abcd));
    found.into_iter()
}

fn told(args: &Args, candidates: &[Candidate], held: &Held, expected: Option<&Expected>) -> String {
    let heading = held.unit.map(|unit| format!("unit {unit}: ")).unwrap_or_default();
    let readings = match &held.readings {
        Ok(readings) => readings,
        Err(cause) => return format!("{heading}{cause}\n"),
    };
    if let Some(expected) = expected {
        let rows: Vec<[String; 4]> = found(candidates, held, expected)
            .map(|(candidate, value, factor)| {
                [candidate.address.clone(), value.to_string(), candidate.beside(), yaml(candidate, factor)]
            })
            .collect();
        return match rows.is_empty() {
            true => format!("{heading}nothing there is {}\n", args.expect.as_deref().unwrap_or_default()),
            false => format!("{heading}\n{}", table(["address", "value", "place", "for the configuration"], &rows)),
        };
    }
    let mut text = if heading.is_empty() { String::new() } else { format!("{heading}\n") };
    let mut shifts: Vec<i64> = candidates.iter().map(|candidate| candidate.shift).collect();
    shifts.sort_by_key(|shift| (shift.abs(), *shift));
    shifts.dedup();
    for shift in shifts {
        let at = candidates.iter().zip(readings).filter(|(candidate, _)| candidate.shift == shift);
        text.push_str(&matrix(at.collect()));
    }
    text
}

/// The values at one place: a row a type, a column an order.
fn matrix(at: Vec<(&Candidate, &Reading)>) -> String {
    let Some((first, _)) = at.first() else { return String::new() };
    if let Some(reason) = at.first().and_then(|(_, reading)| reading.quality.reason())
        && at.iter().all(|(_, reading)| reading.quality.reason().is_some())
    {
        return format!("{} {}: {reason}: {}\n\n", first.place, first.beside(), advice(reason));
    }
    let mut rows: Vec<[String; 5]> = Vec::new();
    for (candidate, reading) in &at {
        let column = Order::ALL.iter().position(|order| *order == candidate.order).unwrap_or_default() + 1;
        let value =
            reading.quality.reason().map_or_else(|| reading.value.to_string(), |reason| reason.name().to_owned());
        match rows.iter_mut().find(|row| row[0] == candidate.data_type) {
            Some(row) => row[column] = value,
            None => {
                let mut row: [String; 5] = Default::default();
                row[0] = candidate.data_type.clone();
                row[column] = value;
                rows.push(row);
            }
        }
    }
    let place = format!("{} {}", first.place, first.beside());
    format!("{}\n{}\n", place.trim_end(), table(["type", "ABCD", "CDAB", "BADC", "DCBA"], &rows))
}

fn yaml(candidate: &Candidate, factor: f64) -> String {
    match factor {
        1.0 => format!("name: \"{}\"", candidate.address),
        factor => format!("name: {{ address: \"{}\", scale: {factor} }}", candidate.address),
    }
}

fn described(args: &Args, candidates: &[Candidate], held: &[Held], expected: Option<&Expected>) -> serde_json::Value {
    let units = held.iter().map(|held| match &held.readings {
        Err(cause) => json!({ "unit": held.unit, "error": cause }),
        Ok(readings) => {
            let values = candidates.iter().zip(readings).map(|(candidate, reading)| {
                let factor = expected.and_then(|expected| expected.factor(&reading.value));
                json!({
                    "address": candidate.address,
                    "type": candidate.data_type,
                    "order": candidate.order.name(),
                    "shift": candidate.shift,
                    "value": json_value(&reading.value),
                    "reason": reading.quality.reason().map(|reason| reason.name()),
                    "matches": factor.is_some(),
                    "scale": factor,
                    "yaml": factor.map(|factor| yaml(candidate, factor)),
                })
            });
            json!({ "unit": held.unit, "values": values.collect::<serde_json::Value>() })
        }
    });
    json!({ "url": args.url, "address": args.address, "units": units.collect::<serde_json::Value>() })
}

#[cfg(all(test, feature = "sim"))]
mod tests;
