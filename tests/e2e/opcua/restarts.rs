//! The server is killed and started again, closes its sessions, closes its connections: every tag comes back, and each
//! gap shows as bad with its reason.

use hardware_sim::opcua::{OpcUaPlc, UaType};
use hardware_sim::signal::Signal;
use tests::field::Field;
use tests::opcua::Server;
use tests::site::Site;
use tests::{need, wait};

use super::{bad, counting, counting_device, good};
use crate::rig::{COUNTER, PLC, embedded, file, nothing_is_missing};
use crate::types::folder;

fn survives(server: Server, times: usize) {
    let folder = folder();
    let Some(mut far) = counting(server, folder.path()) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(&format!("{}?policy=none", far.url())), &uplink));
    let mut gateway = site.start();
    good(&recorder);
    for round in 0..times {
        far.kill();
        for tag in [COUNTER, "still"] {
            let reason = bad(&recorder, tag);
            assert_ne!(reason, "not-decodable", "round {round}");
        }
        far.start_again();
        good(&recorder);
    }
    assert!(gateway.ended().is_none(), "the gateway lives");
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn every_tag_comes_back_when_asyncua_was_killed() {
    survives(Server::Asyncua, if need::long() { 50 } else { 2 });
}

#[test]
fn every_tag_comes_back_when_node_opcua_was_killed() {
    survives(Server::NodeOpcua, if need::long() { 50 } else { 1 });
}

#[test]
fn every_tag_comes_back_when_the_server_closed_sessions_and_connections() {
    let folder = folder();
    let Some(far) = counting(Server::Asyncua, folder.path()) else { return };
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(&format!("{}?policy=none", far.url())), &uplink));
    let gateway = site.start();
    good(&recorder);
    for signal in ["USR1", "USR2", "USR1"] {
        let before = recorder.count();
        far.signal(signal);
        // It counts on, whether or not a gap was seen.
        let last = recorder.last(PLC, COUNTER).and_then(|reading| reading.value().as_u64()).unwrap_or_default();
        wait::for_it(&format!("it counts on after SIG{signal}"), super::COMES_BACK_WITHIN, || {
            let now = recorder.last(PLC, COUNTER).filter(|reading| reading.is_good());
            now.and_then(|reading| reading.value().as_u64()).is_some_and(|now| now > last + 20)
        });
        good(&recorder);
        assert!(recorder.count() > before);
    }
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}

#[test]
fn a_clock_of_the_server_that_is_wrong_stops_nothing() {
    let field = Field::new();
    let plc = OpcUaPlc::new();
    let seconds = Signal::Counter { from: 1.0, step: 1.0, every: std::time::Duration::from_millis(100) };
    plc.drive("ns=2;s=counter", UaType::UInt32, None, seconds).expect("a place");
    plc.drive("ns=2;s=float", UaType::Float, None, Signal::Constant(21.5)).expect("a place");
    let mut server = field.opcua(&plc);
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("opc.tcp://{}?policy=none", server.address());
    let site = Site::new(&file(&counting_device(&url), &uplink));
    let gateway = site.start();
    good(&recorder);
    for hours in [-30_i64, 40] {
        plc.skew(hours * 3_600_000);
        server.restart().expect("the port is ours");
        let last = recorder.last(PLC, COUNTER).and_then(|reading| reading.value().as_u64()).unwrap_or_default();
        wait::for_it("it counts on", super::COMES_BACK_WITHIN, || {
            let now = recorder.last(PLC, COUNTER).filter(|reading| reading.is_good());
            now.and_then(|reading| reading.value().as_u64()).is_some_and(|now| now > last + 20)
        });
        good(&recorder);
    }
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}
