//! What stands between a client and a server and breaks what passes.
//!
//! ```text
//! client <──> [FaultProxy]  <──> any server over TCP
//! client <──> [SerialJoint] <──> any server on a serial line
//!
//! bytes ──> frames ──> the fault that is due ──> pieces with a time each ──> bytes
//! ```
//! A [`Fault`] happens to one frame, chosen by the [`Faults`] of its direction; a [`Link`] is how the whole line is.

mod distort;
mod fault;
mod lane;
mod link;
mod proxy;
mod pty;
mod pump;
mod schedule;
mod serial;

pub use fault::Fault;
pub use link::{Framing, Link};
pub use proxy::{FaultProxy, ProxyCounts};
pub use schedule::{FaultCounts, Faults};
pub use serial::{LineSpeed, SerialJoint};
