//! One connection: packets in, packets out. Pure but for the PLC's own memory.
//!
//! ```text
//! Open ── CR, CC ──> Connected ── data, data … last ──> a request ── answer ──> packets
//! ```

use super::Plc;
use super::answer::{Agreed, answer};
use super::cotp::{self, Connect, Part, Tpdu};
use super::userdata::Rest;
use crate::frame::TPKT_HEADER;

/// No request is longer than this, whatever was agreed.
const REQUEST_MAX: usize = 8192;

/// What becomes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More must come.
    Wait,
    /// This goes back at once.
    Reply(Vec<u8>),
    /// A whole request, to be answered in its time.
    Request(Vec<u8>),
    /// This goes back, and the connection ends.
    End(Vec<u8>),
}

/// What a connection has come to.
#[derive(Debug)]
pub(super) struct Session {
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Open,
    Connected(Talk),
}

#[derive(Debug)]
struct Talk {
    tpdu_max: u16,
    /// The parts of a request that have come so far.
    parts: Vec<u8>,
    agreed: Option<Agreed>,
    rest: Rest,
}

impl Session {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Open }
    }

    /// Takes one whole packet.
    pub(super) fn take(&mut self, plc: &Plc, packet: &[u8]) -> Step {
        match (&mut self.phase, cotp::parse(packet)) {
            (Phase::Open, Some(Tpdu::Connect(connect))) => self.connect(plc, &connect),
            (Phase::Connected(talk), Some(Tpdu::Data(data, part))) => {
                if packet.len() - TPKT_HEADER > usize::from(talk.tpdu_max) {
                    plc.with(|state| state.counts.breaches += 1);
                }
                talk.take(data, part)
            }
            // A disconnect, a second connect, data before any, and what is no TPDU.
            _ => Step::End(Vec::new()),
        }
    }

    /// The packets that answer a request; none ends the connection.
    pub(super) fn answer(&mut self, plc: &Plc, request: &[u8]) -> Option<Vec<u8>> {
        let Phase::Connected(talk) = &mut self.phase else { return None };
        let pdu = answer(plc, request, &mut talk.agreed, &mut talk.rest)?;
        Some(cotp::data(&pdu, talk.tpdu_max))
    }

    /// How many requests may be under way.
    pub(super) fn jobs_max(&self) -> usize {
        match &self.phase {
            Phase::Connected(Talk { agreed: Some(agreed), .. }) => usize::from(agreed.jobs_max),
            Phase::Connected(_) | Phase::Open => 1,
        }
    }

    fn connect(&mut self, plc: &Plc, connect: &Connect) -> Step {
        let (tsap, tpdu_max) = plc.with(|state| (state.config.tsap, state.config.tpdu_max));
        if tsap.is_some() && tsap != connect.called() {
            return Step::End(connect.refuse());
        }
        let tpdu_max = connect.agreed(tpdu_max);
        self.phase = Phase::Connected(Talk { tpdu_max, parts: Vec::new(), agreed: None, rest: Rest::default() });
        Step::Reply(connect.accept(tpdu_max))
    }
}

impl Talk {
    fn take(&mut self, data: &[u8], part: Part) -> Step {
        self.parts.extend_from_slice(data);
        match part {
            _ if self.parts.len() > REQUEST_MAX => Step::End(Vec::new()),
            Part::More => Step::Wait,
            Part::Last => Step::Request(std::mem::take(&mut self.parts)),
        }
    }
}

#[cfg(test)]
mod tests;
