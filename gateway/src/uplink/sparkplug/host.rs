//! The primary host: whether the application that the readings are for is there (specification 3.0, 6.4.26).
//!
//! ```text
//! spBv1.0/STATE/HOST    {"online":true,"timestamp":1795400913123}     retained, version 3
//! STATE/HOST            ONLINE, OFFLINE                               retained, version 2.2
//! ```

use serde_json::Value;

/// The longest state that is read, bytes.
const STATE_BYTES_MAX: usize = 1_024;

/// What a host says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// It takes what is sent.
    Online(Since),
    /// It does not.
    Offline(Since),
}

/// When a host says that it came or went, milliseconds since 1970; version 2.2 does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Since(pub Option<u64>);

/// Reads the payload of a STATE message; `None` when it is none.
pub fn read(payload: &[u8]) -> Option<HostState> {
    if payload.len() > STATE_BYTES_MAX {
        return None;
    }
    match payload {
        b"ONLINE" => return Some(HostState::Online(Since(None))),
        b"OFFLINE" => return Some(HostState::Offline(Since(None))),
        _ => {}
    }
    let state: Value = serde_json::from_slice(payload).ok()?;
    let since = Since(Some(state["timestamp"].as_u64()?));
    Some(if state["online"].as_bool()? { HostState::Online(since) } else { HostState::Offline(since) })
}

/// The primary host as far as it is known on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    /// It has not said anything yet.
    Unknown,
    /// The last that it said.
    Known(HostState),
}

impl Host {
    /// Takes in what it says; older news than the last is not listened to (tck-id-message-flow-edge-node-birth-publish-phid-wait-timestamp).
    pub(super) fn heard(self, state: HostState) -> Host {
        let since = |state: HostState| match state {
            HostState::Online(since) | HostState::Offline(since) => since,
        };
        match self {
            Host::Known(last) if since(state) < since(last) => self,
            _ => Host::Known(state),
        }
    }

    /// Whether it takes what is sent.
    pub(super) fn is_online(self) -> bool {
        matches!(self, Host::Known(HostState::Online(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_both_versions_are_understood() {
        let at = |ms| Since(Some(ms));
        let cases: [(&[u8], Option<HostState>); 8] = [
            (br#"{"online":true,"timestamp":5}"#, Some(HostState::Online(at(5)))),
            (br#"{"online":false,"timestamp":5,"x":1}"#, Some(HostState::Offline(at(5)))),
            (b"ONLINE", Some(HostState::Online(Since(None)))),
            (b"OFFLINE", Some(HostState::Offline(Since(None)))),
            (br#"{"online":true}"#, None),
            (br#"{"online":1,"timestamp":5}"#, None),
            (b"\xff", None),
            (b"", None),
        ];
        for (payload, expected) in cases {
            assert_eq!(read(payload), expected, "{payload:?}");
        }
        assert_eq!(read(&[b' '; 2_000]), None);
    }

    #[test]
    fn older_news_is_not_listened_to() {
        let (online, offline) = (HostState::Online(Since(Some(10))), HostState::Offline(Since(Some(9))));
        let host = Host::Unknown.heard(online).heard(offline);
        assert!(host.is_online());
        assert!(!host.heard(HostState::Offline(Since(Some(10)))).is_online());
        assert!(!Host::Unknown.is_online());
    }
}
