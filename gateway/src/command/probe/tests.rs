//! Against a simulated device whose table counts from 1 and whose words are swapped.

use hardware_sim::modbus::{ModbusServer, Plant};

use super::*;

/// The addresses of what is expected, when a wrong one is asked for.
async fn addresses(expected: &str) -> Vec<(String, f64)> {
    let plant = Plant::new();
    let bits = 229.01_f32.to_bits();
    plant.write_holding(1, 98, &[7, bits as u16, (bits >> 16) as u16, 22_901, 5]);
    let server = ModbusServer::tcp("127.0.0.1:0".parse().expect("an address"), plant).await.expect("a server");
    let url = format!("modbus-tcp://{}?unit=1", server.address().expect("an address"));
    let (driver, url) = driver(&url).expect("a driver");
    let expected = Expected::of(expected);
    let candidates =
        candidates("hr:100:INT", Some(&expected), |address| driver.line(&spec(&url, &[address], &[None])).is_ok());
    let addresses: Vec<&str> = candidates.iter().map(|candidate| candidate.address.as_str()).collect();
    let mut line = driver.line(&spec(&url, &addresses, &[None])).expect("a line");
    let held = read_all(line.as_mut(), &[None]).await;
    found(&candidates, &held[0], &expected).map(|(candidate, _, factor)| (candidate.address.clone(), factor)).collect()
}

#[tokio::test]
async fn a_value_is_found_by_what_the_display_shows() {
    let found = addresses("229.01").await;
    assert!(found.contains(&("hr:99:REAL@CDAB".into(), 1.0)), "{found:?}");
    assert!(found.contains(&("hr:101:UINT".into(), 0.01)), "{found:?}");
    assert_eq!(found[0].1, 1.0, "the exact one comes first: {found:?}");
    assert!(addresses("777.5").await.is_empty());
}
