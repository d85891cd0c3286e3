//! Points in time as RFC 3339 text, written digit by digit.

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Writes times; remembers the last one, because readings of one poll share it.
#[derive(Debug)]
pub(in crate::uplink) struct TimeText {
    second: i64,
    rest: u32,
    text: [u8; 29],
    length: usize,
}

impl Default for TimeText {
    fn default() -> TimeText {
        TimeText { second: 0, rest: 0, text: *b"1970-01-01T00:00:00.000000000", length: 26 }
    }
}

impl TimeText {
    /// `2026-11-23T02:28:33.123456`, nine decimals where the last three are not zero; no zone.
    pub(in crate::uplink) fn write(&mut self, nanos: i64, out: &mut Vec<u8>) {
        let (second, rest) = (nanos.div_euclid(NANOS_PER_SECOND), nanos.rem_euclid(NANOS_PER_SECOND) as u32);
        if second != self.second {
            self.second = second;
            self.text[..19].copy_from_slice(&date_time(second));
        }
        if rest != self.rest {
            self.rest = rest;
            let (decimals, length) = decimals(rest);
            self.text[19..19 + length].copy_from_slice(&decimals[..length]);
            self.length = 19 + length;
        }
        out.extend_from_slice(&self.text[..self.length]);
    }
}

/// `hh:mm:ss.ffffff` since midnight.
pub(in crate::uplink) fn write_time_of_day(nanos: i64, out: &mut Vec<u8>) {
    let (second, rest) = (nanos.div_euclid(NANOS_PER_SECOND), nanos.rem_euclid(NANOS_PER_SECOND));
    out.extend_from_slice(&clock(second.rem_euclid(SECONDS_PER_DAY)));
    write_decimals(rest as u32, out);
}

/// Seconds as an exact decimal number, such as `-1.5`.
pub(in crate::uplink) fn write_seconds(nanos: i64, out: &mut Vec<u8>) {
    if nanos < 0 {
        out.push(b'-');
    }
    let nanos = nanos.unsigned_abs();
    let (second, mut rest) = (nanos / NANOS_PER_SECOND as u64, (nanos % NANOS_PER_SECOND as u64) as u32);
    out.extend_from_slice(itoa::Buffer::new().format(second).as_bytes());
    if rest == 0 {
        return;
    }
    let mut count = 9;
    while rest.is_multiple_of(10) {
        rest /= 10;
        count -= 1;
    }
    out.extend_from_slice(&digits(rest, count)[..=count]);
}

fn write_decimals(nanos: u32, out: &mut Vec<u8>) {
    let (text, length) = decimals(nanos);
    out.extend_from_slice(&text[..length]);
}

/// `.123456` or `.123456789`, and how many bytes of it count.
fn decimals(nanos: u32) -> ([u8; 10], usize) {
    if nanos.is_multiple_of(1_000) { (digits(nanos / 1_000, 6), 7) } else { (digits(nanos, 9), 10) }
}

/// A point and so many digits of `number`.
fn digits(mut number: u32, count: usize) -> [u8; 10] {
    let mut text = *b".000000000";
    for place in text[1..=count].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text
}

fn date_time(second: i64) -> [u8; 19] {
    let (year, month, day) = date(second.div_euclid(SECONDS_PER_DAY));
    let mut text = *b"0000-00-00T00:00:00";
    text[..2].copy_from_slice(&two(year / 100));
    text[2..4].copy_from_slice(&two(year % 100));
    text[5..7].copy_from_slice(&two(month));
    text[8..10].copy_from_slice(&two(day));
    text[11..].copy_from_slice(&clock(second.rem_euclid(SECONDS_PER_DAY)));
    text
}

fn clock(second: i64) -> [u8; 8] {
    let mut text = *b"00:00:00";
    text[..2].copy_from_slice(&two(second / 3_600));
    text[3..5].copy_from_slice(&two(second / 60 % 60));
    text[6..].copy_from_slice(&two(second % 60));
    text
}

fn two(number: i64) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// Days since 1970-01-01 as year, month, day; after Howard Hinnant's `civil_from_days`.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use driver_core::{Timestamp, Value};
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn times_have_six_decimals_and_nine_where_they_matter() {
        let mut text = TimeText::default();
        let cases = [
            (0, "1970-01-01T00:00:00.000000"),
            (1_795_400_913_123_456_000, "2026-11-23T02:28:33.123456"),
            (1_795_400_913_123_456_789, "2026-11-23T02:28:33.123456789"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000"),
            (-1, "1969-12-31T23:59:59.999999999"),
            (i64::MIN, "1677-09-21T00:12:43.145224192"),
            (i64::MAX, "2262-04-11T23:47:16.854775807"),
        ];
        for (nanos, expected) in cases {
            assert_eq!(written(|out| text.write(nanos, out)), expected);
        }
    }

    #[test]
    fn durations_are_exact_seconds() {
        let cases = [
            (0, "0"),
            (1_500_000_000, "1.5"),
            (-1, "-0.000000001"),
            (i64::MIN, "-9223372036.854775808"),
            (60_000_000_000, "60"),
        ];
        for (nanos, expected) in cases {
            assert_eq!(written(|out| write_seconds(nanos, out)), expected);
        }
    }

    proptest! {
        #[test]
        fn every_time_is_the_one_that_the_slow_way_writes(nanos: i64) {
            let fast = written(|out| TimeText::default().write(nanos / 1_000 * 1_000, out));
            let slow = Timestamp(nanos / 1_000 * 1_000).to_string();
            let slow = slow.trim_end_matches('Z');
            prop_assert!(fast.starts_with(slow) && fast[slow.len()..].trim_matches(['.', '0']).is_empty(), "{fast} {slow}");
            let time_of_day = nanos.rem_euclid(86_400_000_000_000);
            let slow = Value::TimeOfDay(time_of_day).to_string();
            let fast = written(|out| write_time_of_day(time_of_day, out));
            prop_assert!(fast.starts_with(&slow) && fast[slow.len()..].trim_matches(['.', '0']).is_empty(), "{fast} {slow}");
        }
    }
}
