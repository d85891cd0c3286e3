//! Values and times as people write and read them: on a terminal, in a command.

use std::fmt;

use crate::{DataType, Timestamp, Value};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A calendar date of the proleptic Gregorian calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

/// Days since 1970-01-01 as a date; after Howard Hinnant's `civil_from_days`.
fn date(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    Date { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
}

/// Nanoseconds since midnight as `hh:mm:ss` with as many decimals as there are.
fn write_time_of_day(f: &mut fmt::Formatter<'_>, nanos: i64) -> fmt::Result {
    let (seconds, rest) = (nanos.div_euclid(NANOS_PER_SECOND), nanos.rem_euclid(NANOS_PER_SECOND));
    write!(f, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)?;
    match rest {
        0 => Ok(()),
        _ if rest % 1_000_000 == 0 => write!(f, ".{:03}", rest / 1_000_000),
        _ if rest % 1_000 == 0 => write!(f, ".{:06}", rest / 1_000),
        _ => write!(f, ".{rest:09}"),
    }
}

fn write_date_time(f: &mut fmt::Formatter<'_>, nanos: i64) -> fmt::Result {
    let nanos_per_day = SECONDS_PER_DAY * NANOS_PER_SECOND;
    let Date { year, month, day } = date(nanos.div_euclid(nanos_per_day));
    write!(f, "{year:04}-{month:02}-{day:02}T")?;
    write_time_of_day(f, nanos.rem_euclid(nanos_per_day))
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, such as `2026-11-23T02:28:33.123456Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date_time(f, self.0)?;
        f.write_str("Z")
    }
}

impl fmt::Display for Value {
    /// Numbers in their shortest exact form, durations in seconds, dates without a time zone because the device's is not
    /// known, no value as `-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("-"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::UInt(value) => write!(f, "{value}"),
            Value::Real(value) => write!(f, "{value}"),
            Value::LReal(value) => write!(f, "{value}"),
            Value::Text(text) => f.write_str(text),
            Value::Duration(nanos) => write!(f, "{}s", *nanos as f64 / NANOS_PER_SECOND as f64),
            Value::DateTime(nanos) => write_date_time(f, *nanos),
            Value::TimeOfDay(nanos) => write_time_of_day(f, *nanos),
            Value::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{element}")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Understands what a person typed as a value of this type; `[1, 2, 3]` for an array. Dates and durations cannot be
/// typed. The error says what was expected.
pub fn parse_value(text: &str, data_type: DataType, elements: usize) -> Result<Value, String> {
    if elements == 1 {
        return parse_one(text, data_type);
    }
    let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let inner = inner.ok_or_else(|| format!("an array of {elements} is written [a, b, …]"))?;
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    if parts.len() != elements {
        return Err(format!("the array has {elements} elements, {} were given", parts.len()));
    }
    parts
        .into_iter()
        .map(|part| parse_one(part, data_type))
        .collect::<Result<Vec<Value>, String>>()
        .map(|all| Value::Array(all.into()))
}

fn parse_one(text: &str, data_type: DataType) -> Result<Value, String> {
    use DataType::{
        Bool, Byte, Char, Dint, Dword, Half, Int, Lint, Lreal, Lword, Real, Sint, String, Udint, Uint, Ulint, Usint,
        Wchar, Word, Wstring,
    };
    let expected = |what: &str| format!("`{text}` is no {data_type}: expected {what}");
    match data_type {
        Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" => Ok(Value::Bool(true)),
            "false" | "0" | "off" => Ok(Value::Bool(false)),
            _ => Err(expected("true or false")),
        },
        Sint | Int | Dint | Lint => text.parse().map(Value::Int).map_err(|_| expected("a whole number")),
        Usint | Uint | Udint | Ulint | Byte | Word | Dword | Lword => {
            parse_unsigned(text).map(Value::UInt).ok_or_else(|| expected("a whole number from 0, or hexadecimal 0x…"))
        }
        Half | Real => text.parse().map(Value::Real).map_err(|_| expected("a number")),
        Lreal => text.parse().map(Value::LReal).map_err(|_| expected("a number")),
        Char | Wchar | String(_) | Wstring(_) => Ok(Value::Text(text.into())),
        other => Err(format!("values of type {other} cannot be typed in")),
    }
}

fn parse_unsigned(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("16#")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(1_795_400_913_123_456_000).to_string(), "2026-11-23T02:28:33.123456Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(Timestamp(951_782_400 * NANOS_PER_SECOND).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(Value::TimeOfDay(3_600_500_000_000).to_string(), "01:00:00.500");
        assert_eq!(Value::Duration(1_500_000_000).to_string(), "1.5s");
    }

    #[test]
    fn numbers_keep_their_own_width() {
        assert_eq!(Value::Real(0.1).to_string(), "0.1");
        assert_eq!(Value::LReal(21.5).to_string(), "21.5");
        assert_eq!(Value::Array(Box::new([Value::Int(-1), Value::Int(2)])).to_string(), "[-1, 2]");
    }

    #[test]
    fn what_is_typed_is_understood_by_the_type() {
        assert_eq!(parse_value("0x10", DataType::Word, 1), Ok(Value::UInt(16)));
        assert_eq!(parse_value("on", DataType::Bool, 1), Ok(Value::Bool(true)));
        assert_eq!(
            parse_value("[1, -2]", DataType::Int, 2),
            Ok(Value::Array(Box::new([Value::Int(1), Value::Int(-2)])))
        );
        assert!(parse_value("[1]", DataType::Int, 2).expect_err("too few").contains("2 elements"));
        assert!(parse_value("warm", DataType::Real, 1).expect_err("no number").contains("expected a number"));
    }
}
