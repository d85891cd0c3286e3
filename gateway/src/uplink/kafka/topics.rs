//! Topics that are made on request, before the first record goes there.

use super::cluster::Cluster;
use super::error::{self, code};
use super::wire::{CreatedTopic, NewTopic};
use crate::uplink::TopicsSpec;
use crate::uplink::stream::Failure;

const BY_HAND: &str =
    "Permit the gateway's user CREATE on the topic, or make it by hand: kafka-topics.sh --create --topic NAME";

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Readings: as configured.
    Readings,
    /// The states of the gateway and its devices: one partition, of which the last record of each key is kept.
    Status,
    /// Commands or their answers: one partition, so that they keep their order.
    Commands,
}

/// Those of the topics that are not there.
pub(super) async fn missing<'t>(cluster: &mut Cluster, topics: &[&'t str]) -> Result<Vec<&'t str>, Failure> {
    let seen = cluster.metadata(topics).await?;
    let error = |name: &str| seen.topics.iter().find(|topic| topic.name == name).map_or(0, |topic| topic.error);
    let mut missing = Vec::new();
    for topic in topics {
        match error(topic) {
            code::NONE => {}
            code::UNKNOWN_TOPIC_OR_PARTITION => missing.push(*topic),
            refused @ (code::TOPIC_AUTHORIZATION_FAILED | code::INVALID_TOPIC_EXCEPTION) => {
                let cause = format!("the topic {topic} cannot be used: {}", error::name(refused));
                return Err(Failure { cause, advice: error::advice(refused) });
            }
            // It is there, and has no leader at the moment.
            _ => {}
        }
    }
    Ok(missing)
}

/// Makes topics.
pub(super) async fn make(
    cluster: &mut Cluster,
    spec: &TopicsSpec,
    topics: &[&str],
    purpose: Purpose,
) -> Result<(), Failure> {
    if topics.is_empty() {
        return Ok(());
    }
    let wanted = topics.iter().map(|name| new_topic(name, spec, purpose)).collect();
    let made = cluster.create_topics(wanted).await?;
    made.iter().try_for_each(outcome)
}

fn new_topic<'s>(name: &'s str, spec: &'s TopicsSpec, purpose: Purpose) -> NewTopic<'s> {
    let own = spec.settings.iter().map(|(name, value)| (&**name, &**value));
    match purpose {
        Purpose::Readings => NewTopic {
            name,
            partitions: spec.partitions.map_or(-1, i32::from),
            copies: spec.replication.map_or(-1, |copies| i16::try_from(copies).unwrap_or(i16::MAX)),
            settings: own.collect(),
        },
        Purpose::Status => NewTopic {
            name,
            partitions: 1,
            copies: spec.replication.map_or(-1, |copies| i16::try_from(copies).unwrap_or(i16::MAX)),
            settings: vec![("cleanup.policy", "compact")],
        },
        Purpose::Commands => NewTopic {
            name,
            partitions: 1,
            copies: spec.replication.map_or(-1, |copies| i16::try_from(copies).unwrap_or(i16::MAX)),
            settings: Vec::new(),
        },
    }
}

fn outcome(made: &CreatedTopic) -> Result<(), Failure> {
    let CreatedTopic { name, error, message } = made;
    let advice = match *error {
        code::NONE | code::TOPIC_ALREADY_EXISTS => return Ok(()),
        code::TOPIC_AUTHORIZATION_FAILED | code::CLUSTER_AUTHORIZATION_FAILED => BY_HAND,
        code::INVALID_PARTITIONS => "Put right `partitions` of `create_topics`",
        code::INVALID_REPLICATION_FACTOR => "There are fewer brokers than `replication` of `create_topics` asks for",
        code::INVALID_CONFIG => "Put right `settings` of `create_topics`",
        code::POLICY_VIOLATION => {
            "The cluster's policy forbids such a topic: put right `create_topics`, or make it by hand"
        }
        other => error::advice(other),
    };
    let said = message.as_deref().map(|message| format!(", {message:?}")).unwrap_or_default();
    Err(Failure { cause: format!("the topic {name} cannot be made: {}{said}", error::name(*error)), advice })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(error: i16) -> Result<(), Failure> {
        outcome(&CreatedTopic { name: "plant".into(), error, message: Some("no".into()) })
    }

    #[test]
    fn what_cannot_be_made_is_told_with_the_next_step() {
        assert!(made(0).is_ok() && made(36).is_ok());
        for (code, advice) in [(29, "CREATE"), (31, "by hand"), (38, "fewer brokers"), (40, "settings"), (44, "policy")]
        {
            let failure = made(code).expect_err("a failure");
            assert!(failure.advice.contains(advice), "{code}: {failure:?}");
            assert!(failure.cause.starts_with("the topic plant cannot be made") && failure.cause.contains("\"no\""));
        }
    }

    #[test]
    fn the_topic_of_states_is_compacted_and_that_of_readings_as_configured() {
        let settings = vec![("retention.ms".into(), "1000".into())];
        let spec = TopicsSpec { partitions: Some(6), replication: Some(3), settings };
        let readings = new_topic("plant", &spec, Purpose::Readings);
        assert_eq!((readings.partitions, readings.copies, readings.settings), (6, 3, vec![("retention.ms", "1000")]));
        let status = new_topic("status", &spec, Purpose::Status);
        assert_eq!((status.partitions, status.settings), (1, vec![("cleanup.policy", "compact")]));
        assert_eq!(new_topic("plant", &TopicsSpec::default(), Purpose::Readings).partitions, -1);
    }
}
