//! S7 as one of the drivers.

use std::time::Duration;

use driver_core::{DeviceSpec, Driver, DriverInfo, EndpointUrl, LinkError, SpecError, Tap, Way};
use tokio::time::Instant;

use crate::config::{OPTIONS, S7Endpoint, SCHEMES};
use crate::connection::{S7Connection, cannot_connect};
use crate::device::S7Device;
use crate::session::Session;

/// How long opening a connection may take, agreeing on messages included.
const CONNECT_MAX: Duration = Duration::from_secs(5);

static INFO: DriverInfo =
    DriverInfo { name: "s7", schemes: SCHEMES, sample: include_str!("../sample.yaml"), options: OPTIONS };

/// The S7 driver.
#[derive(Debug, Clone, Copy, Default)]
pub struct S7Driver;

impl Driver for S7Driver {
    type Endpoint = S7Endpoint;
    type Device = S7Device;
    type Connection = S7Connection;

    fn info(&self) -> &'static DriverInfo {
        &INFO
    }

    fn endpoint(&self, url: &EndpointUrl, timeout: Option<Duration>) -> Result<S7Endpoint, Vec<SpecError>> {
        S7Endpoint::parse(url, timeout)
    }

    fn device(&self, endpoint: &S7Endpoint, index: usize, spec: &DeviceSpec) -> Result<S7Device, Vec<SpecError>> {
        S7Device::new(endpoint, index, spec)
    }

    fn frame_text(&self, _: &str, way: Way, bytes: &[u8]) -> Option<String> {
        Some(crate::wire::text(way, bytes))
    }

    fn explain(&self, status: u32) -> Option<String> {
        crate::wire::code::explain(status).map(str::to_owned)
    }

    async fn connect(&self, endpoint: &S7Endpoint) -> Result<S7Connection, LinkError> {
        self.connect_tapped(endpoint, Tap::default()).await
    }

    async fn connect_tapped(&self, endpoint: &S7Endpoint, tap: Tap) -> Result<S7Connection, LinkError> {
        let deadline = Instant::now() + CONNECT_MAX;
        let session =
            Session::connect(endpoint, deadline, tap).await.map_err(|error| cannot_connect(endpoint, error))?;
        Ok(S7Connection::new(session, endpoint))
    }
}
