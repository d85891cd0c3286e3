//! RTU on a serial port, deaf to noise.
//!
//! tokio-modbus gives a serial line up after some twenty bytes that are no request, and waits for ever for the rest of a
//! cut one. A device on a real line does neither. So only whole requests with a right CRC go on to it, through a
//! pseudo-terminal:
//!
//! ```text
//! port ── bytes ──> [find requests] ── requests ──> pseudo-terminal ──> tokio-modbus
//! port <─────────────────── answers, as they are ──────────────────────┘
//! ```

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tokio_modbus::server::rtu::Server;
use tokio_serial::SerialStream;

use super::service::PlantService;
use crate::frame::{RTU_MAX, find_rtu_request};

/// After this silence the bytes that are no request are forgotten.
const SILENCE: Duration = Duration::from_millis(50);

/// Serves until the port fails; cancelling it closes the port.
pub(super) async fn serve(port: SerialStream, service: PlantService) -> io::Result<()> {
    let (outer, inner) = SerialStream::pair()?;
    // Cancelling either arm is safe: the other has ended, so the port is being given up.
    tokio::select! {
        served = Server::new(inner).serve_forever(service) => served,
        bridged = bridge(port, outer) => bridged,
    }
}

async fn bridge(mut port: SerialStream, mut device: SerialStream) -> io::Result<()> {
    let mut heard = Vec::with_capacity(RTU_MAX);
    let mut from_port = [0; RTU_MAX];
    let mut from_device = [0; RTU_MAX];
    let mut forget_at = Instant::now();
    loop {
        // Reads and the timer may be cancelled; what was read is handled to its end.
        tokio::select! {
            read = port.read(&mut from_port) => {
                heard.extend_from_slice(read_some(&from_port, read?)?);
                while let Some((start, end)) = find_rtu_request(&heard) {
                    device.write_all(heard.get(start..end).unwrap_or_default()).await?;
                    heard.drain(..end);
                }
                heard.drain(..heard.len().saturating_sub(RTU_MAX));
                forget_at = Instant::now() + SILENCE;
            }
            read = device.read(&mut from_device) => port.write_all(read_some(&from_device, read?)?).await?,
            () = sleep_until(forget_at), if !heard.is_empty() => heard.clear(),
        }
    }
}

fn read_some(buffer: &[u8], len: usize) -> io::Result<&[u8]> {
    match buffer.get(..len) {
        Some([]) | None => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(bytes) => Ok(bytes),
    }
}
