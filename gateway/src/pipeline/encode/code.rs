//! What says how a column's values are written, and the values as they are read back.

use driver_core::Value;

use super::Undecodable;
use super::decimal::{EXPONENT_MAX, bits_over};
use super::kind::{
    BOOL, DATE_TIME, DURATION, EMPTY, INT, LREAL, PLAIN, REAL, TIME_OF_DAY, UINT, read_value, value_of, width_of,
};
use super::packed::Unpacking;
use super::varint::{Input, unzigzag};

/// Kind of value in the high nibble, method in the low one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnCode(pub(super) u8);

// Methods of every kind.
pub(super) const CONSTANT: u8 = 0;
// Of integers.
pub(super) const DELTA: u8 = 1;
pub(super) const INTEGER_RUNS: u8 = 2;
// Of BOOL: the first value is among the block's flags.
pub(super) const FLAG: u8 = 2;
pub(super) const FLAG_RUNS: u8 = 3;
// Of floating point.
pub(super) const PACKED: u8 = 1;
pub(super) const XOR: u8 = 2;
/// And the exponent.
pub(super) const DECIMAL: u8 = 3;

// What has no room among the methods of its kind stands where kinds do.
/// A constant whose high bytes are those of the last constant before; the low nibble is how many bytes stand.
pub(super) const LOW_BYTES: u8 = 12;
/// Of LREAL rather than of REAL.
pub(super) const LOW_BYTES_OF_LREAL: u8 = 8;
/// Decimals in runs of equal ones; the low nibble is the exponent.
pub(super) const REAL_RUNS: u8 = 13;
pub(super) const LREAL_RUNS: u8 = 14;

/// Marks values that are as the one before; no pair of leading and trailing bytes gives it.
pub(super) const XOR_ZEROS: u8 = 0xff;

impl ColumnCode {
    pub(super) const fn new(kind: u8, method: u8) -> ColumnCode {
        ColumnCode(kind << 4 | method)
    }

    fn has_flag(self) -> bool {
        matches!((self.0 >> 4, self.0 & 0xf), (BOOL, FLAG | FLAG_RUNS))
    }

    /// The value of a column that has only one.
    #[inline(always)]
    pub(super) fn only_value(self, shared: &mut SharedInput<'_>, input: &mut Input<'_>) -> Result<Value, Undecodable> {
        const CONSTANT_INT: u8 = ColumnCode::new(INT, CONSTANT).0;
        const CONSTANT_UINT: u8 = ColumnCode::new(UINT, CONSTANT).0;
        const ONE_FLAG: u8 = ColumnCode::new(BOOL, FLAG).0;
        match self.0 {
            ONE_FLAG => shared.flag().map(Value::Bool),
            CONSTANT_INT => input.i64().map(Value::Int),
            CONSTANT_UINT => input.i64().map(|bits| Value::UInt(bits as u64)),
            _ => self.first_value(shared, input),
        }
    }

    fn first_value(self, shared: &mut SharedInput<'_>, input: &mut Input<'_>) -> Result<Value, Undecodable> {
        self.values(shared, input)?.next(input)
    }

    /// The value of a column whose only reading has none.
    pub(super) fn no_value(self, shared: &mut SharedInput<'_>, input: &mut Input<'_>) -> Result<Value, Undecodable> {
        self.values(shared, input).map(|_| Value::None)
    }

    pub(super) fn values(self, shared: &mut SharedInput<'_>, input: &mut Input<'_>) -> Result<Values, Undecodable> {
        let (kind, method) = (self.0 >> 4, self.0 & 0xf);
        let values = |kind, way| Values { kind, way, exponent: None, last: None, left: 0 };
        Ok(match (kind, method) {
            (EMPTY | PLAIN, CONSTANT) => values(kind, Way::Each),
            (BOOL | INT | UINT | DURATION | DATE_TIME | TIME_OF_DAY, CONSTANT) => {
                Values { last: Some(input.i64()? as u64), ..values(kind, Way::Constant) }
            }
            (BOOL, FLAG) => Values { last: Some(u64::from(shared.flag()?)), ..values(kind, Way::Constant) },
            (BOOL, FLAG_RUNS) => {
                // As if a step had led to the first value.
                Values { last: Some(u64::from(!shared.flag()?)), ..values(kind, Way::Flips) }
            }
            (BOOL | INT | UINT | DURATION | DATE_TIME | TIME_OF_DAY, DELTA) => values(kind, Way::Steps),
            (INT | UINT | DURATION | DATE_TIME | TIME_OF_DAY, INTEGER_RUNS) => values(kind, Way::Runs),
            (REAL | LREAL, CONSTANT) => shared.constant(kind, width_of(kind), input)?,
            (LOW_BYTES, bytes @ 0..=3) => shared.constant(REAL, bytes.into(), input)?,
            (LOW_BYTES, bytes @ LOW_BYTES_OF_LREAL..) => {
                shared.constant(LREAL, usize::from(bytes - LOW_BYTES_OF_LREAL), input)?
            }
            (REAL | LREAL, PACKED) => values(kind, Way::Packed(Unpacking::read(input, width_of(kind))?)),
            (REAL | LREAL, XOR) => values(kind, Way::Xor),
            (REAL | LREAL, DECIMAL..) => Values { exponent: Some(method - DECIMAL), ..values(kind, Way::Steps) },
            (REAL_RUNS, 0..=EXPONENT_MAX) => Values { exponent: Some(method), ..values(REAL, Way::Runs) },
            (LREAL_RUNS, 0..=EXPONENT_MAX) => Values { exponent: Some(method), ..values(LREAL, Way::Runs) },
            _ => return Err(Undecodable("a column's code is unknown to this version")),
        })
    }
}

/// What the columns of a block have in common, as it is read back.
pub(super) struct SharedInput<'a> {
    flags: &'a [u8],
    flags_taken: usize,
    before: u64,
}

impl<'a> SharedInput<'a> {
    /// Takes the flags of these columns from between the codes and the columns.
    pub(super) fn read(codes: &[u8], input: &mut Input<'a>) -> Result<SharedInput<'a>, Undecodable> {
        let flags = codes.iter().filter(|code| ColumnCode(**code).has_flag()).count();
        Ok(SharedInput { flags: input.bytes(flags.div_ceil(8))?, flags_taken: 0, before: 0 })
    }

    fn flag(&mut self) -> Result<bool, Undecodable> {
        let at = self.flags_taken;
        self.flags_taken += 1;
        let byte = self.flags.get(at / 8).ok_or(Undecodable("a flag is missing"))?;
        Ok(byte >> (at % 8) & 1 == 1)
    }

    fn constant(&mut self, kind: u8, low: usize, input: &mut Input<'_>) -> Result<Values, Undecodable> {
        let mut bits = self.before.to_le_bytes();
        bits[..low].copy_from_slice(input.bytes(low)?);
        bits[width_of(kind)..].fill(0);
        self.before = u64::from_le_bytes(bits);
        Ok(Values { kind, way: Way::Constant, exponent: None, last: Some(self.before), left: 0 })
    }
}

/// The values of a column as they are read back, one by one.
pub(super) struct Values {
    kind: u8,
    way: Way,
    /// Values are integers over this power of ten.
    exponent: Option<u8>,
    /// Bits of the value before; of decimals their integer.
    last: Option<u64>,
    /// How many more are as the one before.
    left: u64,
}

enum Way {
    Each,
    Constant,
    Steps,
    Runs,
    Flips,
    Xor,
    Packed(Unpacking),
}

impl Values {
    pub(super) fn next(&mut self, input: &mut Input<'_>) -> Result<Value, Undecodable> {
        let bits = match (&mut self.way, self.last) {
            (Way::Each, _) if self.kind == PLAIN => return read_value(input, 0),
            (Way::Each, _) => return Err(Undecodable("a column without values is asked for one")),
            (Way::Packed(packed), _) => packed.next(input)?,
            (_, Some(last)) if self.left > 0 => {
                self.left -= 1;
                last
            }
            (Way::Constant, Some(last)) => last,
            (Way::Xor, None) => read_le(input.bytes(width_of(self.kind))?)?,
            (Way::Xor, Some(last)) => self.xored(last, input)?,
            (Way::Steps, Some(last)) => self.step(last, input)?,
            (Way::Flips, Some(last)) => self.run(last ^ 1, input)?,
            (Way::Runs, Some(last)) => {
                let bits = (last as i64).wrapping_add(input.i64()?) as u64;
                self.run(bits, input)?
            }
            (Way::Runs, None) => {
                let bits = input.i64()? as u64;
                self.run(bits, input)?
            }
            (Way::Steps | Way::Constant | Way::Flips, None) => input.i64()? as u64,
        };
        self.last = Some(bits);
        value_of(self.kind, self.exponent.map_or(bits, |exponent| bits_over(self.kind, bits as i64, exponent)))
    }

    /// A run begins: how many there are of its value, 0 where nothing follows it.
    fn run(&mut self, bits: u64, input: &mut Input<'_>) -> Result<u64, Undecodable> {
        self.left = input.u64()?.wrapping_sub(1);
        Ok(bits)
    }

    fn xored(&mut self, last: u64, input: &mut Input<'_>) -> Result<u64, Undecodable> {
        let shape = input.byte()?;
        if shape == XOR_ZEROS {
            self.left = input.u64()?;
            return Ok(last);
        }
        let (leading, trailing) = (usize::from(shape >> 4), usize::from(shape & 0xf));
        let width = 8_usize.checked_sub(leading + trailing).ok_or(Undecodable("a changed value has no width"))?;
        Ok(last ^ read_le(input.bytes(width)?)? << (8 * trailing))
    }

    fn step(&mut self, last: u64, input: &mut Input<'_>) -> Result<u64, Undecodable> {
        match input.u64()? {
            0 => {
                self.left = input.u64()?;
                Ok(last)
            }
            step => Ok((last as i64).wrapping_add(unzigzag(step)) as u64),
        }
    }
}

fn read_le(bytes: &[u8]) -> Result<u64, Undecodable> {
    if bytes.is_empty() {
        return Err(Undecodable("a changed value has no width"));
    }
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}
