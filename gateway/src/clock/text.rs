//! Points in time as people and programs write them (RFC 3339, and what is shorter).

/// Nanoseconds since 1970 UTC of `2026-11-23`, `2026-11-23T02:28:33Z` or `2026-11-23T03:28:33.5+01:00`; one without a zone is
/// in UTC.
pub fn parse_time(text: &str) -> Option<i64> {
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
