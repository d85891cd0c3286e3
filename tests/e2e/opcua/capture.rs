//! Everything that the driver and the commands send, as tshark's opcua dissector sees it while it passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::field::Field;
use tests::gateway::Running;
use tests::opcua::Server;
use tests::site::Site;
use tests::{need, wait};

use super::{counting, counting_device, good, json};
use crate::rig::{embedded, file};
use crate::types::folder;

/// What is printed of each packet, a column each: where it goes, the kind of transport message, what is wrong with it.
const COLUMNS: [&str; 4] = ["tcp.dstport", "opcua.transport.type", "_ws.malformed", "_ws.expert.severity"];

/// How tshark tells an error from a remark.
const SEVERITY_ERROR: &str = "8388608";

/// A running tshark that dissects one port of the loopback.
struct Dissector {
    process: Running,
    log: PathBuf,
}

impl Dissector {
    /// None where tshark may not capture, which is said.
    fn start(tshark: &Path, port: u16, folder: &Path) -> Option<Dissector> {
        let log = folder.join("tshark.log");
        let mut command = Command::new(tshark);
        command.args(["-i", "lo", "-l", "-f", &format!("tcp port {port}"), "-d", &format!("tcp.port=={port},opcua")]);
        command.args(["-Y", "opcua || _ws.malformed", "-T", "fields"]);
        COLUMNS.iter().for_each(|column| {
            command.args(["-e", column]);
        });
        let mut dissector = Dissector { process: Running::start(&mut command, &log), log };
        let is_on = wait::until("tshark captures", wait::SOON, || {
            let ended = dissector.process.0.try_wait().expect("the process is ours").is_some();
            (ended || dissector.said().contains("Capture started")).then_some(!ended)
        });
        if !is_on {
            need::unable("capture on the loopback", &dissector.said());
        }
        is_on.then_some(dissector)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The columns of each packet so far. Of several messages in a packet a column holds a list.
    fn packets(&self) -> Vec<Vec<String>> {
        let said = self.said();
        let columns = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        said.lines().map(columns).filter(|columns| columns.len() == COLUMNS.len()).collect()
    }
}

#[test]
fn a_dissector_finds_no_malformed_packet_in_all_that_is_sent() {
    let Some(tshark) = need::program("tshark") else { return };
    let folder = folder();
    let Some(far) = counting(Server::Asyncua, folder.path()) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("{}?policy=none", far.url());
    let site = Site::new(&file(&counting_device(&url), &uplink));
    let Some(dissector) = Dissector::start(&tshark, far.port(), site.folder()) else { return };
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
