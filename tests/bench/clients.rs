//! Our clients as processes of their own that print what they took: the session alone, and the whole driver.

use std::time::Duration;

use driver_core::{DeviceSpec, EndpointUrl, GroupId, Line, LineSpec, Quality, Readings, SystemClock, TagId, TagSpec};
use drivers::modbus::session::{Session, SessionConfig};
use drivers::modbus::transport::{Endpoint, KeepAlive, TcpEndpoint};
use drivers::modbus::wire::{Request, Response, Table};
use tokio::runtime::{Builder, Runtime};

use crate::process::own_processor_time;

/// Registers of one request, and how many requests make one poll.
pub(crate) const BLOCK: usize = 125;
pub(crate) const BLOCKS: usize = 8;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Prints what the programs of a comparison print: registers read, processor time in nanoseconds.
pub(crate) fn tell(registers: usize, before: Duration) {
    println!("{registers} {}", (own_processor_time() - before).as_nanos());
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Our session: requests out, each answer checked and its registers turned into numbers.
pub(crate) fn session(port: u16, in_flight: usize, polls: usize) {
    let endpoint = Endpoint::Tcp(TcpEndpoint { host: "127.0.0.1".into(), port, keep_alive: KeepAlive::Off });
    let config = SessionConfig { max_in_flight: in_flight, ..SessionConfig::mbap() };
    let request = |block: usize| {
        (1, Request::Read { table: Table::HoldingRegisters, start: (block * BLOCK) as u16, count: BLOCK as u16 })
    };
    runtime().block_on(async {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        let mut session = Session::connect(&endpoint, config, deadline).await.expect("the device listens");
        let (mut registers, mut read) = ([0_u16; BLOCK], 0);
        let before = own_processor_time();
        for _ in 0..polls {
            let requests = (0..BLOCKS).map(request);
            let each = |_, result: Result<Response<'_>, _>| {
                let Ok(Response::Registers(bytes)) = result else { panic!("{result:?}") };
                let numbers = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                registers.iter_mut().zip(numbers).for_each(|(to, from)| *to = from);
                read += bytes.len() / 2;
            };
            session.run(requests, TIMEOUT, each).await.expect("answers");
        }
        assert!(registers.iter().all(|register| *register > 0), "registers were read");
        tell(read, before);
    });
}

/// A line with one device of so many registers, one tag each.
pub(crate) fn line(url: &str, registers: usize, in_flight: Option<u16>) -> Box<dyn Line> {
    line_of(url, (0..registers).map(|register| format!("hr:{register}:UINT")), in_flight)
}

/// A line with one device of these addresses.
pub(crate) fn line_of(url: &str, addresses: impl Iterator<Item = String>, in_flight: Option<u16>) -> Box<dyn Line> {
    let url: EndpointUrl = url.parse().unwrap_or_else(|_| panic!("`{url}` is no URL"));
    let driver = drivers::by_scheme(url.scheme()).expect("a driver of this build");
    let addresses: Vec<String> = addresses.collect();
    let tags = (0..).zip(&addresses);
    let tags = tags.map(|(id, address)| TagSpec { id: TagId(id), address, group: GroupId(0) }).collect();
    let groups = vec![Duration::from_secs(1)];
    let device = DeviceSpec { groups, tags, in_flight_max: in_flight, ..DeviceSpec::default() };
    let spec = LineSpec { url, timeout: Some(TIMEOUT), devices: vec![device] };
    driver.line(&spec).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Polls a line once and gives how many good readings that were all of them.
pub(crate) async fn poll(line: &mut dyn Line, readings: &mut Vec<driver_core::Reading>) -> usize {
    readings.clear();
    line.poll(0, GroupId(0), &mut Readings::new(readings, &SystemClock)).await.expect("answers");
    assert!(readings.iter().all(|reading| reading.quality == Quality::Good), "{readings:?}");
    readings.len()
}

/// Our driver: planned requests, each register a reading with its value, quality and time.
pub(crate) fn driver(port: u16, in_flight: usize, polls: usize) {
    let url = format!("modbus-tcp://127.0.0.1:{port}?unit=1");
    let mut line = line(&url, BLOCK * BLOCKS, Some(in_flight as u16));
    runtime().block_on(async {
        line.connect().await.expect("the device listens");
        let (mut readings, mut read) = (Vec::new(), 0);
        poll(line.as_mut(), &mut readings).await;
        let before = own_processor_time();
        for _ in 0..polls {
            read += poll(line.as_mut(), &mut readings).await;
        }
        tell(read, before);
    });
}
