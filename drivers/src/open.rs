//! Reading and writing a PLC by its URL, whatever its protocol.

use std::time::Duration;

use driver_core::{
    AnyDriver, DeviceSpec, EndpointUrl, GroupId, Line, LineSpec, LinkError, Reading, Readings, SpecError, SystemClock,
    TagId, TagSpec, Value, WriteOutcome,
};

/// The only device of the line, and its only group.
const DEVICE: usize = 0;
const GROUP: GroupId = GroupId(0);

/// Why a PLC was not opened or read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No driver of this build serves the scheme.
    #[error("no driver serves `{scheme}`; this build has {known}")]
    Scheme {
        /// The URL's scheme.
        scheme: String,
        /// The schemes there are.
        known: String,
    },
    /// The URL or an address is wrong; every error is there, with its place.
    #[error("{}", list(.0))]
    Spec(Vec<SpecError>),
    /// The connection cannot be made, or is over; the next call makes a new one.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// A PLC with the addresses that are read from it. A lost connection is made anew by the next call.
pub struct Plc {
    line: Box<dyn Line>,
    tags: usize,
}

/// Understands URL and addresses, plans the requests and connects.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(url: &str, addresses: &[&str]) -> Result<Plc, OpenError> {
    let url: EndpointUrl = url.parse().map_err(|error| OpenError::Spec(vec![error]))?;
    let driver = crate::by_scheme(url.scheme()).ok_or_else(|| no_driver(url.scheme()))?;
    let mut plc = Plc { line: line(driver, url, addresses)?, tags: addresses.len() };
    plc.line.connect().await?;
    Ok(plc)
}

impl Plc {
    /// Reads all addresses: one reading for each, in their order. A tag that fails has a bad one with its reason.
    ///
    /// # Errors
    /// The connection could not be made, or ended.
    pub async fn read(&mut self) -> Result<Vec<Reading>, OpenError> {
        self.connect().await?;
        let mut readings = Vec::with_capacity(self.tags);
        let mut out = Readings::new(&mut readings, &SystemClock);
        self.line.poll(DEVICE, GROUP, &mut out).await?;
        readings.sort_unstable_by_key(|reading| reading.tag);
        Ok(readings)
    }

    /// Writes the address of this index and reads it back.
    ///
    /// # Errors
    /// The connection could not be made, or ended: whether it was written is not known.
    pub async fn write(&mut self, address: usize, value: &Value) -> Result<WriteOutcome, OpenError> {
        self.connect().await?;
        let tag = TagId(u32::try_from(address).unwrap_or(u32::MAX));
        Ok(self.line.write(DEVICE, tag, value).await?)
    }

    /// Closes the connection in good order.
    pub async fn close(mut self) {
        self.line.close().await;
    }

    async fn connect(&mut self) -> Result<(), LinkError> {
        if self.line.is_connected() { Ok(()) } else { self.line.connect().await }
    }
}

fn line(driver: &'static dyn AnyDriver, url: EndpointUrl, addresses: &[&str]) -> Result<Box<dyn Line>, OpenError> {
    let tags = (0..).zip(addresses).map(|(id, address)| TagSpec { id: TagId(id), address, group: GROUP });
    let device = DeviceSpec { groups: vec![Duration::from_secs(1)], tags: tags.collect(), ..DeviceSpec::default() };
    driver.line(&LineSpec { url, timeout: None, devices: vec![device] }).map_err(OpenError::Spec)
}

fn no_driver(scheme: &str) -> OpenError {
    let known: Vec<&str> = crate::all().iter().flat_map(|driver| driver.info().schemes).copied().collect();
    OpenError::Scheme { scheme: scheme.into(), known: known.join(", ") }
}

fn list(errors: &[SpecError]) -> String {
    errors.iter().map(SpecError::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use driver_core::testkit::dialogue::Dialogue;
    use driver_core::testkit::far::Far;

    use super::*;

    /// The values of one reading of each of these addresses, from a far side that plays `script`.
    async fn values(scheme: &str, addresses: &[&str], script: &str) -> Vec<Value> {
        let far = Far::listen(Dialogue::parse(script).expect("a script").steps).await.expect("a port");
        let mut plc = open(&format!("{scheme}://{}", far.address), addresses).await.expect("a connection");
        let readings = plc.read().await.expect("readings");
        plc.close().await;
        far.finish().await.expect("the script to be played");
        readings.into_iter().map(|reading| reading.value).collect()
    }

    #[tokio::test]
    async fn every_protocol_is_read_in_the_same_way() {
        let tcp = "> 00 01 00 00 00 06 01 03 00 00 00 02\n< 00 01 00 00 00 07 01 03 04 00 01 FF FF\n";
        let expected = [Value::Int(-1), Value::UInt(1)];
        assert_eq!(values("modbus-tcp", &["hr:1:INT", "hr:0:UINT"], tcp).await, expected);
        let rtu = "> 01 03 00 00 00 02 C4 0B\n< 01 03 04 00 01 FF FF AA 43\n";
        assert_eq!(values("modbus-rtu-over-tcp", &["hr:1:INT", "hr:0:UINT"], rtu).await, expected);
        let s7 = "> 03 00 00 16 11 E0 00 00 00 01 00 C0 01 0A C1 02 01 00 C2 02 03 01\n\
                  < 03 00 00 0E 09 D0 00 01 00 07 00 C0 01 0A\n\
                  > 03 00 00 19 02 F0 80 32 01 00 00 00 01 00 08 00 00 F0 00 00 08 00 08 03 C0\n\
                  < 03 00 00 1B 02 F0 80 32 03 00 00 00 01 00 08 00 00 00 00 F0 00 00 01 00 01 00 F0\n\
                  > 03 00 00 1F 02 F0 80 32 01 00 00 00 02 00 0E 00 00 04 01 12 0A 10 02 00 04 00 01 84 00 00 00\n\
                  < 03 00 00 1D 02 F0 80 32 03 00 00 00 02 00 02 00 08 00 00 04 01 FF 04 00 20 00 01 FF FF\n\
                  > 03 00 00 0B 06 80 00 07 00 01 00\n";
        assert_eq!(values("s7", &["DB1.DBW2:INT", "DB1.DBW0:UINT"], s7).await, expected);
    }

    /// The bytes of registers that hold these numbers, in hexadecimal.
    fn hex(numbers: std::ops::Range<u16>) -> String {
        numbers.flat_map(u16::to_be_bytes).map(|byte| format!(" {byte:02X}")).collect()
    }

    #[tokio::test]
    async fn a_write_that_takes_several_requests_is_read_back_whole() {
        let script = format!(
            "> 00 01 00 00 00 FD 01 10 00 00 00 7B F6{}\n< 00 01 00 00 00 06 01 10 00 00 00 7B\n\
             > 00 02 00 00 00 15 01 10 00 7B 00 07 0E{}\n< 00 02 00 00 00 06 01 10 00 7B 00 07\n\
             > 00 03 00 00 00 06 01 03 00 00 00 7D\n< 00 03 00 00 00 FD 01 03 FA{}\n\
             > 00 04 00 00 00 06 01 03 00 7D 00 05\n< 00 04 00 00 00 0D 01 03 0A{}\n",
            hex(0..123),
            hex(123..130),
            hex(0..125),
            hex(125..130),
        );
        let far = Far::listen(Dialogue::parse(&script).expect("a script").steps).await.expect("a port");
        let mut plc = open(&format!("modbus-tcp://{}", far.address), &["hr:0:UINT[130]"]).await.expect("a connection");
        let value = Value::Array((0..130).map(Value::UInt).collect());
        assert_eq!(plc.write(0, &value).await.expect("an outcome"), WriteOutcome::Written(value));
        plc.close().await;
        far.finish().await.expect("the script to be played");
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_before_anything_is_connected() {
        let refused = async |url: &str, addresses: &[&str]| match open(url, addresses).await {
            Ok(_) => panic!("{url} was opened"),
            Err(error) => error.to_string(),
        };
        assert!(refused("http://plc", &[]).await.contains("this build has modbus-tcp"));
        assert!(refused("plc", &[]).await.contains("a device is a URL"));
        let both = refused("modbus-tcp://127.0.0.1:1", &["hr:x", "hr:0:RAEL"]).await;
        assert!(both.contains("no number") && both.contains("did you mean REAL"), "{both}");
    }
}
