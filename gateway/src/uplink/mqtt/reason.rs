//! What a broker means by its codes, and what the operator can do (MQTT 3.1.1, 3.2.2.3; MQTT 5, 2.4).

use super::packet::Version;
use crate::uplink::{Lasting, Refusal};

/// A code in words: what was said, and the next step.
struct Meaning {
    code: u8,
    said: &'static str,
    advice: &'static str,
}

/// A packet is larger than the broker takes.
pub(super) const TOO_LARGE: u8 = 0x95;

const LOGIN: &str = "Put right `user` and `password` of the uplink, or the broker's list of users";
const RIGHTS: &str = "Give this user the right to publish there in the broker's access list";
const CLIENT_ID: &str = "Give the uplink a `client_id` of its own: in the URL, ?client_id=NAME";
const LOADED: &str = "The broker is overloaded or restricted: look into its log; it is tried again";
const VERSION: &str = "Set the version in the uplink's URL: ?version=3.1.1";

#[rustfmt::skip]
const RETURN_CODES_V311: &[Meaning] = &[
    Meaning { code: 1, said: "the broker does not speak this version of MQTT", advice: VERSION },
    Meaning { code: 2, said: "the broker refuses the client id", advice: CLIENT_ID },
    Meaning { code: 3, said: "the broker is unavailable", advice: LOADED },
    Meaning { code: 4, said: "the broker refuses user or password", advice: LOGIN },
    Meaning { code: 5, said: "the broker does not let this client in", advice: LOGIN },
];

#[rustfmt::skip]
const REASON_CODES_V5: &[Meaning] = &[
    Meaning { code: 0x00, said: "the broker has ended the connection", advice: LOADED },
    Meaning { code: 0x80, said: "the broker gives no reason", advice: "Look into the broker's log" },
    Meaning { code: 0x81, said: "the broker could not read a packet", advice: "Look into the broker's log and report this" },
    Meaning { code: 0x82, said: "the broker saw a breach of the protocol", advice: "Look into the broker's log and report this" },
    Meaning { code: 0x83, said: "the broker has a reason of its own", advice: "Look into the broker's log" },
    Meaning { code: 0x84, said: "the broker does not speak this version of MQTT", advice: VERSION },
    Meaning { code: 0x85, said: "the broker refuses the client id", advice: CLIENT_ID },
    Meaning { code: 0x86, said: "the broker refuses user or password", advice: LOGIN },
    Meaning { code: 0x87, said: "the broker does not permit this", advice: RIGHTS },
    Meaning { code: 0x88, said: "the broker is unavailable", advice: LOADED },
    Meaning { code: 0x89, said: "the broker is busy", advice: LOADED },
    Meaning { code: 0x8a, said: "the broker has banned this client", advice: "Lift the ban in the broker" },
    Meaning { code: 0x8b, said: "the broker is shutting down", advice: LOADED },
    Meaning { code: 0x8d, said: "the broker heard nothing for too long", advice: "The network is slow: raise ?keep_alive" },
    Meaning { code: 0x8e, said: "another client has connected with the same client id", advice: CLIENT_ID },
    Meaning { code: 0x90, said: "the broker does not accept the topic's name", advice: "Change `topic` of the uplink" },
    Meaning { code: 0x93, said: "the broker saw more unacknowledged messages than it takes", advice: "Please report this" },
    Meaning { code: TOO_LARGE, said: "a packet is larger than the broker takes", advice: "Raise the broker's limit on packets" },
    Meaning { code: 0x97, said: "a quota of the broker is exceeded", advice: LOADED },
    Meaning { code: 0x99, said: "the broker does not accept the payload's format", advice: "Look into the broker's rules on payloads" },
    Meaning { code: 0x9a, said: "the broker keeps no retained messages", advice: "Set ?state=passing in the uplink's URL" },
    Meaning { code: 0x9b, said: "the broker does not take QoS 1", advice: "Set ?qos=0 in the uplink's URL; messages can then be lost" },
    Meaning { code: 0x9c, said: "the broker asks to use another server for now", advice: "Change the uplink's URL" },
    Meaning { code: 0x9d, said: "the broker has moved", advice: "Change the uplink's URL" },
    Meaning { code: 0x9f, said: "the broker limits the rate of connections", advice: LOADED },
];

/// A code in words and the next step, for a connection that was refused or ended.
pub(super) fn explain(version: Version, code: u8, text: &str) -> (String, &'static str) {
    let meanings = if version == Version::V5 && code != 1 { REASON_CODES_V5 } else { RETURN_CODES_V311 };
    let known = meanings.iter().find(|meaning| meaning.code == code);
    let (said, advice) =
        known.map_or(("the broker refuses", "Look into the broker's log"), |meaning| (meaning.said, meaning.advice));
    let text = if text.is_empty() { String::new() } else { format!(": {text:?}") };
    (format!("{said} (code {code}{text})"), advice)
}

/// The same for the answer to CONNECT, where "not permitted" is about the login.
pub(super) fn explain_connack(version: Version, code: u8, text: &str) -> (String, &'static str) {
    let (said, advice) = explain(version, code, text);
    (said, if code == 0x87 { LOGIN } else { advice })
}

/// Whether the code says that the broker does not know the version.
pub(super) fn is_version_unknown(code: u8) -> bool {
    matches!(code, 1 | 0x84)
}

/// What a PUBACK's code means for its message; `None` when the message has arrived.
pub(super) fn refusal(topic: &str, code: u8, text: &str) -> Option<Refusal> {
    // 0x10 says that nobody has subscribed: the broker has the message all the same.
    if code < 0x80 {
        return None;
    }
    let (said, advice) = explain(Version::V5, code, text);
    let lasting = match code {
        0x88 | 0x89 | 0x8b | 0x91 | 0x96 | 0x97 => Lasting::ForNow,
        TOO_LARGE => Lasting::ForThisSize,
        _ => Lasting::ForThisMessage,
    };
    Some(Refusal { reason: format!("{said}, topic {topic}. {advice}"), lasting })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_explained_with_a_next_step() {
        let cases = [
            (Version::V311, 5, "", "does not let this client in (code 5)", "password"),
            (Version::V5, 0x87, "not authorised", "(code 135: \"not authorised\")", "access list"),
            (Version::V5, 1, "", "this version", "?version=3.1.1"),
            (Version::V5, 0xff, "", "refuses (code 255)", "log"),
        ];
        for (version, code, text, said, advice) in cases {
            let explained = explain(version, code, text);
            assert!(explained.0.contains(said) && explained.1.contains(advice), "{explained:?}");
        }
    }

    #[test]
    fn a_refusal_lasts_as_long_as_its_cause() {
        assert_eq!(refusal("t", 0, ""), None);
        assert_eq!(refusal("t", 0x10, ""), None);
        let lasting = |code| refusal("plant/press", code, "").map(|refusal| refusal.lasting);
        assert_eq!(lasting(0x87), Some(Lasting::ForThisMessage));
        assert_eq!(lasting(0x99), Some(Lasting::ForThisMessage));
        assert_eq!(lasting(TOO_LARGE), Some(Lasting::ForThisSize));
        assert_eq!(lasting(0x97), Some(Lasting::ForNow));
        assert!(refusal("plant/press", 0x87, "").is_some_and(|refusal| refusal.reason.contains("plant/press")));
    }
}
