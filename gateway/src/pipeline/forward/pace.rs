//! How much of the way the history lane may take. No I/O; time is passed in.
//!
//! ```text
//! resting --its time is over--> bursting --most of what it sent has come back--> resting
//! ```
//!
//! A burst has the whole way for a short time and is measured: how long it took, beyond what the way takes for any message,
//! is what the far side needs for so many bytes. The rest behind it leaves the other share of that time to the live lane. A
//! burst is made as large as comes back within [`BURST_TIME`], so a live message never waits long behind it. When live
//! messages come back later than they do without history, the share is halved.

use std::time::{Duration, Instant};

/// The share of the time that history takes as long as nothing suffers from it.
const SHARE_MAX: f64 = 0.5;

/// The share that it takes at least.
const SHARE_MIN: f64 = 0.05;

/// How fast a share that was halved comes back, with each judgement.
const SHARE_GROWS: f64 = 1.5;

/// How long a burst should take, beyond the time that the far side takes for a message alone.
const BURST_TIME: Duration = Duration::from_millis(8);

const BURST_BYTES_FIRST: usize = 64 << 10;
/// A burst is over when no more than one part in so many is on its way: the rest comes back without being waited for. Behind a
/// proxy, brokers that send small packets by Nagle's rule may hold it back for 40 ms, until something more is sent to them.
const TAIL: usize = 4;

/// Smaller bursts spend their time on the way: they come only where even these take long.
const BURST_BYTES_LEAST: usize = 32 << 10;
const BURST_BYTES_MIN: usize = 1 << 10;
const SLOW_LINK: Duration = Duration::from_millis(500);
const BURST_BYTES_MAX: usize = 512 << 10;

/// Once one was too large, bursts grow only after so many that came back in time.
const QUICK_BURSTS: u32 = 16;

/// The longest rest behind a burst.
const REST_MAX: Duration = Duration::from_secs(60);

/// Live messages are judged when so many have come back: by the middle one, as one that is late by chance says nothing.
const JUDGED_MESSAGES: usize = 5;

/// A live message may come back so much later beside history before it counts as slowed down.
const SLOWER: f64 = 1.25;
/// Behind a proxy, brokers that send small packets by Nagle's rule acknowledge up to 40 ms late what they have passed on in
/// time.
const SLOWER_BY: Duration = Duration::from_millis(50);

/// How long history waits at most to learn how long live messages take without it.
const LEARNS_WITHIN: Duration = Duration::from_secs(2);

/// The pace of the history lane.
#[derive(Debug)]
pub(super) struct Pace {
    state: State,
    /// From here on history goes without knowing how long live messages take.
    blind_from: Instant,
    /// Bytes that were sent and did not come back.
    outstanding: usize,
    share: f64,
    burst_bytes: usize,
    /// How many bursts of this size came back in time.
    quick_bursts: u32,
    /// No burst was too large so far: each may be larger than the one before.
    never_slow: bool,
    /// What was last measured, bytes a second.
    throughput: f64,
    /// When the last burst had come back.
    burst_ended: Option<Instant>,
    /// How long live messages take without history.
    calm: Option<Duration>,
    /// The shortest time that a live message took on this connection: the way there and back.
    way: Option<Duration>,
    /// How long those took that came back since the last judgement: without history, and beside it.
    without: Vec<Duration>,
    beside: Vec<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting { until: Instant },
    Bursting { since: Instant, sent: usize },
}

impl Pace {
    /// History may begin at `from`.
    pub(super) fn new(from: Instant) -> Pace {
        Pace {
            state: State::Resting { until: from },
            blind_from: from + LEARNS_WITHIN,
            outstanding: 0,
            share: SHARE_MAX,
            burst_bytes: BURST_BYTES_FIRST,
            quick_bursts: 0,
            never_slow: true,
            throughput: 0.0,
            burst_ended: None,
            calm: None,
            way: None,
            without: Vec::new(),
            beside: Vec::new(),
        }
    }

    /// Whether one more message may enter.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        match self.state {
            State::Resting { until } => now >= self.wakes_at(until),
            State::Bursting { sent, .. } => sent < self.burst_bytes,
        }
    }

    /// When [`Pace::may_send`] will say yes; `None` when that does not depend on the time.
    pub(super) fn resting_until(&self) -> Option<Instant> {
        match self.state {
            State::Resting { until } => Some(self.wakes_at(until)),
            State::Bursting { .. } => None,
        }
    }

    fn wakes_at(&self, until: Instant) -> Instant {
        if self.calm.is_some() { until } else { until.max(self.blind_from) }
    }

    /// A message has entered.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        self.outstanding += bytes;
        self.state = match self.state {
            State::Resting { .. } => State::Bursting { since: now, sent: bytes },
            State::Bursting { since, sent } => State::Bursting { since, sent: sent + bytes },
        };
    }

    /// A message has come back, or was given up. `more`: there is more to send in this burst.
    pub(super) fn returned(&mut self, bytes: usize, more: More, now: Instant) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
        let State::Bursting { since, sent } = self.state else { return };
        if self.outstanding > sent / TAIL || (more == More::Waits && sent < self.burst_bytes) {
            return;
        }
        let took = now.saturating_duration_since(since);
        self.measure(sent, took);
        // While it only travels, nobody waits behind it; unless it is seen that somebody does.
        let way = if self.share < SHARE_MAX { Duration::ZERO } else { self.way.unwrap_or_default() };
        let rest = took.saturating_sub(way).mul_f64(1.0 / self.share - 1.0).min(REST_MAX);
        self.state = State::Resting { until: now + rest };
        self.burst_ended = Some(now);
    }

    fn measure(&mut self, sent: usize, took: Duration) {
        self.throughput = sent as f64 / took.as_secs_f64().max(1e-6);
        let wanted = BURST_TIME + self.calm.unwrap_or_default();
        if took > wanted * 2 {
            let least = if took > SLOW_LINK { BURST_BYTES_MIN } else { BURST_BYTES_LEAST };
            self.burst_bytes = (self.burst_bytes / 2).clamp(least.min(self.burst_bytes), BURST_BYTES_MAX);
            self.quick_bursts = 0;
        } else if took <= wanted && sent >= self.burst_bytes {
            self.quick_bursts += 1;
            if self.quick_bursts >= QUICK_BURSTS || self.never_slow {
                self.quick_bursts = 0;
                self.burst_bytes = (self.burst_bytes * 2).min(BURST_BYTES_MAX);
            }
        }
        self.never_slow &= took <= wanted * 2;
    }

    /// A live message has come back.
    pub(super) fn live_came_back(&mut self, took: Duration, now: Instant) {
        self.way = Some(self.way.map_or(took, |way| way.min(took)));
        let since = now.checked_sub(took).unwrap_or(now);
        let is_beside = matches!(self.state, State::Bursting { .. }) || self.burst_ended.is_some_and(|at| at > since);
        if !is_beside {
            self.without.push(took);
            if let Some(middle) = judged(&mut self.without) {
                self.calm = Some(self.calm.map_or(middle, |calm| (calm * 3 + middle) / 4));
            }
            return;
        }
        self.beside.push(took);
        let Some(middle) = judged(&mut self.beside) else { return };
        let calm = *self.calm.get_or_insert(middle);
        self.share = if middle > calm.mul_f64(SLOWER) + SLOWER_BY {
            (self.share / 2.0).max(SHARE_MIN)
        } else {
            (self.share * SHARE_GROWS).min(SHARE_MAX)
        };
    }

    /// A connection begins or is over, and nothing is on its way; history may begin at `from`.
    pub(super) fn begin(&mut self, from: Instant) {
        self.state = State::Resting { until: from };
        self.outstanding = 0;
        self.way = None;
        self.blind_from = from + LEARNS_WITHIN;
    }

    /// The share of the time that history takes now, in percent.
    pub(super) fn share_percent(&self) -> u64 {
        (self.share * 100.0).round() as u64
    }

    /// What the last burst measured, bytes a second.
    pub(super) fn throughput(&self) -> u64 {
        self.throughput as u64
    }
}

/// The middle one of enough messages, which are then forgotten.
fn judged(took: &mut Vec<Duration>) -> Option<Duration> {
    if took.len() < JUDGED_MESSAGES {
        return None;
    }
    took.sort_unstable();
    let middle = took.get(took.len() / 2).copied();
    took.clear();
    middle
}

/// Whether history waits behind what has come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// There is some.
    Waits,
    /// There is none, or it is still being read.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A pace that may begin at once, and knows that live messages take 1 ms.
    fn knowing(now: Instant) -> Pace {
        Pace { calm: Some(MS), way: Some(MS), ..Pace::new(now) }
    }

    /// Plays a far side that takes `bytes_per_ms` behind a way of 1 ms, for so many bursts; returns the share of the time in
    /// which it was busy.
    fn drain(pace: &mut Pace, bytes_per_ms: usize, bursts: usize, now: &mut Instant) -> f64 {
        let begun = *now;
        let mut busy = Duration::ZERO;
        for _ in 0..bursts {
            *now = pace.resting_until().map_or(*now, |until| (*now).max(until));
            let mut sent = 0;
            while pace.may_send(*now) {
                pace.sent(1_000, *now);
                sent += 1_000;
            }
            let took = MS * (sent / bytes_per_ms).max(1) as u32;
            *now += MS + took;
            busy += took;
            pace.returned(sent, More::Waits, *now);
        }
        busy.as_secs_f64() / (*now - begun).as_secs_f64()
    }

    #[test]
    fn half_of_the_time_is_left_to_what_is_live() {
        let mut now = Instant::now();
        let mut pace = knowing(now);
        let share = drain(&mut pace, 10_000, 200, &mut now);
        assert!((0.44..=0.5).contains(&share), "{share}");
        assert!((8_000_000..=10_000_000).contains(&pace.throughput()), "{} bytes/s", pace.throughput());
    }

    #[test]
    fn a_far_side_is_not_left_idle_because_the_way_is_long() {
        const WAY: Duration = Duration::from_millis(300);
        let begun = Instant::now();
        let mut now = begun;
        let mut pace = Pace { calm: Some(WAY), way: Some(WAY), ..Pace::new(now) };
        for _ in 0..100 {
            now = pace.resting_until().map_or(now, |until| now.max(until));
            pace.sent(10_000, now);
            now += WAY + MS;
            pace.returned(10_000, More::No, now);
        }
        assert!(now - begun < 100 * (WAY + 3 * MS), "{:?} for a hundred bursts", now - begun);
        (0..JUDGED_MESSAGES).for_each(|_| pace.live_came_back(3 * WAY, now));
        pace.sent(10_000, now);
        pace.returned(10_000, More::No, now + WAY);
        assert_eq!(pace.resting_until(), Some(now + 4 * WAY), "what is live came late: all of it counts");
    }

    #[test]
    fn on_a_slow_link_a_burst_becomes_small() {
        let mut now = Instant::now();
        let mut pace = knowing(now);
        drain(&mut pace, 8, 40, &mut now);
        assert!(pace.burst_bytes <= 2 * BURST_BYTES_MIN, "{} bytes", pace.burst_bytes);
    }

    /// Live messages that took so long, each beside a burst.
    fn live_beside(pace: &mut Pace, took: &[Duration], now: &mut Instant) {
        for took in took {
            drain(pace, 10_000, 1, now);
            pace.live_came_back(*took, *now);
        }
    }

    #[test]
    fn a_slowed_live_lane_halves_the_share_down_to_its_least_and_calm_brings_it_back() {
        let mut now = Instant::now();
        let mut pace = knowing(now);
        for expected in [25, 13, 6, 5, 5] {
            live_beside(&mut pace, &[90 * MS; JUDGED_MESSAGES], &mut now);
            assert_eq!(pace.share_percent(), expected);
        }
        let share = drain(&mut pace, 10_000, 40, &mut now);
        assert!((0.04..=0.06).contains(&share), "{share}");
        for _ in 0..6 {
            live_beside(&mut pace, &[2 * MS; JUDGED_MESSAGES], &mut now);
        }
        assert_eq!(pace.share_percent(), 50);
    }

    #[test]
    fn a_far_side_that_has_become_slow_by_itself_is_not_held_against_history() {
        let mut now = Instant::now();
        let mut pace = knowing(now);
        live_beside(&mut pace, &[90 * MS; JUDGED_MESSAGES], &mut now);
        assert_eq!(pace.share_percent(), 25);
        for _ in 0..60 {
            now += 100 * MS;
            pace.live_came_back(90 * MS, now);
        }
        for _ in 0..3 {
            live_beside(&mut pace, &[90 * MS; JUDGED_MESSAGES], &mut now);
        }
        assert_eq!(pace.share_percent(), 50);
    }

    #[test]
    fn history_waits_a_little_to_learn_how_it_is_without() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert!(!pace.may_send(now) && pace.may_send(now + LEARNS_WITHIN));
        (0..JUDGED_MESSAGES).for_each(|_| pace.live_came_back(MS, now));
        assert!(pace.may_send(now));
    }

    #[test]
    fn one_late_message_is_chance() {
        let mut now = Instant::now();
        let mut pace = knowing(now);
        for _ in 0..20 {
            live_beside(&mut pace, &[MS, MS, 500 * MS, MS, MS], &mut now);
        }
        assert_eq!(pace.share_percent(), 50);
    }

    #[test]
    fn a_burst_ends_when_nothing_is_left_to_send() {
        let now = Instant::now();
        let mut pace = Pace { calm: Some(MS), way: Some(MS), ..Pace::new(now + MS) };
        assert!(!pace.may_send(now) && pace.may_send(now + MS));
        pace.sent(100, now + MS);
        pace.returned(100, More::No, now + 3 * MS);
        assert_eq!(pace.resting_until(), Some(now + 4 * MS));
    }
}
