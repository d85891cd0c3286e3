//! Every type in every area, written to the simulator, whose bytes are then those that Python's struct makes, and to the C
//! library. (The pure python-snap7 writes only the first item of a request, and a whole byte for a bit.)

use driver_core::{Reading, Value, WriteOutcome};
use hardware_sim::s7::{Area, Plc};
use tests::cases;
use tests::field::Field;
use tests::snap7::{Library, Snap7};

use super::types::of_the_c_library;
use super::url;
use crate::types::folder;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

#[test]
fn every_type_and_area_is_written_as_it_was_read() {
    let field = Field::new();
    let (full, blank) = (Plc::new(), Plc::new());
    cases::s7::fill(&full);
    cases::s7::blank(&blank);
    let (from, to) = (field.s7(&full), field.s7(&blank));
    let all = cases::s7::all();
    let addresses: Vec<&str> = all.iter().map(|case| case.address.as_str()).collect();
    field.run(async {
        let mut reader = drivers::open(&url(from.address()), &addresses).await.expect("a connection");
        let mut writer = drivers::open(&url(to.address()), &addresses).await.expect("a connection");
        let readings = reader.read().await.expect("readings");
        for (index, reading) in readings.iter().enumerate() {
            let outcome = writer.write(index, &reading.value).await.expect("it is connected");
            // Told as text, for a NaN is not equal to itself.
            let expected = format!("{:?}", WriteOutcome::Written(reading.value.clone()));
            assert_eq!(format!("{outcome:?}"), expected, "{}", addresses[index]);
        }
    });
    for held in cases::s7::held() {
        let (place, len) = ((held.area, held.offset), held.bytes.len() as u16);
        let [wanted, found] = [&full, &blank].map(|plc| plc.read(held.area, held.offset, len));
        assert_eq!(found, wanted, "{place:?}");
    }
    assert_eq!(blank.counts().breaches, 0);
}

#[test]
fn a_bit_that_is_written_leaves_those_beside_it_alone() {
    let field = Field::new();
    let plc = Plc::new();
    plc.write(Area::Block(1), 2, &[0b1010_0101]);
    let server = field.s7(&plc);
    field.run(async {
        let mut plc = drivers::open(&url(server.address()), &["DB1.DBX2.1"]).await.expect("a connection");
        let outcome = plc.write(0, &Value::Bool(true)).await.expect("it is connected");
        assert_eq!(outcome, WriteOutcome::Written(Value::Bool(true)));
    });
    assert_eq!(plc.read(Area::Block(1), 2, 1), [0b1010_0111]);
}

/// Another value of the same type.
fn another(value: &Value) -> Value {
    match value {
        Value::None => Value::None,
        Value::Bool(set) => Value::Bool(!set),
        Value::Int(number) => Value::Int(number ^ 1),
        Value::UInt(number) => Value::UInt(number ^ 1),
        Value::Real(_) => Value::Real(-0.25),
        Value::LReal(_) => Value::LReal(1e-300),
        Value::Text(text) => Value::Text(text.chars().rev().collect::<String>().into()),
        Value::Duration(_) => Value::Duration(7 * SECOND),
        Value::DateTime(at) => Value::DateTime(at + DAY),
        Value::TimeOfDay(at) => Value::TimeOfDay((at + SECOND) % DAY),
        Value::Array(elements) => Value::Array(elements.iter().map(another).collect()),
    }
}

fn values(readings: Vec<Reading>) -> Vec<Value> {
    readings.into_iter().map(|reading| reading.value).collect()
}

#[test]
fn the_c_library_holds_what_was_written_and_nothing_else_changed() {
    let folder = folder();
    let Some(far) = Snap7::start(folder.path(), Library::C) else { return };
    let all = of_the_c_library();
    let addresses: Vec<&str> = all.iter().map(|case| case.address.as_str()).collect();
    Field::new().run(async {
        let url = format!("s7://127.0.0.1:{}", far.port());
        let mut plc = drivers::open(&url, &addresses).await.expect("a connection");
        let before = values(plc.read().await.expect("readings"));
        // Every other one, so that those between show what a write does beside its place.
        let wanted: Vec<Value> =
            before.iter().enumerate().map(|(n, v)| if n % 2 == 0 { another(v) } else { v.clone() }).collect();
        for (index, value) in wanted.iter().enumerate().step_by(2) {
            let outcome = plc.write(index, value).await.expect("it is connected");
            assert_eq!(outcome, WriteOutcome::Written(value.clone()), "{}", addresses[index]);
        }
        let after = values(plc.read().await.expect("readings"));
        // Told as text, for a NaN is not equal to itself.
        for ((address, wanted), after) in addresses.iter().zip(&wanted).zip(&after) {
            assert_eq!(format!("{after:?}"), format!("{wanted:?}"), "{address}");
        }
        plc.close().await;
    });
}
