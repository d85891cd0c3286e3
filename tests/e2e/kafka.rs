//! Apache Kafka as the far side.

use tests::kafka::{Cluster, Kafka, OLD};

#[test]
fn the_far_side_itself_serves() {
    let Some(old) = Kafka::of(&Cluster { version: OLD, ..Cluster::default() }) else { return };
    old.create("there", 2, &[]);
    assert!(old.topics(&["--list"]).contains("there"));
    let Some(three) = Kafka::of(&Cluster { brokers: 3, ..Cluster::default() }) else { return };
    three.create("there", 2, &["min.insync.replicas=2"]);
    assert!(three.topics(&["--describe", "--topic", "there"]).contains("ReplicationFactor: 3"));
}
