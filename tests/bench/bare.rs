//! Loops that write requests and read replies with nothing in between: what the kernel takes, and no less can be.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::clients::{BLOCK, BLOCKS, tell};
use crate::process::own_processor_time;

const REQUEST_BYTES: usize = 12;
const REPLY_BYTES: usize = 9 + 2 * BLOCK;

/// Reads function 3 of unit 1, the first 125 registers; with its CRC.
const RTU_REQUEST: [u8; 8] = [1, 3, 0, 0, 0, BLOCK as u8, 0x85, 0xeb];
const RTU_REPLY_BYTES: usize = 5 + 2 * BLOCK;

fn request(block: usize, unit: usize, count: usize) -> [u8; REQUEST_BYTES] {
    let at = (block * BLOCK) as u16;
    [0, block as u8, 0, 0, 0, 6, unit as u8, 3, (at >> 8) as u8, at as u8, 0, count as u8]
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the device listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// As fast as the device answers, with so many requests outstanding.
pub(crate) fn fast(port: u16, in_flight: usize, polls: usize) {
    let mut stream = connect(port);
    let requests: Vec<u8> = (0..in_flight).flat_map(|id| request(id % BLOCKS, 1, BLOCK)).collect();
    let mut replies = vec![0; in_flight * REPLY_BYTES];
    let (mut sum, rounds) = (0_u64, polls * BLOCKS / in_flight);
    let before = own_processor_time();
    for _ in 0..rounds {
        stream.write_all(&requests).expect("it takes requests");
        stream.read_exact(&mut replies).expect("it answers");
        sum += replies.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    assert!(sum > 0, "registers were read");
    tell(rounds * in_flight * BLOCK, before);
}

/// Each unit of each connection once an interval, the connections one after the other through the interval, one request
/// outstanding; until killed.
pub(crate) fn paced(every: Duration, units: usize, tags: usize, ports: &[u16]) {
    let mut streams: Vec<TcpStream> = ports.iter().map(|port| connect(*port)).collect();
    let (step, mut due) = (every / streams.len() as u32, Instant::now());
    let mut reply = [0; REPLY_BYTES];
    loop {
        for stream in &mut streams {
            for unit in 1..=units {
                for block in 0..tags.div_ceil(BLOCK) {
                    let count = BLOCK.min(tags - block * BLOCK);
                    stream.write_all(&request(block, unit, count)).expect("it takes requests");
                    stream.read_exact(&mut reply[..9 + 2 * count]).expect("it answers");
                }
            }
            due += step;
            sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}

/// Exchanges over a serial port that came about in a while, each after a silence.
pub(crate) fn serial(port: &Path, silence: Duration, length: Duration) -> usize {
    let mut port = OpenOptions::new().read(true).write(true).open(port).expect("the port opens");
    let (start, mut exchanges) = (Instant::now(), 0);
    let mut reply = [0; RTU_REPLY_BYTES];
    while start.elapsed() < length {
        sleep(silence);
        port.write_all(&RTU_REQUEST).expect("the port takes a request");
        port.read_exact(&mut reply).expect("the device answers");
        assert!(reply.starts_with(&[1, 3, 2 * BLOCK as u8]), "{reply:?}");
        exchanges += 1;
    }
    exchanges
}
