//! IEEE 754 binary16, which Rust does not have yet.

/// The value of these 16 bits; exact, the payload of a NaN kept.
pub(super) fn to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10 & 0x1F);
    let fraction = u32::from(half & 0x3FF);
    f32::from_bits(match (exponent, fraction) {
        (0, 0) => sign,
        (0, _) => {
            let shift = fraction.leading_zeros() - 21;
            sign | (113 - shift) << 23 | (fraction << shift & 0x3FF) << 13
        }
        (0x1F, _) => sign | 0xFF << 23 | fraction << 13,
        _ => sign | (exponent + 112) << 23 | fraction << 13,
    })
}

/// The nearest 16 bits, ties to even; `None` where a finite value is too large.
pub(super) fn from_f32(value: f32) -> Option<u16> {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let exponent = (bits >> 23 & 0xFF) as i32 - 127;
    let fraction = bits & 0x7F_FFFF;
    let rounded = match exponent {
        128 if fraction == 0 => 0x7C00,
        128 => 0x7C00 | (fraction >> 13).max(u32::from(fraction < 1 << 13) << 9),
        -14..=15 => round(((exponent + 15) as u32) << 23 | fraction, 13),
        -25..=-15 => round(1 << 23 | fraction, (-exponent - 1) as u32),
        16.. => return None,
        _ => 0,
    };
    let overflowed = exponent < 128 && rounded >= 0x7C00;
    (!overflowed).then_some(sign | rounded as u16)
}

/// Drops the last `bits` bits, to the nearest, ties to even.
fn round(value: u32, bits: u32) -> u32 {
    let half = 1 << (bits - 1);
    let kept = value >> bits;
    let rest = value & ((1 << bits) - 1);
    kept + u32::from(rest > half || rest == half && kept & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_comes_back_as_itself() {
        for half in 0..=u16::MAX {
            assert_eq!(from_f32(to_f32(half)), Some(half), "{half:04x}");
        }
    }

    #[test]
    fn known_values_are_met_and_others_rounded_to_even() {
        let cases =
            [(0x3C00, 1.0), (0xC000, -2.0), (0x7BFF, 65504.0), (0x0001, 2f32.powi(-24)), (0x0400, 2f32.powi(-14))];
        for (half, value) in cases {
            assert_eq!(to_f32(half).to_bits(), value.to_bits(), "{half:04x}");
        }
        assert_eq!(from_f32(1.0 + 2f32.powi(-11)), Some(0x3C00));
        assert_eq!(from_f32(1.0 + 3.0 * 2f32.powi(-11)), Some(0x3C02));
        assert_eq!(from_f32(2f32.powi(-25)), Some(0));
        assert_eq!(from_f32(2f32.powi(-25) * 1.5), Some(1));
        assert_eq!(from_f32(2f32.powi(-30)), Some(0));
        assert_eq!(from_f32(65519.0), Some(0x7BFF));
        assert_eq!(from_f32(65520.0), None);
        assert_eq!(from_f32(1e9), None);
    }
}
