//! Clients of an S7 PLC as processes of their own: our driver, and a loop that only writes requests and reads answers.
//! Each prints how many values it read, and the processor and the wall time that it took, in nanoseconds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::clients;
use crate::process::own_processor_time;

/// Bytes of a PDU that are not the values of its only item.
const OVERHEAD: usize = 18;

/// Bytes of TPKT and COTP around a PDU.
const AROUND: usize = 7;

/// Scattered values lie so far apart that no PDU holds two of them in one piece.
const APART: usize = 1_000;

/// Scattered values in a block.
const IN_A_BLOCK: usize = 65;

/// How the values lie, and how many there are.
#[derive(Clone, Copy)]
pub(crate) enum Lie {
    /// One after the other.
    Neighbours(usize),
    /// Each by itself.
    Scattered(usize),
}

impl Lie {
    /// Blocks that hold so many scattered values.
    pub(crate) const BLOCKS: u16 = 32;

    pub(crate) fn parse(kind: &str, values: usize) -> Lie {
        match kind {
            "neighbours" => Lie::Neighbours(values),
            "scattered" => Lie::Scattered(values),
            other => panic!("`{other}` is neither neighbours nor scattered"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Lie::Neighbours(_) => "neighbours",
            Lie::Scattered(_) => "scattered",
        }
    }

    pub(crate) fn values(self) -> usize {
        let (Lie::Neighbours(values) | Lie::Scattered(values)) = self;
        values
    }

    fn address(self, value: usize) -> String {
        match self {
            Lie::Neighbours(_) => format!("DB1.DBD{}:REAL", 4 * value),
            Lie::Scattered(_) => format!("DB{}.DBD{}:REAL", 1 + value / IN_A_BLOCK, value % IN_A_BLOCK * APART),
        }
    }
}

fn tell(values: usize, processor: Duration, wall: Duration) {
    println!("{values} {} {}", processor.as_nanos(), wall.as_nanos());
}

/// Our driver: each value a reading with its quality and time.
pub(crate) fn driver(port: u16, in_flight: usize, lie: Lie, polls: usize) {
    let url = format!("s7://127.0.0.1:{port}?in_flight={in_flight}");
    let mut line = clients::line_of(&url, (0..lie.values()).map(|value| lie.address(value)), None);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        line.connect().await.expect("the PLC listens");
        let (mut readings, mut read) = (Vec::new(), 0);
        let (processor, wall) = (own_processor_time(), Instant::now());
        for _ in 0..polls {
            read += clients::poll(line.as_mut(), &mut readings).await;
        }
        tell(read, own_processor_time() - processor, wall.elapsed());
    });
}

/// Reads as many bytes as a PDU holds, again and again, one request outstanding.
pub(crate) fn bare(port: u16, pdu: u16, requests: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the PLC listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let connect = [3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 0x0A, 0xC1, 2, 1, 0, 0xC2, 2, 3, 1];
    ask(&mut stream, &connect, 22);
    let [high, low] = pdu.to_be_bytes();
    let setup = [3, 0, 0, 25, 2, 0xF0, 0x80, 0x32, 1, 0, 0, 0, 0, 0, 8, 0, 0, 0xF0, 0, 0, 1, 0, 1, high, low];
    ask(&mut stream, &setup, 27);
    let bytes = usize::from(pdu) - OVERHEAD;
    let [high, low] = (bytes as u16).to_be_bytes();
    let head = [3, 0, 0, 31, 2, 0xF0, 0x80, 0x32, 1, 0, 0, 0, 0, 0, 14, 0, 0];
    let read = [&head[..], &[4, 1, 0x12, 10, 0x10, 2, high, low, 0, 1, 0x84, 0, 0, 0]].concat();
    let (processor, wall) = (own_processor_time(), Instant::now());
    for _ in 0..requests {
        let answer = ask(&mut stream, &read, AROUND + usize::from(pdu));
        assert_eq!(answer[21], 0xFF, "the item is there");
    }
    tell(requests * bytes / 4, own_processor_time() - processor, wall.elapsed());
}

fn ask(stream: &mut TcpStream, request: &[u8], answer: usize) -> [u8; 1024] {
    let mut received = [0; 1024];
    stream.write_all(request).expect("it takes requests");
    stream.read_exact(&mut received[..answer]).expect("it answers");
    received
}
