//! What a read costs on this line: the planner weighs requests against registers by it.
//!
//! On TCP a request costs a round trip, a register next to nothing. On a serial line both cost characters: a gap of
//! unused registers is worth reading while 2 · gap characters < 13 characters + 2 · t3.5 + turn-around.

use std::time::Duration;

use driver_core::CostModel;

use crate::address::Area;
use crate::session::Pace;
use crate::wire::Framing;
use crate::wire::request::READ_REGISTERS_MAX;

/// Round trip and the device's time to answer, on a network; estimated, not measured.
const NETWORK_ANSWER: Duration = Duration::from_millis(1);
/// The device's time to answer on a serial line.
const SERIAL_ANSWER: Duration = Duration::from_millis(5);
/// What the device and the wire take for a register more, on a network.
const NETWORK_REGISTER: Duration = Duration::from_micros(2);
/// The byte count of function 20's answer is at most 245 (Application Protocol, 6.14), two of it for the head.
pub(crate) const FILE_REGISTERS_MAX: u16 = 121;

/// What requests cost on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    framing: Framing,
    pace: Pace,
}

/// Bytes on the wire, out and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireBytes {
    /// Of the request.
    pub out: usize,
    /// Of the answer.
    pub back: usize,
}

impl Costs {
    /// Of a line of this pace; [`Pace::UNPACED`] is a network.
    pub fn new(framing: Framing, pace: Pace) -> Costs {
        Costs { framing, pace }
    }

    /// What reads of an area cost, in nanoseconds.
    pub fn model(&self, area: Area) -> CostModel {
        let model = CostModel { per_request: 0, per_unit: 0, units_max: units_max(area) };
        let per_block = nanos(self.time(area, 16)).saturating_sub(nanos(self.time(area, 0)));
        CostModel { per_request: nanos(self.time(area, 0)), per_unit: per_block.div_ceil(16), ..model }
    }

    /// How long a read of `len` items occupies the line.
    pub fn time(&self, area: Area, len: u32) -> Duration {
        let bytes = self.wire_bytes(area, len);
        let registers = if area.is_bits() { len.div_ceil(16) } else { len };
        if self.pace.character.is_zero() {
            return NETWORK_ANSWER + NETWORK_REGISTER * registers;
        }
        SERIAL_ANSWER + self.pace.silence * 2 + self.pace.transmission(bytes.out + bytes.back)
    }

    /// The bytes of a read of `len` items, with framing.
    pub fn wire_bytes(&self, area: Area, len: u32) -> WireBytes {
        let len = len as usize;
        let (out, back) = match area {
            Area::Extended => (9, 4 + 2 * len),
            Area::Table(_) if area.is_bits() => (5, 2 + len.div_ceil(8)),
            Area::Table(_) => (5, 2 + 2 * len),
        };
        WireBytes { out: self.framed(out), back: self.framed(back) }
    }

    fn framed(&self, pdu: usize) -> usize {
        match self.framing {
            Framing::Mbap => 7 + pdu,
            Framing::Rtu => 1 + pdu + 2,
            Framing::Ascii => 1 + 2 * (1 + pdu + 1) + 2,
        }
    }
}

/// Most items that one request reads.
pub(crate) fn units_max(area: Area) -> u32 {
    match area {
        Area::Table(table) => u32::from(table.read_max()),
        Area::Extended => u32::from(FILE_REGISTERS_MAX.min(READ_REGISTERS_MAX)),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Table;

    const REGISTERS: Area = Area::Table(Table::HoldingRegisters);

    #[test]
    fn a_full_read_takes_the_time_that_the_line_needs() {
        let costs = Costs::new(Framing::Rtu, Pace::of_line(9600, 11));
        assert_eq!(costs.wire_bytes(REGISTERS, 125), WireBytes { out: 8, back: 255 });
        let time = costs.time(REGISTERS, 125).as_millis();
        assert!((310..320).contains(&time), "{time} ms");
    }

    #[test]
    fn a_gap_is_worth_as_many_registers_as_the_line_makes_it() {
        let worth = |framing, pace| {
            let model = Costs::new(framing, pace).model(REGISTERS);
            model.per_request / model.per_unit
        };
        let at_9600 = worth(Framing::Rtu, Pace::of_line(9600, 11));
        let at_115200 = worth(Framing::Rtu, Pace::of_line(115_200, 11));
        assert!((10..=14).contains(&at_9600), "{at_9600}");
        assert!((38..=56).contains(&at_115200), "{at_115200}");
        assert!(worth(Framing::Mbap, Pace::UNPACED) > 125);
    }
}
