//! The readings of some tags in a range of time, out of the log.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use buffer::Seq;
use driver_core::{Reading, Tense, Timestamp};
use serde_json::{Value, json};

use super::past::{Bounds, Ended, Of, Stretch, begin, seek, walk};
use super::query::{Query, shown};
use super::tags::Patterns;
use crate::clock::parse_time;
use crate::pipeline::command::json::json_value;
use crate::pipeline::vitals::Vitals;

/// What a request for history may say.
pub(super) const PARAMETERS: [&str; 4] = ["match", "from", "to", "limit"];

/// Readings of one request, at most, and where it does not say how many.
const READINGS_MAX: usize = 20_000;
const READINGS_USUAL: usize = 5_000;

/// What looking for what devices told of that time later, out of their own history, may cost beside it.
const LATER: Bounds = Bounds { bytes: 64 << 20, time: Duration::from_secs(2) };

/// What one request may cost.
const BOUNDS: Bounds = Bounds { bytes: 32 << 20, time: Duration::from_secs(5) };

/// How far back it goes where it does not say.
const BACK_USUAL_NS: i64 = 600 * SECOND_NS;

const SECOND_NS: i64 = 1_000_000_000;

/// Readings may stand in the log a little after others that are younger.
const DISORDER_NS: i64 = 10 * SECOND_NS;

/// The readings that are wanted, by tag; `next` says from when on to ask for the rest.
pub(super) async fn json(vitals: &Vitals, query: &Query) -> Result<Value, String> {
    let (patterns, limit) = (Patterns::of(query)?, query.number("limit", READINGS_USUAL, READINGS_MAX)?);
    let now = vitals.clock.now().0.0;
    let from = moment(query.get("from"), now)?.unwrap_or(now.saturating_sub(BACK_USUAL_NS));
    let to = moment(query.get("to"), now)?.unwrap_or(now);
    if from > to {
        return Err("`from` lies after `to`".into());
    }
    let begins = begin(vitals, BOUNDS).await?;
    let start = seek(vitals, from, BOUNDS.time).await?;
    let mut found = Found { patterns, times: from..=to, room: limit, cut_at: None, last: from, tags: BTreeMap::new() };
    let ended = walk(vitals, (start, Of::AnyTime), BOUNDS, |stretch| {
        let goes_on = |reading: &Reading| reading.timestamp.0 <= to.saturating_add(DISORDER_NS);
        found.take(stretch, |_| true) && stretch.readings.iter().any(goes_on)
    });
    let ended = ended.await?;
    let complete = found.cut_at.is_none() && !matches!(ended, Ended::Bounded(_));
    let until = if complete { to } else { found.last };
    let has_later = match ended {
        Ended::AtTheEnd => true,
        Ended::Enough(at) | Ended::Bounded(at) => found.take_later(vitals, at, until, limit).await?,
    };
    let tags = found.tags.into_iter().map(|((device, tag), (unit, mut readings))| {
        // What a device's own history told stands in the log behind what is newer.
        readings.sort_by_key(|(at, _)| *at);
        let readings: Value = readings.into_iter().map(|(_, reading)| reading).collect();
        json!({ "device": device, "tag": tag, "unit": unit, "readings": readings })
    });
    Ok(json!({
        "from": Timestamp(from).to_string(),
        "to": Timestamp(to).to_string(),
        "complete": complete,
        "historical_complete": has_later,
        "log_begins": begins.map(|at| at.to_string()),
        "next": (!complete).then(|| Timestamp(until).to_string()),
        "tags": tags.collect::<Value>(),
    }))
}

/// Readings of a tag with their times, in the order in which they were found.
type Timed = Vec<(i64, Value)>;

/// What was found so far.
struct Found {
    /// What is wanted.
    patterns: Patterns,
    /// From when to when, nanoseconds since 1970 UTC.
    times: RangeInclusive<i64>,
    /// So many readings more are taken.
    room: usize,
    /// The block of the first reading for which there was no room, by its first seq, and the reading's place in it.
    cut_at: Option<(Seq, usize)>,
    /// The newest time up to which all was looked at.
    last: i64,
    tags: BTreeMap<(String, String), (String, Timed)>,
}

impl Found {
    /// Takes what is wanted of a block; whether there is room for more.
    fn take(&mut self, stretch: &Stretch<'_>, is_wanted: impl Fn(&Reading) -> bool) -> bool {
        let begin = self.cut_at.take().filter(|(block, _)| *block == stretch.first).map_or(0, |(_, place)| place);
        for (place, reading) in stretch.readings.iter().enumerate().skip(begin) {
            if !self.times.contains(&reading.timestamp.0) || !is_wanted(reading) {
                continue;
            }
            if let Some(names) = stretch.schema.tag(reading.tag).filter(|names| self.patterns.mean(names)) {
                if self.room == 0 {
                    self.cut_at = Some((stretch.first, place));
                    return false;
                }
                self.add((names.device, names.tag, names.unit), reading);
            }
            self.last = self.last.max(reading.timestamp.0);
        }
        true
    }

    /// What devices told of the time up to `until` later, out of their own history: it stands in the log behind what was told
    /// meanwhile, here from `at` on. Whether that is all.
    async fn take_later(&mut self, vitals: &Vitals, at: Seq, until: i64, limit: usize) -> Result<bool, String> {
        (self.room, self.times) = (limit, *self.times.start()..=until);
        let blocks = (at, Of::Times(*self.times.start(), until));
        let ended = walk(vitals, blocks, LATER, |stretch| self.take(stretch, |reading| reading.tense == Tense::Past));
        Ok(ended.await? == Ended::AtTheEnd)
    }

    fn add(&mut self, (device, tag, unit): (&str, &str, &str), reading: &Reading) {
        let readings = self.tags.entry((device.into(), tag.into())).or_insert_with(|| (unit.into(), Vec::new()));
        let reason = reading.quality.reason().map(|reason| reason.name());
        let (time, value) = (reading.timestamp.to_string(), json_value(&reading.value));
        let mut shown = vec![json!(time), value, json!(reading.quality.level().name()), json!(reason)];
        if reading.tense == Tense::Past {
            shown.push(json!("historical"));
        }
        readings.1.push((reading.timestamp.0, Value::Array(shown)));
        self.room -= 1;
    }
}

/// A time such as 2026-11-23T02:28:33Z, or so many seconds before now, such as -600.
fn moment(text: Option<&str>, now_ns: i64) -> Result<Option<i64>, String> {
    let Some(text) = text else { return Ok(None) };
    let back = text.strip_prefix('-').and_then(|back| back.parse::<u32>().ok());
    let back = back.map(|seconds| now_ns.saturating_sub(i64::from(seconds) * SECOND_NS));
    match back.or_else(|| parse_time(text)) {
        Some(at) => Ok(Some(at)),
        None => Err(format!("`{}` is no time: write one such as 2026-11-23T02:28:33Z, or -600", shown(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_so_many_seconds_ago() {
        let now = 1_000 * SECOND_NS;
        assert_eq!(moment(None, now), Ok(None));
        assert_eq!(moment(Some("-600"), now), Ok(Some(400 * SECOND_NS)));
        assert_eq!(moment(Some("1970-01-01T00:00:07Z"), now), Ok(Some(7 * SECOND_NS)));
        for wrong in ["", "-", "600", "yesterday", "--1", "-1.5", "-99999999999"] {
            assert!(moment(Some(wrong), now).is_err(), "{wrong}");
        }
    }
}
