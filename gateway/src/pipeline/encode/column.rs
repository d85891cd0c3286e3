//! One tag's values in one block, by whichever method is smallest.

use driver_core::Value;

use super::Undecodable;
use super::varint::{Input, put_i64, put_u64, unzigzag, zigzag};

/// Kind of value in the high nibble, method in the low one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnCode(pub(super) u8);

const EMPTY: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const UINT: u8 = 3;
const REAL: u8 = 4;
const LREAL: u8 = 5;
const DURATION: u8 = 6;
const DATE_TIME: u8 = 7;
const TIME_OF_DAY: u8 = 8;
/// Text, arrays, and columns of several kinds: each value with its own kind.
const PLAIN: u8 = 9;
const TEXT: u8 = 10;
const ARRAY: u8 = 11;

const CONSTANT: u8 = 0;
const DELTA: u8 = 1;
const XOR: u8 = 2;
const DECIMAL: u8 = 3;

/// Floating-point values are tried as integers over 10^0 to this power of ten.
const DECIMAL_EXPONENT_MAX: u8 = 12;

/// Integers beyond this are not told apart by a binary64.
const DECIMAL_MANTISSA_MAX: f64 = 9_007_199_254_740_992.0;

/// How deep arrays may stand in each other.
const DEPTH_MAX: u32 = 4;

const POWERS: [f64; DECIMAL_EXPONENT_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// Values gathered for one column; keeps its memory from column to column.
#[derive(Default)]
pub(super) struct Column {
    kind: u8,
    /// The values' bits: integers as they are, floating point as IEEE 754.
    bits: Vec<u64>,
    /// The integers of the decimal method.
    mantissas: Vec<i64>,
    /// Values that have no bits: written as they come.
    plain: Vec<u8>,
    candidate: Vec<u8>,
}

/// A column of one value that has bits, as [`Column::write`] would write it; `None` for one that has none.
pub(super) fn write_one(value: &Value, out: &mut Vec<u8>) -> Option<ColumnCode> {
    let (kind, bits) = (kind_of(value), bits_of(value)?);
    let method = match kind {
        REAL => write_one_float::<4>(kind, bits, out),
        LREAL => write_one_float::<8>(kind, bits, out),
        _ => {
            put_i64(out, bits as i64);
            CONSTANT
        }
    };
    Some(ColumnCode(kind << 4 | method))
}

fn write_one_float<const WIDTH: usize>(kind: u8, bits: u64, out: &mut Vec<u8>) -> u8 {
    let decimal = (0..=DECIMAL_EXPONENT_MAX).find_map(|exponent| Some((exponent, mantissa(kind, bits, exponent)?)));
    let start = out.len();
    if let Some((exponent, mantissa)) = decimal {
        put_i64(out, mantissa);
        if out.len() - start <= WIDTH {
            return DECIMAL + exponent;
        }
        out.truncate(start);
    }
    out.extend_from_slice(&bits.to_le_bytes()[..WIDTH]);
    CONSTANT
}

impl Column {
    pub(super) fn clear(&mut self) {
        self.kind = EMPTY;
        self.bits.clear();
        self.plain.clear();
    }

    /// Adds a value; no value adds nothing.
    pub(super) fn push(&mut self, value: &Value) {
        let kind = kind_of(value);
        if kind == EMPTY {
            return;
        }
        if self.kind == EMPTY {
            self.kind = if bits_of(value).is_some() { kind } else { PLAIN };
        }
        match bits_of(value) {
            Some(bits) if self.kind == kind => self.bits.push(bits),
            _ => {
                self.become_plain();
                write_value(value, &mut self.plain);
            }
        }
    }

    fn become_plain(&mut self) {
        for bits in self.bits.drain(..) {
            self.plain.push(self.kind);
            put_u64(&mut self.plain, bits);
        }
        self.kind = PLAIN;
    }

    /// Appends the values to `out`; the code says how to read them back.
    pub(super) fn write(&mut self, out: &mut Vec<u8>) -> ColumnCode {
        let method = match self.kind {
            EMPTY => CONSTANT,
            PLAIN => {
                out.extend_from_slice(&self.plain);
                CONSTANT
            }
            REAL | LREAL => self.write_floats(out),
            _ => self.write_integers(out),
        };
        ColumnCode(self.kind << 4 | method)
    }

    fn write_integers(&mut self, out: &mut Vec<u8>) -> u8 {
        let first = self.bits[0];
        put_i64(out, first as i64);
        if self.bits.iter().all(|bits| *bits == first) {
            return CONSTANT;
        }
        write_deltas(self.bits.iter().map(|bits| *bits as i64), out);
        DELTA
    }

    /// Decimal integers are tried first, then XOR; the smaller one stays.
    fn write_floats(&mut self, out: &mut Vec<u8>) -> u8 {
        let first = self.bits[0];
        let constant = self.bits.iter().all(|bits| *bits == first);
        let exponent = self.find_decimal();
        if let Some(exponent) = exponent {
            let start = out.len();
            put_i64(out, self.mantissas[0]);
            if !constant {
                write_deltas(self.mantissas.iter().copied(), out);
            } else if self.mantissas.len() > 1 {
                put_u64(out, 0);
                put_u64(out, self.mantissas.len() as u64 - 2);
            }
            self.candidate.clear();
            self.write_bits(constant, first);
            if out.len() - start <= self.candidate.len() {
                return DECIMAL + exponent;
            }
            out.truncate(start);
        } else {
            self.candidate.clear();
            self.write_bits(constant, first);
        }
        out.extend_from_slice(&self.candidate);
        if constant { CONSTANT } else { XOR }
    }

    fn write_bits(&mut self, constant: bool, first: u64) {
        let width = if self.kind == REAL { 4 } else { 8 };
        self.candidate.extend_from_slice(&first.to_le_bytes()[..width]);
        if !constant {
            write_xors(&self.bits, &mut self.candidate);
        }
    }

    /// The smallest power of ten over which all values are integers, bit for bit; the integers are left in `mantissas`.
    fn find_decimal(&mut self) -> Option<u8> {
        let mut exponent = 0;
        for bits in &self.bits {
            while mantissa(self.kind, *bits, exponent).is_none() {
                exponent += 1;
                if exponent > DECIMAL_EXPONENT_MAX {
                    return None;
                }
            }
        }
        self.mantissas.clear();
        for bits in &self.bits {
            self.mantissas.push(mantissa(self.kind, *bits, exponent)?);
        }
        Some(exponent)
    }
}

/// The integer that, over 10^exponent, gives these bits again.
fn mantissa(kind: u8, bits: u64, exponent: u8) -> Option<i64> {
    let value = if kind == REAL { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) };
    let scaled = (value * POWERS[usize::from(exponent)]).round_ties_even();
    let fits = scaled.abs() < DECIMAL_MANTISSA_MAX;
    let mantissa = scaled as i64;
    (fits && decimal_bits(kind, mantissa, exponent) == bits).then_some(mantissa)
}

fn decimal_bits(kind: u8, mantissa: i64, exponent: u8) -> u64 {
    let value = mantissa as f64 / POWERS[usize::from(exponent)];
    if kind == REAL { u64::from((value as f32).to_bits()) } else { value.to_bits() }
}

/// Each step from the value before; a zero is followed by how many more zeros there are.
fn write_deltas(values: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
    let mut last = None;
    let mut zeros = 0_u64;
    for value in values {
        let step = last.map(|last| value.wrapping_sub(last));
        last = Some(value);
        match step {
            None => {}
            Some(0) => zeros += 1,
            Some(step) => {
                write_zeros(&mut zeros, out);
                put_u64(out, zigzag(step));
            }
        }
    }
    write_zeros(&mut zeros, out);
}

/// Each value's bits against those of the one before: a byte says how many zero bytes lead and trail, then the rest.
fn write_xors(bits: &[u64], out: &mut Vec<u8>) {
    let mut zeros = 0_u64;
    for pair in bits.windows(2) {
        let changed = pair[0] ^ pair[1];
        if changed == 0 {
            zeros += 1;
            continue;
        }
        write_zeros_marked(&mut zeros, out);
        let leading = changed.leading_zeros() as usize / 8;
        let trailing = changed.trailing_zeros() as usize / 8;
        out.push((leading << 4 | trailing) as u8);
        out.extend_from_slice(&changed.to_le_bytes()[trailing..8 - leading]);
    }
    write_zeros_marked(&mut zeros, out);
}

fn write_zeros(zeros: &mut u64, out: &mut Vec<u8>) {
    if *zeros > 0 {
        put_u64(out, 0);
        put_u64(out, *zeros - 1);
        *zeros = 0;
    }
}

/// As [`write_zeros`], with a marker that no pair of leading and trailing bytes gives.
const XOR_ZEROS: u8 = 0xff;

fn write_zeros_marked(zeros: &mut u64, out: &mut Vec<u8>) {
    if *zeros > 0 {
        out.push(XOR_ZEROS);
        put_u64(out, *zeros - 1);
        *zeros = 0;
    }
}

/// The values of a column as they are read back, one by one.
pub(super) struct Values {
    kind: u8,
    method: u8,
    /// Bits of the value before; of the decimal method its integer.
    last: Option<u64>,
    zeros: u64,
}

impl ColumnCode {
    /// The value of a column that has only one.
    #[inline]
    pub(super) fn only_value(self, input: &mut Input<'_>) -> Result<Value, Undecodable> {
        match (self.0 >> 4, self.0 & 0xf) {
            (kind @ (BOOL | INT | UINT | DURATION | DATE_TIME | TIME_OF_DAY), CONSTANT) => {
                value_of(kind, input.i64()? as u64)
            }
            _ => self.values(input)?.next(input),
        }
    }

    /// The value of a column whose only reading has none.
    pub(super) fn no_value(self, input: &mut Input<'_>) -> Result<Value, Undecodable> {
        self.values(input).map(|_| Value::None)
    }

    pub(super) fn values(self, input: &mut Input<'_>) -> Result<Values, Undecodable> {
        let (kind, method) = (self.0 >> 4, self.0 & 0xf);
        match (kind, method) {
            (EMPTY | PLAIN, CONSTANT) | (REAL | LREAL, CONSTANT | XOR | DECIMAL..) => {}
            (BOOL | INT | UINT | DURATION | DATE_TIME | TIME_OF_DAY, CONSTANT | DELTA) => {}
            _ => return Err(Undecodable("a column's code is unknown to this version")),
        }
        let mut values = Values { kind, method, last: None, zeros: 0 };
        if method == CONSTANT && kind != EMPTY && kind != PLAIN {
            values.last = Some(values.first(input)?);
        }
        Ok(values)
    }
}

impl Values {
    pub(super) fn next(&mut self, input: &mut Input<'_>) -> Result<Value, Undecodable> {
        if self.kind == PLAIN {
            return read_value(input, 0);
        }
        if self.kind == EMPTY {
            return Err(Undecodable("a column without values is asked for one"));
        }
        let bits = match self.last {
            None => self.first(input)?,
            Some(last) if self.method == CONSTANT => last,
            Some(last) => self.step(last, input)?,
        };
        self.last = Some(bits);
        let exponent = self.method.wrapping_sub(DECIMAL);
        let bits = if matches!(self.kind, REAL | LREAL) && self.method >= DECIMAL {
            decimal_bits(self.kind, bits as i64, exponent)
        } else {
            bits
        };
        value_of(self.kind, bits)
    }

    fn first(&self, input: &mut Input<'_>) -> Result<u64, Undecodable> {
        match (self.kind, self.method) {
            (REAL, CONSTANT | XOR) => read_le(input.bytes(4)?),
            (LREAL, CONSTANT | XOR) => read_le(input.bytes(8)?),
            _ => input.i64().map(|value| value as u64),
        }
    }

    fn step(&mut self, last: u64, input: &mut Input<'_>) -> Result<u64, Undecodable> {
        if self.zeros > 0 {
            self.zeros -= 1;
            return Ok(last);
        }
        if self.method == XOR {
            let shape = input.byte()?;
            if shape == XOR_ZEROS {
                self.zeros = input.u64()?;
                return Ok(last);
            }
            let (leading, trailing) = (usize::from(shape >> 4), usize::from(shape & 0xf));
            let width = 8_usize.checked_sub(leading + trailing).ok_or(Undecodable("a changed value has no width"))?;
            return Ok(last ^ read_le(input.bytes(width)?)? << (8 * trailing));
        }
        match input.u64()? {
            0 => {
                self.zeros = input.u64()?;
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

fn kind_of(value: &Value) -> u8 {
    match value {
        Value::None => EMPTY,
        Value::Bool(_) => BOOL,
        Value::Int(_) => INT,
        Value::UInt(_) => UINT,
        Value::Real(_) => REAL,
        Value::LReal(_) => LREAL,
        Value::Text(_) => TEXT,
        Value::Duration(_) => DURATION,
        Value::DateTime(_) => DATE_TIME,
        Value::TimeOfDay(_) => TIME_OF_DAY,
        Value::Array(_) => ARRAY,
    }
}

fn bits_of(value: &Value) -> Option<u64> {
    Some(match value {
        Value::Bool(value) => u64::from(*value),
        Value::Int(value) | Value::Duration(value) | Value::DateTime(value) | Value::TimeOfDay(value) => *value as u64,
        Value::UInt(value) => *value,
        Value::Real(value) => u64::from(value.to_bits()),
        Value::LReal(value) => value.to_bits(),
        Value::None | Value::Text(_) | Value::Array(_) => return None,
    })
}

fn value_of(kind: u8, bits: u64) -> Result<Value, Undecodable> {
    Ok(match kind {
        BOOL => Value::Bool(bits != 0),
        INT => Value::Int(bits as i64),
        UINT => Value::UInt(bits),
        REAL => Value::Real(f32::from_bits(bits as u32)),
        LREAL => Value::LReal(f64::from_bits(bits)),
        DURATION => Value::Duration(bits as i64),
        DATE_TIME => Value::DateTime(bits as i64),
        TIME_OF_DAY => Value::TimeOfDay(bits as i64),
        _ => return Err(Undecodable("a value's kind is unknown to this version")),
    })
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    out.push(kind_of(value));
    match value {
        Value::Text(text) => {
            put_u64(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(elements) => {
            put_u64(out, elements.len() as u64);
            elements.iter().for_each(|element| write_value(element, out));
        }
        scalar => {
            if let Some(bits) = bits_of(scalar) {
                put_u64(out, bits);
            }
        }
    }
}

fn read_value(input: &mut Input<'_>, depth: u32) -> Result<Value, Undecodable> {
    match input.byte()? {
        EMPTY => Ok(Value::None),
        TEXT => {
            let length = input.count(super::PAYLOAD_MAX)?;
            let text = std::str::from_utf8(input.bytes(length)?).map_err(|_| Undecodable("a text is not UTF-8"))?;
            Ok(Value::Text(text.into()))
        }
        ARRAY if depth < DEPTH_MAX => {
            let count = input.count(super::READINGS_MAX)?;
            (0..count)
                .map(|_| read_value(input, depth + 1))
                .collect::<Result<Vec<Value>, _>>()
                .map(|all| Value::Array(all.into()))
        }
        kind => value_of(kind, input.u64()?),
    }
}
