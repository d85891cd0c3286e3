//! The way of a reading, in the order of the modules.
//!
//! schedule -> link -> poll -> process run on the acquisition thread, one task a line; batch -> encode -> store on the
//! store thread; forward on the uplink thread, one task an uplink. Between them stand two bounded queues: readings into
//! the store, and the log itself. Commands go the other way: from an uplink or another door through [`command`] to poll.

pub mod assemble;
pub mod gateway;
pub mod tags;
pub mod types;

pub mod acquire;
pub mod scheduling;
pub(crate) mod crew;
pub mod health;
pub mod vitals;
pub mod lateness;
mod panic;

pub mod schedule;

pub mod breaker;
pub mod link;

pub mod learned;
pub mod findings;
pub mod recorder;
mod alarm;
pub mod poll;

pub mod expression;
pub mod derive;
pub mod process;
pub mod swing;
pub mod watched;
pub mod latest;

pub mod batch;
pub mod encode;
pub mod schema;
pub mod store;

pub mod redate;

pub mod deliver;
pub mod forward;

pub mod command;
