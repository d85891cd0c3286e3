//! Kafka's error codes, and what a producer has to do about each.

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
        0 | 46 => Verdict::Appended,
        7 | 13 | 20 | -1 => Verdict::Perhaps,
        45 | 59 => Verdict::Lost,
        47 | 90 => Verdict::Fenced,
        10 | 18 => Verdict::TooLarge,
        17 | 32 | 76 | 87 => Verdict::Poison,
        29 | 31 => Verdict::Forbidden,
        89 => Verdict::Throttled,
        _ => Verdict::NotNow,
    }
}

/// Topic or partition is not there.
pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
/// The offset lies outside of what is kept.
pub const OFFSET_OUT_OF_RANGE: i16 = 1;
/// The topic may not be used.
pub const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
/// The cluster may not be used so.
pub const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;

/// What a broker said of a topic, as a failure where it is one.
///
/// # Errors
/// The code is not 0.
pub fn check(topic: &str, code: i16) -> Result<(), Failure> {
    if code == 0 {
        return Ok(());
    }
    Err(Failure { cause: format!("{topic}: {}", name(code)), advice: advice(code) })
}

/// The name of a code, as Kafka's documentation has it.
pub fn name(code: i16) -> String {
    let name = match code {
        -1 => "UNKNOWN_SERVER_ERROR",
        0 => "NONE",
        1 => "OFFSET_OUT_OF_RANGE",
        2 => "CORRUPT_MESSAGE",
        3 => "UNKNOWN_TOPIC_OR_PARTITION",
        5 => "LEADER_NOT_AVAILABLE",
        6 => "NOT_LEADER_OR_FOLLOWER",
        7 => "REQUEST_TIMED_OUT",
        8 => "BROKER_NOT_AVAILABLE",
        9 => "REPLICA_NOT_AVAILABLE",
        10 => "MESSAGE_TOO_LARGE",
        13 => "NETWORK_EXCEPTION",
        14 => "COORDINATOR_LOAD_IN_PROGRESS",
        15 => "COORDINATOR_NOT_AVAILABLE",
        16 => "NOT_COORDINATOR",
        17 => "INVALID_TOPIC_EXCEPTION",
        18 => "RECORD_LIST_TOO_LARGE",
        19 => "NOT_ENOUGH_REPLICAS",
        20 => "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        29 => "TOPIC_AUTHORIZATION_FAILED",
        31 => "CLUSTER_AUTHORIZATION_FAILED",
        32 => "INVALID_TIMESTAMP",
        33 => "UNSUPPORTED_SASL_MECHANISM",
        34 => "ILLEGAL_SASL_STATE",
        35 => "UNSUPPORTED_VERSION",
        36 => "TOPIC_ALREADY_EXISTS",
        37 => "INVALID_PARTITIONS",
        38 => "INVALID_REPLICATION_FACTOR",
        41 => "NOT_CONTROLLER",
        44 => "POLICY_VIOLATION",
        45 => "OUT_OF_ORDER_SEQUENCE_NUMBER",
        46 => "DUPLICATE_SEQUENCE_NUMBER",
        47 => "INVALID_PRODUCER_EPOCH",
        56 => "KAFKA_STORAGE_ERROR",
        58 => "SASL_AUTHENTICATION_FAILED",
        59 => "UNKNOWN_PRODUCER_ID",
        74 => "FENCED_LEADER_EPOCH",
        75 => "UNKNOWN_LEADER_EPOCH",
        76 => "UNSUPPORTED_COMPRESSION_TYPE",
        87 => "INVALID_RECORD",
        89 => "THROTTLING_QUOTA_EXCEEDED",
        90 => "PRODUCER_FENCED",
        100 => "UNKNOWN_TOPIC_ID",
        103 => "INCONSISTENT_TOPIC_ID",
        _ => return format!("error {code}"),
    };
    name.into()
}

/// What the operator can do about a code.
pub fn advice(code: i16) -> &'static str {
    match code {
        3 => "Make the topic, or let the gateway make it",
        10 | 18 => "Raise `max.message.bytes` of the topic, or lower `batch` of the uplink",
        17 => "A topic's name has letters, digits, dots, dashes and underscores, 249 at most: put right `topic`",
        19 | 20 => "Fewer replicas are in sync than the topic's `min.insync.replicas` demands: look after the brokers",
        29 => "Permit the gateway's user to write and to describe the topic",
        31 => "Permit the gateway's user IDEMPOTENT_WRITE on the cluster, which brokers before 3.0 want",
        32 => "The topic takes no times so far from now: look at its `message.timestamp.*` settings",
        33 => "Put right `sasl` of the uplink, or enable the mechanism on the broker's listener",
        34 | 35 => "Kafka 2.8 or newer is needed",
        58 => "Put right `user`, `password` or `sasl` of the uplink",
        76 => "Choose another `compression` of the uplink",
        87 => "The topic takes no such records; a compacted one wants a key: put right `key` of the uplink",
        _ => "Look into the broker's log",
    }
}
