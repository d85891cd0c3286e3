//! What a line does next, and what its outcomes mean: schedule, link and breakers of one line together, without I/O.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use driver_core::{Contact, LinkError, Reading, Readings, Reason, TagId};
use tracing::{debug, info, warn};

use super::super::breaker::{Breakers, Change};
use super::super::health::LineHealth;
use super::super::link::{Link, LinkAction, LinkEvent, RECONNECT};
use super::super::schedule::{Due, Schedule, Slot, phase_key};
use super::{LineSetup, Shared};
use crate::backoff::Jitter;

/// The first connect has this long before the turns of a line begin, so that tags are not called bad too early.
const FIRST_CONNECT_GRACE: Duration = Duration::from_millis(250);

/// A line with nothing to do looks again after this long.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Polls go before a touch for at most this long.
const TOUCH_PATIENCE: Duration = Duration::from_secs(1);

/// A line that kept its intervals for so many turns in a row is no longer called late.
const ON_TIME_TURNS: u32 = 60;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Connect,
    Poll(Due),
    Touch(usize),
    Wait(Instant),
}

pub(super) struct Turns<'a> {
    setup: &'a LineSetup,
    shared: &'a Shared,
    schedule: Schedule,
    /// By the schedule's index.
    due: Vec<&'a [TagId]>,
    link: Link,
    breakers: Breakers,
    jitter: Jitter,
    told: Told,
    pace: Pace,
}

/// What the log says of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Up,
    /// With what the operator was told to do: a line that needs another remedy is told of again.
    Down(Reason, Option<&'static str>),
}

/// Whether a connected line keeps its intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    OnTime,
    Late { turns_left: u32 },
}

impl<'a> Turns<'a> {
    pub(super) fn new(setup: &'a LineSetup, shared: &'a Shared, now: Instant, after: Duration) -> Turns<'a> {
        let (mut slots, mut due) = (Vec::new(), Vec::new());
        // One phase for all devices of a line: they are polled back to back, in one waking of the thread.
        let key = phase_key(&setup.name);
        for (device, spec) in setup.devices.iter().enumerate() {
            // One without a tag is that of a device that is looked through.
            for (group, (interval, tags)) in spec.groups.iter().enumerate() {
                let group = driver_core::GroupId(u16::try_from(group).expect("a group's number is a GroupId"));
                slots.push((Slot { device, group }, *interval, key));
                due.push(&**tags);
            }
        }
        let mut jitter = Jitter::random();
        let (link, _) = Link::Idle.step(LinkEvent::Start { after }, now, &RECONNECT, &mut jitter);
        Turns {
            setup,
            shared,
            schedule: Schedule::new(now + after + FIRST_CONNECT_GRACE, slots),
            due,
            link,
            breakers: Breakers::new(setup.devices.len(), now),
            jitter,
            told: Told::Nothing,
            pace: Pace::OnTime,
        }
    }

    /// What comes next; slots that cannot be polled have their turn within.
    pub(super) fn next(&mut self, now: Instant) -> Turn {
        if self.step(LinkEvent::Tick, now) == LinkAction::Connect {
            return Turn::Connect;
        }
        if !self.link.is_connected() {
            let due = self.absent_due(now);
            return Turn::Wait(self.link.until().map_or(due, |until| until.min(due)));
        }
        let touch = self.breakers.next_touch();
        let overdue = touch.is_some_and(|(_, at)| at + TOUCH_PATIENCE <= now);
        while let Some(slot) = self.schedule.first_due(now) {
            let suspended = self.breakers.is_open(slot.device);
            if overdue && !suspended {
                break;
            }
            let Some(due) = self.schedule.take(now) else { break };
            if !suspended {
                self.note_pace(&due);
                return Turn::Poll(due);
            }
            self.absent(&due, Reason::Suspended, now);
        }
        let next = self.schedule.next_due().unwrap_or(now + IDLE_MAX);
        match touch {
            Some((device, at)) if at <= now => Turn::Touch(device),
            Some((_, at)) => Turn::Wait(at.min(next)),
            None => Turn::Wait(next),
        }
    }

    /// The turns of a line without a connection: bad readings. Returns when the next one is due.
    pub(super) fn absent_due(&mut self, now: Instant) -> Instant {
        let reason = match self.told {
            Told::Down(reason, _) => reason,
            Told::Nothing | Told::Up => Reason::NotConnected,
        };
        while let Some(due) = self.schedule.take(now) {
            self.absent(&due, reason, now);
        }
        self.schedule.next_due().unwrap_or(now + IDLE_MAX)
    }

    fn absent(&mut self, due: &Due, reason: Reason, now: Instant) {
        self.schedule.absent(due.index);
        let mut readings = self.shared.door.spare();
        let mut out = Readings::new(&mut readings, &*self.shared.clock);
        self.due[due.index].iter().for_each(|tag| out.bad(*tag, reason, 0));
        self.hand_over(readings, now);
    }

    /// Readings leave the line: through the filter and the door.
    pub(super) fn hand_over(&self, mut readings: Vec<Reading>, now: Instant) {
        self.shared.process.borrow_mut().run(&mut readings, now);
        if !self.shared.door.offer(readings) {
            debug!(line = &*self.setup.name, "the store has no room: readings were lost and are counted there");
        }
    }

    /// The device tells what changes, and was heard: what it did not tell of is as it was.
    pub(super) fn confirmed(&self, index: usize, now: Instant) {
        self.shared.process.borrow().confirm(self.due[index], now);
    }

    pub(super) fn tags_due(&self, index: usize) -> usize {
        self.due[index].len()
    }

    /// How often a slot is polled.
    pub(super) fn interval(&self, slot: Slot) -> Duration {
        let groups = self.setup.devices.get(slot.device).map(|device| &device.groups);
        groups.and_then(|groups| groups.get(slot.group.index())).map_or(Duration::ZERO, |(interval, _)| *interval)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    pub(super) fn opened(&mut self, now: Instant) {
        self.step(LinkEvent::Opened, now);
        self.breakers.renew(now);
        self.tell_suspended();
        let breakers = &self.breakers;
        self.schedule.hasten_absent(now, |device| !breakers.is_open(device));
        self.count(|health| LineHealth::count(&health.connects, 1));
        if self.told == Told::Nothing {
            self.tell_up();
        }
    }

    /// What a tag holds after a write is not known: it is read now, or as soon as that can be.
    pub(super) fn doubted(&mut self, tag: TagId, now: Instant) {
        for index in (0..self.due.len()).filter(|index| self.due[*index].contains(&tag)) {
            self.schedule.absent(index);
        }
        if self.link.is_connected() {
            let breakers = &self.breakers;
            self.schedule.hasten_absent(now, |device| !breakers.is_open(device));
        }
    }

    pub(super) fn lost(&mut self, cause: &LinkError, now: Instant) {
        self.down((Reason::NotConnected, cause.advice()), cause, now);
    }

    fn down(&mut self, (reason, advice): (Reason, Option<&'static str>), cause: &dyn std::fmt::Display, now: Instant) {
        self.step(LinkEvent::Lost, now);
        self.schedule.hasten_first(now);
        self.count(|health| health.fails(cause.to_string()));
        let told = Told::Down(reason, advice);
        if std::mem::replace(&mut self.told, told) == told {
            debug!(line = &*self.setup.name, "still not connected: {cause}");
        } else {
            warn!(line = &*self.setup.name, "not connected, its tags are bad until it is there again: {cause}");
        }
    }

    /// After the first connection only an answer is worth telling: there are devices that accept each connection and close
    /// it at once.
    fn tell_up(&mut self) {
        if std::mem::replace(&mut self.told, Told::Up) != Told::Up {
            info!(line = &*self.setup.name, "connected");
        }
    }

    pub(super) fn polled(&mut self, due: &Due, result: &Result<Contact, LinkError>, took: Duration, now: Instant) {
        let device = due.slot.device;
        self.count(|health| {
            LineHealth::count(&health.polls, 1);
            LineHealth::count(&health.missed, due.missed.into());
            health.late.add(due.late);
            let Some(device) = health.devices.get(device) else { return };
            device.last_poll_us.store(micros(took), Ordering::Relaxed);
            let Some(group) = device.groups.get(usize::from(due.slot.group.0)) else { return };
            LineHealth::count(&group.polls, 1);
            LineHealth::count(&group.missed, due.missed.into());
            LineHealth::count(&group.late_us, micros(due.late));
            LineHealth::count(&group.poll_us, micros(took));
        });
        match result {
            Ok(contact) => {
                self.schedule.asked(due.index);
                let change = self.breakers.polled(device, *contact, now, &mut self.jitter);
                self.heard(device, *contact, change, now);
            }
            Err(cause) => {
                self.schedule.absent(due.index);
                self.lost(cause, now);
            }
        }
    }

    /// A write in the middle of a poll has lost the connection, and told so.
    pub(super) fn cut_short(&mut self, due: &Due) {
        self.schedule.absent(due.index);
    }

    /// Breaks when the connection is to be given up, because nobody answers on it.
    pub(super) fn touched(
        &mut self,
        device: usize,
        result: &Result<Contact, LinkError>,
        took: Duration,
        now: Instant,
    ) -> ControlFlow<()> {
        let contact = match result {
            Ok(contact) => *contact,
            Err(cause) => {
                self.lost(cause, now);
                return ControlFlow::Continue(());
            }
        };
        let change = self.breakers.touched(device, contact, took, now, &mut self.jitter);
        self.heard(device, contact, change, now);
        if !self.breakers.nobody_answers() {
            return ControlFlow::Continue(());
        }
        self.down((Reason::Suspended, None), &"the connection stood, but no device answered on it", now);
        ControlFlow::Break(())
    }

    fn heard(&mut self, device: usize, contact: Contact, change: Change, now: Instant) {
        let name = self.setup.devices.get(device).map_or("", |device| &device.name);
        self.count(|line| {
            let Some(health) = line.devices.get(device) else { return };
            health.unanswered.store(contact == Contact::Silent, Ordering::Relaxed);
            if contact == Contact::Answered {
                line.answered(health, now);
            }
        });
        match contact {
            Contact::Answered => self.tell_up(),
            Contact::Silent => self.count(|health| {
                LineHealth::count(&health.silent, 1);
                health.devices.get(device).inspect(|device| LineHealth::count(&device.silent, 1));
            }),
        }
        match change {
            Change::Same => return,
            Change::Suspended => warn!(
                line = &*self.setup.name,
                device = name,
                "the device does not answer: it is left alone but for a touch now and then. Check its power, its unit number and its wiring"
            ),
            Change::Back => {
                info!(line = &*self.setup.name, device = name, "the device answers again");
                self.schedule.hasten_absent(now, |back| back == device);
            }
        }
        self.tell_suspended();
    }

    fn tell_suspended(&self) {
        let open = self.breakers.open_count();
        self.count(|health| {
            health.suspended.store(open, Ordering::Relaxed);
            for (index, device) in health.devices.iter().enumerate() {
                device.suspended.store(self.breakers.is_open(index), Ordering::Relaxed);
            }
        });
    }

    fn note_pace(&mut self, due: &Due) {
        self.pace = match (self.pace, due.missed) {
            (Pace::OnTime, 0) => Pace::OnTime,
            (Pace::Late { turns_left: 0 }, 0) => {
                info!(line = &*self.setup.name, "the line keeps its intervals again");
                Pace::OnTime
            }
            (Pace::Late { turns_left }, 0) => Pace::Late { turns_left: turns_left - 1 },
            (Pace::Late { .. }, _) => Pace::Late { turns_left: ON_TIME_TURNS },
            (Pace::OnTime, missed) => {
                let late = due.late;
                warn!(
                    line = &*self.setup.name,
                    missed,
                    ?late,
                    "cycles were missed: an earlier poll took too long, or the gateway stood still. If this goes on, poll less often"
                );
                Pace::Late { turns_left: ON_TIME_TURNS }
            }
        };
    }

    fn step(&mut self, event: LinkEvent, now: Instant) -> LinkAction {
        let (link, action) = self.link.step(event, now, &RECONNECT, &mut self.jitter);
        if link.is_connected() != self.link.is_connected() {
            self.count(|health| health.connected.store(link.is_connected(), Ordering::Relaxed));
        }
        self.link = link;
        action
    }

    fn count(&self, count: impl FnOnce(&LineHealth)) {
        count(&self.setup.health);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
