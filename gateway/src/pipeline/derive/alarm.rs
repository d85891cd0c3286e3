//! Whether a tag is where it should be: one enum, one pure step. No I/O.
//!
//! ```text
//!            beyond            for `hold`                  acknowledge
//! normal ------------> pending ------------> unacknowledged ------------> acknowledged
//!    ^  ^----- back ------'                        | back                       | back
//!    |                                             v                            |
//!    +---------------- acknowledge ------------ returned                        |
//!    +--------------------------------------------------------------------------+
//! ```
//!
//! Beyond means above `high` or below `low`, or true; back means on the other side of the limit by the hysteresis. A bad
//! value changes no alarm: its reading is bad as long. One that is shelved goes on within, and tells nothing but that.

use std::time::{Duration, Instant};

use driver_core::{Level, Quality, Timestamp, Value};

/// What commands to an alarm look like.
pub const HELP: &str = "an alarm takes `acknowledge`, `shelve 30m` (s, m, h or d) and `unshelve`";

/// The longest time for which an alarm is shelved.
const SHELVED_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Where a tag should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlarmRule {
    /// Above this it is too high.
    pub high: Option<f64>,
    /// Below this it is too low.
    pub low: Option<f64>,
    /// How far it has to come back from a limit.
    pub hysteresis: f64,
    /// How long it has to be beyond a limit.
    pub hold: Duration,
}

/// On which side it is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Above `high`.
    High,
    /// Below `low`.
    Low,
    /// It has no limits and is true.
    On,
}

/// Where an alarm stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AlarmState {
    /// All is well.
    #[default]
    Normal,
    /// It is beyond, and not for long enough.
    Pending {
        /// Where.
        side: Side,
        /// Since when.
        since: Instant,
    },
    /// It is beyond, and nobody has said that they know.
    Unacknowledged(Side),
    /// It is beyond, and somebody knows.
    Acknowledged(Side),
    /// It was beyond, is not any more, and nobody has said that they know.
    Returned,
}

/// An alarm with what was told of it.
#[derive(Debug, Clone, Default)]
pub struct Alarm {
    state: AlarmState,
    shelved_until: Option<Timestamp>,
    told: Option<(&'static str, Quality)>,
}

/// What is kept of it across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptAlarm {
    /// Its word, see [`Alarm::word`]; a pending one is normal.
    pub word: &'static str,
    /// Until when it is shelved.
    pub shelved_until: Option<Timestamp>,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Value(f64),
    Acknowledge,
}

const WORDS: [(&str, AlarmState); 8] = [
    ("normal", AlarmState::Normal),
    ("high", AlarmState::Unacknowledged(Side::High)),
    ("low", AlarmState::Unacknowledged(Side::Low)),
    ("on", AlarmState::Unacknowledged(Side::On)),
    ("high acknowledged", AlarmState::Acknowledged(Side::High)),
    ("low acknowledged", AlarmState::Acknowledged(Side::Low)),
    ("on acknowledged", AlarmState::Acknowledged(Side::On)),
    ("returned", AlarmState::Returned),
];

const SHELVED: &str = "shelved";

impl AlarmRule {
    /// On which side a number is, seen from where it was.
    fn side(&self, number: f64, before: Option<Side>) -> Option<Side> {
        if self.high.is_none() && self.low.is_none() {
            return (number != 0.0).then_some(Side::On);
        }
        let back = |side| if before == Some(side) { self.hysteresis } else { 0.0 };
        if self.high.is_some_and(|high| number > high - back(Side::High)) {
            return Some(Side::High);
        }
        self.low.is_some_and(|low| number < low + back(Side::Low)).then_some(Side::Low)
    }
}

impl AlarmState {
    fn side(self) -> Option<Side> {
        match self {
            AlarmState::Pending { side, .. } | AlarmState::Unacknowledged(side) | AlarmState::Acknowledged(side) => {
                Some(side)
            }
            AlarmState::Normal | AlarmState::Returned => None,
        }
    }

    fn step(self, event: Event, rule: &AlarmRule, now: Instant) -> AlarmState {
        use AlarmState::{Acknowledged, Normal, Pending, Returned, Unacknowledged};
        let beyond = match event {
            Event::Value(number) => rule.side(number, self.side()),
            Event::Acknowledge => {
                return match self {
                    Unacknowledged(side) => Acknowledged(side),
                    Returned => Normal,
                    Normal | Pending { .. } | Acknowledged(_) => self,
                };
            }
        };
        let begun = |side| if rule.hold.is_zero() { Unacknowledged(side) } else { Pending { side, since: now } };
        match (self, beyond) {
            (Normal, Some(side)) => begun(side),
            (Normal | Pending { .. } | Acknowledged(_), None) => Normal,
            (Pending { side, since }, Some(there)) if side == there => {
                if now.saturating_duration_since(since) >= rule.hold { Unacknowledged(side) } else { self }
            }
            (Pending { .. }, Some(side)) => begun(side),
            (Acknowledged(side), Some(there)) if side == there => self,
            (Unacknowledged(_) | Returned, None) => Returned,
            (Unacknowledged(_) | Acknowledged(_) | Returned, Some(side)) => Unacknowledged(side),
        }
    }

    fn word(self) -> &'static str {
        let shown = if let AlarmState::Pending { .. } = self { AlarmState::Normal } else { self };
        WORDS.iter().find(|(_, state)| *state == shown).map_or("normal", |(word, _)| word)
    }
}

impl Alarm {
    /// As an earlier run left it.
    pub fn resumed(kept: KeptAlarm) -> Alarm {
        let state = WORDS.iter().find(|(word, _)| *word == kept.word).map_or(AlarmState::Normal, |(_, state)| *state);
        Alarm { state, shelved_until: kept.shelved_until, told: None }
    }

    /// What is kept of it.
    pub fn kept(&self) -> KeptAlarm {
        KeptAlarm { word: self.state.word(), shelved_until: self.shelved_until }
    }

    /// The known word that a text is.
    pub fn word(text: &str) -> Option<&'static str> {
        WORDS.iter().map(|(word, _)| *word).find(|word| *word == text)
    }

    /// Takes a value in; what is to be told, when that is another than before.
    pub fn take_in(
        &mut self,
        rule: &AlarmRule,
        value: &Value,
        quality: Quality,
        at: Timestamp,
        now: Instant,
    ) -> Option<(Value, Quality)> {
        let number = value.as_f64().filter(|number| !number.is_nan() && quality.level() != Level::Bad);
        if let Some(number) = number {
            self.state = self.state.step(Event::Value(number), rule, now);
        }
        if self.shelved_until.is_some_and(|until| until <= at) {
            self.shelved_until = None;
        }
        let quality = match (number, quality) {
            (None, Quality::Bad(reason)) => Quality::Bad(reason),
            (_, other) => other,
        };
        let told = (self.shown(), quality);
        if self.told == Some(told) {
            return None;
        }
        self.told = Some(told);
        let value = if quality.level() == Level::Bad { Value::None } else { Value::Text(told.0.into()) };
        Some((value, quality))
    }

    /// Does what somebody wants; what it shows then.
    ///
    /// # Errors
    /// It cannot be done; why.
    pub fn command(&mut self, wanted: &str, at: Timestamp) -> Result<Value, String> {
        let mut words = wanted.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("acknowledge"), None, None) => {
                let rule = AlarmRule { high: None, low: None, hysteresis: 0.0, hold: Duration::ZERO };
                let next = self.state.step(Event::Acknowledge, &rule, Instant::now());
                if next == self.state {
                    return Err(format!("there is nothing to acknowledge: the alarm is {}", self.state.word()));
                }
                self.state = next;
            }
            (Some("shelve"), Some(time), None) => {
                let time = time_of(time).ok_or(HELP)?;
                let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
                self.shelved_until = Some(Timestamp(at.0.saturating_add(nanos)));
            }
            (Some("unshelve"), None, None) => self.shelved_until = None,
            _ => return Err(HELP.into()),
        }
        let shown = self.shown();
        self.told = Some((shown, Quality::Good));
        Ok(Value::Text(shown.into()))
    }

    fn shown(&self) -> &'static str {
        if self.shelved_until.is_some() { SHELVED } else { self.state.word() }
    }
}

/// A time such as `30m`, at most a week.
fn time_of(text: &str) -> Option<Duration> {
    let unit_s = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    let time = Duration::from_secs(count.checked_mul(unit_s)?);
    (!time.is_zero() && time <= SHELVED_MAX).then_some(time)
}

#[cfg(test)]
mod tests {
    use driver_core::Reason;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const RULE: AlarmRule =
        AlarmRule { high: Some(90.0), low: Some(10.0), hysteresis: 5.0, hold: Duration::from_secs(10) };

    /// What is told of values at seconds, with commands between them.
    fn told(rule: AlarmRule, steps: &[(u32, Result<f64, &str>)]) -> Vec<String> {
        let (start, mut alarm) = (Instant::now(), Alarm::default());
        let said = steps.iter().filter_map(|(second, step)| {
            let at = Timestamp(i64::from(*second) * 1_000_000_000);
            let told = match step {
                Ok(number) => {
                    let value = Value::LReal(*number);
                    alarm.take_in(&rule, &value, Quality::Good, at, start + *second * SECOND)?.0
                }
                Err(wanted) => match alarm.command(wanted, at) {
                    Ok(value) => value,
                    Err(_) => return Some(format!("{second} refused")),
                },
            };
            let Value::Text(text) = told else { panic!("a text") };
            Some(format!("{second} {text}"))
        });
        said.collect()
    }

    #[test]
    fn it_comes_after_the_hold_and_goes_beyond_the_hysteresis() {
        let steps = [(0, 50.0), (1, 91.0), (5, 50.0), (6, 91.0), (15, 91.0), (16, 91.0), (17, 86.0), (18, 85.0)];
        let steps = steps.map(|(at, value)| (at, Ok(value)));
        assert_eq!(told(RULE, &steps), ["0 normal", "16 high", "18 returned"]);
    }

    #[test]
    fn each_side_is_told_and_acknowledged() {
        let rule = AlarmRule { hold: Duration::ZERO, ..RULE };
        let steps = [
            (0, Err("acknowledge")),
            (1, Ok(95.0)),
            (2, Err("acknowledge")),
            (3, Ok(96.0)),
            (4, Ok(5.0)),
            (5, Ok(50.0)),
            (6, Err("acknowledge")),
            (7, Ok(5.0)),
            (8, Err("acknowledge")),
            (9, Ok(50.0)),
        ];
        let expected = [
            "0 refused",
            "1 high",
            "2 high acknowledged",
            "4 low",
            "5 returned",
            "6 normal",
            "7 low",
            "8 low acknowledged",
            "9 normal",
        ];
        assert_eq!(told(rule, &steps), expected);
    }

    #[test]
    fn what_is_shelved_tells_nothing_until_its_time_is_over() {
        let rule = AlarmRule { hold: Duration::ZERO, ..RULE };
        let steps = [
            (0, Ok(50.0)),
            (1, Err("shelve 1m")),
            (2, Ok(95.0)),
            (60, Ok(95.0)),
            (61, Ok(95.0)),
            (62, Err("shelve 8d")),
            (63, Err("shelve 1h")),
            (64, Err("unshelve")),
            (65, Err("sing")),
        ];
        let expected = ["0 normal", "1 shelved", "61 high", "62 refused", "63 shelved", "64 high", "65 refused"];
        assert_eq!(told(rule, &steps), expected);
    }

    #[test]
    fn without_limits_it_is_on_while_the_tag_is_true_and_a_bad_value_changes_nothing() {
        let rule = AlarmRule { high: None, low: None, hysteresis: 0.0, hold: Duration::ZERO };
        let (now, at) = (Instant::now(), Timestamp(0));
        let mut alarm = Alarm::default();
        let mut take = |value: Value, quality| alarm.take_in(&rule, &value, quality, at, now);
        let bad = Quality::Bad(Reason::Timeout);
        assert_eq!(take(Value::Bool(true), Quality::Good), Some((Value::Text("on".into()), Quality::Good)));
        assert_eq!(take(Value::None, bad), Some((Value::None, bad)));
        assert_eq!(take(Value::None, bad), None);
        assert_eq!(take(Value::Bool(true), Quality::Good), Some((Value::Text("on".into()), Quality::Good)));
        let resumed = Alarm::resumed(alarm.kept());
        assert_eq!(resumed.state, AlarmState::Unacknowledged(Side::On));
    }
}
