//! OPC UA as one of the drivers.

use std::time::Duration;

use driver_core::{
    AddressError, DeviceSpec, Driver, DriverInfo, EndpointUrl, FarCertificate, LinkError, SpecError, WatchSpec,
};
use opcua::types::StatusCode;

use crate::address::Glob;
use crate::certificate::Pki;
use crate::config::{OPTIONS, OpcUaEndpoint, SCHEMES};
use crate::connection::OpcUaConnection;
use crate::device::OpcUaDevice;
use crate::session::Session;
use crate::wire;

static INFO: DriverInfo =
    DriverInfo { name: "opcua", schemes: SCHEMES, sample: include_str!("../sample.yaml"), options: OPTIONS };

/// The OPC UA driver.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpcUaDriver;

impl Driver for OpcUaDriver {
    type Endpoint = OpcUaEndpoint;
    type Device = OpcUaDevice;
    type Connection = OpcUaConnection;

    fn info(&self) -> &'static DriverInfo {
        &INFO
    }

    fn endpoint(&self, url: &EndpointUrl, timeout: Option<Duration>) -> Result<OpcUaEndpoint, Vec<SpecError>> {
        OpcUaEndpoint::parse(url, timeout)
    }

    fn device(&self, endpoint: &OpcUaEndpoint, index: usize, spec: &DeviceSpec) -> Result<OpcUaDevice, Vec<SpecError>> {
        OpcUaDevice::new(endpoint, index, spec)
    }

    fn pattern(&self, pattern: &str) -> Result<(), AddressError> {
        Glob::parse(pattern).map(drop)
    }

    fn watch(&self, _watch: &WatchSpec) -> Result<(), String> {
        Ok(())
    }

    fn explain(&self, status: u32) -> Option<String> {
        let advice = wire::advice(StatusCode::from(status));
        (status != 0).then(|| format!("{}. {advice}", wire::explain(status)))
    }

    async fn certificate(&self, endpoint: &OpcUaEndpoint) -> Result<Option<FarCertificate>, LinkError> {
        Session::certificate(endpoint).await
    }

    fn trust(&self, endpoint: &OpcUaEndpoint, certificate: &FarCertificate) -> Result<String, String> {
        Pki::of(endpoint).trust(&certificate.der).map(|path| path.display().to_string())
    }

    fn renew(&self, endpoint: &OpcUaEndpoint) -> Result<String, String> {
        Pki::of(endpoint).renew()
    }

    async fn connect(&self, endpoint: &OpcUaEndpoint) -> Result<OpcUaConnection, LinkError> {
        Session::connect(endpoint).await.map(|session| OpcUaConnection::new(session, endpoint))
    }
}
