//! The connection of this driver against scripted PLCs, and against PLCs that refuse at random.

#[path = "contract/picky.rs"]
mod picky;

use std::path::Path;

use driver_core::testkit::contract::suite;
use driver_s7::S7Driver;

#[tokio::test]
async fn the_connection_keeps_the_contract_whatever_the_plc_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    if let Err(failures) = suite(&S7Driver, &folder).await {
        panic!("{failures}");
    }
}
