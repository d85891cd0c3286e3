//! The same records by either client. They are made before the clock starts: what is measured is what the client does.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use chrono::Utc;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::record::Record;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

const RECORDS_PER_BATCH: usize = 2_000;
const VALUE_BYTES: usize = 100;
const KEY: &str = "line7/temperature";
const PATIENCE: Duration = Duration::from_secs(60);

/// What stands beside the value.
#[derive(Clone, Copy, PartialEq)]
pub enum Shape {
    Bare,
    Dressed,
}

impl Shape {
    pub fn parse(word: &str) -> Result<Shape, String> {
        match word {
            "bare" => Ok(Shape::Bare),
            "dressed" => Ok(Shape::Dressed),
            _ => Err(format!("`{word}` is neither bare nor dressed")),
        }
    }

    fn key(self) -> Option<&'static str> {
        (self == Shape::Dressed).then_some(KEY)
    }

    /// As the gateway has them; each record has a number of its own.
    fn headers(self, number: usize) -> Vec<(&'static str, String)> {
        match self {
            Shape::Bare => Vec::new(),
            Shape::Dressed => vec![
                ("gateway", "0198c2f0-7a30-7cc2-8f6e-0242ac120002".into()),
                ("epoch", "7".into()),
                ("seq", number.to_string()),
                ("content-type", "application/json".into()),
            ],
        }
    }
}

/// Of all threads of this process.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn tell(acknowledged: usize, before: Duration) {
    println!("{acknowledged} {}", (processor_time() - before).as_nanos());
}

/// One batch on its way, as its interface has it: `produce` takes a batch and waits for its offsets.
pub fn rskafka(bootstrap: &str, topic: &str, shape: Shape, batches: usize) -> Result<(), Box<dyn Error>> {
    let record = |number: usize| Record {
        key: shape.key().map(|key| key.as_bytes().to_vec()),
        value: Some(vec![b'x'; VALUE_BYTES]),
        headers: shape.headers(number).into_iter().map(|(name, value)| (name.into(), value.into_bytes())).collect::<BTreeMap<_, _>>(),
        timestamp: Utc::now(),
    };
    let batch = |number: usize| (0..RECORDS_PER_BATCH).map(|place| record(number * RECORDS_PER_BATCH + place)).collect();
    let all: Vec<Vec<Record>> = (0..batches).map(batch).collect();
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = ClientBuilder::new(vec![bootstrap.to_owned()]).build().await?;
        let partition = client.partition_client(topic, 0, UnknownTopicHandling::Retry).await?;
        let mut acknowledged = 0;
        let before = processor_time();
        for records in all {
            acknowledged += partition.produce(records, Compression::NoCompression).await?.len();
        }
        tell(acknowledged, before);
        Ok(())
    })
}

/// Counts what was delivered; a record that was not is an error of the whole.
#[derive(Default)]
struct Counted(std::sync::atomic::AtomicUsize);

impl ClientContext for Counted {}

impl ProducerContext for Counted {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// A batch is full at 2,000 records; the queue is never empty, which is how it takes the least.
pub fn librdkafka(bootstrap: &str, topic: &str, shape: Shape, batches: usize) -> Result<(), Box<dyn Error>> {
    let headers = |number: usize| {
        let none = OwnedHeaders::new_with_capacity(4);
        let add = |all: OwnedHeaders, (key, value): (&str, String)| all.insert(Header { key, value: Some(&value) });
        shape.headers(number).into_iter().fold(none, add)
    };
    let value = vec![b'x'; VALUE_BYTES];
    let producer: BaseProducer<Counted> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "none")
        .set("batch.num.messages", RECORDS_PER_BATCH.to_string())
        .set("batch.size", "1000000")
        .set("linger.ms", "1000")
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "1000000")
        .create_with_context(Counted::default())?;
    // The connection is open and the producer id is there before the clock starts.
    producer.send(BaseRecord::<str, [u8]>::to(topic).partition(0).payload(&value)).map_err(|(error, _)| error)?;
    producer.flush(PATIENCE)?;
    let all: Vec<Option<OwnedHeaders>> =
        (0..batches * RECORDS_PER_BATCH).map(|number| (shape == Shape::Dressed).then(|| headers(number))).collect();
    let before = processor_time();
    for headers in all {
        let mut record = BaseRecord::to(topic).partition(0).payload(&value[..]);
        (record.key, record.headers) = (shape.key(), headers);
        while let Err((error, back)) = producer.send(record) {
            if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    producer.flush(PATIENCE)?;
    tell(producer.context().0.load(std::sync::atomic::Ordering::Relaxed) - 1, before);
    Ok(())
}
