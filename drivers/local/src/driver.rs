//! Local inputs and outputs as one of the drivers.

use std::time::Duration;

use driver_core::{DeviceSpec, Driver, DriverInfo, EndpointUrl, LinkError, SpecError};

use crate::config::{LocalEndpoint, OPTIONS, SCHEMES};
use crate::connection::LocalConnection;
use crate::device::LocalDevice;
use crate::session::Session;

static INFO: DriverInfo =
    DriverInfo { name: "local", schemes: SCHEMES, sample: include_str!("../sample.yaml"), options: OPTIONS };

/// The driver of local inputs and outputs.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDriver;

impl Driver for LocalDriver {
    type Endpoint = LocalEndpoint;
    type Device = LocalDevice;
    type Connection = LocalConnection;

    fn info(&self) -> &'static DriverInfo {
        &INFO
    }

    fn endpoint(&self, url: &EndpointUrl, timeout: Option<Duration>) -> Result<LocalEndpoint, Vec<SpecError>> {
        LocalEndpoint::parse(url, timeout)
    }

    fn device(&self, endpoint: &LocalEndpoint, index: usize, spec: &DeviceSpec) -> Result<LocalDevice, Vec<SpecError>> {
        LocalDevice::new(endpoint, index, spec)
    }

    async fn connect(&self, endpoint: &LocalEndpoint) -> Result<LocalConnection, LinkError> {
        Ok(LocalConnection::new(Session::open(endpoint).await?))
    }
}
