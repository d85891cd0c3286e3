//! When to probe a silent connection, and when to give it up. No I/O: time is passed in.

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
}

impl KeepAlive {
    /// A connection on which something has just been heard.
    pub(super) fn new(period: Duration, now: Instant) -> KeepAlive {
        KeepAlive { period, sent_at: now, received_at: now, pinged: false }
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    pub(super) fn received(&mut self, now: Instant) {
        self.received_at = now;
        self.pinged = false;
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

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
