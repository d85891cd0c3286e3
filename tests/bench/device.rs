//! Simulated PLCs in a process of their own that take little processor time, so that they do not get in the way of what
//! is measured. Only functions 3 and 6 are answered, each register with a level of its own and four bits of noise.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use crate::process;

const REQUEST_BYTES: usize = 12;
const REQUESTS_AT_ONCE_MAX: usize = 64;
const READ_HOLDING_REGISTERS: u8 = 3;
const WRITE_REGISTER: u8 = 6;
const REGISTERS_MAX: usize = 125;
const VALUES_LAST_MS: u128 = 50;

/// The process with all PLCs; it ends with the value.
pub(crate) struct Devices {
    process: Child,
    /// The port of each PLC on the loopback.
    pub(crate) ports: Vec<u16>,
}

impl Devices {
    /// Starts that many PLCs, each on a port of its own, each answering for all units.
    pub(crate) fn start(count: usize) -> Devices {
        let mut command = process::on_core(process::CORE_OF_THE_REST, &process::own_program());
        let command = command.arg("device").arg(count.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("taskset and this program can be started");
        let output = process.stdout.take().expect("it is piped");
        let port = |line: std::io::Result<String>| line.ok().and_then(|line| line.parse().ok()).expect("a port");
        let ports = BufReader::new(output).lines().take(count).map(port).collect();
        Devices { process, ports }
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        // An error means that it had ended by itself, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What the process does: listens on so many free ports, prints them, and serves until it is killed.
pub(crate) fn serve(count: usize) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let start = Instant::now();
    runtime.block_on(async {
        let mut serving = Vec::new();
        for _ in 0..count {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            println!("{}", listener.local_addr().expect("it is bound").port());
            serving.push(tokio::spawn(accept(listener, start)));
        }
        std::io::stdout().flush().expect("someone reads the ports");
        for listener in serving {
            listener.await.expect("listening does not panic");
        }
    });
}

async fn accept(listener: TcpListener, start: Instant) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, start));
    }
}

/// Answers one connection until it ends or asks for something else.
async fn answer(mut stream: TcpStream, start: Instant) {
    let mut received = [0; REQUEST_BYTES * REQUESTS_AT_ONCE_MAX];
    let (mut filled, mut replies) = (0, Vec::new());
    if stream.set_nodelay(true).is_err() {
        return;
    }
    while let Ok(more @ 1..) = stream.read(&mut received[filled..]).await {
        filled += more;
        let whole = filled - filled % REQUEST_BYTES;
        replies.clear();
        for request in received[..whole].chunks_exact(REQUEST_BYTES) {
            let count = usize::from(u16::from_be_bytes([request[10], request[11]]));
            if request[7] == WRITE_REGISTER {
                // The answer to a write is its request; nothing is kept.
                replies.extend_from_slice(request);
                continue;
            }
            if request[7] != READ_HOLDING_REGISTERS || count > REGISTERS_MAX {
                return;
            }
            let tick = start.elapsed().as_millis() / VALUES_LAST_MS;
            reply(request, count, tick as u32, &mut replies);
        }
        received.copy_within(whole..filled, 0);
        filled -= whole;
        if stream.write_all(&replies).await.is_err() {
            return;
        }
    }
}

fn reply(request: &[u8], count: usize, tick: u32, replies: &mut Vec<u8>) {
    let bytes = 2 * count as u8;
    let length = 3 + u16::from(bytes);
    let start = u32::from(u16::from_be_bytes([request[8], request[9]]));
    replies.extend_from_slice(&request[..4]);
    replies.extend_from_slice(&length.to_be_bytes());
    replies.extend_from_slice(&[request[6], READ_HOLDING_REGISTERS, bytes]);
    replies.extend((start..).take(count).flat_map(|register| level(register, tick).to_be_bytes()));
}

fn level(register: u32, tick: u32) -> u16 {
    let noise = (register ^ tick).wrapping_mul(0x9e37_79b9) >> 28;
    (1_000 + register * 7_919 % 30_000 + noise) as u16
}
