//! Everything that the driver and the commands send, as tshark's s7comm dissector sees it while it passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use hardware_sim::s7::Plc;
use tests::cases;
use tests::field::Field;
use tests::gateway::Running;
use tests::site::Site;
use tests::{need, wait};

use super::url;

/// What is printed of each packet, a column each: where it goes, the kinds of its messages, their functions, what is wrong
/// with it.
const COLUMNS: [&str; 5] =
    ["tcp.dstport", "s7comm.header.rosctr", "s7comm.param.func", "_ws.malformed", "_ws.expert.severity"];

/// How tshark tells an error from a remark.
const SEVERITY_ERROR: &str = "8388608";

/// A running tshark that dissects one port of the loopback.
struct Dissector {
    process: Running,
    log: PathBuf,
    port: u16,
}

impl Dissector {
    /// None where tshark may not capture, which is said.
    fn start(tshark: &Path, port: u16, folder: &Path) -> Option<Dissector> {
        let log = folder.join("tshark.log");
        let mut command = Command::new(tshark);
        command.args(["-i", "lo", "-l", "-f", &format!("tcp port {port}"), "-d", &format!("tcp.port=={port},tpkt")]);
        command.args(["-Y", "s7comm || _ws.malformed", "-T", "fields"]);
        COLUMNS.iter().for_each(|column| {
            command.args(["-e", column]);
        });
        let mut dissector = Dissector { process: Running::start(&mut command, &log), log, port };
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

    /// How many requests it has seen.
    fn requests(&self) -> usize {
        let to_the_plc = self.port.to_string();
        let packets = self.packets().into_iter().filter(|packet| packet[0] == to_the_plc);
        packets.map(|packet| packet[1].split(',').count()).sum()
    }
}

#[test]
fn a_dissector_finds_no_malformed_packet_in_all_that_is_sent() {
    let Some(tshark) = need::program("tshark") else { return };
    let field = Field::new();
    let plc = Plc::new();
    cases::s7::fill(&plc);
    let server = field.s7(&plc);
    let site = Site::new("");
    let Some(dissector) = Dissector::start(&tshark, server.address().port(), site.folder()) else { return };
    let all = cases::s7::all();
    let addresses: Vec<&str> = all.iter().map(|case| case.address.as_str()).collect();
    let info = site.forebay(&["read", &url(server.address()), "--info"]);
    assert!(info.status.success(), "{}", String::from_utf8_lossy(&info.stderr));
    field.run(async {
        let mut driver = drivers::open(&url(server.address()), &addresses).await.expect("a connection");
        for (index, reading) in driver.read().await.expect("readings").iter().enumerate() {
            driver.write(index, &reading.value).await.expect("it is connected");
        }
        driver.close().await;
    });
    let sent = plc.counts().requests as usize;
    assert!(sent > addresses.len(), "{sent} requests");
    wait::for_it("every request is dissected", wait::SOON * 2, || dissector.requests() >= sent);
    let packets = dissector.packets();
    for function in ["0xf0", "0x04", "0x05"] {
        let is_there = |packet: &Vec<String>| packet[2].split(',').any(|found| found == function);
        assert!(packets.iter().any(is_there), "a request of function {function} passed");
    }
    let is_wrong = |packet: &&Vec<String>| !packet[3].is_empty() || packet[4].contains(SEVERITY_ERROR);
    let wrong: Vec<_> = packets.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
