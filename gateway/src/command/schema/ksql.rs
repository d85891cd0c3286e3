//! How ksqlDB reads a topic: the columns of JSON records are written out, those of Avro and Protobuf it finds in the
//! registry.

use super::Records;
use crate::uplink::format::keyed::Shape;

/// The columns of one record a reading, with their types.
const READING: &[(&str, &str)] = &[
    ("time", "VARCHAR"),
    ("gateway", "VARCHAR"),
    ("device", "VARCHAR"),
    ("tag", "VARCHAR"),
    ("value", "VARCHAR"),
    ("quality", "VARCHAR"),
    ("reason", "VARCHAR"),
    ("status", "BIGINT"),
    ("unit", "VARCHAR"),
    ("clock", "VARCHAR"),
    ("historical", "BOOLEAN"),
    ("epoch", "BIGINT"),
    ("lane", "VARCHAR"),
    ("job", "BIGINT"),
    ("seq", "BIGINT"),
    ("gap", GAP),
];

/// The columns of one record a batch.
const BATCH: &[(&str, &str)] = &[
    ("gateway", "VARCHAR"),
    ("device", "VARCHAR"),
    ("epoch", "BIGINT"),
    ("lane", "VARCHAR"),
    ("job", "BIGINT"),
    ("readings", ITEMS),
    ("gap", GAP),
];

const GAP: &str =
    "STRUCT<`first` BIGINT, `last` BIGINT, `count` BIGINT, `reason` VARCHAR, `from` VARCHAR, `to` VARCHAR>";

const ITEMS: &str = "ARRAY<STRUCT<`time` VARCHAR, `tag` VARCHAR, `value` VARCHAR, `quality` VARCHAR, `reason` VARCHAR, \
                     `status` BIGINT, `unit` VARCHAR, `clock` VARCHAR, `historical` BOOLEAN, `seq` BIGINT>>";

/// Words that ksqlDB takes for its own where a stream's name should stand.
const RESERVED: &str = "advance all and as at beginning between by case cast catalog connector connectors create days \
    decimal delete describe distinct drop else end exists export extended false from full group having hopping hours in \
    inner insert into is join left like limit list load materialized millisecond milliseconds minutes months namespace not \
    null on or outer pause print properties queries query rename resume retention right run sample script seconds select \
    size stream streams table terminate then to topic topics true tumbling unset values view when where window with within \
    years";

/// The statement, with what there is to know about it as comments.
pub(super) fn create_stream(records: &Records) -> String {
    let Records { topic, format, shape, registry } = records;
    let stream = identifier(topic);
    let (value_format, is_inferred) = match &**format {
        "avro" => ("AVRO", true),
        "protobuf" => ("PROTOBUF", true),
        "json-schema" => ("JSON_SR", false),
        _ => ("JSON", false),
    };
    let mut text = String::new();
    if is_inferred {
        let registry = registry.as_deref().unwrap_or("none: name one in the uplink, ksqlDB reads this format by it");
        text.push_str(&format!("-- The columns come from the schema registry ({registry}).\n"));
    } else {
        text.push_str(
            "-- A value is a VARCHAR here, because it may be of any type: CAST(`value` AS DOUBLE) for numbers.\n",
        );
    }
    text.push_str(
        "-- ROWTIME is the time of the reading. A record with a gap declares readings that will never come.\n",
    );
    text.push_str(&format!("CREATE STREAM {stream} (\n  record_key VARCHAR KEY"));
    if !is_inferred {
        let columns = match shape {
            Shape::Readings => READING,
            Shape::Batches => BATCH,
        };
        columns.iter().for_each(|(name, kind)| text.push_str(&format!(",\n  `{name}` {kind}")));
    }
    text.push_str(&format!(
        "\n) WITH (\n  KAFKA_TOPIC = '{topic}',\n  KEY_FORMAT = 'KAFKA',\n  VALUE_FORMAT = '{value_format}'"
    ));
    if value_format == "PROTOBUF" {
        let message = match shape {
            Shape::Readings => "forebay.Reading",
            Shape::Batches => "forebay.Batch",
        };
        text.push_str(&format!(",\n  VALUE_SCHEMA_FULL_NAME = '{message}'"));
    }
    text.push_str("\n);\n");
    text
}

/// A topic's name as one of a stream.
fn identifier(topic: &str) -> String {
    let name: String = topic.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let is_number = name.starts_with(|first: char| first.is_ascii_digit());
    let is_reserved = RESERVED.split_ascii_whitespace().any(|word| name.eq_ignore_ascii_case(word));
    if is_number || is_reserved { format!("t_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(format: &str, shape: Shape) -> Records {
        Records { topic: "plant.acme-7".into(), format: format.into(), shape, registry: Some("http://r:8081".into()) }
    }

    #[test]
    fn columns_are_those_of_the_records() {
        let json = create_stream(&records("json", Shape::Readings));
        for part in ["CREATE STREAM plant_acme_7 (", "`value` VARCHAR", "KAFKA_TOPIC = 'plant.acme-7'", "= 'JSON'\n);"]
        {
            assert!(json.contains(part), "{part} is missing in {json}");
        }
        assert!(create_stream(&records("json", Shape::Batches)).contains("`readings` ARRAY<STRUCT<`time`"));
        let avro = create_stream(&records("avro", Shape::Readings));
        assert!(avro.contains("VALUE_FORMAT = 'AVRO'") && !avro.contains("`value`") && avro.contains("http://r:8081"));
        let batches = create_stream(&records("protobuf", Shape::Batches));
        assert!(batches.contains("VALUE_SCHEMA_FULL_NAME = 'forebay.Batch'"), "{batches}");
    }

    #[test]
    fn a_stream_has_a_name_that_may_stand_without_quotes() {
        for (topic, name) in
            [("plant.acme-7", "plant_acme_7"), ("7up", "t_7up"), ("Values", "t_Values"), ("view.a", "view_a")]
        {
            assert_eq!(identifier(topic), name);
        }
    }

    #[test]
    fn every_column_is_one_of_the_published_schema() {
        use crate::uplink::format::json_schema;
        for (columns, schema) in [(READING, json_schema::READING), (BATCH, json_schema::BATCH)] {
            let schema: serde_json::Value = serde_json::from_str(schema).expect("JSON");
            let known = schema["properties"].as_object().expect("properties");
            assert_eq!(known.len(), columns.len());
            assert!(columns.iter().all(|(name, _)| known.contains_key(*name)), "{columns:?}");
        }
    }
}
