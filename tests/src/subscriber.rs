//! Records everything at the broker: an MQTT 3.1.1 client of its own, so that nothing of the gateway's client vouches for
//! itself. It keeps its session, so that a broker that restarts loses nothing meant for it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::wait;

const KEEP_ALIVE_S: u16 = 0;
const AGAIN_AFTER: Duration = Duration::from_millis(50);
const CONNECTED_WITHIN: Duration = Duration::from_secs(2);
const LOOK_UP_EVERY: Duration = Duration::from_millis(200);
const PACKET_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Stands once in each reading.
const SEQ_KEY: &[u8] = b"\"seq\":";

const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const SUBACK: u8 = 9;

/// A reading as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// When it arrived.
    pub at: SystemTime,
    /// The topic it came on.
    pub topic: String,
    /// The run of the gateway, as the payload says.
    pub epoch: u64,
    /// Its number, as the payload says.
    pub seq: u64,
    /// The device's name.
    pub device: String,
    /// The tag's name.
    pub tag: String,
    /// Everything else: `value`, `quality`, `reason`, `time`.
    pub body: Value,
}

impl Received {
    /// The value.
    pub fn value(&self) -> &Value {
        &self.body["value"]
    }

    /// Whether its quality is good.
    pub fn is_good(&self) -> bool {
        self.body["quality"] == "good"
    }

    /// Why its quality is not good; empty where it is.
    pub fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }

    /// The lane in which it came: `live`, which payloads do not name, `history` or `replay`.
    pub fn lane(&self) -> &str {
        self.body["lane"].as_str().unwrap_or("live")
    }

    /// The time that the gateway gave it.
    pub fn time(&self) -> &str {
        self.body["time"].as_str().unwrap_or_default()
    }
}

/// What arrived so far.
#[derive(Debug, Default, Clone)]
pub struct Recorded {
    /// Readings in the order of their arrival, repeated ones included.
    pub readings: Vec<Received>,
    /// Gap records.
    pub gaps: Vec<Value>,
    /// Messages that are no readings: topic and payload.
    pub others: Vec<(String, Vec<u8>)>,
    /// Messages of all kinds.
    pub messages: u64,
}

/// A client that is subscribed to `#`; it ends with the value.
pub struct Subscriber {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    recorded: Mutex<Recorded>,
    subscribed: AtomicBool,
    stop: AtomicBool,
    /// Counts readings instead of keeping them.
    counts_only: bool,
    counted: AtomicU64,
}

impl Subscriber {
    /// Connects and is subscribed when this returns.
    pub fn start(broker: SocketAddr) -> Subscriber {
        Subscriber::with_shared(broker, Shared::default())
    }

    /// As above, but keeps nothing and counts readings alone: for the benchmark.
    pub fn counting(broker: SocketAddr) -> Subscriber {
        Subscriber::with_shared(broker, Shared { counts_only: true, ..Shared::default() })
    }

    /// How many readings arrived at a recorder that only counts.
    pub fn counted(&self) -> u64 {
        self.shared.counted.load(Ordering::SeqCst)
    }

    fn with_shared(broker: SocketAddr, shared: Shared) -> Subscriber {
        let shared = Arc::new(shared);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !of_thread.stop.load(Ordering::SeqCst) {
                // The broker is away: that is what many tests are about.
                drop(listen(broker, &of_thread));
                sleep(AGAIN_AFTER);
            }
        });
        wait::for_it("subscribed", wait::SOON, || shared.subscribed.load(Ordering::SeqCst));
        Subscriber { shared, thread: Some(thread) }
    }

    /// Looks at what arrived so far.
    pub fn with<T>(&self, look: impl FnOnce(&Recorded) -> T) -> T {
        look(&self.shared.recorded.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A copy of the readings.
    pub fn readings(&self) -> Vec<Received> {
        self.with(|recorded| recorded.readings.clone())
    }

    /// How many readings arrived.
    pub fn count(&self) -> usize {
        self.with(|recorded| recorded.readings.len())
    }

    /// The last reading of a tag.
    pub fn last(&self, device: &str, tag: &str) -> Option<Received> {
        self.with(|recorded| {
            recorded.readings.iter().rev().find(|reading| reading.device == device && reading.tag == tag).cloned()
        })
    }

    /// Waits for the first good reading of a tag from now on and gives it.
    pub fn next_good(&self, device: &str, tag: &str) -> Received {
        self.next_good_within(device, tag, wait::SOON)
    }

    /// As above, within a time.
    pub fn next_good_within(&self, device: &str, tag: &str, limit: Duration) -> Received {
        let from = self.count();
        let what = format!("a good reading of {device}/{tag}");
        wait::until(&what, limit, || {
            self.with(|recorded| {
                let fresh = recorded.readings.get(from..).unwrap_or_default();
                fresh
                    .iter()
                    .find(|reading| reading.device == device && reading.tag == tag && reading.is_good())
                    .cloned()
            })
        })
    }

    /// Waits until the highest counter of a tag has reached this.
    pub fn until_counter(&self, device: &str, tag: &str, counter: u64, limit: Duration) {
        let what = format!("{device}/{tag} reaches {counter} at the broker");
        wait::for_it(&what, limit, || {
            self.with(|recorded| {
                let of_tag = recorded.readings.iter().rev().filter(|r| r.device == device && r.tag == tag);
                of_tag.filter_map(|reading| reading.value().as_u64()).any(|value| value >= counter)
            })
        });
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the subscriber's thread panicked");
        }
    }
}

/// One connection from CONNECT to its end; one on which CONNECT is not answered ends soon.
fn listen(broker: SocketAddr, shared: &Shared) -> io::Result<()> {
    let mut stream = TcpStream::connect(broker)?;
    stream.set_read_timeout(Some(LOOK_UP_EVERY))?;
    stream.write_all(&connect("the-oracle"))?;
    stream.write_all(&[0x82, 6, 0, 1, 0, 1, b'#', 1])?;
    stream.set_read_timeout(Some(CONNECTED_WITHIN))?;
    stream.peek(&mut [0])?;
    stream.set_read_timeout(Some(LOOK_UP_EVERY))?;
    while let Some((first, body)) = packet(&mut stream, shared)? {
        match first >> 4 {
            CONNACK if body.get(1) != Some(&0) => return Err(io::ErrorKind::ConnectionRefused.into()),
            SUBACK => shared.subscribed.store(true, Ordering::SeqCst),
            PUBLISH => {
                let (topic, id, payload) = publish(first, &body).ok_or(io::ErrorKind::InvalidData)?;
                if shared.counts_only {
                    let readings = payload.windows(SEQ_KEY.len()).filter(|window| *window == SEQ_KEY).count();
                    shared.counted.fetch_add(readings as u64, Ordering::SeqCst);
                } else {
                    record(shared, topic, payload);
                }
                if let Some(id) = id {
                    stream.write_all(&[0x40, 2, id[0], id[1]])?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn connect(client: &str) -> Vec<u8> {
    let keep_alive = KEEP_ALIVE_S.to_be_bytes();
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0, keep_alive[0], keep_alive[1], 0, client.len() as u8];
    body.extend_from_slice(client.as_bytes());
    [&[0x10, body.len() as u8], body.as_slice()].concat()
}

/// The next packet, or none when the test is over.
fn packet(stream: &mut TcpStream, shared: &Shared) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut byte = [0];
    if !fill(stream, &mut byte, shared)? {
        return Ok(None);
    }
    let first = byte[0];
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        if !fill(stream, &mut byte, shared)? {
            return Ok(None);
        }
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    if length > PACKET_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    Ok(fill(stream, &mut body, shared)?.then_some((first, body)))
}

/// Reads the whole buffer; false when the test is over.
fn fill(stream: &mut TcpStream, buffer: &mut [u8], shared: &Shared) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        if shared.stop.load(Ordering::SeqCst) {
            return Ok(false);
        }
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Topic, packet id where QoS is 1, payload.
type Published<'a> = (String, Option<[u8; 2]>, &'a [u8]);

fn publish(first: u8, body: &[u8]) -> Option<Published<'_>> {
    let length = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let topic = String::from_utf8_lossy(body.get(2..2 + length)?).into_owned();
    let rest = body.get(2 + length..)?;
    if first & 0x06 == 0 {
        return Some((topic, None, rest));
    }
    Some((topic, Some([*rest.first()?, *rest.get(1)?]), rest.get(2..)?))
}

fn record(shared: &Shared, topic: String, payload: &[u8]) {
    let at = SystemTime::now();
    let parsed: Option<Value> = serde_json::from_slice(payload).ok();
    let mut recorded = shared.recorded.lock().unwrap_or_else(PoisonError::into_inner);
    recorded.messages += 1;
    match parsed {
        Some(body) if body["readings"][0].is_object() => {
            let readings = body["readings"].as_array().cloned().unwrap_or_default();
            let device = body["device"].as_str().unwrap_or_default();
            let epoch = body["epoch"].as_u64().unwrap_or_default();
            let lane = &body["lane"];
            recorded.readings.extend(readings.into_iter().map(|mut one| {
                if !lane.is_null() {
                    one["lane"] = lane.clone();
                }
                // What stands beside the readings holds for each that does not say otherwise.
                for name in ["time", "quality"] {
                    if one[name].is_null() && !body[name].is_null() {
                        one[name] = body[name].clone();
                    }
                }
                received(at, &topic, device, epoch, one)
            }));
        }
        Some(body) if body["seq"].is_u64() && body["readings"].is_null() => {
            let device = body["device"].as_str().unwrap_or_default().to_owned();
            let epoch = body["epoch"].as_u64().unwrap_or_default();
            recorded.readings.push(received(at, &topic, &device, epoch, body));
        }
        Some(body) if body["gap"].is_object() => recorded.gaps.push(body),
        _ => recorded.others.push((topic, payload.to_vec())),
    }
}

fn received(at: SystemTime, topic: &str, device: &str, epoch: u64, body: Value) -> Received {
    let seq = body["seq"].as_u64().unwrap_or_default();
    let tag = body["tag"].as_str().unwrap_or_default().to_owned();
    Received { at, topic: topic.to_owned(), epoch, seq, device: device.to_owned(), tag, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Broker;
    use crate::need;

    #[test]
    fn records_readings_batches_gaps_and_all_else_through_a_restart_of_the_broker() {
        let (Some(mut broker), Some(tool)) = (Broker::start(), need::program("mosquitto_pub")) else { return };
        let recorder = Subscriber::start(broker.address());
        let publish = |port: u16, payload: &str| {
            let port = port.to_string();
            let run =
                std::process::Command::new(&tool).args(["-q", "1", "-t", "a/b", "-p", &port, "-m", payload]).status();
            assert!(run.is_ok_and(|status| status.success()), "mosquitto_pub works");
        };
        let port = broker.address().port();
        publish(port, r#"{"device":"d","tag":"n","value":1,"quality":"good","epoch":1,"seq":1}"#);
        broker.stop();
        broker.start_again();
        publish(
            port,
            r#"{"gateway":"g","device":"d","epoch":2,"readings":[{"tag":"n","value":2,"seq":2},{"tag":"n","seq":3}]}"#,
        );
        publish(port, r#"{"gateway":"g","gap":{"first":4,"last":4}}"#);
        publish(port, "online");
        wait::for_it("all four arrive", wait::SOON, || recorder.with(|recorded| recorded.messages >= 4));
        let places: Vec<(u64, u64)> = recorder.readings().iter().map(|reading| (reading.epoch, reading.seq)).collect();
        assert_eq!(places, [(1, 1), (2, 2), (2, 3)]);
        assert_eq!(recorder.with(|recorded| (recorded.gaps.len(), recorded.others.len())), (1, 1));
    }
}
