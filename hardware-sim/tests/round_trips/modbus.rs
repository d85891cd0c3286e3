//! The Modbus servers over TCP.

use std::time::{Duration, Instant};

use hardware_sim::modbus::{ExceptionCode, ModbusServer, Plant, Seen, Table, UnitConfig, words_u32};
use hardware_sim::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::modbus_client::{ModbusClient, ask_rtu, read, rtu, words};
use crate::wait::{loopback, soon, until};

async fn served(plant: &Plant) -> (ModbusServer, ModbusClient) {
    let server = ModbusServer::tcp(loopback(), plant.clone()).await.expect("loopback can be had");
    let client = ModbusClient::connect(server.address().expect("it listens")).await;
    (server, client)
}

#[tokio::test]
async fn several_units_answer_every_function_on_one_connection() {
    let plant = Plant::new();
    plant.write_holding(1, 10, &[0x1111, 0x2222]);
    plant.write_holding(2, 10, &[0x3333]);
    plant.write_input(1, 65_535, &[0x4444]);
    plant.write_coils(1, 0, &[true, false, true]);
    plant.write_discrete(1, 7, &[true]);
    let (_server, mut client) = served(&plant).await;
    for (unit, request, answer) in [
        (1, read(3, 10, 2), vec![3, 4, 0x11, 0x11, 0x22, 0x22]),
        (2, read(3, 10, 1), vec![3, 2, 0x33, 0x33]),
        (1, read(4, 65_535, 1), vec![4, 2, 0x44, 0x44]),
        (1, read(1, 0, 3), vec![1, 1, 0b101]),
        (1, read(2, 0, 9), vec![2, 2, 0x80, 0]),
        (1, vec![5, 0, 9, 0xFF, 0], vec![5, 0, 9, 0xFF, 0]),
        (1, vec![6, 0, 11, 0xAB, 0xCD], vec![6, 0, 11, 0xAB, 0xCD]),
        (1, vec![15, 0, 16, 0, 9, 2, 0xFF, 1], vec![15, 0, 16, 0, 9]),
        (1, vec![16, 0, 12, 0, 2, 4, 0, 1, 0, 2], vec![16, 0, 12, 0, 2]),
        (1, vec![22, 0, 11, 0x00, 0xFF, 0x12, 0x00], vec![22, 0, 11, 0x00, 0xFF, 0x12, 0x00]),
        (1, vec![23, 0, 11, 0, 2, 0, 12, 0, 1, 2, 0, 9], vec![23, 4, 0x12, 0xCD, 0, 9]),
        (1, vec![0x41, 1, 2], vec![0xC1, 1]),
        (9, read(3, 0, 1), vec![0x83, 0x0B]),
        (1, read(3, 0, 126), vec![0x83, 3]),
        (1, read(3, 65_535, 2), vec![0x83, 2]),
    ] {
        assert_eq!(client.ask(unit, &request).await, answer, "{request:02X?}");
    }
    assert_eq!(plant.read(1, Table::Coils, 9, 1), [1]);
    assert_eq!(plant.read(1, Table::Coils, 16, 10), [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    assert_eq!(plant.read(1, Table::HoldingRegisters, 11, 3), [0x12CD, 9, 2]);
    let identification = client.ask(1, &[0x2B, 0x0E, 1, 0]).await;
    assert_eq!(identification[..5], [0x2B, 0x0E, 1, 0x83, 0]);
    assert!(identification.windows(12).any(|window| window == b"hardware-sim"), "{identification:02X?}");
}

#[tokio::test]
async fn holes_refusals_and_limits_are_answered_with_their_exceptions() {
    let plant = Plant::new();
    plant.configure(1, UnitConfig { read_registers_max: 20, functions_refused: [4].into(), ..UnitConfig::default() });
    plant.allow_only(1, Table::HoldingRegisters, vec![0..=49]);
    plant.refuse(1, Table::HoldingRegisters, 30..=30, ExceptionCode::ServerDeviceFailure);
    let (_server, mut client) = served(&plant).await;
    for (request, expected) in [
        (read(3, 0, 20), None),
        (read(3, 0, 21), Some(3)),
        (read(3, 40, 11), Some(2)),
        (read(3, 25, 10), Some(4)),
        (read(4, 0, 1), Some(1)),
    ] {
        let answer = client.ask(1, &request).await;
        assert_eq!((answer[0] & 0x80 != 0).then(|| answer[1]), expected, "{request:02X?}");
    }
    plant.allow_all(1);
    assert_eq!(client.ask(1, &read(3, 40, 11)).await[0], 3);
    let seen = plant.take_seen();
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[0], Seen { unit: 1, function: 3, offset: 0, count: 20 });
}

#[tokio::test]
async fn the_oracle_knows_every_number_that_was_answered() {
    let plant = Plant::new();
    let oracle = plant.oracle(1, Table::HoldingRegisters, 100, 2, words_u32);
    plant.drive(1, Table::InputRegisters, 0, 1, Signal::Constant(-3.0), |value, words| {
        words.fill((value as i16).cast_unsigned());
    });
    let (_server, mut client) = served(&plant).await;
    assert_eq!(words(&client.ask(1, &read(4, 0, 1)).await), [0xFFFD]);
    let mut received = Vec::new();
    for _ in 0..50 {
        let answer = words(&client.ask(1, &read(3, 90, 20)).await);
        received.push(u64::from(answer[10]) << 16 | u64::from(answer[11]));
    }
    assert_eq!(client.ask(1, &read(3, 101, 2)).await[0], 3);
    assert_eq!(received, (1..=50).collect::<Vec<u64>>());
    let answered = oracle.answered();
    assert_eq!(answered.iter().map(|answer| answer.counter).collect::<Vec<_>>(), received);
    assert!(answered.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[tokio::test]
async fn a_slow_device_takes_its_time_for_each_request_and_register() {
    let plant = Plant::new();
    let latency = Duration::from_millis(30);
    let latency_per_register = Duration::from_millis(2);
    plant.configure(1, UnitConfig { latency, latency_per_register, ..UnitConfig::default() });
    let (_server, mut client) = served(&plant).await;
    let asked = Instant::now();
    client.ask(1, &read(3, 0, 10)).await;
    assert!(asked.elapsed() >= Duration::from_millis(50), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_device_with_two_slots_closes_the_third_connection() {
    let plant = Plant::new();
    plant.write_holding(1, 0, &[7]);
    let server = ModbusServer::tcp_with_slots(loopback(), plant, 2).await.expect("loopback can be had");
    let address = server.address().expect("it listens");
    let mut first = ModbusClient::connect(address).await;
    let mut second = ModbusClient::connect(address).await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.ask(1, &read(3, 0, 1)).await, [3, 2, 0, 7]);
    }
    let mut third = ModbusClient::connect(address).await;
    assert!(third.bytes(1).await.is_err());
    drop(first);
    until("a slot is free again", || server.connections() == 1).await;
    let mut fourth = ModbusClient::connect(address).await;
    assert_eq!(fourth.ask(1, &read(3, 0, 1)).await, [3, 2, 0, 7]);
}

#[tokio::test]
async fn a_server_drops_its_connections_and_comes_back_on_the_same_port() {
    let plant = Plant::new();
    plant.write_holding(1, 0, &[7]);
    let (server, mut client) = served(&plant).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, [3, 2, 0, 7]);
    server.drop_connections();
    assert!(client.bytes(1).await.is_err());
    let address = server.address().expect("it listens");
    let mut client = ModbusClient::connect(address).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, [3, 2, 0, 7]);
    server.stop().await;
    assert!(client.bytes(1).await.is_err());
    assert!(soon(TcpStream::connect(address)).await.is_err());
    let _server = ModbusServer::tcp(address, plant).await.expect("the port is free again");
    let mut client = ModbusClient::connect(address).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, [3, 2, 0, 7]);
}

#[tokio::test]
async fn rtu_over_tcp_answers_its_units_and_is_silent_for_others() {
    let plant = Plant::new();
    plant.write_holding(1, 0, &[7]);
    let server = ModbusServer::rtu_over_tcp(loopback(), plant.clone()).await.expect("loopback can be had");
    let mut stream = TcpStream::connect(server.address().expect("it listens")).await.expect("the port is open");
    assert_eq!(ask_rtu(&mut stream, &rtu(1, &read(3, 0, 1)), 7).await[..5], [1, 3, 2, 0, 7]);
    let silent_then_answered = [rtu(9, &read(3, 0, 1)), rtu(0, &[6, 0, 0, 0, 8]), rtu(1, &read(3, 0, 1))].concat();
    assert_eq!(ask_rtu(&mut stream, &silent_then_answered, 7).await[..5], [1, 3, 2, 0, 8]);
    assert_eq!(plant.counts().unanswered, 2);
}

#[tokio::test]
async fn garbage_ends_the_connection_and_not_the_server() {
    let plant = Plant::new();
    plant.write_holding(1, 0, &[7]);
    let (server, mut client) = served(&plant).await;
    client.send(1, &[3]).await;
    let mut rest = Vec::new();
    soon(client.stream.read_to_end(&mut rest)).await.expect("it is closed in order");
    let mut client = ModbusClient::connect(server.address().expect("it listens")).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, [3, 2, 0, 7]);
}
