//! What one poll has come to so far: its readings, what was learned, and whether to go on.

use driver_core::{LinkError, Readings, Reason};
use tokio::time::Instant;

use crate::config::Costs;
use crate::decode::{self, Fault};
use crate::plan::{Assembly, Found, Read, Tag, Zone};
use crate::session::TransactError;
use crate::wire::{Exception, Mismatch, Response};

/// Requests without an answer after which a poll ends, where something else was heard meanwhile; where nothing was heard,
/// the first one ends it.
const TIMEOUTS_MAX: u8 = 2;

const TIMEOUT: Fault = Fault { reason: Reason::Timeout, status: 0 };

/// The parts of a device that a poll changes, and the outcome.
pub(super) struct Tally<'p, 'r> {
    pub(super) tags: &'p [Tag],
    pub(super) zones: &'p mut [Zone],
    pub(super) costs: &'p Costs,
    pub(super) assemblies: &'p mut [Assembly],
    pub(super) readings: &'p mut Readings<'r>,
    pub(super) outcome: Outcome,
}

/// What a poll comes to beside its readings.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Whether the device itself answered.
    pub(super) answered: bool,
    /// Units that answered, or for which a gateway answered.
    pub(super) heard: Vec<u8>,
    /// Units that did not answer.
    pub(super) silent: Vec<u8>,
    /// Whether the plans are no longer the best.
    pub(super) replan: bool,
    /// Whether there is something to keep on disk.
    pub(super) news: bool,
    /// Tags that are newly refused, with the exception.
    pub(super) refused: Vec<(usize, Exception)>,
    timeouts: u8,
    /// Why the poll is over before its last request.
    end: Option<Fault>,
    /// Why a part of a long tag is missing.
    part: Fault,
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome {
            answered: false,
            heard: Vec::new(),
            silent: Vec::new(),
            replan: false,
            news: false,
            refused: Vec::new(),
            timeouts: 0,
            end: None,
            part: TIMEOUT,
        }
    }
}

/// The fault of an address that the device refuses.
pub(super) fn refusal(exception: Exception) -> Fault {
    let reason = if exception.blames_the_address() { Reason::AddressRefused } else { Reason::DeviceFailure };
    Fault { reason, status: u32::from(exception.code()) }
}

impl Tally<'_, '_> {
    /// Takes the result of a request: readings for its tags, except where the exception returned blames an address among
    /// several.
    pub(super) fn take(&mut self, read: &Read, result: Result<Response<'_>, TransactError>) -> Option<Exception> {
        match result {
            Ok(response) => self.answer(read, &response),
            Err(TransactError::Exception(exception)) => return self.exception(read, exception),
            Err(TransactError::Timeout { dropped }) => self.timeout(read, dropped),
            Err(TransactError::Invalid(_)) => self.fault(read, Fault { reason: Reason::AddressRefused, status: 0 }),
            Err(TransactError::Link(_)) => self.fault(read, Fault { reason: Reason::Disconnected, status: 0 }),
        }
        None
    }

    /// Bad readings for the tags of a request.
    pub(super) fn fault(&mut self, read: &Read, fault: Fault) {
        decode::fault(read, fault, self.readings);
        if read.slots.iter().any(|slot| matches!(slot.found, Found::Part { .. })) {
            self.outcome.part = fault;
        }
    }

    /// Whether no more requests are worth sending.
    pub(super) fn is_over(&self) -> bool {
        self.outcome.end.is_some()
    }

    /// Why the tags have no value whose requests were not sent.
    pub(super) fn fault_of_the_rest(&self, over: Option<&LinkError>) -> Fault {
        match over {
            Some(LinkError::Timeout { .. }) => TIMEOUT,
            Some(_) => Fault { reason: Reason::Disconnected, status: 0 },
            None => self.outcome.end.unwrap_or(TIMEOUT),
        }
    }

    /// The tags that are put together from several answers, and those that are known to be refused.
    pub(super) fn finish(&mut self, refused: &[usize]) {
        decode::assembled(self.assemblies, self.tags, self.outcome.part, self.readings);
        for &index in refused {
            let tag = &self.tags[index];
            let refused = self.zones[tag.zone()].knowledge.refusal(index);
            let fault = refused.map_or(TIMEOUT, |refused| refusal(Exception::from_code(refused.code)));
            self.readings.bad(tag.id, fault.reason, fault.status);
        }
    }

    /// A request of one tag, or of a part of one, was refused for its address.
    pub(super) fn refuse_alone(&mut self, read: &Read, exception: Exception) {
        self.fault(read, refusal(exception));
        let Some(slot) = read.slots.first() else { return };
        let knowledge = &mut self.zones[read.zone].knowledge;
        if !knowledge.refuse_length(u32::from(read.len), exception) {
            let tag = slot.tag as usize;
            knowledge.refuse(tag, exception, Instant::now());
            self.outcome.refused.push((tag, exception));
        }
        self.learned();
    }

    /// A request was refused whose parts are all accepted.
    pub(super) fn refuse_whole(&mut self, zone: usize, len: u32, seam: u32, exception: Exception) {
        self.zones[zone].knowledge.refuse_whole(len, seam, exception, Instant::now());
        self.learned();
    }

    /// Gives up a seam of each zone where it is time to; what is kept on disk stays until something new is learned.
    pub(super) fn give_up_seams(&mut self, now: Instant) {
        for zone in self.zones.iter_mut() {
            self.outcome.replan |= zone.knowledge.give_up_seam(now);
        }
    }

    /// A refused tag was tried again and is refused still.
    pub(super) fn refuse_again(&mut self, tag: usize, exception: Exception) {
        self.zones[self.tags[tag].zone()].knowledge.refuse(tag, exception, Instant::now());
    }

    /// A refused tag was tried again and is accepted.
    pub(super) fn forgive(&mut self, tag: usize) {
        self.zones[self.tags[tag].zone()].knowledge.forgive(tag, Instant::now());
        self.learned();
    }

    /// Whether it is time to try a refused tag again.
    pub(super) fn is_due(&self, tag: usize, now: Instant) -> bool {
        self.zones[self.tags[tag].zone()].knowledge.is_due(tag, now)
    }

    /// The request for one tag alone.
    pub(super) fn read_alone(&self, tag: usize) -> Read {
        let of = &self.tags[tag];
        Read::alone(tag, of, self.zones[of.zone()].knowledge.units_max())
    }

    /// Bytes of a request with its answer.
    pub(super) fn frame_bytes(&self, read: &Read) -> usize {
        let bytes = self.costs.wire_bytes(read.area, u32::from(read.len));
        bytes.out + bytes.back
    }

    fn answer(&mut self, read: &Read, response: &Response<'_>) {
        self.heard(read.unit);
        self.outcome.answered = true;
        decode::answer(read, response, self.assemblies, self.readings);
        if self.zones[read.zone].knowledge.accept(u32::from(read.len)) {
            self.learned();
        }
    }

    fn exception(&mut self, read: &Read, exception: Exception) -> Option<Exception> {
        self.readings.answered();
        self.heard(read.unit);
        match exception {
            Exception::GatewayPathUnavailable | Exception::GatewayTargetFailedToRespond => {
                // The gateway has waited for the unit: it would for each further request.
                self.outcome.end = Some(refusal(exception));
                self.fault(read, refusal(exception));
                return None;
            }
            _ if exception.blames_the_request() => {
                self.outcome.answered = true;
                return Some(exception);
            }
            _ => self.fault(read, refusal(exception)),
        }
        self.outcome.answered = true;
        None
    }

    fn timeout(&mut self, read: &Read, dropped: Option<Mismatch>) {
        let fault = match dropped {
            None | Some(Mismatch::Late) => TIMEOUT,
            Some(_) => Fault { reason: Reason::ProtocolError, status: 0 },
        };
        self.fault(read, fault);
        note(&mut self.outcome.silent, read.unit);
        self.outcome.timeouts += 1;
        if fault == TIMEOUT || self.outcome.timeouts >= TIMEOUTS_MAX {
            self.outcome.end = Some(TIMEOUT);
        }
    }

    fn heard(&mut self, unit: u8) {
        note(&mut self.outcome.heard, unit);
    }

    fn learned(&mut self) {
        self.outcome.replan = true;
        self.outcome.news = true;
    }
}

/// Requests are sorted by unit: looking at the last one keeps the list short.
fn note(units: &mut Vec<u8>, unit: u8) {
    if units.last() != Some(&unit) {
        units.push(unit);
    }
}
