//! What rskafka reads.

use std::error::Error;
use std::io::Write;

use rskafka::client::ClientBuilder;
use rskafka::client::partition::{OffsetAt, UnknownTopicHandling};
use rskafka::record::RecordAndOffset;
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;

/// What is fetched at once, bytes.
const FETCH_BYTES: std::ops::Range<i32> = 1..4 << 20;

/// Prints every record of each partition from its start to where it ends now.
pub fn all(bootstrap: &str, topic: &str, partitions: i32) -> Result<(), Box<dyn Error>> {
    let bootstrap = bootstrap.split(',').map(str::to_owned).collect();
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = ClientBuilder::new(bootstrap).build().await?;
        let mut out = std::io::stdout().lock();
        for partition in 0..partitions {
            let reader = client.partition_client(topic, partition, UnknownTopicHandling::Retry).await?;
            let mut offset = reader.get_offset(OffsetAt::Earliest).await?;
            let end = reader.get_offset(OffsetAt::Latest).await?;
            while offset < end {
                let (records, _) = reader.fetch_records(offset, FETCH_BYTES, 500).await?;
                for record in &records {
                    writeln!(out, "{}", line(partition, record))?;
                }
                // Where a batch holds nothing for readers, such as a marker of a transaction, nothing comes of it.
                offset = records.last().map_or(offset + 1, |record| record.offset + 1);
            }
        }
        Ok(())
    })
}

fn line(partition: i32, RecordAndOffset { record, offset }: &RecordAndOffset) -> Value {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let headers: Map<String, Value> =
        record.headers.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
    json!({
        "partition": partition,
        "offset": offset,
        "time_ms": record.timestamp.timestamp_millis(),
        "key": record.key.as_ref().map(text),
        "value": record.value.as_ref().map(text),
        "headers": headers,
    })
}
