//! One connection with the devices behind it, behind one face for all drivers.
//!
//! Here stand the rules that no driver may break: a connection is dropped after its first link error, and a poll yields
//! exactly one reading for each tag that was due, whatever happened.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::{
    Connection, Contact, Device, Driver, DriverInfo, EndpointUrl, Fact, GroupId, LineSpec, LinkError, Plan, Reading,
    Readings, Reason, SpecError, TagId, TagText, Value, WriteError, WriteOutcome,
};

/// A future on the heap: one allocation a poll, whatever the number of its readings.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A [`Driver`] whose types are hidden, so that a list can hold all of them.
pub trait AnyDriver: Send + Sync {
    /// See [`Driver::info`].
    fn info(&self) -> &'static DriverInfo;

    /// Checks and plans a line with all its devices; every error is reported, none touches the network.
    fn line(&'static self, spec: &LineSpec) -> Result<Box<dyn Line>, Vec<SpecError>>;

    /// Checks a URL alone.
    fn check_url(&self, url: &EndpointUrl, timeout: Option<Duration>) -> Result<(), Vec<SpecError>>;
}

/// Planned devices behind one endpoint, and the connection to it while there is one. One task owns it.
pub trait Line: Send {
    /// How many devices there are; they are numbered from 0.
    fn devices(&self) -> usize;

    /// See [`Device::plan`].
    fn plan(&self, device: usize) -> Plan;

    /// See [`Device::tag_text`].
    fn tag_text(&self, device: usize, tag: usize) -> TagText;

    /// See [`Device::learned`].
    fn learned(&mut self, device: usize) -> Option<String>;

    /// Whether a connection is open.
    fn is_connected(&self) -> bool;

    /// Opens a connection; one that is open is dropped first.
    fn connect(&mut self) -> BoxFuture<'_, Result<(), LinkError>>;

    /// Polls one group of one device. On an error the connection is gone, and the readings are complete all the same.
    fn poll<'a>(
        &'a mut self,
        device: usize,
        group: GroupId,
        readings: &'a mut Readings<'_>,
    ) -> BoxFuture<'a, Result<Contact, LinkError>>;

    /// One bad reading for each tag of a group that could not be polled.
    fn absent(&self, device: usize, group: GroupId, reason: Reason, readings: &mut Readings<'_>);

    /// See [`Connection::write`]; without a connection nothing is written.
    fn write<'a>(
        &'a mut self,
        device: usize,
        tag: TagId,
        value: &'a Value,
    ) -> BoxFuture<'a, Result<WriteOutcome, LinkError>>;

    /// See [`Connection::touch`]; silent without a connection.
    fn touch(&mut self, device: usize) -> BoxFuture<'_, Result<Contact, LinkError>>;

    /// See [`Connection::identify`]; empty without a connection.
    fn identify(&mut self, device: usize) -> BoxFuture<'_, Result<Vec<Fact>, LinkError>>;

    /// Closes the connection in good order, if there is one.
    fn close(&mut self) -> BoxFuture<'_, ()>;
}

impl<D: Driver> AnyDriver for D {
    fn info(&self) -> &'static DriverInfo {
        Driver::info(self)
    }

    fn line(&'static self, spec: &LineSpec) -> Result<Box<dyn Line>, Vec<SpecError>> {
        let endpoint = self.endpoint(&spec.url, spec.timeout)?;
        let mut devices = Vec::with_capacity(spec.devices.len());
        let mut errors = Vec::new();
        for (index, device) in spec.devices.iter().enumerate() {
            match self.device(&endpoint, index, device) {
                Ok(planned) => devices.push(Planned { device: planned, due: due_by_group(device) }),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() {
            Ok(Box::new(DriverLine { driver: self, endpoint, devices, connection: None }))
        } else {
            Err(errors)
        }
    }

    fn check_url(&self, url: &EndpointUrl, timeout: Option<Duration>) -> Result<(), Vec<SpecError>> {
        self.endpoint(url, timeout).map(drop)
    }
}

fn due_by_group(spec: &crate::DeviceSpec) -> Vec<Box<[TagId]>> {
    let mut due: Vec<Vec<TagId>> = vec![Vec::new(); spec.groups.len()];
    for tag in &spec.tags {
        if let Some(group) = due.get_mut(tag.group.index()) {
            group.push(tag.id);
        }
    }
    due.into_iter().map(Vec::into_boxed_slice).collect()
}

struct DriverLine<D: Driver> {
    driver: &'static D,
    endpoint: D::Endpoint,
    devices: Vec<Planned<D::Device>>,
    connection: Option<D::Connection>,
}

struct Planned<D> {
    device: D,
    /// The tags of each group, by `GroupId`.
    due: Vec<Box<[TagId]>>,
}

impl<D: Driver> DriverLine<D> {
    fn due(&self, device: usize, group: GroupId) -> &[TagId] {
        self.devices.get(device).and_then(|planned| planned.due.get(group.index())).map_or(&[], |due| due)
    }

    /// The rule of the contract: what a connection said no to is over.
    fn spend<T>(&mut self, result: Result<T, LinkError>) -> Result<T, LinkError> {
        if result.is_err() {
            self.connection = None;
        }
        result
    }
}

impl<D: Driver> Line for DriverLine<D> {
    fn devices(&self) -> usize {
        self.devices.len()
    }

    fn plan(&self, device: usize) -> Plan {
        self.devices.get(device).map(|planned| planned.device.plan()).unwrap_or_default()
    }

    fn tag_text(&self, device: usize, tag: usize) -> TagText {
        self.devices[device].device.tag_text(tag)
    }

    fn learned(&mut self, device: usize) -> Option<String> {
        self.devices.get_mut(device).and_then(|planned| planned.device.learned())
    }

    fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        self.connection = None;
        Box::pin(async move {
            self.connection = Some(self.driver.connect(&self.endpoint).await?);
            Ok(())
        })
    }

    fn poll<'a>(
        &'a mut self,
        device: usize,
        group: GroupId,
        readings: &'a mut Readings<'_>,
    ) -> BoxFuture<'a, Result<Contact, LinkError>> {
        Box::pin(async move {
            let before = readings.len();
            let (Some(connection), Some(planned)) = (self.connection.as_mut(), self.devices.get_mut(device)) else {
                self.absent(device, group, Reason::NotConnected, readings);
                return Ok(Contact::Silent);
            };
            let result = connection.poll(&mut planned.device, group, readings).await;
            complete(self.due(device, group), before, readings, &result);
            self.spend(result)
        })
    }

    fn absent(&self, device: usize, group: GroupId, reason: Reason, readings: &mut Readings<'_>) {
        for tag in self.due(device, group) {
            readings.bad(*tag, reason, 0);
        }
    }

    fn write<'a>(
        &'a mut self,
        device: usize,
        tag: TagId,
        value: &'a Value,
    ) -> BoxFuture<'a, Result<WriteOutcome, LinkError>> {
        Box::pin(async move {
            let (Some(connection), Some(planned)) = (self.connection.as_mut(), self.devices.get_mut(device)) else {
                return Ok(WriteOutcome::Failed(WriteError::Refused("there is no connection to it".into())));
            };
            let result = connection.write(&mut planned.device, tag, value).await;
            self.spend(result)
        })
    }

    fn touch(&mut self, device: usize) -> BoxFuture<'_, Result<Contact, LinkError>> {
        Box::pin(async move {
            let (Some(connection), Some(planned)) = (self.connection.as_mut(), self.devices.get_mut(device)) else {
                return Ok(Contact::Silent);
            };
            let result = connection.touch(&mut planned.device).await;
            self.spend(result)
        })
    }

    fn identify(&mut self, device: usize) -> BoxFuture<'_, Result<Vec<Fact>, LinkError>> {
        Box::pin(async move {
            let (Some(connection), Some(planned)) = (self.connection.as_mut(), self.devices.get_mut(device)) else {
                return Ok(Vec::new());
            };
            let result = connection.identify(&mut planned.device).await;
            self.spend(result)
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(connection) = self.connection.take() {
                connection.close().await;
            }
        })
    }
}

/// Makes the readings since `before` exactly one for each tag of `due`, whatever the driver did.
fn complete(due: &[TagId], before: usize, readings: &mut Readings<'_>, result: &Result<Contact, LinkError>) {
    if result.is_ok()
        && fingerprint(readings.since(before).iter().map(|reading| reading.tag)) == fingerprint(due.iter().copied())
    {
        return;
    }
    let mut missing: std::collections::HashSet<TagId> = due.iter().copied().collect();
    let all: &mut Vec<Reading> = readings.since_mut(before);
    let mut index = 0;
    all.retain(|reading| {
        index += 1;
        index <= before || missing.remove(&reading.tag)
    });
    let reason = if result.is_ok() { Reason::ProtocolError } else { Reason::Disconnected };
    for tag in due.iter().filter(|tag| missing.contains(*tag)) {
        readings.bad(*tag, reason, 0);
    }
}

/// A number that two sets of tags share only if each tag stands in both equally often, whatever their order.
fn fingerprint(tags: impl Iterator<Item = TagId>) -> u64 {
    tags.fold(0, |sum, tag| {
        let mixed = (u64::from(tag.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum.wrapping_add((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceSpec, Plan, SystemClock, TagSpec};

    /// A driver that does what its connection was told to do, against the contract.
    struct Careless(Misdeed);

    #[derive(Clone, Copy)]
    enum Misdeed {
        Forgets,
        Repeats,
        Breaks,
    }

    struct CarelessConnection(Misdeed);
    struct NoDevice;

    impl Device for NoDevice {
        fn plan(&self) -> Plan {
            Plan::default()
        }
        fn tag_text(&self, _: usize) -> TagText {
            unreachable!("not asked for")
        }
        fn learned(&mut self) -> Option<String> {
            None
        }
    }

    impl Driver for Careless {
        type Endpoint = ();
        type Device = NoDevice;
        type Connection = CarelessConnection;

        fn info(&self) -> &'static DriverInfo {
            unreachable!("not asked for")
        }
        fn endpoint(&self, _: &EndpointUrl, _: Option<Duration>) -> Result<(), Vec<SpecError>> {
            Ok(())
        }
        fn device(&self, (): &(), _: usize, _: &DeviceSpec) -> Result<NoDevice, Vec<SpecError>> {
            Ok(NoDevice)
        }
        async fn connect(&self, (): &()) -> Result<CarelessConnection, LinkError> {
            Ok(CarelessConnection(self.0))
        }
    }

    impl Connection for CarelessConnection {
        type Device = NoDevice;

        async fn poll(&mut self, _: &mut NoDevice, _: GroupId, out: &mut Readings<'_>) -> Result<Contact, LinkError> {
            out.good(TagId(1), Value::Int(1));
            match self.0 {
                Misdeed::Forgets => {}
                Misdeed::Repeats => {
                    out.good(TagId(1), Value::Int(2));
                    out.good(TagId(9), Value::Int(3));
                }
                Misdeed::Breaks => return Err(LinkError::Lost { endpoint: "x".into(), cause: "gone".into() }),
            }
            Ok(Contact::Answered)
        }
        async fn write(&mut self, _: &mut NoDevice, _: TagId, _: &Value) -> Result<WriteOutcome, LinkError> {
            unreachable!("not asked for")
        }
        async fn touch(&mut self, _: &mut NoDevice) -> Result<Contact, LinkError> {
            Ok(Contact::Answered)
        }
        async fn identify(&mut self, _: &mut NoDevice) -> Result<Vec<Fact>, LinkError> {
            Ok(Vec::new())
        }
        async fn close(self) {}
    }

    /// The futures here are always ready.
    fn now<T>(mut future: BoxFuture<'_, T>) -> T {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => value,
            std::task::Poll::Pending => panic!("waits for something"),
        }
    }

    fn line(driver: &'static Careless) -> Box<dyn Line> {
        let tag = |id| TagSpec { id: TagId(id), address: "x".into(), group: GroupId(0) };
        let groups = vec![Duration::from_secs(1)];
        let device = DeviceSpec { groups, tags: vec![tag(0), tag(1), tag(2)], ..DeviceSpec::default() };
        let spec = LineSpec { url: "x://y".parse().expect("a URL"), timeout: None, devices: vec![device] };
        AnyDriver::line(driver, &spec).expect("a line")
    }

    fn poll(line: &mut dyn Line) -> (Vec<(u32, Value, crate::Quality)>, bool) {
        let mut out = Vec::new();
        let result = now(line.poll(0, GroupId(0), &mut Readings::new(&mut out, &SystemClock)));
        let mut seen: Vec<_> = out.into_iter().map(|reading| (reading.tag.0, reading.value, reading.quality)).collect();
        seen.sort_by_key(|(tag, ..)| *tag);
        (seen, result.is_ok())
    }

    fn bad(tag: u32, reason: Reason) -> (u32, Value, crate::Quality) {
        (tag, Value::None, crate::Quality::Bad(reason))
    }

    const GOOD: (u32, Value, crate::Quality) = (1, Value::Int(1), crate::Quality::Good);

    #[test]
    fn without_a_connection_every_due_tag_is_bad() {
        let mut line = line(&Careless(Misdeed::Forgets));
        let all = [0, 1, 2].map(|tag| bad(tag, Reason::NotConnected));
        assert_eq!(poll(line.as_mut()), (all.to_vec(), true));
    }

    #[test]
    fn tags_that_a_driver_forgot_or_repeated_are_put_right() {
        let expected = vec![bad(0, Reason::ProtocolError), GOOD, bad(2, Reason::ProtocolError)];
        for driver in [&Careless(Misdeed::Forgets), &Careless(Misdeed::Repeats)] {
            let mut line = line(driver);
            now(line.connect()).expect("connects");
            assert_eq!(poll(line.as_mut()), (expected.clone(), true));
        }
    }

    #[test]
    fn a_connection_is_gone_after_its_first_error_and_the_poll_is_complete() {
        let mut line = line(&Careless(Misdeed::Breaks));
        now(line.connect()).expect("connects");
        let expected = vec![bad(0, Reason::Disconnected), GOOD, bad(2, Reason::Disconnected)];
        assert_eq!(poll(line.as_mut()), (expected, false));
        assert!(!line.is_connected());
        assert_eq!(poll(line.as_mut()).0[0], bad(0, Reason::NotConnected));
    }
}
