//! The serial line and its faults on pseudo-terminals.

use std::path::Path;
use std::time::{Duration, Instant};

use hardware_sim::faults::{Fault, LineSpeed, Link, SerialJoint};
use hardware_sim::modbus::{ModbusServer, Plant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::SerialStream;

use crate::modbus_client::{ask_rtu, read, rtu};
use crate::wait::{soon, until};

/// A plant with the units 1 and 2 on a line.
struct Bus {
    joint: SerialJoint,
    plant: Plant,
    _server: ModbusServer,
    _directory: TempDir,
}

impl Bus {
    fn new(speed: Option<LineSpeed>) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let joint = SerialJoint::open(directory.path(), speed).expect("there are pseudo-terminals");
        let plant = Plant::new();
        plant.write_holding(1, 0, &[7; 125]);
        plant.write_holding(2, 0, &[9]);
        let path = joint.server().to_str().expect("the path is text");
        let server = ModbusServer::rtu_at(path, 19_200, plant.clone()).expect("the port can be opened");
        Self { joint, plant, _server: server, _directory: directory }
    }

    fn port(&self) -> SerialStream {
        open(self.joint.client()).expect("the port can be opened")
    }
}

fn open(path: &Path) -> tokio_serial::Result<SerialStream> {
    SerialStream::open(&tokio_serial::new(path.to_string_lossy(), 19_200))
}

#[tokio::test]
async fn units_answer_on_a_line_and_the_port_can_be_opened_again() {
    let bus = Bus::new(None);
    for _ in 0..3 {
        let mut port = bus.port();
        assert_eq!(ask_rtu(&mut port, &rtu(1, &read(3, 0, 1)), 7).await[..5], [1, 3, 2, 0, 7]);
        assert_eq!(ask_rtu(&mut port, &rtu(2, &read(3, 0, 1)), 7).await[..5], [2, 3, 2, 0, 9]);
    }
    assert_eq!((bus.joint.requests().counts().frames, bus.joint.replies().counts().frames), (6, 6));
}

#[tokio::test]
async fn devices_are_deaf_to_noise_and_cut_requests() {
    let bus = Bus::new(None);
    let mut port = bus.port();
    let request = rtu(1, &read(3, 0, 1));
    for noise in [vec![0xFF; 300], request[..5].to_vec(), vec![1, 0x10, 0, 0, 0, 99, 198], rtu(77, &read(3, 0, 1))] {
        let noisy = [noise, request.clone()].concat();
        assert_eq!(ask_rtu(&mut port, &noisy, 7).await[..5], [1, 3, 2, 0, 7]);
    }
}

#[tokio::test]
async fn replies_break_as_the_script_says() {
    let bus = Bus::new(None);
    let mut port = bus.port();
    let request = rtu(1, &read(3, 0, 1));
    let answer = rtu(1, &[3, 2, 0, 7]);
    let script = [
        (Fault::Exception(2), rtu(1, &[0x83, 2])),
        (Fault::WrongUnit, rtu(2, &[3, 2, 0, 7])),
        (Fault::EchoBefore, [request.clone(), answer.clone()].concat()),
        (Fault::Cut(4), answer[..4].to_vec()),
        (Fault::Pass, answer.clone()),
    ];
    bus.joint.replies().script(script.iter().map(|(fault, _)| *fault));
    for (fault, expected) in script {
        port.write_all(&request).await.expect("the port is open");
        let mut found = vec![0; expected.len()];
        soon(port.read_exact(&mut found)).await.expect("it comes");
        assert_eq!(found, expected, "{fault:?}");
    }
    bus.joint.set(Fault::WrongCrc);
    port.write_all(&request).await.expect("the port is open");
    let mut found = [0; 7];
    soon(port.read_exact(&mut found)).await.expect("it comes");
    assert_eq!((found[..6] == answer[..6], found[6] == answer[6]), (true, false));
}

#[tokio::test]
async fn a_line_with_a_speed_takes_the_time_of_its_characters() {
    let speed = LineSpeed { baud: 19_200, bits_per_character: 11 };
    let bus = Bus::new(Some(speed));
    let mut port = bus.port();
    let request = rtu(1, &read(3, 0, 125));
    let asked = Instant::now();
    for _ in 0..3 {
        assert_eq!(ask_rtu(&mut port, &request, 255).await[..3], [1, 3, 250]);
    }
    let line_time = Duration::from_secs_f64(3.0 * f64::from(8 + 255) * 11.0 / 19_200.0);
    assert!(asked.elapsed() >= line_time, "{:?} of {line_time:?}", asked.elapsed());
}

#[tokio::test]
async fn an_adapter_is_unplugged_and_plugged_in_again() {
    let bus = Bus::new(None);
    let mut port = bus.port();
    assert_eq!(ask_rtu(&mut port, &rtu(1, &read(3, 0, 1)), 7).await[..5], [1, 3, 2, 0, 7]);
    bus.joint.link(Link::Refuse);
    let gone = soon(port.read(&mut [0; 8])).await;
    assert!(!matches!(gone, Ok(1..)), "{gone:?}");
    until("the port vanishes", || !bus.joint.client().exists()).await;
    assert!(open(bus.joint.client()).is_err());
    bus.joint.link(Link::Up);
    until("the port is back", || bus.joint.client().exists()).await;
    assert_eq!(ask_rtu(&mut bus.port(), &rtu(1, &read(3, 0, 1)), 7).await[..5], [1, 3, 2, 0, 7]);
    assert_eq!(bus.plant.counts().requests, 2);
}
