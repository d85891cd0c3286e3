//! From the log to one destination: one task an uplink.
//!
//! ```text
//! backlog --chapter--> lanes: supply --messages--> window --send--> publisher --> far side
//!    ^                                               |                 |
//!    +-------------------- done ranges --------------+<--- tokens -----+
//! ```
//!
//! What is new goes in the live lane. A backlog goes in the history lane, beside it and at a [`pace`] that what is live does
//! not feel, unless the uplink is to get everything in the order of the log.
//!
//! The cursor moves only over what the far side has acknowledged, or what it refused for good and the [`quarantine`]
//! keeps. While there is no connection nothing is read; after a reconnect everything that did not come back is sent
//! again. What is held in memory is bounded by the window, and one chapter of the log and one decoded block a lane.

mod account;
mod again;
pub mod backlog;
mod commands;
pub mod counters;
mod lanes;
pub mod leap;
mod pace;
mod poison;
pub mod quarantine;
pub mod replay;
mod requests;
pub mod retry;
pub mod route;
mod serve;
mod stream;
mod supply;
pub mod window;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use buffer::{Cursor, Seq};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{error, info, warn};

use self::backlog::Backlog;
use self::commands::Commands;
use self::counters::{Counters, count};
use self::lanes::Lanes;
use self::leap::Leap;
use self::poison::{About, Accepted};
use self::quarantine::Quarantine;
use self::replay::Jobs;
use self::requests::Requests;
use self::route::{Drain, Route};
use self::supply::Supply;
use self::window::{Verdict, Window};
use super::command::desk::Desk;
use super::link::{Link, LinkAction, LinkEvent};
use super::redate::Redate;
use super::store::StoreClosed;
use crate::backoff::{Backoff, Jitter};
use crate::uplink::{ConnectError, Lane, Loss, Publisher, Way};

/// Reconnects of an uplink: at most one a second on average, and soon after the far side is back.
pub const RECONNECT: Backoff = Backoff {
    shortest: Duration::from_millis(200),
    first: Duration::from_secs(2),
    longest: Duration::from_secs(20),
    steady: Duration::from_secs(10),
};

/// How often what waits is counted while there is no connection.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// A far side that has messages and acknowledges none of them for so long is left and called anew.
pub const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);

/// How long the end waits for acknowledgements that are on their way.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// How many different reasons of refusals stand in the log for one connection; a reason names the topic.
const REASONS_TOLD_MAX: usize = 16;

/// What it takes to forward to one destination.
pub struct Setup {
    /// The uplink's name.
    pub name: Box<str>,
    /// The format and the publisher.
    pub way: Way,
    /// In which order a backlog leaves.
    pub drain: Drain,
    /// Where messages go that the far side will not take.
    pub quarantine: Quarantine,
    /// Where it is kept how far the live lane has leapt.
    pub leap: Leap,
    /// Where replays are asked for.
    pub jobs: Jobs,
    /// What is known of the clock's steps.
    pub redate: Arc<Redate>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Where commands go that the far side sends.
    pub desk: Desk,
}

/// Forwards until `stop` is sent or dropped, or the log is closed.
pub async fn run(setup: Setup, log: impl Backlog, mut stop: oneshot::Receiver<()>) {
    let cursor = match log.cursor().await {
        Ok(Some(cursor)) => cursor,
        Ok(None) => {
            return error!(uplink = &*setup.name, "the log does not know this uplink; please report this as a bug");
        }
        Err(StoreClosed) => return,
    };
    let name = setup.name.clone();
    let mut forward = match Forward::new(setup, log, cursor) {
        Ok(forward) => forward,
        Err(cause) => return error!(uplink = &*name, "cannot start: {cause}. Free memory and restart the gateway"),
    };
    let ended = forward.live(&mut stop).await;
    forward.end(ended).await;
}

struct Forward<B> {
    name: Box<str>,
    log: B,
    end: watch::Receiver<Seq>,
    publisher: Box<dyn Publisher>,
    lanes: Lanes,
    window: Window,
    quarantine: Quarantine,
    requests: Requests,
    commands: Commands,
    counters: Arc<Counters>,
    /// What the far side has, as far as it was told to the log.
    delivered: Cursor,
    /// When to tell the log what is done.
    commit_at: Option<Instant>,
    /// When a message was last handed to an idle far side, or something came back.
    heard_at: Instant,
    told: Told,
    accepted: Accepted,
    jitter: Jitter,
}

/// What stands in the log already, so that it is written once per change.
#[derive(Default)]
struct Told {
    /// Why no connection was made, since the last: several brokers may each have their own reason.
    connect_failures: Vec<ConnectError>,
    /// Why messages were refused, and why set aside, on this connection.
    refused: BTreeSet<String>,
    set_aside: BTreeSet<String>,
    not_kept: bool,
}

/// Whether a reason is new among those that were told, and few were.
fn is_news(reason: &str, told: &mut BTreeSet<String>) -> bool {
    told.len() < REASONS_TOLD_MAX && told.insert(reason.into())
}

/// Why forwarding ended.
enum Ended {
    Stopped,
    StoreClosed,
}

/// Why a connection's service ended.
enum Over {
    Lost(Loss),
    Ended(Ended),
}

impl<B: Backlog> Forward<B> {
    fn new(setup: Setup, log: B, cursor: Cursor) -> io::Result<Forward<B>> {
        let Setup { name, way, drain, quarantine, leap, jobs, redate, counters, desk } = setup;
        let supply = Supply::new(Lane::Live, way.format, redate)?;
        let end = log.end();
        let route = Route::new(drain, &cursor).behind_a_leap(leap.to().min(*end.borrow()));
        Ok(Forward {
            requests: Requests::new(jobs, &name),
            lanes: Lanes::new(&name, route, leap, supply)?,
            name,
            end,
            log,
            publisher: way.publisher,
            window: Window::default(),
            quarantine,
            commands: Commands::new(desk),
            counters,
            delivered: cursor,
            commit_at: None,
            heard_at: Instant::now(),
            told: Told::default(),
            accepted: Accepted::default(),
            jitter: Jitter::random(),
        })
    }

    async fn live(&mut self, stop: &mut oneshot::Receiver<()>) -> Ended {
        let mut link = Link::Idle;
        let mut event = LinkEvent::Start { after: Duration::ZERO };
        loop {
            let action;
            (link, action) = link.step(event, Instant::now().into_std(), &RECONNECT, &mut self.jitter);
            event = match (action, link.until()) {
                (LinkAction::Connect, _) => tokio::select! {
                    _ = &mut *stop => return Ended::Stopped,
                    outcome = self.publisher.connect() => self.note_connect(outcome),
                },
                // What waits is told meanwhile, also of a far side that was never there; a tick before its time does nothing.
                (LinkAction::Stay, Some(until)) => tokio::select! {
                    _ = &mut *stop => return Ended::Stopped,
                    () = sleep_until(Instant::from_std(until).min(Instant::now() + COUNT_EVERY)) => {
                        self.count_waiting();
                        LinkEvent::Tick
                    }
                },
                (LinkAction::Stay, None) => match self.serve(stop).await {
                    Over::Lost(loss) => self.note_loss(&loss).await,
                    Over::Ended(ended) => return ended,
                },
            };
        }
    }

    fn note_connect(&mut self, outcome: Result<(), ConnectError>) -> LinkEvent {
        count(&self.counters.connects, 1);
        match outcome {
            Ok(()) => {
                info!(uplink = &*self.name, endpoint = self.publisher.endpoint(), "connected");
                self.counters.connected.store(true, Ordering::Relaxed);
                self.told = Told::default();
                LinkEvent::Opened
            }
            Err(failure) => {
                let told = &mut self.told.connect_failures;
                if !told.contains(&failure) && told.len() < REASONS_TOLD_MAX {
                    warn!(uplink = &*self.name, "{failure}. Readings are kept in the buffer meanwhile.");
                    told.push(failure);
                }
                LinkEvent::Lost
            }
        }
    }

    async fn note_loss(&mut self, loss: &Loss) -> LinkEvent {
        self.counters.connected.store(false, Ordering::Relaxed);
        count(&self.counters.losses, 1);
        warn!(uplink = &*self.name, endpoint = self.publisher.endpoint(), "the connection is lost: {}", loss.reason);
        let now = Instant::now().into_std();
        self.lanes.lost(now);
        let reason = format!("each time that it was sent alone, the far side ended the connection: {}", loss.reason);
        let verdict = self.window.lost(loss.by, now);
        match verdict {
            Verdict::Open | Verdict::Accused => {}
            Verdict::Guilty(token) => self.refused_for_good(token, About::TheMessage, &reason).await,
            Verdict::PerhapsTooLarge(token) => self.make_smaller(token, &reason).await,
        }
        self.commit();
        if verdict == Verdict::Open { LinkEvent::Lost } else { LinkEvent::Explained }
    }

    /// Waits a little for what is on its way, and takes leave.
    async fn end(mut self, ended: Ended) {
        let deadline = Instant::now() + CLOSE_WITHIN;
        let connected = self.counters.connected.load(Ordering::Relaxed);
        let mut events = Vec::new();
        while connected && self.window.sent() > 0 {
            let answer = timeout_at(deadline, self.publisher.events(&mut events)).await;
            if answer.is_err() || self.take_in(&mut events).await.is_some() {
                break;
            }
        }
        self.commit();
        self.publisher.close().await;
        self.counters.connected.store(false, Ordering::Relaxed);
        let waiting = self.delivered.pending(*self.end.borrow());
        match ended {
            Ended::Stopped => info!(uplink = &*self.name, waiting, "stopped"),
            Ended::StoreClosed => info!(uplink = &*self.name, "stopped, because the log is closed"),
        }
    }
}

#[cfg(test)]
mod tests;
