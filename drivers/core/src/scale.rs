//! Linear scaling with decimal results: a tenth of 3 is 0.3, not 0.30000000000000004.
//!
//! Factors are written in decimal, but 0.1 has no exact binary form, so multiplying by it adds an error that shows in the
//! last digits. A factor that is a decimal fraction is therefore kept as two whole numbers, and one division, which is
//! correctly rounded, comes last: the result is the double nearest to the true decimal value.

use crate::{Value, WriteError};

/// Decimal places up to which a factor and an offset are kept exactly; powers of ten stay exact in a double up to 22.
const PLACES_MAX: i32 = 15;
/// Whole numbers up to here are exact in a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Engineering value = device value · factor + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    factor: f64,
    offset: f64,
    /// The common denominator: a power of ten, or 1 where the numbers are no short decimal fractions.
    divisor: f64,
}

impl Scale {
    /// `None` where no value could be scaled back: a factor of 0, or a number that is not finite.
    pub fn new(factor: f64, offset: f64) -> Option<Scale> {
        if !factor.is_finite() || !offset.is_finite() || factor == 0.0 {
            return None;
        }
        let decimal = (0..=PLACES_MAX).map(|places| 10_f64.powi(places)).find_map(|divisor| {
            let whole = |number: f64| {
                let numerator = (number * divisor).round();
                (numerator / divisor == number && numerator.abs() <= EXACT_MAX).then_some(numerator)
            };
            Some(Scale { factor: whole(factor)?, offset: whole(offset)?, divisor })
        });
        Some(decimal.unwrap_or(Scale { factor, offset, divisor: 1.0 }))
    }

    /// A device's number in engineering units.
    #[inline]
    pub fn apply(&self, raw: f64) -> f64 {
        (raw * self.factor + self.offset) / self.divisor
    }

    /// A number in engineering units as the device's, before rounding.
    pub fn invert(&self, number: f64) -> f64 {
        (number * self.divisor - self.offset) / self.factor
    }

    /// Scales numbers and arrays of them. Integers become LREAL, a REAL stays one. What is no number stays as it is;
    /// `None` where a finite number leaves the range of its type.
    pub fn value(&self, raw: &Value) -> Option<Value> {
        match raw {
            Value::Int(_) | Value::UInt(_) | Value::LReal(_) => {
                let number = raw.as_f64()?;
                let scaled = self.apply(number);
                (scaled.is_finite() || !number.is_finite()).then_some(Value::LReal(scaled))
            }
            Value::Real(number) => {
                let scaled = self.apply(f64::from(*number)) as f32;
                (scaled.is_finite() || !number.is_finite()).then_some(Value::Real(scaled))
            }
            Value::Array(elements) => {
                elements.iter().map(|element| self.value(element)).collect::<Option<_>>().map(Value::Array)
            }
            other => Some(other.clone()),
        }
    }

    /// The device's value for one in engineering units. For a type without fractions it is the nearest step that the
    /// device knows; whether it fits the type is found when it is encoded.
    ///
    /// # Errors
    /// [`WriteError::Value`] for what is no number, or none that a device can hold.
    pub fn raw(&self, value: &Value, target: Target) -> Result<Value, WriteError> {
        if let Value::Array(elements) = value {
            return elements
                .iter()
                .map(|element| self.raw(element, target))
                .collect::<Result<_, _>>()
                .map(Value::Array);
        }
        let misfit = |cause: String| WriteError::Value { data_type: "a scaled tag".into(), cause };
        let number = match value {
            Value::Int(_) | Value::UInt(_) | Value::Real(_) | Value::LReal(_) => value.as_f64(),
            _ => None,
        };
        let number = number.ok_or_else(|| misfit(format!("a number is wanted, `{value}` came")))?;
        let raw = self.invert(number);
        match target {
            _ if !raw.is_finite() => Err(misfit(format!("{number} has no value on the device"))),
            Target::Fractions => Ok(Value::LReal(raw)),
            Target::WholeNumbers => Ok(Value::LReal(raw.round())),
        }
    }
}

/// What a device's type can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Integers and bit strings.
    WholeNumbers,
    /// REAL, LREAL and half floats.
    Fractions,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(factor: f64, offset: f64) -> Scale {
        Scale::new(factor, offset).expect("a scale")
    }

    #[test]
    fn results_are_the_decimal_numbers_that_people_expect() {
        let cases = [
            (0.1, 0.0, 3.0, 0.3),
            (0.1, 0.0, 7.0, 0.7),
            (0.01, 0.0, 2151.0, 21.51),
            (0.3, 0.0, 3.0, 0.9),
            (0.05, 0.0, 3.0, 0.15),
            (0.1, 0.2, 1.0, 0.3),
            (0.1, -40.0, 615.0, 21.5),
            (2.5, 1.1, 4.0, 11.1),
            (10.0, 0.0, 7.0, 70.0),
            (1e-6, 0.0, 1_234_567.0, 1.234_567),
            (-0.1, 0.0, 3.0, -0.3),
        ];
        for (factor, offset, raw, expected) in cases {
            assert_eq!(scale(factor, offset).apply(raw), expected, "{raw} * {factor} + {offset}");
        }
        let third = 1.0 / 3.0;
        assert_eq!(scale(third, 0.0).apply(9.0), 9.0 * third);
    }

    #[test]
    fn a_scale_that_cannot_be_inverted_is_none() {
        for (factor, offset) in [(0.0, 1.0), (f64::NAN, 0.0), (1.0, f64::INFINITY)] {
            assert_eq!(Scale::new(factor, offset), None);
        }
    }

    #[test]
    fn kinds_are_kept_and_what_leaves_the_range_is_none() {
        let tenth = scale(0.1, 0.0);
        assert_eq!(tenth.value(&Value::Int(3)), Some(Value::LReal(0.3)));
        assert_eq!(tenth.value(&Value::Real(3.0)), Some(Value::Real(0.3)));
        assert_eq!(tenth.value(&Value::Bool(true)), Some(Value::Bool(true)));
        assert_eq!(scale(1e9, 0.0).value(&Value::Real(3e38)), None);
        assert_eq!(tenth.value(&Value::Real(f32::INFINITY)), Some(Value::Real(f32::INFINITY)));
    }

    #[test]
    fn a_written_value_becomes_the_nearest_step_of_the_device() {
        let tenth = scale(0.1, 0.0);
        let raw = |value| tenth.raw(&value, Target::WholeNumbers);
        assert_eq!(raw(Value::LReal(21.5)), Ok(Value::LReal(215.0)));
        assert_eq!(raw(Value::LReal(21.54)), Ok(Value::LReal(215.0)));
        assert_eq!(tenth.raw(&Value::LReal(21.5), Target::Fractions), Ok(Value::LReal(215.0)));
        assert!(raw(Value::Text("warm".into())).is_err());
        assert!(raw(Value::LReal(f64::NAN)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_written_back(raw in any::<i32>(), numerator in 1_i32..10_000, places in 0..6, offset in -100_000_i32..100_000) {
            let divisor = 10_f64.powi(places);
            let scale = scale(f64::from(numerator) / divisor, f64::from(offset) / divisor);
            let read = Value::LReal(scale.apply(f64::from(raw)));
            prop_assert_eq!(scale.raw(&read, Target::WholeNumbers), Ok(Value::LReal(f64::from(raw))));
        }

        #[test]
        fn scaled_by_decimals_a_value_is_the_nearest_double(raw in any::<i32>(), places in 0..9_usize) {
            let text = format!("{raw}e-{places}");
            let factor: f64 = format!("1e-{places}").parse().expect("a number");
            prop_assert_eq!(Ok(scale(factor, 0.0).apply(f64::from(raw))), text.parse::<f64>());
        }
    }
}
