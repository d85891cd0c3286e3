use driver_core::{DataType, Quality, TagId, Tense};

use super::super::oracle;
use super::super::testkit::{names, reading, site};
use super::*;
use crate::uplink::Site;

fn format(site: &Site) -> SparkplugFormat {
    SparkplugFormat::new(Shared::new(Catalogue::new(names(), Some(site))), names(), "acme/line7")
}

fn messages(format: &mut SparkplugFormat, site: &Site, readings: Vec<Reading>) -> Vec<Message> {
    let schema = Some(site.schema.clone());
    format.begin(Records { epoch: 7, first: 1234, readings, schema, ..Records::default() });
    std::iter::from_fn(|| format.next()).collect()
}

#[test]
fn data_go_by_alias_with_a_message_a_device() {
    let site = site(&[("press", &[("a", "", DataType::Int)]), ("mixer", &[("b", "", DataType::Real)])]);
    let readings = vec![reading(0, Value::Int(1)), reading(1, Value::Real(2.5)), reading(0, Value::Int(3))];
    let made = messages(&mut format(&site), &site, readings);
    let topics: Vec<&str> = made.iter().map(|message| &*message.topic).collect();
    assert_eq!(topics, ["spBv1.0/acme/DDATA/line7/press", "spBv1.0/acme/DDATA/line7/mixer"]);
    let metrics = oracle::metrics(&made[0].payload);
    let told: Vec<_> = metrics.iter().map(|metric| (metric.name.clone(), metric.alias(), metric.value())).collect();
    assert_eq!(told, [(None, 1, Some(Value::Int(1))), (None, 1, Some(Value::Int(3)))]);
    assert_eq!((made[0].seqs.first, made[0].seqs.last, made[1].seqs.first), (1234, 1236, 1235));
}

#[test]
fn doubts_are_properties_and_what_cannot_be_reached_is_silence() {
    let site = site(&[("press", &[("a", "", DataType::Int)])]);
    let bad = |reason| Reading { quality: Quality::Bad(reason), status: 2, ..reading(0, Value::None) };
    let mut format = format(&site);
    let refused = messages(&mut format, &site, vec![bad(Reason::AddressRefused)]);
    assert_eq!(&*refused[0].topic, "spBv1.0/acme/DDATA/line7/press");
    let metric = &oracle::metrics(&refused[0].payload)[0];
    assert_eq!(
        (metric.is_null(), metric.int("Quality"), metric.text("reason")),
        (true, Some(0), Some("address-refused"))
    );
    assert_eq!(metric.int("status"), Some(2));
    let silent = messages(&mut format, &site, vec![bad(Reason::Timeout), bad(Reason::NotConnected)]);
    assert_eq!(&*silent[0].topic, "spBv1.0/acme/DDEATH/line7/press");
    let mixed = messages(&mut format, &site, vec![bad(Reason::Timeout), reading(0, Value::Int(1))]);
    assert_eq!(&*mixed[0].topic, "spBv1.0/acme/DDATA/line7/press");
}

#[test]
fn what_a_devices_history_told_is_marked_and_is_not_what_the_metric_holds() {
    let site = site(&[("press", &[("a", "", DataType::Int)])]);
    let past = Reading { tense: Tense::Past, ..reading(0, Value::Int(1)) };
    let mut format = format(&site);
    let made = messages(&mut format, &site, vec![reading(0, Value::Int(2)), past]);
    let metrics = oracle::metrics(&made[0].payload);
    assert_eq!((metrics[0].is_historical(), metrics[1].is_historical()), (false, true));
    assert_eq!(metrics[1].value(), Some(Value::Int(1)));
    let mut birth = Vec::new();
    format.shared.lock().write_birth(0, driver_core::Timestamp(0), &mut birth);
    assert_eq!(oracle::metrics(&birth)[0].value(), Some(Value::Int(2)));
}

#[test]
fn a_reading_takes_22_bytes_at_most() {
    const TAGS: u32 = 125;
    let tags: Vec<(String, DataType)> = (0..TAGS).map(|tag| (format!("tag{tag:03}"), DataType::Int)).collect();
    let tags: Vec<(&str, &str, DataType)> = tags.iter().map(|(name, kind)| (name.as_str(), "", *kind)).collect();
    let site = site(&[("press", &tags)]);
    let reading = |tag| Reading { tag: TagId(tag), ..reading(tag, Value::Int(i64::from(12_345 + tag))) };
    let made = messages(&mut format(&site), &site, (0..TAGS).map(reading).collect());
    let bytes: usize = made.iter().map(|message| message.payload.len()).sum();
    let each = bytes as f64 / f64::from(TAGS);
    println!("sparkplug-b: {each:.1} bytes a reading");
    assert!(each <= 22.0, "{each:.1} bytes a reading");
}
