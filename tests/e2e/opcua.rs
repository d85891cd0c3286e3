//! OPC UA: every type, security on both sides, limits, F8 to F11, and the wire as a dissector that is not ours sees it.

mod simulator;
mod types;
mod structures;
mod writes;
mod browse;
mod globs;
mod watching;
mod events;
mod security;
mod limits;
mod restarts;
mod cuts;
mod history;
mod queues;
mod acknowledgements;
mod capture;

use std::path::Path;

use serde_json::Value;
use tests::opcua::{Far, Server};
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{COUNTER, PLC};

/// How long a reading may take that must become good again by itself.
const COMES_BACK_WITHIN: std::time::Duration = std::time::Duration::from_secs(90);

/// A server that counts, and its folder.
fn counting(server: Server, folder: &Path) -> Option<Far> {
    Far::start(server, folder, &[])
}

/// A device whose tag `n` shows the counter of a server at this URL, and whose `still` never changes.
fn counting_device(url: &str) -> String {
    format!(
        "  {PLC}:\n    url: \"{url}\"\n    timeout: 2s\n    tags:\n      {COUNTER}: \"ns=2;s=counter\"\n      \
         still: \"ns=2;s=float\"\n"
    )
}

/// Waits until a tag is bad, and gives its reason.
fn bad(recorder: &Subscriber, tag: &str) -> String {
    let is_bad = || recorder.last(PLC, tag).filter(|reading| !reading.is_good());
    let reading = wait::until(&format!("{tag} is bad"), wait::SOON * 2, is_bad);
    assert!(reading.value().is_null() && !reading.reason().is_empty(), "{:?}", reading.body);
    reading.reason().to_owned()
}

/// Waits until both tags are good again.
fn good(recorder: &Subscriber) {
    for tag in [COUNTER, "still"] {
        wait::for_it(&format!("{tag} is good"), COMES_BACK_WITHIN, || {
            recorder.last(PLC, tag).is_some_and(|reading| reading.is_good())
        });
    }
}

/// What a command printed as JSON.
fn json(output: &std::process::Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// What a command complained of.
fn complaint(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
