//! Tags that stand in no file: those that lie where a pattern points, found at the connect and when the server has changed.

use serde_json::Value;
use tests::field::Field;
use tests::opcua::{Far, Server};
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use super::{COMES_BACK_WITHIN, complaint, json};
use crate::rig::{COUNTER, PLC, embedded, file, nothing_is_missing};
use crate::types::folder;

fn device(url: &str) -> String {
    format!(
        "  {PLC}:\n    url: \"{url}\"\n    timeout: 2s\n    browse: [\"/Objects/2:Far/2:item_*\", \"/Objects/2:Far/grown*\"]\n    \
         tags:\n      {COUNTER}: \"ns=2;s=counter\"\n      item_1: {{ unit: pcs }}\n"
    )
}

fn is_good(recorder: &Subscriber, tag: &str) -> bool {
    recorder.last(PLC, tag).is_some_and(|reading| reading.is_good())
}

fn all_good(recorder: &Subscriber, tags: &[&str]) {
    for tag in tags {
        wait::for_it(&format!("{tag} is good"), COMES_BACK_WITHIN, || is_good(recorder, tag));
    }
}

/// A tag that was not there at the start, and goes on when the gateway begins again without its server.
fn grows(server: Server, grown: &str, options: &str) {
    let folder = folder();
    let Some(mut far) = Far::start(server, folder.path(), &["--items", "3"]) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&device(&format!("{}?policy=none{options}", far.url())), &uplink));
    let checked = site.forebay(&["check", &site.file().to_string_lossy(), "--json"]);
    assert_eq!(json(&checked)["lines"][0]["devices"][0]["browse"][0], "/Objects/2:Far/2:item_*");
    let gateway = site.start();
    all_good(&recorder, &[COUNTER, "item_0", "item_1", "item_2"]);
    assert_eq!(recorder.last(PLC, "item_1").map(|reading| reading.body["unit"].clone()), Some(Value::from("pcs")));
    assert!(recorder.last(PLC, "float").is_none(), "no pattern points there");
    far.signal("HUP");
    all_good(&recorder, &[grown, COUNTER, "item_0"]);
    far.kill();
    drop(gateway);
    let before = recorder.count();
    let gateway = site.start();
    for tag in [grown, "item_0", COUNTER] {
        wait::for_it(&format!("{tag} is bad without its server"), wait::SOON * 2, || {
            recorder.readings().iter().skip(before).any(|reading| reading.tag == tag && !reading.is_good())
        });
    }
    // The server does not know its grown node any more: that tag is bad with its reason, all others are good.
    far.start_again();
    all_good(&recorder, &[COUNTER, "item_0", "item_1", "item_2"]);
    wait::for_it("the server refuses what it does not know", COMES_BACK_WITHIN, || {
        recorder.last(PLC, grown).is_some_and(|reading| reading.reason() == "address-refused")
    });
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn what_lies_where_a_pattern_points_in_asyncua_is_polled() {
    grows(Server::Asyncua, "grown_4", "&rebrowse=2s");
}

#[test]
fn what_lies_where_a_pattern_points_in_node_opcua_is_polled_as_soon_as_it_says_so() {
    // It is looked through again in ten minutes unless it says that it has changed.
    grows(Server::NodeOpcua, "grown_4", "");
}

#[test]
fn a_pattern_that_is_wrong_is_shown_with_its_place() {
    let device =
        device("opc.tcp://127.0.0.1:4840?policy=none").replace("/Objects/2:Far/grown*", "/Objects/2:Far/grown");
    let site = Site::new(&file(&device, "mqtt://127.0.0.1:1"));
    let checked = site.forebay(&["check", &site.file().to_string_lossy()]);
    let said = complaint(&checked);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("this is the path of one node") && said.contains("^^^^"), "{said}");
    let device =
        device.replace("opc.tcp://127.0.0.1:4840?policy=none", "s7://127.0.0.1").replace("ns=2;s=counter", "MW0:INT");
    let site = Site::new(&file(&device, "mqtt://127.0.0.1:1"));
    let checked = site.forebay(&["check", &site.file().to_string_lossy()]);
    let said = complaint(&checked);
    assert!(said.contains("cannot tell what a device holds"), "{said}");
}
