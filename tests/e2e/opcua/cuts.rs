//! The network between the gateway and a server is cut, in every way in which that happens.

use std::net::SocketAddr;
use std::time::Duration;

use hardware_sim::faults::{Fault, Framing, Link};
use tests::field::Field;
use tests::opcua::Server;
use tests::site::Site;
use tests::wait;

use super::{bad, counting, counting_device, good};
use crate::rig::{COUNTER, embedded, file, nothing_is_missing};
use crate::types::folder;

#[test]
fn every_tag_comes_back_after_the_network_was_cut() {
    let folder = folder();
    let Some(far) = counting(Server::Asyncua, folder.path()) else { return };
    let field = Field::new();
    let proxy = field.proxy(SocketAddr::from(([127, 0, 0, 1], far.port())), Framing::Stream);
    let (_broker, uplink, recorder) = embedded(&field);
    let url = format!("opc.tcp://{}?policy=none", proxy.address());
    let site = Site::new(&file(&counting_device(&url), &uplink));
    let mut gateway = site.start();
    good(&recorder);
    // Both ways at once: refused, and half open; then one way: nothing comes, nothing goes.
    for link in [Link::Refuse, Link::BlackHole] {
        proxy.link(link);
        for tag in [COUNTER, "still"] {
            bad(&recorder, tag);
        }
        proxy.link(Link::Up);
        good(&recorder);
    }
    for lane in [proxy.replies(), proxy.requests()] {
        lane.set(Fault::Silence);
        bad(&recorder, COUNTER);
        lane.set(Fault::Pass);
        good(&recorder);
    }
    // What arrives broken ends the connection and nothing else.
    proxy.replies().script([Fault::Garbage(40), Fault::Pass, Fault::Cut(10), Fault::Twice]);
    wait::pass(Duration::from_secs(2));
    good(&recorder);
    assert!(gateway.ended().is_none(), "the gateway lives");
    drop(gateway);
    nothing_is_missing(&recorder.readings());
}
