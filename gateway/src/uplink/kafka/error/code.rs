//! The codes themselves, under the names that Kafka's documentation gives them.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: i16 = $code;)*

        /// The name of a code, as Kafka's documentation has it.
        pub fn name(code: i16) -> String {
            match code {
                $($name => stringify!($name).into(),)*
                _ => format!("error {code}"),
            }
        }
    };
}

codes! {
    /// Nobody knows why.
    UNKNOWN_SERVER_ERROR = -1;
    /// All is well.
    NONE = 0;
    /// The offset lies outside of what is kept.
    OFFSET_OUT_OF_RANGE = 1;
    /// The bytes were changed on their way.
    CORRUPT_MESSAGE = 2;
    /// Topic or partition is not there.
    UNKNOWN_TOPIC_OR_PARTITION = 3;
    /// Nobody leads the partition now.
    LEADER_NOT_AVAILABLE = 5;
    /// Another broker leads the partition.
    NOT_LEADER_OR_FOLLOWER = 6;
    /// Replicas did not acknowledge in time; the leader may have it.
    REQUEST_TIMED_OUT = 7;
    /// The broker is going or coming.
    BROKER_NOT_AVAILABLE = 8;
    /// The replica is not there now.
    REPLICA_NOT_AVAILABLE = 9;
    /// A batch is larger than the topic takes.
    MESSAGE_TOO_LARGE = 10;
    /// The connection broke before the answer.
    NETWORK_EXCEPTION = 13;
    /// The coordinator is still reading.
    COORDINATOR_LOAD_IN_PROGRESS = 14;
    /// There is no coordinator now.
    COORDINATOR_NOT_AVAILABLE = 15;
    /// Another broker is the coordinator.
    NOT_COORDINATOR = 16;
    /// No topic may have this name.
    INVALID_TOPIC_EXCEPTION = 17;
    /// A batch is larger than a segment.
    RECORD_LIST_TOO_LARGE = 18;
    /// Too few replicas are in sync; nothing was appended.
    NOT_ENOUGH_REPLICAS = 19;
    /// Too few replicas are in sync; the leader has it.
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20;
    /// The topic may not be used.
    TOPIC_AUTHORIZATION_FAILED = 29;
    /// The cluster may not be used so.
    CLUSTER_AUTHORIZATION_FAILED = 31;
    /// The record's time is too far from now.
    INVALID_TIMESTAMP = 32;
    /// The listener does not know this way to log in.
    UNSUPPORTED_SASL_MECHANISM = 33;
    /// A login was not awaited now.
    ILLEGAL_SASL_STATE = 34;
    /// The broker does not speak this version.
    UNSUPPORTED_VERSION = 35;
    /// The topic is there already.
    TOPIC_ALREADY_EXISTS = 36;
    /// So many partitions cannot be made.
    INVALID_PARTITIONS = 37;
    /// There are fewer brokers than copies.
    INVALID_REPLICATION_FACTOR = 38;
    /// A setting of the topic is wrong.
    INVALID_CONFIG = 40;
    /// Another broker is the controller.
    NOT_CONTROLLER = 41;
    /// The cluster's policy forbids it.
    POLICY_VIOLATION = 44;
    /// The sequence is neither the next nor one of the last five batches.
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45;
    /// The partition has this batch.
    DUPLICATE_SEQUENCE_NUMBER = 46;
    /// The partition has seen a higher epoch of this producer.
    INVALID_PRODUCER_EPOCH = 47;
    /// The broker's disk failed.
    KAFKA_STORAGE_ERROR = 56;
    /// The login was refused.
    SASL_AUTHENTICATION_FAILED = 58;
    /// The partition does not know this producer.
    UNKNOWN_PRODUCER_ID = 59;
    /// The leader's epoch is an old one.
    FENCED_LEADER_EPOCH = 74;
    /// The leader's epoch is not known yet.
    UNKNOWN_LEADER_EPOCH = 75;
    /// The topic does not take this compression.
    UNSUPPORTED_COMPRESSION_TYPE = 76;
    /// A record is not as the topic wants it.
    INVALID_RECORD = 87;
    /// A quota is used up.
    THROTTLING_QUOTA_EXCEEDED = 89;
    /// Another producer has taken this one's place.
    PRODUCER_FENCED = 90;
    /// No topic has this id.
    UNKNOWN_TOPIC_ID = 100;
    /// The topic's id is another one.
    INCONSISTENT_TOPIC_ID = 103;
}
