//! Values and times as people write and read them: on a terminal, in a command.

use std::fmt;

use crate::{DataType, Date, Timestamp, Value};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

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
    let Date { year, month, day } = Date::from_days(nanos.div_euclid(nanos_per_day));
    write!(f, "{year:04}-{month:02}-{day:02}T")?;
    write_time_of_day(f, nanos.rem_euclid(nanos_per_day))
}

/// Nanoseconds in seconds, with as many decimals as there are.
fn write_duration(f: &mut fmt::Formatter<'_>, nanos: i64) -> fmt::Result {
    let (seconds, rest) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let sign = if nanos < 0 { "-" } else { "" };
    let decimals = format!("{rest:09}");
    match decimals.trim_end_matches('0') {
        "" => write!(f, "{sign}{seconds}s"),
        decimals => write!(f, "{sign}{seconds}.{decimals}s"),
    }
}

/// A number of this size as digits, or with an exponent where those would be many.
fn write_number(f: &mut fmt::Formatter<'_>, size: f64, number: &(impl fmt::Display + fmt::LowerExp)) -> fmt::Result {
    let is_handy = size == 0.0 || (1e-5..1e17).contains(&size) || !size.is_finite();
    if is_handy { write!(f, "{number}") } else { write!(f, "{number:e}") }
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
            Value::Real(value) => write_number(f, f64::from(*value).abs(), value),
            Value::LReal(value) => write_number(f, value.abs(), value),
            Value::Text(text) => f.write_str(text),
            Value::Duration(nanos) => write_duration(f, *nanos),
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

/// Understands what a person typed as a value of this type; `[1, 2, 3]` for an array. Times are typed as they are printed:
/// `1.5s` or `500ms`, `12:00:00`, `2026-11-23T02:28:33`. The error says what was expected.
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
        Bool, Byte, Char, DateAndTime, Dint, Dtl, Dword, Half, Int, Ldt, Lint, Lreal, Ltime, Ltod, Lword, Real, S5time,
        Sint, String, Time, TimeOfDay, Udint, Uint, Ulint, Usint, Wchar, Word, Wstring,
    };
    let expected = |what: &str| format!("`{text}` is no {data_type}: expected {what}");
    match data_type {
        Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" => Ok(Value::Bool(true)),
            "false" | "0" | "off" => Ok(Value::Bool(false)),
            _ => Err(expected("true or false")),
        },
        Sint | Int | Dint | Lint => {
            let (min, max) = signed_range(data_type);
            let number = text.parse().ok().filter(|number| (min..=max).contains(number));
            number.map(Value::Int).ok_or_else(|| expected(&format!("a whole number from {min} to {max}")))
        }
        Usint | Uint | Udint | Ulint | Byte | Word | Dword | Lword => {
            let max = unsigned_max(data_type);
            let number = parse_unsigned(text).filter(|number| *number <= max);
            number
                .map(Value::UInt)
                .ok_or_else(|| expected(&format!("a whole number from 0 to {max}, or hexadecimal 0x…")))
        }
        Half | Real => text.parse().map(Value::Real).map_err(|_| expected("a number, such as 21.5")),
        Lreal => text.parse().map(Value::LReal).map_err(|_| expected("a number, such as 21.5")),
        Time | Ltime | S5time => {
            parse_duration(text).map(Value::Duration).ok_or_else(|| expected("a time such as 1.5s or 500ms"))
        }
        TimeOfDay | Ltod => {
            parse_time_of_day(text).map(Value::TimeOfDay).ok_or_else(|| expected("a time of day such as 12:00:00"))
        }
        DataType::Date | DateAndTime | Dtl | Ldt => parse_date_time(text)
            .map(Value::DateTime)
            .ok_or_else(|| expected("a date such as 2026-11-23, or with the time 2026-11-23T02:28:33")),
        Char | Wchar | String(_) | Wstring(_) => Ok(Value::Text(text.into())),
    }
}

fn parse_unsigned(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("16#")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn signed_range(data_type: DataType) -> (i64, i64) {
    match data_type {
        DataType::Sint => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int => (i16::MIN.into(), i16::MAX.into()),
        DataType::Dint => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

fn unsigned_max(data_type: DataType) -> u64 {
    match data_type {
        DataType::Usint | DataType::Byte => u8::MAX.into(),
        DataType::Uint | DataType::Word => u16::MAX.into(),
        DataType::Udint | DataType::Dword => u32::MAX.into(),
        _ => u64::MAX,
    }
}

/// Nanoseconds of a number with its unit, such as `-1.5s`.
fn parse_duration(text: &str) -> Option<i64> {
    let (sign, text): (i128, &str) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let unit_at = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let nanos_per_unit = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "min" => 60 * NANOS_PER_SECOND,
        "h" => 3_600 * NANOS_PER_SECOND,
        "d" => SECONDS_PER_DAY * NANOS_PER_SECOND,
        _ => return None,
    };
    let (whole, decimals) = number.trim_end().split_once('.').unwrap_or((number.trim_end(), "0"));
    let part = i128::from(nanos_per_unit) * i128::from(digits(decimals, 1..=9)?);
    let divisor = 10_i128.pow(u32::try_from(decimals.len()).ok()?);
    // What is finer than a nanosecond would not be written.
    let part = (part % divisor == 0).then_some(part / divisor)?;
    let nanos = i128::from(nanos_per_unit) * i128::from(digits(whole, 1..=18)?) + part;
    i64::try_from(sign * nanos).ok()
}

/// Nanoseconds since midnight of `hh:mm`, `hh:mm:ss` or `hh:mm:ss.…` with up to nine decimals.
fn parse_time_of_day(text: &str) -> Option<i64> {
    let (clock, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.split(':');
    let hours = digits(parts.next()?, 1..=2).filter(|hours| *hours < 24)?;
    let minutes = digits(parts.next()?, 2..=2).filter(|minutes| *minutes < 60)?;
    let seconds = parts.next().map_or(Some(0), |seconds| digits(seconds, 2..=2)).filter(|seconds| *seconds < 60)?;
    let nanos = digits(decimals, 1..=9)? * 10_i64.pow(9 - u32::try_from(decimals.len()).ok()?);
    parts.next().is_none().then_some((hours * 3_600 + minutes * 60 + seconds) * NANOS_PER_SECOND + nanos)
}

/// Nanoseconds since 1970 of `yyyy-mm-dd`, alone or with `T` or a space and a time of day. The device's time zone is not
/// known: `Z` and offsets are not understood.
fn parse_date_time(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut parts = day.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4..=4)?, digits(parts.next()?, 2..=2)?, digits(parts.next()?, 2..=2)?);
    let days = Date { year, month, day }.days().filter(|_| parts.next().is_none())?;
    let nanos = i128::from(days) * i128::from(SECONDS_PER_DAY * NANOS_PER_SECOND);
    i64::try_from(nanos + i128::from(parse_time_of_day(time)?)).ok()
}

/// A number of so many digits and nothing else.
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_number = count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
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
        assert_eq!(Value::LReal(-2.5e300).to_string(), "-2.5e300");
        assert_eq!(Value::Real(1e-30).to_string(), "1e-30");
        assert_eq!(Value::LReal(0.0).to_string(), "0");
        assert_eq!(Value::LReal(f64::INFINITY).to_string(), "inf");
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

    #[test]
    fn numbers_beyond_their_type_are_told_its_range() {
        let refused = |text: &str, data_type| parse_value(text, data_type, 1).expect_err(text);
        assert!(refused("40000", DataType::Int).contains("from -32768 to 32767"));
        assert!(refused("256", DataType::Byte).contains("from 0 to 255"));
        assert_eq!(parse_value("-32768", DataType::Int, 1), Ok(Value::Int(-32_768)));
        assert_eq!(parse_value("18446744073709551615", DataType::Lword, 1), Ok(Value::UInt(u64::MAX)));
    }

    #[test]
    fn times_are_typed_as_they_are_printed() {
        let cases = [
            ("1.5s", DataType::Time, Value::Duration(1_500_000_000)),
            ("-500ms", DataType::Time, Value::Duration(-500_000_000)),
            ("12.000000001s", DataType::Ltime, Value::Duration(12_000_000_001)),
            ("1.5 min", DataType::Ltime, Value::Duration(90_000_000_000)),
            ("12:00:00", DataType::TimeOfDay, Value::TimeOfDay(43_200_000_000_000)),
            ("7:05", DataType::Ltod, Value::TimeOfDay(25_500_000_000_000)),
            ("23:59:59.123456", DataType::Ltod, Value::TimeOfDay(86_399_123_456_000)),
            ("2026-11-23T02:28:33", DataType::DateAndTime, Value::DateTime(1_795_400_913_000_000_000)),
            ("2026-11-23 02:28:33.5", DataType::Ldt, Value::DateTime(1_795_400_913_500_000_000)),
            ("2000-02-29", DataType::Date, Value::DateTime(951_782_400_000_000_000)),
        ];
        for (text, data_type, value) in cases {
            assert_eq!(parse_value(text, data_type, 1), Ok(value.clone()), "{text}");
            assert_eq!(parse_value(&value.to_string(), data_type, 1), Ok(value), "{text} printed");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        let cases = [
            (DataType::Time, ["5", "s", "1,5s", "1.s", "1e3s", "0.5ns", "--1s"], "1.5s or 500ms"),
            (DataType::TimeOfDay, ["24:00", "1:60", "12", "12:0", "1:00:00:00", "", "-1:00"], "12:00:00"),
            (
                DataType::DateAndTime,
                [
                    "2026-02-29",
                    "2026-13-01",
                    "26-1-1",
                    "23.11.2026",
                    "2026-11-23T",
                    "9999-01-01",
                    "2026-11-23T02:28:33Z",
                ],
                "2026-11-23T02:28:33",
            ),
        ];
        for (data_type, texts, example) in cases {
            for text in texts {
                let error = parse_value(text, data_type, 1).expect_err(text);
                assert!(error.contains(example), "{error}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn every_time_that_is_printed_is_understood(nanos in proptest::prelude::any::<i64>()) {
            for (value, data_type) in [(Value::DateTime(nanos), DataType::Ldt), (Value::Duration(nanos), DataType::Ltime)] {
                proptest::prop_assert_eq!(parse_value(&value.to_string(), data_type, 1), Ok(value));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}|[-0-9.:T smh]{0,24}") {
            for data_type in [DataType::Ltime, DataType::Ltod, DataType::Ldt, DataType::Date, DataType::Lint] {
                if let Ok(value) = parse_value(&text, data_type, 1) {
                    proptest::prop_assert!(!value.to_string().is_empty());
                }
            }
        }
    }
}
