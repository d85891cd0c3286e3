//! Dates and times in Siemens' own forms.

use driver_core::{Date, Value};

use super::{NANOS_PER_DAY, bcd, to_bcd};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
/// 1990-01-01, the first DATE, in days since 1970.
const DATE_FIRST: i64 = 7_305;
/// 2168-12-31, the last DATE, in days since the first.
const DATE_LAST: i64 = 65_378;
/// The years that two digits tell.
const TWO_DIGIT_YEARS: std::ops::RangeInclusive<i64> = 1990..=2089;
/// The years of a DTL whose nanoseconds since 1970 can be told.
const DTL_YEARS: std::ops::RangeInclusive<i64> = 1970..=2261;
/// The bases of S5TIME, in milliseconds.
const S5_BASES: [i64; 4] = [10, 100, 1_000, 10_000];
const S5_DIGITS_MAX: i64 = 999;

/// A date and a time of day in nanoseconds.
struct Moment {
    date: Date,
    nanos: i64,
}

impl Moment {
    fn value(self) -> Option<Value> {
        let days = self.date.days()?;
        (0..NANOS_PER_DAY).contains(&self.nanos).then_some(())?;
        days.checked_mul(NANOS_PER_DAY)?.checked_add(self.nanos).map(Value::DateTime)
    }

    fn of(value: &Value) -> Result<Moment, String> {
        let nanos = date_time(value)?;
        let (days, nanos) = (nanos.div_euclid(NANOS_PER_DAY), nanos.rem_euclid(NANOS_PER_DAY));
        Ok(Moment { date: Date::from_days(days), nanos })
    }

    /// Hour, minute and second.
    fn clock(&self) -> [i64; 3] {
        let seconds = self.nanos / NANOS_PER_SECOND;
        [seconds / 3_600, seconds / 60 % 60, seconds % 60]
    }

    /// 1 is Sunday.
    fn weekday(&self) -> i64 {
        // 1970-01-01 was a Thursday.
        self.date.days().map_or(0, |days| (days + 4).rem_euclid(7) + 1)
    }
}

/// Nanoseconds since midnight; `None` where there is no such time.
fn nanos(hour: i64, minute: i64, second: i64, nanos: i64) -> Option<i64> {
    let is_time = hour < 24 && minute < 60 && second < 60 && nanos < NANOS_PER_SECOND;
    is_time.then_some((hour * 3_600 + minute * 60 + second) * NANOS_PER_SECOND + nanos)
}

pub(super) fn date(bytes: &[u8]) -> Option<Value> {
    let days = bytes.first_chunk().copied().map(u16::from_be_bytes).map(i64::from)?;
    (days <= DATE_LAST).then_some(Value::DateTime((DATE_FIRST + days) * NANOS_PER_DAY))
}

pub(super) fn date_and_time(bytes: &[u8]) -> Option<Value> {
    let &[year, month, day, hour, minute, second, millis_high, millis_low] = bytes.first_chunk()?;
    let year = bcd(&[year])?;
    let year = if year < 90 { 2000 + year } else { 1900 + year };
    let digit = i64::from(millis_low >> 4);
    let millis = (digit < 10).then_some(bcd(&[millis_high])? * 10 + digit)?;
    let nanos = nanos(bcd(&[hour])?, bcd(&[minute])?, bcd(&[second])?, millis * NANOS_PER_MILLI)?;
    Moment { date: Date { year, month: bcd(&[month])?, day: bcd(&[day])? }, nanos }.value()
}

pub(super) fn dtl(bytes: &[u8]) -> Option<Value> {
    let &[high, low, month, day, _, hour, minute, second, a, b, c, d] = bytes.first_chunk()?;
    let year = i64::from(u16::from_be_bytes([high, low]));
    let fraction = i64::from(u32::from_be_bytes([a, b, c, d]));
    let nanos = nanos(hour.into(), minute.into(), second.into(), fraction)?;
    let moment = Moment { date: Date { year, month: month.into(), day: day.into() }, nanos };
    DTL_YEARS.contains(&year).then(|| moment.value()).flatten()
}

pub(super) fn s5time(bytes: &[u8]) -> Option<Value> {
    let &[high, low] = bytes.first_chunk()?;
    let base = S5_BASES[usize::from(high >> 4 & 3)];
    bcd(&[high & 15, low]).map(|digits| Value::Duration(digits * base * NANOS_PER_MILLI))
}

pub(super) fn put_date(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let nanos = date_time(value)?;
    let days = nanos.div_euclid(NANOS_PER_DAY) - DATE_FIRST;
    if nanos.rem_euclid(NANOS_PER_DAY) != 0 {
        return Err("a DATE has no time of day".into());
    }
    let days = u16::try_from(days).ok().filter(|days| i64::from(*days) <= DATE_LAST);
    out.extend_from_slice(&days.ok_or("a DATE lies between 1990-01-01 and 2168-12-31")?.to_be_bytes());
    Ok(())
}

pub(super) fn put_date_and_time(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let moment = Moment::of(value)?;
    let Date { year, month, day } = moment.date;
    if !TWO_DIGIT_YEARS.contains(&year) {
        return Err("a DATE_AND_TIME lies between 1990 and 2089".into());
    }
    let fraction = moment.nanos % NANOS_PER_SECOND;
    if fraction % NANOS_PER_MILLI != 0 {
        return Err("a DATE_AND_TIME has no more than milliseconds".into());
    }
    let millis = fraction / NANOS_PER_MILLI;
    let [hour, minute, second] = moment.clock();
    out.extend([year % 100, month, day, hour, minute, second, millis / 10].map(to_bcd));
    out.push(((millis % 10) << 4 | moment.weekday()) as u8);
    Ok(())
}

pub(super) fn put_dtl(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let moment = Moment::of(value)?;
    let Date { year, month, day } = moment.date;
    if !DTL_YEARS.contains(&year) {
        return Err("a DTL lies between 1970 and 2261".into());
    }
    out.extend_from_slice(&(year as u16).to_be_bytes());
    let [hour, minute, second] = moment.clock();
    out.extend([month, day, moment.weekday(), hour, minute, second].map(|part| part as u8));
    out.extend_from_slice(&((moment.nanos % NANOS_PER_SECOND) as u32).to_be_bytes());
    Ok(())
}

/// The finest base that holds the time; what it would not hold exactly is refused.
pub(super) fn put_s5time(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let Value::Duration(nanos) = *value else { return Err(format!("a duration is wanted, `{value}` came")) };
    let (millis, rest) = (nanos.div_euclid(NANOS_PER_MILLI), nanos.rem_euclid(NANOS_PER_MILLI));
    let fits = |base: &i64| millis % base == 0 && (0..=S5_DIGITS_MAX).contains(&(millis / base));
    let Some(index) = S5_BASES.iter().position(|base| rest == 0 && fits(base)) else {
        return Err("an S5TIME is up to 999 times 10 ms, 100 ms, 1 s or 10 s".into());
    };
    let digits = millis / S5_BASES[index];
    out.extend_from_slice(&[(index as u8) << 4 | to_bcd(digits / 100), to_bcd(digits % 100)]);
    Ok(())
}

fn date_time(value: &Value) -> Result<i64, String> {
    match value {
        Value::DateTime(nanos) => Ok(*nanos),
        other => Err(format!("a date is wanted, `{other}` came")),
    }
}
