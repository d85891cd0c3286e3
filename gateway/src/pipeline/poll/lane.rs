//! The way into a line from outside: what shall be written, and what became of it.

use driver_core::{LinkError, TagId, Value, WriteError, WriteOutcome};
use tokio::sync::{mpsc, oneshot, watch};

/// How many writes wait for one line; more are refused where they come from.
pub const WRITES_WAITING_MAX: usize = 16;

/// A write that came from outside.
#[derive(Debug)]
pub struct Write {
    /// The device's index on the line.
    pub device: usize,
    /// Which tag.
    pub tag: TagId,
    /// What it shall hold, as the device holds it.
    pub value: Value,
    /// After which it is not written any more.
    pub until: std::time::Instant,
    /// Where it is told what became of it.
    pub reply: oneshot::Sender<Performed>,
}

impl Write {
    /// Answers it for a line that has no connection.
    pub(super) fn refuse(self) {
        Performed::Refused("there is no connection to the device".into()).tell(self.reply);
    }
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Performed {
    /// The device took it, and holds this now; [`Value::None`] when it cannot be read back.
    Written(Value),
    /// It was not written; why.
    Refused(String),
    /// It was not written, because its time had passed.
    TooLate,
    /// The device did not answer: whether it wrote is not known.
    Silent,
    /// The connection was lost meanwhile: whether the device wrote is not known.
    Lost(String),
    /// The line ended meanwhile: whether the device wrote is not known.
    Gone,
}

impl Performed {
    /// What the driver's answer means for whoever asked.
    pub(super) fn of(result: Result<WriteOutcome, LinkError>) -> Performed {
        match result {
            Ok(WriteOutcome::Written(held)) => Performed::Written(held),
            Ok(WriteOutcome::Failed(WriteError::Unknown)) => Performed::Silent,
            Ok(WriteOutcome::Failed(error)) => Performed::Refused(error.to_string()),
            Err(cause) => Performed::Lost(cause.to_string()),
        }
    }

    /// Tells whoever asked, who may have gone meanwhile: then nobody is left to be told.
    pub(super) fn tell(self, reply: oneshot::Sender<Performed>) {
        drop(reply.send(self));
    }
}

/// The way into a line: writes from outside, and its end.
pub struct Lane {
    writes: mpsc::Receiver<Write>,
    /// Its sender gone means the end.
    end: watch::Receiver<()>,
}

impl Lane {
    /// The lane with where writes go in; the line ends when the last of both senders is gone, or the second of them.
    pub fn new() -> (mpsc::Sender<Write>, watch::Sender<()>, Lane) {
        let (sender, writes) = mpsc::channel(WRITES_WAITING_MAX);
        let (ender, end) = watch::channel(());
        (sender, ender, Lane { writes, end })
    }

    /// The next write; `None` at the end. Loses nothing when it is cancelled.
    pub(super) async fn recv(&mut self) -> Option<Write> {
        tokio::select! {
            biased;
            _ = self.end.changed() => None,
            write = self.writes.recv() => write,
        }
    }

    /// Whether a write waits already.
    pub(super) fn is_waiting(&self) -> bool {
        !self.writes.is_empty()
    }

    /// The write that waits already.
    pub(super) fn try_recv(&mut self) -> Result<Write, mpsc::error::TryRecvError> {
        match self.end.has_changed() {
            Ok(_) => self.writes.try_recv(),
            Err(_) => Err(mpsc::error::TryRecvError::Disconnected),
        }
    }
}
