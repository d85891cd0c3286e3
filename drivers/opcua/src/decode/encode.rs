//! Values to what the server holds, by the type that the server gave the node.

use driver_core::{Value, WriteError, parse_value};
use opcua::types::{
    Array, ByteString, Guid, LocalizedText, QualifiedName, StatusCode, UAString, Variant, VariantScalarTypeId as Kind,
};

use super::date_time;
use crate::address::from_base64;

/// A value as the server's type wants it: `now` is what the node holds, of which the type is taken.
///
/// # Errors
/// [`WriteError::Value`]: the value is none of that type.
pub(crate) fn encode(value: &Value, kind: Kind, array: Option<&[u32]>) -> Result<Variant, WriteError> {
    match (value, array) {
        (Value::Array(_), Some(dimensions)) => {
            let mut flat = Vec::new();
            flatten(value, &mut flat);
            let values = flat.into_iter().map(|one| scalar(one, kind)).collect::<Result<Vec<_>, _>>()?;
            let cells: usize = dimensions.iter().map(|size| *size as usize).product();
            if dimensions.len() > 1 && cells != values.len() {
                return Err(wrong(kind, format!("the node has {cells} elements, {} were given", values.len())));
            }
            let dimensions = (dimensions.len() > 1).then(|| dimensions.to_vec());
            Ok(Variant::Array(Box::new(Array { value_type: kind, values, dimensions })))
        }
        (Value::Text(text), Some(_)) => {
            let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            let inner = inner.ok_or_else(|| wrong(kind, "the node is an array, which is written [a, b, …]".into()))?;
            let parts = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
            let values = parts.map(|part| Value::Text(part.into())).collect();
            encode(&Value::Array(values), kind, array)
        }
        (_, Some(_)) => Err(wrong(kind, "the node is an array".into())),
        (Value::Array(_), None) => Err(wrong(kind, "the node is no array".into())),
        (value, None) => scalar(value, kind),
    }
}

fn flatten<'v>(value: &'v Value, flat: &mut Vec<&'v Value>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| flatten(element, flat)),
        one => flat.push(one),
    }
}

fn wrong(kind: Kind, cause: String) -> WriteError {
    WriteError::Value { data_type: format!("{kind:?}"), cause }
}

fn scalar(value: &Value, kind: Kind) -> Result<Variant, WriteError> {
    let not = || wrong(kind, format!("`{value}` is none"));
    let whole = || whole(value).ok_or_else(not);
    let fits = |variant: Option<Variant>| variant.ok_or_else(|| wrong(kind, format!("`{value}` is out of its range")));
    let text = || match value {
        Value::Text(text) => Ok(text.to_string()),
        _ => Err(not()),
    };
    match kind {
        Kind::Boolean => match value {
            Value::Bool(value) => Ok(Variant::Boolean(*value)),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" => Ok(Variant::Boolean(true)),
                "false" | "0" | "off" => Ok(Variant::Boolean(false)),
                _ => Err(not()),
            },
            value => match value.as_f64() {
                Some(0.0) => Ok(Variant::Boolean(false)),
                Some(1.0) => Ok(Variant::Boolean(true)),
                _ => Err(not()),
            },
        },
        Kind::SByte => fits(i8::try_from(whole()?).ok().map(Variant::SByte)),
        Kind::Byte => fits(u8::try_from(whole()?).ok().map(Variant::Byte)),
        Kind::Int16 => fits(i16::try_from(whole()?).ok().map(Variant::Int16)),
        Kind::UInt16 => fits(u16::try_from(whole()?).ok().map(Variant::UInt16)),
        Kind::Int32 => fits(i32::try_from(whole()?).ok().map(Variant::Int32)),
        Kind::UInt32 => fits(u32::try_from(whole()?).ok().map(Variant::UInt32)),
        Kind::Int64 => fits(i64::try_from(whole()?).ok().map(Variant::Int64)),
        Kind::UInt64 => fits(u64::try_from(whole()?).ok().map(Variant::UInt64)),
        Kind::Float => match value {
            Value::Real(value) => Ok(Variant::Float(*value)),
            value => {
                let number = number(value).ok_or_else(not)?;
                fits(Some(number as f32).filter(|narrow| narrow.is_finite() || !number.is_finite()).map(Variant::Float))
            }
        },
        Kind::Double => number(value).map(Variant::Double).ok_or_else(not),
        Kind::String => text().map(|text| Variant::String(UAString::from(text))),
        Kind::LocalizedText => text().map(|text| Variant::LocalizedText(Box::new(LocalizedText::new("", &text)))),
        Kind::QualifiedName => text().map(|text| Variant::QualifiedName(Box::new(QualifiedName::new(0, text)))),
        Kind::Guid => {
            let guid = text()?.parse::<Guid>().map_err(|_| not())?;
            Ok(Variant::Guid(Box::new(guid)))
        }
        Kind::ByteString => {
            let bytes = from_base64(&text()?).ok_or_else(|| wrong(kind, "bytes are written in base64".into()))?;
            Ok(Variant::ByteString(ByteString::from(bytes)))
        }
        Kind::DateTime => match value {
            Value::DateTime(nanos) => Ok(Variant::DateTime(Box::new(date_time(*nanos)))),
            Value::Text(text) => match parse_value(text.trim_end_matches('Z'), driver_core::DataType::Ldt, 1) {
                Ok(Value::DateTime(nanos)) => Ok(Variant::DateTime(Box::new(date_time(nanos)))),
                Ok(_) => Err(not()),
                Err(cause) => Err(wrong(kind, cause)),
            },
            _ => Err(not()),
        },
        Kind::StatusCode => {
            let code = u32::try_from(whole()?).ok();
            fits(code.map(|code| Variant::StatusCode(StatusCode::from(code))))
        }
        _ => Err(wrong(kind, "values of this type cannot be written".into())),
    }
}

/// A whole number. A float counts up to where each of them is exact.
fn whole(value: &Value) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Bool(value) => Some(i128::from(*value)),
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        Value::Text(text) => match text.strip_prefix("0x") {
            Some(digits) => i128::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        value => {
            value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT).map(|number| number as i128)
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Text(text) => text.parse().ok(),
        Value::Int(_) | Value::UInt(_) | Value::Real(_) | Value::LReal(_) => value.as_f64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_becomes_one_of_the_servers_type() {
        let text = |text: &str| Value::Text(text.into());
        let cases = [
            (Value::LReal(5.0), Kind::Int16, Variant::Int16(5)),
            (Value::LReal(1.0), Kind::Boolean, Variant::Boolean(true)),
            (text("true"), Kind::Boolean, Variant::Boolean(true)),
            (text("18446744073709551615"), Kind::UInt64, Variant::UInt64(u64::MAX)),
            (text("21.5"), Kind::Float, Variant::Float(21.5)),
            (Value::Int(3), Kind::Double, Variant::Double(3.0)),
            (text("läuft"), Kind::String, Variant::String("läuft".into())),
            (text("AQID"), Kind::ByteString, Variant::ByteString(ByteString::from(vec![1, 2, 3]))),
        ];
        for (value, kind, expected) in cases {
            assert_eq!(encode(&value, kind, None), Ok(expected), "{value} {kind:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (value, kind) in [
            (Value::LReal(5.5), Kind::Int16),
            (Value::LReal(40_000.0), Kind::Int16),
            (Value::Int(-1), Kind::UInt32),
            (Value::LReal(1e17), Kind::Int64),
            (Value::LReal(1e300), Kind::Float),
            (Value::Int(1), Kind::String),
            (Value::Text("x".into()), Kind::Double),
            (Value::Int(2), Kind::Boolean),
            (Value::Array([Value::Int(1)].into()), Kind::Int16),
        ] {
            assert!(encode(&value, kind, None).is_err(), "{value} {kind:?}");
        }
        assert!(encode(&Value::Int(1), Kind::Int16, Some(&[2])).is_err());
        assert!(encode(&Value::Array([Value::Int(1)].into()), Kind::Int16, Some(&[2, 2])).is_err());
    }
}
