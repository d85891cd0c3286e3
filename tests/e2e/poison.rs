//! F28: messages that the far side refuses until somebody puts right what it minds.

use hardware_sim::broker::Misbehaviour;
use hardware_sim::modbus::Plant;
use serde_json::Value;
use tests::field::Field;
use tests::site::Site;
use tests::wait;

use crate::rig::{embedded, file, nothing_is_missing, tcp};

/// How many messages are in quarantine.
fn in_quarantine(site: &Site) -> usize {
    let listed = site.forebay(&["buffer", "quarantine", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
    listed.as_array().map_or(0, Vec::len)
}

#[test]
fn what_was_refused_is_offered_once_more_on_request_and_leaves_the_quarantine_when_it_is_taken() {
    let field = Field::new();
    let plant = Plant::new();
    let (_server, address) = field.tcp(&plant);
    let (broker, url, recorder) = embedded(&field);
    broker.misbehave(Misbehaviour::RefuseTopic("readings/test/line/poison".to_owned()));
    let device = |name: &str| {
        format!("  {name}:\n    url: {}\n    every: 2s\n    timeout: 1s\n    tags: {{ c: \"co:0\" }}\n", tcp(address))
    };
    let devices = format!("{}{}", device("good"), device("poison"));
    let site = Site::new(&file(&devices, &format!("{url}?version=5")));
    let gateway = site.start();
    wait::for_it("messages are put aside", wait::SOON * 3, || in_quarantine(&site) >= 2);
    let retry = |what: &str| {
        let output = site.forebay(&["buffer", "quarantine", "retry", "--uplink", "cloud", what, "--json"]);
        let job: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), job)
    };
    // Nothing was put right yet.
    let (code, job) = retry("1");
    assert_eq!((code, &job["messages"], &job["refused"]), (Some(1), &0.into(), &1.into()), "{job}");
    broker.misbehave(Misbehaviour::None);
    let (code, job) = retry("1");
    assert_eq!((code, &job["messages"], &job["refused"]), (Some(0), &1.into(), &0.into()), "{job}");
    // What was refused while that was going on may have come to it.
    wait::for_it("all of it is delivered", wait::SOON * 2, || {
        let asked = site.forebay(&["buffer", "quarantine", "retry", "--uplink", "cloud", "--all"]);
        asked.status.success() && in_quarantine(&site) == 0
    });
    let empty = site.forebay(&["buffer", "quarantine", "retry", "--uplink", "cloud", "--all"]);
    assert!(String::from_utf8_lossy(&empty.stderr).contains("nothing of this uplink is in quarantine"));
    let before = recorder.count();
    wait::for_it("the rest flows", wait::SOON, || recorder.count() > before + 2);
    assert!(gateway.terminate().success());
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    assert!(readings.iter().any(|reading| reading.device == "poison"));
}
