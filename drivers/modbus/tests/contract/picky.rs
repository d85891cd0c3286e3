//! A device that refuses what it does not have, and too much at once: good tags are good in every poll, bad ones bad, and
//! after a few polls nothing is refused any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver_core::testkit::pausing::poll_in_parts;
use driver_core::{
    AnyDriver, DeviceSpec, GroupId, Line, LineSpec, Quality, Reading, Readings, Reason, SystemClock, TagId, TagSpec,
    Value,
};
use driver_modbus::ModbusDriver;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const GROUP: GroupId = GroupId(0);
/// Polls after which the plan must have settled: the length alone takes up to seven halvings.
const POLLS: usize = 16;

#[derive(Debug, Clone)]
struct Picky {
    /// Registers that it does not have.
    missing: BTreeSet<u16>,
    /// Most registers at once.
    len_max: u16,
}

impl Picky {
    fn answer(&self, start: u16, count: u16) -> Vec<u8> {
        if count > self.len_max {
            return vec![0x83, 3];
        }
        if self.missing.range(start..start + count).next().is_some() {
            return vec![0x83, 2];
        }
        let registers = (start..start + count).flat_map(u16::to_be_bytes);
        [3, (2 * count) as u8].into_iter().chain(registers).collect()
    }

    async fn serve(self, mut stream: TcpStream, refusals: Arc<AtomicUsize>, requests: Arc<AtomicUsize>) {
        let mut request = [0; 12];
        while stream.read_exact(&mut request).await.is_ok() {
            let word = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
            let pdu = self.answer(word(8), word(10));
            requests.fetch_add(1, Ordering::Relaxed);
            refusals.fetch_add(usize::from(pdu[0] & 0x80 != 0), Ordering::Relaxed);
            let length = (pdu.len() + 1) as u16;
            let head = [request[0], request[1], 0, 0, length.to_be_bytes()[0], length.to_be_bytes()[1], request[6]];
            if stream.write_all(&[&head, &pdu[..]].concat()).await.is_err() {
                return;
            }
        }
    }
}

async fn line(device: Picky, offsets: &BTreeSet<u16>) -> (Box<dyn Line>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("modbus-tcp://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
    let (refusals, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (refusals.clone(), requests.clone());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        device.serve(stream, counters.0, counters.1).await;
    });
    let addresses: Vec<String> = offsets.iter().map(|offset| format!("hr:{offset}:UINT")).collect();
    let tags = offsets.iter().zip(&addresses).map(|(offset, address)| TagSpec {
        id: TagId(u32::from(*offset)),
        address,
        group: GROUP,
    });
    let groups = vec![std::time::Duration::from_secs(1)];
    let device = DeviceSpec { groups, tags: tags.collect(), ..DeviceSpec::default() };
    let mut line =
        AnyDriver::line(&ModbusDriver, &LineSpec { url, timeout: None, devices: vec![device] }).expect("a line");
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
async fn settle(device: Picky, offsets: &BTreeSet<u16>) -> usize {
    let missing = device.missing.clone();
    let (mut line, refusals, requests) = line(device, offsets).await;
    for poll in 0..POLLS {
        let (refused_before, asked_before) = (refusals.load(Ordering::Relaxed), requests.load(Ordering::Relaxed));
        let readings = polled(&mut *line, poll).await;
        assert_eq!(readings.len(), offsets.len());
        for reading in readings {
            let offset = u16::try_from(reading.tag.0).expect("an offset");
            let expected = match missing.contains(&offset) {
                true => (Value::None, Quality::Bad(Reason::AddressRefused)),
                false => (Value::UInt(u64::from(offset)), Quality::Good),
            };
            assert_eq!((reading.value, reading.quality), expected, "offset {offset} in poll {poll}");
        }
        if refusals.load(Ordering::Relaxed) == refused_before {
            return requests.load(Ordering::Relaxed) - asked_before;
        }
    }
    panic!("the device still refuses requests after {POLLS} polls");
}

/// The fewest requests that this device takes: gaps are cheap on TCP.
fn fewest(device: &Picky, offsets: &BTreeSet<u16>) -> usize {
    let (mut count, mut first) = (0, None);
    for &offset in offsets.difference(&device.missing) {
        let fits = first.is_some_and(|first: u16| {
            offset - first < device.len_max.min(125) && device.missing.range(first..offset).next().is_none()
        });
        if !fits {
            count += 1;
            first = Some(offset);
        }
    }
    count
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_device_that_refuses_is_learned_and_no_good_tag_is_ever_bad(
        offsets in proptest::collection::btree_set(0_u16..400, 1..60),
        missing in proptest::collection::btree_set(0_u16..400, 0..12),
        len_max in prop_oneof![Just(125_u16), 20_u16..125],
    ) {
        // With nothing left to read the device is asked for a refused address, to see whether it is there.
        prop_assume!(!offsets.is_subset(&missing));
        let device = Picky { missing, len_max };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let fewest = fewest(&device, &offsets);
        let settled = runtime.block_on(settle(device, &offsets));
        prop_assert!(settled <= fewest * 2 + 1, "{settled} requests, {fewest} would do");
    }
}
