//! The faults that one frame can meet.

use std::time::Duration;

/// What happens to a frame. On a stream that is not understood a frame is what one read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// It is held back, and so is all behind it.
    Delay(Duration),
    /// It is held back, and what comes later may overtake it: an answer after the client's timeout.
    Late(Duration),
    /// It never arrives.
    Silence,
    /// It arrives byte by byte, one in each time.
    Drip(Duration),
    /// Only so many of its first bytes arrive, and always fewer than all.
    Cut(usize),
    /// So many random bytes arrive in its place.
    Garbage(usize),
    /// So many random bytes arrive before it.
    Noise(usize),
    /// It arrives twice.
    Twice,
    /// The frame before it arrives once more in its place: yesterday's answer.
    Yesterday,
    /// The request comes back in place of the reply.
    Echo,
    /// The request comes back before the reply, as on a two-wire line.
    EchoBefore,
    /// Two units answer: on a serial line the bits of both collide, on TCP the stranger's reply comes first.
    Collision,
    /// An exception of this code arrives in place of the reply; of S7, error class 85 hex with this code.
    Exception(u8),
    /// Another transaction id or PDU reference, one that nobody uses. Modbus TCP and S7 only.
    WrongTransaction,
    /// Another protocol id. Modbus TCP and S7 only.
    WrongProtocol,
    /// The next unit's number, and otherwise well formed. Modbus only.
    WrongUnit,
    /// Another function code, and otherwise well formed.
    WrongFunction,
    /// The byte count of a read's reply, of S7 that of its last item, says two more than there are.
    WrongByteCount,
    /// Two bytes of a read's reply are missing at its end, and the frame is well formed without them.
    Shorter,
    /// Two bytes too many stand at the end of a read's reply, and the frame is well formed with them.
    Longer,
    /// The length says so many more bytes, or fewer. Modbus TCP and S7 only.
    WrongLength(i8),
    /// The CRC does not fit. RTU only.
    WrongCrc,
    /// The connection is reset; a serial adapter is unplugged and plugged in again.
    Reset,
    /// The connection is closed; a serial adapter as above.
    Close,
}

impl Fault {
    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Delay(_) => "delay",
            Self::Late(_) => "late",
            Self::Silence => "silence",
            Self::Drip(_) => "drip",
            Self::Cut(_) => "cut",
            Self::Garbage(_) => "garbage",
            Self::Noise(_) => "noise",
            Self::Twice => "twice",
            Self::Yesterday => "yesterday",
            Self::Echo => "echo",
            Self::EchoBefore => "echo-before",
            Self::Collision => "collision",
            Self::Exception(_) => "exception",
            Self::WrongTransaction => "wrong-transaction",
            Self::WrongProtocol => "wrong-protocol",
            Self::WrongUnit => "wrong-unit",
            Self::WrongFunction => "wrong-function",
            Self::WrongByteCount => "wrong-byte-count",
            Self::Shorter => "shorter",
            Self::Longer => "longer",
            Self::WrongLength(_) => "wrong-length",
            Self::WrongCrc => "wrong-crc",
            Self::Reset => "reset",
            Self::Close => "close",
        }
    }
}
