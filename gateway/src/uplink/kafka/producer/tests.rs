//! The producer against a broker of a hundred lines that does what the real one was seen to do (`tests/e2e/kafka/facts`),
//! with answers that get lost, leaders that refuse, kills and power cuts.

mod broker;

use std::collections::BTreeMap;

use bytes::Bytes;
use driver_core::Timestamp;
use proptest::prelude::*;

use self::broker::{Broker, Fault};
use super::*;
use crate::uplink::kafka::batch::HEAD_BYTES;
use crate::uplink::kafka::config::check;
use crate::uplink::{Lane, UplinkSpec};

const IDENTITY: &str = "uuid";

const BATCH_BYTES: usize = 1_024;

const KEYS: u64 = 7;
const URL: &str = "kafka://h?compression=none&batch=1024";

fn config() -> Config {
    let spec = UplinkSpec { identity: IDENTITY.into(), ..UplinkSpec::new("g", "lake", URL.parse().expect("a URL")) };
    check(&spec).expect("a configuration")
}

fn message(seq: u64, lane: Lane) -> Arc<Message> {
    Arc::new(Message {
        token: Token { lane, seq, part: 0 },
        topic: "plant".into(),
        key: Some(Bytes::from(format!("key {}", seq % KEYS))),
        payload: Bytes::from(format!("value {seq}")),
        time: Some(Timestamp(1)),
        content_type: "text/plain".into(),
        epoch: 3,
        seqs: buffer::SeqRange { first: seq, last: seq },
        readings: 1,
    })
}

/// A gateway: the log of messages with what was acknowledged, the journal, and the producer of this life.
struct Gateway {
    now: Instant,
    messages: u64,
    acknowledged: BTreeSet<u64>,
    /// What the buffer holds no more, because it was thinned to make room.
    thinned: BTreeSet<u64>,
    /// What the log knows; a kill takes it back to here.
    committed: BTreeSet<u64>,
    sent: BTreeSet<u64>,
    refused: Vec<(u64, Lasting)>,
    /// What was refused often enough.
    set_aside: BTreeSet<u64>,
    /// How many rounds an answer takes.
    delay: usize,
    rounds: usize,
    /// Questions and their answers, by the round in which these come.
    under_way: VecDeque<(usize, Ask, Option<Answer>)>,
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
            thinned: BTreeSet::new(),
            committed: BTreeSet::new(),
            sent: BTreeSet::new(),
            refused: Vec::new(),
            set_aside: BTreeSet::new(),
            delay: 0,
            rounds: 0,
            under_way: VecDeque::new(),
            journal: Vec::new(),
            durable: 0,
            producer: Producer::new(&config(), Memory::default()),
            lane: Lane::Live,
        }
    }

    /// Hands over up to `count` messages of the log, in its order.
    fn hand_over(&mut self, count: usize) {
        let is_due = |seq: &u64| {
            ![&self.sent, &self.acknowledged, &self.thinned, &self.set_aside].iter().any(|set| set.contains(seq))
        };
        let due = (0..self.messages).filter(is_due);
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
            if let Ask::Produce { batches, .. } = &ask {
                assert!(batches.iter().all(|sent| sent.batch.len() <= HEAD_BYTES + BATCH_BYTES), "{batches:?}");
            }
            let answer = broker.answer(&ask, &self.producer, fault);
            self.under_way.push_back((self.rounds + self.delay, ask, answer));
        }
        while self.under_way.front().is_some_and(|(due, ..)| *due <= self.rounds) {
            let Some((_, ask, answer)) = self.under_way.pop_front() else { break };
            match answer {
                Some(answer) => self.producer.answered(ask, answer, self.now),
                None => self.producer.failed(ask, self.now),
            }
        }
        self.rounds += 1;
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
                    if self.refused.iter().filter(|refused| **refused == (token.seq, Lasting::ForThisMessage)).count()
                        == 3
                    {
                        self.set_aside.insert(token.seq);
                    }
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
        self.under_way.clear();
        self.producer = Producer::new(&config(), memory);
        self.lane = if self.lane == Lane::Live { Lane::History } else { Lane::Live };
    }

    /// The buffer keeps one in so many of what no uplink is known to have. In a process that lives a message stays what it
    /// is until it has arrived, so that this is seen after a kill.
    fn thin(&mut self, one_in: u64) {
        let is_kept = |seq: &u64| seq.is_multiple_of(one_in) || self.committed.contains(seq);
        self.thinned.extend((0..self.messages).filter(|seq| !is_kept(seq)));
    }

    fn lose(&mut self) {
        self.take_events();
        self.producer.lost();
        self.sent.clear();
        self.under_way.clear();
    }

    fn commit(&mut self) {
        self.committed = self.acknowledged.clone();
    }

    fn deliver_all(&mut self, broker: &mut Broker) {
        for _ in 0..4_000 {
            let done = [&self.acknowledged, &self.thinned, &self.set_aside];
            if (0..self.messages).all(|seq| done.iter().any(|set| set.contains(&seq))) {
                return;
            }
            self.hand_over(64);
            self.round(broker, &mut || Fault::None);
        }
        panic!("stuck: {:?} with {} of {}", self.producer, self.acknowledged.len(), self.messages);
    }
}

/// Each message stands in the partitions exactly once.
fn assert_exactly_once(broker: &Broker, messages: u64) {
    assert_once_but(broker, messages, &BTreeSet::new());
}

/// Each message stands in the partitions once, those that the buffer has thinned at most once.
fn assert_once_but(broker: &Broker, messages: u64, thinned: &BTreeSet<u64>) {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for seq in broker.seqs() {
        *counts.entry(seq).or_default() += 1;
    }
    let lost: Vec<u64> = (0..messages).filter(|seq| !counts.contains_key(seq) && !thinned.contains(seq)).collect();
    let doubled: Vec<u64> = counts.iter().filter(|(_, count)| **count > 1).map(|(seq, _)| *seq).collect();
    assert_eq!((lost, doubled), (vec![], vec![]));
}

/// Each key has its messages in the order of the log, whatever lives and lanes they came in.
fn assert_in_order(broker: &Broker) {
    for partition in broker.partitions() {
        let mut highest: BTreeMap<u64, u64> = BTreeMap::new();
        for seq in partition {
            let before = highest.insert(seq % KEYS, seq);
            assert!(before.is_none_or(|before| before < seq), "{seq} stands behind {before:?}");
        }
    }
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
    let (mut gateway, mut broker) = produced(100, Fault::AnswerLost);
    let arrived = broker.seqs().len();
    assert!(arrived > 0, "it was produced");
    gateway.kill();
    (0..8).for_each(|_| {
        gateway.hand_over(100);
        gateway.round(&mut broker, &mut || Fault::None);
    });
    assert_eq!(gateway.producer.figures(), Figures::default(), "nothing had to be read");
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 100);
}

#[test]
fn what_goes_again_and_what_follows_it_keep_their_order_though_they_go_in_other_lanes() {
    for fault in [Fault::RequestLost, Fault::AnswerLost] {
        let (mut gateway, mut broker) = produced(300, fault);
        for _ in 0..3 {
            gateway.kill();
            gateway.hand_over(150);
            (0..3).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
            gateway.round(&mut broker, &mut || fault);
        }
        gateway.kill();
        gateway.deliver_all(&mut broker);
        assert_exactly_once(&broker, 300);
        assert_in_order(&broker);
    }
}

/// Messages are handed over, and of the first batches of them this becomes.
fn produced(messages: u64, fault: Fault) -> (Gateway, Broker) {
    let (mut gateway, mut broker) = (Gateway::new(messages), Broker::new(1));
    gateway.hand_over(messages as usize);
    // The cluster and a producer id, the end of the partition; then it produces.
    (0..2).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    gateway.round(&mut broker, &mut || fault);
    (gateway, broker)
}

#[test]
fn what_may_have_to_go_again_is_held_across_a_kill_until_it_is_known_to_be_there() {
    let (mut gateway, mut broker) = produced(60, Fault::AnswerLost);
    let [sent] = gateway.producer.open_seqs()[..] else { panic!("one lane has something on its way") };
    assert!(sent.first == 0 && sent.last > 0);
    gateway.kill();
    assert_eq!(gateway.producer.open_seqs(), [sent]);
    gateway.deliver_all(&mut broker);
    assert_eq!(gateway.producer.open_seqs(), []);
}

#[test]
fn what_the_buffer_has_thinned_since_is_not_waited_for_and_its_numbers_bear_nothing_else() {
    for (fault, arrives) in [(Fault::AnswerLost, true), (Fault::RequestLost, false)] {
        let (mut gateway, mut broker) = produced(60, fault);
        let arrived = broker.seqs();
        assert_eq!(!arrived.is_empty(), arrives);
        gateway.kill();
        gateway.thin(4);
        gateway.deliver_all(&mut broker);
        assert_once_but(&broker, 60, &gateway.thinned);
        assert!(broker.seqs().starts_with(&arrived), "what had arrived is not sent again in parts");
        assert_eq!(broker.seqs().len(), (0..60).filter(|seq| seq % 4 == 0 || arrived.contains(seq)).count());
        let Figures { readings_behind_a_fence, perhaps_doubled, .. } = gateway.producer.figures();
        assert_eq!((readings_behind_a_fence, perhaps_doubled), (1, 0));
    }
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

#[test]
fn what_follows_a_refused_batch_into_a_partition_that_knows_nobody_is_neither_lost_nor_doubled() {
    for large in 0..20 {
        let (mut gateway, mut broker) = (Gateway::new(60), Broker::new(1));
        (gateway.delay, broker.too_large) = (3, Some(large));
        gateway.deliver_all(&mut broker);
        let seqs: BTreeSet<u64> = broker.seqs().into_iter().collect();
        assert_eq!((broker.seqs().len(), seqs.len(), seqs.contains(&large)), (59, 59, false), "{large}");
        assert_eq!(gateway.set_aside, [large].into());
    }
}

#[test]
fn batches_for_several_partitions_of_a_broker_leave_in_one_request() {
    let (mut gateway, mut broker) = (Gateway::new(60), Broker::new(3));
    gateway.hand_over(60);
    (0..2).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    let asks = gateway.producer.work(gateway.now).expect("memory");
    let [(Target::Node(_), Ask::Produce { batches, .. })] = &asks[..] else { panic!("{asks:?}") };
    let partitions: BTreeSet<i32> = batches.iter().map(|sent| gateway.producer.place(sent.stream).1).collect();
    assert_eq!((batches.len(), partitions), (3, [0, 1, 2].into()));
}

#[test]
fn a_broker_that_asks_for_it_is_left_alone_for_as_long() {
    let (mut gateway, mut broker) = (Gateway::new(400), Broker::new(1));
    gateway.hand_over(10);
    (0..2).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    broker.throttle_ms = 5_000;
    gateway.round(&mut broker, &mut || Fault::None);
    assert_eq!(gateway.acknowledged.len(), 10, "what it answered so stands there");
    let until = gateway.now + Duration::from_millis(4_800);
    gateway.hand_over(20);
    while gateway.now < until {
        assert!(gateway.producer.work(gateway.now).expect("memory").is_empty());
        let wake_at = gateway.producer.wake_at(gateway.now);
        assert!(wake_at > gateway.now && wake_at <= until + Duration::from_millis(200));
        gateway.now += Duration::from_millis(100);
    }
    broker.throttle_ms = 0;
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 400);
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
    KillAndThin(u64),
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
        1 => (2_u64..6).prop_map(Step::KillAndThin),
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

#[test]
fn the_first_batch_after_a_silence_goes_alone_for_the_partition_may_have_forgotten_who_sends_it() {
    let (mut gateway, mut broker) = (Gateway::new(300), Broker::new(2));
    gateway.hand_over(20);
    (0..20).for_each(|_| gateway.round(&mut broker, &mut || Fault::None));
    broker.forget_producers();
    gateway.delay = 2;
    gateway.hand_over(64);
    let mut faults = [Fault::RequestLost].into_iter();
    (0..2).for_each(|_| gateway.round(&mut broker, &mut || faults.next().unwrap_or(Fault::None)));
    gateway.hand_over(200);
    gateway.deliver_all(&mut broker);
    assert_exactly_once(&broker, 300);
    assert_in_order(&broker);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everything_arrives_exactly_once(
        steps in proptest::collection::vec(step(), 1..40),
        faults in proptest::collection::vec(fault(), 1..60),
        delay in 0_usize..4,
        large in proptest::option::of(0_u64..100),
    ) {
        let (mut gateway, mut broker) = (Gateway::new(300), Broker::new(2));
        (gateway.delay, broker.too_large) = (delay, large);
        let mut cycle = faults.into_iter().cycle();
        for step in steps {
            match step {
                Step::HandOver(count) => gateway.hand_over(count),
                Step::Rounds(count) => {
                    (0..count).for_each(|_| gateway.round(&mut broker, &mut || cycle.next().unwrap_or(Fault::None)));
                }
                Step::Commit => gateway.commit(),
                Step::Kill => gateway.kill(),
                Step::KillAndThin(one_in) => {
                    gateway.kill();
                    gateway.thin(one_in);
                }
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
        assert!(gateway.set_aside.iter().all(|seq| Some(*seq) == large), "{:?}", gateway.set_aside);
        let may_be_missing = gateway.thinned.union(&gateway.set_aside).copied().collect();
        assert_once_but(&broker, 300, &may_be_missing);
        assert_in_order(&broker);
        prop_assert_eq!(gateway.producer.figures().perhaps_doubled, 0);
    }
}
