//! The proxy on TCP.

use std::io;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use hardware_sim::faults::{Fault, FaultProxy, Framing, Link};
use hardware_sim::modbus::{ModbusServer, Plant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::modbus_client::{ModbusClient, read};
use crate::wait::{loopback, soon, until};

const ANSWER: [u8; 4] = [3, 2, 0, 7];

/// A device whose register 0 is 7 and register 1 is 8, behind a proxy.
async fn behind(framing: Framing) -> (ModbusServer, FaultProxy) {
    let plant = Plant::new();
    plant.write_holding(1, 0, &[7, 8]);
    plant.write_holding(2, 0, &[9]);
    let server = ModbusServer::tcp(loopback(), plant).await.expect("loopback can be had");
    let target = server.address().expect("it listens");
    let proxy = FaultProxy::start(loopback(), target, framing).await.expect("loopback can be had");
    (server, proxy)
}

#[tokio::test]
async fn passes_everything_and_counts_it() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    for _ in 0..20 {
        assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    }
    assert_eq!((proxy.requests().counts().frames, proxy.replies().counts().frames), (20, 20));
    assert_eq!((proxy.requests().counts().bytes, proxy.replies().injected()), (240, 0));
    assert_eq!((proxy.counts().accepted, proxy.counts().open, proxy.counts().reset), (1, 1, 0));
    drop(client);
    until("the connection is closed", || proxy.counts().open == 0).await;
}

#[tokio::test]
async fn a_script_breaks_reply_after_reply() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    let asked = client.send(1, &read(3, 0, 1)).await;
    let good = client.frame().await.expect("an answer comes");
    let with_id = |id: u8, tail: &[u8]| [&[0, id], tail].concat();
    let script = [
        (Fault::Exception(6), with_id(2, &[0, 0, 0, 3, 1, 0x83, 6])),
        (Fault::WrongUnit, with_id(3, &[0, 0, 0, 5, 2, 3, 2, 0, 7])),
        (Fault::Yesterday, with_id(3, &good[2..])),
        (Fault::Echo, with_id(5, &asked[2..])),
        (Fault::WrongTransaction, [&[0x5A, 6 ^ 0x5A], &good[2..]].concat()),
        (Fault::Twice, [with_id(7, &good[2..]), with_id(7, &good[2..])].concat()),
    ];
    proxy.replies().script(script.iter().map(|(fault, _)| *fault));
    for (fault, expected) in &script {
        client.send(1, &read(3, 0, 1)).await;
        assert_eq!(client.bytes(expected.len()).await.expect("it comes"), *expected, "{fault:?}");
    }
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    assert_eq!((proxy.replies().injected(), proxy.replies().left()), (6, 0));
    assert_eq!(proxy.replies().counts().injected["yesterday"], 1);
}

#[tokio::test]
async fn a_late_reply_comes_after_the_next_one() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    proxy.replies().script([Fault::Late(Duration::from_millis(60))]);
    client.send(1, &read(3, 0, 1)).await;
    client.send(1, &read(3, 1, 1)).await;
    let mut next = async || client.frame().await.expect("it comes");
    assert_eq!((next().await[1], next().await[1]), (2, 1));
}

#[tokio::test]
async fn silence_and_a_lost_request_leave_the_connection_usable() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    proxy.requests().script([Fault::Silence]);
    proxy.replies().script([Fault::Silence]);
    client.send(1, &read(3, 0, 1)).await;
    client.send(1, &read(3, 0, 1)).await;
    assert_eq!(client.ask(1, &read(3, 1, 1)).await, [3, 2, 0, 8]);
    assert_eq!((proxy.requests().injected(), proxy.replies().injected()), (1, 1));
}

#[tokio::test]
async fn one_unit_suffers_and_the_others_do_not() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    proxy.set(Fault::Exception(0x0B));
    proxy.replies().only_unit(Some(2));
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    assert_eq!(client.ask(2, &read(3, 0, 1)).await, [0x83, 0x0B]);
}

#[tokio::test]
async fn a_reply_drips_byte_by_byte() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    proxy.set(Fault::Drip(Duration::from_millis(5)));
    let asked = Instant::now();
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    assert!(asked.elapsed() >= Duration::from_millis(55), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn resets_are_seen_as_resets() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut by_fault = ModbusClient::connect(proxy.address()).await;
    let mut by_hand = ModbusClient::connect(proxy.address()).await;
    assert_eq!(by_hand.ask(1, &read(3, 0, 1)).await, ANSWER);
    proxy.replies().script([Fault::Reset]);
    by_fault.send(1, &read(3, 0, 1)).await;
    until("the fault is done", || proxy.replies().injected() == 1).await;
    proxy.reset_all();
    for client in [&mut by_fault, &mut by_hand] {
        let error = client.bytes(1).await.expect_err("the connection is gone");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    assert_eq!(proxy.counts().reset, 2);
    let mut client = ModbusClient::connect(proxy.address()).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
}

#[tokio::test]
async fn refusing_closes_the_port_and_opens_it_again() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    proxy.link(Link::Refuse);
    assert!(client.bytes(1).await.is_err());
    soon(async { while TcpStream::connect(proxy.address()).await.is_ok() {} }).await;
    proxy.link(Link::Up);
    let reconnect = async {
        while TcpStream::connect(proxy.address()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon(reconnect).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
}

#[tokio::test]
async fn a_black_hole_swallows_old_and_new_connections_for_ever() {
    let (server, proxy) = behind(Framing::ModbusTcp).await;
    let mut old = ModbusClient::connect(proxy.address()).await;
    assert_eq!(old.ask(1, &read(3, 0, 1)).await, ANSWER);
    proxy.link(Link::BlackHole);
    let mut new = ModbusClient::connect(proxy.address()).await;
    old.send(1, &read(3, 0, 1)).await;
    new.send(1, &read(3, 0, 1)).await;
    until("both are accepted", || proxy.counts().open == 2).await;
    assert_eq!(server.connections(), 1);
    proxy.link(Link::Up);
    let mut fresh = ModbusClient::connect(proxy.address()).await;
    assert_eq!(fresh.ask(1, &read(3, 0, 1)).await, ANSWER);
    for client in [&mut old, &mut new] {
        client.send(1, &read(3, 0, 1)).await;
        let error = client.stream.try_read(&mut [0; 16]).expect_err("nothing comes");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn a_stalled_line_delivers_later() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    proxy.link(Link::Stalled);
    client.send(1, &read(3, 1, 1)).await;
    proxy.link(Link::Up);
    assert_eq!(client.frame().await.expect("it comes")[7..], [3, 2, 0, 8]);
}

#[tokio::test]
async fn a_slow_line_has_latency_and_bandwidth() {
    let (_server, proxy) = behind(Framing::Stream).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    let latency = Duration::from_millis(20);
    proxy.link(Link::Slow { latency, bytes_per_second: NonZeroU32::new(1000) });
    let asked = Instant::now();
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    // 12 bytes there, 11 back, and the way twice.
    assert!(asked.elapsed() >= Duration::from_millis(63), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_cut_ends_the_connection_after_so_many_bytes() {
    let (_server, proxy) = behind(Framing::Stream).await;
    proxy.link(Link::CutAfter(24));
    let mut client = ModbusClient::connect(proxy.address()).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    client.send(1, &read(3, 0, 1)).await;
    let error = soon(async {
        loop {
            if let Err(error) = client.bytes(1).await {
                return error;
            }
        }
    });
    assert_eq!(error.await.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_reset() {
    let (server, proxy) = behind(Framing::Stream).await;
    server.stop().await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    assert!(client.bytes(1).await.is_err());
    let (other, _) = behind(Framing::Stream).await;
    proxy.retarget(other.address().expect("it listens"));
    let mut client = ModbusClient::connect(proxy.address()).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
}

#[tokio::test]
async fn half_a_frame_passes_when_its_sender_leaves() {
    let (server, proxy) = behind(Framing::ModbusTcp).await;
    let mut client = ModbusClient::connect(proxy.address()).await;
    assert_eq!(client.ask(1, &read(3, 0, 1)).await, ANSWER);
    client.stream.write_all(&[0, 1, 0, 0, 0]).await.expect("the connection is open");
    drop(client);
    until("the server sees the end", || server.connections() == 0).await;
    assert_eq!(proxy.requests().counts().frames, 1);
}

#[tokio::test]
async fn a_random_mix_repeats_itself_by_its_seed() {
    let (_server, proxy) = behind(Framing::ModbusTcp).await;
    let mut counts = Vec::new();
    for _ in 0..2 {
        proxy.replies().mix(42, 0.3, [Fault::Exception(4), Fault::WrongUnit, Fault::WrongTransaction]);
        let before = proxy.replies().injected();
        let mut client = ModbusClient::connect(proxy.address()).await;
        for _ in 0..100 {
            client.send(1, &read(3, 0, 1)).await;
            client.frame().await.expect("a frame comes");
        }
        counts.push(proxy.replies().injected() - before);
    }
    assert_eq!(counts[0], counts[1]);
    assert!((15..45).contains(&counts[0]), "{counts:?}");
}
