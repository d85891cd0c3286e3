//! What a PLC agrees to is kept: PDU size, jobs at a time, TPDU size, items per request. Nothing of it changes a value.

use std::time::Duration;

use hardware_sim::s7::{Plc, PlcConfig, PlcCounts};
use tests::cases;
use tests::field::Field;

use super::url;

/// Reads every case three times and gives what was read, as text, and what the PLC saw.
fn read(config: PlcConfig) -> (String, PlcCounts) {
    let field = Field::new();
    let plc = Plc::new();
    plc.configure(config);
    cases::s7::fill(&plc);
    let server = field.s7(&plc);
    let all = cases::s7::all();
    let addresses: Vec<&str> = all.iter().map(|case| case.address.as_str()).collect();
    let values = field.run(async {
        let mut reader = drivers::open(&url(server.address()), &addresses).await.expect("a connection");
        let mut values = Vec::new();
        for _ in 0..3 {
            let readings = reader.read().await.expect("readings");
            values.push(readings.into_iter().map(|reading| (reading.value, reading.quality)).collect::<Vec<_>>());
        }
        reader.close().await;
        values
    });
    (format!("{values:?}"), plc.counts())
}

#[test]
fn a_plc_is_never_asked_for_more_than_it_agreed_to() {
    let (expected, all) = read(PlcConfig::default());
    assert_eq!((all.breaches, all.items_refused, all.requests_refused), (0, 0, 0), "{all:?}");
    let latency = Duration::from_millis(3);
    for (pdu_max, jobs_max, tpdu_max, items_max) in
        [(240, 1, 128, 20), (240, 2, 1024, 20), (480, 3, 256, 20), (480, 8, 8192, 20), (960, 4, 512, 20)]
    {
        let config = PlcConfig { pdu_max, jobs_max, tpdu_max, items_max, latency, ..PlcConfig::default() };
        let (found, counts) = read(config);
        assert_eq!(found, expected, "PDU {pdu_max}, {jobs_max} jobs, TPDU {tpdu_max}");
        assert_eq!((counts.breaches, counts.requests_refused), (0, 0), "PDU {pdu_max}: {counts:?}");
    }
}

#[test]
fn a_plc_with_one_connection_is_read_again_after_a_connection_was_lost() {
    let field = Field::new();
    let plc = Plc::new();
    plc.configure(PlcConfig { connections_max: 1, ..PlcConfig::default() });
    cases::s7::fill(&plc);
    let server = field.s7(&plc);
    field.run(async {
        let mut reader = drivers::open(&url(server.address()), &["DB1.DBW6:INT"]).await.expect("a connection");
        for _ in 0..3 {
            reader.read().await.expect("a reading");
            server.drop_connections();
            // The loss shows at the next request or the one after it.
            while reader.read().await.is_ok() {}
        }
        reader.read().await.expect("a reading");
        assert_eq!(server.connections(), 1);
    });
}
