//! Simulated PLCs in a process of their own that take little processor time, so that they do not get in the way of what
//! is measured. Functions 3, 4 and 6 are answered: each holding register has a level of its own and four bits of noise,
//! each pair of input registers is a REAL that is such a level in tenths.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use crate::process;

const REQUEST_BYTES: usize = 12;
const REQUESTS_AT_ONCE_MAX: usize = 64;
const READ_HOLDING_REGISTERS: u8 = 3;
const READ_INPUT_REGISTERS: u8 = 4;
const WRITE_REGISTER: u8 = 6;
const REGISTERS_MAX: usize = 125;
const VALUES_LAST_MS: u128 = 50;

/// The process with all PLCs; it ends with the value.
pub(crate) struct Devices {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// The port of each PLC on the loopback.
    pub(crate) ports: Vec<u16>,
}

impl Devices {
    /// Starts that many PLCs, each on a port of its own, each answering for all units.
    pub(crate) fn start(count: usize) -> Devices {
        let mut command = process::on_core(process::CORE_OF_THE_REST, &process::own_program());
        let command = command.arg("device").arg(count.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("taskset and this program can be started");
        let (input, output) = (process.stdin.take().expect("it is piped"), process.stdout.take().expect("it is piped"));
        let mut devices = Devices { process, input, output: BufReader::new(output), ports: Vec::new() };
        devices.ports = (0..count).map(|_| devices.told()).collect();
        devices
    }

    /// How many registers were read from all of them so far.
    pub(crate) fn registers(&mut self) -> u64 {
        self.input.write_all(b"\n").expect("it lives");
        self.told()
    }

    fn told<T: std::str::FromStr>(&mut self) -> T {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it lives");
        line.trim().parse().unwrap_or_else(|_| panic!("`{line}` is no number"))
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        // An error means that it had ended by itself, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What the process does: listens on so many free ports, prints them, and serves until it is killed; for each line that it
/// is given it prints how many registers were read.
pub(crate) fn serve(count: usize) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let plcs = Plcs { start: Instant::now(), registers: Arc::default() };
    runtime.block_on(async {
        let mut serving = Vec::new();
        for _ in 0..count {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            println!("{}", listener.local_addr().expect("it is bound").port());
            serving.push(tokio::spawn(accept(listener, plcs.clone())));
        }
        std::io::stdout().flush().expect("someone reads the ports");
        std::thread::spawn(move || std::io::stdin().lines().for_each(|_| plcs.tell()));
        for listener in serving {
            listener.await.expect("listening does not panic");
        }
    });
}

/// What all of them share.
#[derive(Clone)]
struct Plcs {
    start: Instant,
    registers: Arc<AtomicU64>,
}

impl Plcs {
    fn tell(&self) {
        println!("{}", self.registers.load(Ordering::Relaxed));
        std::io::stdout().flush().expect("someone reads it");
    }
}

async fn accept(listener: TcpListener, plcs: Plcs) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, plcs.clone()));
    }
}

/// Answers one connection until it ends or asks for something else.
async fn answer(mut stream: TcpStream, plcs: Plcs) {
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
            if !matches!(request[7], READ_HOLDING_REGISTERS | READ_INPUT_REGISTERS) || count > REGISTERS_MAX {
                return;
            }
            plcs.registers.fetch_add(count as u64, Ordering::Relaxed);
            let tick = plcs.start.elapsed().as_millis() / VALUES_LAST_MS;
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
    let end = replies.len() + 6 + usize::from(length);
    replies.extend_from_slice(&request[..4]);
    replies.extend_from_slice(&length.to_be_bytes());
    replies.extend_from_slice(&[request[6], request[7], bytes]);
    let registers = start..start + count as u32;
    match request[7] {
        READ_HOLDING_REGISTERS => replies.extend(registers.flat_map(|register| level(register, tick).to_be_bytes())),
        // Pairs begin at even registers, and so do the requests.
        _ => replies.extend(registers.step_by(2).flat_map(|register| tenths(register, tick).to_be_bytes())),
    }
    replies.truncate(end);
}

fn level(register: u32, tick: u32) -> u16 {
    let noise = (register ^ tick).wrapping_mul(0x9e37_79b9) >> 28;
    (1_000 + register * 7_919 % 30_000 + noise) as u16
}

fn tenths(register: u32, tick: u32) -> f32 {
    f32::from(level(register, tick)) / 10.0
}
