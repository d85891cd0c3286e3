//! The requests that a client sends, and their PDU.

use std::fmt;

use super::file::{self, FileRecord, FileSpan};
use super::function;
use super::identification::IdentificationLevel;

/// Most bits that one request reads (6.1, 6.2).
pub const READ_BITS_MAX: u16 = 2000;
/// Most registers that one request reads (6.3, 6.4, 6.17).
pub const READ_REGISTERS_MAX: u16 = 125;
/// Most coils that one request writes (6.11).
pub const WRITE_COILS_MAX: u16 = 1968;
/// Most registers that one request writes (6.12).
pub const WRITE_REGISTERS_MAX: u16 = 123;
/// Most registers that the write half of read/write carries (6.17).
pub const READ_WRITE_WRITE_MAX: u16 = 121;

/// MEI type of read device identification (6.21).
pub(crate) const MEI_DEVICE_IDENTIFICATION: u8 = 0x0E;

/// The four tables of the Modbus data model (4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Single bits, read and write.
    Coils,
    /// Single bits, read only.
    DiscreteInputs,
    /// 16-bit registers, read and write.
    HoldingRegisters,
    /// 16-bit registers, read only.
    InputRegisters,
}

impl Table {
    /// The function code that reads this table.
    pub fn read_function(self) -> u8 {
        match self {
            Self::Coils => function::READ_COILS,
            Self::DiscreteInputs => function::READ_DISCRETE_INPUTS,
            Self::HoldingRegisters => function::READ_HOLDING_REGISTERS,
            Self::InputRegisters => function::READ_INPUT_REGISTERS,
        }
    }

    /// Whether an item of this table is one bit, not a register.
    pub fn is_bits(self) -> bool {
        matches!(self, Self::Coils | Self::DiscreteInputs)
    }

    /// Most items of this table that one request reads: 2000 bits or 125 registers.
    pub fn read_max(self) -> u16 {
        if self.is_bits() { READ_BITS_MAX } else { READ_REGISTERS_MAX }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Coils => "coils",
            Self::DiscreteInputs => "discrete inputs",
            Self::HoldingRegisters => "holding registers",
            Self::InputRegisters => "input registers",
        }
    }
}

/// One request. Addresses are the wire's own, from 0; registers are big-endian, two bytes each; bits are packed from the
/// lowest bit of the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Functions 1 to 4: `count` items of `table` from `start`.
    Read {
        /// What is read.
        table: Table,
        /// First item.
        start: u16,
        /// Number of items: 1 to [`Table::read_max`].
        count: u16,
    },
    /// Function 5.
    WriteCoil {
        /// The coil.
        address: u16,
        /// Its new state.
        on: bool,
    },
    /// Function 6.
    WriteRegister {
        /// The register.
        address: u16,
        /// Its new value.
        value: u16,
    },
    /// Function 15.
    WriteCoils {
        /// First coil.
        start: u16,
        /// Number of coils, 1 to 1968.
        count: u16,
        /// The packed states: one byte for each eight coils begun.
        bits: &'a [u8],
    },
    /// Function 16.
    WriteRegisters {
        /// First register.
        start: u16,
        /// The registers, 1 to 123 of two bytes each.
        registers: &'a [u8],
    },
    /// Function 20.
    ReadFileRecords(&'a [FileSpan]),
    /// Function 21.
    WriteFileRecords(&'a [FileRecord<'a>]),
    /// Function 22: the register becomes `(old AND and_mask) OR (or_mask AND NOT and_mask)`.
    MaskWriteRegister {
        /// The register.
        address: u16,
        /// Bits that keep their state.
        and_mask: u16,
        /// The state of the other bits.
        or_mask: u16,
    },
    /// Function 23: writes first, then reads.
    ReadWriteRegisters {
        /// First register that is read.
        read_start: u16,
        /// Number of registers that are read, 1 to 125.
        read_count: u16,
        /// First register that is written.
        write_start: u16,
        /// The registers that are written, 1 to 121 of two bytes each.
        registers: &'a [u8],
    },
    /// Function 43, MEI type 14.
    ReadDeviceIdentification {
        /// How much is asked for.
        level: IdentificationLevel,
        /// First object of this answer: 0, or the `next_object` of the answer before.
        object: u8,
    },
}

/// A request that the specification does not allow to be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Too many or too few items.
    #[error("a request for {count} {what} cannot be sent: one request carries 1 to {max}; split it")]
    Count {
        /// What is counted.
        what: &'static str,
        /// How many were asked for.
        count: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The span runs over address 65535.
    #[error("a request for {count} items from address {start} runs beyond address 65535; shorten the span")]
    Beyond {
        /// First item.
        start: u16,
        /// Number of items.
        count: usize,
    },
    /// The values do not fill the announced number of items.
    #[error("a write of {count} items came with {bytes} bytes of values")]
    Payload {
        /// Number of items announced.
        count: usize,
        /// Number of bytes given.
        bytes: usize,
    },
    /// A read of unit 0 on a serial line.
    #[error("unit 0 is the broadcast of a serial line and never answers: give the unit that is to be read, 1 to 247")]
    BroadcastRead,
}

impl Request<'_> {
    /// The function code.
    pub fn function(&self) -> u8 {
        match self {
            Self::Read { table, .. } => table.read_function(),
            Self::WriteCoil { .. } => function::WRITE_COIL,
            Self::WriteRegister { .. } => function::WRITE_REGISTER,
            Self::WriteCoils { .. } => function::WRITE_COILS,
            Self::WriteRegisters { .. } => function::WRITE_REGISTERS,
            Self::ReadFileRecords(_) => function::READ_FILE_RECORDS,
            Self::WriteFileRecords(_) => function::WRITE_FILE_RECORDS,
            Self::MaskWriteRegister { .. } => function::MASK_WRITE_REGISTER,
            Self::ReadWriteRegisters { .. } => function::READ_WRITE_REGISTERS,
            Self::ReadDeviceIdentification { .. } => function::ENCAPSULATED,
        }
    }

    /// Whether the request changes the device.
    pub fn is_write(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::ReadFileRecords(_) | Self::ReadDeviceIdentification { .. })
    }

    /// Bytes of the PDU that answers this request without an exception; `None` where only the answer itself tells.
    pub fn reply_pdu_bytes(&self) -> Option<usize> {
        match *self {
            Self::Read { table, count, .. } => Some(2 + payload_bytes(table, count)),
            Self::WriteCoil { .. }
            | Self::WriteRegister { .. }
            | Self::WriteCoils { .. }
            | Self::WriteRegisters { .. } => Some(5),
            Self::ReadFileRecords(spans) => Some(2 + file::read_reply_bytes(spans)),
            Self::WriteFileRecords(records) => Some(2 + file::write_bytes(records)),
            Self::MaskWriteRegister { .. } => Some(7),
            Self::ReadWriteRegisters { read_count, .. } => Some(2 + 2 * usize::from(read_count)),
            Self::ReadDeviceIdentification { .. } => None,
        }
    }

    /// Appends the PDU to `out`.
    ///
    /// # Errors
    /// The request breaks a limit of the specification; `out` is then left as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), InvalidRequest> {
        self.check()?;
        out.push(self.function());
        match *self {
            Self::Read { start, count, .. } => words(out, &[start, count]),
            Self::WriteCoil { address, on } => words(out, &[address, coil(on)]),
            Self::WriteRegister { address, value } => words(out, &[address, value]),
            Self::WriteCoils { start, count, bits } => {
                words(out, &[start, count]);
                counted(out, bits);
            }
            Self::WriteRegisters { start, registers } => {
                words(out, &[start, register_count(registers)]);
                counted(out, registers);
            }
            Self::ReadFileRecords(spans) => file::encode_read(spans, out),
            Self::WriteFileRecords(records) => file::encode_write(records, out),
            Self::MaskWriteRegister { address, and_mask, or_mask } => words(out, &[address, and_mask, or_mask]),
            Self::ReadWriteRegisters { read_start, read_count, write_start, registers } => {
                words(out, &[read_start, read_count, write_start, register_count(registers)]);
                counted(out, registers);
            }
            Self::ReadDeviceIdentification { level, object } => {
                out.extend_from_slice(&[MEI_DEVICE_IDENTIFICATION, level.code(), object]);
            }
        }
        Ok(())
    }

    /// Whether the specification allows this request.
    ///
    /// # Errors
    /// The limit that it breaks.
    pub fn check(&self) -> Result<(), InvalidRequest> {
        match *self {
            Self::Read { table, start, count } => span(start, count.into(), table.name(), table.read_max()),
            Self::WriteCoil { .. } | Self::WriteRegister { .. } | Self::MaskWriteRegister { .. } => Ok(()),
            Self::ReadDeviceIdentification { .. } => Ok(()),
            Self::WriteCoils { start, count, bits } => {
                span(start, count.into(), "coils to write", WRITE_COILS_MAX)?;
                filled(count.into(), usize::from(count).div_ceil(8), bits.len())
            }
            Self::WriteRegisters { start, registers } => {
                whole_registers(registers)?;
                span(start, registers.len() / 2, "registers to write", WRITE_REGISTERS_MAX)
            }
            Self::ReadFileRecords(spans) => file::check_read(spans),
            Self::WriteFileRecords(records) => file::check_write(records),
            Self::ReadWriteRegisters { read_start, read_count, write_start, registers } => {
                whole_registers(registers)?;
                span(read_start, read_count.into(), "registers to read", READ_REGISTERS_MAX)?;
                span(write_start, registers.len() / 2, "registers to write", READ_WRITE_WRITE_MAX)
            }
        }
    }
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Read { table, start, count } => write!(f, "read of {count} {} from {start}", table.name()),
            Self::WriteCoil { address, .. } => write!(f, "write of coil {address}"),
            Self::WriteRegister { address, .. } => write!(f, "write of register {address}"),
            Self::WriteCoils { start, count, .. } => write!(f, "write of {count} coils from {start}"),
            Self::WriteRegisters { start, registers } => {
                write!(f, "write of {} registers from {start}", registers.len() / 2)
            }
            Self::ReadFileRecords(spans) => write!(f, "read of {} file records", spans.len()),
            Self::WriteFileRecords(records) => write!(f, "write of {} file records", records.len()),
            Self::MaskWriteRegister { address, .. } => write!(f, "masked write of register {address}"),
            Self::ReadWriteRegisters { read_start, read_count, write_start, registers } => write!(
                f,
                "write of {} registers from {write_start} and read of {read_count} from {read_start}",
                registers.len() / 2
            ),
            Self::ReadDeviceIdentification { object, .. } => write!(f, "device identification from object {object}"),
        }
    }
}

/// Bytes that `count` items of `table` fill in a reply.
pub(crate) fn payload_bytes(table: Table, count: u16) -> usize {
    if table.is_bits() { usize::from(count).div_ceil(8) } else { 2 * usize::from(count) }
}

/// The two bytes that stand for a coil's state (6.5).
pub(crate) fn coil(on: bool) -> u16 {
    if on { 0xFF00 } else { 0 }
}

/// Number of registers in big-endian bytes whose length has been checked.
pub(crate) fn register_count(registers: &[u8]) -> u16 {
    u16::try_from(registers.len() / 2).unwrap_or(u16::MAX)
}

pub(crate) fn words(out: &mut Vec<u8>, words: &[u16]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn counted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

fn span(start: u16, count: usize, what: &'static str, max: u16) -> Result<(), InvalidRequest> {
    if count == 0 || count > usize::from(max) {
        return Err(InvalidRequest::Count { what, count, max: max.into() });
    }
    if usize::from(start) + count > 1 + usize::from(u16::MAX) {
        return Err(InvalidRequest::Beyond { start, count });
    }
    Ok(())
}

fn whole_registers(registers: &[u8]) -> Result<(), InvalidRequest> {
    filled(registers.len() / 2, registers.len() / 2 * 2, registers.len())
}

fn filled(count: usize, wanted: usize, bytes: usize) -> Result<(), InvalidRequest> {
    if wanted == bytes { Ok(()) } else { Err(InvalidRequest::Payload { count, bytes }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pdu(request: Request<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        request.encode(&mut out).expect("a valid request");
        out
    }

    #[test]
    fn requests_are_written_as_the_specification_prints_them() {
        // The examples of the Application Protocol's clause 6.
        let read = |table, start, count| Request::Read { table, start, count };
        let cases: [(Request<'_>, &[u8]); 11] = [
            (read(Table::Coils, 0x13, 0x13), &[0x01, 0x00, 0x13, 0x00, 0x13]),
            (read(Table::DiscreteInputs, 0xC4, 0x16), &[0x02, 0x00, 0xC4, 0x00, 0x16]),
            (read(Table::HoldingRegisters, 0x6B, 3), &[0x03, 0x00, 0x6B, 0x00, 0x03]),
            (read(Table::InputRegisters, 8, 1), &[0x04, 0x00, 0x08, 0x00, 0x01]),
            (Request::WriteCoil { address: 0xAC, on: true }, &[0x05, 0x00, 0xAC, 0xFF, 0x00]),
            (Request::WriteRegister { address: 1, value: 3 }, &[0x06, 0x00, 0x01, 0x00, 0x03]),
            (
                Request::WriteCoils { start: 0x13, count: 10, bits: &[0xCD, 0x01] },
                &[0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x01],
            ),
            (
                Request::WriteRegisters { start: 1, registers: &[0, 0x0A, 1, 2] },
                &[0x10, 0x00, 0x01, 0x00, 0x02, 0x04, 0x00, 0x0A, 0x01, 0x02],
            ),
            (
                Request::MaskWriteRegister { address: 4, and_mask: 0xF2, or_mask: 0x25 },
                &[0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25],
            ),
            (
                Request::ReadWriteRegisters { read_start: 3, read_count: 6, write_start: 14, registers: &[0, 255] },
                &[0x17, 0x00, 0x03, 0x00, 0x06, 0x00, 0x0E, 0x00, 0x01, 0x02, 0x00, 0xFF],
            ),
            (
                Request::ReadDeviceIdentification { level: IdentificationLevel::Basic, object: 0 },
                &[0x2B, 0x0E, 0x01, 0x00],
            ),
        ];
        for (request, bytes) in cases {
            assert_eq!(pdu(request), bytes, "{request}");
        }
    }

    #[test]
    fn requests_beyond_a_limit_are_refused_before_they_are_sent() {
        let read = |table, start, count| Request::Read { table, start, count };
        let wide = [0_u8; 248];
        let refused = [
            read(Table::Coils, 0, 0),
            read(Table::Coils, 0, 2001),
            read(Table::HoldingRegisters, 0, 126),
            read(Table::InputRegisters, 65535, 2),
            Request::WriteCoils { start: 0, count: 9, bits: &[1] },
            Request::WriteRegisters { start: 0, registers: &wide },
            Request::WriteRegisters { start: 0, registers: &[1] },
            Request::ReadWriteRegisters { read_start: 0, read_count: 1, write_start: 0, registers: &wide[..244] },
            Request::ReadFileRecords(&[]),
        ];
        for request in refused {
            let mut out = vec![7];
            assert!(request.encode(&mut out).is_err(), "{request}");
            assert_eq!(out, [7], "{request} left bytes behind");
        }
        assert!(read(Table::InputRegisters, 65535, 1).check().is_ok());
        assert!(read(Table::Coils, 0, 2000).check().is_ok());
    }
}
