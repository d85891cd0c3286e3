//! One poll: the planned requests, then the search for what was refused, then the tries of what was refused earlier.

use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};

use driver_core::{Contact, GroupId, LinkError, Readings};
use tokio::time::Instant;

use super::ModbusConnection;
use super::bisect::Bisection;
use super::fault::link_error;
use super::tally::{self, Outcome, Tally};
use crate::device::ModbusDevice;
use crate::plan::{GroupPlan, Read};
use crate::session::TransactError;
use crate::wire::{Exception, Request};

/// Requests in one poll to find refused addresses; what is not found by then goes on in the next poll.
const BISECT_REQUESTS_MAX: usize = 64;
/// Refused addresses that are tried again in one poll.
const RETRIES_MAX: usize = 8;

/// Where a poll has paused: which of its requests are answered, and what they have come to.
#[derive(Debug)]
pub(crate) struct Paused {
    group: GroupId,
    next: usize,
    /// Requests that were refused for an address, and are to be searched.
    refused: Vec<(usize, Exception)>,
    outcome: Outcome,
}

impl ModbusConnection {
    pub(super) async fn poll_group(
        &mut self,
        device: &mut ModbusDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let ModbusDevice { tags, zones, groups, costs, paused, .. } = &mut *device;
        let Some(plan) = groups.get_mut(group.index()).filter(|plan| plan.len() > 0) else {
            return Ok(Contact::Answered);
        };
        let resumed = paused.take().filter(|paused| readings.goes_on() && paused.group == group);
        let mut at = resumed.unwrap_or_else(|| {
            plan.begin(tags);
            Paused { group, next: 0, refused: Vec::new(), outcome: Outcome::default() }
        });
        let outcome = std::mem::take(&mut at.outcome);
        let GroupPlan { reads, assemblies, refused, frame_bytes_max, .. } = plan;
        let mut tally = Tally { tags, zones, costs, assemblies, readings, outcome };
        let has_reads = !reads.is_empty();
        let mut ran = self.run_planned(reads, *frame_bytes_max, &mut at, &mut tally).await;
        if ran.is_ok() && at.next < reads.len() {
            tally.readings.pause();
            *paused = Some(Paused { outcome: tally.outcome, ..at });
            return Ok(Contact::Answered);
        }
        ran = self.search(reads, at.refused, ran, &mut tally).await;
        tally.finish(refused);
        if ran.is_ok() && !tally.is_over() {
            ran = self.retry(refused, &mut tally).await;
        }
        let mut outcome = tally.outcome;
        if ran.is_ok() && !has_reads && outcome.heard.is_empty() && outcome.silent.is_empty() {
            ran = self.touch_into(device, &mut outcome).await;
        }
        learn(device, &outcome);
        ran?;
        self.silence.note(&outcome, self.timeout)
    }

    /// Searches what the device refuses within requests that it refused.
    async fn search(
        &mut self,
        reads: &[Read],
        refused: Vec<(usize, Exception)>,
        mut ran: Result<(), LinkError>,
        tally: &mut Tally<'_, '_>,
    ) -> Result<(), LinkError> {
        let mut budget = BISECT_REQUESTS_MAX;
        for (index, exception) in refused {
            let read = &reads[index];
            match &ran {
                Ok(()) => ran = self.bisect(read.clone(), exception, &mut budget, tally).await,
                Err(over) => tally.fault(read, tally.fault_of_the_rest(Some(over))),
            }
        }
        ran
    }

    /// The planned requests that were not made yet, up to a pause. Those that were refused for an address have no readings
    /// afterwards, those behind a pause neither; all others have.
    async fn run_planned(
        &mut self,
        reads: &[Read],
        frame_bytes_max: usize,
        at: &mut Paused,
        tally: &mut Tally<'_, '_>,
    ) -> Result<(), LinkError> {
        let timeout = self.answer_time(frame_bytes_max);
        let stops = AtomicBool::new(false);
        let (from, rest) = (at.next, &reads[at.next..]);
        let mut done = vec![false; rest.len()];
        let requests = Requests { reads: rest.iter(), stops: &stops };
        let ran = self
            .session
            .run(requests, timeout, |index, result| {
                if let (Some(read), Some(done)) = (rest.get(index), done.get_mut(index)) {
                    *done = true;
                    at.refused.extend(tally.take(read, result).map(|exception| (from + index, exception)));
                }
                stops.store(tally.is_over() || tally.readings.must_pause(), Ordering::Relaxed);
            })
            .await
            .map_err(|over| link_error(over, &self.silence, timeout));
        at.next = from + done.iter().take_while(|done| **done).count();
        if ran.is_err() || tally.is_over() {
            at.next = reads.len();
            let fault = tally.fault_of_the_rest(ran.as_ref().err());
            for (read, _) in rest.iter().zip(&done).filter(|(_, done)| !**done) {
                tally.fault(read, fault);
            }
        }
        ran
    }

    /// Finds what the device refuses within `read`, by halves; all tags of it have their reading afterwards.
    async fn bisect(
        &mut self,
        read: Read,
        exception: Exception,
        budget: &mut usize,
        tally: &mut Tally<'_, '_>,
    ) -> Result<(), LinkError> {
        let mut bisection = Bisection::default();
        bisection.refuse(read, None, exception, tally);
        while let Some((half, trial)) = bisection.next() {
            if *budget == 0 || tally.is_over() {
                let rest = if tally.is_over() { tally.fault_of_the_rest(None) } else { tally::refusal(exception) };
                tally.fault(&half, rest);
                bisection.leave(trial, tally);
                continue;
            }
            *budget -= 1;
            let deadline = Instant::now() + self.answer_time(tally.frame_bytes(&half));
            let result = match self.session.transact(half.unit, &half.request(), deadline).await {
                Err(TransactError::Link(over)) => {
                    let over = self.over(over);
                    let rest = tally.fault_of_the_rest(Some(&over));
                    tally.fault(&half, rest);
                    bisection.rest().for_each(|read| tally.fault(read, rest));
                    return Err(over);
                }
                result => result,
            };
            let is_answer = result.is_ok();
            match tally.take(&half, result) {
                Some(exception) => bisection.refuse(half, Some(trial), exception, tally),
                None if is_answer => bisection.accept(trial, tally),
                None => bisection.leave(trial, tally),
            }
        }
        Ok(())
    }

    /// Tries refused addresses and seams whose time has come; what is accepted is in the plan from the next poll on.
    async fn retry(&mut self, refused: &[usize], tally: &mut Tally<'_, '_>) -> Result<(), LinkError> {
        let now = Instant::now();
        tally.give_up_seams(now);
        let due: Vec<usize> = refused.iter().copied().filter(|tag| tally.is_due(*tag, now)).take(RETRIES_MAX).collect();
        for tag in due {
            let read = tally.read_alone(tag);
            let deadline = Instant::now() + self.answer_time(tally.frame_bytes(&read));
            match self.session.transact(read.unit, &read.request(), deadline).await {
                Ok(_) => tally.forgive(tag),
                Err(TransactError::Exception(exception)) => tally.refuse_again(tag, exception),
                Err(TransactError::Link(over)) => return Err(self.over(over)),
                Err(TransactError::Timeout { .. } | TransactError::Invalid(_)) => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Requests in turn, until the poll is over or pauses.
struct Requests<'r> {
    reads: slice::Iter<'r, Read>,
    stops: &'r AtomicBool,
}

impl<'r> Iterator for Requests<'r> {
    type Item = (u8, Request<'r>);

    fn next(&mut self) -> Option<(u8, Request<'r>)> {
        if self.stops.load(Ordering::Relaxed) {
            return None;
        }
        self.reads.next().map(|read| (read.unit, read.request()))
    }
}

/// Plans anew where the poll taught something, and says so once.
fn learn(device: &mut ModbusDevice, outcome: &Outcome) {
    for (tag, exception) in &outcome.refused {
        let address = device.tags[*tag].address;
        tracing::warn!(device = &*device.name, address = %address, "the device refuses this address: {exception}");
    }
    device.has_news |= outcome.news;
    if outcome.replan {
        device.remake_plans();
    }
}
