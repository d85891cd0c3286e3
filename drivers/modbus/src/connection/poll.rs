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

impl ModbusConnection {
    pub(super) async fn poll_group(
        &mut self,
        device: &mut ModbusDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let ModbusDevice { tags, zones, groups, costs, .. } = &mut *device;
        let Some(plan) = groups.get_mut(group.index()).filter(|plan| plan.len() > 0) else {
            return Ok(Contact::Answered);
        };
        plan.begin(tags);
        let GroupPlan { reads, assemblies, refused, frame_bytes_max, .. } = plan;
        let mut tally = Tally { tags, zones, costs, assemblies, readings, outcome: Outcome::default() };
        let has_reads = !reads.is_empty();
        let mut ran = self.run(reads, *frame_bytes_max, &mut tally).await;
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

    /// All requests of a group, and what the device refuses within them.
    async fn run(
        &mut self,
        reads: &[Read],
        frame_bytes_max: usize,
        tally: &mut Tally<'_, '_>,
    ) -> Result<(), LinkError> {
        let (refused, mut ran) = self.run_planned(reads, frame_bytes_max, tally).await;
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

    /// The planned requests; those that were refused for an address have no readings yet.
    async fn run_planned(
        &mut self,
        reads: &[Read],
        frame_bytes_max: usize,
        tally: &mut Tally<'_, '_>,
    ) -> (Vec<(usize, Exception)>, Result<(), LinkError>) {
        let timeout = self.answer_time(frame_bytes_max);
        let is_over = AtomicBool::new(false);
        let mut done = vec![false; reads.len()];
        let mut refused = Vec::new();
        let requests = Planned { reads: reads.iter(), is_over: &is_over };
        let ran = self
            .session
            .run(requests, timeout, |index, result| {
                if let (Some(read), Some(done)) = (reads.get(index), done.get_mut(index)) {
                    *done = true;
                    refused.extend(tally.take(read, result).map(|exception| (index, exception)));
                }
                is_over.store(tally.is_over(), Ordering::Relaxed);
            })
            .await
            .map_err(|over| link_error(over, &self.silence, timeout));
        let rest = tally.fault_of_the_rest(ran.as_ref().err());
        for (read, _) in reads.iter().zip(&done).filter(|(_, done)| !**done) {
            tally.fault(read, rest);
        }
        (refused, ran)
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

/// The planned requests in turn, until the poll is over.
struct Planned<'r> {
    reads: slice::Iter<'r, Read>,
    is_over: &'r AtomicBool,
}

impl<'r> Iterator for Planned<'r> {
    type Item = (u8, Request<'r>);

    fn next(&mut self) -> Option<(u8, Request<'r>)> {
        if self.is_over.load(Ordering::Relaxed) {
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
