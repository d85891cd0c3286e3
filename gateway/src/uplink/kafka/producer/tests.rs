//! The producer against a broker of a hundred lines that does what the real one was seen to do (`tests/e2e/kafka/facts`),
//! with answers that get lost, leaders that refuse, kills and power cuts.

mod broker;

use std::collections::BTreeMap;

use bytes::Bytes;
use driver_core::Timestamp;
use proptest::prelude::*;

use self::broker::{Broker, Fault};
use super::*;
use crate::uplink::kafka::config::check;
use crate::uplink::{Lane, UplinkSpec};

const IDENTITY: &str = "uuid";

fn config() -> Config {
    let spec = UplinkSpec {
        identity: IDENTITY.into(),
        ..UplinkSpec::new("g", "lake", "kafka://h?compression=none&batch=1024".parse().expect("a URL"))
    };
    check(&spec).expect("a configuration")
}

fn message(seq: u64, lane: Lane) -> Message {
    Message {
        token: Token { lane, seq, part: 0 },
        topic: "plant".into(),
        key: Some(Bytes::from(format!("key {}", seq % 7))),
        payload: Bytes::from(format!("value {seq}")),
        time: Some(Timestamp(1)),
        content_type: "text/plain",
        epoch: 3,
        seqs: buffer::SeqRange { first: seq, last: seq },
    }
}

/// A gateway: the log of messages with what was acknowledged, the journal, and the producer of this life.
struct Gateway {
    now: Instant,
    messages: u64,
    acknowledged: BTreeSet<u64>,
    /// What the log knows; a kill takes it back to here.
    committed: BTreeSet<u64>,
    sent: BTreeSet<u64>,
    refused: Vec<(u64, Lasting)>,
    journal: Vec<Entry>,
    durable: usize,
    producer: Producer,
    lane: Lane,
}

impl Gateway {
    fn new(messages: u64) -> Gateway {
        Gateway {
            now: Instant::now(),
            messages,
            acknowledged: BTreeSet::new(),
            committed: BTreeSet::new(),
            sent: BTreeSet::new(),
            refused: Vec::new(),
            journal: Vec::new(),
            durable: 0,
            producer: Producer::new(&config(), Memory::default()),
            lane: Lane::Live,
        }
    }

    /// Hands over up to `count` messages of the log, in its order.
    fn hand_over(&mut self, count: usize) {
        let due = (0..self.messages).filter(|seq| !self.sent.contains(seq) && !self.acknowledged.contains(seq));
        for seq in due.take(count).collect::<Vec<_>>() {
            self.sent.insert(seq);
            self.producer.send(&message(seq, self.lane));
        }
    }

    /// One round of work against the broker.
    fn round(&mut self, broker: &mut Broker, faults: &mut dyn FnMut() -> Fault) {
        let asks = self.producer.work(self.now).expect("memory");
        for entry in self.producer.take_entries() {
            let durable = entry.must_be_durable();
            self.journal.push(entry);
            if durable {
                self.durable = self.journal.len();
            }
        }
        for (_, ask) in asks {
            let fault = faults();
            match broker.answer(&ask, &self.producer, fault) {
                Some(answer) => self.producer.answered(ask, answer, self.now),
                None => self.producer.failed(ask, self.now),
            }
        }
        self.now += Duration::from_millis(150);
        self.take_events();
    }

    fn take_events(&mut self) {
        let mut events = Vec::new();
        self.producer.take_events(&mut events);
        for event in events {
            match event {
                Event::Acknowledged(token) => assert!(self.acknowledged.insert(token.seq), "{token:?} twice"),
                Event::Refused(token, refusal) => {
                    self.sent.remove(&token.seq);
                    self.refused.push((token.seq, refusal.lasting));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// SIGKILL: the journal is whole, the cursor is a little behind.
    fn kill(&mut self) {
        self.live_again(self.journal.len(), true);
    }

    /// The journal ends where it was last synced.
    fn power_cut(&mut self) {
        self.live_again(self.durable, false);
    }

    fn live_again(&mut self, kept: usize, is_whole: bool) {
        // Entries of this life that were not yet written never were.
        self.journal.truncate(kept);
        let mut memory = Memory::default();
        self.journal.iter().cloned().for_each(|entry| memory.take(entry));
        if !is_whole {
            memory.doubt_everything();
        }
        self.journal = memory.entries();
        self.durable = self.journal.len();
        self.acknowledged = self.committed.clone();
        self.sent.clear();
        self.producer = Producer::new(&config(), memory);
        self.lane = if self.lane == Lane::Live { Lane::History } else { Lane::Live };
    }

    fn lose(&mut self) {
        self.take_events();
        self.producer.lost();
        self.sent.clear();
    }

    fn commit(&mut self) {
        self.committed = self.acknowledged.clone();
    }

    fn deliver_all(&mut self, broker: &mut Broker) {
        for _ in 0..4_000 {
            if self.acknowledged.len() as u64 == self.messages {
                return;
            }
            self.hand_over(64);
            self.round(broker, &mut || Fault::None);
        }
        panic!("stuck: {:?} with {} of {}", self.producer, self.acknowledged.len(), self.messages);
    }
}

/// Each message stands in the partitions exactly once, and those of one key in their order.
fn assert_exactly_once(broker: &Broker, messages: u64) {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for seq in broker.seqs() {
        *counts.entry(seq).or_default() += 1;
    }
    let lost: Vec<u64> = (0..messages).filter(|seq| !counts.contains_key(seq)).collect();
    let doubled: Vec<u64> = counts.iter().filter(|(_, count)| **count > 1).map(|(seq, _)| *seq).collect();
    assert_eq!((lost, doubled), (vec![], vec![]));
}

#[test]
fn without_faults_everything_arrives_once_and_in_order() {
    let (mut gateway, mut broker) = (Gateway::new(500), Broker::new(3));
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 500);
    for partition in broker.partitions() {
        assert!(partition.is_sorted());
    }
    assert_eq!(gateway.producer.figures(), Figures::default());
    assert!(gateway.producer.room() == MESSAGES_MAX);
}

#[test]
fn what_is_live_and_what_is_history_leave_for_one_partition_in_requests_of_their_own() {
    let (mut gateway, mut broker) = (Gateway::new(400), Broker::new(2));
    for seq in 0..400 {
        gateway.sent.insert(seq);
        gateway.producer.send(&message(seq, if seq < 200 { Lane::History } else { Lane::Live }));
    }
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 400);
}

#[test]
fn what_was_appended_and_never_answered_goes_again_under_the_same_sequences_and_is_recognised() {
    let (mut gateway, mut broker) = (Gateway::new(100), Broker::new(1));
    gateway.hand_over(100);
    for _ in 0..4 {
        gateway.round(&mut broker, &mut || Fault::AnswerLost);
    }
    gateway.kill();
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 100);
}

#[test]
fn after_a_power_cut_the_partition_is_read_behind_a_fence() {
    let (mut gateway, mut broker) = (Gateway::new(200), Broker::new(2));
    gateway.hand_over(100);
    (0..6).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    gateway.power_cut();
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 200);
    assert!(gateway.producer.figures().readings_behind_a_fence > 0);
}

#[test]
fn a_producer_that_the_partition_has_forgotten_reads_before_it_sends_again() {
    let (mut gateway, mut broker) = (Gateway::new(50), Broker::new(1));
    gateway.hand_over(50);
    (0..3).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    gateway.round(&mut broker, &mut || Fault::AnswerLost);
    broker.forget_producers();
    gateway.kill();
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 50);
}

#[test]
fn a_doubt_outlives_an_answer_that_says_not_now_and_a_lost_connection() {
    let (mut gateway, mut broker) = (Gateway::new(20), Broker::new(1));
    let mut faults = [Fault::None, Fault::None, Fault::None, Fault::CodeAfterAppend(20), Fault::None, Fault::Code(6)]
        .into_iter()
        .chain(std::iter::repeat(Fault::RequestLost));
    gateway.hand_over(20);
    (0..12).for_each(|_| gateway.round(&mut broker, &mut || faults.next().unwrap_or(Fault::None)));
    gateway.lose();
    broker.forget_producers();
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 20);
}

#[test]
fn a_second_gateway_with_the_same_identity_stops_the_first() {
    let (mut gateway, mut broker) = (Gateway::new(50), Broker::new(1));
    gateway.hand_over(20);
    (0..6).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    broker.raise_epochs();
    gateway.hand_over(30);
    (0..20).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    assert!(format!("{:?}", gateway.producer).contains("Foreign"), "{:?}", gateway.producer);
    assert_eq!(gateway.acknowledged.len(), 20);
}

#[test]
fn a_record_that_is_too_large_is_found_and_refused_and_the_rest_flows() {
    let (mut gateway, mut broker) = (Gateway::new(60), Broker::new(1));
    broker.too_large = Some(33);
    for _ in 0..200 {
        gateway.hand_over(60);
        gateway.round(&mut broker, &mut || Fault::None);
        if gateway.acknowledged.len() == 59 {
            break;
        }
    }
    assert_eq!(gateway.acknowledged.len(), 59);
    assert!(gateway.refused.iter().all(|refused| *refused == (33, Lasting::ForThisMessage)), "{:?}", gateway.refused);
    assert_eq!(broker.seqs().len(), 59);
}

#[test]
fn a_topic_that_was_made_anew_gets_what_was_not_acknowledged() {
    let (mut gateway, mut broker) = (Gateway::new(80), Broker::new(2));
    gateway.hand_over(40);
    (0..6).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    gateway.commit();
    let before = gateway.acknowledged.len();
    broker.make_anew();
    gateway.kill();
    gateway.deliver_all(&mut broker);
    assert_eq!(broker.seqs().len(), 80 - before);
    assert!(gateway.producer.figures().topics_made_anew > 0);
}

#[test]
fn a_topic_that_is_not_there_is_told_and_nothing_is_dropped() {
    let (mut gateway, mut broker) = (Gateway::new(5), Broker::new(0));
    gateway.hand_over(5);
    (0..6).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    assert_eq!(gateway.refused.len(), 5);
    assert!(gateway.refused.iter().all(|(_, lasting)| *lasting == Lasting::ForNow));
    broker = Broker::new(2);
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 5);
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::RequestLost),
        1 => Just(Fault::AnswerLost),
        1 => Just(Fault::Code(6)),
        1 => Just(Fault::Code(7)),
        1 => Just(Fault::CodeAfterAppend(20)),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Step {
    HandOver(usize),
    Rounds(usize),
    Commit,
    Kill,
    PowerCut,
    Lose,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..40).prop_map(Step::HandOver),
        6 => (1_usize..5).prop_map(Step::Rounds),
        2 => Just(Step::Commit),
        2 => Just(Step::Kill),
        1 => Just(Step::PowerCut),
        1 => Just(Step::Lose),
        1 => Just(Step::Forget),
    ]
}

#[test]
fn a_leader_that_cannot_be_reached_is_left_alone_for_a_while_and_another_is_looked_for() {
    let (mut gateway, mut broker) = (Gateway::new(1), Broker::new(1));
    let mut producing = None;
    gateway.hand_over(1);
    for _ in 0..20 {
        for (_, ask) in gateway.producer.work(gateway.now).expect("memory") {
            let answer = broker.answer(&ask, &gateway.producer, Fault::None).expect("an answer");
            match ask {
                Ask::Produce { node, .. } => producing = Some((node, ask)),
                _ => gateway.producer.answered(ask, answer, gateway.now),
            }
        }
        gateway.now += Duration::from_millis(150);
        if producing.is_some() {
            break;
        }
    }
    let (node, ask) = producing.expect("it is about to produce");
    gateway.producer.failed(ask, gateway.now);
    let until = gateway.now + Duration::from_secs(5);
    gateway.producer.unreachable(node, until);
    let mut looked = 0;
    while gateway.now < until {
        for (_, ask) in gateway.producer.work(gateway.now).expect("memory") {
            assert!(matches!(ask, Ask::Metadata), "{ask:?} goes to who cannot be reached");
            looked += 1;
            let answer = broker.answer(&ask, &gateway.producer, Fault::None).expect("an answer");
            gateway.producer.answered(ask, answer, gateway.now);
        }
        gateway.producer.take_entries();
        assert!(gateway.producer.wake_at(gateway.now) <= until);
        gateway.now += Duration::from_millis(50);
    }
    assert!((4..=7).contains(&looked), "looked {looked} times in five seconds");
    for _ in 0..20 {
        gateway.round(&mut broker, &mut || Fault::None);
    }
    assert_eq!(gateway.acknowledged.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everything_arrives_exactly_once(
        steps in proptest::collection::vec(step(), 1..40),
        faults in proptest::collection::vec(fault(), 1..60),
    ) {
        let (mut gateway, mut broker) = (Gateway::new(300), Broker::new(2));
        let mut cycle = faults.into_iter().cycle();
        for step in steps {
            match step {
                Step::HandOver(count) => gateway.hand_over(count),
                Step::Rounds(count) => {
                    (0..count).for_each(|_| gateway.round(&mut broker, &mut || cycle.next().unwrap_or(Fault::None)));
                }
                Step::Commit => gateway.commit(),
                Step::Kill => gateway.kill(),
                Step::PowerCut => gateway.power_cut(),
                Step::Lose => gateway.lose(),
                Step::Forget => {
                    // A partition forgets in minutes: what was asked before has been acted upon by then.
                    (0..40).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
                    broker.forget_producers();
                }
            }
        }
        gateway.deliver_all(&mut broker);
        assert_exactly_once(&broker, 300);
        prop_assert_eq!(gateway.producer.figures().perhaps_doubled, 0);
    }
}
