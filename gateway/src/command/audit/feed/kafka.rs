//! Topics of Kafka, all partitions at once, in the order of the records' times as far as it goes.
//!
//! A reading's number says nothing of its partition; so that what is held to find holes stays small, the partition whose
//! next batch is the oldest goes first. Held in memory is one answer a partition.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use buffer::Seq;
use tokio::time::{Instant, sleep};

use super::marks::Marks;
use super::{Heard, Left};
use crate::command::audit::latency::Arrival;
use crate::uplink::ConnectError;
use crate::uplink::kafka::batch::{self, Batch, Record};
use crate::uplink::kafka::cluster::Cluster;
use crate::uplink::kafka::config::Config;
use crate::uplink::kafka::error;
use crate::uplink::kafka::wire::{Fetch, FetchPart, Isolation, ListOffsets, OffsetAt};
use crate::uplink::mqtt::subscriber::Arrived;

/// What is asked of a partition at once, bytes: for few partitions, and for many.
const FETCH_BYTES_MAX: i32 = 1 << 20;
const FETCH_BYTES_MIN: i32 = 64 << 10;

/// How many partitions are read.
const PARTITIONS_MAX: usize = 4_096;

/// How long a broker that went away is called.
const CALL_FOR: Duration = Duration::from_secs(60);

const CALL_EVERY: Duration = Duration::from_secs(1);

/// How long a broker may wait for new records where the audit follows.
const WAIT: Duration = Duration::from_millis(500);

/// How many gateways' first readings are remembered for each partition.
const GATEWAYS_MAX: usize = 32;

/// What stands before a payload whose schema a registry knows.
const HEAD_BYTES: usize = 5;

/// From where on the topics are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command::audit) enum From {
    /// All that they keep.
    Start,
    /// Records of this time and later, milliseconds since 1970.
    Time(i64),
}

/// The topics of one audit.
pub(in crate::command::audit) struct Kafka {
    config: Arc<Config>,
    topics: Vec<Box<str>>,
    from: From,
    /// Whether it goes on when all that was there at the start has been read.
    follow: Follow,
    cluster: Option<Cluster>,
    parts: Vec<Part>,
    left: Left,
}

/// Whether what comes during the audit is read, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command::audit) enum Follow {
    Yes,
    No,
}

/// One partition.
struct Part {
    topic: Box<str>,
    index: i32,
    /// The next offset to fetch.
    next: i64,
    /// Where it ended when the audit began: what is behind is seen to arrive.
    end: i64,
    /// Whether it began with its first record.
    is_whole: bool,
    /// The records of each batch that was fetched and not yet handed over.
    batches: VecDeque<VecDeque<Record>>,
    /// The first seq of each gateway.
    firsts: BTreeMap<Box<str>, Seq>,
}

impl Kafka {
    pub(in crate::command::audit) fn new(config: Config, topics: Vec<Box<str>>, from: From, follow: Follow) -> Kafka {
        let config = Arc::new(config);
        Kafka { config, topics, from, follow, cluster: None, parts: Vec::new(), left: Left::default() }
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.config.endpoint
    }

    pub(super) fn left(&self) -> Left {
        self.left.clone()
    }

    pub(super) async fn connect(&mut self) -> Result<(), ConnectError> {
        let mut cluster = Cluster::connect(self.config.clone()).await?;
        let parts = find(&mut cluster, &self.topics, self.from).await;
        let endpoint = self.config.endpoint.to_string();
        self.parts = parts.map_err(|(cause, advice)| ConnectError { endpoint, cause, advice })?;
        self.cluster = Some(cluster);
        let left = self.parts.iter().map(|part| part.end.saturating_sub(part.next).max(0) as u64).sum();
        self.left.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// May be dropped and called again: what was fetched is in the partitions.
    pub(super) async fn next(&mut self) -> Result<Option<Heard>, String> {
        loop {
            if let Some(index) = self.parts.iter().position(Part::is_behind) {
                self.fetch(index, Duration::ZERO).await?;
            } else if let Some(heard) = self.oldest() {
                return Ok(Some(heard));
            } else if self.follow == Follow::No {
                return Ok(None);
            } else {
                self.follow().await?;
            }
        }
    }

    /// The oldest record of those that were fetched.
    fn oldest(&mut self) -> Option<Heard> {
        let time = |part: &Part| part.batches.front()?.front().map(|record| record.time_ms);
        let (_, part) =
            self.parts.iter_mut().filter_map(|part| Some((time(part)?, part))).min_by_key(|(time, _)| *time)?;
        let batch = part.batches.front_mut()?;
        let record = batch.pop_front()?;
        if batch.is_empty() {
            part.batches.pop_front();
        }
        if record.offset < part.end {
            let left = self.left.load(Ordering::Relaxed);
            self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        }
        Some(part.heard(record))
    }

    /// What has come since, of all partitions.
    async fn follow(&mut self) -> Result<(), String> {
        for index in 0..self.parts.len() {
            let wait = if index + 1 == self.parts.len() { WAIT } else { Duration::ZERO };
            self.fetch(index, wait).await?;
        }
        Ok(())
    }

    /// Records of one partition. A leader that moved or went away is looked for.
    async fn fetch(&mut self, index: usize, wait: Duration) -> Result<(), String> {
        let until = Instant::now() + CALL_FOR;
        loop {
            let Err((cause, again)) = self.fetch_once(index, wait).await else { return Ok(()) };
            if again == Again::No || Instant::now() >= until {
                return Err(cause);
            }
            sleep(CALL_EVERY).await;
            self.look_around().await;
        }
    }

    /// The leaders as they are now. Where no broker answers, the old ones are tried.
    async fn look_around(&mut self) {
        let topics: Vec<&str> = self.topics.iter().map(|topic| &**topic).collect();
        let lost = match &mut self.cluster {
            Some(cluster) => cluster.metadata(&topics).await.is_err(),
            None => true,
        };
        if lost && let Ok(cluster) = Cluster::connect(self.config.clone()).await {
            self.cluster = Some(cluster);
        }
    }

    async fn fetch_once(&mut self, index: usize, wait: Duration) -> Result<(), (String, Again)> {
        let bytes_max = (FETCH_BYTES_MAX * 8 / self.parts.len().clamp(8, 128) as i32).max(FETCH_BYTES_MIN);
        let (Some(cluster), Some(part)) = (&mut self.cluster, self.parts.get_mut(index)) else {
            return Err(("there is no connection".into(), Again::Yes));
        };
        let place = format!("partition {} of {}", part.index, part.topic);
        let Some(leader) = cluster.seen().leader(&part.topic, part.index) else {
            return Err((format!("{place} has no leader"), Again::Yes));
        };
        let wanted = FetchPart { topic: &part.topic, partition: part.index, offset: part.next };
        let (wait_ms, level) = (wait.as_millis() as i32, Isolation::Uncommitted);
        let request = Fetch { wait_ms, bytes_max, level, parts: vec![wanted] };
        let answer = cluster.request(leader, &request).await;
        let (code, fetched) = answer.map_err(|failure| (format!("{place}: {}", failure.cause), Again::Yes))?;
        let fetched = fetched.into_iter().next().unwrap_or_default();
        match if code == 0 { fetched.error } else { code } {
            0 => {}
            error::code::OFFSET_OUT_OF_RANGE => {
                let cause = format!(
                    "{place} lost records to its retention while they were read: offset {} is gone, it begins with {}",
                    part.next, fetched.start
                );
                return Err((cause, Again::No));
            }
            code @ (error::code::TOPIC_AUTHORIZATION_FAILED | error::code::CLUSTER_AUTHORIZATION_FAILED) => {
                return Err((format!("{place}: {}. {}", error::name(code), READ_RIGHT), Again::No));
            }
            code => return Err((format!("{place}: {}", error::name(code)), Again::Yes)),
        }
        let batches = batch::read(fetched.batches).map_err(|cause| (format!("{place}: {cause}"), Again::No))?;
        if batches.is_empty() && part.next < fetched.high_watermark.min(part.end) {
            return Err((format!("{place}: a batch is larger than what is read at once"), Again::No));
        }
        part.take_in(batches);
        Ok(())
    }

    /// For each gateway whose first readings the topics may no longer have: from which seq on all of them are there.
    pub(super) fn begin(&self) -> BTreeMap<&str, Seq> {
        let mut begin = BTreeMap::new();
        if self.parts.iter().all(|part| part.is_whole) {
            return begin;
        }
        for (gateway, first) in self.parts.iter().flat_map(|part| &part.firsts) {
            let known = begin.entry(&**gateway).or_insert(*first);
            *known = (*known).max(*first);
        }
        begin
    }
}

const READ_RIGHT: &str = "Permit the user to read and to describe the topic";

/// Whether to try again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

impl Part {
    /// Whether it has older records than those that were fetched of others.
    fn is_behind(&self) -> bool {
        self.batches.is_empty() && self.next < self.end
    }

    fn take_in(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            // The batch that holds the first offset comes whole.
            let next = self.next;
            let records: VecDeque<Record> = batch.records.into_iter().filter(|record| record.offset >= next).collect();
            self.next = next.max(batch.next_offset);
            if !records.is_empty() {
                self.batches.push_back(records);
            }
        }
    }

    fn heard(&mut self, record: Record) -> Heard {
        let header = |name| record.header(name).unwrap_or_default();
        let gateway = String::from_utf8_lossy(header("gateway")).into_owned();
        let key = record.key.as_deref().unwrap_or_default();
        let marks = Marks::of(header("epoch"), header("seq"), header("content-type"), key, record.time_ms);
        if let Some(marks) = &marks
            && !self.firsts.contains_key(&*gateway)
            && self.firsts.len() < GATEWAYS_MAX
        {
            self.firsts.insert(gateway.as_str().into(), marks.seqs.first);
        }
        let arrival = if record.offset < self.end { Arrival::Recorded(record.time_ms) } else { Arrival::Now };
        let payload = record.value.as_deref().unwrap_or_default();
        let payload = match payload.get(HEAD_BYTES) {
            Some(b'{') if payload[0] == 0 => &payload[HEAD_BYTES..],
            _ => payload,
        };
        let message = Arrived {
            topic: self.topic.to_string(),
            payload: payload.to_vec(),
            gateway: (!gateway.is_empty()).then_some(gateway),
            ..Arrived::default()
        };
        Heard { message, arrival, marks }
    }
}

/// All partitions of the topics, from where they are to be read.
async fn find(cluster: &mut Cluster, topics: &[Box<str>], from: From) -> Result<Vec<Part>, (String, &'static str)> {
    let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
    let seen = cluster.metadata(&names).await.map_err(|failure| (failure.cause, failure.advice))?;
    let mut parts = Vec::new();
    for topic in &seen.topics {
        if topic.error != 0 {
            let cause = format!("the topic {}: {}", topic.name, error::name(topic.error));
            return Err((cause, "Check `--topic`, and permit the user to read and to describe the topic"));
        }
        let mut indices: Vec<i32> = topic.partitions.iter().map(|partition| partition.index).collect();
        indices.sort_unstable();
        for index in indices.into_iter().take(PARTITIONS_MAX.saturating_sub(parts.len())) {
            let mut at = [0; 3];
            let wanted = match from {
                From::Start => OffsetAt::Start,
                From::Time(time_ms) => OffsetAt::Time(time_ms),
            };
            for (offset, wanted) in at.iter_mut().zip([OffsetAt::Start, OffsetAt::End, wanted]) {
                *offset = offset_at(cluster, &topic.name, index, wanted).await?;
            }
            let [start, end, next] = at;
            // There is no record of that time or later.
            let next = if next < 0 { end } else { next };
            let is_whole = start == 0 && next == start;
            let (topic, batches, firsts) = (topic.name.as_str().into(), VecDeque::new(), BTreeMap::new());
            parts.push(Part { topic, index, next, end, is_whole, batches, firsts });
        }
    }
    Ok(parts)
}

async fn offset_at(
    cluster: &mut Cluster,
    topic: &str,
    index: i32,
    at: OffsetAt,
) -> Result<i64, (String, &'static str)> {
    let place = format!("partition {index} of {topic}");
    let leader = cluster.seen().leader(topic, index);
    let leader = leader.ok_or_else(|| (format!("{place} has no leader"), "Look after the brokers and try again"))?;
    let answer = cluster.request(leader, &ListOffsets { parts: vec![(topic, index, at)] }).await;
    let found = answer.map_err(|failure| (format!("{place}: {}", failure.cause), failure.advice))?;
    match found.first() {
        Some(found) if found.error == 0 => Ok(found.offset),
        Some(found) => Err((format!("{place}: {}", error::name(found.error)), error::advice(found.error))),
        None => Err((format!("{place} is not told of"), "Look into the broker's log")),
    }
}
