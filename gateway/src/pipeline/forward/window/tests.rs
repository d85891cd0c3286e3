use bytes::Bytes;
use proptest::prelude::*;

use super::blame::SHUT_FOR;
use super::items::RANGES_MAX;
use super::*;
use crate::backoff::Jitter;
use crate::uplink::EndedBy;

fn message(seq: Seq, part: u32) -> Message {
    Message {
        token: Token { lane: Lane::Live, seq, part },
        topic: "t".into(),
        key: None,
        payload: Bytes::from(vec![b'x'; 99]),
        time: None,
        content_type: "application/json".into(),
        epoch: 1,
        seqs: SeqRange { first: seq, last: seq },
        readings: 1,
    }
}

fn token(seq: Seq) -> Token {
    Token { lane: Lane::Live, seq, part: 0 }
}

/// A window with items of one seq and one message each.
fn window(seqs: std::ops::RangeInclusive<Seq>) -> Window {
    let mut window = Window::default();
    for seq in seqs {
        window.begin(Lane::Live, SeqRange { first: seq, last: seq });
        window.add(message(seq, 0));
        window.end(Lane::Live);
    }
    window
}

fn send_all(window: &mut Window) -> Vec<Seq> {
    std::iter::from_fn(|| window.next_to_send(usize::MAX / 2, Instant::now()).map(|message| message.token.seq))
        .collect()
}

fn ranges(window: &mut Window) -> Vec<(Seq, Seq)> {
    window.take_done(Lane::Live).iter().map(|range| (range.first, range.last)).collect()
}

#[test]
fn items_are_told_once_all_their_messages_are_acknowledged() {
    let mut window = Window::default();
    window.begin(Lane::Live, SeqRange { first: 10, last: 19 });
    window.add(message(10, 0));
    window.add(message(10, 1));
    assert_eq!(send_all(&mut window), [10, 10]);
    window.acknowledged(Token { lane: Lane::Live, seq: 10, part: 0 }, Instant::now());
    window.acknowledged(Token { lane: Lane::Live, seq: 10, part: 1 }, Instant::now());
    assert_eq!(ranges(&mut window), []);
    window.end(Lane::Live);
    assert_eq!(ranges(&mut window), [(10, 19)]);
}

#[test]
fn acknowledgements_out_of_order_become_ranges_and_join() {
    let mut window = window(1..=6);
    send_all(&mut window);
    for seq in [5, 3, 2] {
        assert!(matches!(window.acknowledged(token(seq), Instant::now()), Returned::Delivered(..)));
    }
    assert_eq!(ranges(&mut window), [(2, 3), (5, 5)]);
    assert_eq!(ranges(&mut window), []);
    window.acknowledged(token(1), Instant::now());
    assert_eq!(ranges(&mut window), [(1, 3)]);
    window.acknowledged(token(4), Instant::now());
    window.acknowledged(token(6), Instant::now());
    assert_eq!(ranges(&mut window), [(4, 6)]);
    assert!(window.is_empty());
}

#[test]
fn no_more_ranges_are_told_than_a_cursor_keeps() {
    let mut window = window(1..=400);
    send_all(&mut window);
    for seq in (2..=400).step_by(2) {
        window.acknowledged(token(seq), Instant::now());
    }
    assert_eq!(window.take_done(Lane::Live).len(), RANGES_MAX);
    assert_eq!(window.take_done(Lane::Live).len(), 0);
    for seq in (1..=400).step_by(2) {
        window.acknowledged(token(seq), Instant::now());
    }
    assert_eq!(ranges(&mut window), [(1, 400)]);
}

#[test]
fn a_token_that_nobody_waits_for_changes_nothing() {
    let mut window = window(1..=2);
    assert_eq!(window.acknowledged(token(1), Instant::now()), Returned::Unknown);
    window.next_to_send(usize::MAX / 2, Instant::now());
    assert_eq!(window.acknowledged(token(7), Instant::now()), Returned::Unknown);
    assert!(matches!(window.acknowledged(token(1), Instant::now()), Returned::Delivered(..)));
    assert_eq!(window.acknowledged(token(1), Instant::now()), Returned::Unknown);
    assert_eq!((window.len(), window.sent()), (1, 0));
}

#[test]
fn after_a_loss_everything_that_did_not_come_back_is_sent_again_in_order() {
    let mut window = window(1..=5);
    send_all(&mut window);
    window.acknowledged(token(2), Instant::now());
    assert_eq!(window.lost(EndedBy::Network, Instant::now()), Verdict::Open);
    assert_eq!(window.acknowledged(token(3), Instant::now()), Returned::Unknown);
    assert_eq!(send_all(&mut window), [1, 3, 4, 5]);
}

#[test]
fn the_window_is_bounded_in_messages_and_in_bytes() {
    let mut window = Window::default();
    let mut seq = 0;
    while window.has_room(Lane::Live) {
        seq += 1;
        window.begin(Lane::Live, SeqRange { first: seq, last: seq });
        window.add(message(seq, 0));
        window.end(Lane::Live);
    }
    assert_eq!(window.len(), MESSAGES_MAX);
    let mut window = Window::default();
    window.begin(Lane::Live, SeqRange { first: 1, last: 1 });
    window.add(Message { payload: Bytes::from(vec![0; 2 * BYTES_MAX]), ..message(1, 0) });
    assert!(!window.has_room(Lane::Live));
    window.next_to_send(usize::MAX / 2, Instant::now());
    window.acknowledged(token(1), Instant::now());
    assert!(window.has_room(Lane::Live));
}

#[test]
fn a_message_refused_again_and_again_is_poison_and_the_rest_flows() {
    let mut now = Instant::now();
    let mut window = window(1..=3);
    assert_eq!(send_all(&mut window), [1, 2, 3]);
    for _ in 1..TRIES_MAX {
        assert_eq!(window.refused(token(2), Lasting::ForThisMessage, now), Returned::Again);
        assert!(send_all(&mut window).is_empty());
        now = window.wake_at().expect("it waits");
        window.wake(now);
        assert_eq!(send_all(&mut window), [2]);
    }
    assert_eq!(window.refused(token(2), Lasting::ForThisMessage, now), Returned::Poison(token(2)));
    window.acknowledged(token(1), Instant::now());
    window.acknowledged(token(3), Instant::now());
    assert_eq!(ranges(&mut window), [(1, 1), (3, 3)]);
    window.give_up(token(2), now);
    assert_eq!(ranges(&mut window), [(2, 3)]);
    assert_eq!((window.len(), window.wake_at()), (0, None));
}

#[test]
fn a_refusal_for_now_never_becomes_poison() {
    let mut now = Instant::now();
    let mut window = window(1..=1);
    for _ in 0..10 * TRIES_MAX {
        send_all(&mut window);
        assert_eq!(window.refused(token(1), Lasting::ForNow, now), Returned::Again);
        now = window.wake_at().expect("it waits");
        window.wake(now);
    }
}

#[test]
fn what_is_refused_for_now_lets_nothing_of_its_topic_pass_and_keeps_its_order() {
    let mut now = Instant::now();
    let mut window = Window::default();
    let add = |window: &mut Window, topic: &str, seq: Seq| {
        window.begin(Lane::Live, SeqRange { first: seq, last: seq });
        window.add(message_to(topic, seq));
        window.end(Lane::Live);
    };
    let send = |window: &mut Window, now: Instant| -> Vec<Seq> {
        window.wake(now);
        std::iter::from_fn(|| window.next_to_send(100, now).map(|message| message.token.seq)).collect()
    };
    [("full", 1), ("free", 2), ("full", 3)].into_iter().for_each(|(topic, seq)| add(&mut window, topic, seq));
    assert_eq!(send(&mut window, now), [1, 2, 3]);
    assert_eq!(window.refused(token(1), Lasting::ForNow, now), Returned::Again);
    now += Duration::from_secs(1);
    assert_eq!(window.refused(token(3), Lasting::ForNow, now), Returned::Again);
    [("full", 4), ("free", 5)].into_iter().for_each(|(topic, seq)| add(&mut window, topic, seq));
    assert_eq!(send(&mut window, now), [5], "another topic does not wait");
    assert!(send(&mut window, now + TRY_AGAIN_AFTER - Duration::from_millis(1)).is_empty());
    assert_eq!(window.wake_at(), Some(now + TRY_AGAIN_AFTER));
    assert_eq!(send(&mut window, now + TRY_AGAIN_AFTER), [1, 3, 4]);
}

fn message_to(topic: &str, seq: Seq) -> Message {
    Message { topic: topic.into(), ..message(seq, 0) }
}

/// A far side that does something to each message, and the network before it; a message a second comes to each of two
/// topics. What is poison is given up.
struct Bench {
    window: Window,
    now: Instant,
    next: Seq,
    jitter: Jitter,
    topics: &'static [&'static str],
    delivered: Vec<Seq>,
    set_aside: Vec<Seq>,
    unsent: Vec<Seq>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Acknowledge,
    Close,
    AcknowledgeAndClose,
    RefuseAndClose,
}

impl Bench {
    fn new(topics: &'static [&'static str], seed: u64) -> Bench {
        let jitter = Jitter::seeded(seed);
        let (delivered, set_aside, unsent) = (Vec::new(), Vec::new(), Vec::new());
        Bench { window: Window::default(), now: Instant::now(), next: 1, jitter, topics, delivered, set_aside, unsent }
    }

    fn second_passes(&mut self) {
        self.now += Duration::from_secs(1);
        for topic in self.topics {
            self.window.begin(Lane::Live, SeqRange { first: self.next, last: self.next });
            self.window.add(message_to(topic, self.next));
            self.window.end(Lane::Live);
            self.next += 1;
        }
    }

    fn give_up(&mut self, token: Token) {
        self.set_aside.push(token.seq);
        self.window.give_up(token, self.now);
    }

    /// One connection, which the network ends after `lasts` seconds where the far side does not; everything that is handed
    /// over at one moment is read by the far side before its answers are taken in.
    fn connection(&mut self, lasts: u64, does: impl Fn(&str, Seq) -> Does) {
        self.window.connected(self.now, &mut self.jitter);
        for _ in 0..lasts {
            loop {
                self.window.wake(self.now);
                while let Some((token, _)) = self.window.next_convicted(self.now) {
                    self.unsent.push(token.seq);
                    self.give_up(token);
                }
                let mut sent = Vec::new();
                while let Some(message) = self.window.next_to_send(100, self.now) {
                    sent.push(message.clone());
                }
                if sent.is_empty() {
                    break;
                }
                for message in sent {
                    let does = does(&message.topic, message.token.seq);
                    if matches!(does, Does::Acknowledge | Does::AcknowledgeAndClose) {
                        assert!(matches!(self.window.acknowledged(message.token, self.now), Returned::Delivered(..)));
                        self.delivered.push(message.token.seq);
                    }
                    if does == Does::RefuseAndClose
                        && let Returned::Poison(token) =
                            self.window.refused(message.token, Lasting::ForThisMessage, self.now)
                    {
                        self.give_up(token);
                    }
                    if does != Does::Acknowledge {
                        return self.ends();
                    }
                }
            }
            self.second_passes();
        }
        self.ends();
    }

    fn ends(&mut self) {
        match self.window.lost(EndedBy::FarSide, self.now) {
            Verdict::Open | Verdict::Accused => {}
            Verdict::Guilty(token) => self.give_up(token),
            Verdict::PerhapsTooLarge(token) => panic!("no message here is a batch: {token:?}"),
        }
        self.second_passes();
        self.second_passes();
    }
}

#[test]
fn a_message_at_which_the_far_side_closes_each_time_is_found_and_the_rest_flows() {
    for does in [Does::Close, Does::RefuseAndClose] {
        let mut bench = Bench::new(&["a", "b"], 7);
        (0..40).for_each(|_| bench.connection(60, |_, seq| if seq == 4 { does } else { Does::Acknowledge }));
        assert_eq!((&*bench.set_aside, bench.unsent.len()), (&[4][..], 0));
        bench.delivered.sort_unstable();
        assert!(bench.delivered.len() > 1_000 && bench.delivered.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

/// As mosquitto does without a queue, when its access list forbids a topic: in MQTT 3.1.1 it even acknowledges.
#[test]
fn a_topic_at_which_the_far_side_closes_is_shut_and_tried_now_and_then() {
    for does in [Does::Close, Does::RefuseAndClose, Does::AcknowledgeAndClose] {
        let mut bench = Bench::new(&["good", "bad"], 7);
        let denied = |topic: &str, _| if topic == "bad" { does } else { Does::Acknowledge };
        let start = bench.now;
        while bench.unsent.is_empty() {
            bench.connection(60, denied);
            assert!(bench.now - start < Duration::from_secs(400), "not found in time");
        }
        let (good, before) = (bench.delivered.iter().filter(|seq| **seq % 2 == 1).count(), bench.next / 2);
        assert!(good as u64 * 10 > before * 9, "{good} of {before} flowed meanwhile");
        let mut ends = 0;
        let shut_at = bench.now;
        while bench.now - shut_at < 3 * SHUT_FOR {
            let from = bench.now;
            bench.connection(300, denied);
            ends += u32::from(bench.now - from < Duration::from_secs(300));
        }
        assert!((2..=9).contains(&ends), "{ends} connections ended because of a trial");
        let good: std::collections::BTreeSet<&Seq> = bench.delivered.iter().filter(|seq| **seq % 2 == 1).collect();
        assert!(
            (1..bench.next - 50).step_by(2).all(|seq| good.contains(&seq)),
            "nothing of the other topic is missing"
        );
        // The rights come back.
        let given = bench.next;
        (0..4).for_each(|_| bench.connection(400, |_, _| Does::Acknowledge));
        let late = bench.delivered.iter().filter(|seq| **seq % 2 == 0 && **seq > given + 1_400).count();
        assert!(late > 50, "{late} messages of the topic flow again");
    }
}

#[test]
fn a_far_side_that_closes_at_everything_makes_nothing_poison() {
    let mut bench = Bench::new(&["a", "b"], 7);
    (0..100).for_each(|_| bench.connection(60, |_, _| Does::Close));
    assert!(bench.set_aside.is_empty() && bench.delivered.is_empty());
}

/// Connections that break after a time by chance, or in a rhythm, whatever is on its way then.
#[test]
fn a_link_that_flaps_makes_nothing_poison() {
    for period_ms in [30, 300, 1_000, 3_000, 11_000, 14_000] {
        for (seed, rhythm) in [(1, true), (2, false), (3, false)] {
            let mut flapping = Flapping::new(seed);
            (0..2_000).for_each(|_| flapping.connection(Duration::from_millis(period_ms), rhythm));
            assert_eq!(flapping.set_aside, 0, "period {period_ms} ms, in a rhythm: {rhythm}");
            // Of these links the slowest carries one message a connection, if nothing waits for long.
            let flowed = flapping.next - 21;
            assert!(period_ms < 300 || flowed > 1_000, "{flowed} messages flowed at {period_ms} ms, {rhythm}");
        }
    }
}

/// A link whose messages take a while to be acknowledged, and that breaks before that as often as not.
struct Flapping {
    window: Window,
    now: Instant,
    next: Seq,
    jitter: Jitter,
    set_aside: u64,
}

impl Flapping {
    fn new(seed: u64) -> Flapping {
        let (window, jitter) = (window(1..=20), Jitter::seeded(seed));
        Flapping { window, now: Instant::now(), next: 21, jitter, set_aside: 0 }
    }

    fn connection(&mut self, period: Duration, rhythm: bool) {
        let round_trip = Duration::from_millis(20) + self.jitter.up_to(Duration::from_millis(30));
        let until = self.now + if rhythm { period } else { self.jitter.up_to(2 * period) };
        self.window.connected(self.now, &mut self.jitter);
        let mut on_the_way: Vec<Token> = Vec::new();
        while self.now < until {
            self.window.wake(self.now);
            while let Some(message) = self.window.next_to_send(20, self.now) {
                on_the_way.push(message.token);
            }
            let step = if on_the_way.is_empty() { Duration::from_secs(1) } else { round_trip };
            self.now += step.min(until - self.now);
            if self.now >= until {
                break;
            }
            for token in on_the_way.drain(..) {
                self.window.acknowledged(token, self.now);
            }
            self.window.take_done(Lane::Live);
            if self.window.len() < 200 {
                self.window.begin(Lane::Live, SeqRange { first: self.next, last: self.next });
                self.window.add(message(self.next, 0));
                self.window.end(Lane::Live);
                self.next += 1;
            }
        }
        let verdict = self.window.lost(EndedBy::FarSide, self.now);
        self.set_aside += u64::from(!matches!(verdict, Verdict::Open | Verdict::Accused));
        self.now += Duration::from_millis(200) + self.jitter.up_to(Duration::from_secs(2));
    }
}

/// Readings `first..=last`, 100 bytes each.
fn batch(first: Seq, last: Seq) -> Message {
    let payload = Bytes::from(vec![b'x'; 100 * (last + 1 - first) as usize]);
    Message { payload, seqs: SeqRange { first, last }, ..message(first, 0) }
}

/// Adds a batch as an item of its own.
fn add(window: &mut Window, first: Seq, last: Seq) {
    window.begin(Lane::Live, SeqRange { first, last });
    window.add(batch(first, last));
    window.end(Lane::Live);
}

/// Connects until the window says something of a message; how many connections ended. Each takes what is small enough, and
/// ends at a batch of more readings than `most`.
fn until_suspicion(window: &mut Window, now: Instant, most: u64) -> (u32, Token) {
    for ends in 1..20 {
        window.connected(now, &mut Jitter::seeded(1));
        window.wake(now);
        while let Some(message) = window.next_to_send(100, now) {
            let (token, readings) = (message.token, message.seqs.count());
            if readings > most {
                break;
            }
            window.acknowledged(token, now);
        }
        match window.lost(EndedBy::FarSide, now) {
            Verdict::PerhapsTooLarge(token) => return (ends, token),
            verdict => assert_eq!(verdict, Verdict::Open),
        }
    }
    panic!("no suspicion");
}

/// Splits a batch in the middle.
fn halve(window: &mut Window, token: Token) {
    let SeqRange { first, last } = window.message(token).expect("it is there").seqs;
    let middle = first + (last - first) / 2;
    window.split(token, vec![batch(first, middle), batch(middle + 1, last)]);
}

#[test]
fn a_batch_larger_than_all_that_were_taken_is_halved_without_a_trial_and_others_like_it_unsent() {
    let now = Instant::now();
    let mut window = Window::default();
    add(&mut window, 1, 8);
    add(&mut window, 9, 16);
    let (ends, token) = until_suspicion(&mut window, now, 4);
    assert_eq!((ends, token.seq), (ENDS_MAX + 1, 1), "three ends and one alone");
    halve(&mut window, token);
    assert_eq!(window.next_convicted(now), None, "nothing is known yet");
    window.connected(now, &mut Jitter::seeded(1));
    let half = window.next_to_send(100, now).expect("a half").token;
    assert_eq!(window.next_to_send(100, now), None, "it goes alone: it may be too large, too");
    window.acknowledged(half, now);
    let (second, conviction) = window.next_convicted(now).expect("the other batch");
    assert_eq!((second.seq, conviction), (9, Conviction::TooLarge(801)));
    halve(&mut window, second);
    while let Some(message) = window.next_to_send(100, now) {
        let token = message.token;
        window.acknowledged(token, now);
    }
    assert_eq!(ranges(&mut window), [(1, 16)]);
    // After a while one goes whole, and alone, so that a broker that takes more is found.
    let later = now + TOO_LARGE_FOR;
    window.wake(later);
    add(&mut window, 17, 24);
    add(&mut window, 25, 32);
    let whole = window.next_to_send(100, later).expect("the first").token;
    assert_eq!((whole.seq, window.next_to_send(100, later)), (17, None));
    window.acknowledged(whole, later);
    assert_eq!(window.next_to_send(100, later).map(|message| message.token.seq), Some(25));
}

#[test]
fn what_takes_the_place_of_a_larger_one_goes_in_the_order_of_the_log() {
    let now = Instant::now();
    let mut window = Window::default();
    add(&mut window, 1, 8);
    let first_half = |window: &mut Window| {
        let whole = window.next_to_send(100, now).expect("one").token;
        window.refused(whole, Lasting::ForThisSize, now);
        halve(window, whole);
        whole
    };
    let (whole, half, quarter) = (first_half(&mut window), first_half(&mut window), first_half(&mut window));
    assert!(whole != half && half != quarter, "no message has the token of one before it");
    let rest: Vec<SeqRange> =
        std::iter::from_fn(|| window.next_to_send(100, now).map(|message| message.seqs)).collect();
    assert_eq!(rest, [(1, 1), (2, 2), (3, 4), (5, 8)].map(|(first, last)| SeqRange { first, last }));
}

#[test]
fn where_a_single_reading_is_not_borne_either_nothing_is_too_large() {
    let now = Instant::now();
    let mut window = Window::default();
    add(&mut window, 1, 2);
    add(&mut window, 3, 4);
    let (_, token) = until_suspicion(&mut window, now, 0);
    halve(&mut window, token);
    window.connected(now, &mut Jitter::seeded(1));
    window.next_to_send(100, now).expect("a half");
    assert_eq!(window.lost(EndedBy::FarSide, now), Verdict::Accused);
    window.connected(now, &mut Jitter::seeded(1));
    let other = window.next_to_send(100, now).expect("the other half").token;
    window.acknowledged(other, now);
    assert_eq!(window.next_convicted(now), None);
    assert_eq!(window.next_to_send(100, now).map(|message| message.token.seq), Some(3), "the other batch goes whole");
}

proptest! {
    #[test]
    fn everything_is_told_exactly_when_it_is_done(acts in proptest::collection::vec((0..5_u8, 1..30_u64), 0..300)) {
        let mut window = window(1..=30);
        let (mut acknowledged, mut told) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        let now = Instant::now();
        for (act, seq) in acts {
            match act {
                0 | 1 => {
                    window.next_to_send(usize::MAX / 2, Instant::now());
                }
                2 => {
                    if matches!(window.acknowledged(token(seq), Instant::now()), Returned::Delivered(..)) {
                        prop_assert!(acknowledged.insert(seq));
                    }
                }
                3 => {
                    window.lost(EndedBy::Network, now);
                }
                _ => {
                    for range in window.take_done(Lane::Live) {
                        told.extend(range.first..=range.last);
                    }
                    prop_assert_eq!(&told, &acknowledged);
                }
            }
            prop_assert_eq!(window.len(), 30 - acknowledged.len());
            prop_assert!(window.sent() <= window.len());
        }
    }
}
