//! Commands from a topic of Kafka, sent and their answers read by librdkafka: F27 through this door, and kill -9 between
//! any two of its steps.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tests::gateway::Running;
use tests::kafka::Kafka;
use tests::{need, wait};

use super::asks::now_ms;
use crate::writes::{Door, Rig, every_fault};

const TOPIC: &str = "plant.commands";

/// A stranger that sends commands and reads their answers.
struct Office {
    _process: Running,
    input: RefCell<ChildStdin>,
    lines: Receiver<Value>,
    heard: RefCell<Vec<Value>>,
    last: Cell<u32>,
}

impl Office {
    fn open(kafka: &Kafka) -> Option<Office> {
        let mut command = Command::new(need::python_kafka()?);
        command.arg(need::root().join("tests/far/kafka_commands.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.args([&kafka.bootstrap(), TOPIC, &format!("{TOPIC}.answers")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python can be started");
        let output = child.stdout.take().expect("a pipe");
        let input = RefCell::new(child.stdin.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.map(|line| serde_json::from_str(&line).expect("JSON")).try_for_each(|line| sender.send(line))
        });
        Some(Office { _process: Running(child), input, lines, heard: RefCell::default(), last: Cell::new(0) })
    }

    /// Sends a command with more beside its value; gives what its answer is recognised by.
    fn send(&self, command: &str, more: &Value) -> String {
        self.last.set(self.last.get() + 1);
        let correlation = format!("c{}", self.last.get());
        let mut line = json!({ "value": command, "correlation": correlation });
        more.as_object().expect("keys").iter().for_each(|(key, value)| line[key] = value.clone());
        writeln!(self.input.borrow_mut(), "{line}").expect("the stranger lives");
        correlation
    }

    /// All answers so far to what was sent under this name.
    fn answers(&self, correlation: &str) -> Vec<Value> {
        self.heard.borrow_mut().extend(self.lines.try_iter());
        let heard = self.heard.borrow();
        heard.iter().filter(|one| one["headers"]["kafka_correlationId"] == correlation).cloned().collect()
    }

    fn answer(&self, correlation: &str) -> Value {
        wait::until("the answer comes", wait::SOON * 2, || self.answers(correlation).into_iter().next())
    }
}

fn uplink(kafka: &Kafka) -> String {
    format!(
        "uplinks:\n  lake:\n    url: kafka://{}\n    topic: plant\n    commands: {TOPIC}\n    create_topics: {{}}\n",
        kafka.bootstrap()
    )
}

/// Until the file of the offsets is there: what is sent from then on is taken.
fn listens(rig: &Rig) {
    let file = rig.site.buffer().join("uplinks/lake.commands");
    wait::for_it("the topic of commands is listened on", wait::SOON * 3, || file.is_file());
}

#[test]
fn commands_over_kafka_are_executed_once_or_refused_answered_and_recorded() {
    let Some(kafka) = Kafka::start() else { return };
    let rig = Rig::start(&uplink(&kafka));
    listens(&rig);
    let Some(office) = Office::open(&kafka) else { return };
    let door = |command: &Value| office.answer(&office.send(&command.to_string(), &json!({})))["value"].clone();
    every_fault(&rig, &Door::whole("kafka", &door));

    let setpoint = |value: u32| json!({ "device": "press", "tag": "setpoint", "value": value }).to_string();
    let before = rig.written();
    let late = office.send(&setpoint(91), &json!({ "time_ms": now_ms() - 60_000 }));
    let late = office.answer(&late);
    assert_eq!((&late["value"]["refused"], &late["key"]), (&json!("expired"), &json!("test/line")), "{late}");
    let aborted = office.send(&setpoint(92), &json!({ "aborted": true }));
    let of_another = office.send(&setpoint(93), &json!({ "key": "test/other" }));
    let own = office.answer(&office.send(&setpoint(94), &json!({ "key": "test/line" })));
    assert_eq!((&own["value"]["result"], &own["value"]["held"]), (&json!("done"), &json!(94)), "{own}");
    // One without an id gets that of its place.
    assert!(own["value"]["id"].as_str().is_some_and(|id| id.contains("/0/")), "{own}");
    assert_eq!((office.answers(&aborted), office.answers(&of_another)), (Vec::new(), Vec::new()));
    assert_eq!(rig.written(), before + 1);
    let doors: BTreeSet<String> = rig.audit().iter().map(|record| record["door"].to_string()).collect();
    assert_eq!(doors, BTreeSet::from(["\"kafka\"".to_owned()]));
}

#[test]
fn no_command_of_a_topic_is_executed_twice_though_the_gateway_is_killed_again_and_again() {
    const COMMANDS: u64 = 12;
    let Some(kafka) = Kafka::start() else { return };
    let mut rig = Rig::start(&uplink(&kafka));
    listens(&rig);
    let Some(office) = Office::open(&kafka) else { return };
    // The first tells that the stranger is there.
    office.answer(&office.send(&json!({ "tag": "press.setpoint", "value": 10 }).to_string(), &json!({})));
    let mut sent = Vec::new();
    let mut state = 0x9e37_79b9_u32;
    for _ in 0..if need::long() { 50 } else { 6 } {
        for _ in 0..COMMANDS {
            // Its own value each, and none with an id.
            let value = 11 + sent.len() as u64 % 100;
            let text = json!({ "tag": "press.setpoint", "value": value }).to_string();
            sent.push(office.send(&text, &json!({})));
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        wait::pass(Duration::from_millis(u64::from(state >> 16) % 400));
        rig.gateway.take().expect("it runs").kill();
        rig.gateway = Some(rig.site.start());
    }
    let answers: BTreeMap<&str, Value> =
        sent.iter().map(|one| (one.as_str(), office.answer(one)["value"].clone())).collect();
    let count = |result: &str| answers.values().filter(|answer| answer["result"] == result).count() as u64;
    let (done, unknown, refused) = (count("done"), count("unknown"), count("refused"));
    let written = rig.written() - 1;
    eprintln!(
        "{} commands: {done} done, {unknown} unknown, {refused} refused; the PLC saw {written} writes",
        sent.len()
    );
    assert_eq!(done + unknown + refused, sent.len() as u64, "{answers:?}");
    assert!((done..=done + unknown).contains(&written), "{done} done, {unknown} unknown, {written} written");
    assert!(done > 0);
    let audit = rig.audit();
    let begun: Vec<&str> =
        audit.iter().filter(|one| one["event"] == "begun").filter_map(|one| one["id"].as_str()).collect();
    let mut seen = BTreeSet::new();
    let twice: Vec<&&str> = begun.iter().filter(|id| !seen.insert(**id)).collect();
    assert!(twice.is_empty(), "begun twice: {twice:?}");
}
