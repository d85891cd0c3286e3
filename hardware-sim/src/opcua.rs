//! Simulated OPC UA servers, served over `opc.tcp`.
//!
//! An [`OpcUaPlc`] is the variables and the state of one server, an [`OpcUaServer`] serves them. What is in it may be
//! written, refused and changed while it is served; variables that are put in later appear when the server is started
//! again.
//!
//! The services are async-opcua's. Its generated address space, 12 MB of code, is left out: of namespace 0 there is what a
//! client needs ([`base`]): the folders, the types that variables and references name, the server's status, its namespaces
//! and its limits.

mod base;
mod config;
mod manager;
mod place;
mod plc;
mod server;
mod space;
mod types;

pub use config::OpcUaConfig;
pub use place::PlaceError;
pub use plc::{OpcUaCounts, OpcUaPlc};
pub use server::OpcUaServer;
pub use types::UaType;

pub use crate::oracle::{Answered, Oracle};
