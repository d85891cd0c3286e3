use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Instant;

use driver_core::{ClockState, DataType, Quality, Reading, Scale, SystemClock, TagId, Tense};
use tempfile::TempDir;

use super::super::super::poll::Performed;
use super::super::super::process::Rule;
use super::super::super::tags::DevicePlace;
use super::super::rule::{LinkLossRule, TagForm, Writable, WriteRule};
use super::super::trail::{folder_in, verify};
use super::super::{Command, CommandDoor, Origin, Role, Target, Wanted};
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the line does with a write.
type Act = Box<dyn FnMut(&Value) -> Performed + Send>;

/// A desk with one writable tag, `device.t0`, an INT that is shown as tenths; what reaches the line is noted.
struct Bench {
    folder: TempDir,
    desk: Desk,
    thread: DeskThread,
    watched: Arc<Watched>,
    written: Arc<Mutex<Vec<Value>>>,
    uplink: Arc<Counters>,
}

fn target(tag: &str) -> Target {
    Target { device: "device".into(), tag: tag.into() }
}

fn takes(value: &Value) -> Performed {
    Performed::Written(value.clone())
}

impl Bench {
    fn start(rule: WriteRule, act: impl FnMut(&Value) -> Performed + Send + 'static) -> Bench {
        Bench::within(tempfile::tempdir().expect("a folder"), rule, WhenAuditFails::Refuse, Box::new(act))
    }

    fn within(folder: TempDir, rule: WriteRule, when_audit_fails: WhenAuditFails, mut act: Act) -> Bench {
        let form = TagForm { data_type: DataType::Int, elements: 1, scale: Scale::new(0.1, 0.0) };
        let place = DevicePlace { line: 0, device: 0 };
        let writable = Writable { tag: TagId(0), target: target("t0"), place, form, rule };
        let writables = Arc::new(Writables::new(vec![writable]));
        let watched = Arc::new(Watched::new(2, writables.watched()));
        let (lane, mut writes) = mpsc::channel::<Write>(4);
        let written = Arc::new(Mutex::new(Vec::new()));
        let noted = written.clone();
        std::thread::spawn(move || {
            while let Some(write) = writes.blocking_recv() {
                noted.lock().expect("no panic").push(write.value.clone());
                drop(write.reply.send(act(&write.value)));
            }
        });
        let uplink = Arc::new(Counters::default());
        uplink.connected.store(true, Ordering::Relaxed);
        let plant = Plant {
            tags: Arc::new(Tags::of_rules(&[Rule::PLAIN, Rule::PLAIN])),
            writables,
            watched: watched.clone(),
            derived: lane.clone(),
            lanes: vec![lane],
            uplinks: vec![uplink.clone()],
        };
        let setup = DeskSetup {
            plant,
            clock: Arc::new(SystemClock),
            folder: folder_in(folder.path()),
            audit_bytes_max: 1 << 20,
            when_audit_fails,
        };
        let (desk, queue) = Desk::new();
        let thread = DeskThread::start(setup, queue).expect("a thread");
        Bench { folder, desk, thread, watched, written, uplink }
    }

    fn command(&self, key: &str, value: f64) -> Command {
        Command {
            target: target("t0"),
            value: Wanted::Value(Value::LReal(value)),
            key: (!key.is_empty()).then(|| key.into()),
            sent: None,
            expires: None,
            lives_for: None,
            received: Instant::now(),
            origin: Origin { door: CommandDoor::Http, from: "x:1".into(), who: "anna".into(), role: Role::Operator },
        }
    }

    fn asked(&self, asked: Asked) -> std::sync::mpsc::Receiver<Answer> {
        let (sender, answers) = std::sync::mpsc::channel();
        self.desk.submit(asked, Box::new(move |answer| sender.send(answer).expect("the test waits")));
        answers
    }

    fn answer(&self, command: Command) -> Answer {
        self.asked(Asked::Command(command)).recv_timeout(PATIENCE).expect("an answer")
    }

    fn written(&self) -> Vec<Value> {
        self.written.lock().expect("no panic").clone()
    }

    /// The tag is polled.
    fn polled(&self, value: f64) {
        let reading = Reading {
            tag: TagId(0),
            value: Value::LReal(value),
            quality: Quality::Good,
            status: 0,
            timestamp: Timestamp(0),
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        };
        self.watched.noting(Instant::now()).expect("it is watched").note(&reading);
    }

    /// Ends it, and gives its folder with what the trail says: event, id and result of each record.
    fn end(self) -> (TempDir, Vec<String>) {
        assert!(self.thread.stop());
        let mut said = Vec::new();
        let found = verify(&folder_in(self.folder.path()), None, &mut |record| {
            let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            if record["event"].is_string() {
                said.push(format!("{} {} {}", text("event"), text("id"), text("result")));
            }
        });
        assert_eq!(found.expect("reads").broken, []);
        (self.folder, said)
    }
}

#[test]
fn a_command_is_written_read_back_answered_and_recorded() {
    let bench = Bench::start(WriteRule::default(), takes);
    bench.polled(75.0);
    let answer = bench.answer(bench.command("a", 80.0));
    assert_eq!((answer.outcome, &*answer.reason), (Outcome::Done, ""));
    assert_eq!((&answer.old, &answer.held), (&Value::LReal(75.0), &Value::LReal(80.0)));
    assert_eq!(bench.written(), [Value::Int(800)]);
    let done = bench.desk.tally().counts().find(|counted| counted.outcome == Outcome::Done);
    assert_eq!(done.map(|counted| counted.count), Some(1));
    assert_eq!(bench.end().1, ["begun a -", "ended a done"]);
}

#[test]
fn what_comes_twice_is_written_once_also_after_a_restart() {
    let bench = Bench::start(WriteRule::default(), takes);
    let first = bench.answer(bench.command("a", 80.0));
    let second = bench.answer(bench.command("a", 80.0));
    assert_eq!((second.outcome, second.told, &second.held), (Outcome::Done, Told::Again, &first.held));
    assert_eq!(bench.answer(bench.command("a", 81.0)).outcome, Outcome::Refused(RefusedFor::Repeated));
    assert_eq!(bench.written().len(), 1);
    let (folder, _) = bench.end();

    let bench = Bench::within(folder, WriteRule::default(), WhenAuditFails::Refuse, Box::new(takes));
    let third = bench.answer(bench.command("a", 80.0));
    assert_eq!((third.outcome, third.told), (Outcome::Done, Told::Again));
    assert_eq!(third.held, Value::LReal(80.0));
    assert_eq!(bench.written(), []);
    bench.end();
}

#[test]
fn what_had_begun_when_the_gateway_was_killed_is_not_written_again() {
    let (entered, inside) = std::sync::mpsc::channel();
    let (sender, gate) = std::sync::mpsc::channel::<()>();
    let held = move |value: &Value| {
        entered.send(()).expect("the test waits");
        gate.recv().ok();
        takes(value)
    };
    let bench = Bench::start(WriteRule::default(), held);
    let answer = bench.asked(Asked::Command(bench.command("a", 80.0)));
    inside.recv_timeout(PATIENCE).expect("the line has it");
    // As the disk is at this moment, another desk finds it.
    let copy = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder_in(copy.path())).expect("a folder");
    let file = "000001.jsonl";
    std::fs::copy(folder_in(bench.folder.path()).join(file), folder_in(copy.path()).join(file)).expect("copies");
    let after = Bench::within(copy, WriteRule::default(), WhenAuditFails::Refuse, Box::new(takes));
    let again = after.answer(after.command("a", 80.0));
    assert_eq!((again.outcome, again.told), (Outcome::Unknown, Told::Again));
    assert_eq!(after.written(), []);
    after.end();
    drop(sender);
    assert_eq!(answer.recv_timeout(PATIENCE).map(|answer| answer.outcome), Ok(Outcome::Done));
    bench.end();
}

#[test]
fn what_was_not_answered_is_unknown_and_the_next_reading_is_told() {
    let bench = Bench::start(WriteRule::default(), |_| Performed::Lost("the cable".into()));
    bench.polled(75.0);
    let answer = bench.asked(Asked::Command(bench.command("a", 80.0)));
    let deadline = Instant::now() + PATIENCE;
    let answer = loop {
        bench.polled(80.0);
        if let Ok(answer) = answer.recv_timeout(Duration::from_millis(20)) {
            break answer;
        }
        assert!(Instant::now() < deadline, "an answer");
    };
    assert_eq!((answer.outcome, &answer.held), (Outcome::Unknown, &Value::LReal(80.0)));
    assert_eq!(bench.end().1, ["begun a -", "ended a unknown"]);
}

#[test]
fn what_is_refused_reaches_no_line_and_is_recorded_all_the_same() {
    let bench = Bench::start(WriteRule { max: Some(90.0), ..WriteRule::default() }, takes);
    let origin = bench.command("", 0.0).origin;
    let other = |tag: &str| Command { target: target(tag), ..bench.command(tag, 1.0) };
    let late = Command { sent: Some(Timestamp(1_700_000_000_000_000_000)), ..bench.command("late", 1.0) };
    let text = Command { value: Wanted::Value(Value::Text("80".into())), ..bench.command("text", 1.0) };
    let mut viewer = bench.command("viewer", 1.0);
    viewer.origin.role = Role::Viewer;
    let unreadable = Asked::Unreadable { origin, key: Some("x".into()), why: "no JSON".into() };
    let cases = [
        (Asked::Command(other("t1")), RefusedFor::ReadOnly),
        (Asked::Command(other("t7")), RefusedFor::UnknownTag),
        (Asked::Command(bench.command("high", 91.0)), RefusedFor::OutOfRange),
        (Asked::Command(late), RefusedFor::Expired),
        (Asked::Command(text), RefusedFor::WrongType),
        (Asked::Command(viewer), RefusedFor::NotPermitted),
        (unreadable, RefusedFor::Unreadable),
    ];
    for (asked, expected) in cases {
        let answer = bench.asked(asked).recv_timeout(PATIENCE).expect("an answer");
        assert_eq!(answer.outcome, Outcome::Refused(expected), "{}", answer.reason);
        assert!(!answer.reason.is_empty());
    }
    assert_eq!(bench.written(), []);
    let said = bench.end().1;
    assert_eq!(said.len(), 7);
    assert!(said.iter().all(|line| line.starts_with("ended ") && line.ends_with(" refused")), "{said:?}");
}

#[test]
fn without_an_audit_trail_nothing_is_written_unless_that_is_wanted() {
    for (policy, expected, written) in
        [(WhenAuditFails::Refuse, Outcome::Refused(RefusedFor::Audit), 0), (WhenAuditFails::Execute, Outcome::Done, 1)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder_in(folder.path()), "a file where the folder should be").expect("writes");
        let bench = Bench::within(folder, WriteRule::default(), policy, Box::new(takes));
        assert_eq!(bench.answer(bench.command("a", 80.0)).outcome, expected);
        assert_eq!(bench.written().len(), written);
        std::fs::remove_file(folder_in(bench.folder.path())).expect("removes");
        let (_, said) = bench.end();
        assert!(said.iter().any(|line| line.starts_with("ended a ")), "{said:?}");
    }
}

#[test]
fn when_the_link_to_the_north_is_lost_the_defined_value_is_written_once() {
    let after = Duration::from_millis(50);
    let rule =
        WriteRule { on_link_loss: Some(LinkLossRule { value: Value::LReal(5.0), after }), ..WriteRule::default() };
    let bench = Bench::start(rule, takes);
    // A command goes all the way and back while the link is there: the desk has looked by then.
    bench.answer(bench.command("a", 80.0));
    bench.uplink.connected.store(false, Ordering::Relaxed);
    let deadline = Instant::now() + PATIENCE;
    while bench.written().len() < 2 {
        assert!(Instant::now() < deadline, "{:?}", bench.written());
        std::thread::sleep(Duration::from_millis(5));
    }
    bench.answer(bench.command("b", 81.0));
    assert_eq!(bench.written(), [800, 50, 810].map(Value::Int));
    let said = bench.end().1;
    // The device may hold the value before its record ends, and the next command begin meanwhile.
    let of = |id: &str| said.iter().filter(|line| line.split(' ').nth(1) == Some(id)).collect::<Vec<_>>();
    assert_eq!(of("a"), ["begun a -", "ended a done"]);
    assert_eq!(of("-"), ["begun - -", "ended - done"]);
    assert_eq!(of("b"), ["begun b -", "ended b done"]);
}

#[test]
fn each_command_is_answered_when_the_desk_is_full_or_gone() {
    let (desk, queue) = Desk::new();
    let (sender, answers) = std::sync::mpsc::channel();
    let submit = |desk: &Desk| {
        let sender = sender.clone();
        let origin = Origin { door: CommandDoor::Mqtt, from: "x".into(), who: "x".into(), role: Role::Admin };
        let asked = Asked::Unreadable { origin, key: None, why: "no JSON".into() };
        desk.submit(asked, Box::new(move |answer| sender.send(answer.outcome).expect("the test waits")));
    };
    (0..COMMANDS_WAITING_MAX + 1).for_each(|_| submit(&desk));
    assert_eq!(answers.try_recv(), Ok(Outcome::Refused(RefusedFor::Busy)));
    drop(queue);
    let dropped: Vec<Outcome> = answers.try_iter().collect();
    assert_eq!(dropped, vec![Outcome::Unknown; COMMANDS_WAITING_MAX]);
    submit(&desk);
    assert_eq!(answers.try_recv(), Ok(Outcome::Refused(RefusedFor::Stopping)));
}
