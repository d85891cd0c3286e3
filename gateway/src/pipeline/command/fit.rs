//! From the value that was asked for to the one that the device is given.
//!
//! Nothing is guessed: a number becomes an integer only where it is whole, a text becomes a number never. What a person
//! typed is understood as the tag's type wants it.

use driver_core::{DataType, Scale, Target as ScaleTarget, Value, parse_value};

use super::rule::{TagForm, WriteRule};
use super::{RefusedFor, Wanted};

/// A value that may be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// In the unit of the tag's readings.
    pub value: Value,
    /// As the device holds it.
    pub raw: Value,
}

/// Why a value may not be written.
pub type Misfit = (RefusedFor, String);

/// How far a number may lie from a whole number of steps, in steps.
const STEP_TOLERANCE: f64 = 1e-6;

const NANOS_PER_SECOND: f64 = 1e9;

/// Makes what was asked for a value of the tag's type, within the rule's bounds.
pub fn fit(wanted: &Wanted, form: &TagForm, rule: &WriteRule) -> Result<Fitted, Misfit> {
    let fitted = match &form.scale {
        None => {
            let value = typed(wanted, form)?;
            Fitted { raw: value.clone(), value }
        }
        Some(scale) => scaled(wanted, form, scale)?,
    };
    each(&fitted.value, &mut |value| within(value, rule))?;
    Ok(fitted)
}

/// A value of the tag's type, in its own unit.
fn typed(wanted: &Wanted, form: &TagForm) -> Result<Value, Misfit> {
    match wanted {
        Wanted::Text(text) => parse_value(text, form.data_type, form.elements).map_err(wrong_type),
        Wanted::Value(value) => elements(value, form, |one| scalar(one, form.data_type)),
    }
}

/// A number in the unit of the readings, and the nearest that the device has.
fn scaled(wanted: &Wanted, form: &TagForm, scale: &Scale) -> Result<Fitted, Misfit> {
    let as_lreal = TagForm { data_type: DataType::Lreal, scale: None, ..*form };
    let value = typed(wanted, &as_lreal)?;
    let target = match form.data_type {
        DataType::Half | DataType::Real | DataType::Lreal => ScaleTarget::Fractions,
        _ => ScaleTarget::WholeNumbers,
    };
    let raw = scale.raw(&value, target).map_err(|cause| wrong_type(cause.to_string()))?;
    let raw = elements(&raw, form, |one| scalar(one, form.data_type))
        .map_err(|(_, cause)| (RefusedFor::OutOfRange, format!("the device cannot hold it: {cause}")))?;
    Ok(Fitted { value, raw })
}

/// One value, or as many as the array has.
fn elements(value: &Value, form: &TagForm, one: impl Fn(&Value) -> Result<Value, Misfit>) -> Result<Value, Misfit> {
    match value {
        Value::Array(values) if form.elements != 1 && values.len() == form.elements => {
            values.iter().map(one).collect::<Result<Vec<_>, _>>().map(|values| Value::Array(values.into()))
        }
        Value::Array(values) if form.elements != 1 => {
            Err(wrong_type(format!("the tag has {} elements, {} were sent", form.elements, values.len())))
        }
        Value::Array(_) => Err(wrong_type("the tag is no array".into())),
        _ if form.elements != 1 => Err(wrong_type(format!("the tag is an array of {}", form.elements))),
        value => one(value),
    }
}

fn scalar(value: &Value, data_type: DataType) -> Result<Value, Misfit> {
    use DataType::{
        Bool, Byte, Char, Date, DateAndTime, Dint, Dtl, Dword, Half, Int, Ldt, Lint, Lreal, Ltime, Ltod, Lword, Real,
        S5time, Sint, String, Time, TimeOfDay, Udint, Uint, Ulint, Usint, Wchar, Word, Wstring,
    };
    let expected = |what: &str| wrong_type(format!("`{value}` is no {data_type}: expected {what}"));
    match data_type {
        Bool => match value {
            Value::Bool(value) => Ok(Value::Bool(*value)),
            _ => Err(expected("true or false")),
        },
        Sint | Int | Dint | Lint | Usint | Uint | Udint | Ulint | Byte | Word | Dword | Lword => {
            let whole = whole(value).ok_or_else(|| expected("a whole number"))?;
            // The text form knows the range of each type.
            parse_value(&whole.to_string(), data_type, 1).map_err(|cause| (RefusedFor::OutOfRange, cause))
        }
        Half | Real => match number(value) {
            Some(number) if (number as f32).is_finite() => Ok(Value::Real(number as f32)),
            Some(_) => Err((RefusedFor::OutOfRange, format!("`{value}` is too large for {data_type}"))),
            None => Err(expected("a number")),
        },
        Lreal => number(value).map(Value::LReal).ok_or_else(|| expected("a number")),
        Char | Wchar | String(_) | Wstring(_) => match value {
            Value::Text(text) => Ok(Value::Text(text.clone())),
            _ => Err(expected("a text")),
        },
        Time | Ltime | S5time => match value {
            Value::Duration(nanos) => Ok(Value::Duration(*nanos)),
            Value::Text(text) => parse_value(text, Ltime, 1).map_err(wrong_type),
            value => seconds(value).map(Value::Duration).ok_or_else(|| expected("seconds, or a text such as 1.5s")),
        },
        TimeOfDay | Ltod | Date | DateAndTime | Dtl | Ldt => match value {
            Value::DateTime(_) | Value::TimeOfDay(_) => Ok(value.clone()),
            Value::Text(text) => {
                let as_type = if matches!(data_type, TimeOfDay | Ltod) { Ltod } else { Ldt };
                parse_value(text, as_type, 1).map_err(wrong_type)
            }
            _ => Err(expected("a text such as 2026-11-23T02:28:33")),
        },
    }
}

fn wrong_type(cause: String) -> Misfit {
    (RefusedFor::WrongType, cause)
}

/// A finite number.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(_) | Value::UInt(_) | Value::Real(_) | Value::LReal(_) => value.as_f64().filter(|n| n.is_finite()),
        _ => None,
    }
}

/// A whole number, whatever its type.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        // Casts of floats saturate; every whole number of theirs within 64 bits is exact.
        value => number(value).filter(|number| number.fract() == 0.0).map(|number| number as i128),
    }
}

/// Nanoseconds of a number of seconds.
fn seconds(value: &Value) -> Option<i64> {
    let nanos = (number(value)? * NANOS_PER_SECOND).round();
    (nanos.abs() < i64::MAX as f64).then_some(nanos as i64)
}

fn each(value: &Value, check: &mut dyn FnMut(&Value) -> Result<(), Misfit>) -> Result<(), Misfit> {
    match value {
        Value::Array(values) => values.iter().try_for_each(check),
        value => check(value),
    }
}

fn within(value: &Value, rule: &WriteRule) -> Result<(), Misfit> {
    let number = match value {
        Value::Bool(_) => None,
        Value::Duration(nanos) => Some(*nanos as f64 / NANOS_PER_SECOND),
        value => value.as_f64(),
    };
    let Some(number) = number else { return Ok(()) };
    let refuse = |reason: String| Err((RefusedFor::OutOfRange, reason));
    match rule {
        _ if !number.is_finite() => refuse(format!("{value} is no number that can be written")),
        WriteRule { min: Some(min), .. } if number < *min => refuse(format!("{value} is less than {min}")),
        WriteRule { max: Some(max), .. } if number > *max => refuse(format!("{value} is more than {max}")),
        WriteRule { step: Some(step), min, .. } => {
            let steps = (number - min.unwrap_or(0.0)) / step;
            if (steps - steps.round()).abs() <= STEP_TOLERANCE {
                return Ok(());
            }
            refuse(format!("{value} is no whole number of steps of {step} from {}", min.unwrap_or(0.0)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(data_type: DataType) -> TagForm {
        TagForm { data_type, elements: 1, scale: None }
    }

    fn free() -> WriteRule {
        WriteRule::default()
    }

    fn sent(value: impl Into<Value2>) -> Wanted {
        Wanted::Value(value.into().0)
    }

    /// For the tables below.
    struct Value2(Value);
    impl From<i64> for Value2 {
        fn from(value: i64) -> Value2 {
            Value2(Value::Int(value))
        }
    }
    impl From<f64> for Value2 {
        fn from(value: f64) -> Value2 {
            Value2(Value::LReal(value))
        }
    }
    impl From<bool> for Value2 {
        fn from(value: bool) -> Value2 {
            Value2(Value::Bool(value))
        }
    }
    impl From<&str> for Value2 {
        fn from(value: &str) -> Value2 {
            Value2(Value::Text(value.into()))
        }
    }

    #[test]
    fn values_become_those_of_the_tags_type_or_are_refused() {
        use RefusedFor::{OutOfRange, WrongType};
        let typed = |text: &str| Wanted::Text(text.into());
        let cases: [(DataType, Wanted, Result<Value, RefusedFor>); 26] = [
            (DataType::Bool, sent(true), Ok(Value::Bool(true))),
            (DataType::Bool, sent(1), Err(WrongType)),
            (DataType::Bool, typed("on"), Ok(Value::Bool(true))),
            (DataType::Int, sent(-5), Ok(Value::Int(-5))),
            (DataType::Int, sent(80.0), Ok(Value::Int(80))),
            (DataType::Int, sent(80.5), Err(WrongType)),
            (DataType::Int, sent(32_768), Err(OutOfRange)),
            (DataType::Int, sent("80"), Err(WrongType)),
            (DataType::Int, typed("80"), Ok(Value::Int(80))),
            (DataType::Int, sent(true), Err(WrongType)),
            (DataType::Uint, sent(-1), Err(OutOfRange)),
            (DataType::Ulint, Wanted::Value(Value::UInt(u64::MAX)), Ok(Value::UInt(u64::MAX))),
            (DataType::Ulint, sent(1e30), Err(OutOfRange)),
            (DataType::Lint, sent(f64::NAN), Err(WrongType)),
            (DataType::Word, typed("0xff"), Ok(Value::UInt(255))),
            (DataType::Real, sent(7), Ok(Value::Real(7.0))),
            (DataType::Real, sent(0.1), Ok(Value::Real(0.1))),
            (DataType::Real, sent(1e300), Err(OutOfRange)),
            (DataType::Real, typed("NaN"), Err(OutOfRange)),
            (DataType::Lreal, sent(f64::INFINITY), Err(WrongType)),
            (DataType::String(8), sent("80"), Ok(Value::Text("80".into()))),
            (DataType::String(8), sent(80), Err(WrongType)),
            (DataType::Time, sent(1.5), Ok(Value::Duration(1_500_000_000))),
            (DataType::Time, sent("500ms"), Ok(Value::Duration(500_000_000))),
            (DataType::Ldt, sent("1970-01-02"), Ok(Value::DateTime(86_400_000_000_000))),
            (DataType::Ldt, sent(5), Err(WrongType)),
        ];
        for (data_type, wanted, expected) in cases {
            let found = fit(&wanted, &form(data_type), &free()).map(|fitted| fitted.raw).map_err(|(why, _)| why);
            assert_eq!(found, expected, "{data_type} {wanted:?}");
        }
    }

    #[test]
    fn arrays_are_written_whole() {
        let three = TagForm { elements: 3, ..form(DataType::Int) };
        let list =
            |values: &[i64]| Wanted::Value(Value::Array(values.iter().map(|value| Value::Int(*value)).collect()));
        assert!(fit(&list(&[1, 2, 3]), &three, &free()).is_ok());
        for wrong in [list(&[1, 2]), list(&[1, 2, 40_000]), sent(1)] {
            assert!(fit(&wrong, &three, &free()).is_err(), "{wrong:?}");
        }
        assert!(fit(&list(&[1]), &form(DataType::Int), &free()).is_err());
        let low = WriteRule { max: Some(2.0), ..free() };
        assert_eq!(fit(&list(&[1, 2, 3]), &three, &low).map_err(|(why, _)| why), Err(RefusedFor::OutOfRange));
    }

    #[test]
    fn bounds_and_steps_are_in_the_unit_of_the_readings() {
        let rule = WriteRule { min: Some(10.0), max: Some(90.0), step: Some(0.5), ..free() };
        let tenth = TagForm { scale: Scale::new(0.1, 0.0), ..form(DataType::Int) };
        let raw = |number: f64| fit(&sent(number), &tenth, &rule).map(|fitted| fitted.raw).map_err(|(why, _)| why);
        assert_eq!(raw(80.5), Ok(Value::Int(805)));
        assert_eq!(raw(10.0), Ok(Value::Int(100)));
        for number in [9.9, 90.5, 80.3, f64::NAN] {
            assert!(raw(number).is_err(), "{number}");
        }
        let wide = fit(&sent(4_000.0), &tenth, &free()).map_err(|(why, _)| why);
        assert_eq!(wide, Err(RefusedFor::OutOfRange), "40,000 is no INT");
        assert_eq!(fit(&Wanted::Text("80.5".into()), &tenth, &rule).map(|fitted| fitted.raw), Ok(Value::Int(805)));
    }

    proptest::proptest! {
        #[test]
        fn a_step_that_is_written_is_taken(steps in 0..1_000_i32, places in 0..4_i32) {
            let step = 10_f64.powi(-places);
            let rule = WriteRule { step: Some(step), ..free() };
            proptest::prop_assert!(fit(&sent(f64::from(steps) * step), &form(DataType::Lreal), &rule).is_ok());
        }
    }
}
