//! What OPC UA's own types are called here: node ids and status codes, without I/O. The messages themselves are the
//! library's matter (`async-opcua`).

use driver_core::{Quality, Reason};
use opcua::types::{ByteString, Guid, Identifier as UaIdentifier, NodeId, QualifiedName, StatusCode};

use crate::address::{Identifier, Namespace, Place, Step, guid};

/// The bits of a status code that say what happened; those below tell more of the value (Part 4, 7.39).
const CODE: u32 = 0xFFFF_0000;

/// A node id in a namespace of this index.
pub fn node_id(index: u16, identifier: &Identifier) -> NodeId {
    match identifier {
        Identifier::Number(number) => NodeId::new(index, *number),
        Identifier::Text(text) => NodeId::new(index, text.to_string()),
        Identifier::Guid(_) => {
            let written = identifier.to_string();
            let guid = written.strip_prefix("g=").and_then(|text| text.parse::<Guid>().ok());
            NodeId::new(index, guid.unwrap_or_else(Guid::null))
        }
        Identifier::Opaque(bytes) => NodeId::new(index, ByteString::from(bytes.to_vec())),
    }
}

/// The place that a node id stands for.
pub fn place(node: &NodeId) -> Place {
    let identifier = match &node.identifier {
        UaIdentifier::Numeric(number) => Identifier::Number(*number),
        UaIdentifier::String(text) => Identifier::Text(text.as_ref().into()),
        UaIdentifier::Guid(id) => Identifier::Guid(guid(&id.to_string()).unwrap_or_default()),
        UaIdentifier::ByteString(bytes) => Identifier::Opaque(bytes.value.clone().unwrap_or_default().into()),
    };
    Place::Node(Namespace::Index(node.namespace), identifier)
}

/// A browse name.
pub fn browse_name(step: &Step) -> QualifiedName {
    QualifiedName::new(step.namespace, step.name.to_string())
}

/// How far a value with this status can be trusted. The status itself goes along with the reading, whole.
pub fn quality(status: StatusCode) -> Quality {
    if status.is_good() {
        Quality::Good
    } else if status.is_uncertain() {
        Quality::Uncertain(doubt(status))
    } else {
        Quality::Bad(reason(status))
    }
}

/// Why a value is not there.
pub fn reason(status: StatusCode) -> Reason {
    let code = status.bits() & CODE;
    let is = |codes: &[StatusCode]| codes.iter().any(|known| known.bits() & CODE == code);
    use StatusCode as S;
    if is(&[S::BadTimeout, S::BadRequestTimeout]) {
        Reason::Timeout
    } else if is(&[S::BadNotConnected, S::BadNoCommunication, S::BadCommunicationError, S::BadServerNotConnected]) {
        // The server is there; what it gets its value from is not.
        Reason::DeviceFailure
    } else if is(&[S::BadConnectionClosed, S::BadSecureChannelClosed, S::BadSessionClosed, S::BadSessionIdInvalid]) {
        Reason::Disconnected
    } else if is(&[
        S::BadNodeIdUnknown,
        S::BadNodeIdInvalid,
        S::BadNotReadable,
        S::BadUserAccessDenied,
        S::BadAttributeIdInvalid,
        S::BadIndexRangeInvalid,
        S::BadIndexRangeNoData,
        S::BadNoMatch,
        S::BadNotFound,
        S::BadTooManyMatches,
        S::BadBrowseNameInvalid,
        S::BadSecurityModeInsufficient,
        S::BadMonitoredItemFilterUnsupported,
        S::BadMonitoredItemFilterInvalid,
    ]) {
        Reason::AddressRefused
    } else if is(&[S::BadSensorFailure, S::BadOutOfService]) {
        Reason::SensorFailure
    } else if is(&[S::BadOutOfRange]) {
        Reason::OutOfRange
    } else if is(&[
        S::BadDecodingError,
        S::BadDataEncodingInvalid,
        S::BadDataEncodingUnsupported,
        S::BadEncodingLimitsExceeded,
    ]) {
        Reason::NotDecodable
    } else if is(&[S::BadUnexpectedError, S::BadUnknownResponse, S::BadServiceUnsupported]) {
        Reason::ProtocolError
    } else {
        Reason::DeviceFailure
    }
}

/// Why a value is in doubt.
fn doubt(status: StatusCode) -> Reason {
    let code = status.bits() & CODE;
    let is = |codes: &[StatusCode]| codes.iter().any(|known| known.bits() & CODE == code);
    use StatusCode as S;
    if is(&[S::UncertainNoCommunicationLastUsableValue, S::UncertainLastUsableValue]) {
        Reason::DeviceFailure
    } else if is(&[S::UncertainEngineeringUnitsExceeded]) {
        Reason::OutOfRange
    } else {
        Reason::SensorFailure
    }
}

/// A status in words, with its number.
pub fn explain(status: u32) -> String {
    let status = StatusCode::from(status);
    let sub_code = status.sub_code();
    format!("{} (0x{:08X}): {}", sub_code.name(), status.bits(), sub_code.description().trim().trim_end_matches('.'))
}

/// What to do about a status that a tag or a write came to.
pub fn advice(status: StatusCode) -> &'static str {
    let code = status.bits() & CODE;
    let is = |known: StatusCode| known.bits() & CODE == code;
    use StatusCode as S;
    if is(S::BadNodeIdUnknown) || is(S::BadNoMatch) {
        "No such node: look it up with `forebay browse`"
    } else if is(S::BadUserAccessDenied) || is(S::BadNotReadable) || is(S::BadNotWritable) {
        "The server does not permit it to this user: check the user's role in the server"
    } else if is(S::BadTypeMismatch) {
        "The value is not of the node's type"
    } else {
        "See the server's log"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    #[test]
    fn a_status_becomes_a_quality_with_its_reason() {
        use StatusCode as S;
        for (status, expected) in [
            (S::Good, Quality::Good),
            (S::GoodClamped, Quality::Good),
            (S::GoodLocalOverride, Quality::Good),
            (S::UncertainLastUsableValue, Quality::Uncertain(Reason::DeviceFailure)),
            (S::UncertainEngineeringUnitsExceeded, Quality::Uncertain(Reason::OutOfRange)),
            (S::UncertainInitialValue, Quality::Uncertain(Reason::SensorFailure)),
            (S::BadNodeIdUnknown, Quality::Bad(Reason::AddressRefused)),
            (S::BadUserAccessDenied, Quality::Bad(Reason::AddressRefused)),
            (S::BadSensorFailure, Quality::Bad(Reason::SensorFailure)),
            (S::BadNoCommunication, Quality::Bad(Reason::DeviceFailure)),
            (S::BadWaitingForInitialData, Quality::Bad(Reason::DeviceFailure)),
            (S::BadTimeout, Quality::Bad(Reason::Timeout)),
            (S::BadOutOfRange, Quality::Bad(Reason::OutOfRange)),
            (S::BadDecodingError, Quality::Bad(Reason::NotDecodable)),
            // Information bits, such as the overflow of a queue, change nothing.
            (StatusCode::from(S::Good.bits() | 0x0480), Quality::Good),
            (StatusCode::from(S::BadNodeIdUnknown.bits() | 0x0001), Quality::Bad(Reason::AddressRefused)),
        ] {
            assert_eq!(quality(status), expected, "{status}");
        }
    }

    #[test]
    fn statuses_are_told_in_words() {
        let text = explain(StatusCode::BadNodeIdUnknown.bits());
        assert!(text.starts_with("BadNodeIdUnknown (0x80340000): "), "{text}");
    }

    #[test]
    fn node_ids_go_out_and_come_back() {
        for text in ["ns=2;s=Tank.Level", "i=2258", "ns=3;g=72962b91-fa75-4ae6-8d28-b404dc7daf63", "ns=1;b=AQID"] {
            let Place::Node(Namespace::Index(index), identifier) = Address::parse(text).expect(text).place else {
                panic!("{text} is no node id")
            };
            let node = node_id(index, &identifier);
            assert_eq!(place(&node).to_string(), text);
            assert_eq!(node.to_string(), text);
        }
    }
}
