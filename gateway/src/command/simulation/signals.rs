//! Which signal each address shows.
//!
//! ```text
//! BOOL, in a table of bits    on for five seconds, off for five
//! BOOL, elsewhere             its register or byte counts seconds, so that its bits change after 1, 2, 4, 8 … of them
//! UDINT, ULINT, DWORD, LWORD  counts seconds
//! counters                    count seconds, from 0 to 999 again and again
//! other integers              wander between 0 and 1000; 8-bit ones between 0 and 100
//! REAL, LREAL, F16            a sine from 0 to 100, from 20 to 39 seconds long
//! texts                       "sim"
//! times                       count seconds; S5TIME for ten minutes, again and again
//! dates                       count seconds; a DATE of days counts days
//! ```

use driver_core::{DataType, Value};
use hardware_sim::signal::Signal;

const NANOS_PER_SECOND: f64 = 1e9;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// 2026-11-23 00:00 UTC: dates count from here.
const DATE_NANOS: i64 = 1_795_392_000_000_000_000;

/// How long an S5TIME counts, seconds.
const S5TIME_S: f64 = 600.0;

/// The signal of a type; `number` tells one tag from another.
pub(super) fn signal_of(data_type: DataType, number: u32) -> Signal {
    match data_type {
        DataType::Half | DataType::Real | DataType::Lreal => {
            signal(&format!("sine(min=0,max=100,period={}s)", 20 + number % 20))
        }
        DataType::Sint | DataType::Usint | DataType::Byte => {
            signal(&format!("random-walk(min=0,max=100,step=2,every=1s,seed={number})"))
        }
        DataType::Int | DataType::Uint | DataType::Word | DataType::Dint | DataType::Lint => {
            signal(&format!("random-walk(min=0,max=1000,step=5,every=1s,seed={number})"))
        }
        _ => seconds(),
    }
}

/// A bit that is on for five seconds and off for five.
pub(super) fn blinking() -> Signal {
    signal("square(min=0,max=1,period=10s)")
}

/// Seconds.
pub(super) fn seconds() -> Signal {
    signal("counter(from=0,step=1,every=1s)")
}

/// What a signal shows in a type; `elements` makes it an array of equals.
pub(super) fn value_of(data_type: DataType, elements: Option<u16>, value: f64) -> Value {
    let one = one_of(data_type, value);
    match elements {
        Some(count) => Value::Array(vec![one; usize::from(count)].into()),
        None => one,
    }
}

fn one_of(data_type: DataType, value: f64) -> Value {
    let nanos = (value * NANOS_PER_SECOND) as i64;
    match data_type {
        DataType::Half | DataType::Real => Value::Real(value as f32),
        DataType::Lreal => Value::LReal(value),
        DataType::Char | DataType::Wchar => Value::Text("s".into()),
        DataType::String(length) | DataType::Wstring(length) => Value::Text("sim"[..3.min(length.into())].into()),
        DataType::Time | DataType::Ltime => Value::Duration(nanos),
        DataType::S5time => Value::Duration((value.rem_euclid(S5TIME_S) * NANOS_PER_SECOND) as i64),
        DataType::TimeOfDay | DataType::Ltod => Value::TimeOfDay(nanos % NANOS_PER_DAY),
        DataType::Date => Value::DateTime(DATE_NANOS + value as i64 * NANOS_PER_DAY),
        DataType::DateAndTime | DataType::Dtl | DataType::Ldt => Value::DateTime(DATE_NANOS + nanos),
        _ => Value::Int(value as i64),
    }
}

fn signal(text: &str) -> Signal {
    let no_files = |_: &str| Err(std::io::Error::other("no recordings here"));
    Signal::parse(text, no_files).expect("the texts here are signals")
}
