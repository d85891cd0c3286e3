//! What a PLC answers to a request. Pure but for the PLC's own memory.

use std::time::Duration;

use super::item;
use super::message::{self, HeaderError, Kind, Request};
use super::plc::State;
use super::userdata::Rest;
use super::variables::{READ, WRITE};
use super::{CpuState, Plc};

/// Function codes beside those of variables.
const SETUP: u8 = 0xF0;
const START: u8 = 0x28;
const STOP: u8 = 0x29;

/// What a connection has agreed on.
#[derive(Debug)]
pub(super) struct Agreed {
    /// The longest PDU, bytes.
    pub(super) pdu_max: u16,
    /// How many requests may be under way.
    pub(super) jobs_max: u16,
}

/// How long the PLC works on a request.
pub(super) fn latency(plc: &Plc, pdu: &[u8]) -> Duration {
    let items = match message::parse(pdu).map(|request| request.parameters) {
        Some([READ | WRITE, count, ..]) => u32::from(*count),
        _ => 0,
    };
    plc.with(|state| state.config.latency + state.config.latency_per_item * items)
}

/// The answer; none if it is no request, which ends the connection. The first thing that a client asks for is a setup.
pub(super) fn answer(plc: &Plc, pdu: &[u8], agreed: &mut Option<Agreed>, rest: &mut Rest) -> Option<Vec<u8>> {
    let request = message::parse(pdu)?;
    plc.with(|state| {
        let function = request.parameters.first().copied().unwrap_or_default();
        state.counts.requests += 1;
        state.saw(function, pdu.len(), items(&request));
        if request.kind == Kind::Job && function == SETUP {
            return state.setup(&request, agreed);
        }
        let pdu_max = match agreed {
            Some(agreed) if pdu.len() <= usize::from(agreed.pdu_max) => agreed.pdu_max,
            Some(_) => return Some(state.refused(&request, HeaderError::PduSize)),
            None => return Some(state.refused(&request, HeaderError::NotSupported)),
        };
        if request.kind == Kind::Userdata {
            let (parameters, data) = state.userdata(&request, rest, pdu_max)?;
            return Some(message::userdata(request.reference, &parameters, &data));
        }
        let done = match function {
            READ => state.read(request.parameters, pdu_max),
            WRITE => state.write(request.parameters, request.data),
            START => state.control(START, CpuState::Run),
            STOP => state.control(STOP, CpuState::Stop),
            _ => Err(HeaderError::NotSupported),
        };
        Some(match done {
            Ok((parameters, data)) => message::answer(request.reference, &parameters, &data),
            Err(error) => state.refused(&request, error),
        })
    })
}

fn items(request: &Request<'_>) -> Vec<super::Item> {
    let &[READ | WRITE, count, ref rest @ ..] = request.parameters else { return Vec::new() };
    item::wanted(count, rest).unwrap_or_default().into_iter().filter_map(Result::ok).collect()
}

impl State {
    /// Agrees to the smaller of what is asked for and what can be had.
    fn setup(&mut self, request: &Request<'_>, agreed: &mut Option<Agreed>) -> Option<Vec<u8>> {
        let &[SETUP, _, a0, a1, b0, b1, p0, p1] = request.parameters else { return None };
        let jobs = [[a0, a1], [b0, b1]].map(|asked| u16::from_be_bytes(asked).clamp(1, self.config.jobs_max.max(1)));
        let pdu_max = u16::from_be_bytes([p0, p1]).min(self.config.pdu_max);
        *agreed = Some(Agreed { pdu_max, jobs_max: jobs[0] });
        let words = [jobs[0], jobs[1], pdu_max].map(u16::to_be_bytes).concat();
        Some(message::answer(request.reference, &[&[SETUP, 0], words.as_slice()].concat(), &[]))
    }

    fn control(&mut self, function: u8, to: CpuState) -> Result<super::variables::Body, HeaderError> {
        self.switch(to);
        Ok((vec![function], Vec::new()))
    }

    fn refused(&mut self, request: &Request<'_>, error: HeaderError) -> Vec<u8> {
        self.counts.requests_refused += 1;
        if error == HeaderError::PduSize {
            self.counts.breaches += 1;
        }
        message::refusal(request.reference, error)
    }
}
