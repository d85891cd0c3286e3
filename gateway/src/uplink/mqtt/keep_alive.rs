//! When to probe a silent connection, and when to give it up. No I/O: time is passed in.
//!
//! What is busy needs no probe. What is silent is forgotten on the way: routers and the firewalls of mobile networks drop an
//! entry after minutes, some after seconds, and tell nobody. [`Silence`] learns how much of it a link bears.

use std::time::Duration;

use tokio::time::Instant;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing yet.
    Nothing,
    /// The broker must hear something, or has been silent: send a ping.
    Ping,
    /// The broker has been silent for one and a half keep-alives: the connection is dead.
    Dead,
}

/// The times at which something was last sent and received.
#[derive(Debug)]
pub(super) struct KeepAlive {
    period: Duration,
    sent_at: Instant,
    received_at: Instant,
    pinged: bool,
    /// Whether the ping that is unanswered was the first to move after a whole period.
    broke_silence: bool,
}

impl KeepAlive {
    /// A connection on which something has just been heard.
    pub(super) fn new(period: Duration, now: Instant) -> KeepAlive {
        KeepAlive { period, sent_at: now, received_at: now, pinged: false, broke_silence: false }
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    pub(super) fn received(&mut self, now: Instant) {
        self.received_at = now;
        (self.pinged, self.broke_silence) = (false, false);
    }

    /// Whether nothing has come since a ping broke a silence: then the silence may have been too long for the link.
    pub(super) fn broke_silence(&self) -> bool {
        self.broke_silence
    }

    /// When to ask again what is due.
    pub(super) fn next(&self) -> Instant {
        if self.pinged { self.dead_at() } else { self.ping_at().min(self.dead_at()) }
    }

    /// A ping counts as sent when it is due.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        if now >= self.dead_at() {
            return Due::Dead;
        }
        if self.pinged || now < self.ping_at() {
            return Due::Nothing;
        }
        self.pinged = true;
        self.broke_silence = self.sent_at.max(self.received_at) + self.period <= now;
        Due::Ping
    }

    fn ping_at(&self) -> Instant {
        self.sent_at.min(self.received_at) + self.period
    }

    /// MQTT 5, 3.1.2.10 gives the broker the same patience with the client.
    fn dead_at(&self) -> Instant {
        self.received_at + self.period * 3 / 2
    }
}

/// No link is probed more often because of what was learned.
const SHORTEST: Duration = Duration::from_secs(10);

/// How long a shorter period has to have served before a longer one is tried.
const SERVES_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How much silence the way to the broker bears, across connections.
///
/// A connection that was found dead by the ping that broke a silence halves the period of those that follow, down to
/// [`SHORTEST`]; each day without such a loss doubles it, up to what is configured. To probe more often than was agreed
/// with the broker is always allowed (MQTT 5, 3.1.2.10).
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// What is borne, and since when that is believed; `None`: as much as is configured.
    learned: Option<(Duration, Instant)>,
}

impl Silence {
    /// The period for a connection that begins, of which so much was agreed.
    pub(super) fn period(&mut self, agreed: Duration, now: Instant) -> Duration {
        let Some((period, since)) = self.learned else { return agreed };
        if now.saturating_duration_since(since) < SERVES_FOR {
            return period.min(agreed);
        }
        let longer = period * 2;
        self.learned = (longer < agreed).then_some((longer, now));
        longer.min(agreed)
    }

    /// A connection of this period was lost when a ping broke a silence.
    pub(super) fn was_too_long(&mut self, period: Duration, now: Instant) -> Duration {
        let shorter = (period / 2).max(SHORTEST).min(period);
        self.learned = Some((shorter, now));
        shorter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_link_that_forgets_after_a_silence_is_probed_before_it_does() {
        let (mut silence, mut now) = (Silence::default(), Instant::now());
        let agreed = 60 * SECOND;
        let mut periods = Vec::new();
        // The way forgets what was silent for 25 s.
        while periods.last().is_none_or(|period| *period >= 25 * SECOND) {
            let period = silence.period(agreed, now);
            let mut alive = KeepAlive::new(period, now);
            assert_eq!(alive.due(now + period), Due::Ping);
            alive.sent(now + period);
            assert!(alive.broke_silence());
            now += period * 3 / 2;
            assert_eq!(alive.due(now), Due::Dead);
            periods.push(silence.was_too_long(period, now));
        }
        assert_eq!(periods, [30 * SECOND, 15 * SECOND]);
        assert_eq!(silence.period(agreed, now), 15 * SECOND);
        assert_eq!(silence.period(agreed, now + SERVES_FOR), 30 * SECOND, "a longer one is tried after a day");
        assert_eq!(silence.period(agreed, now + SERVES_FOR * 2), agreed, "and what is agreed after another");
        assert_eq!(silence.was_too_long(SHORTEST, now), SHORTEST);
        assert_eq!(silence.was_too_long(4 * SECOND, now), 4 * SECOND, "what is configured shorter stays");
    }

    #[test]
    fn a_line_that_is_cut_while_it_is_busy_teaches_nothing() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(10 * SECOND, start);
        alive.sent(start + 9 * SECOND);
        assert_eq!(alive.due(start + 10 * SECOND), Due::Ping);
        assert!(!alive.broke_silence());
    }

    #[test]
    fn a_silent_connection_is_probed_and_then_given_up() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(10 * SECOND, start);
        assert_eq!(alive.next(), start + 10 * SECOND);
        assert_eq!(alive.due(start + 9 * SECOND), Due::Nothing);
        assert_eq!(alive.due(start + 10 * SECOND), Due::Ping);
        assert_eq!(alive.due(start + 11 * SECOND), Due::Nothing);
        assert_eq!(alive.next(), start + 15 * SECOND);
        assert_eq!(alive.due(start + 15 * SECOND), Due::Dead);
    }

    #[test]
    fn an_answer_keeps_it() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(10 * SECOND, start);
        assert_eq!(alive.due(start + 10 * SECOND), Due::Ping);
        alive.sent(start + 10 * SECOND);
        alive.received(start + 11 * SECOND);
        assert_eq!(alive.due(start + 15 * SECOND), Due::Nothing);
        assert_eq!(alive.due(start + 20 * SECOND), Due::Ping);
    }

    #[test]
    fn sending_alone_does_not_keep_it() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(10 * SECOND, start);
        for second in 1..15 {
            alive.sent(start + second * SECOND);
        }
        assert_eq!(alive.due(start + 14 * SECOND), Due::Ping);
        assert_eq!(alive.due(start + 15 * SECOND), Due::Dead);
    }
}
