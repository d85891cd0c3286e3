//! What may be written to a tag, as the configuration says it with `write:`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use driver_core::{DataType, Scale, TagId, Value};

use super::super::expression::Expression;
use super::super::tags::DevicePlace;
use super::{Role, Target};

/// A tag that may be written.
#[derive(Debug, PartialEq)]
pub struct Writable {
    /// Which.
    pub tag: TagId,
    /// Its names.
    pub target: Target,
    /// Where it is written.
    pub place: DevicePlace,
    /// What it holds.
    pub form: TagForm,
    /// What is permitted.
    pub rule: WriteRule,
}

/// What a tag holds, on the device and in its readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TagForm {
    /// The type on the device, or of each element of an array.
    pub data_type: DataType,
    /// How many elements it has; 1 when it is no array.
    pub elements: usize,
    /// From the device's value to that of the readings.
    pub scale: Option<Scale>,
}

/// What is permitted. Bounds are in the unit of the tag's readings, durations in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteRule {
    /// The smallest number.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// Numbers are whole steps away from `min`, or from 0 where there is none.
    pub step: Option<f64>,
    /// The least that the sender has to be.
    pub role: Role,
    /// How often.
    pub rate: Rate,
    /// How old a command may be when it reaches the device.
    pub expires: Duration,
    /// Whether what is read back has to be what was written.
    pub verify: Verify,
    /// The interlock, with how old the reading of each of its operands may be.
    pub only_if: Option<Interlock>,
    /// What is written when the link to the north is lost.
    pub on_link_loss: Option<LinkLossRule>,
}

/// At most so many commands in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

/// Whether what is read back has to be what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// It has to be.
    Equal,
    /// That the device took it is enough.
    Taken,
}

/// A condition over other tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Interlock {
    /// The condition.
    pub condition: Expression,
    /// How old a reading may be, in the order of the condition's operands.
    pub fresh_for: Box<[Duration]>,
}

/// What is written when the link to the north is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkLossRule {
    /// The value, in the unit of the tag's readings.
    pub value: Value,
    /// How long the link has to be away.
    pub after: Duration,
}

/// All tags that may be written.
#[derive(Debug, Default, PartialEq)]
pub struct Writables {
    list: Box<[Arc<Writable>]>,
    by_name: HashMap<Target, usize>,
}

impl Writables {
    /// Of this configuration.
    pub fn new(list: Vec<Writable>) -> Writables {
        let by_name = list.iter().enumerate().map(|(index, writable)| (writable.target.clone(), index)).collect();
        Writables { list: list.into_iter().map(Arc::new).collect(), by_name }
    }

    /// All of them; their places in the list are their numbers.
    pub fn list(&self) -> &[Arc<Writable>] {
        &self.list
    }

    /// The number of a tag's entry; `None` when it may not be written.
    pub fn find(&self, target: &Target) -> Option<usize> {
        self.by_name.get(target).copied()
    }

    /// The tags whose readings are needed: what is written, and what interlocks look at.
    pub fn watched(&self) -> impl Iterator<Item = TagId> + '_ {
        let interlocks = self.list.iter().filter_map(|writable| writable.rule.only_if.as_ref());
        let operands = interlocks.flat_map(|interlock| interlock.condition.operands().iter().copied());
        self.list.iter().map(|writable| writable.tag).chain(operands)
    }
}

impl Default for WriteRule {
    /// What `write: {}` permits.
    fn default() -> WriteRule {
        WriteRule {
            min: None,
            max: None,
            step: None,
            role: Role::Operator,
            rate: Rate { count: 10, per: Duration::from_secs(1) },
            expires: Duration::from_secs(10),
            verify: Verify::Equal,
            only_if: None,
            on_link_loss: None,
        }
    }
}
