//! Whether a command may be handed to the device. Pure: what it needs to know is passed in.
//!
//! The order of the checks is that of the reasons which a sender is told: who, when, what, whether the plant allows it,
//! how often.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use driver_core::{ClockState, Quality, TagId, Timestamp};

use super::super::expression::{NotKnown, Operand};
use super::super::watched::Seen;
use super::fit::{Fitted, Misfit, fit};
use super::rule::{Interlock, Rate, Writable};
use super::{Command, RefusedFor};

/// How far a sender's clock may be ahead of the gateway's.
const AHEAD_MAX: Duration = Duration::from_secs(5);

/// The time as the gateway sees it.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// What only goes forward.
    pub instant: Instant,
    /// What the clocks on the wall say.
    pub time: Timestamp,
    /// Whether that can be trusted.
    pub clock: ClockState,
}

/// What a command that may be handed over is.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// What is written.
    pub fitted: Fitted,
    /// When it is too late.
    pub until: Instant,
}

/// When the last commands for one tag were admitted, as many as its rate counts.
#[derive(Debug, Clone, Default)]
pub struct Pace(VecDeque<Instant>);

/// Checks a command for a tag that may be written. `pace` tells of the tag's last commands, `last` finds the last reading
/// of a tag that is watched.
///
/// # Errors
/// Why it is refused, as a word and for people.
pub fn check(
    command: &Command,
    writable: &Writable,
    pace: &Pace,
    now: Now,
    last: impl Fn(TagId) -> Option<Seen>,
) -> Result<Admitted, Misfit> {
    let rule = &writable.rule;
    let role = command.origin.role;
    if role < rule.role {
        let message =
            format!("{} takes commands of an {}; the sender is {}", writable.target, rule.role.name(), role.name());
        return Err((RefusedFor::NotPermitted, message));
    }
    let until = deadline(command, rule.expires, now)?;
    let fitted = fit(&command.value, &writable.form, rule)?;
    if let Some(interlock) = &rule.only_if {
        allows(interlock, now.instant, last)?;
    }
    pace.allows(rule.rate, now.instant)?;
    Ok(Admitted { fitted, until })
}

/// Until when a command may reach the device: the earliest of what its tag, its sender and its way here say.
fn deadline(command: &Command, expires: Duration, now: Now) -> Result<Instant, Misfit> {
    let expired = |what: String| (RefusedFor::Expired, what);
    if now.clock == ClockState::Unsynchronized && (command.sent.is_some() || command.expires.is_some()) {
        return Err(expired("the gateway's clock is not set: whether the command is late cannot be told".into()));
    }
    let waited = now.instant.saturating_duration_since(command.received);
    // The time that has passed here was measured; the rest is told by clocks.
    let age = match command.sent.map(|sent| now.time.0.saturating_sub(sent.0)) {
        None => waited,
        Some(nanos) if nanos < 0 && Duration::from_nanos(nanos.unsigned_abs()) > AHEAD_MAX => {
            return Err(expired("the command says that it was sent in the future; set the sender's clock".into()));
        }
        Some(nanos) => Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)).max(waited),
    };
    let left = [
        Some(expires.checked_sub(age)),
        command.lives_for.map(|lives_for| lives_for.checked_sub(waited)),
        command.expires.map(|at| u64::try_from(at.0.saturating_sub(now.time.0)).ok().map(Duration::from_nanos)),
    ];
    let left = left.into_iter().flatten().min().flatten().filter(|left| !left.is_zero());
    left.map(|left| now.instant + left)
        .ok_or_else(|| expired(format!("the command is {:.1} s old: its time has passed", age.as_secs_f64())))
}

fn allows(interlock: &Interlock, now: Instant, last: impl Fn(TagId) -> Option<Seen>) -> Result<(), Misfit> {
    let condition = &interlock.condition;
    let read = |tag: TagId| {
        let index = condition.operands().iter().position(|operand| *operand == tag);
        let fresh_for = index.and_then(|index| interlock.fresh_for.get(index)).copied().unwrap_or_default();
        usable(last(tag), now, fresh_for)
    };
    let refused = |what: String| Err((RefusedFor::Interlock, format!("`only_if: {}` {what}", condition.text())));
    match condition.holds(read) {
        Ok(true) => Ok(()),
        Ok(false) => refused("does not hold".into()),
        Err(NotKnown::Operand(_, why)) => refused(format!("cannot be told: one of its tags is {why}")),
        Err(NotKnown::NoNumber) => refused("cannot be told: it is no number".into()),
    }
}

fn usable(seen: Option<Seen>, now: Instant, fresh_for: Duration) -> Operand {
    match seen {
        None => Operand::Unusable("not read yet"),
        Some(Seen { quality: Quality::Bad(reason) | Quality::Uncertain(reason), .. }) => {
            Operand::Unusable(reason.name())
        }
        Some(seen) if now.saturating_duration_since(seen.at) > fresh_for => Operand::Unusable("old"),
        Some(seen) => Operand::Good(seen.value),
    }
}

impl Pace {
    /// Whether one more is within the rate.
    fn allows(&self, rate: Rate, now: Instant) -> Result<(), Misfit> {
        let within = self.0.iter().filter(|at| now.saturating_duration_since(**at) < rate.per).count();
        if within < rate.count as usize {
            return Ok(());
        }
        Err((RefusedFor::Rate, format!("more than {} in {:?} are not taken", rate.count, rate.per)))
    }

    /// One was admitted.
    pub fn note(&mut self, rate: Rate, now: Instant) {
        while self.0.len() >= rate.count.max(1) as usize {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }
}

#[cfg(test)]
mod tests;
