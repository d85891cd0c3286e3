//! Values as JSON for `--json`.

use driver_core::Value;

/// Numbers as numbers as far as JSON has them; NaN, infinities, durations and times as text.
pub(super) fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::None => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::UInt(value) => (*value).into(),
        Value::Real(real) if real.is_finite() => {
            serde_json::from_str(&real.to_string()).unwrap_or_else(|_| f64::from(*real).into())
        }
        Value::LReal(value) if value.is_finite() => (*value).into(),
        Value::Array(elements) => elements.iter().map(json_value).collect(),
        other => other.to_string().into(),
    }
}
