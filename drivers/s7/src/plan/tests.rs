//! Plans of whole devices: what is asked for, and what is learned.

use std::time::Duration;

use driver_core::{Device, DeviceSpec, GroupId, TagId, TagSpec};

use crate::config::S7Endpoint;
use crate::device::S7Device;

fn device(url: &str, addresses: &[&str], learned: Option<String>) -> S7Device {
    let endpoint = S7Endpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint");
    let tags = (0..).zip(addresses);
    let tags = tags.map(|(id, address)| TagSpec { id: TagId(id), address, group: GroupId(0) });
    let spec =
        DeviceSpec { groups: vec![Duration::from_secs(1)], tags: tags.collect(), learned, ..DeviceSpec::default() };
    S7Device::new(&endpoint, 0, &spec).expect("right addresses")
}

fn requests(device: &S7Device) -> Vec<String> {
    device.plan().requests.into_iter().map(|request| request.text).collect()
}

#[test]
fn tags_of_all_areas_share_a_request_and_neighbours_an_item() {
    let addresses =
        ["MW10", "DB1.DBD4:REAL", "DB1.DBX2.1", "T5", "T7", "C1", "I0.0", "DB2.DBB0:STRING(8)", "DB1.DBD60"];
    let planned = device("s7://plc", &addresses, None);
    assert_eq!(requests(&planned), ["M 10..12, DB1 2..8, DB1 60..64, T 5..8, C 1..2, I 0..1, DB2 0..10"]);
    let plan = planned.plan();
    assert_eq!((plan.requests[0].tags, plan.requests[0].wire_bytes), (9, 19 + 7 * 12 + 21 + 7 * 4 + 31 + 1));
}

#[test]
fn the_size_that_the_plc_agrees_to_is_planned_with() {
    let addresses: Vec<String> = (0..235).map(|index| format!("DB1.DBD{}:REAL", 4 * index)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut planned = device("s7://plc?plc=s7-1500", &addresses, None);
    for (pdu, expected) in [(960, 1), (480, 3), (240, 5), (960, 1)] {
        planned.fit(pdu);
        assert_eq!(planned.plan().requests.len(), expected, "{pdu}");
    }
}

#[test]
fn a_value_longer_than_an_item_is_cut_between_its_elements() {
    let planned = device("s7://plc", &["DB1.DBB0:LREAL[60]", "DB1.DBB480:DTL"], None);
    assert_eq!(requests(&planned), ["DB1 0..216", "DB1 216..432", "DB1 432..492"]);
    let text = device("s7://plc", &["DB1.DBB0:STRING(254)"], None);
    assert_eq!(requests(&text), ["DB1 0..222", "DB1 222..256"]);
}

#[test]
fn what_was_learned_is_kept_as_text_and_used_again() {
    let addresses = ["DB1.DBW0:INT", "DB1.DBW2:INT", "DB1.DBW4:INT", "DB7.DBW0:INT", "PIW0:INT", "PIW4:INT"];
    let fresh = device("s7://plc", &addresses, None);
    assert_eq!(requests(&fresh), ["DB1 0..6, DB7 0..2, PI 0..6"]);
    let head = super::learned::save(&fresh.tags, &fresh.zones);
    let learned = head + "refused 1 5\nabsent DB7 10\napart PI 4\nnot understood\n";
    let taught = device("s7://plc", &addresses, Some(learned.clone()));
    assert_eq!(requests(&taught), ["DB1 0..2, DB1 4..6, PI 0..2, PI 4..6"]);
    assert_eq!(super::learned::save(&taught.tags, &taught.zones), learned.replace("not understood\n", ""));
    let other = device("s7://plc", &addresses[..5], Some(learned));
    assert_eq!(requests(&other), ["DB1 0..6, DB7 0..2, PI 0..2"], "another list of tags");
}

#[test]
fn what_cannot_be_read_or_has_a_unit_is_refused() {
    let endpoint = S7Endpoint::parse(&"s7://plc".parse().expect("a URL"), None).expect("an endpoint");
    let tag = TagSpec { id: TagId(0), address: "PQW4:INT", group: GroupId(0) };
    let polled = DeviceSpec {
        groups: vec![Duration::from_secs(1)],
        unit: Some(3),
        tags: [tag].into_iter().collect(),
        ..DeviceSpec::default()
    };
    let errors = S7Device::new(&endpoint, 0, &polled).expect_err("two errors");
    assert!(errors[0].message.contains("rack and slot") && errors[1].message.contains("QW256"), "{errors:?}");
    let written = DeviceSpec { groups: Vec::new(), unit: None, ..polled };
    assert!(S7Device::new(&endpoint, 0, &written).is_ok());
}

#[test]
fn ten_thousand_tags_of_which_every_other_is_refused_are_planned_at_once() {
    let addresses: Vec<String> = (0..10_000).map(|index| format!("DB1.DBW{}", 2 * index)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let fresh = device("s7://plc", &addresses, None);
    let head = super::learned::save(&fresh.tags, &fresh.zones);
    let refused: String = (0..10_000).step_by(2).map(|tag| format!("refused {tag} 5\n")).collect();
    let started = std::time::Instant::now();
    let planned = device("s7://plc", &addresses, Some(head + &refused));
    let elapsed = started.elapsed();
    assert_eq!(planned.plan().requests.len(), 5_000_usize.div_ceil(19), "each stands alone");
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
}
