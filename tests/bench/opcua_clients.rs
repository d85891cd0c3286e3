//! Subscribers as processes of their own: our driver, and the library that it stands on with a callback that only looks at
//! each value. Each prints how many values it was told, how many were missing between them, and its processor time in
//! nanoseconds, all from the moment on when every item had been told several times.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use driver_core::{GroupId, Quality, Reading, Readings, SystemClock, Value};
use opcua::client::{ClientBuilder, DataChangeCallback, IdentityToken, Session};
use opcua::types::{
    AttributeId, MessageSecurityMode, MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NodeId,
    ReadValueId, TimestampsToReturn, UserTokenPolicy, Variant,
};
use tokio::runtime::Builder;
use tokio::time::{Instant, interval, sleep};

use crate::clients;
use crate::opcua_device::node;
use crate::process::own_processor_time;

const INTERVAL: Duration = Duration::from_secs(1);
/// How long a subscription may take to be made and to get going.
const WARM: Duration = Duration::from_secs(6);
/// Values that the server keeps for an item, so that a late message loses none.
const QUEUE: u32 = 10;
/// Items in a call.
const BATCH: usize = 1_000;

/// What was told of each item.
struct Seen {
    last: Vec<u64>,
    values: u64,
    missing: u64,
}

impl Seen {
    fn none(items: usize) -> Seen {
        Seen { last: vec![0; items], values: 0, missing: 0 }
    }

    /// Of an item that was never told, nothing is missing before.
    fn take(&mut self, item: usize, count: u64) {
        let last = std::mem::replace(&mut self.last[item], count);
        self.values += 1;
        if last > 0 {
            self.missing += count.saturating_sub(last + 1);
        }
    }

    fn begin(&mut self) {
        (self.values, self.missing) = (0, 0);
    }

    fn tell(&self, processor: Duration) {
        assert!(self.last.iter().all(|last| *last > 0), "every item was told");
        println!("{} {} {}", self.values, self.missing, processor.as_nanos());
    }
}

/// Our driver: each value a reading with its quality, status and time.
pub(crate) fn driver(port: u16, items: usize, seconds: u64) {
    let url = format!("opc.tcp://127.0.0.1:{port}?policy=none&queue={QUEUE}");
    let mut line = clients::line_of(&url, (0..items).map(node), None);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        line.listen();
        line.connect().await.expect("the server listens");
        let (mut readings, mut seen) = (Vec::<Reading>::new(), Seen::none(items));
        let mut polls = interval(INTERVAL);
        let (mut until, mut before) = (Instant::now() + WARM, None);
        loop {
            readings.clear();
            let mut into = Readings::new(&mut readings, &SystemClock);
            // Both lose nothing when cancelled.
            tokio::select! {
                () = line.news() => line.take_news(&mut into),
                _ = polls.tick() => {
                    line.poll(0, GroupId(0), &mut into).await.expect("it answers");
                }
            }
            for reading in &readings {
                let Value::UInt(count) = reading.value else { panic!("{reading:?}") };
                assert_eq!(reading.quality, Quality::Good);
                seen.take(reading.tag.index(), count);
            }
            if Instant::now() >= until {
                match before {
                    None => {
                        before = Some(own_processor_time());
                        until = Instant::now() + Duration::from_secs(seconds);
                        seen.begin();
                    }
                    Some(before) => return seen.tell(own_processor_time() - before),
                }
            }
        }
    });
}

/// The library, as its own examples use it.
pub(crate) fn bare(port: u16, items: usize, seconds: u64) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("opc.tcp://127.0.0.1:{port}/");
        let builder = ClientBuilder::new()
            .application_name("bare")
            .application_uri("urn:bare")
            .pki_dir(folder.path())
            .session_retry_limit(0)
            .max_message_size(64 << 20)
            .max_chunk_count(4_096)
            .max_array_length(items)
            .max_byte_string_length(64 << 20);
        let mut client = builder.client().expect("a client");
        let endpoint = (url.as_str(), "None", MessageSecurityMode::None, UserTokenPolicy::anonymous());
        let (session, events) =
            client.connect_to_matching_endpoint(endpoint, IdentityToken::Anonymous).await.expect("the server listens");
        let task = events.spawn();
        session.wait_for_connection().await;
        let seen = Arc::new(Mutex::new(Seen::none(items)));
        subscribe(&session, items, seen.clone()).await;
        sleep(WARM).await;
        seen.lock().expect("nobody panicked").begin();
        let before = own_processor_time();
        sleep(Duration::from_secs(seconds)).await;
        let processor = own_processor_time() - before;
        seen.lock().expect("nobody panicked").tell(processor);
        task.abort();
    });
}

async fn subscribe(session: &Session, items: usize, seen: Arc<Mutex<Seen>>) {
    let callback = DataChangeCallback::new(move |value, item| {
        let Some(Variant::UInt32(count)) = value.value else { panic!("{value:?}") };
        let item = item.client_handle() as usize - 1;
        seen.lock().expect("nobody panicked").take(item, count.into());
    });
    let subscription = session.create_subscription(INTERVAL, 60, 20, 0, 0, true, callback).await.expect("it makes one");
    let item = |number: usize| MonitoredItemCreateRequest {
        item_to_monitor: ReadValueId {
            node_id: node(number).parse::<NodeId>().expect("a node id"),
            attribute_id: AttributeId::Value as u32,
            ..ReadValueId::default()
        },
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: MonitoringParameters {
            client_handle: number as u32 + 1,
            sampling_interval: INTERVAL.as_secs_f64() * 1e3,
            queue_size: QUEUE,
            discard_oldest: true,
            ..MonitoringParameters::default()
        },
    };
    let all: Vec<_> = (0..items).map(item).collect();
    for batch in all.chunks(BATCH) {
        let made = session.create_monitored_items(subscription, TimestampsToReturn::Both, batch.to_vec()).await;
        assert!(made.expect("an answer").iter().all(|made| made.result.status_code.is_good()));
    }
}
