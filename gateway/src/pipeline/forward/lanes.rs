//! The lanes of one uplink: which of them reads on, and whose message is next.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use buffer::{Block, Cursor, Seq, SeqRange};
use tracing::{error, info, warn};

use super::again::Again;
use super::backlog::Backlog;
use super::leap::Leap;
use super::pace::{More, Pace};
use super::quarantine::Quarantine;
use super::replay::{Job, JobState, Range};
use super::route::Route;
use super::stream::Stream;
use super::supply::{Step, Supply};
use super::window::Window;
use crate::backoff::Jitter;
use crate::pipeline::schema::Schema;
use crate::pipeline::store::StoreClosed;
use crate::uplink::{Lane, Message};

/// History begins to flow at a time drawn from this part of the outage before, so that gateways which lost the same
/// far side do not all come at once …
const JITTER_OF_OUTAGE: f64 = 0.1;

/// … but not later than this; and within this where how long the outage was is not known.
const JITTER_MAX: Duration = Duration::from_secs(30);
const JITTER_AT_START: Duration = Duration::from_secs(2);

/// The lanes.
pub(super) struct Lanes {
    uplink: Box<str>,
    route: Route,
    leap: Leap,
    pace: Pace,
    jitter: Jitter,
    live: Stream,
    history: Stream,
    again: Option<Again>,
    /// Readings that replays sent since the start.
    replayed: u64,
    /// Since when there is no connection; `None` before the first.
    lost_at: Option<Instant>,
    /// Whether history flows, or has yet to begin.
    draining: bool,
}

impl Lanes {
    /// Lanes that take this route; `supply` is that of the live one.
    pub(super) fn new(uplink: &str, route: Route, leap: Leap, supply: Supply) -> io::Result<Lanes> {
        Ok(Lanes {
            uplink: uplink.into(),
            draining: route.has_history(),
            route,
            leap,
            pace: Pace::new(Instant::now()),
            jitter: Jitter::random(),
            history: Stream::new(supply.another(Lane::History)?),
            live: Stream::new(supply),
            again: None,
            replayed: 0,
            lost_at: None,
        })
    }

    /// A connection begins.
    pub(super) fn connected(&mut self, now: Instant) {
        let spread = self.lost_at.take().map_or(JITTER_AT_START, |lost_at| {
            now.saturating_duration_since(lost_at).mul_f64(JITTER_OF_OUTAGE).min(JITTER_MAX)
        });
        self.pace.begin(now + self.jitter.up_to(spread));
        self.route.connected();
        self.live.forget_reading();
    }

    /// The connection is over; nothing is on its way.
    pub(super) fn lost(&mut self, now: Instant) {
        self.lost_at.get_or_insert(now);
        self.pace.begin(now);
    }

    /// Lanes that have nothing left begin to read on.
    pub(super) fn read_on(&mut self, log: &impl Backlog, delivered: &Cursor, end: Seq) {
        if self.live.wants_more() {
            let (first, leapt) = self.route.live(delivered, end);
            if leapt {
                self.draining = true;
                let waiting = delivered.pending(first);
                info!(uplink = &*self.uplink, waiting, "what is new goes first; the backlog follows as history");
                if let Err(cause) = self.leap.keep(first) {
                    warn!(
                        uplink = &*self.uplink,
                        "after a restart the last of the backlog may go as live, because it cannot be kept where it ends: \
                         {cause}. Look after the disk"
                    );
                }
            }
            self.live.read(log, SeqRange { first, last: Seq::MAX });
        }
        if self.history.wants_more()
            && let Some(wanted) = self.route.history(delivered)
        {
            self.history.read(log, wanted);
        }
        if let Some(again) = &mut self.again {
            again.read_on(log);
        }
    }

    /// Begins to send a range of the log once more, from this seq on; the end of the log is the end of it at most.
    pub(super) fn replay(&mut self, job: Job, range: Range, from: Seq, log_end: Seq) {
        match self.live.supply.of_replay(job.number, range) {
            Ok(supply) => self.again = Some(Again::of_log(job, from, log_end, supply)),
            Err(cause) => error!(uplink = &*self.uplink, "a replay cannot begin: {cause}; it is tried again"),
        }
    }

    /// Begins to offer messages of the quarantine once more.
    pub(super) fn retry(&mut self, job: Job, quarantine: Quarantine) {
        self.again = Some(Again::of_quarantine(job, quarantine));
    }

    /// Whether a job is being worked on.
    pub(super) fn is_sending_again(&self) -> bool {
        self.again.is_some()
    }

    /// Whether a message of this lane lies in quarantine already.
    pub(super) fn is_of_quarantine(&self, lane: Lane) -> bool {
        self.again.as_ref().is_some_and(|again| again.lane() == lane && again.is_of_quarantine())
    }

    /// Readings that replays sent since the start.
    pub(super) fn replayed(&self) -> u64 {
        self.replayed
    }

    /// How much of the log the replay still has before it, readings; 0 while there is none.
    pub(super) fn replay_left(&self) -> u64 {
        self.again.as_ref().map_or(0, Again::readings_left)
    }

    /// How far the job is, when that is to be kept.
    pub(super) fn job_news(&mut self, window: &mut Window, now: Instant) -> Option<Job> {
        let again = self.again.as_mut()?;
        let before = again.readings_sent();
        let news = again.news(&self.uplink, window, now);
        self.replayed += again.readings_sent() - before;
        self.again.take_if(|_| news.as_ref().is_some_and(|job| job.state == JobState::Done));
        news
    }

    /// Waits until something was read for one of them. May be dropped and called again.
    pub(super) async fn arrived(&mut self, delivered: &Cursor) -> Result<(), StoreClosed> {
        tokio::select! {
            next = self.live.arrived(delivered) => self.route.live_read(next?),
            next = self.history.arrived(delivered) => self.route.history_read(next?),
            arrived = again_arrived(&mut self.again) => arrived?,
        }
        Ok(())
    }

    /// Moves the next message into the window; `false` when there is none, or none may enter.
    pub(super) fn make_message(&mut self, window: &mut Window, now: Instant) -> bool {
        if window.has_room(Lane::Live) && make(&mut self.live.supply, Lane::Live, window).is_some() {
            return true;
        }
        if !self.pace.may_send(now) || !window.has_room(Lane::History) {
            return false;
        }
        let bytes = make(&mut self.history.supply, Lane::History, window).or_else(|| self.again.as_mut()?.make(window));
        let Some(bytes) = bytes else { return false };
        self.pace.sent(bytes, now);
        true
    }

    /// A message has come back, so long after it was sent, or was set aside.
    pub(super) fn returned(&mut self, message: &Message, took: Option<Duration>, now: Instant) {
        match (message.lane(), took) {
            (Lane::Live, Some(took)) => self.pace.live_came_back(took, now),
            (Lane::Live, None) => {}
            (Lane::History | Lane::Replay(_), _) => {
                let more = if self.has_more_behind() { More::Waits } else { More::No };
                self.pace.returned(message.size_bytes(), more, now);
            }
        }
        if let Some(again) = self.again.as_mut().filter(|again| again.lane() == message.lane()) {
            again.returned(message, took.is_some());
        }
    }

    /// Whether something of other lanes than the live one is ready to be sent.
    fn has_more_behind(&self) -> bool {
        !self.history.supply.is_empty() || self.again.as_ref().is_some_and(Again::has_more)
    }

    /// Messages that say the same as this one in two parts or more; fewer where it cannot be taken apart.
    pub(super) fn halves(&self, message: &Message, block: &Block, schema: Option<Arc<Schema>>) -> Vec<Message> {
        match self.live.supply.another(message.lane()) {
            Ok(mut supply) => supply.halves(message, block, schema),
            Err(_) => Vec::new(),
        }
    }

    /// The message that tells of another, made of this block, that it will not come.
    pub(super) fn declaration(&mut self, message: &Message, block: Option<&Block>) -> Message {
        self.live.supply.declaration(message, block)
    }

    /// When a lane that rests may go on; `None` while none rests.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        self.pace.resting_until().filter(|until| *until > now && self.has_more_behind())
    }

    /// Notices the end of the backlog.
    pub(super) fn look(&mut self, window: &Window) {
        let is_over = self.history.wants_more() && !self.route.has_history() && window.is_idle(Lane::History);
        if self.draining && is_over {
            self.draining = false;
            info!(uplink = &*self.uplink, "the backlog is delivered");
            // Its memory is for whoever has a backlog: the names of all tags among it.
            if let Ok(supply) = self.live.supply.another(Lane::History) {
                self.history = Stream::new(supply);
            }
        }
    }

    /// Whether there is a backlog that goes in a lane of its own.
    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// The pace of what is not live.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }
}

/// Waits until something was read for the job, for ever where there is none.
async fn again_arrived(again: &mut Option<Again>) -> Result<(), StoreClosed> {
    match again {
        Some(again) => again.arrived().await,
        None => std::future::pending().await,
    }
}

/// Moves the next message of a lane into the window; its bytes, or `None` when there is none.
pub(super) fn make(supply: &mut Supply, lane: Lane, window: &mut Window) -> Option<usize> {
    loop {
        let message = match supply.step() {
            Step::Begin(seqs) => {
                window.begin(lane, seqs);
                match supply.open() {
                    None => continue,
                    Some(only) => {
                        let bytes = only.size_bytes();
                        window.add(only);
                        window.end(lane);
                        return Some(bytes);
                    }
                }
            }
            Step::Message(message) => message,
            Step::End => {
                window.end(lane);
                continue;
            }
            Step::Empty => return None,
        };
        let bytes = message.size_bytes();
        window.add(message);
        return Some(bytes);
    }
}
