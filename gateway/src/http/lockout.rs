//! Who has guessed wrongly too often waits. Time is passed in.
//!
//! Counted are a name together with the address that tried it, so that nobody can lock another out from elsewhere, and the
//! address alone, so that nobody can try many names.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong tries that are free: for one name, and for one address.
const FREE_BY_NAME: u32 = 5;
const FREE_BY_ADDRESS: u32 = 20;

/// The first wait; it doubles with each further wrong try …
const FIRST_WAIT: Duration = Duration::from_secs(15);

/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Wrong tries are forgotten after this long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// The most that are remembered; then the one that is longest ago is forgotten.
const REMEMBERED_MAX: usize = 2048;

/// What was tried of late.
#[derive(Debug, Default)]
pub(super) struct Lockout {
    tries: HashMap<(IpAddr, Option<Box<str>>), Tries>,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    wrong: u32,
    last: Instant,
    until: Instant,
}

impl Lockout {
    /// How long this one has to wait before the next try, if at all.
    pub(super) fn wait(&self, from: IpAddr, name: &str, now: Instant) -> Option<Duration> {
        let keys = [(from, Some(name.into())), (from, None)];
        let until = keys.iter().filter_map(|key| self.tries.get(key)).map(|tries| tries.until).max()?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// A try was wrong.
    pub(super) fn wrong(&mut self, from: IpAddr, name: &str, now: Instant) {
        for (name, free) in [(Some(name.into()), FREE_BY_NAME), (None, FREE_BY_ADDRESS)] {
            self.make_room(now);
            let tries = self.tries.entry((from, name)).or_insert(Tries { wrong: 0, last: now, until: now });
            tries.wrong += 1;
            tries.last = now;
            if let Some(beyond) = tries.wrong.checked_sub(free) {
                tries.until = now + FIRST_WAIT.saturating_mul(1 << beyond.min(16)).min(LONGEST_WAIT);
            }
        }
    }

    /// A try was right.
    pub(super) fn right(&mut self, from: IpAddr, name: &str) {
        self.tries.remove(&(from, Some(name.into())));
        self.tries.remove(&(from, None));
    }

    fn make_room(&mut self, now: Instant) {
        if self.tries.len() < REMEMBERED_MAX {
            return;
        }
        self.tries.retain(|_, tries| now.duration_since(tries.last) < FORGOTTEN_AFTER);
        while self.tries.len() >= REMEMBERED_MAX {
            let Some(oldest) = self.tries.iter().min_by_key(|(_, tries)| tries.last).map(|(key, _)| key.clone()) else {
                return;
            };
            self.tries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn waits_begin_after_some_tries_and_double() {
        let (mut lockout, now) = (Lockout::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..8 {
            lockout.wrong(HERE, "anna", now);
            waits.push(lockout.wait(HERE, "anna", now).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits, [0, 0, 0, 0, 15, 30, 60, 120]);
        assert_eq!(lockout.wait(HERE, "anna", now + Duration::from_secs(120)), None);
        assert_eq!(lockout.wait(THERE, "anna", now), None, "nobody is locked out by another");
        lockout.right(HERE, "anna");
        assert_eq!(lockout.wait(HERE, "anna", now), None);
    }

    #[test]
    fn many_names_from_one_address_are_counted_together_and_memory_is_bounded() {
        let (mut lockout, now) = (Lockout::default(), Instant::now());
        (0..FREE_BY_ADDRESS).for_each(|index| lockout.wrong(HERE, &index.to_string(), now));
        assert!(lockout.wait(HERE, "somebody", now).is_some());
        let at = |index: usize| now + Duration::from_millis(index as u64);
        (0..2 * REMEMBERED_MAX).for_each(|index| lockout.wrong(THERE, &index.to_string(), at(index)));
        assert!(lockout.tries.len() <= REMEMBERED_MAX);
        let end = at(2 * REMEMBERED_MAX - 1);
        assert!(lockout.wait(THERE, "x", end).is_some_and(|wait| wait == LONGEST_WAIT));
    }
}
