//! S7: every type in every area, F8 to F11, what was agreed is kept, and the wire as a dissector that is not ours sees it.

mod types;
mod writes;
mod commands;
mod agreements;
mod capture;
mod lying;
mod dead;
mod newcomer;

use std::net::SocketAddr;
use std::time::Duration;

use hardware_sim::s7::{Area, Oracle, Plc, bytes_u32};
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::COUNTER;

/// How long a reading may take that must become good again by itself.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(90);

fn url(address: SocketAddr) -> String {
    format!("s7://{address}")
}

/// Lets a PLC count at `DB1.DBD0`.
fn counter(plc: &Plc) -> Oracle {
    plc.oracle(Area::Block(1), 0, 4, bytes_u32)
}

/// A device whose tag `n` shows that counter.
fn counting_device(name: &str, address: SocketAddr) -> String {
    let url = url(address);
    format!("  {name}:\n    url: {url}\n    timeout: 500ms\n    tags:\n      {COUNTER}: DB1.DBD0:UDINT\n")
}

/// Waits until a tag is bad, and gives its reason.
fn bad(recorder: &Subscriber, device: &str, tag: &str) -> String {
    let is_bad = || recorder.last(device, tag).filter(|reading| !reading.is_good());
    let reading = wait::until(&format!("{device}.{tag} is bad"), wait::SOON, is_bad);
    assert!(reading.value().is_null() && !reading.reason().is_empty(), "{:?}", reading.body);
    reading.reason().to_owned()
}

/// Waits until a tag is good again.
fn good(recorder: &Subscriber, device: &str, tag: &str) {
    wait::for_it(&format!("{device}.{tag} is good"), COMES_BACK_WITHIN, || {
        recorder.last(device, tag).is_some_and(|reading| reading.is_good())
    });
}
