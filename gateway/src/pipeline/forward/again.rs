//! What is sent once more in the third lane: the job, how far it is, and where its messages come from.

use std::time::{Duration, Instant};

use buffer::{Cursor, Seq, SeqRange};
use tracing::info;

use super::backlog::Backlog;
use super::lanes::make;
use super::quarantine::Quarantine;
use super::replay::{Job, JobState};
use super::retry::Retry;
use super::stream::Stream;
use super::supply::Supply;
use super::window::Window;
use crate::pipeline::store::StoreClosed;
use crate::uplink::{Lane, Message};

/// How often the progress is kept.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// A job that is worked on.
pub(super) struct Again {
    job: Job,
    source: Source,
    kept_at: Option<Instant>,
}

enum Source {
    /// A range of the log.
    Log {
        stream: Stream,
        /// From where it reads on.
        at: Seq,
        end: Seq,
    },
    /// Messages in quarantine.
    Quarantine(Retry),
}

impl Again {
    /// Sends a range of the log, from the seq `from` on; the end of the log is the end of it at most.
    pub(super) fn of_log(mut job: Job, from: Seq, log_end: Seq, supply: Supply) -> Again {
        let (at, end) = (*job.next.get_or_insert(from), *job.end.get_or_insert(log_end));
        job.state = JobState::Running;
        Again { job, source: Source::Log { stream: Stream::new(supply), at, end }, kept_at: None }
    }

    /// Offers messages of the quarantine.
    pub(super) fn of_quarantine(job: Job, quarantine: Quarantine) -> Again {
        let source = Source::Quarantine(Retry::new(&job, quarantine));
        // What was delivered before a restart was taken out, or is offered and counted once more.
        Again { job: Job { state: JobState::Running, sent: 0, refused: 0, ..job }, source, kept_at: None }
    }

    /// Its lane.
    pub(super) fn lane(&self) -> Lane {
        Lane::Replay(self.job.number)
    }

    /// Whether its messages come out of the quarantine.
    pub(super) fn is_of_quarantine(&self) -> bool {
        matches!(self.source, Source::Quarantine(_))
    }

    /// Readings of the log that were sent so far.
    pub(super) fn readings_sent(&self) -> u64 {
        if self.is_of_quarantine() { 0 } else { self.job.sent }
    }

    /// How much of the log it still has before it, readings.
    pub(super) fn readings_left(&self) -> u64 {
        match &self.source {
            Source::Log { at, end, .. } => end.saturating_sub(self.job.next.unwrap_or(*at)),
            Source::Quarantine(_) => 0,
        }
    }

    /// Begins to read on where nothing is left.
    pub(super) fn read_on(&mut self, log: &impl Backlog) {
        match &mut self.source {
            Source::Log { stream, at, end } if stream.wants_more() && *at < *end => {
                stream.read(log, SeqRange { first: *at, last: *end - 1 });
            }
            Source::Log { .. } => {}
            Source::Quarantine(retry) => retry.read_on(),
        }
    }

    /// Waits until something was read. May be dropped and called again. What is sent was delivered or refused before, so no
    /// cursor keeps anything back.
    pub(super) async fn arrived(&mut self) -> Result<(), StoreClosed> {
        match &mut self.source {
            Source::Log { stream, at, .. } => {
                let next = stream.arrived(&Cursor::starting_at(1)).await?;
                *at = (*at).max(next);
            }
            Source::Quarantine(retry) => retry.arrived().await,
        }
        Ok(())
    }

    /// Whether something is ready to be sent.
    pub(super) fn has_more(&self) -> bool {
        match &self.source {
            Source::Log { stream, .. } => !stream.supply.is_empty(),
            Source::Quarantine(retry) => retry.has_more(),
        }
    }

    /// Moves the next message into the window; its bytes, or `None` where there is none.
    pub(super) fn make(&mut self, window: &mut Window) -> Option<usize> {
        let lane = self.lane();
        match &mut self.source {
            Source::Log { stream, .. } => make(&mut stream.supply, lane, window),
            Source::Quarantine(retry) => retry.make(window),
        }
    }

    /// A message has come back: delivered, or refused for good.
    pub(super) fn returned(&mut self, message: &Message, is_delivered: bool) {
        if let Source::Quarantine(retry) = &mut self.source {
            retry.returned(message.token, is_delivered);
        }
    }

    /// How far it is, when that is to be kept: now and then, and at its end.
    pub(super) fn news(&mut self, uplink: &str, window: &mut Window, now: Instant) -> Option<Job> {
        // Its acknowledgements move no cursor.
        drop(window.take_done(self.lane()));
        let is_over = self.count(window);
        if is_over {
            self.job.state = JobState::Done;
            let (job, sent, refused) = (self.job.number, self.job.sent, self.job.refused);
            info!(uplink, job, sent, refused, "the replay is delivered");
        }
        let is_due = self.kept_at.is_none_or(|kept_at| now.saturating_duration_since(kept_at) >= KEEP_EVERY);
        (is_due || is_over).then(|| {
            self.kept_at = Some(now);
            self.job.clone()
        })
    }

    /// Brings the job's figures up to date; whether all of it is done.
    fn count(&mut self, window: &Window) -> bool {
        let lane = self.lane();
        match &mut self.source {
            Source::Log { stream, at, end } => {
                self.job.sent += stream.supply.take_made();
                self.job.next = window.first(lane).or(stream.supply.first_seq()).or(Some(*at));
                *at >= *end && stream.wants_more() && window.is_idle(lane)
            }
            Source::Quarantine(retry) => {
                (self.job.sent, self.job.refused) = retry.counts();
                retry.is_over()
            }
        }
    }
}
