//! Every type in every area, written to the simulator: its bytes are those that Python's struct makes.

use driver_core::WriteOutcome;
use hardware_sim::s7::{Area, Plc};
use tests::cases;
use tests::field::Field;

use super::url;

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
        let outcome = plc.write(0, &driver_core::Value::Bool(true)).await.expect("it is connected");
        assert_eq!(outcome, WriteOutcome::Written(driver_core::Value::Bool(true)));
    });
    assert_eq!(plc.read(Area::Block(1), 2, 1), [0b1010_0111]);
}
