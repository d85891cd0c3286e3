//! P15: processor time per record of our producer for Kafka beside rskafka and librdkafka, against a real broker.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use driver_core::{SystemClock, Timestamp};
use forebay::pipeline::schema::SchemaBuilder;
use forebay::uplink::kafka::Kafka as KafkaUplink;
use forebay::uplink::kafka::batch::{Builder, Compression, Headers, NewRecord, Stamp};
use forebay::uplink::kafka::cluster::Cluster;
use forebay::uplink::kafka::config;
use forebay::uplink::kafka::wire::InitProducerId;
use forebay::uplink::{Event, Lane, Message, Publisher, SeqRange, Site, Token, Uplink, UplinkSpec};
use tests::kafka::Kafka;
use tests::need;
use tokio::runtime::{Builder as Runtimes, Runtime};

use crate::Effort;
use crate::process;
use crate::report::{Row, Table};

const RECORDS_PER_BATCH: usize = 2_000;
const VALUE_BYTES: usize = 100;
const BATCHES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);
const PARTS: &str = "client alone, on a core of its own; acks of all, nothing compressed; Kafka 4.1.1";

/// Who produces, to a topic of its own, and what it took, nanoseconds per record, round by round.
struct Contender {
    name: &'static str,
    program: PathBuf,
    /// What stands before and behind the bootstrap server and the topic.
    arguments: (&'static str, &'static [&'static str]),
    topic: &'static str,
    ns: Vec<f64>,
    acknowledged: usize,
}

impl Contender {
    fn new(
        name: &'static str,
        program: &Path,
        arguments: (&'static str, &'static [&'static str]),
        topic: &'static str,
    ) -> Contender {
        Contender { name, program: program.to_owned(), arguments, topic, ns: Vec::new(), acknowledged: 0 }
    }

    fn go(&mut self, bootstrap: &str) {
        let mut command = process::on_core(process::CORE_OF_MEASURED, &self.program);
        let (role, shape) = self.arguments;
        command.args([role, bootstrap, self.topic]).args(shape).arg(BATCHES.to_string());
        let run = command.output().expect("a program of this machine");
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let fields: Vec<f64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        let [records, ns] = fields[..] else { panic!("{}: {text}{}", self.name, String::from_utf8_lossy(&run.stderr)) };
        assert_eq!(records as usize, BATCHES * RECORDS_PER_BATCH, "{}", self.name);
        self.acknowledged += records as usize;
        self.ns.push(ns / records);
    }

    /// Records that its topic must have. All but rskafka open the partition with one record before the clock starts.
    fn stands(&self) -> u64 {
        let opening = if self.name.starts_with("rskafka") { 0 } else { self.ns.len() };
        (self.acknowledged + opening) as u64
    }
}

/// Ours, rskafka and librdkafka: once with key and headers, once the values alone.
fn contenders(clients: &Path) -> [[Contender; 3]; 2] {
    let own = process::own_program();
    let dressed = [
        Contender::new("ours", &own, ("kafka-publisher", &[]), "ours"),
        Contender::new("rskafka", clients, ("rskafka", &["dressed"]), "rskafka"),
        Contender::new("librdkafka", clients, ("librdkafka", &["dressed"]), "librdkafka"),
    ];
    let bare = [
        Contender::new("ours, values alone", &own, ("kafka-wire", &[]), "ours-bare"),
        Contender::new("rskafka, values alone", clients, ("rskafka", &["bare"]), "rskafka-bare"),
        Contender::new("librdkafka, values alone", clients, ("librdkafka", &["bare"]), "librdkafka-bare"),
    ];
    [dressed, bare]
}

/// Runs all of them in turn, round after round; a row for ours against each of the others.
pub(crate) fn run(table: &mut Table, effort: Effort) {
    let (Some(clients), Some(kafka)) = (need::kafka_clients(), Kafka::start()) else { return };
    for id in kafka.ids() {
        let core = process::CORE_OF_THE_REST;
        let moved = Command::new("taskset").args(["-a", "-c", "-p", core, &id.to_string()]).output();
        assert!(moved.expect("taskset").status.success(), "the broker stays off the core of what is measured");
    }
    let mut shapes = contenders(&clients);
    shapes.iter().flatten().for_each(|contender| kafka.create(contender.topic, 1, &[]));
    for _ in 0..effort.rounds {
        shapes.iter_mut().flatten().for_each(|contender| contender.go(&kafka.bootstrap()));
    }
    let what = [
        "CPU per record to Kafka, key, 4 headers, 100 bytes of value: the whole publisher",
        "CPU per record to Kafka, 100 bytes of value alone: batches and wire",
    ];
    for (what, [ours, others @ ..]) in what.into_iter().zip(&shapes) {
        for (other, (gate, target)) in others.iter().zip([(1.0, 0.75), (0.5, 0.35)]) {
            let stand = [ours, other].map(|contender| kafka.end(contender.topic, 0));
            assert_eq!(stand, [ours, other].map(Contender::stands), "what was acknowledged stands there");
            let row = Row::new("P15", &format!("{what}, against {}", other.name)).parts(PARTS);
            let row = row.measured("ns", &ours.ns).against(other.name, &other.ns).gate_of_ratio(gate, target);
            table.add(row.proof(format!("{} records stand in each topic", ours.acknowledged)));
        }
    }
}

/// Prints how many records were acknowledged, and what they took since `before`.
fn tell(acknowledged: usize, before: Duration) {
    println!("{acknowledged} {}", (process::processor_time(std::process::id()) - before).as_nanos());
}

fn runtime() -> Runtime {
    Runtimes::new_current_thread().enable_all().build().expect("a runtime")
}

/// Our publisher as the gateway opens it, journal and all.
pub(crate) fn publisher(bootstrap: &str, topic: &str, batches: usize) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let url = format!("kafka://{bootstrap}?compression=none&batch=1000000&status=off");
    let mut spec = UplinkSpec::new("bench/line7", "bench", url.parse().expect("a URL"));
    spec.topic = Some(topic.into());
    spec.identity = "0198c2f0-7a30-7cc2-8f6e-0242ac120002".into();
    spec.site = Some(Site {
        schema: Arc::new(SchemaBuilder::default().build()),
        types: Arc::default(),
        folder: folder.path().to_owned(),
        clock: Arc::new(SystemClock),
    });
    let way = KafkaUplink.open(&spec).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut publisher = way.publisher;
    let all: Vec<Vec<Arc<Message>>> = (0..batches).map(|batch| messages(topic, batch)).collect();
    runtime().block_on(async {
        publisher.connect().await.expect("the broker serves");
        // One record opens the partition: what is asked and synced for that is done once.
        let first = messages(topic, batches).remove(0);
        let mut acknowledged = deliver(publisher.as_mut(), vec![first]).await - 1;
        let before = process::processor_time(std::process::id());
        for batch in all {
            acknowledged += deliver(publisher.as_mut(), batch).await;
        }
        tell(acknowledged, before);
    });
}

/// As the gateway's formats make them: one key a tag, and payloads one behind the other in memory that they share.
fn messages(topic: &str, batch: usize) -> Vec<Arc<Message>> {
    let topic: Arc<str> = topic.into();
    let (key, mut memory) = (Bytes::from("line7/temperature".to_owned()), BytesMut::new());
    let from = (batch * RECORDS_PER_BATCH) as u64;
    let message = |seq| Message {
        token: Token { lane: Lane::Live, seq, part: 0 },
        topic: topic.clone(),
        key: Some(key.clone()),
        payload: payload(&mut memory),
        time: Some(Timestamp(1_764_300_000_000_000_000 + seq as i64 * 1_000_000)),
        content_type: "application/json".into(),
        epoch: 7,
        seqs: SeqRange { first: seq, last: seq },
        readings: 1,
    };
    (from..from + RECORDS_PER_BATCH as u64).map(message).map(Arc::new).collect()
}

fn payload(memory: &mut BytesMut) -> Bytes {
    memory.extend_from_slice(&[b'x'; VALUE_BYTES]);
    memory.split().freeze()
}

/// Hands a batch over and waits until all of it is acknowledged.
async fn deliver(publisher: &mut dyn Publisher, batch: Vec<Arc<Message>>) -> usize {
    assert!(publisher.room() >= batch.len());
    batch.iter().for_each(|message| publisher.send(message));
    let (mut acknowledged, mut events) = (0, Vec::new());
    while acknowledged < batch.len() {
        publisher.events(&mut events).await;
        for event in events.drain(..) {
            assert!(matches!(event, Event::Acknowledged(_)), "{event:?}");
            acknowledged += 1;
        }
    }
    acknowledged
}

/// What the publisher is made of, without what it remembers: a batch is written, sent and acknowledged, then the next.
pub(crate) fn wire(bootstrap: &str, topic: &str, batches: usize) {
    let url = format!("kafka://{bootstrap}");
    let spec = UplinkSpec::new("bench", "bench", url.parse().expect("a URL"));
    let config = Arc::new(config::check(&spec).expect("a configuration"));
    let values = || -> Vec<Bytes> { (0..RECORDS_PER_BATCH).map(|_| Bytes::from(vec![b'x'; VALUE_BYTES])).collect() };
    let all: Vec<Vec<Bytes>> = (0..batches).map(|_| values()).collect();
    runtime().block_on(async {
        let mut cluster = Cluster::connect(config).await.expect("the broker serves");
        cluster.metadata(&[topic]).await.expect("metadata");
        let node = cluster.leader(topic, 0).expect("a leader");
        let id = cluster.request(node, &InitProducerId).await.expect("an answer");
        assert_eq!(id.error, 0);
        let mut stamp = Stamp { producer: id.id, epoch: id.epoch, sequence: 0 };
        let mut builder = Builder::default();
        write(&mut cluster, topic, &mut builder, &mut stamp, values()[..1].to_vec()).await;
        let (mut acknowledged, before) = (0, process::processor_time(std::process::id()));
        for batch in all {
            acknowledged += write(&mut cluster, topic, &mut builder, &mut stamp, batch).await;
        }
        tell(acknowledged, before);
    });
}

async fn write(
    cluster: &mut Cluster,
    topic: &str,
    builder: &mut Builder,
    stamp: &mut Stamp,
    values: Vec<Bytes>,
) -> usize {
    let time_ms = 1_764_300_000_000;
    for value in &values {
        builder.push(&NewRecord { time_ms, key: None, value: Some(value), headers: &Headers::default() });
    }
    let batch = builder.finish(*stamp, Compression::None).expect("memory");
    cluster.write(topic, 0, &batch, PATIENCE).await.expect("acknowledged");
    stamp.sequence += values.len() as i32;
    values.len()
}
