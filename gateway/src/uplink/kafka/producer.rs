//! The producer: which batch goes where under which sequence, and what an answer changes. Pure: it is told what has
//! happened and says what to ask, what to remember before that, and what to tell.
//!
//! ```text
//! message -> [route] -> stream (one a lane and partition) -> intent -> journal -> batch -> answer -> acknowledged
//! ```
//!
//! A [`stream::Stream`] holds at most five intents in flight, which is what a broker recognises again. Design: decision
//! record 10.

mod ask;
mod encoder;
mod intent;
mod metadata;
mod outcome;
mod routing;
mod stream;
mod tail;
mod topics;
mod turns;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::ask::{Answer, Ask, Sent, Target};
use self::encoder::Encoder;
use self::stream::{Phase, Stream};
use self::topics::Topics;
use super::config::Config;
use super::fleet::NodeId;
use super::journal::{Entry, Mark, Memory, StreamKey};
use crate::uplink::{Event, Lane, Lasting, Message, Refusal, SeqRange, Token};

/// Messages that may be in the producer's hands.
pub const MESSAGES_MAX: usize = 4_096;

/// Requests with batches on their way to one broker.
const REQUESTS_MAX: usize = 5;

/// Leaders and topics are looked up this often where nothing calls for it sooner.
const METADATA_EVERY: Duration = Duration::from_secs(300);

/// … and this often where something does.
const METADATA_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// … and this often while a leader cannot be reached, until the cluster has another.
const LEADER_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Lanes with producer ids of their own.
const LANES: usize = 3;

/// The producer of one uplink.
pub struct Producer {
    encoder: Encoder,
    topics: Topics,
    ids: [ProducerId; LANES],
    streams: Vec<Stream>,
    /// The number of the next stream in the journal.
    next_number: u32,
    by_key: BTreeMap<TopicName, BTreeMap<(u8, i32), usize>>,
    /// Where the messages belong that were sent in an earlier life or over an earlier connection.
    expected: HashMap<Mark, usize>,
    /// What is delivered and may be handed over again.
    done: BTreeSet<Mark>,
    unrouted: VecDeque<Arc<Message>>,
    held: usize,
    metadata: MetadataState,
    /// Requests with batches on their way, by broker.
    on_their_way: BTreeMap<NodeId, usize>,
    /// Brokers that asked to be left alone for a while.
    paused: BTreeMap<NodeId, Instant>,
    /// Brokers that could not be reached, and when they are called again.
    unreachable: BTreeMap<NodeId, Instant>,
    cluster: Option<Box<str>>,
    /// Whether answers that are on their way belong to streams that are no more.
    is_another: bool,
    events: Vec<Event>,
    entries: Vec<Entry>,
    figures: Figures,
}

/// What could not be kept, counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// How often a partition was read behind a fence because it was not known what it has.
    pub readings_behind_a_fence: u64,
    /// Messages that may stand twice, because the partition could not be asked or read.
    pub perhaps_doubled: u64,
    /// How often a topic was found to have been made anew.
    pub topics_made_anew: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProducerId {
    Wanted { not_before: Option<Instant> },
    Asked,
    Known(i64),
}

#[derive(Debug, Default)]
struct MetadataState {
    asked: bool,
    due: Option<Instant>,
    seen_at: Option<Instant>,
    /// Who answered asked to be left alone until then.
    quiet_until: Option<Instant>,
}

impl Producer {
    /// A producer that remembers.
    pub fn new(config: &Config, memory: Memory) -> Producer {
        let mut producer = Producer {
            encoder: Encoder::new(config),
            topics: Topics::default(),
            ids: [ProducerId::Wanted { not_before: None }; LANES],
            streams: Vec::new(),
            next_number: 0,
            by_key: BTreeMap::new(),
            expected: HashMap::new(),
            done: memory.done,
            unrouted: VecDeque::new(),
            held: 0,
            metadata: MetadataState::default(),
            on_their_way: BTreeMap::new(),
            paused: BTreeMap::new(),
            unreachable: BTreeMap::new(),
            cluster: memory.cluster,
            is_another: false,
            events: Vec::new(),
            entries: Vec::new(),
            figures: Figures::default(),
        };
        for (place, (number, remembered)) in memory.streams.into_iter().enumerate() {
            producer.next_number = number + 1;
            producer.topics.want(&remembered.key.topic);
            if let Some(id) = producer.ids.get_mut(usize::from(remembered.key.lane)) {
                *id = ProducerId::Known(remembered.producer);
            }
            let stream = Stream::remembered(number, remembered);
            producer.expected.extend(stream.missing_marks().map(|mark| (mark, place)));
            producer.remember(&stream.key, place);
            producer.streams.push(stream);
        }
        producer
    }

    /// How many messages more are taken.
    pub fn room(&self) -> usize {
        MESSAGES_MAX.saturating_sub(self.held)
    }

    /// What could not be kept.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// What to tell the pipeline.
    pub fn take_events(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.events);
    }

    /// Whether there is something to tell.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether the cluster is another one, since this was asked last: answers that are on their way are to be dropped.
    pub fn takes_no_old_answers(&mut self) -> bool {
        std::mem::take(&mut self.is_another)
    }

    /// What has to be written before anything that [`Producer::work`] named may leave.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Topics about which [`Ask::Metadata`] asks.
    pub fn topics(&self) -> Vec<&str> {
        self.topics.wanted()
    }

    /// The seqs of what may have to go again under the same sequences, lane by lane. Replays are not among them: their
    /// messages are made anew after a crash.
    pub fn open_seqs(&self) -> Vec<SeqRange> {
        let of_lane = |lane: u8| {
            let open = self.streams.iter().filter(move |stream| stream.key.lane == lane).flat_map(Stream::open_seqs);
            open.reduce(|one, two| SeqRange { first: one.first.min(two.first), last: one.last.max(two.last) })
        };
        [Lane::Live, Lane::History].into_iter().filter_map(|lane| of_lane(StreamKey::lane_of(lane))).collect()
    }

    /// Topic and partition of a stream.
    pub fn place(&self, stream: usize) -> (&str, i32) {
        self.streams.get(stream).map_or(("", 0), |stream| (&stream.key.topic, stream.key.partition))
    }

    /// A message to be sent. One that the partition has already comes back at once.
    pub fn send(&mut self, message: &Arc<Message>) {
        let mark = Mark::of(message);
        self.held += 1;
        if self.done.remove(&mark) {
            return self.acknowledge(message.token);
        }
        if !self.expected.is_empty()
            && let Some(stream) = self.expected.remove(&mark)
        {
            return self.streams[stream].fill(mark, message.clone());
        }
        if let Some(stream) = self.at_once(message) {
            return self.streams[stream].push(message.clone());
        }
        self.topics.want(&message.topic);
        self.unrouted.push_back(message.clone());
    }

    fn acknowledge(&mut self, token: Token) {
        self.held -= 1;
        self.events.push(Event::Acknowledged(token));
    }

    fn refuse(&mut self, message: &Message, lasting: Lasting, reason: &str) {
        self.held -= 1;
        let refusal = Refusal { reason: reason.into(), lasting };
        self.events.push(Event::Refused(message.token, refusal));
    }

    /// What to ask now. What is to be remembered lies in [`Producer::take_entries`] afterwards, and has to be written
    /// first.
    ///
    /// # Errors
    /// There is no memory to compress a batch.
    pub fn work(&mut self, now: Instant) -> std::io::Result<Vec<(Target, Ask)>> {
        let mut asks = Vec::new();
        self.route(now);
        self.ask_for_metadata(now, &mut asks);
        self.ask_for_ids(now, &mut asks);
        for number in 0..self.streams.len() {
            self.control(number, now, &mut asks);
        }
        self.produce(now, &mut asks)?;
        Ok(asks)
    }

    /// When [`Producer::work`] has something to do if nothing happens before.
    pub fn wake_at(&self, now: Instant) -> Instant {
        let streams = self.streams.iter().filter_map(|stream| stream.wake_at(now));
        let ids = self.ids.iter().filter_map(|id| match id {
            ProducerId::Wanted { not_before } => *not_before,
            ProducerId::Asked | ProducerId::Known(_) => None,
        });
        let paused = self.paused.values().chain(self.unreachable.values()).chain(&self.metadata.quiet_until).copied();
        let metadata =
            self.metadata.due.into_iter().chain([self.metadata.seen_at.unwrap_or(now) + self.metadata_every()]);
        streams.chain(ids).chain(paused).chain(metadata).filter(|at| *at > now).min().unwrap_or(now + METADATA_EVERY)
    }

    /// What a stream has to find out before it may go on.
    fn control(&mut self, number: usize, now: Instant, asks: &mut Vec<(Target, Ask)>) {
        let stream = &mut self.streams[number];
        if !stream.wants_control(now) {
            return;
        }
        let Some(leader) = self.topics.leader(&stream.key.topic, stream.key.partition) else {
            return self.look_again(now);
        };
        if self.unreachable.get(&leader).is_some_and(|until| *until > now) {
            return self.look_within(LEADER_AGAIN_AFTER, now);
        }
        if self.paused.get(&leader).is_some_and(|until| *until > now) {
            return;
        }
        if let Some(ask) = stream.control(number, &mut self.encoder, &mut self.entries) {
            asks.push((Target::Node(leader), ask));
        }
    }

    /// New intents where there is something to send, and one request for each broker and lane: of two batches of one
    /// partition in one request a broker appends the last, and answers for both.
    fn produce(&mut self, now: Instant, asks: &mut Vec<(Target, Ask)>) -> std::io::Result<()> {
        let mut requests: BTreeMap<(NodeId, u8), Vec<Sent>> = BTreeMap::new();
        let turns = self.turns();
        for number in 0..self.streams.len() {
            let stream = &mut self.streams[number];
            let before = turns.get(&number).copied().unwrap_or(u64::MAX);
            if !stream.has_work(now, before) {
                continue;
            }
            let Some(leader) = self.topics.leader(&stream.key.topic, stream.key.partition) else {
                self.look_again(now);
                continue;
            };
            if self.unreachable.get(&leader).is_some_and(|until| *until > now) {
                self.look_within(LEADER_AGAIN_AFTER, now);
                continue;
            }
            let place = (leader, stream.key.lane);
            let is_first = !requests.contains_key(&place);
            let busy = is_first && self.on_their_way.get(&leader).is_some_and(|count| *count >= REQUESTS_MAX);
            if busy || self.paused.get(&leader).is_some_and(|until| *until > now) {
                continue;
            }
            if let Some(sent) = stream.next_batch(number, before, &mut self.encoder, &mut self.entries)? {
                *self.on_their_way.entry(leader).or_default() += usize::from(is_first);
                requests.entry(place).or_default().push(sent);
            }
        }
        for ((node, _), mut batches) in requests {
            batches.sort_by(|one, two| self.streams[one.stream].key.topic.cmp(&self.streams[two.stream].key.topic));
            asks.push((Target::Node(node), Ask::Produce { node, batches }));
        }
        Ok(())
    }

    /// The connection to the cluster is over: messages will be handed over anew, and find their intents again.
    pub fn lost(&mut self) {
        self.unrouted.clear();
        self.held = 0;
        self.metadata = MetadataState::default();
        self.on_their_way.clear();
        self.unreachable.clear();
        for id in &mut self.ids {
            if *id == ProducerId::Asked {
                *id = ProducerId::Wanted { not_before: None };
            }
        }
        for (number, stream) in self.streams.iter_mut().enumerate() {
            stream.lost();
            self.expected.extend(stream.missing_marks().map(|mark| (mark, number)));
        }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phases: Vec<&Phase> = self.streams.iter().map(|stream| &stream.phase).collect();
        f.debug_struct("Producer").field("held", &self.held).field("phases", &phases).finish_non_exhaustive()
    }
}

/// A topic's name, shared.
type TopicName = Arc<str>;

#[cfg(test)]
mod tests;
