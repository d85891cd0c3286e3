//! `kill -9` of a real process on the machine's file system.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use buffer::{Log, Options, Store};

use super::{append, blocks, gaps, payload, range, read_all};

const DIR_VARIABLE: &str = "BUFFER_KILL_TEST_DIR";

fn options() -> Options {
    Options { engine: crate::ENGINE, size_max_bytes: 128 << 20, age_max: None, ..Options::new(["a"]) }
}

/// The child's life: append, acknowledge, sync, trim, for ever, and say what has returned.
fn live(dir: &Path) -> buffer::Result<()> {
    let mut log = Log::open(dir, &options())?;
    let mut out = std::io::stdout().lock();
    loop {
        let number = log.stats().next_seq - 1;
        let seqs = append(&mut log, number, 1, 500 + (number % 7) as usize * 900)?;
        let mut line = format!("\naccepted {}\n", seqs.last);
        if number % 5 == 4 {
            let low = log.cursor("a").map_or(1, |cursor| cursor.low());
            log.acknowledge("a", &[range(low, low + 3)])?;
            line += &format!("acknowledged {}\n", low + 3);
        }
        if number % 50 == 0 {
            log.sync()?;
            log.trim(None)?;
        }
        out.write_all(line.as_bytes()).expect("the parent listens");
    }
}

/// Starts this very test as a child that lives in `dir`.
fn start(dir: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
    command.args(["--exact", crate::KILLED_TEST, "--nocapture"]);
    let mut child = command.env(DIR_VARIABLE, dir).stdout(Stdio::piped()).spawn().expect("the child starts");
    let out = BufReader::new(child.stdout.take().expect("its output is piped"));
    (child, out)
}

/// The highest seqs that the child said it had accepted and acknowledged.
#[derive(Default)]
struct Told {
    accepted: u64,
    acknowledged: u64,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let number = |text: &str| text.trim().parse().unwrap_or(0);
        if let Some(seq) = line.strip_prefix("accepted ") {
            self.accepted = self.accepted.max(number(seq));
        } else if let Some(seq) = line.strip_prefix("acknowledged ") {
            self.acknowledged = self.acknowledged.max(number(seq));
        }
    }
}

#[test]
fn nothing_that_a_killed_process_accepted_is_lost() {
    if let Some(dir) = std::env::var_os(DIR_VARIABLE) {
        panic!("the child could not go on: {:?}", live(Path::new(&dir)));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut told = Told::default();
    for round in 0..super::rounds(12, 200) {
        let (mut child, out) = start(dir.path());
        // Some rounds end in the middle of opening, the others after a number of lines.
        let lines_before_the_kill = (round % 15) * (round % 15) * 11;
        let mut lines = out.lines();
        lines.by_ref().take(lines_before_the_kill as usize).map_while(Result::ok).for_each(|line| told.hear(&line));
        child.kill().expect("the child is killed");
        lines.map_while(Result::ok).for_each(|line| told.hear(&line));
        child.wait().expect("the child is gone");
        check(dir.path(), &told);
    }
    assert!(told.accepted > 500 && told.acknowledged > 100, "{} accepted", told.accepted);
}

fn check(dir: &Path, told: &Told) {
    let mut log = Log::open(dir, &options()).expect("the log opens");
    let low = log.cursor("a").expect("a cursor").low();
    assert!(low > told.acknowledged, "the cursor is at {low}, {} was acknowledged", told.acknowledged);
    let items = read_all(&mut log, low);
    assert_eq!(gaps(&items), Vec::<&buffer::Gap>::new());
    assert!(items.last().map_or(low - 1, |item| item.seqs().last) >= told.accepted);
    for block in blocks(&items) {
        let number = block.seqs.first - 1;
        assert_eq!(block.payload, payload(number, 500 + (number % 7) as usize * 900));
    }
}
