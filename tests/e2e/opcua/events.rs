//! Events, alarms and conditions of servers that we did not write, as readings.

use serde_json::Value;
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use super::{COMES_BACK_WITHIN, complaint};
use crate::rig::{PLC, embedded, file, nothing_is_missing};
use crate::types::folder;

fn device(url: &str, node: &str) -> String {
    format!("  {PLC}:\n    url: \"{url}?policy=none\"\n    timeout: 2s\n    tags:\n      events: \"events:{node}\"\n")
}

/// The events so far, in their order; that they are listened to, and that they are not, among them.
fn events(recorder: &Subscriber) -> Vec<Value> {
    let readings = recorder.readings().into_iter().filter(|reading| reading.tag == "events");
    readings.map(|reading| reading.value().as_str().and_then(|text| text.parse().ok()).unwrap_or_default()).collect()
}

/// The numbers in the messages of events, of those that come after the last gap.
fn numbers(recorder: &Subscriber) -> Vec<u64> {
    let all = events(recorder);
    let begin = all.iter().rposition(|event| event["listening"] == true).unwrap_or(0);
    let number = |event: &Value| event["message"].as_str()?.strip_prefix("event ")?.parse().ok();
    all[begin..].iter().filter_map(number).collect()
}

#[test]
fn every_event_of_asyncua_is_a_reading_and_a_gap_shows() {
    let folder = folder();
    let Some(mut far) = Far::start(Server::Asyncua, folder.path(), &["--events"]) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&device(&far.url(), "i=2253"), &uplink));
    let gateway = site.start();
    for round in 0..2 {
        let listened = || events(&recorder).iter().filter(|event| event["listening"] == true).count();
        wait::for_it("events come", COMES_BACK_WITHIN, || listened() > round && numbers(&recorder).len() > 20);
        let heard = numbers(&recorder);
        assert!(heard.windows(2).all(|pair| pair[1] == pair[0] + 1), "round {round}: {heard:?}");
        let last = events(&recorder).pop().unwrap_or_default();
        assert_eq!((&last["type"], &last["severity"]), (&"BaseEventType".into(), &300.into()), "{last}");
        assert!(last["id"].is_string() && last.get("active").is_none(), "{last}");
        far.kill();
        wait::for_it("the gap shows", wait::SOON * 2, || {
            recorder.last(PLC, "events").is_some_and(|reading| !reading.is_good())
        });
        far.start_again();
    }
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn an_alarm_of_node_opcua_is_told_when_it_comes_when_it_goes_and_after_a_restart_of_ours() {
    let folder = folder();
    let Some(far) = Far::start(Server::NodeOpcua, folder.path(), &["--alarms"]) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&device(&far.url(), "/Objects/2:Far/2:Tank"), &uplink));
    let gateway = site.start();
    let url = format!("{}?policy=none", far.url());
    let set = |level: &str| {
        let written = site.forebay(&["write", &url, "ns=2;s=level", level]);
        assert!(written.status.success(), "{}", complaint(&written));
    };
    let told = |what: &str, active: bool, since: usize| {
        wait::until(what, COMES_BACK_WITHIN, || {
            events(&recorder)
                .into_iter()
                .skip(since)
                .find(|event| event["active"] == active && event["condition"] == "LevelAlarm")
        })
    };
    wait::for_it("it listens", COMES_BACK_WITHIN, || !events(&recorder).is_empty());
    set("85");
    let high = told("the alarm comes", true, 0);
    assert_eq!((&high["type"], &high["acknowledged"]), (&"ExclusiveLimitAlarmType".into(), &false.into()), "{high}");
    assert!(high["condition_node"].is_string() && high["source"].is_string(), "{high}");
    // What holds is told to whoever begins to listen.
    drop(gateway);
    let before = events(&recorder).len();
    let gateway = site.start();
    told("the alarm that holds is told anew", true, before);
    let before = events(&recorder).len();
    set("50");
    told("the alarm goes", false, before);
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn events_are_neither_polled_nor_read() {
    let site = Site::new(&file(
        &device("opc.tcp://127.0.0.1:4840", "i=2253").replace("policy=none", "read=poll"),
        "mqtt://127.0.0.1:1",
    ));
    let said = complaint(&site.forebay(&["check", &site.file().to_string_lossy()]));
    assert!(said.contains("events are told, not read"), "{said}");
}
