//! The gateway's own connection, asked one thing after the other.

use std::sync::Arc;
use std::time::Duration;

use forebay::uplink::UplinkSpec;
use forebay::uplink::kafka::batch::{Builder, Compression, Headers, NewRecord, Record, Stamp, read};
use forebay::uplink::kafka::cluster::Cluster;
use forebay::uplink::kafka::config::check;
use forebay::uplink::kafka::wire::{
    DescribeProducers, Fetch, FetchPart, InitProducerId, Isolation, ListOffsets, OffsetAt, Produce, ProducePart,
    ProducerState,
};
use tests::wait;
use tokio::runtime::{Builder as Runtimes, Runtime};

/// What a broker answers that has just started.
const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;

/// How long a cluster may be without a leader.
const LEADS_WITHIN: Duration = Duration::from_secs(60);

/// A connection to a cluster on a runtime of its own.
pub(super) struct Asks {
    runtime: Runtime,
    cluster: Cluster,
}

/// Records of one batch.
pub(super) struct Records<'a> {
    pub(super) stamp: Stamp,
    pub(super) values: &'a [&'a str],
    pub(super) time_ms: i64,
}

pub(super) fn spec(url: &str) -> UplinkSpec {
    UplinkSpec::new("tests", "kafka", url.parse().expect("a URL"))
}

pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    since.as_millis() as i64
}

impl Asks {
    /// Connects; the error as an operator reads it.
    pub(super) fn connect(spec: &UplinkSpec) -> Result<Asks, String> {
        let runtime = Runtimes::new_current_thread().enable_all().build().expect("a runtime");
        let config = check(spec).map_err(|errors| format!("{errors:?}"))?;
        let cluster = runtime.block_on(Cluster::connect(Arc::new(config))).map_err(|error| error.to_string())?;
        Ok(Asks { runtime, cluster })
    }

    pub(super) fn of(bootstrap: &str) -> Asks {
        Asks::connect(&spec(&format!("kafka://{bootstrap}"))).expect("it serves")
    }

    pub(super) fn leader(&mut self, topic: &str, partition: i32) -> i32 {
        wait::until("somebody leads", LEADS_WITHIN, || {
            let seen = self.runtime.block_on(self.cluster.metadata(&[topic])).ok()?;
            seen.leader(topic, partition)
        })
    }

    pub(super) fn new_producer(&mut self) -> i64 {
        let node = self.cluster.seen().brokers[0].node;
        loop {
            let answer = self.runtime.block_on(self.cluster.request(node, &InitProducerId)).expect("an answer");
            if answer.error != COORDINATOR_LOAD_IN_PROGRESS {
                assert_eq!((answer.error, answer.epoch), (0, 0));
                return answer.id;
            }
        }
    }

    /// The error code and the offset.
    pub(super) fn produce(&mut self, topic: &str, records: &Records<'_>) -> (i16, i64) {
        self.produce_in(topic, records, Compression::None)
    }

    pub(super) fn produce_in(&mut self, topic: &str, records: &Records<'_>, compression: Compression) -> (i16, i64) {
        let mut builder = Builder::default();
        for value in records.values {
            let value = Some(value.as_bytes());
            builder.push(&NewRecord {
                time_ms: records.time_ms,
                key: Some(b"key"),
                value,
                headers: &Headers::default(),
            });
        }
        let batch = builder.finish(records.stamp, compression).expect("memory");
        let node = self.leader(topic, 0);
        let parts = vec![ProducePart { topic, partition: 0, batch: &batch }];
        let request = Produce { timeout_ms: 10_000, parts };
        let answer = self.runtime.block_on(self.cluster.request(node, &request)).expect("an answer");
        (answer.parts[0].error, answer.parts[0].offset)
    }

    pub(super) fn producers(&mut self, topic: &str) -> Vec<ProducerState> {
        let node = self.leader(topic, 0);
        let request = DescribeProducers { parts: vec![(topic, 0)] };
        let mut answer = self.runtime.block_on(self.cluster.request(node, &request)).expect("an answer");
        assert_eq!(answer[0].error, 0);
        answer.remove(0).producers
    }

    /// Behind the last record; asks again while leaders change.
    pub(super) fn end(&mut self, topic: &str, partition: i32) -> i64 {
        wait::until("a leader tells the end", LEADS_WITHIN, || {
            let node = self.leader(topic, partition);
            let request = ListOffsets { parts: vec![(topic, partition, OffsetAt::End)] };
            let answer = self.runtime.block_on(self.cluster.request(node, &request)).ok()?;
            (answer[0].error == 0).then_some(answer[0].offset)
        })
    }

    /// All records of a partition; asks again while leaders change.
    pub(super) fn records(&mut self, topic: &str, partition: i32) -> Vec<Record> {
        let (end, mut offset, mut records) = (self.end(topic, partition), 0, Vec::new());
        while offset < end {
            let batches = wait::until("a leader gives records", LEADS_WITHIN, || {
                let node = self.leader(topic, partition);
                let parts = vec![FetchPart { topic, partition, offset }];
                let request = Fetch { wait_ms: 500, bytes_max: 4 << 20, level: Isolation::Uncommitted, parts };
                let (error, mut fetched) = self.runtime.block_on(self.cluster.request(node, &request)).ok()?;
                (error == 0 && fetched[0].error == 0).then(|| fetched.remove(0).batches)
            });
            for batch in read(batches).expect("batches") {
                offset = batch.next_offset;
                records.extend(batch.records);
            }
        }
        records
    }

    /// The bytes of all batches of a partition as they lie there.
    pub(super) fn batch_sizes(&mut self, topic: &str, partition: i32) -> Vec<usize> {
        let (end, mut offset, mut sizes) = (self.end(topic, partition), 0, Vec::new());
        while offset < end {
            let node = self.leader(topic, partition);
            let parts = vec![FetchPart { topic, partition, offset }];
            // One batch comes whole even if it is larger than what is asked for.
            let request = Fetch { wait_ms: 500, bytes_max: 1, level: Isolation::Uncommitted, parts };
            let (_, mut fetched) = self.runtime.block_on(self.cluster.request(node, &request)).expect("an answer");
            let bytes = fetched.remove(0).batches;
            sizes.push(bytes.len());
            offset = read(bytes).expect("batches").last().expect("a batch").next_offset;
        }
        sizes
    }

    pub(super) fn topic_id(&mut self, topic: &str) -> [u8; 16] {
        let seen = self.runtime.block_on(self.cluster.metadata(&[topic])).expect("metadata");
        seen.topics[0].id
    }
}
