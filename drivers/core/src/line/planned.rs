//! The one [`Line`] of all drivers: devices as planned, and the connection to them while there is one.

use std::collections::HashSet;
use std::time::Duration;

use super::{AnyDriver, BoxFuture, Line};
use crate::{
    BrowseError, Connection, Contact, Device, DeviceSpec, Driver, DriverInfo, EndpointUrl, Entry, Fact, FarCertificate,
    FoundTag, GroupId, LineSpec, LinkError, Place, Plan, Reading, Readings, Reason, Reports, SpecError, TagId, TagText,
    Tap, Tense, Value, Way, WriteError, WriteOutcome,
};

impl<D: Driver> AnyDriver for D {
    fn info(&self) -> &'static DriverInfo {
        Driver::info(self)
    }

    fn line(&'static self, spec: &LineSpec) -> Result<Box<dyn Line>, Vec<SpecError>> {
        if let Some(error) = spec.url.more_than_one_host() {
            return Err(vec![error]);
        }
        let (endpoint, mut errors) = match self.endpoint(&spec.url, spec.timeout) {
            Ok(endpoint) => (endpoint, Vec::new()),
            // A wrong option hides no wrong address: those are checked as if the option were not there.
            Err(errors) => match self.endpoint(&spec.url.without_options(), None) {
                Ok(stand_in) => (stand_in, errors),
                Err(_) => return Err(errors),
            },
        };
        let mut devices = Vec::with_capacity(spec.devices.len());
        for (index, device) in spec.devices.iter().enumerate() {
            errors.extend(wrong_wishes(self, index, device));
            match self.device(&endpoint, index, device) {
                Ok(planned) => devices.push(Planned {
                    device: planned,
                    due: due_by_group(device),
                    reports: Reports::EachPoll,
                    paused_from: None,
                }),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() {
            Ok(Box::new(DriverLine { driver: self, endpoint, devices, connection: None, tap: Tap::default() }))
        } else {
            Err(errors)
        }
    }

    fn explain(&self, status: u32) -> Option<String> {
        Driver::explain(self, status)
    }

    fn frame_text(&self, scheme: &str, way: Way, bytes: &[u8]) -> Option<String> {
        Driver::frame_text(self, scheme, way, bytes)
    }

    fn check_url(&self, url: &EndpointUrl, timeout: Option<Duration>) -> Result<(), Vec<SpecError>> {
        match url.more_than_one_host() {
            Some(error) => Err(vec![error]),
            None => self.endpoint(url, timeout).map(drop),
        }
    }
}

/// What a device asks for beside its tags, and the driver cannot give: patterns of tags, ways to watch one.
fn wrong_wishes<D: Driver>(driver: &D, index: usize, device: &DeviceSpec) -> Vec<SpecError> {
    let patterns = device.browse.iter().enumerate().filter_map(|(number, pattern)| {
        let wrong = driver.pattern(pattern).err()?;
        Some(SpecError { place: Place::Pattern(index, number, wrong.range), message: wrong.message })
    });
    let watches = device.watch.iter().filter_map(|watch| {
        let message = driver.watch(watch).err()?;
        let whole = device.tags.get(watch.tag).map_or(0, |tag| tag.address.len());
        Some(SpecError { place: Place::Address(index, watch.tag, 0..whole), message })
    });
    patterns.chain(watches).collect()
}

fn due_by_group(spec: &DeviceSpec) -> Vec<Box<[TagId]>> {
    let mut due: Vec<Vec<TagId>> = vec![Vec::new(); spec.groups.len()];
    for tag in spec.tags.iter() {
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
    tap: Tap,
}

struct Planned<D> {
    device: D,
    reports: Reports,
    /// The tags of each group, by `GroupId`.
    due: Vec<Box<[TagId]>>,
    /// Where the readings of a poll begin that has paused.
    paused_from: Option<usize>,
}

impl<D: Driver> DriverLine<D> {
    fn due(&self, device: usize, group: GroupId) -> &[TagId] {
        self.devices.get(device).and_then(|planned| planned.due.get(group.index())).map_or(&[], |due| due)
    }

    /// A device and the connection to it, while there is one.
    fn open(&mut self, device: usize) -> Option<(&mut D::Connection, &mut Planned<D::Device>)> {
        self.connection.as_mut().zip(self.devices.get_mut(device))
    }

    /// The rule of the contract: what a connection said no to is over.
    fn spend<T>(&mut self, result: Result<T, LinkError>) -> Result<T, LinkError> {
        if let Err(error) = &result {
            self.connection = None;
            self.tap.over(error);
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

    fn found(&mut self, device: usize) -> Option<Vec<FoundTag>> {
        self.devices.get_mut(device).and_then(|planned| planned.device.found())
    }

    fn decode(&self, device: usize, tag: usize, bytes: &[u8]) -> Result<Value, String> {
        self.devices.get(device).ok_or("there is no such device")?.device.decode(tag, bytes)
    }

    fn set_tap(&mut self, tap: Tap) {
        self.tap = tap;
    }

    fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        self.connection = None;
        Box::pin(async move {
            let connected = self.driver.connect_tapped(&self.endpoint, self.tap.clone()).await;
            self.connection = Some(self.spend(connected)?);
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
            let paused = self.devices.get_mut(device).and_then(|planned| planned.paused_from.take());
            let before = paused.filter(|_| readings.goes_on()).unwrap_or(readings.len());
            let Some((connection, planned)) = self.open(device) else {
                complete(self.due(device, group), before, readings, Some(Reason::NotConnected));
                return Ok(Contact::Silent);
            };
            let result = connection.poll(&mut planned.device, group, readings).await;
            if result.is_ok() && readings.has_paused() {
                planned.paused_from = Some(before);
                return result;
            }
            let over = result.as_ref().err().map(|_| Reason::Disconnected);
            match (self.reports(device), over) {
                (Reports::EachPoll, over) => complete(self.due(device, group), before, readings, over),
                (Reports::Changes, Some(reason)) => self.absent(device, group, reason, readings),
                (Reports::Changes, None) => {}
            }
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
            let Some((connection, planned)) = self.open(device) else {
                return Ok(WriteOutcome::Failed(WriteError::Refused("there is no connection to it".into())));
            };
            let result = connection.write(&mut planned.device, tag, value).await;
            self.spend(result)
        })
    }

    fn touch(&mut self, device: usize) -> BoxFuture<'_, Result<Contact, LinkError>> {
        Box::pin(async move {
            let Some((connection, planned)) = self.open(device) else {
                return Ok(Contact::Silent);
            };
            let result = connection.touch(&mut planned.device).await;
            self.spend(result)
        })
    }

    fn identify(&mut self, device: usize) -> BoxFuture<'_, Result<Vec<Fact>, LinkError>> {
        Box::pin(async move {
            let Some((connection, planned)) = self.open(device) else {
                return Ok(Vec::new());
            };
            let result = connection.identify(&mut planned.device).await;
            self.spend(result)
        })
    }

    fn listen(&mut self) {
        for planned in &mut self.devices {
            planned.reports = planned.device.listen();
        }
    }

    fn reports(&self, device: usize) -> Reports {
        self.devices.get(device).map_or(Reports::EachPoll, |planned| planned.reports)
    }

    fn news(&mut self) -> BoxFuture<'_, ()> {
        match &mut self.connection {
            Some(connection) => Box::pin(connection.news()),
            None => Box::pin(std::future::pending()),
        }
    }

    fn take_news(&mut self, readings: &mut Readings<'_>) {
        let Some(connection) = &mut self.connection else { return };
        for planned in &mut self.devices {
            connection.take_news(&mut planned.device, readings);
        }
    }

    fn browse<'a>(
        &'a mut self,
        device: usize,
        place: &'a str,
    ) -> BoxFuture<'a, Result<Result<Vec<Entry>, BrowseError>, LinkError>> {
        Box::pin(async move {
            let Some((connection, planned)) = self.open(device) else {
                return Ok(Err(BrowseError::Refused("there is no connection to it".into())));
            };
            let result = connection.browse(&mut planned.device, place).await;
            self.spend(result)
        })
    }

    fn certificate(&self) -> BoxFuture<'_, Result<Option<FarCertificate>, LinkError>> {
        Box::pin(self.driver.certificate(&self.endpoint))
    }

    fn trust(&self, certificate: &FarCertificate) -> Result<String, String> {
        self.driver.trust(&self.endpoint, certificate)
    }

    fn renew(&self) -> Result<String, String> {
        self.driver.renew(&self.endpoint)
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(connection) = self.connection.take() {
                connection.close().await;
            }
            self.devices.iter_mut().for_each(|planned| planned.device.closed());
        })
    }
}

/// Makes the readings since `before` exactly one for each tag of `due`, whatever the driver did, beside those of the past;
/// `over` is why there can be no more of them.
fn complete(due: &[TagId], before: usize, readings: &mut Readings<'_>, over: Option<Reason>) {
    let present = readings.since(before).iter().filter(|reading| reading.tense == Tense::Present);
    if over.is_none() && fingerprint(present.map(|reading| reading.tag)) == fingerprint(due.iter().copied()) {
        return;
    }
    let mut missing: HashSet<TagId> = due.iter().copied().collect();
    let all: &mut Vec<Reading> = readings.since_mut(before);
    let mut index = 0;
    all.retain(|reading| {
        index += 1;
        index <= before || reading.tense == Tense::Past || missing.remove(&reading.tag)
    });
    let reason = over.unwrap_or(Reason::ProtocolError);
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
    use crate::{SystemClock, TagSpec};

    /// A driver that does what its connection was told to do, against the contract.
    struct Careless(Misdeed);

    #[derive(Clone, Copy)]
    enum Misdeed {
        Forgets,
        Repeats,
        Breaks,
        Pauses,
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
                Misdeed::Pauses if out.goes_on() => {
                    let repeated = out.len() - 1;
                    out.since_mut(repeated).truncate(repeated);
                    out.good(TagId(0), Value::Int(1));
                    out.good(TagId(2), Value::Int(1));
                }
                Misdeed::Pauses => out.pause(),
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
        let tags = [0, 1, 2].map(|id| TagSpec { id: TagId(id), address: "x", group: GroupId(0) });
        let groups = vec![Duration::from_secs(1)];
        let device = DeviceSpec { groups, tags: tags.into_iter().collect(), ..DeviceSpec::default() };
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
    fn a_poll_that_pauses_is_made_whole_at_its_end_and_not_before() {
        let part = |line: &mut dyn Line, out: &mut Vec<Reading>, goes_on: bool| {
            let waits = || true;
            let readings = Readings::new(out, &SystemClock).pausing(&waits);
            let mut readings = if goes_on { readings.going_on() } else { readings };
            now(line.poll(0, GroupId(0), &mut readings)).expect("the line holds");
            readings.has_paused()
        };
        let mut line = line(&Careless(Misdeed::Pauses));
        now(line.connect()).expect("connects");
        let mut out = Vec::new();
        assert!(part(line.as_mut(), &mut out, false));
        assert_eq!(out.len(), 1, "what was read before the pause");
        assert!(!part(line.as_mut(), &mut out, true));
        assert_eq!(out.iter().map(|reading| reading.tag.0).collect::<Vec<_>>(), [1, 0, 2]);
        out.clear();
        assert!(part(line.as_mut(), &mut out, false));
        now(line.close());
        assert!(!part(line.as_mut(), &mut out, true));
        let qualities: Vec<_> = out.iter().map(|reading| (reading.tag.0, reading.quality)).collect();
        let gone = crate::Quality::Bad(Reason::NotConnected);
        assert_eq!(qualities, [(1, crate::Quality::Good), (0, gone), (2, gone)]);
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
