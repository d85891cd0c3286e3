//! Floating-point values as integers over a power of ten, where that gives them back bit for bit.

use super::kind::REAL;

/// Values are tried as integers over 10^0 to this power of ten.
pub(super) const EXPONENT_MAX: u8 = 12;

/// Integers beyond this are not told apart by a binary64.
const MANTISSA_MAX: f64 = 9_007_199_254_740_992.0;

const POWERS: [f64; EXPONENT_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// The smallest power of ten over which all values are integers, bit for bit; the integers are left in `mantissas`.
pub(super) fn find(kind: u8, all: &[u64], mantissas: &mut Vec<i64>) -> Option<u8> {
    let mut exponent = 0;
    for bits in all {
        while mantissa(kind, *bits, exponent).is_none() {
            exponent += 1;
            if exponent > EXPONENT_MAX {
                return None;
            }
        }
    }
    mantissas.clear();
    for bits in all {
        mantissas.push(mantissa(kind, *bits, exponent)?);
    }
    Some(exponent)
}

/// The integer that, over 10^exponent, gives these bits again.
pub(super) fn mantissa(kind: u8, bits: u64, exponent: u8) -> Option<i64> {
    let value = if kind == REAL { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) };
    let scaled = (value * POWERS[usize::from(exponent)]).round_ties_even();
    let fits = scaled.abs() < MANTISSA_MAX;
    let mantissa = scaled as i64;
    (fits && bits_over(kind, mantissa, exponent) == bits).then_some(mantissa)
}

/// The bits of an integer over 10^exponent.
pub(super) fn bits_over(kind: u8, mantissa: i64, exponent: u8) -> u64 {
    let value = mantissa as f64 / POWERS[usize::from(exponent)];
    if kind == REAL { u64::from((value as f32).to_bits()) } else { value.to_bits() }
}
