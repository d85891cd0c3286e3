//! Modbus as one of the drivers.

use std::time::Duration;

use driver_core::{DeviceSpec, Driver, DriverInfo, EndpointUrl, LinkError, SpecError, Tap, Way};
use tokio::time::Instant;

use crate::config::{ModbusEndpoint, OPTIONS, SCHEMES};
use crate::connection::{ModbusConnection, cannot_connect};
use crate::device::ModbusDevice;
use crate::session::Session;

/// How long opening a connection may take, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(5);

static INFO: DriverInfo =
    DriverInfo { name: "modbus", schemes: SCHEMES, sample: include_str!("../sample.yaml"), options: OPTIONS };

/// The Modbus driver.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModbusDriver;

impl Driver for ModbusDriver {
    type Endpoint = ModbusEndpoint;
    type Device = ModbusDevice;
    type Connection = ModbusConnection;

    fn info(&self) -> &'static DriverInfo {
        &INFO
    }

    fn endpoint(&self, url: &EndpointUrl, timeout: Option<Duration>) -> Result<ModbusEndpoint, Vec<SpecError>> {
        ModbusEndpoint::parse(url, timeout)
    }

    fn device(
        &self,
        endpoint: &ModbusEndpoint,
        index: usize,
        spec: &DeviceSpec,
    ) -> Result<ModbusDevice, Vec<SpecError>> {
        ModbusDevice::new(endpoint, index, spec)
    }

    async fn connect(&self, endpoint: &ModbusEndpoint) -> Result<ModbusConnection, LinkError> {
        self.connect_tapped(endpoint, Tap::default()).await
    }

    async fn connect_tapped(&self, endpoint: &ModbusEndpoint, tap: Tap) -> Result<ModbusConnection, LinkError> {
        let deadline = Instant::now() + CONNECT_MAX;
        let session = Session::connect(&endpoint.transport, endpoint.session.clone(), deadline)
            .await
            .map_err(|error| cannot_connect(&endpoint.transport, error))?;
        Ok(ModbusConnection::new(session.with_tap(tap), endpoint))
    }

    fn frame_text(&self, scheme: &str, way: Way, bytes: &[u8]) -> Option<String> {
        Some(crate::wire::text(scheme, way, bytes))
    }
}
