//! The connection of this driver against scripted devices, and against devices that refuse at random.

#[path = "contract/picky.rs"]
mod picky;

use std::path::Path;

use driver_core::testkit::contract::suite;
use driver_modbus::ModbusDriver;

#[tokio::test]
async fn the_connection_keeps_the_contract_whatever_the_device_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    if let Err(failures) = suite(&ModbusDriver, &folder).await {
        panic!("{failures}");
    }
}
