//! Reads PLCs of any protocol by URL:
//! `cargo run -p drivers --example read -- modbus-tcp://10.0.0.11 hr:0:INT hr:1:REAL -- modbus-rtu-over-tcp://10.0.0.12:4001 ir:0`

use driver_core::Quality;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for plc in arguments.split(|argument| argument == "--") {
        let Some((url, addresses)) = plc.split_first() else {
            return Err("usage: read URL ADDRESS… [-- URL ADDRESS…]".into());
        };
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        read(url, &addresses).await?;
    }
    Ok(())
}

async fn read(url: &str, addresses: &[&str]) -> Result<(), drivers::OpenError> {
    let mut plc = drivers::open(url, addresses).await?;
    for (address, reading) in addresses.iter().zip(plc.read().await?) {
        match reading.quality {
            Quality::Good => println!("{url} {address} = {} at {}", reading.value, reading.timestamp),
            Quality::Uncertain(reason) => println!("{url} {address} = {} (uncertain: {reason})", reading.value),
            Quality::Bad(reason) => println!("{url} {address} is bad: {reason}"),
        }
    }
    plc.close().await;
    Ok(())
}
