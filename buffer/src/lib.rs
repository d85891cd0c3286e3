//! The store-and-forward log: opaque blocks go in, stay on disk, and come out once for each uplink.
//!
//! ```no_run
//! use buffer::{Class, Item, Log, Meta, NewBlock, Options, SeqRange, Store};
//! # fn main() -> buffer::Result<()> {
//! let mut log = Log::open("/var/lib/forebay/buffer".as_ref(), &Options::new(["kafka"]))?;
//! let meta = Meta { count: 2, t_min_ns: 0, t_max_ns: 5, codec: 0, flags: 0, schema: 0 };
//! let stored = log.append(Class::Normal, &[NewBlock { meta, payload: b"two records" }])?.seqs;
//! log.sync()?;
//!
//! let mut items = Vec::new();
//! let from = log.cursor("kafka").map_or(1, |cursor| cursor.low());
//! log.read(from, 64 * 1024, &mut items)?;
//! for item in &items {
//!     match item {
//!         Item::Block(block) => println!("{:?}: {} bytes", block.seqs, block.payload.len()),
//!         Item::Gap(gap) => println!("{:?} were lost: {}", gap.seqs, gap.reason),
//!     }
//! }
//! log.acknowledge("kafka", &[SeqRange { first: stored.first, last: stored.last }])?;
//! log.trim(None)?;
//! # Ok(()) }
//! ```
//!
//! [`Store`] is the contract, [`Log`] the store that keeps it; an [`Inspector`] looks into one without touching it. What lies on disk, and why it survives kills and
//! power cuts, is drawn at the head of the module [`log`].

mod block;
mod cursor;
pub mod disk;
mod error;
mod gap;
#[cfg(feature = "sled")]
pub mod generations;
pub mod log;
mod options;
mod overview;
mod stats;
mod store;
mod sync;

#[cfg(test)]
mod corpus;

pub use block::{
    BLOCK_COUNT_MAX, BLOCK_ENVELOPE_BYTES, BLOCK_PAYLOAD_BYTES_MAX, Block, Class, Identity, Item, Meta, NewBlock, Seq,
    SeqRange,
};
pub use cursor::{CURSOR_RANGES_MAX, Cursor};
pub use error::{Error, Result};
pub use gap::{Gap, GapReason};
pub use log::{Inspector, Lock, Log, Replaced, Replacement, Stretch};
pub use options::{ClassOptions, Engine, Keep, LagMax, Options, UplinkOptions, WhenFull};
pub use overview::{Damage, DamagedPart, Overview, SegmentFile, Sight};
pub use stats::{ClassStats, Pressure, Recovery, Stats, UplinkStats};
pub use store::{Acknowledged, Appended, Store};
pub use sync::{SyncJob, Synced};
