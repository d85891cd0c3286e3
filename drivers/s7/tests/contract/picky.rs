//! A PLC that refuses what it does not have: good tags are good in every poll, bad ones bad, and after a few polls nothing
//! is refused any more. It looks at each request for what it may not hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver_core::testkit::pausing::poll_in_parts;
use driver_core::{
    AnyDriver, DeviceSpec, GroupId, Line, LineSpec, Quality, Reading, Readings, Reason, SystemClock, TagId, TagSpec,
    Value,
};
use driver_s7::S7Driver;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const GROUP: GroupId = GroupId(0);
/// Polls after which the plan must have settled.
const POLLS: usize = 8;
const PDU: usize = 240;
const CONFIRM: [u8; 14] = [3, 0, 0, 14, 9, 0xD0, 0, 1, 0, 7, 0, 0xC0, 1, 10];
const GRANT: [u8; 27] =
    [3, 0, 0, 27, 2, 0xF0, 0x80, 0x32, 3, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0xF0, 0, 0, 2, 0, 2, 0, PDU as u8];

#[derive(Debug, Clone)]
struct Picky {
    /// Bytes of data block 1 that it does not have.
    missing: BTreeSet<u32>,
    /// Whether it has data block 2.
    has_second: bool,
}

/// A tag of the test: data block and byte; each is a word.
type Place = (u16, u32);

impl Picky {
    fn has(&self, block: u16, start: u32, len: u32) -> Result<(), u8> {
        match block {
            1 if self.missing.range(start..start + len).next().is_some() => Err(5),
            2 if !self.has_second => Err(10),
            _ => Ok(()),
        }
    }

    /// The answer to a read, and how many of its items are refused.
    fn answer(&self, job: &[u8]) -> (Vec<u8>, usize) {
        let items = job[12..].chunks_exact(12);
        assert!(job.len() <= PDU && (1..=20).contains(&items.len()), "{} items in {} bytes", items.len(), job.len());
        let (mut data, mut refused) = (Vec::new(), 0);
        for item in items.clone() {
            data.resize(data.len() + data.len() % 2, 0);
            let word = |at: usize| u16::from_be_bytes([item[at], item[at + 1]]);
            let (len, block) = (u32::from(word(4)), word(6));
            let start = u32::from_be_bytes([0, item[9], item[10], item[11]]) / 8;
            match self.has(block, start, len) {
                Ok(()) => {
                    let bits = (8 * len as u16).to_be_bytes();
                    data.extend_from_slice(&[0xFF, 4, bits[0], bits[1]]);
                    data.extend((start..start + len).map(|byte| value(block, byte)));
                }
                Err(code) => {
                    refused += 1;
                    data.extend_from_slice(&[code, 0, 0, 0]);
                }
            }
        }
        assert!(14 + data.len() <= PDU, "the answer would take {} bytes", 14 + data.len());
        let len = (data.len() as u16).to_be_bytes();
        let head = [0x32, 3, 0, 0, job[4], job[5], 0, 2, len[0], len[1], 0, 0, 4, items.len() as u8];
        ([&head, &data[..]].concat(), refused)
    }

    async fn serve(self, mut stream: TcpStream, refusals: Arc<AtomicUsize>, requests: Arc<AtomicUsize>) {
        let mut head = [0; 4];
        while stream.read_exact(&mut head).await.is_ok() {
            let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]])) - 4];
            stream.read_exact(&mut packet).await.expect("a whole packet");
            let answer = match (packet[1], packet.get(13)) {
                (0xE0, _) => CONFIRM.to_vec(),
                (0xF0, Some(0xF0)) => GRANT.to_vec(),
                (0xF0, _) => {
                    let (answer, refused) = self.answer(&packet[3..]);
                    requests.fetch_add(1, Ordering::Relaxed);
                    refusals.fetch_add(refused, Ordering::Relaxed);
                    let len = ((answer.len() + 7) as u16).to_be_bytes();
                    [&[3, 0, len[0], len[1], 2, 0xF0, 0x80], &answer[..]].concat()
                }
                _ => return,
            };
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

/// What every byte holds.
fn value(block: u16, byte: u32) -> u8 {
    (byte * 7 + u32::from(block)) as u8
}

async fn line(plc: Picky, places: &[Place]) -> (Box<dyn Line>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("s7://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
    let (refusals, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (refusals.clone(), requests.clone());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        plc.serve(stream, counters.0, counters.1).await;
    });
    let addresses: Vec<String> = places.iter().map(|(block, byte)| format!("DB{block}.DBW{byte}")).collect();
    let tags = (0..).zip(&addresses).map(|(id, address)| TagSpec { id: TagId(id), address, group: GROUP });
    let groups = vec![std::time::Duration::from_secs(1)];
    let device = DeviceSpec { groups, tags: tags.collect(), ..DeviceSpec::default() };
    let mut line = AnyDriver::line(&S7Driver, &LineSpec { url, timeout: None, devices: vec![device] }).expect("a line");
    line.connect().await.expect("a connection");
    (line, refusals, requests)
}

/// Each second poll pauses after each of its requests.
async fn polled(line: &mut dyn Line, poll: usize) -> Vec<Reading> {
    if poll % 2 == 1 {
        return poll_in_parts(line, 0, GROUP).await.expect("the connection to hold").0;
    }
    let mut readings = Vec::new();
    let contact = line.poll(0, GROUP, &mut Readings::new(&mut readings, &SystemClock)).await;
    contact.expect("the connection to hold");
    readings
}

/// Polls until the plan has settled; what the last poll cost in requests.
async fn settle(plc: Picky, places: &[Place]) -> usize {
    let (mut line, refusals, requests) = line(plc.clone(), places).await;
    for poll in 0..POLLS {
        let (refused_before, asked_before) = (refusals.load(Ordering::Relaxed), requests.load(Ordering::Relaxed));
        let readings = polled(&mut *line, poll).await;
        assert_eq!(readings.len(), places.len());
        for reading in readings {
            let (block, byte) = places[reading.tag.index()];
            let expected = match plc.has(block, byte, 2) {
                Err(_) => (Value::None, Quality::Bad(Reason::AddressRefused)),
                Ok(()) => {
                    let word = u16::from_be_bytes([value(block, byte), value(block, byte + 1)]);
                    (Value::UInt(u64::from(word)), Quality::Good)
                }
            };
            assert_eq!((reading.value, reading.quality), expected, "DB{block} byte {byte} in poll {poll}");
        }
        if refusals.load(Ordering::Relaxed) == refused_before {
            return requests.load(Ordering::Relaxed) - asked_before;
        }
    }
    panic!("the PLC still refuses items after {POLLS} polls");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_plc_that_refuses_is_learned_and_no_good_tag_is_ever_bad(
        first in proptest::collection::btree_set(0_u32..600, 1..50),
        second in proptest::collection::btree_set(0_u32..300, 0..30),
        missing in proptest::collection::btree_set(0_u32..600, 0..14),
        has_second in any::<bool>(),
    ) {
        let plc = Picky { missing, has_second };
        let places: Vec<Place> =
            first.iter().map(|byte| (1, *byte)).chain(second.iter().map(|byte| (2, *byte))).collect();
        // With nothing left to read the PLC is asked for a refused address, to see whether it is there.
        prop_assume!(places.iter().any(|(block, byte)| plc.has(*block, *byte, 2).is_ok()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let settled = runtime.block_on(settle(plc, &places));
        prop_assert!(settled <= places.len() / 19 + 5, "{settled} requests for {} tags", places.len());
    }
}
