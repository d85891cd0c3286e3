//! Clients that run as processes of their own: ours through the library, and a loop that does nothing but read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use driver_core::{DeviceSpec, EndpointUrl, GroupId, LineSpec, Quality, Readings, SystemClock, TagId, TagSpec};

/// Registers of one request, and how many requests one poll of ours has.
pub(crate) const BLOCK: usize = 125;
pub(crate) const BLOCKS: usize = 8;

const REQUEST_BYTES: usize = 12;
const REPLY_BYTES: usize = 9 + 2 * BLOCK;

/// Nanoseconds on a processor so far; this process has one thread.
fn processor_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("a Linux kernel with schedstat");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number")
}

/// Polls eight blocks again and again, decodes each into an array, and prints registers and processor nanoseconds.
pub(crate) fn ours(url: &str, in_flight: usize, polls: usize) {
    let url: EndpointUrl = url.parse().unwrap_or_else(|_| panic!("`{url}` is no URL"));
    let driver = drivers::by_scheme(url.scheme()).expect("a driver of this build");
    let tag = |block: usize| TagSpec {
        id: TagId(block as u32),
        address: format!("hr:{}:UINT[{BLOCK}]", block * BLOCK).into(),
        group: GroupId(0),
    };
    let device = DeviceSpec {
        groups: vec![Duration::from_secs(1)],
        tags: (0..BLOCKS).map(tag).collect(),
        in_flight_max: Some(in_flight as u16),
        ..DeviceSpec::default()
    };
    let spec = LineSpec { url, timeout: Some(Duration::from_secs(5)), devices: vec![device] };
    let mut line = driver.line(&spec).unwrap_or_else(|errors| panic!("{errors:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        line.connect().await.expect("the server listens");
        let mut readings = Vec::new();
        let before = processor_ns();
        for _ in 0..polls {
            readings.clear();
            line.poll(0, GroupId(0), &mut Readings::new(&mut readings, &SystemClock)).await.expect("answers");
            assert!(readings.iter().all(|reading| reading.quality == Quality::Good), "{readings:?}");
        }
        println!("{} {}", polls * BLOCKS * BLOCK, processor_ns() - before);
    });
}

/// Writes requests and reads replies with nothing in between: what the kernel takes, and no less can be.
pub(crate) fn raw(address: &str, in_flight: usize, rounds: usize) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let request = |id: usize| {
        let at = (id % BLOCKS * BLOCK) as u16;
        [0, id as u8, 0, 0, 0, 6, 1, 3, (at >> 8) as u8, at as u8, 0, BLOCK as u8]
    };
    let requests: Vec<u8> = (0..in_flight).flat_map(request).collect();
    assert_eq!(requests.len(), in_flight * REQUEST_BYTES);
    let mut replies = vec![0; in_flight * REPLY_BYTES];
    let mut sum = 0_u64;
    let before = processor_ns();
    for _ in 0..rounds {
        stream.write_all(&requests).expect("it takes requests");
        stream.read_exact(&mut replies).expect("it answers");
        sum += replies.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    assert!(sum > 0, "registers were read");
    println!("{} {}", rounds * in_flight * BLOCK, processor_ns() - before);
}
