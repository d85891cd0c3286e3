//! From where and up to where: a seq or a time.

/// One end of what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// A place in the log.
    Seq(u64),
    /// Nanoseconds since 1970 UTC.
    Time(i64),
}

const NOT_UNDERSTOOD: &str =
    "write a seq such as 1234, or a time such as 2026-11-23, 2026-11-23T02:28:33Z or 2026-11-23T03:28:33.5+01:00";

/// Digits are a seq, everything else is a time; one without a zone is in UTC.
pub(super) fn parse(text: &str) -> Result<Bound, String> {
    let seq = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let bound = seq.map(Bound::Seq).or_else(|| time(text).map(Bound::Time));
    bound.ok_or_else(|| NOT_UNDERSTOOD.into())
}

fn time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let (clock, offset_s) = zone(rest)?;
    let second = days(date)?.checked_mul(86_400)?.checked_add(seconds(clock)?)?.checked_sub(offset_s)?;
    second.checked_mul(1_000_000_000)?.checked_add(nanos(clock)?)
}

/// The time of day without its zone, and the zone in seconds east of UTC.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(sign) = text.find(['+', '-']) else { return Some((text, 0)) };
    let (hours, minutes) = text[sign + 1..].split_once(':')?;
    let offset = two(hours, 23)? * 3_600 + two(minutes, 59)? * 60;
    Some((&text[..sign], if text[sign..].starts_with('-') { -offset } else { offset }))
}

/// Days since 1970-01-01 of `2026-11-23`; after Howard Hinnant's `days_from_civil`.
fn days(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, two(parts.next()?, 12)?, two(parts.next()?, 31)?);
    let year: i64 = (year.len() == 4 && digits(year)).then(|| year.parse().ok())??;
    if parts.next().is_some() || month == 0 || day == 0 || day > days_of(year, month) {
        return None;
    }
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whole seconds since midnight of nothing, `02:28` or `02:28:33.5`.
fn seconds(clock: &str) -> Option<i64> {
    if clock.is_empty() {
        return Some(0);
    }
    let whole = clock.split('.').next()?;
    let mut parts = whole.split(':');
    let (hour, minute) = (two(parts.next()?, 23)?, two(parts.next()?, 59)?);
    let second = parts.next().map_or(Some(0), |second| two(second, 59))?;
    parts.next().is_none().then_some(hour * 3_600 + minute * 60 + second)
}

fn nanos(clock: &str) -> Option<i64> {
    let Some((_, decimals)) = clock.split_once('.') else { return Some(0) };
    let fits = (1..=9).contains(&decimals.len()) && digits(decimals);
    let number: i64 = fits.then(|| decimals.parse().ok())??;
    Some(number * 10_i64.pow(9 - decimals.len() as u32))
}

fn two(text: &str, max: i64) -> Option<i64> {
    let number = (text.len() == 2 && digits(text)).then(|| text.parse().ok())??;
    (number <= max).then_some(number)
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use driver_core::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seqs_and_times_are_told_apart() {
        let second = 1_000_000_000;
        let cases = [
            ("1234", Bound::Seq(1234)),
            ("2026-11-23T02:28:33Z", Bound::Time(1_795_400_913 * second)),
            ("2026-11-23 03:28:33.5+01:00", Bound::Time(1_795_400_913 * second + second / 2)),
            ("2026-11-22T21:28:33-05:00", Bound::Time(1_795_400_913 * second)),
            ("2000-02-29", Bound::Time(951_782_400 * second)),
            ("1969-12-31T23:59", Bound::Time(-60 * second)),
        ];
        for (text, bound) in cases {
            assert_eq!(parse(text), Ok(bound), "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_an_example() {
        let wrong = [
            "",
            "yesterday",
            "2026-13-01",
            "2025-02-29",
            "2026-11-23T24:00",
            "2026-11-23T1:00",
            "-5",
            "2026-1-1",
            "2026-11-23T02:28:33+1",
            "2026-11-23T02:28:33.1234567890Z",
            "9999-01-01",
            "99999999999999999999",
            "2026-11-23-04",
        ];
        for text in wrong {
            assert!(parse(text).is_err_and(|said| said.contains("2026-11-23")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_that_is_printed_is_understood(nanos in -9_214_646_400_000_000_000_i64..9_214_646_400_000_000_000) {
            prop_assert_eq!(parse(&Timestamp(nanos).to_string()), Ok(Bound::Time(nanos)));
        }

        #[test]
        fn garbage_never_panics(text in "[0-9T:.+Z-]{0,30}|\\PC{0,20}") {
            parse(&text).ok();
        }
    }
}
