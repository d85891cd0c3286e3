//! How much of the way the history lane may take. No I/O; time is passed in.
//!
//! ```text
//! resting --its time is over--> bursting --all that it sent has come back--> resting
//! ```
//!
//! A burst has the whole way for a short time and is measured: how long it took is what the far side needs for so many
//! bytes. The rest behind it leaves the other share of the time to the live lane. A burst is made as large as comes back
//! within [`BURST_TIME`], so a live message never waits long behind it. When live messages come back later than they do
//! without history, the share is halved.

use std::time::{Duration, Instant};

/// The share of the time that history takes as long as nothing suffers from it.
const SHARE_MAX: f64 = 0.5;

/// The share that it takes at least.
const SHARE_MIN: f64 = 0.05;

/// How fast a share that was halved comes back, with each judgement.
const SHARE_GROWS: f64 = 1.2;

/// How long a burst should take; longer only where the far side's answers alone take longer.
const BURST_TIME: Duration = Duration::from_millis(8);

const BURST_BYTES_FIRST: usize = 64 << 10;
const BURST_BYTES_MIN: usize = 1 << 10;
const BURST_BYTES_MAX: usize = 512 << 10;

/// The longest rest behind a burst.
const REST_MAX: Duration = Duration::from_secs(60);

/// Live messages are judged when so many have come back …
const JUDGED_MESSAGES: usize = 8;

/// … or, when at least one has, after this long.
const JUDGED_AFTER: Duration = Duration::from_secs(2);

/// A live message may come back so much later than without history before it counts as slowed down.
const SLOWER: f64 = 1.25;
const SLOWER_BY: Duration = Duration::from_millis(5);

/// The pace of the history lane.
#[derive(Debug)]
pub(super) struct Pace {
    state: State,
    share: f64,
    burst_bytes: usize,
    /// What was last measured, bytes a second.
    throughput: f64,
    /// How long live messages take without history.
    calm: Option<Duration>,
    judged: Judged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting { until: Instant },
    Bursting { since: Instant, sent: usize, outstanding: usize },
}

/// Live messages that came back since the last judgement.
#[derive(Debug)]
struct Judged {
    since: Instant,
    took: Vec<Duration>,
    /// Whether history was on its way meanwhile.
    beside_history: bool,
}

impl Pace {
    /// History may begin at `from`.
    pub(super) fn new(from: Instant, now: Instant) -> Pace {
        Pace {
            state: State::Resting { until: from },
            share: SHARE_MAX,
            burst_bytes: BURST_BYTES_FIRST,
            throughput: 0.0,
            calm: None,
            judged: Judged { since: now, took: Vec::new(), beside_history: false },
        }
    }

    /// Whether one more message may enter.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        match self.state {
            State::Resting { until } => now >= until,
            State::Bursting { sent, .. } => sent < self.burst_bytes,
        }
    }

    /// When [`Pace::may_send`] will say yes; `None` when that does not depend on the time.
    pub(super) fn resting_until(&self) -> Option<Instant> {
        match self.state {
            State::Resting { until } => Some(until),
            State::Bursting { .. } => None,
        }
    }

    /// A message has entered.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        self.judged.beside_history = true;
        self.state = match self.state {
            State::Resting { .. } => State::Bursting { since: now, sent: bytes, outstanding: bytes },
            State::Bursting { since, sent, outstanding } => {
                State::Bursting { since, sent: sent + bytes, outstanding: outstanding + bytes }
            }
        };
    }

    /// A message has come back, or was given up. `more`: there is more to send in this burst.
    pub(super) fn returned(&mut self, bytes: usize, more: More, now: Instant) {
        let State::Bursting { since, sent, outstanding } = self.state else { return };
        let outstanding = outstanding.saturating_sub(bytes);
        self.state = State::Bursting { since, sent, outstanding };
        if outstanding > 0 || (more == More::Waits && sent < self.burst_bytes) {
            return;
        }
        let took = now.saturating_duration_since(since);
        self.measure(sent, took);
        let rest = took.mul_f64(1.0 / self.share - 1.0).min(REST_MAX);
        self.state = State::Resting { until: now + rest };
    }

    fn measure(&mut self, sent: usize, took: Duration) {
        self.throughput = sent as f64 / took.as_secs_f64().max(1e-6);
        let wanted = BURST_TIME.max(self.calm.unwrap_or_default().mul_f64(SLOWER));
        if took <= wanted && sent >= self.burst_bytes {
            self.burst_bytes = (self.burst_bytes * 2).min(BURST_BYTES_MAX);
        } else if took > wanted * 2 {
            self.burst_bytes = (self.burst_bytes / 2).max(BURST_BYTES_MIN);
        }
    }

    /// A live message has come back.
    pub(super) fn live_came_back(&mut self, took: Duration, now: Instant) {
        if matches!(self.state, State::Bursting { .. }) {
            self.judged.beside_history = true;
        }
        self.judged.took.push(took);
        let due = now.saturating_duration_since(self.judged.since) >= JUDGED_AFTER;
        if self.judged.took.len() >= JUDGED_MESSAGES || due {
            self.judge(now);
        }
    }

    fn judge(&mut self, now: Instant) {
        let judged =
            std::mem::replace(&mut self.judged, Judged { since: now, took: Vec::new(), beside_history: false });
        let mut took = judged.took;
        took.sort_unstable();
        // The second slowest of a full judgement: one message that was late by chance says nothing.
        let Some(slow) = took.get(took.len().saturating_sub(2)).copied() else { return };
        let calm = *self.calm.get_or_insert(slow);
        if !judged.beside_history {
            self.calm = Some((calm * 3 + slow) / 4);
            self.share = (self.share * SHARE_GROWS).min(SHARE_MAX);
        } else if slow > calm.mul_f64(SLOWER) + SLOWER_BY {
            self.share = (self.share / 2.0).max(SHARE_MIN);
        } else {
            self.share = (self.share * SHARE_GROWS).min(SHARE_MAX);
        }
    }

    /// The connection is over, and nothing is on its way; history may begin again at `from`.
    pub(super) fn lost(&mut self, from: Instant) {
        self.state = State::Resting { until: from };
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

    /// Plays a far side that takes `bytes_per_ms`, for so many bursts; returns the share of the time that bursts took.
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
            *now += took;
            busy += took;
            pace.returned(sent, More::Waits, *now);
        }
        busy.as_secs_f64() / (*now - begun).as_secs_f64()
    }

    #[test]
    fn half_of_the_time_is_left_to_what_is_live() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now, now);
        let share = drain(&mut pace, 10_000, 200, &mut now);
        assert!((0.48..=0.52).contains(&share), "{share}");
        assert!((9_000_000..=11_000_000).contains(&pace.throughput()), "{} bytes/s", pace.throughput());
    }

    #[test]
    fn on_a_slow_link_a_burst_becomes_small() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now, now);
        drain(&mut pace, 8, 40, &mut now);
        assert!(pace.burst_bytes <= 2 * BURST_BYTES_MIN, "{} bytes", pace.burst_bytes);
    }

    #[test]
    fn a_slowed_live_lane_halves_the_share_down_to_its_least_and_calm_brings_it_back() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now, now);
        let live = |pace: &mut Pace, took: Duration, now: &mut Instant| {
            for _ in 0..JUDGED_MESSAGES {
                *now += MS;
                pace.live_came_back(took, *now);
            }
        };
        live(&mut pace, 10 * MS, &mut now);
        for expected in [25, 13, 6, 5, 5] {
            drain(&mut pace, 10_000, 1, &mut now);
            live(&mut pace, 30 * MS, &mut now);
            assert_eq!(pace.share_percent(), expected);
        }
        let share = drain(&mut pace, 10_000, 40, &mut now);
        assert!((0.04..=0.06).contains(&share), "{share}");
        for _ in 0..20 {
            live(&mut pace, 11 * MS, &mut now);
        }
        assert_eq!(pace.share_percent(), 50);
    }

    #[test]
    fn one_late_message_is_chance() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now, now);
        for round in 0..50 {
            pace.sent(1_000, now);
            for _ in 1..JUDGED_MESSAGES {
                now += MS;
                pace.live_came_back(10 * MS, now);
            }
            pace.live_came_back(if round > 5 { 500 * MS } else { 10 * MS }, now);
        }
        assert_eq!(pace.share_percent(), 50);
    }

    #[test]
    fn a_burst_ends_when_nothing_is_left_to_send() {
        let now = Instant::now();
        let mut pace = Pace::new(now + MS, now);
        assert!(!pace.may_send(now) && pace.may_send(now + MS));
        pace.sent(100, now + MS);
        pace.returned(100, More::No, now + 3 * MS);
        assert_eq!(pace.resting_until(), Some(now + 5 * MS));
    }
}
