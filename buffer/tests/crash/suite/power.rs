//! Power cuts on a real file system: ext4 in a file, cut off from its disk while a process writes, with nothing of its
//! journal flushed. Needs root and a loop device; elsewhere it says so and does nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use buffer::{GapReason, Log, Options, SeqRange, Store};

use super::mounted::Mounted;
use super::{append, blocks, gaps, payload, range, read_all};

const DIR_VARIABLE: &str = "BUFFER_POWER_TEST_DIR";
const IMAGE_BYTES: u64 = 96 << 20;

fn options() -> Options {
    Options { engine: crate::ENGINE, size_max_bytes: 16 << 20, age_max: None, ..Options::new(["a"]) }
}

fn bytes(number: u64) -> usize {
    300 + (number % 7) as usize * 900
}

/// The child's life: append, acknowledge, sync, trim, for ever, and say what is durable.
fn live(dir: &Path) -> buffer::Result<()> {
    let mut log = Log::open(dir, &options())?;
    let mut out = std::io::stdout().lock();
    loop {
        let number = log.stats().next_seq - 1;
        append(&mut log, number, 1, bytes(number))?;
        let mut line = "\n".to_owned();
        if number % 5 == 4 {
            let low = log.cursor("a").map_or(1, |cursor| cursor.low());
            log.acknowledge("a", &[range(low, low + 1)])?;
        }
        if number % 20 == 19 {
            let low = log.cursor("a").map_or(1, |cursor| cursor.low());
            log.sync()?;
            line += &format!("synced {} {low}\n", number + 1);
        }
        if number % 100 == 0 {
            log.turn();
            log.trim(None)?;
        }
        out.write_all(line.as_bytes()).expect("the parent listens");
    }
}

#[test]
fn what_was_synced_survives_a_power_cut_of_ext4() {
    if let Some(dir) = std::env::var_os(DIR_VARIABLE) {
        panic!("the child could not go on: {:?}", live(Path::new(&dir)));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mounted) = Mounted::make(folder.path(), IMAGE_BYTES, "") else { return };
    let dir = mounted.at.join("log");
    let (mut synced, mut acknowledged, mut epoch) = (0, 1, 0);
    let mut taken: Vec<SeqRange> = Vec::new();
    for round in 0..super::rounds(6, 50) {
        let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
        command.args(["--exact", "suite::power::what_was_synced_survives_a_power_cut_of_ext4", "--nocapture"]);
        command.env(DIR_VARIABLE, &dir).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let mut hear = |line: String| {
            let mut words = line.split_whitespace();
            if words.next() == Some("synced") {
                let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
                (synced, acknowledged) = (synced.max(number()), acknowledged.max(number()));
            }
        };
        lines.by_ref().take(200 + (round as usize * 977) % 1_500).map_while(Result::ok).for_each(&mut hear);
        if !mounted.cut() {
            eprintln!("skipped: python3 is not there, or this kernel cuts no power");
            child.kill().expect("the child is killed");
            child.wait().expect("the child is gone");
            return;
        }
        // A sync that is under way in the moment of the cut is told as done by some kernels: only what was said before
        // counts.
        child.kill().expect("the child is killed");
        child.wait().expect("the child is gone");
        assert!(mounted.unmount() && mounted.mount(), "the file system comes back");
        let mut log = Log::open(&dir, &options()).expect("it always starts");
        assert!(log.identity().epoch > epoch, "a new epoch");
        epoch = log.identity().epoch;
        let low = log.cursor("a").expect("a cursor").low();
        assert!(low >= acknowledged, "round {round}: the cursor is at {low}, {acknowledged} was durable");
        let items = read_all(&mut log, low);
        let end = items.last().map_or(low - 1, |item| item.seqs().last);
        assert!(end >= synced, "round {round}: it ends at {end}, {synced} was synced");
        // More is appended than acknowledged: in a long run the size is reached, and what an earlier cut has taken from
        // behind the sync before it is still told.
        let gaps = gaps(&items);
        let is_safe = |gap: &buffer::Gap| gap.seqs.first <= synced && gap.reason != GapReason::DroppedOldest;
        let lost: Vec<_> = gaps.iter().filter(|gap| is_safe(gap) && !taken.contains(&gap.seqs)).collect();
        assert!(lost.is_empty(), "round {round}, {synced} was synced: {lost:?} of {gaps:?}");
        taken.extend(gaps.iter().map(|gap| gap.seqs));
        for block in blocks(&items) {
            let number = block.seqs.first - 1;
            assert_eq!(block.payload, payload(number, bytes(number)));
        }
        // Seqs go on where they are; what was appended behind the last sync may be there or not.
        synced = synced.min(end);
    }
    assert!(synced > 500, "{synced}");
}
