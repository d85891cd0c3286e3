//! F28: values that are too large, and messages that the far side refuses until somebody puts right what it minds.

use hardware_sim::broker::Misbehaviour;
use hardware_sim::modbus::Plant;
use serde_json::Value;
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::oracle::holes;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{COUNTER, PLC, embedded, file, nothing_is_missing, tcp};
use crate::types::folder;

const TEXT: &str = "text";

/// Text in which nothing repeats itself.
fn noise(bytes: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state >> 32) as u8 % 75)
    };
    (0..bytes).map(|_| next()).collect()
}

fn counter(recorder: &Subscriber) -> u64 {
    recorder.last(PLC, COUNTER).and_then(|reading| reading.value().as_u64()).unwrap_or(0)
}

#[test]
fn a_text_of_64_kib_arrives_whole_and_one_that_fits_no_block_is_declared_lost_while_the_rest_flows() {
    let folder = folder();
    let Some(far) = Far::start(Server::Asyncua, folder.path(), &[]) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("{}?policy=none&read=poll", far.url());
    let device = format!(
        "  {PLC}:\n    url: \"{url}\"\n    timeout: 5s\n    tags:\n      {COUNTER}: \"ns=2;s=counter\"\n      \
         {TEXT}: \"ns=2;s=string\"\n"
    );
    let site = Site::new(&file(&device, &uplink));
    let write = |text: &str| {
        let written = site.forebay(&["write", &url, "ns=2;s=string;STRING", text]);
        // It begins with the text.
        let said = String::from_utf8_lossy(&written.stderr);
        assert!(written.status.success(), "…{}", &said[said.ceil_char_boundary(said.len().saturating_sub(300))..]);
    };
    let gateway = site.start();
    for text in [noise(64 << 10), "ä".repeat(32 << 10)] {
        write(&text);
        wait::for_it("the text arrives whole", wait::SOON, || {
            recorder.last(PLC, TEXT).is_some_and(|reading| reading.is_good() && reading.value() == text.as_str())
        });
    }
    // More than the 64 KiB of a block, however it is packed.
    write(&noise(100_000));
    wait::for_it("it is declared lost", wait::SOON, || recorder.with(|all| !all.gaps.is_empty()));
    write("short again");
    wait::for_it("the next text arrives", wait::SOON, || {
        recorder.last(PLC, TEXT).is_some_and(|reading| reading.value() == "short again")
    });
    let before = counter(&recorder);
    wait::for_it("the counter goes on", wait::SOON, || counter(&recorder) > before + 5);
    assert!(gateway.terminate().success());
    let readings = recorder.readings();
    let lost = recorder.with(|all| all.gaps.iter().map(|gap| gap["gap"]["count"].as_u64().unwrap_or(0)).sum::<u64>());
    assert_eq!(holes(&readings).len() as u64, lost, "what is missing is declared");
    let counters: Vec<u64> = readings
        .iter()
        .filter(|reading| reading.tag == COUNTER)
        .filter_map(|reading| reading.value().as_u64())
        .collect();
    assert!(counters.windows(2).all(|pair| pair[0] <= pair[1]), "in order");
}

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
    let is_declared = |gap: &Value| gap["gap"]["reason"] == "quarantined" && gap["gap"]["count"] == 1;
    wait::for_it("and declared", wait::SOON, || {
        recorder.with(|all| all.gaps.iter().filter(|gap| is_declared(gap)).count() >= 2)
    });
    let stats = String::from_utf8_lossy(&site.forebay(&["buffer", "stats"]).stdout).into_owned();
    assert!(stats.contains("refused for good, and in quarantine"), "{stats}");
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
