//! Whole files: each `tests/NAME.yaml` with what is said of it in `tests/NAME.txt`. With `FOREBAY_REWRITE=1` set the texts
//! are written anew, to be read before they are committed.

mod broker;
mod plc;
mod validate;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buffer::{Class, LagMax};
use driver_core::{GroupId, Order, TagId};
use proptest::prelude::*;

use super::*;
use crate::pipeline::command::Role;
use crate::pipeline::command::rule::Verify;
use crate::pipeline::process::{Deadband, Report as Reporting};
use crate::uplink::format::json::JsonKind;

const KINDS: Kinds = Kinds { drivers: &[&plc::Plc], uplinks: &[&broker::Broker], formats: &[&JsonKind] };

fn checked(text: &str) -> Result<Checked, Report> {
    check(Source::new("gateway.yaml", text), KINDS)
}

fn good(text: &str) -> Config {
    checked(text).unwrap_or_else(|report| panic!("{report}")).config
}

fn refused(text: &str) -> Report {
    match checked(text) {
        Ok(_) => panic!("nothing was found wrong with\n{text}"),
        Err(report) => report,
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests");
    let files = fs::read_dir(folder).expect("the folder of cases").map(|file| file.expect("a file").path());
    let mut cases: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    cases.sort();
    assert!(cases.len() > 5);
    cases
}

/// The tests' kinds have no OPC UA either.
#[test]
fn a_build_without_opc_ua_says_so_and_where_it_is() {
    let report = refused("devices: { a: { url: opc.tcp://10.0.0.12, tags: { b: ns=2;s=b } } }").to_string();
    assert!(report.contains("no driver for `opc.tcp`") && report.contains("built without OPC UA"), "{report}");
    assert!(report.contains("feature `opcua`"), "{report}");
}

#[test]
fn every_case_is_told_what_stands_beside_it() {
    let mut differing = Vec::new();
    for case in cases() {
        let text = fs::read_to_string(&case).expect("a case");
        let said = match checked(&text) {
            Ok(checked) => checked.warnings.to_string(),
            Err(report) => report.to_string(),
        };
        let beside = case.with_extension("txt");
        if std::env::var_os("FOREBAY_REWRITE").is_some() {
            fs::write(&beside, &said).expect("writes");
        }
        if fs::read_to_string(&beside).unwrap_or_default() != said {
            differing.push(format!("{}:\n{said}", case.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The whole job in one file.
const WHOLE_JOB: &str = r#"
gateway: acme/berlin/line7
every: 1s

devices:
  press:
    url: modbus-tcp://10.0.0.11?unit=1
    order: CDAB
    tags:
      temperature: { address: "hr:0:INT", scale: 0.1, unit: °C }
      current: hr:1:REAL
      count: hr:3:UINT

uplinks:
  cloud:
    url: mqtts://broker.example:8883
    topic: "{gateway}/{device}/{tag}"
"#;

#[test]
fn the_whole_job_in_one_file_is_understood() {
    let config = good(WHOLE_JOB);
    assert_eq!(&*config.gateway, "acme/berlin/line7");
    let [line] = config.lines.as_slice() else { panic!("one line") };
    assert_eq!((&*line.name, line.spec.url.as_str()), ("press", "modbus-tcp://10.0.0.11?unit=1"));
    let [device] = line.spec.devices.as_slice() else { panic!("one device") };
    assert_eq!((device.order, device.unit), (Some(Order::Cdab), None));
    assert_eq!(device.groups, [Duration::from_secs(1)]);
    let addresses: Vec<&str> = device.tags.iter().map(|tag| tag.address).collect();
    assert_eq!(addresses, ["hr:0:INT", "hr:1:REAL", "hr:3:UINT"]);
    let names = config.tags.schema().tag(TagId(0)).expect("the first tag");
    assert_eq!((names.device, names.tag, names.unit), ("press", "temperature", "°C"));
    assert_eq!(config.tags.rule(TagId(0)).and_then(|rule| rule.scale).map(|scale| scale.apply(3.0)), Some(0.3));
    assert!(config.tags.rule(TagId(1)).is_none());
    assert_eq!(config.uplinks[0].topic.as_deref(), Some("{gateway}/{device}/{tag}"));
    assert_eq!(config.buffer.size_max_bytes, 4 << 30);
}

#[test]
fn settings_are_inherited_from_gateway_template_and_device() {
    let config = good(
        r#"
gateway: g
every: 10s
templates:
  meter: { order: BADC, every: 5s, tags: { volts: "ir:0", energy: { address: "ir:72", every: 60s, unit: kWh, deadband: 0.1 } } }
devices:
  bus: { url: "modbus-rtu:///dev/ttyUSB0" }
  plain: { url: modbus-tcp://h, tags: { a: "hr:0" } }
  one: { template: meter, on: bus, unit: 1 }
  two: { template: meter, on: bus, unit: 2, every: 2s, order: CDAB, tags: { energy: { every: 30s }, own: "ir:9" } }
"#,
    );
    let [bus, plain] = config.lines.as_slice() else { panic!("two lines") };
    assert_eq!((&*bus.name, &*plain.name), ("bus", "plain"));
    let seconds = |groups: &[Duration]| groups.iter().map(Duration::as_secs).collect::<Vec<_>>();
    let [one, two] = bus.spec.devices.as_slice() else { panic!("two devices") };
    assert_eq!((one.order, one.unit, seconds(&one.groups)), (Some(Order::Badc), Some(1), vec![5, 60]));
    assert_eq!((two.order, two.unit, seconds(&two.groups)), (Some(Order::Cdab), Some(2), vec![2, 30]));
    assert_eq!(seconds(&plain.spec.devices[0].groups), [10]);
    let tags: Vec<(u32, &str, u16)> = two.tags.iter().map(|tag| (tag.id.0, tag.address, tag.group.0)).collect();
    assert_eq!(tags, [(2, "ir:0", 0), (3, "ir:72", 1), (4, "ir:9", 0)]);
    assert_eq!(plain.spec.devices[0].tags.get(0).map(|tag| tag.id), Some(TagId(5)));
    let energy = config.tags.rule(TagId(3)).expect("a rule").report;
    assert_eq!(energy, Reporting::OnChange { deadband: Deadband::Absolute(0.1), heartbeat: None });
    assert_eq!(config.tags.schema().tag(TagId(4)).map(|names| (names.device, names.tag)), Some(("two", "own")));
    let place = config.tags.place(TagId(4)).expect("a place");
    assert_eq!((place.line, place.device), (0, 1));
    assert_eq!(one.tags.get(0).map(|tag| tag.group), Some(GroupId(0)));
}

#[test]
fn the_class_is_inherited_from_gateway_template_and_device() {
    let config = good(
        r#"
gateway: g
class: bulk
templates:
  meter: { class: normal, tags: { volts: "ir:0", alarm: { address: "ir:1", class: critical } } }
devices:
  plain: { url: modbus-tcp://h, tags: { a: "hr:0", b: { address: "hr:1", class: critical } } }
  one: { url: modbus-tcp://i, template: meter }
  two: { url: modbus-tcp://j, template: meter, class: critical, tags: { volts: { class: bulk }, own: "ir:9" } }
uplinks: { u: { url: mqtts://h } }
"#,
    );
    let names = config.tags.schema();
    let class = |number: u32| {
        let names = names.tag(TagId(number)).expect("a tag");
        (format!("{}.{}", names.device, names.tag), config.tags.class(TagId(number)))
    };
    let expected = [
        ("plain.a", Class::Bulk),
        ("plain.b", Class::Critical),
        ("one.volts", Class::Normal),
        ("one.alarm", Class::Critical),
        ("two.volts", Class::Bulk),
        ("two.alarm", Class::Critical),
        ("two.own", Class::Critical),
    ];
    assert_eq!([0, 1, 2, 3, 4, 5, 6].map(class), expected.map(|(name, class)| (name.to_owned(), class)));
    assert!(!config.tags.all_normal());
    let plain = good("gateway: g\ndevices: { d: { url: modbus-tcp://h, tags: { a: hr:0 } } }");
    assert_eq!((plain.tags.class(TagId(0)), plain.tags.all_normal()), (Class::Normal, true));
}

#[test]
fn how_far_an_uplink_may_fall_behind_is_its_own_and_no_bound_where_nothing_stands() {
    let config = good(
        r#"
gateway: g
devices: { d: { url: modbus-tcp://h, tags: { a: "hr:0" } } }
uplinks:
  both: { url: mqtts://h, max_lag: 7d, max_lag_size: 64MiB }
  age: { url: mqtts://i, max_lag: 90s }
  none: { url: mqtts://j }
buffer: { bulk: { max_size: 2MiB, max_age: 1h }, keep: 1MiB }
"#,
    );
    let lags: Vec<LagMax> = config.uplinks.iter().map(|uplink| uplink.lag_max).collect();
    let (week, minutes) = (Duration::from_secs(7 * 86_400), Duration::from_secs(90));
    let expected = [
        LagMax { age: Some(week), bytes: Some(64 << 20) },
        LagMax { age: Some(minutes), bytes: None },
        LagMax { age: None, bytes: None },
    ];
    assert_eq!(lags, expected);
    let [critical, _, bulk] = config.buffer.classes;
    assert_eq!((bulk.size_max_bytes, bulk.age_max), (Some(2 << 20), Some(Duration::from_secs(3_600))));
    assert_eq!((critical.size_max_bytes, critical.keep.bytes_max, bulk.keep.bytes_max), (None, 1 << 20, 1 << 20));
    let too_short = refused(
        "gateway: g\ndevices: { d: { url: modbus-tcp://h, tags: { a: hr:0 } } }\nuplinks: { u: { url: mqtts://h, max_lag: 5s } }",
    );
    assert!(too_short.to_string().contains("max_lag"), "{too_short}");
}

#[test]
fn what_may_be_written_is_inherited_and_its_interlock_is_about_its_own_device() {
    let config = good(
        r#"
gateway: g
every: 2s
templates:
  pump:
    tags:
      mode: hr:1
      speed: { address: "hr:2", scale: 0.5, write: { max: 50, only_if: "mode == 2 and panel.key.on", rate: 6/min } }
devices:
  panel: { url: modbus-tcp://h, tags: { key.on: { address: "hr:1:BOOL", every: 100ms } } }
  left: { url: modbus-tcp://i, template: pump }
  right:
    url: modbus-tcp://j
    template: pump
    tags: { speed: { write: { role: engineer, verify: false, expires: 1s, on_link_loss: { value: 7.5 } } } }
uplinks: { u: { url: mqtts://h } }
"#,
    );
    let list = config.writables.list();
    let names: Vec<String> = list.iter().map(|writable| writable.target.to_string()).collect();
    assert_eq!(names, ["left.speed", "right.speed"]);
    let [left, right] = [&list[0].rule, &list[1].rule];
    let interlock = left.only_if.as_ref().expect("an interlock");
    assert_eq!(interlock.condition.operands(), [TagId(1), TagId(0)]);
    assert_eq!(*interlock.fresh_for, [Duration::from_secs(6), Duration::from_secs(1)]);
    assert_eq!((left.max, left.rate.count, left.rate.per), (Some(50.0), 6, Duration::from_secs(60)));
    assert_eq!((right.max, right.role, right.verify), (None, Role::Engineer, Verify::Taken));
    let output = right.on_link_loss.as_ref().expect("an output");
    assert_eq!((&output.value, output.after), (&driver_core::Value::LReal(7.5), Duration::from_secs(30)));
    assert_eq!(list[0].form.scale.map(|scale| scale.apply(2.0)), Some(1.0));
    assert_eq!((list[1].place.line, list[1].place.device), (2, 0));
}

#[test]
fn tags_may_bear_any_name() {
    let config =
        good("gateway: 42\ndevices:\n  on: { url: modbus-tcp://h, tags: { yes: hr:1, 1.10: hr:2, \"null\": hr:3 } }\n");
    let schema = config.tags.schema();
    let names: Vec<&str> = (0..3).filter_map(|id| schema.tag(TagId(id)).map(|names| names.tag)).collect();
    assert_eq!((&*config.gateway, names), ("42", vec!["yes", "1.10", "null"]));
}

#[test]
fn an_uplinks_options_stand_in_its_url_or_beside_it() {
    let text = format!("{WHOLE_JOB}    qos: 0\n    password: {{ env: MQTT_PASSWORD }}\n");
    let config = good(&text);
    assert_eq!(config.uplinks[0].url.as_str(), "mqtts://broker.example:8883?qos=0");
    assert_eq!(config.uplinks[0].password, Some(Secret::Env("MQTT_PASSWORD".into())));
}

#[test]
fn no_message_shows_a_secret() {
    let device = "gateway: g\ndevices: { d: { url: modbus-tcp://h, tags: { a: hr:1 } } }\nuplinks:\n";
    let uplinks = [
        "  u: { url: mqtt://h, password: geheim, x: 1 }",
        "  u: { url: mqtt://h, passwrod: geheim }",
        "  u: { url: mqtt://h, password: { literal: geheim }, x: 1 }",
        "  u: { url: mqtt://h, password: { lateral: geheim }, x: 1 }",
        "  u: { url: mqtt://h, password: [geheim], x: 1 }",
        "  u: { url: mqtt://h, password: { geheim }, x: 1 }",
        "  u: { url: \"mqtt://me:geheim@h\", x: 1 }",
        "  u: { url: \"mqtt://me:ge/geheim@h\", x: 1 }",
        "  u: { url: mqtt://h, password: geheim, x",
        "  u: { url: mqtt://h, password: \"geheim",
        "  u: { url: mqtt://h, password: &p geheim, topic: *q }",
        "  u:\n    password: |\n      geheim\n      geheim\n    password: x",
    ];
    for uplink in uplinks {
        let report = refused(&format!("{device}{uplink}\n"));
        assert!(!format!("{report} {}", report.json()).contains("geheim"), "{report}");
    }
}

#[test]
fn a_name_that_cannot_be_one_is_refused_and_no_more() {
    for name in ["a\\nb", "\\t", "", "\\0"] {
        let text =
            format!("gateway: g\ndevices: {{ d: {{ url: modbus-tcp://h, tags: {{ \"{name}\": hr:1, b: hr:2 }} }} }}\n");
        assert_eq!(refused(&text).count(Severity::Error), 1, "{name}");
        assert_eq!(refused(&text.replace("hr:1", "{ address: hr:1, unit: \"\\n\" }")).count(Severity::Error), 1);
    }
}

#[test]
fn aliases_cannot_blow_up_the_memory() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(refused(&bomb).to_string().contains("aliases and merge keys add up to more than"));
    let blocks: String = (0..40).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(refused(&blocks).to_string().contains("nested deeper"));
    assert!(refused(&format!("a: {}", "[".repeat(100_000))).to_string().contains("recursion limit"));
}

#[test]
fn every_fault_is_told_once_as_json_too() {
    let report = refused("gateway: g\nevery: 1x\ndevices: { d: { url: modbus-tcp://h, tags: { a: hr:1 } } }\n");
    let json = report.json();
    assert_eq!(report.count(Severity::Error), 1);
    assert_eq!((&json[0]["line"], &json[0]["column"], &json[0]["severity"]), (&2.into(), &8.into(), &"error".into()));
    assert_eq!(json[0]["message"], "`x` is no unit of a duration");
}

#[test]
fn the_sample_is_understood_and_shows_the_defaults() {
    let sample = good(SAMPLE);
    let least = good("gateway: g\ndevices: { d: { url: modbus-tcp://h, tags: { a: hr:1 } } }\n");
    assert_eq!(
        (sample.buffer, sample.log, sample.commands, sample.http),
        (least.buffer, least.log, least.commands, least.http)
    );
}

#[test]
fn the_schema_takes_what_the_parser_takes() {
    let schema = schema(KINDS);
    let valid = |text: &str| {
        let source = Source::new("x", text);
        let Tree { root, beside } = tree::parse(&source, &mut Faults::default()).expect("YAML");
        let texts = Texts { source: text, beside: &beside };
        validate::faults(&schema, &schema, &validate::json(&root, texts))
    };
    assert_eq!(valid(SAMPLE), Vec::<String>::new());
    assert_eq!(valid(WHOLE_JOB), Vec::<String>::new());
    for case in cases() {
        let text = fs::read_to_string(&case).expect("a case");
        if checked(&text).is_ok() {
            assert_eq!(valid(&text), Vec::<String>::new(), "{}", case.display());
        }
    }
    let wrong = [
        ("evry: 1s\n", "evry"),
        ("every: 1x\n", "pattern"),
        ("log: { level: loud }\n", "oneOf"),
        ("buffer: { path: [] }\n", "type"),
        ("uplinks: { u: {} }\n", "url"),
        ("uplinks: { u: { url: x, password: y } }\n", "type"),
        ("uplinks: { u: { url: x, password: { env: A, file: B } } }\n", "maxProperties"),
    ];
    for (text, expected) in wrong {
        let text = format!("gateway: g\ndevices: {{}}\n{text}");
        let faults = valid(&text);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{text}{faults:?}");
        refused(&text);
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        drop(checked(&text).map_err(|report| report.to_string()));
    }

    #[test]
    fn no_yaml_makes_it_panic(
        lines in proptest::collection::vec("[ ]{0,6}(gateway|devices|tags|url|uplinks|password|every|<<|- |\\? )?:?[ ]?[-\\[\\]{}&*!|>'\"%@#,:°a-z0-9/]{0,12}", 0..20)
    ) {
        drop(checked(&lines.join("\n")).map_err(|report| report.to_string()));
    }

    #[test]
    fn a_cut_file_makes_nothing_panic(at in 0..SAMPLE.len()) {
        let text = String::from_utf8_lossy(&SAMPLE.as_bytes()[..at]).into_owned();
        drop(checked(&text).map_err(|report| report.to_string()));
    }

    #[test]
    fn one_wrong_byte_makes_nothing_panic(at in 0..SAMPLE.len(), byte in 0_u8..=255) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        drop(checked(&String::from_utf8_lossy(&bytes)).map_err(|report| report.to_string()));
    }

    #[test]
    fn plain_texts_know_their_place(words in proptest::collection::vec("[a-z°€😀]{1,9}", 1..40)) {
        let text: String = words.iter().enumerate().map(|(index, word)| format!("k{index}: {word}\r\n")).collect();
        let source = Source::new("x", &text);
        let tree = tree::parse(&source, &mut Faults::default()).expect("YAML");
        let texts = Texts { source: &text, beside: &tree.beside };
        let Content::Map(entries) = &tree.root.content else { panic!("a map") };
        for (entry, word) in entries.iter().zip(&words) {
            prop_assert_eq!(source.part(entry.value.span), word);
            prop_assert_eq!(source.part(entry.key_span), texts.get(entry.key));
        }
    }
}
