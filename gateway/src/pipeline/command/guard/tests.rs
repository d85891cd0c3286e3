use driver_core::{DataType, Reason, Value};

use super::super::super::expression::{Kind, parse};
use super::super::super::tags::DevicePlace;
use super::super::rule::{TagForm, WriteRule};
use super::super::{CommandDoor, Origin, Role, Target, Wanted};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TIME: Timestamp = Timestamp(1_800_000_000_000_000_000);

fn target() -> Target {
    Target { device: "press".into(), tag: "setpoint".into() }
}

fn writable(rule: WriteRule) -> Writable {
    Writable {
        tag: TagId(0),
        target: target(),
        place: DevicePlace { line: 0, device: 0 },
        form: TagForm { data_type: DataType::Int, elements: 1, scale: None },
        rule,
    }
}

fn command(received: Instant) -> Command {
    Command {
        target: target(),
        value: Wanted::Value(Value::Int(80)),
        key: None,
        sent: None,
        expires: None,
        lives_for: None,
        received,
        origin: Origin { door: CommandDoor::Http, from: "127.0.0.1".into(), who: "anna".into(), role: Role::Operator },
    }
}

fn at(instant: Instant) -> Now {
    Now { instant, time: TIME, clock: ClockState::Synchronized }
}

fn nobody(_: TagId) -> Option<Seen> {
    None
}

fn verdict(command: &Command, rule: WriteRule, now: Now) -> Result<Duration, RefusedFor> {
    let checked = check(command, &writable(rule), &Pace::default(), now, nobody);
    checked.map(|admitted| admitted.until - now.instant).map_err(|(why, _)| why)
}

#[test]
fn who_may_write_is_the_tags_matter() {
    let start = Instant::now();
    let rule = WriteRule { role: Role::Engineer, ..WriteRule::default() };
    for (role, expected) in [
        (Role::Viewer, Err(RefusedFor::NotPermitted)),
        (Role::Operator, Err(RefusedFor::NotPermitted)),
        (Role::Engineer, Ok(10 * SECOND)),
        (Role::Admin, Ok(10 * SECOND)),
    ] {
        let mut sent = command(start);
        sent.origin.role = role;
        assert_eq!(verdict(&sent, rule.clone(), at(start)), expected, "{role:?}");
    }
}

#[test]
fn nothing_is_handed_over_late() {
    let start = Instant::now();
    let second_ns = SECOND.as_nanos() as i64;
    let plain = command(start);
    let sent = |seconds: i64| Command { sent: Some(Timestamp(TIME.0 - seconds * second_ns)), ..plain.clone() };
    let expires = |seconds: i64| Command { expires: Some(Timestamp(TIME.0 + seconds * second_ns)), ..plain.clone() };
    let lives = |seconds| Command { lives_for: Some(seconds * SECOND), ..plain.clone() };
    let late = Err(RefusedFor::Expired);
    let cases = [
        ("at once", plain.clone(), 0, Ok(10 * SECOND)),
        ("waited", plain.clone(), 4, Ok(6 * SECOND)),
        ("waited too long", plain.clone(), 10, late),
        ("on its way", sent(4), 0, Ok(6 * SECOND)),
        ("on its way for long", sent(11), 0, late),
        ("on its way since last week", sent(604_800), 0, late),
        ("on its way and waited: the larger counts", sent(4), 7, Ok(3 * SECOND)),
        ("a clock a little ahead", sent(-3), 0, Ok(10 * SECOND)),
        ("a clock far ahead", sent(-60), 0, late),
        ("the sender's own limit", expires(2), 0, Ok(2 * SECOND)),
        ("the sender's limit has passed", expires(-1), 0, late),
        ("the sender cannot prolong", expires(3_600), 0, Ok(10 * SECOND)),
        ("the broker's count", lives(3), 1, Ok(2 * SECOND)),
        ("the broker's count has passed", lives(3), 3, late),
    ];
    for (name, command, waited, expected) in cases {
        assert_eq!(verdict(&command, WriteRule::default(), at(start + waited * SECOND)), expected, "{name}");
    }
    let unset = Now { clock: ClockState::Unsynchronized, ..at(start) };
    assert_eq!(verdict(&sent(1), WriteRule::default(), unset), late);
    assert_eq!(verdict(&plain, WriteRule::default(), unset), Ok(10 * SECOND));
}

#[test]
fn what_is_asked_for_has_to_fit() {
    let start = Instant::now();
    let with = |value| Command { value: Wanted::Value(value), ..command(start) };
    let rule = WriteRule { max: Some(90.0), ..WriteRule::default() };
    let verdict = |value| verdict(&with(value), rule.clone(), at(start)).map_err(|why| why.name());
    assert_eq!(verdict(Value::Text("80".into())), Err("wrong-type"));
    assert_eq!(verdict(Value::Int(91)), Err("out-of-range"));
    assert_eq!(verdict(Value::Int(90)), Ok(10 * SECOND));
}

#[test]
fn an_interlock_holds_back_until_its_tags_are_good_fresh_and_right() {
    let start = Instant::now();
    let mut resolve = |_: &[&str]| Ok((TagId(1), Kind::Number));
    let condition = parse("press.mode == 2", &mut resolve).expect("a condition");
    let interlock = Interlock { condition, fresh_for: [3 * SECOND].into() };
    let rule = WriteRule { only_if: Some(interlock), ..WriteRule::default() };
    let seen = |value, quality| Some(Seen { value, quality, at: start, timestamp: TIME });
    let cases = [
        (None, 0, Some("not read yet")),
        (seen(Value::Int(2), Quality::Good), 0, None),
        (seen(Value::Int(2), Quality::Good), 3, None),
        (seen(Value::Int(2), Quality::Good), 4, Some("old")),
        (seen(Value::Int(1), Quality::Good), 0, Some("does not hold")),
        (seen(Value::None, Quality::Bad(Reason::Timeout)), 0, Some("timeout")),
        (seen(Value::Int(2), Quality::Uncertain(Reason::SensorFailure)), 0, Some("sensor-failure")),
        (seen(Value::LReal(f64::NAN), Quality::Good), 0, Some("no number")),
    ];
    for (seen, seconds, expected) in cases {
        let now = start + seconds * SECOND;
        let checked = check(&command(now), &writable(rule.clone()), &Pace::default(), at(now), |_| seen.clone());
        match (checked, expected) {
            (Ok(_), None) => {}
            (Err((RefusedFor::Interlock, said)), Some(expected)) => assert!(said.contains(expected), "{said}"),
            (checked, expected) => panic!("{seen:?} after {seconds} s: {checked:?}, {expected:?}"),
        }
    }
}

#[test]
fn no_more_than_the_rate_are_handed_over() {
    let start = Instant::now();
    let rate = Rate { count: 3, per: 6 * SECOND };
    let mut pace = Pace::default();
    let taken: Vec<u64> = (0..20)
        .filter(|second| {
            let now = start + Duration::from_secs(*second);
            let allowed = pace.allows(rate, now).is_ok();
            if allowed {
                pace.note(rate, now);
            }
            allowed
        })
        .collect();
    assert_eq!(taken, [0, 1, 2, 6, 7, 8, 12, 13, 14, 18, 19]);
    assert_eq!(pace.0.len(), 3);
}
