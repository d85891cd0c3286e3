//! One task owns one line: it connects, polls what is due, touches what is silent, writes what was commanded.
//!
//! [`turns`] decides without I/O what comes next; here it is done. A line that is not connected still has its turns: each
//! tag that was due is reported bad, with the reason. A driver that panics loses its line, which is made anew.

mod lane;
mod turns;

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use driver_core::{Clock, Contact, Line, LineSpec, LinkError, Reading, Readings, Reports, SpecError, TagId, Value};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until};
use tracing::{error, warn};

use super::alarm::Alarm;
use super::findings::{Found, origin};
use super::health::{ACT_TIME_MAX, LineHealth};
use super::learned::LearnedFolder;
use super::link::RECONNECT;
use super::panic::caught;
use super::process::Process;
use super::schedule::Due;
use super::scheduling::Scheduling;
use crate::backoff::Jitter;
pub use lane::{Lane, Performed, WRITES_WAITING_MAX, Write};
use turns::{Turn, Turns};

/// How many writes overtake one poll, or one request of it.
const WRITES_BETWEEN_POLLS_MAX: usize = WRITES_WAITING_MAX;

/// What was learned is saved at most this often.
const LEARNED_EVERY: Duration = Duration::from_secs(10);

/// What all lines share. They live on one thread.
pub struct Shared {
    /// Stamps the readings.
    pub clock: Arc<dyn Clock>,
    /// Scales and filters the readings.
    pub process: RefCell<Process>,
    /// Where readings go.
    pub door: Box<dyn Door + Send>,
    /// Where what was learned is kept.
    pub learned: LearnedFolder,
    /// Where it is told what was found in devices, if that can change the configuration.
    pub finds: Option<mpsc::Sender<Found>>,
    /// The class of their thread.
    pub scheduling: Scheduling,
}

/// Where readings go, without ever waiting.
pub trait Door {
    /// An empty vector for the next poll.
    fn spare(&self) -> Vec<Reading>;

    /// Hands readings over; `false` when there was no room, and they are counted as lost.
    fn offer(&self, readings: Vec<Reading>) -> bool;
}

/// A line as the configuration describes it.
pub struct LineSetup {
    /// What it tells of itself.
    pub health: Arc<LineHealth>,
    /// Its name in the log.
    pub name: Box<str>,
    /// What it was made from, without what was learned.
    pub spec: Arc<LineSpec>,
    /// Its devices, in the order of the line.
    pub devices: Vec<DeviceSetup>,
    /// How long its first connect waits, so that many lines do not connect at once.
    pub stagger: Duration,
    /// Makes the line, at the start and after a panic.
    pub make: MakeLine,
}

/// Makes a line from its specification.
pub type MakeLine = Box<dyn Fn() -> Result<Box<dyn Line>, Vec<SpecError>> + Send>;

/// A device of a line.
pub struct DeviceSetup {
    /// Its name.
    pub name: Box<str>,
    /// What tells this device from another at its place; see [`LearnedFolder`].
    pub address: Box<str>,
    /// Its poll groups by [`GroupId`](driver_core::GroupId): the interval and the tags.
    pub groups: Vec<(Duration, Box<[TagId]>)>,
}

/// Polls a line until its lane ends; what panics is made anew.
pub async fn supervise(setup: LineSetup, shared: &Shared, mut lane: Lane) {
    let _told = ToldEnded(setup.health.clone());
    let mut jitter = Jitter::random();
    let (mut after, mut failures) = (setup.stagger, 0);
    loop {
        let begun = Instant::now();
        let failure = match caught(once(&setup, shared, &mut lane, after)).await {
            Ok(Ok(())) => break,
            Ok(Err(failure)) => failure,
            Err(panic) => panic,
        };
        failures = if begun.elapsed() >= RECONNECT.steady { 0 } else { failures + 1 };
        after = RECONNECT.wait(failures, &mut jitter);
        error!(
            line = &*setup.name,
            "the line's driver failed: {failure}. Its connection is made anew in {after:?}; please report this"
        );
        LineHealth::count(&setup.health.panics, 1);
    }
}

/// Tells of the end of a line, also of one that is cut off.
struct ToldEnded(Arc<LineHealth>);

impl Drop for ToldEnded {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// One life of a line, from its making to the end or to a panic.
async fn once(setup: &LineSetup, shared: &Shared, lane: &mut Lane, after: Duration) -> Result<(), String> {
    let turns = Turns::new(setup, shared, Instant::now().into_std(), after);
    match (setup.make)() {
        Ok(mut line) => {
            line.listen();
            let (alarm, learned_at) = (Alarm::new(shared.scheduling), Instant::now() + LEARNED_EVERY);
            Poller { setup, shared, line, lane, turns, alarm, learned_at, saving: None }.run().await;
            Ok(())
        }
        Err(errors) => {
            // Nobody can poll it now: the pause that a connect would have made is made here.
            let pause = Instant::now() + after.max(RECONNECT.longest / 2);
            while let Some(write) = tokio::select! {
                write = lane.recv() => write,
                () = sleep_until(pause) => return Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
            } {
                write.refuse();
            }
            Ok(())
        }
    }
}

struct Poller<'a> {
    setup: &'a LineSetup,
    shared: &'a Shared,
    line: Box<dyn Line>,
    lane: &'a mut Lane,
    turns: Turns<'a>,
    alarm: Alarm,
    learned_at: Instant,
    saving: Option<JoinHandle<()>>,
}

impl Poller<'_> {
    async fn run(mut self) {
        while self.turn().await.is_continue() {}
        self.back_by(Instant::now() + ACT_TIME_MAX);
        self.line.close().await;
        // One that is under way does not know of the end.
        for outcome in [self.saved().await, self.saved_now().await] {
            if let Some(Err(cause)) = outcome {
                warn!(line = &*self.setup.name, "saving what was learned failed: {cause}");
            }
        }
    }

    async fn turn(&mut self) -> ControlFlow<()> {
        let now = Instant::now();
        let turn = self.turns.next(now.into_std());
        self.back_by(match turn {
            Turn::Wait(until) => Instant::from_std(until),
            // Many requests on a slow line may fill the interval.
            Turn::Poll(due) => now + ACT_TIME_MAX + self.turns.interval(due.slot),
            Turn::Connect | Turn::Touch(_) => now + ACT_TIME_MAX,
        });
        match turn {
            Turn::Connect => self.connect().await?,
            Turn::Poll(due) => self.poll(due).await?,
            Turn::Touch(device) => self.touch(device).await,
            Turn::Wait(until) => self.wait(Instant::from_std(until)).await?,
        }
        self.writes().await
    }

    /// Waits for the connection, and goes on with the turns of those who cannot be polled meanwhile.
    async fn connect(&mut self) -> ControlFlow<()> {
        let mut connecting = self.line.connect();
        let outcome = loop {
            let next = Instant::from_std(self.turns.absent_due(Instant::now().into_std()));
            // All three arms lose nothing when cancelled; the connect itself goes on in the next round.
            tokio::select! {
                biased;
                outcome = &mut connecting => break outcome,
                write = self.lane.recv() => match write {
                    Some(write) => write.refuse(),
                    None => return ControlFlow::Break(()),
                },
                () = sleep_until(next) => {}
            }
        };
        drop(connecting);
        let now = Instant::now().into_std();
        match outcome {
            Ok(()) => self.turns.opened(now),
            Err(cause) => self.turns.lost(&cause, now),
        }
        ControlFlow::Continue(())
    }

    async fn poll(&mut self, due: Due) -> ControlFlow<()> {
        let begun = Instant::now();
        let mut readings = self.shared.door.spare();
        readings.reserve(self.turns.tags_due(due.index));
        let (mut goes_on, mut over) = (false, ControlFlow::Continue(()));
        let result = loop {
            let (result, has_paused) = self.poll_part(&due, &mut readings, goes_on).await;
            if !has_paused || result.is_err() {
                break result;
            }
            over = self.writes().await;
            goes_on = true;
        };
        let now = Instant::now();
        if self.turns.is_connected() {
            self.turns.polled(&due, &result, now - begun, now.into_std());
        } else {
            self.turns.cut_short(&due);
        }
        if self.line.reports(due.slot.device) == Reports::Changes && matches!(result, Ok(Contact::Answered)) {
            self.turns.confirmed(due.index, now.into_std());
        }
        if !readings.is_empty() {
            self.turns.hand_over(readings, now.into_std());
        }
        self.tell_found(due.slot.device);
        if now >= self.learned_at {
            self.learned_at = now + LEARNED_EVERY;
            self.save_learned();
        }
        over
    }

    /// A poll, or as much of it as is made before a write waits; whether it has paused for that.
    async fn poll_part(
        &mut self,
        due: &Due,
        readings: &mut Vec<Reading>,
        goes_on: bool,
    ) -> (Result<Contact, LinkError>, bool) {
        let lane = &*self.lane;
        let waits = || lane.is_waiting();
        let mut out = Readings::new(readings, &*self.shared.clock).pausing(&waits);
        if goes_on {
            out = out.going_on();
        }
        let result = self.line.poll(due.slot.device, due.slot.group, &mut out).await;
        (result, out.has_paused())
    }

    async fn touch(&mut self, device: usize) {
        let begun = Instant::now();
        let result = self.line.touch(device).await;
        let now = Instant::now();
        if self.turns.touched(device, &result, now - begun, now.into_std()).is_break() {
            self.line.close().await;
        }
    }

    async fn wait(&mut self, until: Instant) -> ControlFlow<()> {
        // All arms lose nothing when cancelled.
        let write = tokio::select! {
            biased;
            write = self.lane.recv() => write,
            () = self.line.news() => {
                self.take_news();
                return ControlFlow::Continue(());
            }
            () = self.alarm.until(until) => return ControlFlow::Continue(()),
        };
        match write {
            Some(write) => self.write(write).await,
            None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// What a device told by itself goes on at once.
    fn take_news(&mut self) {
        let mut readings = self.shared.door.spare();
        self.line.take_news(&mut Readings::new(&mut readings, &*self.shared.clock));
        if !readings.is_empty() {
            self.turns.hand_over(readings, Instant::now().into_std());
        }
    }

    /// The writes that came meanwhile: they overtake the next poll.
    async fn writes(&mut self) -> ControlFlow<()> {
        for _ in 0..WRITES_BETWEEN_POLLS_MAX {
            match self.lane.try_recv() {
                Ok(write) => self.write(write).await,
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    async fn write(&mut self, write: Write) {
        if !self.turns.is_connected() {
            return write.refuse();
        }
        let Write { device, tag, value, until, reply } = write;
        let now = Instant::now();
        if now.into_std() >= until {
            return Performed::TooLate.tell(reply);
        }
        self.back_by(now + ACT_TIME_MAX);
        let result = self.line.write(device, tag, &value).await;
        if let Err(cause) = &result {
            self.turns.lost(cause, Instant::now().into_std());
        }
        let performed = Performed::of(result);
        if matches!(performed, Performed::Lost(_) | Performed::Silent | Performed::Written(Value::None)) {
            self.turns.doubted(tag, Instant::now().into_std());
        }
        performed.tell(reply);
    }

    /// Tells what was found in a device; where nobody has room for it, at the next poll.
    fn tell_found(&mut self, device: usize) {
        let Some(Ok(place)) = self.shared.finds.as_ref().map(mpsc::Sender::try_reserve) else { return };
        if let (Some(tags), Some(spec)) = (self.line.found(device), self.setup.spec.devices.get(device)) {
            let patterns = spec.browse.iter().map(|pattern| &**pattern);
            place.send(Found { device: spec.name.clone(), origin: origin(&self.setup.spec.url, patterns), tags });
        }
    }

    /// Saves what is new on a thread of its own: the disk is never waited for between two polls. What is new while an
    /// earlier save is under way waits for the next time.
    fn save_learned(&mut self) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        let mut news = Vec::new();
        for (index, device) in self.setup.devices.iter().enumerate() {
            news.extend(self.line.learned(index).map(|text| (device.name.clone(), device.address.clone(), text)));
        }
        if news.is_empty() {
            return;
        }
        let folder = self.shared.learned.clone();
        self.saving = Some(tokio::task::spawn_blocking(move || {
            for (device, address, text) in news {
                if let Err(cause) = folder.save(&device, &address, &text) {
                    warn!(%device, "what was learned about the device is not on disk and will be learned again: {cause}");
                }
            }
        }));
    }

    async fn saved_now(&mut self) -> Option<Result<(), JoinError>> {
        self.save_learned();
        self.saved().await
    }

    async fn saved(&mut self) -> Option<Result<(), JoinError>> {
        Some(self.saving.take()?.await)
    }

    fn back_by(&self, at: Instant) {
        self.setup.health.back_by(at.into_std());
    }
}

#[cfg(test)]
pub(super) mod scripted;
#[cfg(test)]
mod tests;
