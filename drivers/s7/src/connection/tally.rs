//! What one poll has come to so far: its readings, what was learned, and whether to go on.

use driver_core::{Contact, LinkError, Readings, Reason};
use tokio::time::Instant;

use crate::decode::{self, Fault};
use crate::plan::{Assembly, Block, Request, Tag, Zone};
use crate::session::{Dropped, Unanswered};
use crate::wire::{HeaderError, Message, ReadAnswer, ReturnCode};

/// Requests without an answer after which a poll ends, where something else was heard meanwhile; where nothing was heard,
/// the first one ends it.
const TIMEOUTS_MAX: u8 = 2;

const TIMEOUT: Fault = Fault { reason: Reason::Timeout, status: 0 };
const NO_ANSWER: Fault = Fault { reason: Reason::ProtocolError, status: 0 };

/// The parts of a device that a poll changes, and the outcome.
pub(super) struct Tally<'p, 'r> {
    pub(super) tags: &'p [Tag],
    pub(super) zones: &'p mut [Zone],
    pub(super) assemblies: &'p mut [Assembly],
    pub(super) readings: &'p mut Readings<'r>,
    pub(super) outcome: Outcome,
}

/// What a poll comes to beside its readings.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Whether the PLC answered.
    answered: bool,
    /// Whether plans are no longer the best, and there is something to keep on disk.
    pub(super) replan: bool,
    /// Tags that are newly refused, with the return code.
    pub(super) refused: Vec<(usize, ReturnCode)>,
    /// Why the PLC refused a request as a whole, if it did.
    pub(super) refused_as_a_whole: Option<HeaderError>,
    timeouts: u8,
    /// Why the poll is over before its last request.
    end: Option<Fault>,
}

/// What became of a request.
pub(super) enum Taken {
    /// It was answered; these of its items were refused, by index. Those whose address is to blame have no readings yet.
    Answered(Vec<(usize, ReturnCode)>),
    /// It was not, or not as it should be; its tags have their readings.
    Failed,
}

/// The fault of an item that the PLC refuses.
pub(super) fn refusal(code: ReturnCode) -> Fault {
    let reason = if code.blames_the_address() { Reason::AddressRefused } else { Reason::DeviceFailure };
    Fault { reason, status: u32::from(code.0) }
}

impl Tally<'_, '_> {
    /// Takes the result of a request.
    pub(super) fn take(&mut self, request: &Request, result: Result<Message<'_>, Unanswered>) -> Taken {
        let message = match result {
            Ok(message) => message,
            Err(unanswered) => {
                self.timeout(request, unanswered);
                return Taken::Failed;
            }
        };
        self.readings.answered();
        self.outcome.answered = true;
        if let Some(error) = message.error {
            let reason = if error.is_not_permitted() { Reason::AddressRefused } else { Reason::DeviceFailure };
            self.outcome.refused_as_a_whole = Some(error);
            self.fault_all(request, Fault { reason, status: u32::from(error.code()) });
            return Taken::Failed;
        }
        match ReadAnswer::decode(&message, request.lens()) {
            Ok(answer) => self.answer(request, answer),
            Err(malformed) => {
                tracing::debug!(%malformed, "an answer of the PLC is none");
                self.fault_all(request, NO_ANSWER);
                Taken::Failed
            }
        }
    }

    /// Bad readings for the tags of an item.
    pub(super) fn fault(&mut self, block: &Block, fault: Fault) {
        decode::fault(block, fault, self.assemblies, self.readings);
    }

    /// Bad readings for the tags of a request.
    pub(super) fn fault_all(&mut self, request: &Request, fault: Fault) {
        request.blocks.iter().for_each(|block| decode::fault(block, fault, self.assemblies, self.readings));
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

    /// The tags that are put together from several items, and those that are known to be refused.
    pub(super) fn finish(&mut self, refused: &[usize], over: Option<&LinkError>) {
        decode::assembled(self.assemblies, self.tags, self.fault_of_the_rest(over), self.readings);
        for &index in refused {
            let tag = &self.tags[index];
            let known = self.zones[tag.zone].knowledge.refusal(index);
            let fault = known.map_or(TIMEOUT, |known| refusal(known.code));
            self.readings.bad(tag.id, fault.reason, fault.status);
        }
    }

    /// An item of one tag, or of a part of one, was refused for its address.
    pub(super) fn refuse_alone(&mut self, block: &Block, code: ReturnCode) {
        self.fault(block, refusal(code));
        let Some(slot) = block.slots.first() else { return };
        let known = self.zones[block.zone].knowledge.refusal(slot.tag).is_some();
        if !known {
            self.zones[block.zone].knowledge.refuse(slot.tag, code, Instant::now());
            self.outcome.refused.push((slot.tag, code));
        }
        self.outcome.replan = true;
    }

    /// An item was refused whose parts are all accepted.
    pub(super) fn refuse_whole(&mut self, zone: usize, seam: u32) {
        self.zones[zone].knowledge.part(seam, Instant::now());
        self.outcome.replan = true;
    }

    fn answer(&mut self, request: &Request, answer: ReadAnswer<'_>) -> Taken {
        let mut refused = Vec::new();
        for (index, (block, item)) in request.blocks.iter().zip(answer).enumerate() {
            match item {
                Ok(bytes) => {
                    self.zones[block.zone].knowledge.accept();
                    decode::block(block, bytes, self.assemblies, self.readings);
                }
                Err(code) => {
                    if !code.blames_the_address() {
                        decode::fault(block, refusal(code), self.assemblies, self.readings);
                    }
                    refused.push((index, code));
                }
            }
        }
        Taken::Answered(refused)
    }

    fn timeout(&mut self, request: &Request, unanswered: Unanswered) {
        let fault = match unanswered.dropped {
            None | Some(Dropped::Late) => TIMEOUT,
            Some(Dropped::Malformed(_)) => NO_ANSWER,
        };
        self.fault_all(request, fault);
        self.outcome.timeouts += 1;
        if fault == TIMEOUT || self.outcome.timeouts >= TIMEOUTS_MAX {
            self.outcome.end = Some(TIMEOUT);
        }
    }
}

impl Outcome {
    /// Whether the PLC was heard.
    pub(super) fn contact(&self) -> Contact {
        if self.answered { Contact::Answered } else { Contact::Silent }
    }

    /// Whether no request was sent.
    pub(super) fn is_untried(&self) -> bool {
        !self.answered && self.timeouts == 0
    }
}
