//! Kafka's error codes, and what a producer has to do about each.

pub mod code;

pub use self::code::name;
use crate::uplink::stream::Failure;

/// What a code means for a batch that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stands in the partition.
    Appended,
    /// It did not get in, for now: leaders are looked up anew and the same batch goes again.
    NotNow,
    /// It may have got in: the same batch goes again, and is recognised if it had.
    Perhaps,
    /// The partition does not know where this producer stands: what is there has to be read.
    Lost,
    /// Another one produces under this producer's id.
    Fenced,
    /// Too large, as a whole or a record of it.
    TooLarge,
    /// Something in it will never be taken.
    Poison,
    /// The gateway may not write here.
    Forbidden,
    /// The broker is busy and says so.
    Throttled,
}

/// What a code of a produce answer asks for.
pub fn verdict(code: i16) -> Verdict {
    match code {
        code::NONE | code::DUPLICATE_SEQUENCE_NUMBER => Verdict::Appended,
        code::REQUEST_TIMED_OUT
        | code::NETWORK_EXCEPTION
        | code::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | code::UNKNOWN_SERVER_ERROR => Verdict::Perhaps,
        code::OUT_OF_ORDER_SEQUENCE_NUMBER | code::UNKNOWN_PRODUCER_ID => Verdict::Lost,
        code::INVALID_PRODUCER_EPOCH | code::PRODUCER_FENCED => Verdict::Fenced,
        code::MESSAGE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE => Verdict::TooLarge,
        code::INVALID_TOPIC_EXCEPTION
        | code::INVALID_TIMESTAMP
        | code::UNSUPPORTED_COMPRESSION_TYPE
        | code::INVALID_RECORD => Verdict::Poison,
        code::TOPIC_AUTHORIZATION_FAILED | code::CLUSTER_AUTHORIZATION_FAILED => Verdict::Forbidden,
        code::THROTTLING_QUOTA_EXCEEDED => Verdict::Throttled,
        _ => Verdict::NotNow,
    }
}

/// What a broker said of a topic, as a failure where it is one.
///
/// # Errors
/// The code is not 0.
pub fn check(topic: &str, code: i16) -> Result<(), Failure> {
    if code == code::NONE {
        return Ok(());
    }
    Err(Failure { cause: format!("{topic}: {}", name(code)), advice: advice(code) })
}

/// What the operator can do about a code.
pub fn advice(code: i16) -> &'static str {
    match code {
        code::UNKNOWN_TOPIC_OR_PARTITION => "Make the topic, or let the gateway make it",
        code::MESSAGE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE => {
            "Raise `max.message.bytes` of the topic, or lower `batch` of the uplink"
        }
        code::INVALID_TOPIC_EXCEPTION => {
            "A topic's name has letters, digits, dots, dashes and underscores, 249 at most: put right `topic`"
        }
        code::NOT_ENOUGH_REPLICAS | code::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            "Fewer replicas are in sync than the topic's `min.insync.replicas` demands: look after the brokers"
        }
        code::TOPIC_AUTHORIZATION_FAILED => "Permit the gateway's user to write and to describe the topic",
        code::CLUSTER_AUTHORIZATION_FAILED => {
            "Permit the gateway's user IDEMPOTENT_WRITE on the cluster, which brokers before 3.0 want"
        }
        code::INVALID_TIMESTAMP => {
            "The topic takes no times so far from now: look at its `message.timestamp.*` settings"
        }
        code::UNSUPPORTED_SASL_MECHANISM => {
            "Put right `sasl` of the uplink, or enable the mechanism on the broker's listener"
        }
        code::ILLEGAL_SASL_STATE | code::UNSUPPORTED_VERSION => "Kafka 2.8 or newer is needed",
        code::SASL_AUTHENTICATION_FAILED => "Put right `user`, `password` or `sasl` of the uplink",
        code::UNSUPPORTED_COMPRESSION_TYPE => "Choose another `compression` of the uplink",
        code::INVALID_RECORD => {
            "The topic takes no such records; a compacted one wants a key: put right `key` of the uplink"
        }
        _ => "Look into the broker's log",
    }
}
