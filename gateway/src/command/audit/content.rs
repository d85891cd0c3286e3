//! What a message says: a reading, a batch of readings, a gap, or the state of a gateway.

use std::hash::{DefaultHasher, Hash, Hasher};

use buffer::{Seq, SeqRange};
use serde_json::Value;

use super::time;

/// A message, understood.
#[derive(Debug, PartialEq)]
pub(super) struct Content<'a> {
    /// The gateway's name; single readings do not bear it.
    pub(super) gateway: Option<&'a str>,
    pub(super) what: What<'a>,
}

/// What a message brings.
#[derive(Debug, PartialEq)]
pub(super) enum What<'a> {
    Readings(Vec<Reading<'a>>),
    Gap(Gap),
    /// `online` or `offline`.
    State(&'a str),
}

/// As much of a reading as is needed to prove that it is there, once and in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading<'a> {
    pub(super) epoch: u32,
    pub(super) seq: Seq,
    pub(super) device: &'a str,
    pub(super) tag: &'a str,
    pub(super) lane: Lane,
    pub(super) time_ns: i64,
    pub(super) clock: Clock,
    /// `good`, `uncertain` or `bad`.
    pub(super) quality: &'a str,
    /// Why the quality is not good; empty where it is.
    pub(super) reason: &'a str,
    /// Stands for device, tag, value and quality; not for the time, which is put right when a clock is set.
    pub(super) fingerprint: u32,
}

/// In which lane a reading came; each has an order of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    Live,
    /// A backlog or a replay, as the payload declares.
    Behind,
    /// What a device's own history told, as the reading declares.
    Past,
}

/// Whether the time of a reading can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Synchronized,
    Unsynchronized,
}

/// Readings that will never come, as the gateway declares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) seqs: SeqRange,
    pub(super) count: u64,
    pub(super) reason: Box<str>,
}

/// Understands a message; `None` when it is not one of Forebay's, whole or in part.
pub(super) fn content(message: &Value) -> Option<Content<'_>> {
    let gateway = message["gateway"].as_str();
    let what = if let Some(readings) = message["readings"].as_array() {
        let epoch = epoch(message)?;
        let device = message["device"].as_str()?;
        let lane = lane(message);
        What::Readings(readings.iter().map(|one| reading(one, message, epoch, device, lane)).collect::<Option<_>>()?)
    } else if message["gap"].is_object() {
        What::Gap(gap(&message["gap"])?)
    } else if let Some(state) = message["state"].as_str() {
        What::State(state)
    } else {
        What::Readings(vec![reading(message, message, epoch(message)?, message["device"].as_str()?, lane(message))?])
    };
    Some(Content { gateway, what })
}

fn epoch(message: &Value) -> Option<u32> {
    u32::try_from(message["epoch"].as_u64()?).ok()
}

fn lane(message: &Value) -> Lane {
    if message["lane"].is_string() { Lane::Behind } else { Lane::Live }
}

/// What a reading does not say itself, its batch says.
fn reading<'a>(one: &'a Value, batch: &'a Value, epoch: u32, device: &'a str, lane: Lane) -> Option<Reading<'a>> {
    let common = |name: &str| one[name].as_str().or_else(|| batch[name].as_str());
    let (tag, quality) = (one["tag"].as_str()?, common("quality")?);
    let reason = one["reason"].as_str().unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (device, tag, quality, reason).hash(&mut hasher);
    one.get("value")?.to_string().hash(&mut hasher);
    let unsynchronized = one["clock"] == "unsynchronized";
    Some(Reading {
        epoch,
        seq: one["seq"].as_u64()?,
        device,
        tag,
        lane: if one["historical"] == true { Lane::Past } else { lane },
        time_ns: time::parse(common("time")?)?,
        clock: if unsynchronized { Clock::Unsynchronized } else { Clock::Synchronized },
        quality,
        reason,
        fingerprint: hasher.finish() as u32,
    })
}

fn gap(gap: &Value) -> Option<Gap> {
    let seqs = SeqRange { first: gap["first"].as_u64()?, last: gap["last"].as_u64()? };
    let (count, reason) = (gap["count"].as_u64()?, gap["reason"].as_str()?.into());
    (seqs.first <= seqs.last).then_some(Gap { seqs, count, reason })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SINGLE: &str = r#"{"time":"2026-11-23T02:28:33.123456Z","device":"press","tag":"temperature","value":21.5,"quality":"good","unit":"°C","epoch":7,"seq":1234}"#;

    const BATCH: &str = r#"{"gateway":"acme/line7","device":"press","epoch":7,"time":"2026-11-23T02:28:33.123456Z","quality":"good","readings":[{"tag":"temperature","value":21.5,"seq":1234},{"time":"2026-11-23T02:28:34.123456Z","tag":"temperature","value":null,"quality":"bad","reason":"timeout","clock":"unsynchronized","seq":1236}]}"#;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn a_reading_is_the_same_by_itself_and_in_a_batch() {
        let (single, batch) = (parsed(SINGLE), parsed(BATCH));
        let single = content(&single).expect("a reading");
        let batch = content(&batch).expect("a batch");
        let (What::Readings(one), What::Readings(two)) = (&single.what, &batch.what) else { panic!("readings") };
        assert_eq!((single.gateway, batch.gateway), (None, Some("acme/line7")));
        assert_eq!(one[0], two[0]);
        assert_eq!((one[0].epoch, one[0].seq, one[0].device, one[0].tag), (7, 1234, "press", "temperature"));
        assert_eq!((two[1].quality, two[1].reason, two[1].clock), ("bad", "timeout", Clock::Unsynchronized));
        assert_ne!(two[0].fingerprint, two[1].fingerprint);
    }

    #[test]
    fn a_time_that_was_put_right_leaves_the_reading_the_same() {
        let mut later = parsed(SINGLE);
        later["time"] = json!("2026-11-23T03:00:00.000000Z");
        let before = parsed(SINGLE);
        let (Some(before), Some(later)) = (content(&before), content(&later)) else { panic!("readings") };
        let (What::Readings(before), What::Readings(later)) = (before.what, later.what) else { panic!("readings") };
        assert_eq!(before[0].fingerprint, later[0].fingerprint);
    }

    #[test]
    fn gaps_and_states_are_understood() {
        let gap = json!({"gateway": "g", "gap": {"first": 10, "last": 19, "count": 10, "reason": "dropped-oldest"}});
        let expected = Gap { seqs: SeqRange { first: 10, last: 19 }, count: 10, reason: "dropped-oldest".into() };
        assert_eq!(content(&gap), Some(Content { gateway: Some("g"), what: What::Gap(expected) }));
        let state = json!({"gateway": "g", "uplink": "cloud", "state": "online"});
        assert_eq!(content(&state), Some(Content { gateway: Some("g"), what: What::State("online") }));
    }

    #[test]
    fn what_is_not_forebays_is_left_alone() {
        let backwards = json!({"gateway": "g", "gap": {"first": 19, "last": 10, "count": 1, "reason": "x"}});
        let mut without = parsed(BATCH);
        without["readings"][1].as_object_mut().expect("an object").remove("seq");
        for other in [json!(7), json!({}), json!([1]), json!({"readings": [1]}), json!({"gap": {}}), backwards, without]
        {
            assert_eq!(content(&other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(cut in 0..BATCH.len(), with in "[\"{}\\[\\]0-9a-z:,]{0,6}") {
            if let (Some(head), Some(tail)) = (BATCH.get(..cut), BATCH.get(cut..))
                && let Ok(value) = serde_json::from_str::<Value>(&format!("{head}{with}{tail}"))
            {
                content(&value);
            }
        }
    }
}
