//! Points in time as payloads write them.

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Nanoseconds since 1970 of `2026-11-23T02:28:33.123456Z`, with up to nine decimals; `None` when it is no such text.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, decimals) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    let plausible = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !plausible || year > 9_999 || decimals.is_empty() || decimals.len() > 9 {
        return None;
    }
    let nanos = number(decimals)? * 10_i64.pow(9 - decimals.len() as u32);
    let seconds = days(year, month, day) * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
    // In this order the first time that can be told is not out of range on the way.
    i64::try_from(i128::from(seconds) * i128::from(NANOS_PER_SECOND) + i128::from(nanos)).ok()
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between).map(number);
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01; after Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use driver_core::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_and_what_is_none_is_not() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-23T02:28:33.123456Z", Some(1_795_400_913_123_456_000)),
            ("2000-02-29T00:00:00.000000001Z", Some(951_782_400_000_000_001)),
            ("1677-09-21T00:12:43.145224192Z", Some(i64::MIN)),
            ("1677-09-21T00:12:43.145224191Z", None),
            ("2026-11-23T02:28:33.123456", None),
            ("2026-13-23T02:28:33Z", None),
            ("2026-11-23T02:28:33.Z", None),
            ("2026-11-23T02:28:33.0000000000Z", None),
            ("2026-11-23T02:28Z", None),
            ("+026-11-23T02:28:33Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(micros in i64::MIN / 1_000..i64::MAX / 1_000) {
            prop_assert_eq!(parse(&Timestamp(micros * 1_000).to_string()), Some(micros * 1_000));
        }

        #[test]
        fn garbage_never_panics(text in "[0-9TZ:.é-]{0,32}") {
            parse(&text);
        }
    }
}
