//! One tag's values in one block, by whichever method is smallest.

use driver_core::Value;

use super::code::{
    CONSTANT, ColumnCode, DECIMAL, DELTA, FLAG, FLAG_RUNS, INTEGER_RUNS, LOW_BYTES, LOW_BYTES_OF_LREAL, LREAL_RUNS,
    PACKED, REAL_RUNS, XOR, XOR_ZEROS,
};
use super::decimal::{self, EXPONENT_MAX, mantissa};
use super::kind::{BOOL, EMPTY, LREAL, PLAIN, REAL, bits_of, kind_of, width_of, write_value};
use super::packed::Packing;
use super::varint::{put_i64, put_u64, zigzag};

/// The decimal integers that are written in two bytes at most lie within this.
const SHORT_MANTISSA_MAX: u64 = 8_191;

/// What the columns of a block have in common: written between their codes and the columns.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub(super) struct Shared {
    /// The first values of all columns of BOOL, a bit each.
    flags: Vec<u8>,
    flags_count: usize,
    /// The bits of the floating-point column before that is constant and no decimal.
    before: u64,
    /// How many of its bytes were written.
    low: usize,
    /// The exponent of the decimal column before: tags of a plant are of few resolutions, and like codes pack well.
    exponent: u8,
}

impl Shared {
    pub(super) fn clear(&mut self) {
        self.flags.clear();
        (self.flags_count, self.before, self.low, self.exponent) = (0, 0, 0, 0);
    }

    pub(super) fn flags(&self) -> &[u8] {
        &self.flags
    }

    fn push_flag(&mut self, flag: bool) {
        if self.flags_count.is_multiple_of(8) {
            self.flags.push(0);
        }
        if let Some(last) = self.flags.last_mut() {
            *last |= u8::from(flag) << (self.flags_count % 8);
        }
        self.flags_count += 1;
    }
}

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

/// A column of one value that has bits, as [`Column::write_all`] would write it; `None` for one that has none.
pub(super) fn write_one(value: &Value, shared: &mut Shared, out: &mut Vec<u8>) -> Option<ColumnCode> {
    let (kind, bits) = (kind_of(value), bits_of(value)?);
    Some(match kind {
        BOOL => {
            shared.push_flag(bits != 0);
            ColumnCode::new(BOOL, FLAG)
        }
        REAL | LREAL => match write_one_decimal(kind, bits, shared, out) {
            Some(exponent) => ColumnCode::new(kind, DECIMAL + exponent),
            None => write_low_bytes(kind, bits, shared, out),
        },
        _ => {
            put_i64(out, bits as i64);
            ColumnCode::new(kind, CONSTANT)
        }
    })
}

/// Appends the integer of a decimal and returns its exponent; nothing where the bits take fewer bytes.
fn write_one_decimal(kind: u8, bits: u64, shared: &mut Shared, out: &mut Vec<u8>) -> Option<u8> {
    let usual = mantissa(kind, bits, shared.exponent).filter(|usual| usual.unsigned_abs() <= SHORT_MANTISSA_MAX);
    let (exponent, mantissa) = usual
        .map(|usual| (shared.exponent, usual))
        .or_else(|| (0..=EXPONENT_MAX).find_map(|exponent| Some((exponent, mantissa(kind, bits, exponent)?))))?;
    let start = out.len();
    put_i64(out, mantissa);
    if out.len() - start > width_of(kind) {
        out.truncate(start);
        return None;
    }
    shared.exponent = exponent;
    Some(exponent)
}

/// Appends the bytes that differ from those of the column before, from the first such one downwards. One more goes where
/// the column before had one more: like codes pack better than that byte costs.
fn write_low_bytes(kind: u8, bits: u64, shared: &mut Shared, out: &mut Vec<u8>) -> ColumnCode {
    let mask = if kind == REAL { u64::from(u32::MAX) } else { u64::MAX };
    let differing = 8 - ((bits ^ shared.before) & mask).leading_zeros() as usize / 8;
    let low = if differing + 1 == shared.low { shared.low.min(width_of(kind)) } else { differing };
    (shared.before, shared.low) = (bits, low);
    out.extend_from_slice(&bits.to_le_bytes()[..low]);
    match kind {
        _ if low == width_of(kind) => ColumnCode::new(kind, CONSTANT),
        REAL => ColumnCode::new(LOW_BYTES, low as u8),
        _ => ColumnCode::new(LOW_BYTES, LOW_BYTES_OF_LREAL | low as u8),
    }
}

impl Column {
    /// Appends the values of a column to `out`; the code says how to read them back.
    pub(super) fn write_all<'a>(
        &mut self,
        values: impl IntoIterator<Item = &'a Value>,
        shared: &mut Shared,
        out: &mut Vec<u8>,
    ) -> ColumnCode {
        self.kind = EMPTY;
        self.bits.clear();
        self.plain.clear();
        values.into_iter().for_each(|value| self.push(value));
        self.write(shared, out)
    }

    /// Adds a value; no value adds nothing.
    fn push(&mut self, value: &Value) {
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

    fn write(&mut self, shared: &mut Shared, out: &mut Vec<u8>) -> ColumnCode {
        match self.kind {
            EMPTY => ColumnCode::new(EMPTY, CONSTANT),
            PLAIN => {
                out.extend_from_slice(&self.plain);
                ColumnCode::new(PLAIN, CONSTANT)
            }
            BOOL => self.write_flags(shared, out),
            REAL | LREAL if self.is_constant() => self.write_constant_float(shared, out),
            REAL | LREAL => self.write_floats(shared, out),
            kind => ColumnCode::new(kind, self.write_integers(out)),
        }
    }

    fn is_constant(&self) -> bool {
        self.bits.iter().all(|bits| *bits == self.bits[0])
    }

    fn write_flags(&self, shared: &mut Shared, out: &mut Vec<u8>) -> ColumnCode {
        shared.push_flag(self.bits[0] != 0);
        if self.is_constant() {
            return ColumnCode::new(BOOL, FLAG);
        }
        write_runs(self.bits.iter().map(|bits| *bits as i64), out, |_, _| {});
        ColumnCode::new(BOOL, FLAG_RUNS)
    }

    fn write_integers(&self, out: &mut Vec<u8>) -> u8 {
        put_i64(out, self.bits[0] as i64);
        if self.is_constant() {
            return CONSTANT;
        }
        let values = self.bits.iter().map(|bits| *bits as i64);
        write_steps(values, out, [DELTA, INTEGER_RUNS])
    }

    fn write_constant_float(&self, shared: &mut Shared, out: &mut Vec<u8>) -> ColumnCode {
        match write_one_decimal(self.kind, self.bits[0], shared, out) {
            Some(exponent) if self.bits.len() > 1 => {
                put_u64(out, RUN_TO_THE_END);
                self.runs_code(exponent)
            }
            Some(exponent) => ColumnCode::new(self.kind, DECIMAL + exponent),
            None => write_low_bytes(self.kind, self.bits[0], shared, out),
        }
    }

    fn runs_code(&self, exponent: u8) -> ColumnCode {
        ColumnCode::new(if self.kind == REAL { REAL_RUNS } else { LREAL_RUNS }, exponent)
    }

    /// Decimal integers are tried first, then XOR, then what lies above the least; the smallest one stays.
    fn write_floats(&mut self, shared: &mut Shared, out: &mut Vec<u8>) -> ColumnCode {
        self.candidate.clear();
        self.candidate.extend_from_slice(&self.bits[0].to_le_bytes()[..width_of(self.kind)]);
        write_xors(&self.bits, &mut self.candidate);
        let start = out.len();
        let mut code = ColumnCode::new(self.kind, XOR);
        if let Some(exponent) = decimal::find(self.kind, &self.bits, &mut self.mantissas) {
            put_i64(out, self.mantissas[0]);
            let method = write_steps(self.mantissas.iter().copied(), out, [DECIMAL, REAL_RUNS]);
            code = if method == DECIMAL {
                ColumnCode::new(self.kind, DECIMAL + exponent)
            } else {
                self.runs_code(exponent)
            };
            shared.exponent = exponent;
        }
        if code == ColumnCode::new(self.kind, XOR) || out.len() - start > self.candidate.len() {
            code = ColumnCode::new(self.kind, XOR);
            out.truncate(start);
            out.extend_from_slice(&self.candidate);
        }
        let packing = Packing::of(&self.bits, width_of(self.kind));
        // zstd makes an eighth of what says how wide each value is, and nothing of what is packed.
        if packing.is_some_and(|packing| packing.size(self.bits.len()) + self.bits.len() * 7 / 8 < out.len() - start) {
            out.truncate(start);
            if let Some(packing) = packing {
                packing.write(&self.bits, out);
            }
            code = ColumnCode::new(self.kind, PACKED);
        }
        code
    }
}

/// Appends how each value differs from the one before, by whichever of the two methods is shorter; returns which.
fn write_steps(values: impl Iterator<Item = i64> + Clone, out: &mut Vec<u8>, [delta, runs]: [u8; 2]) -> u8 {
    let (mut steps, mut rests, mut rested) = (0_usize, 0_usize, false);
    for (before, value) in values.clone().zip(values.clone().skip(1)) {
        let rests_now = before == value;
        steps += usize::from(!rests_now);
        rests += usize::from(rests_now && !rested);
        rested = rests_now;
    }
    if steps + 1 < 2 * rests {
        write_runs(values, out, |step, out| put_i64(out, step));
        return runs;
    }
    write_deltas(values, out);
    delta
}

/// A run that nothing follows.
const RUN_TO_THE_END: u64 = 0;

/// For each run of equal values how many there are, and between two runs the step.
fn write_runs(values: impl Iterator<Item = i64>, out: &mut Vec<u8>, put_step: impl Fn(i64, &mut Vec<u8>)) {
    let mut run: Option<(i64, u64)> = None;
    for value in values {
        run = Some(match run {
            Some((same, count)) if same == value => (same, count + 1),
            Some((before, count)) => {
                put_u64(out, count);
                put_step(value.wrapping_sub(before), out);
                (value, 1)
            }
            None => (value, 1),
        });
    }
    put_u64(out, RUN_TO_THE_END);
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
                write_zeros(&mut zeros, 0, out);
                put_u64(out, zigzag(step));
            }
        }
    }
    write_zeros(&mut zeros, 0, out);
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
        write_zeros(&mut zeros, XOR_ZEROS, out);
        let leading = changed.leading_zeros() as usize / 8;
        let trailing = changed.trailing_zeros() as usize / 8;
        out.push((leading << 4 | trailing) as u8);
        out.extend_from_slice(&changed.to_le_bytes()[trailing..8 - leading]);
    }
    write_zeros(&mut zeros, XOR_ZEROS, out);
}

fn write_zeros(zeros: &mut u64, marker: u8, out: &mut Vec<u8>) {
    if *zeros > 0 {
        out.push(marker);
        put_u64(out, *zeros - 1);
        *zeros = 0;
    }
}
