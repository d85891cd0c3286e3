//! Who has logged in with a browser. In memory: after a restart one logs in again. Time is passed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::pipeline::command::Role;

/// How many there are at once; then the one that was used least lately ends.
const SESSIONS_MAX: usize = 64;

/// One that is not used ends after this long …
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);

/// … and each one after this long.
const LASTS_MAX: Duration = Duration::from_secs(12 * 3600);

/// All sessions, by the digest of what the cookie holds: looking one up tells nothing of another by its time.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: HashMap<[u8; 32], Session>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) user: Box<str>,
    pub(super) role: Role,
    begun: Instant,
    used: Instant,
}

impl Sessions {
    /// Begins one; gives what the cookie holds, or nothing where the system has no randomness.
    pub(super) fn begin(&mut self, user: &str, role: Role, now: Instant) -> Option<String> {
        let mut secret = [0_u8; 32];
        SystemRandom::new().fill(&mut secret).ok()?;
        let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        self.open.retain(|_, session| session.lives(now));
        if self.open.len() >= SESSIONS_MAX {
            let oldest = self.open.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)?;
            self.open.remove(&oldest);
        }
        self.open.insert(key_of(&text), Session { user: user.into(), role, begun: now, used: now });
        Some(text)
    }

    /// The session that a cookie stands for.
    pub(super) fn find(&mut self, text: &str, now: Instant) -> Option<Session> {
        let session = self.open.get_mut(&key_of(text)).filter(|session| session.lives(now))?;
        session.used = now;
        Some(session.clone())
    }

    /// Ends one.
    pub(super) fn end(&mut self, text: &str) {
        self.open.remove(&key_of(text));
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE_MAX && now.duration_since(self.begun) < LASTS_MAX
    }
}

fn key_of(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap_or([0; 32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_ended_not_used_or_old() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let anna = sessions.begin("anna", Role::Operator, now).expect("randomness");
        let bert = sessions.begin("bert", Role::Admin, now).expect("randomness");
        assert!(anna != bert && anna.len() == 64);
        assert_eq!(
            sessions.find(&anna, now).map(|session| (session.user, session.role)),
            Some(("anna".into(), Role::Operator))
        );
        assert!(sessions.find("", now).is_none() && sessions.find(&anna[1..], now).is_none());
        sessions.end(&anna);
        assert!(sessions.find(&anna, now).is_none());
        let mut at = now;
        while at < now + LASTS_MAX {
            assert!(sessions.find(&bert, at).is_some());
            at += IDLE_MAX / 2;
        }
        assert!(sessions.find(&bert, at).is_none(), "it is old");
        let idle = sessions.begin("anna", Role::Viewer, at).expect("randomness");
        assert!(sessions.find(&idle, at + IDLE_MAX).is_none());
    }

    #[test]
    fn there_are_never_too_many() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.begin("anna", Role::Viewer, now).expect("randomness");
        (1..=SESSIONS_MAX as u64)
            .for_each(|index| drop(sessions.begin("x", Role::Viewer, now + Duration::from_millis(index))));
        assert_eq!(sessions.open.len(), SESSIONS_MAX);
        assert!(sessions.find(&first, now).is_none());
    }
}
