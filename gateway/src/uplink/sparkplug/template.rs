//! Structures whose fields are declared: one is a template, whose definition stands in NBIRTH, a row of them a data set
//! (specification 3.0, 6.4).
//!
//! ```text
//! Template    2 metric, repeated | 4 template_ref | 5 is_definition
//! DataSet     1 num_of_columns | 2 columns, repeated | 3 types, repeated | 4 rows, repeated
//! Row         1 elements, repeated            DataSetValue    1 int | 2 long | 3 float | 4 double | 5 boolean | 6 string
//! ```

use std::sync::Arc;

use driver_core::Value;

use super::metric::{MetricType, Scalar};
use super::wire::{Heading, Property, measured, write_bytes, write_metric, write_metric_with, write_number};
use crate::uplink::TagType;
use crate::uplink::structure::{Shape, Structure};

/// Where hosts look for definitions.
const FOLDER: &str = "_types_";

const DATA_SET: u32 = 16;
const TEMPLATE: u32 = 19;

/// The fields 17 and 18 of a metric, length-delimited.
const DATA_SET_VALUE: [u8; 2] = [0x8a, 1];
const TEMPLATE_VALUE: [u8; 2] = [0x92, 1];

/// What stands for the structures of one tag.
#[derive(Debug)]
pub(super) struct Definition {
    /// The name of the template.
    name: Box<str>,
    structure: Arc<Structure>,
    /// The types of the fields.
    kinds: Box<[MetricType]>,
}

impl Definition {
    /// That of a tag, by its device's name and its own.
    pub(super) fn new(device: &str, tag: &str, structure: Arc<Structure>) -> Definition {
        let of = |(_, data_type): &(Box<str>, _)| MetricType::of(&TagType::plain(*data_type, 1));
        let kinds = structure.fields.iter().map(of).collect();
        Definition { name: format!("{}.{}", super::id(device), super::id(tag)).into(), structure, kinds }
    }

    /// The number of its type.
    pub(super) fn code(&self) -> u32 {
        match self.structure.shape {
            Shape::One => TEMPLATE,
            Shape::Table => DATA_SET,
        }
    }

    /// Whether a value can be told in it without loss. A data set has no word for an element that is not there.
    pub(super) fn takes(&self, value: &Value) -> bool {
        let is_whole = |rows: Vec<Vec<Value>>| {
            self.structure.shape == Shape::One || !rows.iter().flatten().any(|value| *value == Value::None)
        };
        *value == Value::None || self.structure.rows(value).is_some_and(is_whole)
    }

    /// Writes a metric whose value is a structure; null where the value is none.
    pub(super) fn write(&self, heading: &Heading<'_>, value: &Value, properties: &[Property<'_>], out: &mut Vec<u8>) {
        let Some(rows) = self.structure.rows(value) else { return write_metric(heading, None, properties, out) };
        write_metric_with(heading, properties, out, |out| match self.structure.shape {
            Shape::One => {
                out.extend_from_slice(&TEMPLATE_VALUE);
                let row = rows.first().map(Vec::as_slice).unwrap_or_default();
                measured(out, |out| self.write_instance(heading.time_ms, row, out));
            }
            Shape::Table => {
                out.extend_from_slice(&DATA_SET_VALUE);
                measured(out, |out| self.write_data_set(&rows, out));
            }
        });
    }

    /// Writes the metric that defines the template; a data set says itself what it is made of.
    pub(super) fn write_definition(&self, time_ms: u64, out: &mut Vec<u8>) {
        if self.structure.shape == Shape::Table {
            return;
        }
        let name = format!("{FOLDER}/{}", self.name);
        let heading = Heading { name: Some(&name), alias: None, time_ms, announced: Some(TEMPLATE) };
        write_metric_with(&heading, &[], out, |out| {
            out.extend_from_slice(&TEMPLATE_VALUE);
            measured(out, |out| {
                self.write_members(time_ms, &[], out);
                write_number(0x28, 1, out);
            });
        });
    }

    fn write_instance(&self, time_ms: u64, row: &[Value], out: &mut Vec<u8>) {
        self.write_members(time_ms, row, out);
        write_bytes(0x22, self.name.as_bytes(), out);
        write_number(0x28, 0, out);
    }

    /// All members with their types; those without a value are null.
    fn write_members(&self, time_ms: u64, row: &[Value], out: &mut Vec<u8>) {
        for (index, ((name, _), kind)) in self.structure.fields.iter().zip(&self.kinds).enumerate() {
            let heading = Heading { name: Some(name), alias: None, time_ms, announced: Some(kind.code()) };
            let value = row.get(index).filter(|value| **value != Value::None);
            write_metric(&heading, value.map(|value| (*kind, value)), &[], out);
        }
    }

    fn write_data_set(&self, rows: &[Vec<Value>], out: &mut Vec<u8>) {
        write_number(0x08, self.kinds.len() as u64, out);
        self.structure.fields.iter().for_each(|(name, _)| write_bytes(0x12, name.as_bytes(), out));
        self.kinds.iter().for_each(|kind| write_number(0x18, u64::from(kind.code()), out));
        for row in rows {
            out.push(0x22);
            measured(out, |out| {
                for (kind, value) in self.kinds.iter().zip(row) {
                    out.push(0x0a);
                    measured(out, |out| write_element(*kind, value, out));
                }
            });
        }
    }
}

fn write_element(kind: MetricType, value: &Value, out: &mut Vec<u8>) {
    match kind.scalar(value) {
        Some(Scalar::Int(number)) => write_number(0x08, u64::from(number), out),
        Some(Scalar::Long(number)) => write_number(0x10, number, out),
        Some(Scalar::Float(number)) => {
            out.push(0x1d);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Some(Scalar::Double(number)) => {
            out.push(0x21);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Some(Scalar::Bool(bit)) => write_number(0x28, u64::from(bit), out),
        Some(Scalar::Text(text)) => write_bytes(0x32, text.as_bytes(), out),
        // Who calls has looked that it fits.
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle::{self, Content};
    use super::*;

    fn definition(fields: &str, shape: Shape) -> Definition {
        Definition::new("press/1", "recipe", Arc::new(Structure::parse(fields, shape).expect("fields")))
    }

    const FIELDS: &str = "on BOOL, small INT, wide ULINT, level REAL, exact LREAL, name STRING";
    const ONE: &str = r#"{"on":true,"small":-5,"wide":7,"level":1.5,"exact":0.1,"name":"steel"}"#;
    const TYPES: [u32; 6] = [11, 2, 8, 9, 10, 12];

    fn heading(announced: u32) -> Heading<'static> {
        Heading { name: Some("recipe"), alias: Some(3), time_ms: 1_795_400_913_123, announced: Some(announced) }
    }

    fn written(definition: &Definition, value: &Value) -> oracle::Metric {
        let mut out = Vec::new();
        definition.write(&heading(definition.code()), value, &[Property::Int("Quality", 192)], &mut out);
        oracle::metrics(&out).remove(0)
    }

    fn contents() -> [Content; 6] {
        [
            Content::Bool(true),
            Content::Int(-5_i32 as u32),
            Content::Long(7),
            Content::Float(1.5),
            Content::Double(0.1),
            Content::Text("steel".into()),
        ]
    }

    #[test]
    fn prost_reads_a_definition_and_its_instances() {
        let definition = definition(FIELDS, Shape::One);
        let mut out = Vec::new();
        definition.write_definition(5, &mut out);
        let metric = oracle::metrics(&out).remove(0);
        assert_eq!((metric.name(), metric.datatype(), metric.alias), ("_types_/press%2F1.recipe", 19, None));
        let Some(Content::Template(defined)) = metric.content else { panic!("{metric:?}") };
        assert_eq!((defined.is_definition, defined.template_ref), (Some(true), None));
        assert!(defined.metrics.iter().all(|member| member.is_null() && member.timestamp() == 5));
        let told = |metrics: &[oracle::Metric]| -> Vec<(String, u32)> {
            metrics.iter().map(|member| (member.name().to_owned(), member.datatype())).collect()
        };
        let names = ["on", "small", "wide", "level", "exact", "name"].map(str::to_owned);
        let expected: Vec<(String, u32)> = names.into_iter().zip(TYPES).collect();
        assert_eq!(told(&defined.metrics), expected);

        let metric = written(&definition, &Value::Text(ONE.into()));
        assert_eq!(
            (metric.name(), metric.datatype(), metric.alias(), metric.int("Quality")),
            ("recipe", 19, 3, Some(192))
        );
        let Some(Content::Template(instance)) = metric.content else { panic!("{metric:?}") };
        assert_eq!((instance.is_definition, instance.template_ref.as_deref()), (Some(false), Some("press%2F1.recipe")));
        assert_eq!(told(&instance.metrics), expected);
        let values: Vec<Content> = instance.metrics.into_iter().filter_map(|member| member.content).collect();
        assert_eq!(values, contents());
    }

    #[test]
    fn a_member_that_is_not_there_is_null_and_so_is_a_structure_that_was_not_read() {
        let definition = definition(FIELDS, Shape::One);
        let Some(Content::Template(instance)) = written(&definition, &Value::Text("{}".into())).content else {
            panic!("a template")
        };
        assert!(instance.metrics.len() == 6 && instance.metrics.iter().all(oracle::Metric::is_null));
        let none = written(&definition, &Value::None);
        assert!(none.is_null() && none.content.is_none());
        assert!(definition.takes(&Value::None) && !definition.takes(&Value::Text(r#"{"more":1}"#.into())));
    }

    #[test]
    fn prost_reads_a_data_set() {
        let definition = definition(FIELDS, Shape::Table);
        let metric = written(&definition, &Value::Text(format!("[{ONE},{ONE}]").into()));
        assert_eq!(metric.datatype(), 16);
        let Some(Content::DataSet(set)) = metric.content else { panic!("{metric:?}") };
        assert_eq!((set.num_of_columns, &*set.types), (Some(6), &TYPES[..]));
        assert_eq!(set.columns, ["on", "small", "wide", "level", "exact", "name"]);
        let rows: Vec<Vec<Content>> = set
            .rows
            .into_iter()
            .map(|row| row.elements.into_iter().map(|element| element.content().expect("a value")).collect())
            .collect();
        assert_eq!(rows, [contents(), contents()]);
        assert!(definition.takes(&Value::Text("[]".into())) && !definition.takes(&Value::Text("[{}]".into())));
        let mut out = Vec::new();
        definition.write_definition(5, &mut out);
        assert!(out.is_empty(), "a data set needs none");
    }
}
