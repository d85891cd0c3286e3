//! What to do about readings that are not good.

use driver_core::Reason;

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
