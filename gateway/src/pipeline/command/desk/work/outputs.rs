//! The values that are written when the link to the north is lost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use driver_core::{Timestamp, Value};
use tokio::time::Instant;
use tracing::{info, warn};

use super::super::super::rule::Writable;
use super::super::super::{Answer, Asked, Command, CommandDoor, Origin, Outcome, Role, Wanted};
use super::super::link_loss::{LinkWatchAction, LinkWatchEvent};
use super::super::{Plant, Promise, Submitted, unanswered};
use super::Work;

impl Work<'_> {
    /// Watches the link, and writes what is defined for its loss.
    pub(super) fn look_at_the_link(&mut self) {
        let up = self.plant.uplinks.iter().any(|uplink| uplink.connected.load(Ordering::Relaxed));
        let event = if up { LinkWatchEvent::Up } else { LinkWatchEvent::Down };
        let writables = self.plant.writables.clone();
        for (number, writable) in writables.list().iter().enumerate() {
            let Some(rule) = &writable.rule.on_link_loss else { continue };
            let now = Instant::now().into_std();
            let (watch, action) = self.link_watches[number].step(event, rule.after, now);
            self.link_watches[number] = watch;
            if action == LinkWatchAction::Write {
                info!(tag = %writable.target, value = %rule.value, "the link to the north is lost: the defined value is written");
                self.take([of_link_loss(writable, rule.value.clone())].into_iter());
            }
        }
    }

    pub(super) fn link_loss_ended(&mut self, answer: &Answer) {
        let Some(number) = answer.target.as_ref().and_then(|target| self.plant.writables.find(target)) else { return };
        let writable = &self.plant.writables.list()[number];
        let done = answer.outcome == Outcome::Done;
        if !done {
            warn!(tag = %writable.target, result = answer.outcome.name(), "the value for the loss of the link is not held: {}", answer.reason);
        }
        let event = if done { LinkWatchEvent::Done } else { LinkWatchEvent::NotDone };
        let after = writable.rule.on_link_loss.as_ref().map_or(Duration::ZERO, |rule| rule.after);
        (self.link_watches[number], _) = self.link_watches[number].step(event, after, Instant::now().into_std());
    }
}

/// Whether some value is defined for the loss of the link.
pub(super) fn has_link_loss(plant: &Plant) -> bool {
    plant.writables.list().iter().any(|writable| writable.rule.on_link_loss.is_some())
}

fn of_link_loss(writable: &Writable, value: Value) -> Submitted {
    let origin =
        Origin { door: CommandDoor::LinkLoss, from: "gateway".into(), who: "gateway".into(), role: Role::Admin };
    let command = Command {
        target: writable.target.clone(),
        value: Wanted::Value(value),
        key: None,
        sent: None,
        expires: None,
        lives_for: None,
        received: Instant::now().into_std(),
        origin,
    };
    let asked = Asked::Command(command);
    let unanswered = unanswered(&asked, Timestamp(0));
    Submitted { asked, promise: Promise { reply: None, unanswered } }
}
