//! Sparkplug B payloads as prost reads and writes them, to check what is written by hand: the messages of Eclipse Tahu's
//! `sparkplug_b.proto`, as far as they are written here.

use driver_core::Value;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    pub(super) is_historical: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub(super) properties: Option<PropertySet>,
    #[prost(oneof = "Content", tags = "10, 11, 12, 13, 14, 15, 16, 17, 18")]
    pub(super) content: Option<Content>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    values: Vec<PropertyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertyValue {
    #[prost(uint32, optional, tag = "1")]
    r#type: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    int: Option<u32>,
    #[prost(string, optional, tag = "8")]
    text: Option<String>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Content {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Bool(bool),
    #[prost(string, tag = "15")]
    Text(String),
    #[prost(bytes = "vec", tag = "16")]
    Bytes(Vec<u8>),
    #[prost(message, tag = "17")]
    DataSet(DataSet),
    #[prost(message, tag = "18")]
    Template(Template),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Template {
    #[prost(string, optional, tag = "1")]
    pub(super) version: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(string, optional, tag = "4")]
    pub(super) template_ref: Option<String>,
    #[prost(bool, optional, tag = "5")]
    pub(super) is_definition: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DataSet {
    #[prost(uint64, optional, tag = "1")]
    pub(super) num_of_columns: Option<u64>,
    #[prost(string, repeated, tag = "2")]
    pub(super) columns: Vec<String>,
    #[prost(uint32, repeated, packed = "false", tag = "3")]
    pub(super) types: Vec<u32>,
    #[prost(message, repeated, tag = "4")]
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Row {
    #[prost(message, repeated, tag = "1")]
    pub(super) elements: Vec<Element>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Element {
    #[prost(oneof = "Held", tags = "1, 2, 3, 4, 5, 6")]
    held: Option<Held>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Held {
    #[prost(uint32, tag = "1")]
    Int(u32),
    #[prost(uint64, tag = "2")]
    Long(u64),
    #[prost(float, tag = "3")]
    Float(f32),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(bool, tag = "5")]
    Bool(bool),
    #[prost(string, tag = "6")]
    Text(String),
}

impl Element {
    /// What it holds, as a metric would hold it.
    pub(super) fn content(&self) -> Option<Content> {
        Some(match self.held.clone()? {
            Held::Int(number) => Content::Int(number),
            Held::Long(number) => Content::Long(number),
            Held::Float(number) => Content::Float(number),
            Held::Double(number) => Content::Double(number),
            Held::Bool(bit) => Content::Bool(bit),
            Held::Text(text) => Content::Text(text),
        })
    }
}

impl Metric {
    /// A number or a text of the property of that name.
    fn property(&self, key: &str) -> Option<&PropertyValue> {
        let properties = self.properties.as_ref()?;
        let place = properties.keys.iter().position(|known| known == key)?;
        properties.values.get(place)
    }

    pub(super) fn int(&self, key: &str) -> Option<u32> {
        self.property(key).filter(|value| value.r#type == Some(3)).and_then(|value| value.int)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.property(key).filter(|value| value.r#type == Some(12)).and_then(|value| value.text.as_deref())
    }

    /// The value, as the type says, or as it is encoded.
    pub(super) fn value(&self) -> Option<Value> {
        Some(match self.content.clone()? {
            Content::Int(number) if matches!(self.datatype, Some(5..=7)) => Value::UInt(number.into()),
            Content::Int(number) => Value::Int((number as i32).into()),
            Content::Long(number) if self.datatype == Some(8) => Value::UInt(number),
            Content::Long(number) => Value::Int(number as i64),
            Content::Float(number) => Value::Real(number),
            Content::Double(number) => Value::LReal(number),
            Content::Bool(bit) => Value::Bool(bit),
            Content::Text(text) => Value::Text(text.into()),
            Content::Bytes(_) | Content::DataSet(_) | Content::Template(_) => return None,
        })
    }
}

/// A whole payload.
pub(super) fn payload(bytes: &[u8]) -> Payload {
    Payload::decode(bytes).expect("a Sparkplug payload")
}

/// A row of metrics.
pub(super) fn metrics(bytes: &[u8]) -> Vec<Metric> {
    payload(bytes).metrics
}
