//! `format: json-schema`: the JSON payload behind the head of a schema registry, so that its readers find and check it by
//! the schema.

use super::json::JsonRecords;
use super::keyed::{self, Keyed, Registration, SchemaId, Shape};
use super::{Format, FormatInfo, FormatKind, Types};
use crate::uplink::topic::{Rules, Template};
use crate::uplink::{UplinkError, UplinkSpec, registry};

/// The schema of one record a reading.
pub const READING: &str = include_str!("json_schema/reading.json");

/// The schema of one record a batch.
pub const BATCH: &str = include_str!("json_schema/batch.json");

/// `format: json-schema`.
#[derive(Debug)]
pub struct JsonSchemaKind;

static INFO: FormatInfo = FormatInfo {
    name: "json-schema",
    help: "JSON whose schema stands in a registry",
    uplinks: &["kafka"],
    types: Types::AsTheyCome,
};

impl FormatKind for JsonSchemaKind {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec, topic: Template, _: Rules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        if !registry::is_named(spec) {
            let message =
                "`json-schema` needs a registry: write `registry: { url: http://… }`, or `format: json`".into();
            return Err(vec![UplinkError { key: "format", message }]);
        }
        let registration = Registration {
            subject: registry::subject(&topic, keyed::shape(spec)),
            kind: "JSON",
            schema: schema(keyed::shape(spec)),
            message: &[],
            id: SchemaId::default(),
        };
        Ok(Box::new(Keyed::open(spec, topic, Box::new(JsonRecords::default()), Some(registration))?))
    }
}

/// The schema of the records of this shape.
pub fn schema(shape: Shape) -> &'static str {
    match shape {
        Shape::Readings => READING,
        Shape::Batches => BATCH,
    }
}
