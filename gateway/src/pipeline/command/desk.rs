//! Where all doors hand their commands over.

use std::time::SystemTime;

use driver_core::Timestamp;

use super::{Answer, Asked, RefusedFor};

/// What is done with the answer to a command.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// The way to the desk; each door has one.
#[derive(Debug, Clone, Default)]
pub struct Desk;

impl Desk {
    /// Hands a command over. It never waits; the answer comes later, exactly once.
    pub fn submit(&self, asked: Asked, reply: Reply) {
        let at = Timestamp::from(SystemTime::now());
        let answer = match &asked {
            Asked::Command(command) => {
                let reason = format!("{} is read-only", command.target);
                asked.refused(RefusedFor::ReadOnly, reason, at)
            }
            Asked::Unreadable { why, .. } => asked.refused(RefusedFor::Unreadable, why.clone(), at),
        };
        reply(answer);
    }
}
