//! What to do about readings that are not good.

use driver_core::Reason;

/// What is to be said of a bad reading of a device with this scheme: in the words of its protocol where it has some.
pub(super) fn words(scheme: &str, reason: Reason, status: u32) -> String {
    let explained = drivers::by_scheme(scheme).and_then(|driver| driver.explain(status));
    explained.unwrap_or_else(|| advice(reason).to_owned())
}

/// What the operator can do about readings of this reason.
pub(super) fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::Timeout | Reason::Suspended => {
            "no answer in time; check power, cable, protocol, port and unit, and give a longer timeout if it is slow"
        }
        Reason::NotConnected | Reason::Disconnected => "the connection ended before the answer came; try again",
        Reason::AddressRefused => {
            "the device has no such address; check the table and the offset, and whether its manual counts from 1"
        }
        Reason::DeviceFailure => {
            "the device, or a gateway before it, answers that it cannot; check the unit and the device's own messages"
        }
        Reason::NotDecodable => "the bytes are no value of the type; check the type and the byte order",
        Reason::SensorFailure => "the device says that its own value is bad; check the sensor",
        Reason::OutOfRange => "the value lies outside its limits; check the type, the byte order and the scaling",
        Reason::ProtocolError => {
            "what came was no answer to the request; check protocol and port, or speed, parity and wiring of the line"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_missing_may_count_from_one() {
        let of_modbus = words("modbus-tcp", Reason::AddressRefused, 2);
        assert!(of_modbus.contains("counts from 1"), "{of_modbus}");
    }

    #[test]
    #[cfg(feature = "opcua")]
    fn a_node_that_is_missing_is_looked_for_by_browsing() {
        let of_opcua = words("opc.tcp", Reason::AddressRefused, 0x8034_0000);
        assert!(of_opcua.contains("BadNodeIdUnknown") && of_opcua.contains("forebay browse"), "{of_opcua}");
        assert!(!of_opcua.contains("counts from 1"), "{of_opcua}");
    }
}
