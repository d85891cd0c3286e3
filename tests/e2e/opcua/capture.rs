//! Everything that the driver and the commands send, as tshark's opcua dissector sees it while it passes.

use serde_json::Value;
use tests::dissector::{Dissection, Dissector, SEVERITY_ERROR};
use tests::field::Field;
use tests::opcua::Server;
use tests::site::Site;
use tests::wait;

use super::{counting, counting_device, good, json};
use crate::rig::{embedded, file};
use crate::types::folder;

/// What is printed of each packet, a column each: where it goes, the kind of transport message, what is wrong with it.
const COLUMNS: [&str; 4] = ["tcp.dstport", "opcua.transport.type", "_ws.malformed", "_ws.expert.severity"];

#[test]
fn a_dissector_finds_no_malformed_packet_in_all_that_is_sent() {
    let folder = folder();
    let Some(far) = counting(Server::Asyncua, folder.path()) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("{}?policy=none", far.url());
    let site = Site::new(&file(&counting_device(&url), &uplink));
    let what = Dissection { port: far.port(), first: "opcua", protocol: "opcua", columns: &COLUMNS };
    let Some(dissector) = Dissector::start(what, site.folder()) else { return };
    let gateway = site.start();
    good(&recorder);
    let read = site.forebay(&["read", &url, "ns=2;s=float", "--info", "--json"]);
    assert_eq!(json(&read)["readings"][0]["value"], 21.5);
    let written = site.forebay(&["write", &url, "ns=2;s=float", "3.5"]);
    assert!(written.status.success(), "{}", super::complaint(&written));
    let browsed = json(&site.forebay(&["browse", &url, "--json"]));
    assert_eq!(browsed["complete"], Value::Bool(true));
    assert_eq!(gateway.terminate().code(), Some(0));
    wait::for_it("the last packets are dissected", wait::SOON, || dissector.packets().len() > 50);
    let packets = dissector.packets();
    let sent: Vec<_> = packets.iter().filter(|packet| packet[0] == far.port().to_string()).collect();
    for kind in ["HEL", "OPN", "MSG", "CLO"] {
        assert!(sent.iter().any(|packet| packet[1].contains(kind)), "a {kind} passed: {sent:?}");
    }
    let is_wrong = |packet: &&&Vec<String>| !packet[2].is_empty() || packet[3].contains(SEVERITY_ERROR);
    let wrong: Vec<_> = sent.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
