//! F24: 64 kbit/s, a round trip of 600 ms, one piece in twenty sent again.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use hardware_sim::faults::{Fault, FaultProxy, Framing, Link};
use tests::broker::Broker;
use tests::field::{Field, free_port};
use tests::gateway::Gateway;
use tests::http::get;
use tests::site::Site;
use tests::{need, wait};

use crate::outages::wide_device;
use crate::rig::{Counting, file, tcp};

const BYTES_PER_SECOND: u32 = 8_000;
const LATENCY: Duration = Duration::from_millis(300);
const ROUND_TRIP: Duration = Duration::from_millis(600);
const LOST: f64 = 0.05;
const USED_AT_LEAST: f64 = 0.8;

/// 100 tags so often are 5,000 readings a second, which is more than the line carries even when they are compressed.
const EVERY: &str = "every: 20ms";

const LANES: [&str; 2] = ["    drain: live-first\n", "    drain: oldest-first\n"];

/// What the line carried in a while: the share of what it can, and readings.
#[derive(Debug)]
struct Carried {
    share: f64,
    readings_per_second: f64,
}

/// Lets a device make more than a thin line can carry.
fn carried(uplink: &str) -> Option<Carried> {
    let broker = Broker::start()?;
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let proxy = field.proxy(broker.address(), Framing::Stream);
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = file(&wide_device(&tcp(plc.address)), &format!("mqtt://{}", proxy.address()));
    let text = text.replace("every: 100ms", EVERY);
    let site = Site::new(&format!("http: {{ listen: {http} }}\n{text}{uplink}"));
    let gateway = site.start();
    wait::for_it("readings are delivered", wait::SOON, || delivered(http).is_some_and(|delivered| delivered > 100));
    proxy.link(Link::Slow { latency: LATENCY, bytes_per_second: NonZeroU32::new(BYTES_PER_SECOND) });
    // What is lost comes a round trip later, and holds back what is behind it.
    proxy.requests().mix(24, LOST, [Fault::Delay(ROUND_TRIP)]);
    proxy.replies().mix(42, LOST, [Fault::Delay(ROUND_TRIP)]);
    wait::pass(Duration::from_secs(10));
    Some(look(http, &proxy, &gateway))
}

fn delivered(http: SocketAddr) -> Option<u64> {
    let (_, body) = get(http, "/api/v1/status").ok()?;
    let status: serde_json::Value = serde_json::from_str(&body).ok()?;
    status["uplinks"][0]["delivered_readings"].as_u64()
}

fn look(http: SocketAddr, proxy: &FaultProxy, gateway: &Gateway) -> Carried {
    let now = || (Instant::now(), proxy.requests().counts().bytes, delivered(http).expect("a status"));
    let (start, bytes, readings) = now();
    wait::pass(Duration::from_secs(if need::long() { 120 } else { 20 }));
    let (end, bytes_after, readings_after) = now();
    let seconds = (end - start).as_secs_f64();
    assert!(proxy.requests().injected() > 0, "pieces were lost");
    assert_eq!(gateway.log().matches("the connection is lost").count(), 0, "the connection stands: {}", gateway.log());
    let share = (bytes_after - bytes) as f64 / seconds / f64::from(BYTES_PER_SECOND);
    Carried { share, readings_per_second: (readings_after - readings) as f64 / seconds }
}

#[test]
fn a_thin_line_is_used_by_four_fifths_and_compression_carries_more_on_it() {
    let lanes = if need::long() { &LANES[..] } else { &LANES[..1] };
    for lane in lanes {
        // Beside one another, each over a line of its own.
        let compressed = thread::spawn(move || carried(&format!("{lane}    compression: zstd\n")));
        let (plain, compressed) = (carried(lane), compressed.join().expect("it ends"));
        let (Some(plain), Some(compressed)) = (plain, compressed) else { return };
        eprintln!("{}: plain {plain:.2?}, compressed {compressed:.2?}", lane.trim());
        for carried in [&plain, &compressed] {
            assert!(carried.share >= USED_AT_LEAST, "{lane}: {carried:?}");
        }
        assert!(compressed.readings_per_second >= 2.0 * plain.readings_per_second, "{lane}: zstd carries more");
    }
}
