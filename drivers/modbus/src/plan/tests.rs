use driver_core::{Device, DeviceSpec, TagId, TagSpec};

use super::*;
use crate::config::ModbusEndpoint;
use crate::device::ModbusDevice;
use crate::wire::Exception;

fn endpoint(url: &str) -> ModbusEndpoint {
    ModbusEndpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint")
}

fn spec<'a>(addresses: impl IntoIterator<Item = &'a str>) -> DeviceSpec {
    let tags = addresses.into_iter().enumerate().map(|(index, address)| TagSpec {
        id: TagId(100 + index as u32),
        address,
        group: GroupId(0),
    });
    DeviceSpec { groups: vec![std::time::Duration::from_secs(1)], tags: tags.collect(), ..DeviceSpec::default() }
}

fn device(url: &str, addresses: &[&str]) -> ModbusDevice {
    ModbusDevice::new(&endpoint(url), 0, &spec(addresses.iter().copied())).expect("a device")
}

fn requests(device: &ModbusDevice) -> Vec<String> {
    device.plan().requests.into_iter().map(|request| request.text).collect()
}

const TCP: &str = "modbus-tcp://plc";

#[test]
fn tables_units_and_files_are_read_apart() {
    let addresses = ["hr:3:UINT", "ir:0", "hr:0:INT", "co:9", "co:0", "di:5", "2!hr:1", "xr:9999", "xr:10000:DINT"];
    assert_eq!(
        requests(&device(TCP, &addresses)),
        [
            "hr:0..4 (function 3)",
            "ir:0..1 (function 4)",
            "co:0..10 (function 1)",
            "di:5..6 (function 2)",
            "2!hr:1..2 (function 3)",
            "xr:9999..10000 (function 20)",
            "xr:10000..10002 (function 20)",
        ]
    );
}

#[test]
fn gaps_are_read_along_where_the_line_is_fast_enough() {
    let addresses = ["hr:0", "hr:30", "hr:200"];
    assert_eq!(requests(&device(TCP, &addresses)), ["hr:0..31 (function 3)", "hr:200..201 (function 3)"]);
    let slow = device("modbus-rtu:///dev/ttyUSB0?baud=9600", &addresses);
    assert_eq!(requests(&slow), ["hr:0..1 (function 3)", "hr:30..31 (function 3)", "hr:200..201 (function 3)"]);
}

#[test]
fn each_group_has_a_plan_of_its_own() {
    let mut spec = spec(["hr:0", "hr:1", "hr:2"]);
    spec.groups.push(std::time::Duration::from_secs(60));
    let group = |index: usize| GroupId(u16::from(index == 1));
    spec.tags = spec.tags.iter().enumerate().map(|(index, tag)| TagSpec { group: group(index), ..tag }).collect();
    let device = ModbusDevice::new(&endpoint(TCP), 0, &spec).expect("a device");
    let requests: Vec<_> = device.plan().requests.into_iter().map(|one| (one.group.0, one.text, one.tags)).collect();
    assert_eq!(requests, [(0, "hr:0..3 (function 3)".into(), 2), (1, "hr:1..2 (function 3)".into(), 1)]);
}

#[test]
fn an_array_longer_than_a_request_is_read_in_parts() {
    let device = device(TCP, &["hr:0:REAL[100]", "co:0:BOOL[3000]"]);
    assert_eq!(
        requests(&device),
        ["hr:0..124 (function 3)", "hr:124..200 (function 3)", "co:0..2000 (function 1)", "co:2000..3000 (function 1)"]
    );
    assert_eq!(device.groups[0].assemblies.len(), 2);
}

#[test]
fn refused_addresses_seams_and_lengths_bound_the_plan_and_come_back_from_disk() {
    let addresses: Vec<String> = (0..100).map(|offset| format!("hr:{offset}")).collect();
    let spec = spec(addresses.iter().map(String::as_str));
    let mut device = ModbusDevice::new(&endpoint(TCP), 0, &spec).expect("a device");
    assert_eq!(requests(&device), ["hr:0..100 (function 3)"]);
    let now = tokio::time::Instant::now();
    let knowledge = &mut device.zones[0].knowledge;
    knowledge.refuse(10, Exception::IllegalDataAddress, now);
    knowledge.refuse_whole(90, 50, Exception::IllegalDataAddress, now);
    knowledge.accept(40);
    knowledge.refuse_whole(42, 50, Exception::IllegalDataValue, now);
    device.has_news = true;
    device.remake_plans();
    let expected =
        ["hr:0..10 (function 3)", "hr:11..50 (function 3)", "hr:50..59 (function 3)", "hr:59..100 (function 3)"];
    assert_eq!(requests(&device), expected);
    let learned = device.learned().expect("news");
    assert_eq!(device.learned(), None);

    let again = |learned: &str| {
        let spec = DeviceSpec { learned: Some(learned.into()), ..spec.clone() };
        requests(&ModbusDevice::new(&endpoint(TCP), 0, &spec).expect("a device"))
    };
    assert_eq!(again(&learned), expected);
    assert_eq!(again(&format!("{learned}nonsense 7\nrefused x\nrefused 9999 2\napart 1 hr 99999999999\n")), expected);
    for unreadable in ["", "modbus 1 0000000000000000\nrefused 1 2\n", "\u{0}garbage", "{}"] {
        assert_eq!(again(unreadable), ["hr:0..100 (function 3)"], "{unreadable:?}");
    }
}

#[test]
fn wrong_addresses_are_all_reported_with_their_places() {
    let errors = ModbusDevice::new(&endpoint(TCP), 3, &spec(["hr:0", "hr:x", "co:0:INT"])).expect_err("two errors");
    let places: Vec<_> = errors.into_iter().map(|error| error.place).collect();
    assert_eq!(places, [driver_core::Place::Address(3, 1, 3..4), driver_core::Place::Address(3, 2, 0..8)]);
}

#[test]
fn ten_thousand_tags_are_planned_in_well_under_a_second() {
    let addresses: Vec<String> = (0..10_000_u32).map(|index| format!("hr:{}:REAL", index * 37 % 65_000)).collect();
    let spec = spec(addresses.iter().map(String::as_str));
    let started = std::time::Instant::now();
    let device = ModbusDevice::new(&endpoint(TCP), 0, &spec).expect("a device");
    let tags: usize = device.plan().requests.iter().map(|request| request.tags).sum();
    assert_eq!(tags, 10_000);
    assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
}
