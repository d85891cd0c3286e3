//! Sparkplug B 3.0, the edge node: `format: sparkplug-b` at an uplink of MQTT.
//!
//! ```text
//! spBv1.0/GROUP/NBIRTH/NODE            the node is there, with the number of its session
//! spBv1.0/GROUP/DBIRTH/NODE/DEVICE     a device is there: all its metrics with name, alias, type and last value
//! spBv1.0/GROUP/DDATA/NODE/DEVICE      readings, by alias; of the past where they are marked so
//! spBv1.0/GROUP/DDEATH/NODE/DEVICE     nothing of a device can be read
//! spBv1.0/GROUP/NDATA/NODE             what will never come, as the metric `Forebay/Gap`
//! spBv1.0/GROUP/NDEATH/NODE            the last will, and the farewell
//! ```
//!
//! The protocol wants QoS 0, which acknowledges nothing. A message counts as delivered when the broker has answered a ping
//! that was sent behind it: brokers read in order. What was on its way when a connection broke is sent again, marked as
//! history, so that the receiver's series has no hole.
//!
//! In the order of reading: [`metric`] types, [`wire`] bytes out, [`template`] structures, [`decode`] bytes in, [`host`] the primary host,
//! [`catalogue`] what is known of each metric, [`mod@format`] from blocks to data, [`node`] the life of it all, [`command`]
//! what hosts ask for.

mod metric;

mod wire;
mod template;

mod bd_seq;
mod catalogue;
pub mod decode;
mod format;
pub mod host;

mod command;
pub(super) mod node;

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driver_core::Timestamp;

pub(super) use self::bd_seq::BdSeq;
use self::catalogue::Catalogue;
pub(super) use self::command::{AskedFor, Came, Door};
use self::format::SparkplugFormat;
use self::node::Node;
use super::format::{Format, FormatInfo, FormatKind, Types};
use super::topic::{Rules, Template};
use super::{UplinkError, UplinkSpec};

/// The word behind `format`.
pub const NAME: &str = "sparkplug-b";

/// The options in the URL's query that are for Sparkplug alone.
pub const OPTIONS: &[(&str, &str)] = &[
    ("group_id", "Sparkplug: the group of the edge node (default: the gateway's name up to its last slash)"),
    ("edge_node_id", "Sparkplug: the edge node's name in its group (default: the last part of the gateway's name)"),
    ("primary_host", "Sparkplug: the host application that readings wait for (default: they wait for none)"),
];

/// The group of a gateway whose name has one part only.
const GROUP_DEFAULT: &str = "forebay";

const REBIRTH: &str = "Node Control/Rebirth";
const GAP: &str = "Forebay/Gap";

/// `format: sparkplug-b`.
#[derive(Debug)]
pub struct SparkplugKind;

static INFO: FormatInfo = FormatInfo {
    name: NAME,
    help: "Sparkplug B 3.0: births, deaths, data by alias; takes group_id, edge_node_id and primary_host",
    uplinks: &["mqtt"],
    types: Types::Announced,
};

impl FormatKind for SparkplugKind {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, spec: &UplinkSpec, _: Template, _: Rules) -> Result<Box<dyn Format>, Vec<UplinkError>> {
        Ok(EdgeNode::open(spec)?.format)
    }
}

/// An edge node with all that belongs to it.
pub(super) struct EdgeNode {
    /// Makes data of blocks.
    pub(super) format: Box<dyn Format>,
    /// Its life.
    pub(super) node: Node,
    /// The number of its session.
    pub(super) bd_seq: BdSeq,
    /// What hosts ask for.
    pub(super) door: Door,
}

impl EdgeNode {
    /// The edge node of an uplink; every wrong part of what was configured is reported.
    pub(super) fn open(spec: &UplinkSpec) -> Result<EdgeNode, Vec<UplinkError>> {
        let names = Names::of(spec)?;
        let host = spec.url.options().text("primary_host").map(Into::into);
        let shared = Shared::new(Catalogue::new(names.clone(), spec.site.as_ref()));
        let folder = spec.site.as_ref().map(|site| site.folder.as_path());
        Ok(EdgeNode {
            format: Box::new(SparkplugFormat::new(shared.clone(), names.clone(), &spec.gateway)),
            node: Node::new(names.clone(), shared.clone(), host),
            bd_seq: BdSeq::within(folder, &spec.name),
            door: Door::new(names, shared, spec),
        })
    }
}

/// The catalogue, which the formats of all lanes and the node share: none of them holds it across an await.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Catalogue>>);

impl Shared {
    fn new(catalogue: Catalogue) -> Shared {
        Shared(Arc::new(Mutex::new(catalogue)))
    }

    /// A panic while it was held leaves it whole enough: each change is one step.
    fn lock(&self) -> MutexGuard<'_, Catalogue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The edge node's names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    group: Box<str>,
    node: Box<str>,
}

impl Names {
    fn of(spec: &UplinkSpec) -> Result<Names, Vec<UplinkError>> {
        let mut errors = Vec::new();
        if spec.topic.is_some() {
            let message = "cannot be chosen with Sparkplug, which fixes it: set `group_id` and `edge_node_id` instead";
            errors.push(UplinkError { key: "topic", message: message.into() });
        }
        let (group, node) = spec.gateway.rsplit_once('/').unwrap_or((GROUP_DEFAULT, &spec.gateway));
        let mut options = spec.url.options();
        let mut chosen = |option: &'static str, default: String| match options.text(option) {
            None => default,
            Some(name) => {
                if name.is_empty() || name.contains(is_reserved) {
                    let message = format!("`{option}` is `{name}`: it is not empty and has no `/`, `+`, `#` in it");
                    errors.push(UplinkError { key: "url", message });
                }
                name.into()
            }
        };
        let group = chosen("group_id", id(&group.replace('/', ":")));
        let node = chosen("edge_node_id", id(node));
        chosen("primary_host", String::new());
        if errors.is_empty() { Ok(Names { group: group.into(), node: node.into() }) } else { Err(errors) }
    }

    /// The topic of a kind of message, of the node or of a device.
    fn topic(&self, kind: &str, device: Option<&str>) -> String {
        let Names { group, node } = self;
        match device {
            None => format!("spBv1.0/{group}/{kind}/{node}"),
            Some("+") => format!("spBv1.0/{group}/{kind}/{node}/+"),
            Some(device) => format!("spBv1.0/{group}/{kind}/{node}/{}", id(device)),
        }
    }
}

/// A name as a part of a topic: what has a meaning there is percent-encoded, and so is the percent sign, that two names
/// stay two.
fn id(name: &str) -> String {
    let mut id = String::with_capacity(name.len());
    for character in name.chars() {
        if character == '%' || is_reserved(character) {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing into a string cannot fail.
                write!(id, "%{byte:02X}").unwrap_or_default();
            }
        } else {
            id.push(character);
        }
    }
    id
}

fn is_reserved(character: char) -> bool {
    matches!(character, '/' | '+' | '#') || character.is_control()
}

/// Milliseconds since 1970; before that there are none.
fn time_ms(time: Timestamp) -> u64 {
    u64::try_from(time.0.div_euclid(1_000_000)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(gateway: &str, options: &str) -> Result<Names, Vec<UplinkError>> {
        let url = format!("mqtt://h{options}");
        Names::of(&UplinkSpec::new(gateway, "cloud", url.parse().expect("a URL")))
    }

    #[test]
    fn names_make_topics_and_no_two_names_make_one() {
        let cases = [
            ("acme/berlin/line7", "", "spBv1.0/acme:berlin/DDATA/line7/press%2F1"),
            ("line7", "", "spBv1.0/forebay/DDATA/line7/press%2F1"),
            ("a/b#", "?group_id=plant&edge_node_id=n", "spBv1.0/plant/DDATA/n/press%2F1"),
        ];
        for (gateway, options, topic) in cases {
            assert_eq!(names(gateway, options).expect("names").topic("DDATA", Some("press/1")), topic);
        }
        assert_eq!(names("a/b", "").expect("names").topic("NBIRTH", None), "spBv1.0/a/NBIRTH/b");
        for options in ["?group_id=a/b", "?edge_node_id=", "?primary_host=%23", "?primary_host=a+b"] {
            let refused = names("a/b", options).err().is_some_and(|errors| errors[0].key == "url");
            assert!(refused || options.contains("%23"), "{options}");
        }
        let spec = UplinkSpec {
            topic: Some("x".into()),
            ..UplinkSpec::new("a/b", "cloud", "mqtt://h".parse().expect("a URL"))
        };
        assert_eq!(Names::of(&spec).err().map(|errors| errors[0].key), Some("topic"));
    }

    proptest! {
        #[test]
        fn no_name_makes_a_level_or_a_wildcard(one in "\\PC{0,8}", two in "\\PC{0,8}") {
            prop_assert!(!id(&one).contains(['/', '+', '#']));
            prop_assert_eq!(id(&one) == id(&two), one == two);
        }
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod testkit;
