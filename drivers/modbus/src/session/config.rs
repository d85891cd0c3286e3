//! How one session speaks: framing, ids, depth, and the timing of a serial line.

use std::time::Duration;

use crate::wire::{Echo, Framing, TransactionIds};

/// Most requests under way at once.
pub const IN_FLIGHT_MAX: usize = 32;
/// Above this baud rate the silent interval is fixed (Serial Line, 2.5.1.1).
const FIXED_SILENCE_BAUD: u32 = 19_200;
const FIXED_SILENCE: Duration = Duration::from_micros(1_750);
/// What the specification gives units to carry out a broadcast: 100 to 200 ms (Serial Line, 2.4.1).
const TURNAROUND_DEFAULT: Duration = Duration::from_millis(100);

/// How a session speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// How messages are wrapped.
    pub framing: Framing,
    /// Whether the far side returns transaction ids; means nothing on serial lines.
    pub transaction_ids: TransactionIds,
    /// Requests under way at once, 1 to [`IN_FLIGHT_MAX`]. Serial lines and ignored ids hold it at 1.
    pub max_in_flight: usize,
    /// Whether the serial adapter hears what it sends.
    pub echo: Echo,
    /// The timing of the line.
    pub pace: Pace,
}

impl SessionConfig {
    /// Modbus TCP or TLS, one request at a time.
    pub fn mbap() -> Self {
        Self {
            framing: Framing::Mbap,
            transaction_ids: TransactionIds::Match,
            max_in_flight: 1,
            echo: Echo::Absent,
            pace: Pace::UNPACED,
        }
    }

    /// RTU or ASCII over a line of this pace ([`Pace::UNPACED`] behind a TCP converter).
    pub fn serial(framing: Framing, pace: Pace) -> Self {
        Self { framing, pace, ..Self::mbap() }
    }

    /// Requests under way at once that framing and ids allow.
    pub fn in_flight(&self) -> usize {
        match (self.framing, self.transaction_ids) {
            (Framing::Mbap, TransactionIds::Match) => self.max_in_flight.clamp(1, IN_FLIGHT_MAX),
            _ => 1,
        }
    }
}

/// The timing of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time that one character takes.
    pub character: Duration,
    /// The silence before each request: 3.5 characters, 1.75 ms above 19200 baud.
    pub silence: Duration,
    /// The pause after a broadcast.
    pub turnaround: Duration,
}

impl Pace {
    /// No line of our own: the converter on the far side keeps the times.
    pub const UNPACED: Self =
        Self { character: Duration::ZERO, silence: Duration::ZERO, turnaround: TURNAROUND_DEFAULT };

    /// A line of `baud` with characters of `bits` (start, data, parity and stop bits: 11 as the specification has it).
    pub fn of_line(baud: u32, bits: u32) -> Self {
        let character = Duration::from_secs(bits.into()) / baud.max(1);
        let silence = if baud > FIXED_SILENCE_BAUD { FIXED_SILENCE } else { character * 7 / 2 };
        Self { character, silence, turnaround: TURNAROUND_DEFAULT }
    }

    /// The time that `bytes` take on the line.
    pub fn transmission(&self, bytes: usize) -> Duration {
        self.character * u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_three_and_a_half_characters_up_to_19200_baud_and_fixed_above() {
        let cases = [(9_600, 4_010), (19_200, 2_005), (38_400, 1_750), (115_200, 1_750)];
        for (baud, micros) in cases {
            assert_eq!(Pace::of_line(baud, 11).silence.as_micros(), micros, "{baud} baud");
        }
    }

    #[test]
    fn only_transaction_ids_that_match_allow_more_than_one_request_under_way() {
        let deep = SessionConfig { max_in_flight: 8, ..SessionConfig::mbap() };
        assert_eq!(deep.in_flight(), 8);
        assert_eq!(SessionConfig { transaction_ids: TransactionIds::Ignore, ..deep.clone() }.in_flight(), 1);
        assert_eq!(SessionConfig { framing: Framing::Rtu, ..deep.clone() }.in_flight(), 1);
        assert_eq!(SessionConfig { max_in_flight: 0, ..deep }.in_flight(), 1);
    }
}
