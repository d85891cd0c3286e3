//! The life of a line's connection: one state machine for all drivers.
//!
//! ```text
//! Idle --start--> Waiting --due--> Connecting --opened--> Connected
//!                    ^                 | failed               | lost
//!                    +-----------------+----------------------+
//! ```
//!
//! No state is terminal. Waits grow exponentially, with full jitter, up to a bound; a connection that held for a while
//! starts the count anew, one that was lost at once does not. Time and randomness are passed in.

use std::time::{Duration, Instant};

use crate::backoff::{Backoff, Jitter};

/// Reconnects of a line: soon after the first loss, at most half a minute apart.
pub const RECONNECT: Backoff = Backoff {
    shortest: Duration::from_millis(100),
    first: Duration::from_millis(500),
    longest: Duration::from_secs(30),
    steady: Duration::from_secs(10),
};

/// Where a line's connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Not started.
    Idle,
    /// No connection; the next try is due at `until`.
    Waiting {
        /// When to try.
        until: Instant,
        /// Tries that failed in a row.
        tries: u32,
    },
    /// A try is under way.
    Connecting {
        /// Tries that failed in a row before.
        tries: u32,
    },
    /// There is a connection.
    Connected {
        /// Since when.
        since: Instant,
        /// Tries that had failed in a row before.
        tries: u32,
    },
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEvent {
    /// The line begins, after a wait that spreads the first connects of many lines.
    Start {
        /// That wait.
        after: Duration,
    },
    /// The time that was waited for may have come.
    Tick,
    /// The try succeeded.
    Opened,
    /// The try failed, or the connection broke.
    Lost,
    /// The connection broke, and what it broke at is not sent again: the next wait is as the first.
    Explained,
}

/// What the line's owner does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAction {
    /// Goes on.
    Stay,
    /// Opens a connection.
    Connect,
}

impl Link {
    /// The state after an event, and what to do; events that do not belong to a state change nothing.
    pub fn step(self, event: LinkEvent, now: Instant, backoff: &Backoff, jitter: &mut Jitter) -> (Link, LinkAction) {
        let mut wait = |tries: u32| Link::Waiting { until: now + backoff.wait(tries, jitter), tries: tries + 1 };
        match (self, event) {
            (Link::Idle, LinkEvent::Start { after }) => {
                (Link::Waiting { until: now + after, tries: 0 }, LinkAction::Stay)
            }
            (Link::Waiting { until, tries }, LinkEvent::Tick) if until <= now => {
                (Link::Connecting { tries }, LinkAction::Connect)
            }
            (Link::Connecting { tries }, LinkEvent::Opened) => {
                (Link::Connected { since: now, tries }, LinkAction::Stay)
            }
            (Link::Connecting { tries }, LinkEvent::Lost) => (wait(tries), LinkAction::Stay),
            (Link::Connected { since, tries }, LinkEvent::Lost) => {
                let steady = now.duration_since(since) >= backoff.steady;
                (wait(if steady { 0 } else { tries }), LinkAction::Stay)
            }
            (Link::Connected { .. }, LinkEvent::Explained) => (wait(0), LinkAction::Stay),
            (state, _) => (state, LinkAction::Stay),
        }
    }

    /// When to come back with [`LinkEvent::Tick`], if nothing else happens.
    pub fn until(&self) -> Option<Instant> {
        match self {
            Link::Waiting { until, .. } => Some(*until),
            Link::Idle | Link::Connecting { .. } | Link::Connected { .. } => None,
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self, Link::Connected { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn events_lead_from_state_to_state() {
        let now = Instant::now();
        let until = now + SECOND;
        let connected = Link::Connected { since: now, tries: 3 };
        let cases = [
            (Link::Idle, LinkEvent::Start { after: SECOND }, Link::Waiting { until, tries: 0 }, LinkAction::Stay),
            (Link::Idle, LinkEvent::Tick, Link::Idle, LinkAction::Stay),
            (Link::Waiting { until, tries: 2 }, LinkEvent::Tick, Link::Waiting { until, tries: 2 }, LinkAction::Stay),
            (
                Link::Waiting { until: now, tries: 2 },
                LinkEvent::Tick,
                Link::Connecting { tries: 2 },
                LinkAction::Connect,
            ),
            (Link::Waiting { until, tries: 2 }, LinkEvent::Lost, Link::Waiting { until, tries: 2 }, LinkAction::Stay),
            (Link::Connecting { tries: 3 }, LinkEvent::Tick, Link::Connecting { tries: 3 }, LinkAction::Stay),
            (Link::Connecting { tries: 3 }, LinkEvent::Opened, connected, LinkAction::Stay),
            (connected, LinkEvent::Tick, connected, LinkAction::Stay),
            (Link::Connecting { tries: 3 }, LinkEvent::Explained, Link::Connecting { tries: 3 }, LinkAction::Stay),
            (connected, LinkEvent::Opened, connected, LinkAction::Stay),
        ];
        for (state, event, expected, action) in cases {
            let got = state.step(event, now, &RECONNECT, &mut Jitter::seeded(1));
            assert_eq!(got, (expected, action), "{state:?} {event:?}");
        }
    }

    #[test]
    fn the_count_starts_anew_only_after_a_connection_that_held_or_when_it_is_known_what_it_broke_at() {
        let since = Instant::now();
        let tries_after = |event: LinkEvent, held: Duration| {
            let connected = Link::Connected { since, tries: 4 };
            match connected.step(event, since + held, &RECONNECT, &mut Jitter::seeded(1)).0 {
                Link::Waiting { tries, .. } => tries,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(tries_after(LinkEvent::Lost, SECOND), 5);
        assert_eq!(tries_after(LinkEvent::Lost, 10 * SECOND), 1);
        assert_eq!(tries_after(LinkEvent::Explained, SECOND), 1);
    }

    #[test]
    fn a_far_side_that_flaps_each_second_is_called_less_than_once_a_second() {
        let start = Instant::now();
        let (mut now, mut link, mut jitter) = (start, Link::Idle, Jitter::seeded(7));
        (link, _) = link.step(LinkEvent::Start { after: Duration::ZERO }, now, &RECONNECT, &mut jitter);
        let mut connects = 0;
        while now < start + 600 * SECOND {
            now = link.until().expect("it waits");
            (link, _) = link.step(LinkEvent::Tick, now, &RECONNECT, &mut jitter);
            (link, _) = link.step(LinkEvent::Opened, now, &RECONNECT, &mut jitter);
            connects += 1;
            now += SECOND;
            (link, _) = link.step(LinkEvent::Lost, now, &RECONNECT, &mut jitter);
        }
        assert!((10..100).contains(&connects), "{connects} connects in 600 s");
    }

    proptest! {
        #[test]
        fn waits_are_bounded_and_use_the_whole_range(tries in 0_u32..100, seed: u64) {
            let mut jitter = Jitter::seeded(seed);
            let bound = RECONNECT.first.saturating_mul(1 << tries.min(6)).min(RECONNECT.longest);
            let waits: Vec<Duration> = (0..200).map(|_| RECONNECT.wait(tries, &mut jitter)).collect();
            prop_assert!(waits.iter().all(|wait| (RECONNECT.shortest..=bound).contains(wait)));
            prop_assert!(waits.iter().any(|wait| *wait > bound.mul_f64(0.8)));
            prop_assert!(waits.iter().any(|wait| *wait < bound.mul_f64(0.3)));
        }
    }
}
