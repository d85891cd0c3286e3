//! Batches as large as the server permits, and when what it refused is asked for again.

use std::time::{Duration, Instant};

/// What is asked for at once where the server names no limit of its own.
const BATCH_DEFAULT: usize = 1_000;
/// The first pause of what was refused.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest one.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// How many things the server takes in one request (Part 5, 6.3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Nodes in a Read.
    pub(crate) read: usize,
    /// Paths in a TranslateBrowsePathsToNodeIds.
    pub(crate) translate: usize,
    /// Nodes in a Browse.
    pub(crate) browse: usize,
    /// Items in a CreateMonitoredItems.
    pub(crate) monitor: usize,
    /// Values of one node in a HistoryRead; no server states it.
    pub(crate) history: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            read: BATCH_DEFAULT,
            translate: BATCH_DEFAULT,
            browse: BATCH_DEFAULT,
            monitor: BATCH_DEFAULT,
            history: BATCH_DEFAULT,
        }
    }
}

impl Limits {
    /// What the server says; 0 or nothing is no limit.
    pub(crate) fn stated(
        read: Option<u32>,
        translate: Option<u32>,
        browse: Option<u32>,
        monitor: Option<u32>,
    ) -> Limits {
        let limit = |stated: Option<u32>| match stated {
            None | Some(0) => BATCH_DEFAULT,
            Some(limit) => (limit as usize).min(BATCH_DEFAULT),
        };
        let (read, translate) = (limit(read), limit(translate));
        Limits { read, translate, browse: limit(browse), monitor: limit(monitor), ..Limits::default() }
    }
}

/// When something that the server refused is asked for again: ever more rarely, but always again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    failures: u32,
    /// Before then it is left alone.
    pub(crate) at: Instant,
}

impl Retry {
    /// It was refused for the first time.
    pub(crate) fn first(now: Instant) -> Retry {
        Retry { failures: 1, at: now + RETRY_FIRST }
    }

    /// It was refused again.
    pub(crate) fn again(self, now: Instant) -> Retry {
        let failures = self.failures.saturating_add(1);
        let pause = RETRY_FIRST.saturating_mul(1 << (failures - 1).min(16)).min(RETRY_MAX);
        Retry { failures, at: now + pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_limits_are_obeyed_and_ours_stand_where_it_has_none() {
        let limits = Limits::stated(Some(100), Some(0), None, Some(1_000_000));
        assert_eq!(limits, Limits { read: 100, ..Limits::default() });
    }

    #[test]
    fn what_is_refused_is_asked_for_ever_more_rarely_and_never_given_up() {
        let now = Instant::now();
        let mut retry = Retry::first(now);
        let mut pauses = vec![(retry.at - now).as_secs()];
        for _ in 0..40 {
            retry = retry.again(now);
            pauses.push((retry.at - now).as_secs());
        }
        assert_eq!(pauses[..8], [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pauses.last(), Some(&300));
    }
}
