//! Everything that the driver and the commands send, as tshark's s7comm dissector sees it while it passes.

use hardware_sim::s7::Plc;
use tests::cases;
use tests::dissector::{Dissection, Dissector, SEVERITY_ERROR};
use tests::field::Field;
use tests::site::Site;
use tests::wait;

use super::url;

/// What is printed of each packet, a column each: where it goes, the kinds of its messages, their functions, what is wrong
/// with it.
const COLUMNS: [&str; 5] =
    ["tcp.dstport", "s7comm.header.rosctr", "s7comm.param.func", "_ws.malformed", "_ws.expert.severity"];

#[test]
fn a_dissector_finds_no_malformed_packet_in_all_that_is_sent() {
    let field = Field::new();
    let plc = Plc::new();
    cases::s7::fill(&plc);
    let server = field.s7(&plc);
    let site = Site::new("");
    let port = server.address().port();
    let what = Dissection { port, first: "tpkt", protocol: "s7comm", columns: &COLUMNS };
    let Some(dissector) = Dissector::start(what, site.folder()) else { return };
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
    wait::for_it("every request is dissected", wait::SOON * 2, || requests(&dissector, port) >= sent);
    let packets = dissector.packets();
    for function in ["0xf0", "0x04", "0x05"] {
        let is_there = |packet: &Vec<String>| packet[2].split(',').any(|found| found == function);
        assert!(packets.iter().any(is_there), "a request of function {function} passed");
    }
    let is_wrong = |packet: &&Vec<String>| !packet[3].is_empty() || packet[4].contains(SEVERITY_ERROR);
    let wrong: Vec<_> = packets.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// How many requests have passed to the PLC on this port.
fn requests(dissector: &Dissector, port: u16) -> usize {
    let to_the_plc = port.to_string();
    let packets = dissector.packets().into_iter().filter(|packet| packet[0] == to_the_plc);
    packets.map(|packet| packet[1].split(',').count()).sum()
}
