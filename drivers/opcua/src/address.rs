//! Addresses: text to a place in the server's address space, and back.
//!
//! ```text
//! ns=2;s=Tank.Level       a node id (Part 6, 5.3.1.10): i= number, s= text, g= GUID, b= bytes in base64
//! nsu=urn:plant;s=Level   the same by the namespace's name, which survives an index that moves
//! /Objects/2:Tank/2:Level a path of browse names from the root (Part 4, A.2); `&` stands before / . < > : # ! & in a name
//! 2!Tank.Level            Neuron's form of ns=2;s=Tank.Level (2!1001 is ns=2;i=1001)
//! /Objects/2:Line7/**     a pattern: the variables there become tags; see `glob`
//! events:/Objects/2:Line7 the events, alarms and conditions below a node; events:i=2253 are all of the server
//! …;REAL                  a type at the end (PLC4X): what to expect before the server has been asked
//! ```

mod glob;
mod parse;

use std::fmt;

use driver_core::DataType;

pub(crate) use glob::{Glob, Taken};
pub(crate) use parse::{base64, from_base64, guid};

/// Where a value lies, and its type where one is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The node.
    pub place: Place,
    /// What of it is a reading.
    pub what: What,
    /// The type that is expected; the server's own counts.
    pub data_type: Option<DataType>,
}

/// What of a node is a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum What {
    /// Its value.
    #[default]
    Value,
    /// Each event that happens below it.
    Events,
}

/// A node, by its id or by a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A node id.
    Node(Namespace, Identifier),
    /// Browse names from the root folder.
    Path(Box<[Step]>),
}

/// A namespace, by index or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// Its index in the server's table, which may move when the server is changed.
    Index(u16),
    /// Its URI.
    Uri(Box<str>),
}

/// The part of a node id after the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identifier {
    /// `i=`
    Number(u32),
    /// `s=`
    Text(Box<str>),
    /// `g=`, in the order in which it is written.
    Guid([u8; 16]),
    /// `b=`
    Opaque(Box<[u8]>),
}

/// One browse name of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The index of its namespace.
    pub namespace: u16,
    /// The name.
    pub name: Box<str>,
}

/// What stands before the node of events.
const EVENTS: &str = "events:";

/// What has a meaning of its own in a path.
const RESERVED: &[char] = &['/', '.', '<', '>', ':', '#', '!', '&'];

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.what == What::Events {
            f.write_str(EVENTS)?;
        }
        self.place.fmt(f)?;
        match self.data_type {
            None => Ok(()),
            Some(text @ (DataType::String(0) | DataType::Wstring(0))) => write!(f, ";{}", text.name()),
            Some(data_type) => write!(f, ";{data_type}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Node(namespace, identifier) => {
                match namespace {
                    Namespace::Index(0) => {}
                    Namespace::Index(index) => write!(f, "ns={index};")?,
                    Namespace::Uri(uri) => write!(f, "nsu={};", uri.replace('%', "%25").replace(';', "%3B"))?,
                }
                identifier.fmt(f)
            }
            Place::Path(steps) => steps.iter().try_for_each(|step| write!(f, "/{step}")),
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::Number(number) => write!(f, "i={number}"),
            Identifier::Text(text) => write!(f, "s={text}"),
            Identifier::Guid(bytes) => {
                f.write_str("g=")?;
                for (index, byte) in bytes.iter().enumerate() {
                    let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(f, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
            Identifier::Opaque(bytes) => write!(f, "b={}", parse::base64(bytes)),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace != 0 {
            write!(f, "{}:", self.namespace)?;
        }
        for character in self.name.chars() {
            if RESERVED.contains(&character) {
                f.write_str("&")?;
            }
            write!(f, "{character}")?;
        }
        Ok(())
    }
}
