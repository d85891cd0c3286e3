//! Function codes, as the Application Protocol numbers them (clause 6).

/// Read coils (6.1).
pub const READ_COILS: u8 = 0x01;
/// Read discrete inputs (6.2).
pub const READ_DISCRETE_INPUTS: u8 = 0x02;
/// Read holding registers (6.3).
pub const READ_HOLDING_REGISTERS: u8 = 0x03;
/// Read input registers (6.4).
pub const READ_INPUT_REGISTERS: u8 = 0x04;
/// Write single coil (6.5).
pub const WRITE_COIL: u8 = 0x05;
/// Write single register (6.6).
pub const WRITE_REGISTER: u8 = 0x06;
/// Write multiple coils (6.11).
pub const WRITE_COILS: u8 = 0x0F;
/// Write multiple registers (6.12).
pub const WRITE_REGISTERS: u8 = 0x10;
/// Read file record (6.14).
pub const READ_FILE_RECORDS: u8 = 0x14;
/// Write file record (6.15).
pub const WRITE_FILE_RECORDS: u8 = 0x15;
/// Mask write register (6.16).
pub const MASK_WRITE_REGISTER: u8 = 0x16;
/// Read/write multiple registers (6.17).
pub const READ_WRITE_REGISTERS: u8 = 0x17;
/// Encapsulated interface transport (6.19), of which we speak read device identification (6.21).
pub const ENCAPSULATED: u8 = 0x2B;
/// Set in the function code of an exception response (clause 7).
pub const EXCEPTION_BIT: u8 = 0x80;
