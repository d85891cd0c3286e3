//! Counts at the broker what arrives: an MQTT 3.1.1 client that shares nothing with the gateway's.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Stands once in each reading of the gateway; one that is not good says so.
pub(crate) const GOOD_READING: &[u8] = b"\"seq\":";
const BAD_READING: &[u8] = b"\"quality\":\"bad\"";
/// Stands once in each block of the reference loop.
pub(crate) const GOOD_BLOCK: &[u8] = b"\"block\":";

const LOOK_EVERY: Duration = Duration::from_micros(100);
const PACKET_BYTES_MAX: usize = 16 * 1024 * 1024;
const SUBACK: u8 = 9;
pub(crate) const PUBLISH: u8 = 3;

/// A subscriber to `#` with QoS 1; it ends with the value.
pub(crate) struct Counter {
    shared: Arc<Shared>,
    stream: TcpStream,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    subscribed: AtomicBool,
    found: AtomicU64,
    bytes: AtomicU64,
    /// When the first of them arrived.
    first: Mutex<Option<Instant>>,
}

impl Counter {
    /// Connects, and is subscribed when this returns; counts how often `key` stands in the payloads for
    /// what is good.
    pub(crate) fn start(broker: SocketAddr, key: &'static [u8]) -> Counter {
        let stream = TcpStream::connect(broker).expect("the broker listens");
        let shared = Arc::new(Shared::default());
        let (of_thread, reading) = (Arc::clone(&shared), stream.try_clone().expect("a descriptor to spare"));
        let thread = std::thread::spawn(move || {
            // It ends with an error when the connection is shut down, which is how it is stopped.
            drop(listen(reading, key, &of_thread));
        });
        let counter = Counter { shared, stream, thread: Some(thread) };
        counter.wait("subscribed", Duration::from_secs(10), |shared| shared.subscribed.load(Ordering::SeqCst));
        counter
    }

    /// How many were found so far.
    pub(crate) fn found(&self) -> u64 {
        self.shared.found.load(Ordering::SeqCst)
    }

    /// Bytes of payload so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// When the first arrived, waiting for it.
    pub(crate) fn first(&self, limit: Duration) -> Instant {
        self.until(1, limit);
        self.shared.first.lock().unwrap_or_else(PoisonError::into_inner).expect("one was found")
    }

    /// Waits until so many were found.
    pub(crate) fn until(&self, count: u64, limit: Duration) {
        self.wait(&format!("{count} values"), limit, |shared| shared.found.load(Ordering::SeqCst) >= count);
    }

    fn wait(&self, what: &str, limit: Duration, done: impl Fn(&Shared) -> bool) {
        let start = Instant::now();
        while !done(&self.shared) {
            assert!(start.elapsed() < limit, "not at the broker within {limit:?}: {what}; {} arrived", self.found());
            sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // An error means that the broker was quicker, which is as good.
        drop(self.stream.shutdown(std::net::Shutdown::Both));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the counter's thread panicked");
        }
    }
}

fn listen(mut sending: TcpStream, key: &[u8], shared: &Shared) -> io::Result<()> {
    sending.write_all(&connect("count"))?;
    sending.write_all(&subscribe("#"))?;
    let mut reading = BufReader::with_capacity(256 * 1024, sending.try_clone()?);
    let mut body = Vec::new();
    loop {
        let first = packet(&mut reading, &mut body)?;
        match first >> 4 {
            SUBACK => shared.subscribed.store(true, Ordering::SeqCst),
            PUBLISH => {
                let (id, payload) = publish(first, &body).ok_or(io::ErrorKind::InvalidData)?;
                count(payload, key, shared);
                if let Some(id) = id {
                    sending.write_all(&[0x40, 2, id[0], id[1]])?;
                }
            }
            _ => {}
        }
    }
}

fn count(payload: &[u8], key: &[u8], shared: &Shared) {
    let times = |key: &[u8]| payload.windows(key.len()).filter(|window| *window == key).count() as u64;
    let found = times(key).saturating_sub(times(BAD_READING));
    shared.bytes.fetch_add(payload.len() as u64, Ordering::SeqCst);
    if found == 0 {
        return;
    }
    shared.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    shared.found.fetch_add(found, Ordering::SeqCst);
}

/// CONNECT with a clean session and no keep-alive; names and topics here are short.
pub(crate) fn connect(client: &str) -> Vec<u8> {
    let length = client.len() as u8;
    [b"\x10", &[12 + length][..], b"\x00\x04MQTT\x04\x02\x00\x00\x00", &[length], client.as_bytes()].concat()
}

/// SUBSCRIBE with QoS 1.
pub(crate) fn subscribe(topic: &str) -> Vec<u8> {
    let length = topic.len() as u8;
    [b"\x82", &[5 + length][..], b"\x00\x01\x00", &[length], topic.as_bytes(), b"\x01"].concat()
}

/// Reads one packet's body; gives its first byte.
pub(crate) fn packet(reading: &mut impl Read, body: &mut Vec<u8>) -> io::Result<u8> {
    let mut byte = [0];
    reading.read_exact(&mut byte)?;
    let first = byte[0];
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        reading.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    if length > PACKET_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    body.resize(length, 0);
    reading.read_exact(body)?;
    Ok(first)
}

/// Packet id where QoS is 1, and the payload.
pub(crate) fn publish(first: u8, body: &[u8]) -> Option<(Option<[u8; 2]>, &[u8])> {
    let topic = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let rest = body.get(2 + topic..)?;
    if first & 0x06 == 0 {
        return Some((None, rest));
    }
    Some((Some([*rest.first()?, *rest.get(1)?]), rest.get(2..)?))
}
