//! Kafka's clients by others, as a program: rskafka and librdkafka (by the crate rdkafka).
//!
//! ```text
//! kafka-clients read BOOTSTRAP TOPIC PARTITIONS             rskafka reads all that stands there: one JSON line a record
//! kafka-clients rskafka BOOTSTRAP TOPIC SHAPE BATCHES       produces to partition 0, one batch of 2,000 after the other
//! kafka-clients librdkafka BOOTSTRAP TOPIC SHAPE BATCHES    the same, idempotent, as many in flight as it likes
//! ```
//!
//! SHAPE is `bare`, a value of 100 bytes alone, or `dressed`, with key and headers as the gateway writes them. Who produces
//! prints how many records the brokers have acknowledged, and the processor time that this took, nanoseconds of all threads.

mod produce;
mod read;

use std::error::Error;

use produce::Shape;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["read", bootstrap, topic, partitions] => read::all(bootstrap, topic, partitions.parse()?),
        ["rskafka", bootstrap, topic, shape, batches] => {
            produce::rskafka(bootstrap, topic, Shape::parse(shape)?, batches.parse()?)
        }
        ["librdkafka", bootstrap, topic, shape, batches] => {
            produce::librdkafka(bootstrap, topic, Shape::parse(shape)?, batches.parse()?)
        }
        _ => Err("kafka-clients read | rskafka | librdkafka …: see its source".into()),
    }
}
