use driver_core::{DataType, Reading};

use super::super::catalogue::Catalogue;
use super::super::oracle;
use super::super::testkit::{names, reading, site};
use super::*;
use crate::uplink::format::{Format, Records};
use crate::uplink::sparkplug::format::SparkplugFormat;
use crate::uplink::structure::{Shape, Structure};
use crate::uplink::{Site, TagType};

const BORN: Timestamp = at(1_795_400_913_000);

const fn at(ms: i64) -> Timestamp {
    Timestamp(ms * 1_000_000)
}

/// An edge node with its format, and what it has published as words.
struct World {
    site: Site,
    format: SparkplugFormat,
    node: Node,
    next: u64,
}

impl World {
    fn new(host: Option<&str>) -> World {
        World::of(site(&[("press", &[("a", "", DataType::Int)]), ("mixer", &[("b", "", DataType::Int)])]), host)
    }

    fn of(site: Site, host: Option<&str>) -> World {
        let shared = Shared::new(Catalogue::new(names(), Some(&site)));
        let format = SparkplugFormat::new(shared.clone(), names(), "acme/line7");
        World { site, format, node: Node::new(names(), shared, host.map(Into::into)), next: 1 }
    }

    /// What is published of one live reading.
    fn publishes(&mut self, tag: u32, value: Value) -> Vec<Frame> {
        let reading = Reading { timestamp: at(1_795_400_913_500), ..reading(tag, value) };
        let schema = Some(self.site.schema.clone());
        let records = Records { epoch: 7, first: self.next, readings: vec![reading], schema, ..Records::default() };
        self.format.begin(records);
        self.next += 1;
        let message = self.format.next().expect("a message");
        match self.node.hand_over(&message, at(1_795_400_914_000)) {
            HandOver::Publish(frames) => frames,
            HandOver::SaidAlready => Vec::new(),
        }
    }

    /// A message of one reading; a value of `None` is one that could not be read.
    fn message(&mut self, lane: Lane, tag: u32, ms: i64, value: Option<i64>) -> Message {
        use driver_core::{Quality, Reason};
        let reading = match value {
            Some(value) => Reading { timestamp: at(ms), ..reading(tag, Value::Int(value)) },
            None => Reading { timestamp: at(ms), quality: Quality::Bad(Reason::Timeout), ..reading(tag, Value::None) },
        };
        let schema = Some(self.site.schema.clone());
        self.format.begin(Records {
            lane,
            epoch: 7,
            first: self.next,
            readings: vec![reading],
            schema,
            ..Records::default()
        });
        self.next += 1;
        self.format.next().expect("a message")
    }

    fn hand_over(&mut self, message: &Message) -> Vec<String> {
        match self.node.hand_over(message, at(1_795_400_914_000)) {
            HandOver::Publish(frames) => words(&frames),
            HandOver::SaidAlready => vec!["said already".into()],
        }
    }

    fn sends(&mut self, lane: Lane, tag: u32, ms: i64, value: Option<i64>) -> Vec<String> {
        let message = self.message(lane, tag, ms, value);
        self.hand_over(&message)
    }
}

/// Kind, device, seq and values of each frame; `past` where it is of the past.
fn words(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(word).collect()
}

fn word(frame: &Frame) -> String {
    let levels: Vec<&str> = frame.topic.split('/').collect();
    let payload = oracle::payload(&frame.payload);
    let seq = payload.seq.map_or("-".into(), |seq| seq.to_string());
    let mut word = format!("{} {} {seq}", levels[2], levels.get(4).unwrap_or(&"node"));
    for metric in &payload.metrics {
        let past = if metric.is_historical() { "past " } else { "" };
        let value = metric.value().map_or("null".into(), |value| value.to_string());
        word.push_str(&format!(
            " {past}{}{value}",
            metric.name.as_ref().map_or(String::new(), |name| format!("{name}="))
        ));
    }
    word
}

const NBIRTH: &str = "NBIRTH node 0 bdSeq=4 Node Control/Rebirth=false Forebay/Gap=null";

#[test]
fn the_node_is_born_first_and_each_device_with_its_first_data() {
    let mut world = World::new(None);
    world.node.connecting(4);
    assert_eq!(word(&world.node.death(BORN)), "NDEATH node - bdSeq=4");
    assert_eq!(words(&world.node.connected(BORN)), [NBIRTH]);
    let first = world.sends(Lane::Live, 0, 1_795_400_913_500, Some(1));
    assert_eq!(first, ["DBIRTH press 1 a=1", "DDATA press 2 1"]);
    assert_eq!(world.sends(Lane::Live, 0, 1_795_400_913_600, Some(2)), ["DDATA press 3 2"]);
    assert_eq!(world.sends(Lane::Live, 1, 1_795_400_913_600, Some(9)), ["DBIRTH mixer 4 b=9", "DDATA mixer 5 9"]);
}

#[test]
fn the_seq_begins_anew_after_255() {
    let mut world = World::new(None);
    world.node.connecting(0);
    world.node.connected(BORN);
    let last = (0..300).map(|value| world.sends(Lane::Live, 0, 1_795_400_913_500, Some(value))).last();
    assert_eq!(last.expect("words"), [format!("DDATA press {} 299", 301 % 256)]);
}

#[test]
fn a_device_dies_once_when_nothing_can_be_read_and_is_born_again_when_something_can() {
    let mut world = World::new(None);
    world.node.connecting(4);
    world.node.connected(BORN);
    assert_eq!(world.sends(Lane::Live, 0, 1_795_400_913_400, None), ["said already"]);
    world.sends(Lane::Live, 0, 1_795_400_913_500, Some(1));
    assert_eq!(world.sends(Lane::Live, 0, 1_795_400_913_600, None), ["DDATA press 3 null", "DDEATH press 4"]);
    assert_eq!(world.sends(Lane::Live, 0, 1_795_400_913_700, None), ["said already"]);
    let again = world.sends(Lane::Live, 0, 1_795_400_913_800, Some(2));
    assert_eq!(again, ["DBIRTH press 5 a=2", "DDATA press 6 2"]);
}

#[test]
fn what_is_older_than_the_birth_or_of_a_backlog_is_of_the_past() {
    let mut world = World::new(None);
    world.node.connecting(4);
    world.node.connected(BORN);
    let older = world.sends(Lane::Live, 0, 1_795_400_912_000, Some(1));
    assert_eq!(older, ["DBIRTH press 1 a=1", "DDATA press 2 past 1"]);
    // It is alive already: what is live was read lately.
    assert_eq!(world.sends(Lane::Live, 0, 1_795_400_913_100, Some(2)), ["DDATA press 3 2"]);
    assert_eq!(world.sends(Lane::History, 0, 1_795_400_913_050, Some(0)), ["DDATA press 4 past 0"]);
    assert_eq!(world.sends(Lane::Replay(1), 0, 1_795_400_913_050, Some(0)), ["DDATA press 5 past 0"]);
    // A device of which nothing but a backlog came has a birth for that, and one more when it is there.
    assert_eq!(
        world.sends(Lane::History, 1, 1_795_400_913_050, Some(0)),
        ["DBIRTH mixer 6 b=null", "DDATA mixer 7 past 0"]
    );
    assert_eq!(world.sends(Lane::Live, 1, 1_795_400_913_100, Some(1)), ["DBIRTH mixer 8 b=1", "DDATA mixer 9 1"]);
}

#[test]
fn a_rebirth_in_the_middle_of_a_draining_backlog_loses_nothing_and_changes_no_order() {
    let mut world = World::new(None);
    world.node.connecting(4);
    world.node.connected(BORN);
    world.sends(Lane::Live, 0, 1_795_400_913_100, Some(5));
    let backlog: Vec<Message> =
        (0..6).map(|value| world.message(Lane::History, 0, 1_795_400_900_000 + value, Some(value))).collect();
    let mut published = Vec::new();
    for (index, message) in backlog.iter().enumerate() {
        if index == 3 {
            published.extend(words(&world.node.births(at(1_795_400_914_500))));
        }
        published.extend(world.hand_over(message));
    }
    let expected = [
        "DDATA press 3 past 0",
        "DDATA press 4 past 1",
        "DDATA press 5 past 2",
        NBIRTH,
        "DBIRTH press 1 a=5",
        "DDATA press 2 past 3",
        "DDATA press 3 past 4",
        "DDATA press 4 past 5",
    ];
    assert_eq!(published, expected);
}

#[test]
fn what_was_on_its_way_when_a_connection_broke_is_sent_again_as_history() {
    let mut world = World::new(None);
    world.node.connecting(4);
    world.node.connected(BORN);
    let confirmed = world.message(Lane::Live, 0, 1_795_400_913_100, Some(1));
    let lost = world.message(Lane::Live, 0, 1_795_400_999_999, Some(2));
    world.hand_over(&confirmed);
    world.node.confirmed(confirmed.token);
    assert_eq!(world.hand_over(&lost), ["DDATA press 3 2"]);
    world.node.connecting(5);
    let births = words(&world.node.connected(BORN));
    assert_eq!(births, [&NBIRTH.replace('4', "5"), "DBIRTH press 1 a=2"]);
    assert_eq!(world.hand_over(&lost), ["DDATA press 2 past 2"]);
    world.node.confirmed(lost.token);
    assert_eq!(world.sends(Lane::Live, 0, 1_795_401_000_000, Some(3)), ["DDATA press 3 3"]);
}

#[test]
fn nothing_is_born_before_the_primary_host_is_there_and_the_node_leaves_when_it_goes() {
    let mut world = World::new(Some("scada"));
    world.node.connecting(4);
    assert_eq!(world.node.connected(BORN), []);
    assert!(world.node.waits_for_host() && !world.node.is_born());
    assert!(world.node.subscriptions().contains(&"spBv1.0/STATE/scada".into()));
    assert!(world.node.is_state("spBv1.0/STATE/scada") && !world.node.is_state("spBv1.0/STATE/other"));
    let says = |world: &mut World, payload: &str| world.node.host_says(payload.as_bytes(), BORN);
    assert_eq!(says(&mut world, r#"{"online":false,"timestamp":5}"#), Verdict::Stay);
    assert_eq!(says(&mut world, "nonsense"), Verdict::Stay);
    let Verdict::Born(frames) = says(&mut world, r#"{"online":true,"timestamp":6}"#) else { panic!("births") };
    assert_eq!(words(&frames), [NBIRTH]);
    assert_eq!(says(&mut world, r#"{"online":false,"timestamp":5}"#), Verdict::Stay);
    let Verdict::Leave(death) = says(&mut world, r#"{"online":false,"timestamp":7}"#) else { panic!("a death") };
    assert_eq!(word(&death), "NDEATH node - bdSeq=4");
    assert!(!world.node.is_born());
    // An hour later, on the next connection: what was kept meanwhile is of the past.
    world.node.connecting(5);
    world.node.connected(at(1_795_404_513_000));
    let kept = world.message(Lane::Live, 0, 1_795_402_000_000, Some(1));
    let Verdict::Born(_) = world.node.host_says(br#"{"online":true,"timestamp":9}"#, at(1_795_404_513_000)) else {
        panic!("births")
    };
    assert_eq!(world.hand_over(&kept)[1], "DDATA press 2 past 1");
}

#[test]
fn a_structure_is_defined_in_the_nodes_birth_alone_and_told_in_births_and_data() {
    use oracle::Content::{DataSet, Template, Text};
    let plain = site(&[("press", &[("recipe", "", DataType::Lreal), ("axes", "", DataType::Lreal)])]);
    let declared = |fields, shape| TagType {
        structure: Some(Structure::parse(fields, shape).expect("fields").into()),
        ..TagType::plain(DataType::Lreal, 1)
    };
    let types = [declared("level REAL, name STRING", Shape::One), declared("position LREAL", Shape::Table)].into();
    let mut world = World::of(Site { types, ..plain }, None);
    world.node.connecting(4);
    let metrics = |frame: &Frame| oracle::payload(&frame.payload).metrics;
    let types_of = |frame: &Frame| -> Vec<u32> { metrics(frame).iter().map(|metric| metric.datatype()).collect() };
    let births = world.node.connected(BORN);
    let names: Vec<String> = metrics(&births[0]).iter().map(|metric| metric.name().to_owned()).collect();
    assert_eq!(names[3..], ["_types_/press.recipe"], "a data set needs no definition");
    let frames = world.publishes(0, Value::Text(r#"{"level":0.5,"name":"steel"}"#.into()));
    let [birth, data] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(types_of(birth), [19, 16]);
    let [recipe, axes] = &metrics(birth)[..] else { panic!("two metrics") };
    assert!(matches!(&recipe.content, Some(Template(_))) && axes.is_null());
    let of_data = &metrics(data)[0];
    assert_eq!((of_data.alias(), &of_data.content), (1, &recipe.content));
    let frames = world.publishes(1, Value::Array([Value::Text(r#"{"position":1.5}"#.into())].into()));
    let [data] = &frames[..] else { panic!("{frames:?}") };
    assert!(matches!(&metrics(data)[0].content, Some(DataSet(_))));
    // What has other fields goes whole, as the text that it is.
    let text = r#"{"level":0.5,"name":"steel","more":1}"#;
    let frames = world.publishes(0, Value::Text(text.into()));
    let [birth, data] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((types_of(birth), &metrics(data)[0].content), (vec![12, 16], &Some(Text(text.into()))));
}

#[test]
fn a_gap_is_told_as_a_metric_of_the_node() {
    use crate::uplink::format::Missing;
    use buffer::{Class, Gap, GapReason, SeqRange};
    let mut world = World::new(None);
    world.node.connecting(4);
    world.node.connected(BORN);
    let seqs = SeqRange { first: 1, last: 9 };
    let gap = Gap { class: Class::Normal, seqs, count: 9, time_ns: None, reason: GapReason::Damaged };
    let message = world.format.gap(&Missing { lane: Lane::Live, gap, reason: "damaged", epoch: 7 });
    let published = world.hand_over(&message);
    assert!(
        published[0].starts_with("NDATA node 1 Forebay/Gap={\"gateway\":\"acme/line7\",\"gap\":{\"first\":1"),
        "{published:?}"
    );
}
