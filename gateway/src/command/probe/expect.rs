//! What the device shows on its own display, and which values are that.

use driver_core::Value;

/// Whole numbers are often hundredths or tenths: the decimal point may have to be moved.
const FACTORS: [f64; 5] = [0.1, 0.01, 0.001, 10.0, 100.0];

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// A number, and half of its last decimal: a display rounds.
    Number { number: f64, within: f64 },
    /// Anything else.
    Text(String),
}

impl Expected {
    pub(super) fn of(text: &str) -> Expected {
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let places = i32::try_from(decimals.min(15)).unwrap_or(15);
                Expected::Number { number, within: 0.5 * 10_f64.powi(-places) }
            }
            _ => Expected::Text(text.to_owned()),
        }
    }

    /// How long the text is, if it is one.
    pub(super) fn text_bytes(&self) -> Option<usize> {
        match self {
            Expected::Text(text) => Some(text.len()),
            Expected::Number { .. } => None,
        }
    }

    /// The factor by which a value is what is expected; none where it is not.
    pub(super) fn factor(&self, value: &Value) -> Option<f64> {
        let (number, within) = match self {
            Expected::Text(text) => return (value.to_string() == *text).then_some(1.0),
            Expected::Number { number, within } => (*number, *within),
        };
        let is_near = |found: f64| (found - number).abs() <= within * 1.000_001;
        match value {
            Value::Real(_) | Value::LReal(_) => value.as_f64().filter(|found| is_near(*found)).map(|_| 1.0),
            Value::Int(_) | Value::UInt(_) => {
                let found = value.as_f64()?;
                if found == number {
                    return Some(1.0);
                }
                // Of 0 every factor gives 0, and a large step rounds to anything near.
                let scaled = FACTORS.into_iter().filter(|_| found != 0.0 && number != 0.0);
                scaled
                    .into_iter()
                    .find(|factor| (found * factor - number).abs() <= within.min(factor * 0.5) * 1.000_001)
            }
            Value::Bool(truth) => (f64::from(u8::from(*truth)) == number).then_some(1.0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_rounds_and_moves_the_point() {
        let expected = Expected::of("229.01");
        assert_eq!(expected.factor(&Value::Real(229.012)), Some(1.0));
        assert_eq!(expected.factor(&Value::Real(229.02)), None);
        assert_eq!(expected.factor(&Value::Int(22_901)), Some(0.01));
        assert_eq!(expected.factor(&Value::UInt(2_290)), None);
        assert_eq!(Expected::of("229").factor(&Value::Int(2_290)), Some(0.1));
        assert_eq!(Expected::of("0").factor(&Value::Int(5)), None);
        assert_eq!(Expected::of("-5").factor(&Value::Int(-5)), Some(1.0));
    }

    #[test]
    fn a_text_is_a_text() {
        assert_eq!(Expected::of("PUMP 1"), Expected::Text("PUMP 1".into()));
        assert_eq!(Expected::of("PUMP").factor(&Value::Text("PUMP".into())), Some(1.0));
        assert_eq!(Expected::of("NaN"), Expected::Text("NaN".into()));
    }
}
