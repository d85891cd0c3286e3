//! Simulated Siemens PLCs, served over ISO on TCP.
//!
//! A [`Plc`] is the memory and the state of one PLC, an [`S7Server`] answers from it. A PLC may be written while it is
//! served, and may have several servers.
//!
//! ```text
//! TPKT (4) | COTP: connect, data (last or not), disconnect | S7
//! S7       0x32 | kind (1) | 0 (2) | reference (2) | parameters (2) | data (2) | error (2, in answers) | parameters | data
//! ```
//! Read, write, setup, start, stop and system status lists are answered; every other function gets error 81 04. Written
//! from the same descriptions as the driver and without it: a simulator that shared the driver's code would share its
//! mistakes.

mod area;
mod config;
mod memory;

mod cotp;
mod message;
mod item;

mod plc;
mod answer;
mod variables;
mod userdata;
mod status_list;

mod session;
mod conversation;
mod server;

pub use area::{Area, ItemError};
pub use config::{Access, CpuState, Identity, PlcConfig};
pub use conversation::{Conversation, Talk};
pub use item::{Item, Transport};
pub use plc::{Plc, PlcCounts, Seen};
pub use server::S7Server;

pub use crate::oracle::{Answered, Oracle, bytes_u32};
