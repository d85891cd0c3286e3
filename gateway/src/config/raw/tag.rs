//! Tags as written: an address, or a map.

use std::time::Duration;

use buffer::Class;
use serde_json::{Value, json};

use super::derived::{RawDerived, derived};
use super::write::{RawWrite, write};
use super::{CLASS, CLASS_HELP, DAY, EVERY, EVERY_HELP};
use crate::config::fields::Fields;
use crate::config::form::{
    Allowed, Context, Either, Form, Integer, Interval, Key, Name, Number, OneOf, Or, Percent, Section, Text,
};
use crate::config::schema::Definitions;
use crate::config::source::Spanned;
use crate::config::tree::Node;

/// What stands behind a tag's name. Most tags are an address and no more, so that the rest stands apart.
#[derive(Debug)]
pub(in crate::config) struct RawTag<'t> {
    pub(in crate::config) address: Option<Spanned<&'t str>>,
    pub(in crate::config) settings: Option<Box<TagSettings<'t>>>,
    /// Few tags are made of others or have an alarm.
    pub(in crate::config) derived: Option<Box<RawDerived<'t>>>,
}

/// What may be said of a tag beside its address.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::config) struct TagSettings<'t> {
    pub(in crate::config) every: Option<Spanned<Duration>>,
    pub(in crate::config) class: Option<Spanned<Class>>,
    pub(in crate::config) scale: Option<Spanned<f64>>,
    pub(in crate::config) offset: Option<Spanned<f64>>,
    pub(in crate::config) unit: Option<Spanned<&'t str>>,
    pub(in crate::config) report: Option<Spanned<RawReport>>,
    pub(in crate::config) deadband: Option<Spanned<RawDeadband>>,
    pub(in crate::config) heartbeat: Option<Spanned<Duration>>,
    pub(in crate::config) sampling: Option<Spanned<Duration>>,
    pub(in crate::config) queue: Option<Spanned<u16>>,
    pub(in crate::config) write: Option<Spanned<RawWrite<'t>>>,
    pub(in crate::config) expect: Option<Spanned<RawExpect<'t>>>,
    pub(in crate::config) fields: Option<Spanned<&'t str>>,
    pub(in crate::config) columns: Option<Spanned<&'t str>>,
}

/// Bytes as they come on the wire, and the value that they are.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct RawExpect<'t> {
    pub(in crate::config) bytes: Option<Spanned<&'t str>>,
    pub(in crate::config) value: Option<Spanned<&'t str>>,
}

/// Which readings go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum RawReport {
    Always,
    OnChange,
    SwingingDoor,
}

/// An absolute deadband, or one in percent.
pub(in crate::config) type RawDeadband = Either<f64, f64>;

/// The form of a tag.
pub(super) struct TagForm;

const ADDRESS: Text = Text { example: "hr:100:REAL" };

impl<'t> Form<'t> for TagForm {
    type Value = RawTag<'t>;

    fn read(&self, context: &mut Context<'t>, key: Key<'t>, node: &Node) -> Option<RawTag<'t>> {
        if node.words().is_some() {
            let value = ADDRESS.read(context, key, node)?;
            return Some(RawTag { address: Some(Spanned { value, span: node.span }), settings: None, derived: None });
        }
        let before = context.faults.errors();
        let tag = map().read(context, key, node)?;
        // An address that was misspelt is not told again as missing.
        (tag.address.is_some() || tag.derived.is_some() || context.faults.errors() == before).then_some(tag)
    }

    fn expected(&self) -> String {
        "an address such as hr:100:REAL, or a map with the keys of a tag".into()
    }

    fn schema(&self, definitions: &mut Definitions) -> Value {
        json!({ "anyOf": [Form::schema(&ADDRESS, definitions), map().schema(definitions)] })
    }
}

fn map<'t>() -> Section<'t, RawTag<'t>> {
    Section { name: "tag", read: tag }
}

fn tag<'t>(fields: &mut Fields<'_, 't>) -> RawTag<'t> {
    let address = fields.optional(
        "address",
        "Where it lies on the device, in the driver's notation. Has to be here or in the template's tag of the same name.",
        &ADDRESS,
    );
    let settings = TagSettings {
        every: fields.optional("every", EVERY_HELP, &EVERY),
        class: fields.optional("class", CLASS_HELP, &CLASS),
        scale: fields.optional("scale", "Multiplies the device's value.", &Number(Allowed::NotZero)),
        offset: fields.optional("offset", "Is added to the scaled value.", &Number(Allowed::Any)),
        unit: fields.optional("unit", "The engineering unit, such as °C.", &Name),
        report: fields.optional("report", "Which readings go on; a `deadband` implies on-change.", &REPORT),
        deadband: fields.optional(
            "deadband",
            "Changes up to this size stay: in the unit of the scaled value, or in percent of the last that went on.",
            &Or(Number(Allowed::NotNegative), Percent),
        ),
        heartbeat: fields.optional("heartbeat", "The longest silence of a tag that is reported on change.", &HEARTBEAT),
        sampling: fields.optional(
            "sampling",
            "How often a device that tells changes by itself (OPC UA) looks at the value; without it, the interval.",
            &SAMPLING,
        ),
        queue: fields.optional(
            "queue",
            "How many values such a device keeps between two messages; without it, the newest, of events 1000.",
            &QUEUE,
        ),
        write: fields.optional(
            "write",
            "Lets commands write it; without this key it is read-only. `write: {}` takes any value of its type.",
            &Section { name: "write", read: write },
        ),
        expect: fields.optional(
            "expect",
            "Bytes as they come on the wire and the value that they are: `forebay check` tries type, order and scale on them.",
            &Section { name: "expect", read: expect },
        ),
        fields: fields.optional(
            "fields",
            "Names and types of a structure's fields, for uplinks that announce them: it goes as a template of Sparkplug.",
            &FIELDS,
        ),
        columns: fields.optional(
            "columns",
            "The same for an array of structures: it goes as a data set of Sparkplug.",
            &FIELDS,
        ),
    };
    let derived = derived(fields);
    let some = !derived.made().is_empty() || derived.alarm.is_some();
    RawTag { address, settings: Some(Box::new(settings)), derived: some.then(|| Box::new(derived)) }
}

fn expect<'t>(fields: &mut Fields<'_, 't>) -> RawExpect<'t> {
    RawExpect {
        bytes: fields.required("bytes", "The bytes in hexadecimal, such as 43 65 02 8F.", &BYTES),
        value: fields.required("value", "The value in the unit of the scaled value, as it is printed.", &VALUE),
    }
}

const BYTES: Text = Text { example: "43 65 02 8F" };

const VALUE: Text = Text { example: "229.01" };

const FIELDS: Text = Text { example: "temperature REAL, count UDINT" };
const SAMPLING: Interval = Interval { min: Duration::from_millis(1), max: DAY };

const QUEUE: Integer = Integer { min: 1, max: 10_000 };

const HEARTBEAT: Interval = Interval { min: Duration::from_millis(100), max: DAY.saturating_mul(40) };

const REPORT: OneOf<RawReport> = OneOf(&[
    ("always", RawReport::Always, "each reading"),
    (
        "swinging-door",
        RawReport::SwingingDoor,
        "the ends of straight lines: what is in between lies within the deadband of them",
    ),
    ("on-change", RawReport::OnChange, "a reading whose value left the deadband, or whose quality changed"),
]);
