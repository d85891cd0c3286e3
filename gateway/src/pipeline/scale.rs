//! From the device's number to the engineering value.
//!
//! Factors are decimal numbers that binary fractions do not hold: 3 * 0.1 is 0.30000000000000004. So the scaling is done
//! in whole numbers with one division at the end, which gives the number nearest to the decimal result: 3 / 10 is 0.3.
//! It prints short, and it is stored in few bytes.

/// Whole numbers up to here are exact.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Powers of ten up to here are exact.
const PLACES_MAX: i32 = 22;

/// `value * factor + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    factor: f64,
    offset: f64,
    /// The same with the factor and the offset multiplied by `divisor`, so that both are whole.
    whole_factor: f64,
    whole_offset: f64,
    divisor: f64,
}

impl Scale {
    /// Multiplies by `factor`, then adds `offset`; both finite.
    pub fn new(factor: f64, offset: f64) -> Scale {
        let (whole_factor, whole_offset, divisor) = whole(factor, offset).unwrap_or((factor, offset, 1.0));
        Scale { factor, offset, whole_factor, whole_offset, divisor }
    }

    /// What is multiplied by.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// What is added afterwards.
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// The engineering value; `None` when a finite number leaves the range of `f64`.
    pub fn apply(&self, number: f64) -> Option<f64> {
        let scaled = (number * self.whole_factor + self.whole_offset) / self.divisor;
        if scaled.is_finite() || !number.is_finite() {
            return Some(scaled);
        }
        // The whole factor may leave the range where the factor itself does not.
        Some(number * self.factor + self.offset).filter(|scaled| scaled.is_finite())
    }
}

/// Factor, offset and divisor as whole numbers, where there are exact ones.
fn whole(factor: f64, offset: f64) -> Option<(f64, f64, f64)> {
    let (factor_digits, factor_places) = decimal(factor)?;
    let (offset_digits, offset_places) = decimal(offset)?;
    let places = factor_places.max(offset_places).max(0);
    let raised = |digits: f64, own: i32| Some(digits * power_of_ten(places - own)?).filter(|n| n.abs() <= EXACT_MAX);
    Some((raised(factor_digits, factor_places)?, raised(offset_digits, offset_places)?, power_of_ten(places)?))
}

fn power_of_ten(places: i32) -> Option<f64> {
    (0..=PLACES_MAX).contains(&places).then(|| 10_f64.powi(places))
}

/// The shortest decimal form of a number: its digits as a whole number, and how many of them are decimal places.
fn decimal(number: f64) -> Option<(f64, i32)> {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let places = mantissa.split_once('.').map_or(0, |(_, places)| places.len());
    let digits: f64 = mantissa.replace('.', "").parse().ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    (digits.abs() <= EXACT_MAX).then_some((digits, i32::try_from(places).ok()? - exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimal_factors_give_the_decimal_result() {
        let cases = [
            (0.1, 0.0, 3.0, 0.3),
            (0.1, -40.0, 615.0, 21.5),
            (0.01, 0.005, 7.0, 0.075),
            (0.025, 0.0, 13.0, 0.325),
            (1e-7, 0.0, 123.0, 1.23e-5),
            (1000.0, 0.5, 7.0, 7000.5),
            (-0.1, 0.0, 7.0, -0.7),
            (1.0, 0.0, 0.1, 0.1),
            (0.0, 5.5, 9.0, 5.5),
        ];
        for (factor, offset, number, expected) in cases {
            assert_eq!(Scale::new(factor, offset).apply(number), Some(expected), "{number} * {factor} + {offset}");
        }
    }

    #[test]
    fn every_sixteen_bit_number_in_tenths_is_the_number_that_its_text_means() {
        let tenth = Scale::new(0.1, 0.0);
        for number in i16::MIN..=i16::MAX {
            let sign = if number < 0 { "-" } else { "" };
            let (whole, tenths) = (number.unsigned_abs() / 10, number.unsigned_abs() % 10);
            let expected: f64 = format!("{sign}{whole}.{tenths}").parse().expect("a number");
            assert_eq!(tenth.apply(f64::from(number)), Some(expected));
        }
    }

    #[test]
    fn what_leaves_the_range_is_none_and_what_was_not_finite_stays_so() {
        assert_eq!(Scale::new(f64::MAX, 0.0).apply(10.0), None);
        assert_eq!(Scale::new(0.001, 0.0).apply(f64::MAX), Some(f64::MAX * 0.001));
        assert_eq!(Scale::new(2.0, 0.0).apply(f64::INFINITY), Some(f64::INFINITY));
        assert!(Scale::new(2.0, 0.0).apply(f64::NAN).is_some_and(f64::is_nan));
    }

    proptest! {
        #[test]
        fn the_result_is_never_far_from_the_plain_one(
            factor in prop_oneof![-1e6..1e6, -1e-6..1e-6], offset in -1e6..1e6, number in -1e12..1e12,
        ) {
            let scaled = Scale::new(factor, offset).apply(number).expect("in range");
            let plain = number * factor + offset;
            let size = (number * factor).abs() + offset.abs();
            prop_assert!((scaled - plain).abs() <= size * 1e-15, "{scaled} {plain}");
        }
    }
}
