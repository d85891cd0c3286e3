//! Whether a device holds what was written to it.

use driver_core::{DataType, Field, Value};

/// Whether the device holds what was written. NaN is NaN, and no device keeps the spaces at the end of a text. The kinds of
/// numbers do not matter, their values do.
pub fn holds(held: &Value, written: &Value) -> bool {
    match (held, written) {
        (Value::Text(held), Value::Text(written)) => held.trim_end_matches(' ') == written.trim_end_matches(' '),
        (Value::Array(held), Value::Array(written)) => {
            held.len() == written.len() && held.iter().zip(written).all(|(held, written)| holds(held, written))
        }
        (Value::Int(held), Value::UInt(written)) | (Value::UInt(written), Value::Int(held)) => {
            i128::from(*held) == i128::from(*written)
        }
        (Value::Real(_) | Value::LReal(_), _) | (_, Value::Real(_) | Value::LReal(_)) => match (held, written) {
            (Value::Bool(_), _) | (_, Value::Bool(_)) => false,
            _ => match (held.as_f64(), written.as_f64()) {
                (Some(held), Some(written)) => held == written || held.is_nan() && written.is_nan(),
                _ => false,
            },
        },
        (held, written) => held == written,
    }
}

/// Whether the device holds the nearest value that the type has: 0.1 as F16 is 0.099975586.
pub fn holds_nearest(held: &Value, written: &Value, data_type: DataType, elements: usize) -> bool {
    let elements = (elements > 1).then(|| u16::try_from(elements).unwrap_or(u16::MAX));
    let field = Field { elements, ..Field::in_registers(data_type) };
    field.encode(held).is_ok_and(|held| field.encode(written).is_ok_and(|written| held == written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_back_as_it_was_meant_is_held() {
        let text = |text: &str| Value::Text(text.into());
        let reals = |number: f32| Value::Array([Value::Real(1.0), Value::Real(number)].into());
        assert!(holds(&reals(f32::NAN), &reals(f32::NAN)));
        assert!(holds(&Value::LReal(f64::NAN), &Value::LReal(f64::NAN)));
        assert!(holds(&text("A1"), &text("A1  ")));
        assert!(!holds(&reals(2.0), &reals(3.0)) && !holds(&text(" A1"), &text("A1")));
        assert!(!holds(&Value::Int(1), &Value::Int(2)));
        assert!(holds(&Value::Int(800), &Value::LReal(800.0)) && holds(&Value::UInt(7), &Value::Int(7)));
        assert!(!holds(&Value::UInt(u64::MAX), &Value::Int(-1)) && !holds(&Value::Bool(true), &Value::LReal(1.0)));
        assert!(holds_nearest(&Value::Real(0.099_975_586), &Value::Real(0.1), DataType::Half, 1));
        assert!(!holds_nearest(&Value::Real(0.2), &Value::Real(0.1), DataType::Half, 1));
        assert!(!holds_nearest(&reals(2.0), &reals(3.0), DataType::Real, 2));
    }
}
