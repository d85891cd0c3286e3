//! What must hold for any text from the operator and any bytes from outside. Run by the fuzz targets, and by the tests
//! over the corpus.

use bytes::Bytes;
use driver_core::{TagId, Timestamp, Value};

use super::config::{self, Checked, Kinds, Report, Severity, Source};
use super::pipeline::command::{Asked, CommandDoor, Origin, RefusedFor, Role, json};
use super::pipeline::encode::{Decoder, Encoder};
use super::pipeline::expression::{Kind, Operand, parse};
use super::uplink::UplinkSpec;
use super::uplink::format::template::TemplateKind;
use super::uplink::format::{FormatKind, Records};
use super::uplink::kafka::{batch, journal, wire};
use super::uplink::mqtt::packet::{self, INCOMING_BYTES_MAX, MESSAGE_BYTES_MAX, Version};
use super::uplink::registry::http::{End, answer};
use super::uplink::sparkplug::{decode, host};
use super::uplink::topic::{Rules, Template, own};

/// What a batch unpacks to at most, by the least that a record takes.
const KAFKA_RECORDS_MAX: usize = (64 << 20) / 7;

/// Type and length of a packet.
const MQTT_HEAD_BYTES_MAX: usize = 5;

/// Runs `input` through the parser that the fuzz target of that name tests.
pub(crate) fn check(target: &str, input: &[u8]) {
    match target {
        "block" => block(input),
        "command" => command(input),
        "configuration" => on_text(input, configuration),
        "expression" => on_text(input, expression),
        "kafka" => kafka(input),
        "mqtt" => mqtt(input),
        "payload" => on_text(input, payload),
        "registry" => registry(input),
        "sparkplug" => sparkplug(input),
        "topic" => on_text(input, topic),
        other => panic!("there is no fuzz target {other}"),
    }
}

/// What comes on a command topic or in the body of a POST: it is a command that can be answered, or it is told why not.
fn command(input: &[u8]) {
    let origin = Origin { door: CommandDoor::Http, from: "fuzz".into(), who: "".into(), role: Role::Operator };
    let asked = json::read(input, origin, std::time::Instant::now());
    let why = match &asked {
        Asked::Command(command) => {
            assert!(command.key.as_ref().is_none_or(|key| key.len() <= json::KEY_BYTES_MAX));
            "refused"
        }
        Asked::Unreadable { why, .. } => why,
    };
    assert!(!why.is_empty());
    let answer = json::write(&asked.refused(RefusedFor::ReadOnly, why, Timestamp(0)));
    assert!(answer.starts_with(b"{") && answer.ends_with(b"}") && !answer.contains(&b'\n'));
}

/// What a broker answers, and what lies in the journal: the first byte says as what it is read.
fn kafka(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else { return };
    let body = Bytes::copy_from_slice(rest);
    match kind {
        0 => drop(wire::read_answer::<wire::ApiVersions>(body)),
        1 => drop(wire::read_answer::<wire::Metadata<'_>>(body)),
        2 => drop(wire::read_answer::<wire::Produce<'_>>(body)),
        3 => drop(wire::read_answer::<wire::ListOffsets<'_>>(body)),
        4 => drop(wire::read_answer::<wire::Fetch<'_>>(body)),
        5 => drop(wire::read_answer::<wire::DescribeProducers<'_>>(body)),
        6 => drop(wire::read_answer::<wire::CreateTopics<'_>>(body)),
        7 => drop(wire::read_answer::<wire::SaslHandshake<'_>>(body)),
        8 => drop(wire::read_answer::<wire::SaslAuthenticate<'_>>(body)),
        9 => {
            let batches = batch::read(body).unwrap_or_default();
            assert!(batches.iter().all(|batch| batch.records.len() <= KAFKA_RECORDS_MAX));
        }
        _ => {
            let memory = journal::remembered(rest);
            assert!(memory.streams.len() <= rest.len() && memory.done.len() <= rest.len());
        }
    }
}

/// An interlock: its faults lie within it, and it gives the same whenever it is asked.
fn expression(text: &str) {
    let mut resolve = |names: &[&str]| match names.concat().len() % 3 {
        0 => Ok((TagId(0), Kind::Bool)),
        1 => Ok((TagId(1), Kind::Number)),
        _ => Err(("there is no such tag".to_owned(), String::new())),
    };
    match parse(text, &mut resolve) {
        Ok(expression) => {
            let read = |tag: TagId| Operand::Good(if tag.0 == 0 { Value::Bool(true) } else { Value::Int(7) });
            assert_eq!(expression.holds(read), expression.holds(read));
            let lost = expression.holds(|_| Operand::Unusable("old"));
            assert!(expression.operands().is_empty() || lost.is_err());
        }
        Err(wrong) => assert!(text.get(wrong.at.clone()).is_some(), "{wrong:?}"),
    }
}

fn on_text(input: &[u8], check: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(input) {
        check(text);
    }
}

/// A block's payload: the first byte is its codec. What decodes, encodes and decodes to the same number of readings.
fn block(input: &[u8]) {
    let Some((&codec, payload)) = input.split_first() else { return };
    let mut decoder = Decoder::new().expect("zstd's memory");
    let mut readings = Vec::new();
    if decoder.decode(codec, payload, &mut readings).is_err() {
        assert!(readings.is_empty(), "an undecodable block leaves nothing");
        return;
    }
    let mut bytes = Vec::new();
    let codec = Encoder::new().expect("zstd's memory").encode(&readings, &mut bytes);
    let mut back = Vec::new();
    decoder.decode(codec, &bytes, &mut back).expect("what was encoded decodes");
    assert_eq!(back.len(), readings.len());
}

/// A configuration's file: it is refused with places in it, or it plans.
fn configuration(text: &str) {
    let source = Source::new("gateway.yaml", text);
    let shown = source.text().to_string();
    match config::check(source, Kinds::of_this_build()) {
        Ok(checked) => {
            is_told(&shown, &checked.warnings);
            is_planned(&checked);
        }
        Err(report) => {
            assert!(report.count(Severity::Error) > 0, "it is refused for a reason");
            is_told(&shown, &report);
        }
    }
}

fn is_told(text: &str, report: &Report) {
    for fault in report.faults() {
        let (start, end) = (fault.span.start as usize, fault.span.end as usize);
        assert!(text.get(start..end).is_some(), "{start}..{end}: {}", fault.message);
    }
    assert_eq!(report.json().as_array().map(Vec::len), Some(report.faults().len()));
    let printed = report.to_string();
    assert_eq!(printed.is_empty(), report.is_empty());
    assert!(!printed.contains(|character: char| character.is_control() && character != '\n'), "{printed:?}");
}

fn is_planned(checked: &Checked) {
    let Checked { config, lines, .. } = checked;
    assert_eq!(lines.len(), config.lines.len());
    for (line, planned) in config.lines.iter().zip(lines) {
        assert_eq!(planned.devices(), line.spec.devices.len());
        for (index, device) in line.spec.devices.iter().enumerate() {
            let requests = planned.plan(index).requests;
            for group in device.tags.iter().map(|tag| tag.group) {
                let wanted = device.tags.iter().filter(|tag| tag.group == group).count();
                let served = requests.iter().filter(|request| request.group == group).map(|request| request.tags);
                assert!(served.sum::<usize>() >= wanted, "{}: {wanted} tags, {requests:?}", device.name);
            }
            for tag in 0..device.tags.len() {
                assert!(!planned.tag_text(index, tag).canonical.is_empty());
            }
        }
    }
}

/// What a broker sends: the first byte is the version.
fn mqtt(input: &[u8]) {
    let Some((&first, mut bytes)) = input.split_first() else { return };
    let version = if first & 1 == 0 { Version::V311 } else { Version::V5 };
    while let Ok(Some((packet, size))) = packet::read(version, bytes) {
        assert!((2..=bytes.len().min(MQTT_HEAD_BYTES_MAX + INCOMING_BYTES_MAX)).contains(&size), "{size} bytes");
        for cut in [0, 1, size / 2, size - 1] {
            assert_eq!(packet::read(version, &bytes[..cut]), Ok(None), "cut at {cut}");
        }
        let (whole, rest) = bytes.split_at(size);
        assert_eq!(packet::read(version, whole), Ok(Some((packet, size))));
        bytes = rest;
    }
    if packet::read(version, bytes) == Ok(None) {
        assert!(bytes.len() < MQTT_HEAD_BYTES_MAX + INCOMING_BYTES_MAX, "{} bytes wait", bytes.len());
    }
    delivered(version, &input[1..]);
}

/// The same for a subscriber, who takes larger packets.
fn delivered(version: Version, mut bytes: &[u8]) {
    while let Ok(Some((packet, size))) = packet::read_delivered(version, bytes) {
        assert!((2..=bytes.len().min(MQTT_HEAD_BYTES_MAX + MESSAGE_BYTES_MAX)).contains(&size), "{size} bytes");
        for cut in [0, 1, size / 2, size - 1] {
            assert_eq!(packet::read_delivered(version, &bytes[..cut]), Ok(None), "cut at {cut}");
        }
        let (whole, rest) = bytes.split_at(size);
        assert_eq!(packet::read_delivered(version, whole), Ok(Some((packet, size))));
        bytes = rest;
    }
}

/// A template for payloads: it is refused with what to write, or it makes something of a reading, the same each time.
fn payload(text: &str) {
    let topic = || Template::parse("{device}/{tag}", "g", Rules::Mqtt).expect("a topic");
    let url = "mqtt://broker".parse().expect("a URL");
    let spec = UplinkSpec { payload: Some(text.into()), ..UplinkSpec::new("g", "cloud", url) };
    let made = || {
        let mut format = match TemplateKind.open(&spec, topic(), Rules::Mqtt) {
            Ok(format) => format,
            Err(errors) => {
                assert!(errors.iter().all(|error| error.key == "payload" && !error.message.is_empty()));
                return None;
            }
        };
        let reading = driver_core::Reading {
            tag: driver_core::TagId(0),
            value: driver_core::Value::Text("a \"b\"".into()),
            quality: driver_core::Quality::Good,
            status: 0,
            timestamp: driver_core::Timestamp(0),
            clock: driver_core::ClockState::Synchronized,
            tense: driver_core::Tense::Present,
        };
        format.begin(Records { readings: vec![reading], ..Records::default() });
        format.next()
    };
    assert_eq!(made(), made());
}

/// What a schema registry answers: what is whole before the connection ends is the same afterwards.
fn registry(input: &[u8]) {
    let early = answer(input, End::Open);
    let late = answer(input, End::Reached);
    assert!(!matches!(late, Ok(None)), "an answer that has ended is whole or wrong");
    if let Ok(Some(_)) = early {
        assert_eq!(early, late);
    }
}

/// What a host application sends: a command's payload, or its state. The first byte chooses.
fn sparkplug(input: &[u8]) {
    let Some((&first, payload)) = input.split_first() else { return };
    if first & 1 == 1 {
        assert_eq!(host::read(payload), host::read(payload));
        return;
    }
    if let Ok(commanded) = decode::read(payload) {
        assert!(commanded.metrics.len() <= decode::METRICS_MAX);
        for metric in &commanded.metrics {
            assert!(metric.name.as_ref().is_none_or(|name| name.len() <= payload.len()));
            assert!(!matches!(metric.value(), Some(driver_core::Value::None)));
        }
    }
}

/// Lines: template, gateway, device, tag, another tag. No name makes a wildcard, and no two make one topic.
fn topic(text: &str) {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (template, gateway, device, one, other) = (line(), line(), line(), line(), line());
    is_plain(&own(gateway, "state", Rules::Mqtt));
    let Ok(template) = Template::parse(template, gateway, Rules::Mqtt) else { return };
    let topics = [one, other].map(|tag| template.render(device, tag));
    topics.iter().for_each(|topic| is_plain(topic));
    assert_eq!(topics[0] == topics[1], one == other || !template.has_tag());
}

fn is_plain(topic: &str) {
    assert!(!topic.contains(|character: char| character.is_control() || "+#".contains(character)), "{topic:?}");
}
