//! One poll: the planned requests, then the search for what was refused, then the tries of what was refused earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use driver_core::{Contact, GroupId, LinkError, Readings};
use tokio::time::Instant;

use super::split::{Half, Trials};
use super::tally::{Outcome, Taken, Tally, refusal};
use super::{Jobs, S7Connection};
use crate::device::S7Device;
use crate::plan::{Block, GroupPlan, Limits, Request, requests_of};
use crate::wire::{ReadAnswer, ReturnCode};

/// Items in one poll to find refused addresses; what is not found by then goes on in the next poll.
const SPLIT_ITEMS_MAX: usize = 256;
/// Refused addresses that are tried again in one poll.
const RETRIES_MAX: usize = 16;

/// A refused item, and why.
type Refused = (Half, ReturnCode);

/// Where a poll has paused: which of its requests are answered, and what they have come to.
#[derive(Debug)]
pub(crate) struct Paused {
    group: GroupId,
    next: usize,
    /// Items that were refused for their address, and are to be searched.
    refused: Vec<Refused>,
    outcome: Outcome,
}

impl S7Connection {
    pub(super) async fn poll_group(
        &mut self,
        device: &mut S7Device,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<Contact, LinkError> {
        let limits = device.limits();
        let S7Device { tags, zones, groups, depth, paused, .. } = &mut *device;
        let Some(plan) = groups.get_mut(group.index()).filter(|plan| plan.len() > 0) else {
            return Ok(Contact::Answered);
        };
        let resumed = paused.take().filter(|paused| readings.goes_on() && paused.group == group);
        let mut at = resumed.unwrap_or_else(|| {
            plan.begin();
            Paused { group, next: 0, refused: Vec::new(), outcome: Outcome::default() }
        });
        let outcome = std::mem::take(&mut at.outcome);
        let GroupPlan { requests, assemblies, refused, .. } = plan;
        let mut tally = Tally { tags, zones, assemblies, readings, outcome };
        let mut ran = self.run_planned(requests, *depth, &mut at, &mut tally).await;
        if ran.is_ok() && at.next < requests.len() {
            tally.readings.pause();
            *paused = Some(Paused { outcome: tally.outcome, ..at });
            return Ok(Contact::Answered);
        }
        ran = self.search(at.refused, *depth, &limits, ran, &mut tally).await;
        tally.finish(refused, ran.as_ref().err());
        if ran.is_ok() && !tally.is_over() {
            ran = self.retry(refused, *depth, &limits, &mut tally).await;
        }
        let outcome = tally.outcome;
        learn(device, &outcome);
        ran?;
        let contact = if outcome.is_untried() { self.touch_first(device).await? } else { outcome.contact() };
        self.silence.note(contact, self.timeout)
    }

    /// The requests of a group that were not made yet, up to a pause; what the PLC refuses within them has no readings yet,
    /// nor has what lies behind a pause.
    async fn run_planned(
        &mut self,
        requests: &[Request],
        depth: usize,
        at: &mut Paused,
        tally: &mut Tally<'_, '_>,
    ) -> Result<(), LinkError> {
        let rest = &requests[at.next..];
        let (made, ran) = self
            .run_part(
                rest,
                depth,
                tally,
                |tally| tally.is_over() || tally.readings.must_pause(),
                |index, taken| {
                    let Taken::Answered(items) = taken else { return };
                    let blamed = items.into_iter().filter(|(_, code)| code.blames_the_address());
                    at.refused.extend(
                        blamed
                            .map(|(item, code)| (Half { block: rest[index].blocks[item].clone(), trial: None }, code)),
                    );
                },
            )
            .await;
        at.next += made.iter().take_while(|made| **made).count();
        if ran.is_err() || tally.is_over() {
            at.next = requests.len();
            let fault = tally.fault_of_the_rest(ran.as_ref().err());
            for (request, _) in rest.iter().zip(&made).filter(|(_, made)| !**made) {
                tally.fault_all(request, fault);
            }
        }
        ran
    }

    /// Searches what the PLC refuses within items that it refused.
    async fn search(
        &mut self,
        refused: Vec<Refused>,
        depth: usize,
        limits: &Limits,
        ran: Result<(), LinkError>,
        tally: &mut Tally<'_, '_>,
    ) -> Result<(), LinkError> {
        match ran {
            Ok(()) if !refused.is_empty() => self.split(refused, depth, limits, tally).await,
            Ok(()) => Ok(()),
            Err(over) => {
                let rest = tally.fault_of_the_rest(Some(&over));
                refused.iter().for_each(|(half, _)| tally.fault(&half.block, rest));
                Err(over)
            }
        }
    }

    /// Sends requests and takes their results; each is told to `on_taken`, `None` for one that was not sent or not
    /// answered before the connection ended. All tags have their readings afterwards, but those of items that were refused
    /// for their address.
    async fn run(
        &mut self,
        requests: &[Request],
        depth: usize,
        tally: &mut Tally<'_, '_>,
        mut on_taken: impl FnMut(usize, Option<Taken>),
    ) -> Result<(), LinkError> {
        let (made, ran) = self
            .run_part(requests, depth, tally, |tally| tally.is_over(), |index, taken| on_taken(index, Some(taken)))
            .await;
        let rest = tally.fault_of_the_rest(ran.as_ref().err());
        for (index, request) in requests.iter().enumerate().filter(|(index, _)| !made[*index]) {
            tally.fault_all(request, rest);
            on_taken(index, None);
        }
        ran
    }

    /// Sends requests until `stops`, and takes their results; tells which were made.
    async fn run_part(
        &mut self,
        requests: &[Request],
        depth: usize,
        tally: &mut Tally<'_, '_>,
        stops: fn(&Tally<'_, '_>) -> bool,
        mut on_taken: impl FnMut(usize, Taken),
    ) -> (Vec<bool>, Result<(), LinkError>) {
        let has_stopped = AtomicBool::new(tally.is_over());
        let mut made = vec![false; requests.len()];
        let outgoing = Jobs { requests: requests.iter(), stops: Some(&has_stopped) };
        let ran = self
            .session
            .run(outgoing, depth, self.timeout, |index, result| {
                made[index] = true;
                on_taken(index, tally.take(&requests[index], result));
                has_stopped.store(stops(tally), Ordering::Relaxed);
            })
            .await
            .map_err(|over| self.silence.over(over, self.timeout));
        (made, ran)
    }

    /// Finds what the PLC refuses within these items, by halves; all their tags have their reading afterwards.
    async fn split(
        &mut self,
        mut refused: Vec<Refused>,
        depth: usize,
        limits: &Limits,
        tally: &mut Tally<'_, '_>,
    ) -> Result<(), LinkError> {
        let mut trials = Trials::default();
        let mut budget = SPLIT_ITEMS_MAX;
        while !refused.is_empty() {
            // The shortest first, one request of them: so that each poll finds some of many.
            refused.sort_by_key(|(half, _)| std::cmp::Reverse(half.block.slots.len()));
            let next = refused.split_off(refused.len().saturating_sub(limits.items() / 2));
            let mut halves = Vec::new();
            for (half, code) in next {
                if budget < 2 && half.block.slots.len() > 1 {
                    tally.fault(&half.block, refusal(code));
                    trials.leave(half.trial, tally);
                } else if let Some(both) = trials.refuse(half, code, tally) {
                    budget -= 2;
                    halves.extend(both);
                }
            }
            match self.try_halves(halves, depth, limits, &mut trials, tally).await {
                Ok(more) => refused.extend(more),
                Err(over) => {
                    let rest = tally.fault_of_the_rest(Some(&over));
                    refused.iter().for_each(|(half, _)| tally.fault(&half.block, rest));
                    return Err(over);
                }
            }
        }
        Ok(())
    }

    /// One round: the halves that are refused in their turn.
    async fn try_halves(
        &mut self,
        halves: Vec<Half>,
        depth: usize,
        limits: &Limits,
        trials: &mut Trials,
        tally: &mut Tally<'_, '_>,
    ) -> Result<Vec<Refused>, LinkError> {
        let of: Vec<Option<usize>> = halves.iter().map(|half| half.trial).collect();
        let requests = requests_of(halves.into_iter().map(|half| half.block).collect(), limits);
        let mut taken: Vec<Option<Taken>> = Vec::new();
        taken.resize_with(requests.len(), || None);
        let ran = self.run(&requests, depth, tally, |index, result| taken[index] = result).await;
        let mut refused = Vec::new();
        let mut trial = of.into_iter();
        for (request, taken) in requests.into_iter().zip(taken) {
            let items = if let Some(Taken::Answered(items)) = &taken { Some(items) } else { None };
            for (index, block) in request.blocks.into_iter().enumerate() {
                let trial = trial.next().flatten();
                let code = items.map(|items| items.iter().find(|(item, _)| *item == index).map(|(_, code)| *code));
                match code {
                    Some(None) => trials.accept(trial, tally),
                    Some(Some(code)) if code.blames_the_address() => refused.push((Half { block, trial }, code)),
                    Some(Some(_)) | None => trials.leave(trial, tally),
                }
            }
        }
        match ran {
            Ok(()) => Ok(refused),
            Err(over) => {
                let rest = tally.fault_of_the_rest(Some(&over));
                refused.iter().for_each(|(half, _)| tally.fault(&half.block, rest));
                Err(over)
            }
        }
    }

    /// Tries refused addresses and seams whose time has come; what is accepted is in the plan from the next poll on. Of a
    /// data block that does not exist, three addresses are tried.
    async fn retry(
        &mut self,
        refused: &[usize],
        depth: usize,
        limits: &Limits,
        tally: &mut Tally<'_, '_>,
    ) -> Result<(), LinkError> {
        let now = Instant::now();
        for zone in tally.zones.iter_mut() {
            tally.outcome.replan |= zone.knowledge.give_up_seams(now);
        }
        let due: Vec<Block> = due(refused, now, limits, tally);
        if due.is_empty() {
            return Ok(());
        }
        let requests = requests_of(due, limits);
        let ran = self.session.run(Jobs::all(&requests), depth, self.timeout, |index, result| {
            let request = &requests[index];
            let Ok(message) = result else { return };
            let Ok(answer) = ReadAnswer::decode(&message, request.lens()) else { return };
            for (block, item) in request.blocks.iter().zip(answer) {
                let Some(slot) = block.slots.first() else { continue };
                let knowledge = &mut tally.zones[block.zone].knowledge;
                match item {
                    Ok(_) => {
                        knowledge.forgive(slot.tag, now);
                        tally.outcome.replan = true;
                    }
                    Err(code) => knowledge.refuse(slot.tag, code, now),
                }
            }
        });
        ran.await.map_err(|over| self.silence.over(over, self.timeout))
    }
}

/// The items of the refused tags whose time has come.
fn due(refused: &[usize], now: Instant, limits: &Limits, tally: &Tally<'_, '_>) -> Vec<Block> {
    let knowledge = |tag: usize| &tally.zones[tally.tags[tag].zone].knowledge;
    let (absent, alone): (Vec<usize>, Vec<usize>) = refused
        .iter()
        .copied()
        .filter(|tag| knowledge(*tag).is_due(*tag, now))
        .partition(|tag| knowledge(*tag).is_absent());
    let mut of_zones: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    absent.into_iter().for_each(|tag| of_zones.entry(tally.tags[tag].zone).or_default().push(tag));
    let some = |tags: &Vec<usize>| {
        BTreeSet::from([0, tags.len() / 2, tags.len() - 1]).into_iter().map(|at| tags[at]).collect::<Vec<_>>()
    };
    let due = of_zones.values().flat_map(some).chain(alone).take(RETRIES_MAX);
    due.map(|tag| Block::alone(tag, &tally.tags[tag], limits.block_max())).collect()
}

/// Plans anew where the poll taught something, and says so once.
fn learn(device: &mut S7Device, outcome: &Outcome) {
    let name = &*device.name;
    let mut absent = BTreeSet::new();
    for (tag, code) in &outcome.refused {
        let Some(tag) = device.tags.get(*tag) else { continue };
        let zone = &device.zones[tag.zone];
        if !zone.knowledge.is_absent() {
            tracing::warn!(device = name, address = %tag.address, "the PLC refuses this address: {code}");
        } else if absent.insert(tag.zone) {
            tracing::warn!(device = name, block = %zone.area, "the PLC refuses the whole block: {code}");
        }
    }
    if let Some(error) = outcome.refused_as_a_whole.filter(|error| device.refused_as_a_whole != Some(*error)) {
        tracing::warn!(device = name, "{error}");
    }
    if outcome.contact() == Contact::Answered {
        device.refused_as_a_whole = outcome.refused_as_a_whole;
    }
    device.has_news |= outcome.replan;
    if outcome.replan {
        device.remake_plans();
    }
}
