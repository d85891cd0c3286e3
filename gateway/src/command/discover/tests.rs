//! Against simulated devices on the loopback.

use hardware_sim::modbus::{ModbusServer, Plant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn question(protocol: Protocol, at: SocketAddr, units: &str) -> Question {
    Question { protocol, at, units: units.parse().expect("units"), within: Duration::from_millis(300) }
}

#[tokio::test]
async fn units_that_answer_are_found_and_silent_ones_are_not() {
    let plant = Plant::new();
    plant.write_holding(1, 0, &[1, 2, 3]);
    plant.write_holding(5, 0, &[1, 2, 3]);
    let server = ModbusServer::tcp(loopback(), plant).await.expect("a server");
    let at = server.address().expect("an address");
    let found = ask(question(Protocol::Modbus, at, "1,5")).await;
    let urls: Vec<&str> = found.iter().map(|found| found.url.as_str()).collect();
    assert_eq!(urls, [format!("modbus-tcp://{at}?unit=1"), format!("modbus-tcp://{at}?unit=5")]);
}

#[tokio::test]
async fn a_port_that_is_closed_or_speaks_something_else_is_no_device() {
    let listener = TcpListener::bind(loopback()).await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let far = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 64];
            if stream.read(&mut bytes).await.is_ok() {
                drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
            }
        }
    });
    for protocol in [Protocol::Modbus, Protocol::S7, Protocol::Opcua] {
        assert!(ask(question(protocol, at, "1")).await.is_empty(), "{protocol:?}");
    }
    far.abort();
    assert!(far.await.is_err_and(|error| error.is_cancelled()));
    assert!(ask(question(Protocol::Modbus, at, "1")).await.is_empty());
}
