//! Where all doors hand their commands over: the one path from a command to its answer.
//!
//! The desk has a thread of its own, because it waits for the disk: what is about to be executed is in the audit trail
//! first. Acquisition and uplinks never wait for it.

mod link_loss;
mod tally;
mod work;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use driver_core::{Clock, Timestamp, Value};
use tokio::sync::{mpsc, oneshot, watch};

use super::super::crew::Crew;
use super::super::forward::counters::Counters;
use super::super::poll::Write;
use super::super::tags::Tags;
use super::super::watched::Watched;
use super::books::WhenAuditFails;
use super::rule::Writables;
use super::{Answer, Asked, Outcome, RefusedFor, Told};

pub use tally::{Counted, Tally};

/// How many commands wait for the desk; more are refused at once.
pub const COMMANDS_WAITING_MAX: usize = 64;

/// How long commands that are under way may take when the gateway stops.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// What is done with the answer to a command.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// The way to the desk; each door has one.
#[derive(Debug, Clone)]
pub struct Desk {
    sender: mpsc::Sender<Submitted>,
    tally: Arc<Tally>,
}

/// What comes through the doors, before the desk is there to take it.
#[derive(Debug)]
pub struct Queue {
    receiver: mpsc::Receiver<Submitted>,
    tally: Arc<Tally>,
}

/// A command with the promise that it is answered.
#[derive(Debug)]
pub(super) struct Submitted {
    asked: Asked,
    promise: Promise,
}

/// An answer that is owed. One that is dropped answers itself: that nobody knows.
struct Promise {
    reply: Option<Reply>,
    unanswered: Answer,
}

/// What the desk works with.
pub struct DeskSetup {
    /// What may be written, and where: another one with each change of the configuration.
    pub plant: Plant,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The folder of the audit trail.
    pub folder: PathBuf,
    /// How much it may take on disk, bytes.
    pub audit_bytes_max: u64,
    /// What happens to commands while it cannot be written.
    pub when_audit_fails: WhenAuditFails,
}

/// What may be written, and where.
#[derive(Clone)]
pub struct Plant {
    /// The names of all tags.
    pub tags: Arc<Tags>,
    /// What may be written.
    pub writables: Arc<Writables>,
    /// The last readings of what is written, and of what interlocks look at.
    pub watched: Arc<Watched>,
    /// Where writes to the lines' devices go in, by the line's index.
    pub lanes: Vec<mpsc::Sender<Write>>,
    /// Where writes to derived tags go in.
    pub derived: mpsc::Sender<Write>,
    /// The uplinks: while none is connected, the link to the north is lost.
    pub uplinks: Vec<Arc<Counters>>,
}

/// The desk's running thread.
pub struct DeskThread {
    stop: oneshot::Sender<()>,
    changes: watch::Sender<Option<Plant>>,
    crew: Crew,
}

impl Desk {
    /// A desk, and the queue that its thread takes from.
    pub fn new() -> (Desk, Queue) {
        let (sender, receiver) = mpsc::channel(COMMANDS_WAITING_MAX);
        let tally = Arc::new(Tally::default());
        (Desk { sender, tally: tally.clone() }, Queue { receiver, tally })
    }

    /// Hands a command over. It never waits; the answer comes later, exactly once.
    pub fn submit(&self, asked: Asked, reply: Reply) {
        let at = Timestamp::from(SystemTime::now());
        let promise = Promise { reply: Some(reply), unanswered: unanswered(&asked, at) };
        let (Submitted { asked, promise }, why) = match self.sender.try_send(Submitted { asked, promise }) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(submitted)) => (submitted, RefusedFor::Busy),
            Err(mpsc::error::TrySendError::Closed(submitted)) => (submitted, RefusedFor::Stopping),
        };
        let reason = match why {
            RefusedFor::Busy => "too many commands wait; send it again later",
            _ => "the gateway is stopping",
        };
        self.tally.count(Outcome::Refused(why));
        promise.keep(asked.refused(why, reason, at));
    }

    /// What became of all commands since the start.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl DeskThread {
    /// Begins to take commands.
    pub fn start(setup: DeskSetup, queue: Queue) -> io::Result<DeskThread> {
        let (stop, stopped) = oneshot::channel();
        let (changes, changed) = watch::channel(None);
        let crew = Crew::start("commands", STOP_GRACE, move |tasks| {
            tasks.spawn_local(work::supervise(setup, queue, changed, stopped));
        })?;
        Ok(DeskThread { stop, changes, crew })
    }

    /// Judges commands by another plant from here on. What is under way is answered all the same.
    pub fn change(&self, plant: Plant) {
        self.changes.send_replace(Some(plant));
    }

    /// Raised every few seconds, for as long as the thread comes round.
    pub fn rounds(&self) -> u64 {
        self.crew.rounds()
    }

    /// Refuses what waits, and gives what is under way a moment. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        drop(self.stop);
        self.crew.stop()
    }
}

impl Promise {
    fn keep(mut self, answer: Answer) {
        if let Some(reply) = self.reply.take() {
            reply(answer);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            reply(self.unanswered.clone());
        }
    }
}

impl std::fmt::Debug for Promise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Promise")
    }
}

fn unanswered(asked: &Asked, at: Timestamp) -> Answer {
    let refused = asked.refused(RefusedFor::Stopping, "the gateway failed while it had the command", at);
    Answer { outcome: Outcome::Unknown, old: Value::None, held: Value::None, told: Told::First, ..refused }
}

#[cfg(test)]
mod tests;
