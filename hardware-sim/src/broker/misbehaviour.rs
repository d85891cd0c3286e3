//! The ways in which a broker can be wrong.

use std::time::Duration;

/// What the broker does wrong from now on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Misbehaviour {
    /// Nothing.
    #[default]
    None,
    /// Publishes of QoS 1 and 2 are taken and never acknowledged.
    NeverAcknowledge,
    /// Publishes are acknowledged in groups of four, the last one first. A group that does not fill waits 100 ms.
    AcknowledgeOutOfOrder,
    /// Before each right acknowledgement comes one for a packet id that the client does not use.
    AcknowledgeUnknown,
    /// No session outlives its connection, and none is found by a client that comes back.
    ForgetSessions,
    /// Publishes to topics that this filter takes are refused: reason 87 hex in MQTT 5, a closed connection in 3.1.1.
    RefuseTopic(String),
    /// Publishes to topics that this filter takes are refused as beyond a quota: reason 97 hex in MQTT 5, a closed connection
    /// in 3.1.1.
    ExceedQuota(String),
    /// Every connection is closed after this time.
    Flap(Duration),
    /// Connections are accepted and CONNECT is never answered.
    NeverConnAck,
    /// CONNECT is answered with "server unavailable" and the connection is closed.
    RefuseConnect,
}
