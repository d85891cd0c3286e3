//! How a server is asked to watch a tag: the driver alone, so that nothing else holds a reading back.

use std::time::Duration;

use driver_core::{DeviceSpec, GroupId, LineSpec, Reading, Readings, SystemClock, TagId, TagSpec, Value, WatchSpec};
use tests::opcua::{Far, Server};
use tests::site::Site;
use tokio::time::{Instant, interval};

use super::{complaint, json};
use crate::rig::file;
use crate::types::folder;

const EVERY: Duration = Duration::from_millis(100);

/// What the driver tells of two tags, both with a deadband of 5.5, until the first is above a number.
fn told(url: &str, addresses: [&str; 2], until: u64) -> [Vec<Value>; 2] {
    let tags = addresses.iter().zip(0..);
    let tags = tags.map(|(address, id)| TagSpec { id: TagId(id), address, group: GroupId(0) });
    let watch = [0, 1].map(|tag| WatchSpec { tag, deadband: Some(5.5), ..WatchSpec::default() });
    let device = DeviceSpec { groups: vec![EVERY], tags: tags.collect(), watch: watch.into(), ..DeviceSpec::default() };
    let spec = LineSpec { url: url.parse().expect("a URL"), timeout: None, devices: vec![device] };
    let mut line = drivers::by_scheme("opc.tcp").expect("a driver").line(&spec).expect("a line");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        line.listen();
        line.connect().await.expect("the server listens");
        let (mut all, mut polls) = (Vec::<Reading>::new(), interval(EVERY));
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < deadline, "{all:?}");
            let mut readings = Readings::new(&mut all, &SystemClock);
            tokio::select! {
                () = line.news() => line.take_news(&mut readings),
                _ = polls.tick() => {
                    line.poll(0, GroupId(0), &mut readings).await.expect("it answers");
                }
            }
            let of = |tag: u32| -> Vec<Value> {
                all.iter().filter(|reading| reading.tag == TagId(tag)).map(|reading| reading.value.clone()).collect()
            };
            if of(0).iter().any(|value| matches!(value, Value::UInt(count) if *count > until)) {
                return [of(0), of(1)];
            }
        }
    })
}

/// What is told of a counter between its first values and 60, and of a text.
fn counts(server: Server, options: &str) -> Option<(Vec<u64>, Vec<Value>)> {
    let folder = folder();
    let far = Far::start(server, folder.path(), &[])?;
    let url = format!("{}?policy=none&sampling=100ms{options}", far.url());
    let [counts, texts] = told(&url, ["ns=2;s=counter", "ns=2;s=string"], 60);
    let counts = counts.iter().filter_map(|value| value.as_f64()).map(|count| count as u64);
    // The first is read, and told by the subscription once more if it has changed since.
    Some((counts.skip(2).collect(), texts))
}

#[test]
fn node_opcua_keeps_a_deadband_where_it_is_asked_to_and_a_text_takes_none() {
    let Some((counts, texts)) = counts(Server::NodeOpcua, "&deadband=server") else { return };
    assert!(counts.len() > 3 && counts.windows(2).all(|pair| pair[1] - pair[0] >= 6), "{counts:?}");
    assert!(matches!(&texts[..], [Value::Text(_), ..]), "{texts:?}");
}

/// It compares with the value before, not with the one that it told last: with its deadband a slow change is never told.
#[test]
fn asyncua_is_not_asked_for_a_deadband_unless_the_url_says_so() {
    let Some((counts, _)) = counts(Server::Asyncua, "") else { return };
    assert!(counts.windows(2).filter(|pair| pair[1] - pair[0] < 6).count() > 5, "{counts:?}");
}

#[test]
fn check_tells_how_each_tag_is_watched_and_who_needs_it_whole() {
    let device = "  plc:\n    url: opc.tcp://127.0.0.1:4840?deadband=server\n    tags:\n      \
                  a: { address: ns=2;s=a, sampling: 50ms, queue: 20 }\n      \
                  b: { address: ns=2;s=b, deadband: 0.5, scale: 0.1 }\n      \
                  c: { address: ns=2;s=c, deadband: 0.5 }\n      \
                  double: { calc: plc.c * 2 }\n";
    let site = Site::new(&file(device, "mqtt://127.0.0.1:1"));
    let checked = site.forebay(&["check", &site.file().to_string_lossy(), "--json"]);
    let tags = &json(&checked)["lines"][0]["devices"][0]["tags"];
    let wire: Vec<&str> = (0..3).map(|tag| tags[tag]["wire"].as_str().unwrap_or_default()).collect();
    assert_eq!(wire, ["sampled every 50ms, queue of 20", "deadband of 5 in the server, if it keeps one", ""]);
    let polled = device.replace("opc.tcp://127.0.0.1:4840?deadband=server", "s7://127.0.0.1").replace("ns=2;s=", "M");
    let site = Site::new(&file(&polled.replace("Ma", "MW0:INT"), "mqtt://127.0.0.1:1"));
    let said = complaint(&site.forebay(&["check", &site.file().to_string_lossy()]));
    assert!(said.contains("this one is polled"), "{said}");
}
