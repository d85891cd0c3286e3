//! What the gateway writes to Kafka, read by strangers: librdkafka fetches, fastavro and Google's protobuf decode by the
//! schemas that a real registry gives them.

use std::collections::BTreeMap;
use std::process::Command;

use hardware_sim::modbus::Plant;
use serde_json::{Value, json};
use tests::field::{Field, free_port};
use tests::kafka::Kafka;
use tests::registry::{self, Registry};
use tests::site::Site;
use tests::{need, wait};

use crate::rig::{Counting, counter, counting_device, tcp};

/// More records than come before all tags have been good once.
const RECORDS_MAX: usize = 100_000;

/// What only the last tag of a good poll holds.
const GOOD: &str = "abcd";

/// The typed tags of the device `plc`, beside the counter.
const TAGS: &str = "      n: \"hr:0:UDINT\"
      long: \"hr:10:LINT\"
      big: \"hr:14:ULINT\"
      nan: \"hr:18:REAL\"
      row: \"hr:20:INT[3]\"
      text: \"hr:24:STRING(4)\"
";

fn plant() -> Plant {
    let plant = Plant::new();
    plant.write_holding(1, 10, &[0x8000, 0, 0, 0]);
    plant.write_holding(1, 14, &[u16::MAX; 4]);
    plant.write_holding(1, 18, &[0x7fc0, 0]);
    plant.write_holding(1, 20, &[1, 2, 0xffff]);
    plant.write_holding(1, 24, &[0x6162, 0x6364]);
    plant
}

/// What a stranger reads of a topic, in its order.
fn records(kafka: &Kafka, topic: &str, count: usize, format: &[&str]) -> Option<Vec<Value>> {
    let mut command = Command::new(need::python_kafka()?);
    command.arg(need::root().join("tests/far/kafka_records.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args([&kafka.bootstrap(), topic, &count.to_string()]).args(format);
    let output = command.output().expect("Python can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

/// The last value of each tag.
fn values(records: &[Value]) -> BTreeMap<&str, &Value> {
    records.iter().filter_map(|record| Some((record["value"]["tag"].as_str()?, &record["value"]))).collect()
}

/// Every place of the sequence from the first reading on is there, in its order.
fn no_reading_is_missing(records: &[Value]) {
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).expect("a seq");
    let seqs: Vec<u64> = records.iter().map(|record| number(&record["value"]["seq"])).collect();
    assert_eq!(seqs, (1..=records.len() as u64).collect::<Vec<_>>());
}

#[test]
fn every_format_is_read_by_strangers_and_a_registry_that_comes_late_costs_no_reading() {
    let Some(kafka) = Kafka::start() else { return };
    let field = Field::new();
    let plant = plant();
    let _oracle = counter(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    let (broker, port) = (kafka.bootstrap(), free_port());
    let registry_url = registry::url(port);
    let uplink = |name: &str, more: &str| {
        format!(
            "  {name}:\n    url: kafka://{broker}\n    topic: {name}\n    drain: oldest-first\n    create_topics: {{ partitions: 1 }}\n{more}"
        )
    };
    let registered =
        |format: &str| format!("    format: {format}\n    status: off\n    registry: {{ url: \"{registry_url}\" }}\n");
    let uplinks = [
        uplink("flat", "    heartbeat: 1s\n    status: who\n"),
        uplink("avro", &registered("avro")),
        uplink("protobuf", &registered("protobuf")),
        uplink("json-schema", &registered("json-schema")),
    ];
    let gone = format!(
        "  gone:\n    url: modbus-tcp://127.0.0.1:{}\n    timeout: 200ms\n    tags: {{ x: \"hr:0\" }}\n",
        free_port()
    );
    let file = format!(
        "gateway: test/line\nevery: 100ms\ndevices:\n{gone}  plc:\n    url: {}\n    tags:\n{TAGS}uplinks:\n{}",
        tcp(address),
        uplinks.concat()
    );
    let site = Site::new(&file);
    let gateway = site.start();
    wait::for_it("the registry is missed", wait::SOON, || {
        gateway.log().contains(&format!("cannot connect to {registry_url}"))
    });
    let Some(_registry) = Registry::on(port) else { return };

    let Some(flat) = records(&kafka, "flat", RECORDS_MAX, &["json", "--until", GOOD]) else { return };
    no_reading_is_missing(&flat);
    let found = values(&flat);
    assert_eq!(found["long"]["value"], json!(i64::MIN));
    assert_eq!((&found["big"]["value"], &found["nan"]["value"]), (&json!(u64::MAX), &json!("NaN")));
    assert_eq!((&found["row"]["value"], &found["text"]["value"]), (&json!([1, 2, -1]), &json!("abcd")));
    assert_eq!((&found["x"]["quality"], &found["x"]["value"]), (&json!("bad"), &Value::Null));
    let one = flat.iter().find(|record| record["value"]["tag"] == "long").expect("a record");
    assert_eq!((&one["key"], &one["value"]["gateway"]), (&json!("plc/long"), &json!("test/line")));
    assert_eq!(one["headers"]["seq"], json!(one["value"]["seq"].to_string()));
    assert_eq!(one["headers"]["content-type"], json!("application/json"));

    let by_registry = |format| [format, "--registry", &registry_url, "--until", GOOD];
    let Some(avro) = records(&kafka, "avro", RECORDS_MAX, &by_registry("avro")) else { return };
    no_reading_is_missing(&avro);
    let found = values(&avro);
    assert_eq!((&found["long"]["value"], &found["nan"]["value"]), (&json!(i64::MIN), &json!("nan")));
    assert_eq!(found["big"]["value"], json!("18446744073709551615.000000000"));
    assert_eq!((&found["row"]["value"], &found["text"]["value"]), (&json!([1, 2, -1]), &json!("abcd")));
    assert_eq!((&found["x"]["value"], &found["x"]["quality"]), (&Value::Null, &json!("bad")));
    assert!(found["n"]["time"].as_str().is_some_and(|time| time.starts_with("20")), "{}", found["n"]);

    let Some(protobuf) = records(&kafka, "protobuf", RECORDS_MAX, &by_registry("protobuf")) else { return };
    no_reading_is_missing(&protobuf);
    let found = values(&protobuf);
    assert_eq!(
        (&found["long"]["integer"], &found["big"]["unsigned"]),
        (&json!(i64::MIN.to_string()), &json!(u64::MAX.to_string()))
    );
    assert_eq!((&found["nan"]["real"], &found["text"]["text"]), (&json!("NaN"), &json!("abcd")));
    assert_eq!(found["row"]["array"]["elements"][2]["integer"], json!("-1"));
    assert_eq!((&found["x"]["value_member"], &found["x"]["quality"]), (&Value::Null, &json!("bad")));

    births_and_deaths(&kafka);
    let check = site.forebay(&["check", "gateway.yaml", "--connect", "--json"]);
    let tried: Value = serde_json::from_slice(&check.stdout).expect("JSON");
    let good: Vec<bool> = (2..6).map(|place| tried["connect"][place]["good"] == json!(true)).collect();
    assert_eq!((good, check.status.code()), (vec![true; 4], Some(1)), "{tried:#}");

    let audited = |topic: &str| site.forebay(&["audit", &format!("kafka://{broker}"), "--topic", topic, "--json"]);
    wait::for_it("the uplink that nobody has read yet delivers", wait::SOON * 2, || {
        let found: Value = serde_json::from_slice(&audited("json-schema").stdout).unwrap_or_default();
        found["gateways"][0]["readings"].as_u64().is_some_and(|readings| readings >= flat.len() as u64)
    });

    assert!(gateway.terminate().success());
    let Some(states) = records(&kafka, "who", RECORDS_MAX, &["json", "--until", "\"state\": \"stale\""]) else {
        return;
    };
    let last = |key: &str| states.iter().rfind(|record| record["key"] == key).map(|record| record["value"].clone());
    assert_eq!(last("test/line").expect("a record")["state"], "offline", "{states:?}");
    for topic in ["flat", "avro", "protobuf", "json-schema"] {
        let audit = audited(topic);
        let said = String::from_utf8_lossy(&audit.stderr);
        let found: Value = serde_json::from_slice(&audit.stdout).unwrap_or_else(|cause| panic!("{cause}: {said}"));
        assert_eq!((audit.status.code(), &found["complete"]), (Some(0), &json!(true)), "{topic}: {found:#}");
        assert!(
            found["gateways"][0]["readings"].as_u64().is_some_and(|readings| readings >= flat.len() as u64),
            "{found:#}"
        );
    }
    assert!(kafka.configs(&["--describe", "--entity-type", "topics", "--entity-name", "who"]).contains("compact"));
}

/// Whoever reads the topic of states knows who is alive, and until when.
fn births_and_deaths(kafka: &Kafka) {
    let Some(states) = records(kafka, "who", RECORDS_MAX, &["json", "--until", "test/line/gone"]) else { return };
    let of = |key: &str| states.iter().rfind(|record| record["key"] == key).map(|record| record["value"].clone());
    let gateway = of("test/line").expect("a birth");
    assert_eq!(
        (&gateway["state"], &gateway["heartbeat_s"], &gateway["epoch"]),
        (&json!("online"), &json!(1), &json!(1))
    );
    let [time, expires] = ["time", "expires"].map(|name| gateway[name].as_str().unwrap_or_default().to_owned());
    assert!(!time.is_empty() && expires > time, "{gateway}");
    assert_eq!(of("test/line/gone").expect("a death")["state"], "offline");
}

#[test]
fn a_device_that_comes_with_a_changed_file_is_told_of_and_its_readings_stand_there() {
    let Some(kafka) = Kafka::start() else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let file = |devices: &str| {
        format!(
            "gateway: test/line\nevery: 100ms\ndevices:\n{devices}uplinks:\n  lake:\n    url: kafka://{}\n    topic: flat\n    \
             status: who\n    heartbeat: 1s\n    drain: oldest-first\n    create_topics: {{ partitions: 1 }}\n",
            kafka.bootstrap()
        )
    };
    let device = |name: &str| counting_device(name, &tcp(plc.address));
    let site = Site::new(&file(&device("first")));
    let gateway = site.start();
    let Some(_) = records(&kafka, "who", RECORDS_MAX, &["json", "--until", "test/line/first"]) else { return };
    site.write(&file(&(device("first") + &device("second"))));
    gateway.signal("HUP");
    let Some(states) = records(&kafka, "who", RECORDS_MAX, &["json", "--until", "test/line/second"]) else { return };
    let birth = states.last().expect("a birth");
    assert_eq!((&birth["value"]["device"], &birth["value"]["state"]), (&json!("second"), &json!("online")));
    let Some(readings) = records(&kafka, "flat", RECORDS_MAX, &["json", "--until", "\"second\""]) else { return };
    no_reading_is_missing(&readings);
}

#[test]
fn a_topic_that_may_not_be_made_is_told_with_the_next_step_and_nothing_is_lost() {
    let Some(kafka) = Kafka::start() else { return };
    let field = Field::new();
    let plant = plant();
    let _oracle = counter(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    let broker = kafka.bootstrap();
    let file = |more: &str| {
        format!(
            "gateway: test/line\nevery: 100ms\ndevices:\n  plc:\n    url: {}\n    tags:\n{TAGS}uplinks:\n  lake:\n    \
             url: kafka://{broker}\n    topic: new\n    drain: oldest-first\n    status: off\n{more}",
            tcp(address)
        )
    };
    let site = Site::new(&file(""));
    let check = site.forebay(&["check", "gateway.yaml", "--connect"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.code() == Some(1) && said.contains("the topic new is not there. Make it"), "{said}");
    site.write(&file("    create_topics: { replication: 3 }\n"));
    let gateway = site.start();
    wait::for_it("the refusal is told", wait::SOON, || gateway.log().contains("There are fewer brokers than"));
    assert!(gateway.terminate().success());
    site.write(&file("    create_topics: { partitions: 1, settings: { retention.ms: 3600000 } }\n"));
    let gateway = site.start();
    let Some(read) = records(&kafka, "new", RECORDS_MAX, &["json", "--until", GOOD]) else { return };
    no_reading_is_missing(&read);
    assert!(kafka.configs(&["--describe", "--entity-type", "topics", "--entity-name", "new"]).contains("3600000"));
    assert!(gateway.terminate().success());
    site.write(&file("").replace("    status: off\n", ""));
    let check = site.forebay(&["check", "gateway.yaml", "--connect"]);
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && said.contains("it has no topic forebay.status"), "{said}");
}
