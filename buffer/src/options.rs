//! What a store is told when it is opened.

use std::time::Duration;

use crate::block::Class;

/// Smallest bound on the size that a store accepts, bytes; a smaller one is raised to it.
pub(crate) const SIZE_MIN_BYTES: u64 = 1024 * 1024;

/// How a store is to be opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// What sealed blocks lie in.
    pub engine: Engine,
    /// The uplinks that must get every record. See [`crate::Store::declare`].
    pub uplinks: Vec<UplinkOptions>,
    /// The most that the buffer may take on disk, bytes; at least 1 MiB.
    pub size_max_bytes: u64,
    /// Records older than this are dropped; `None` keeps them until the size bound acts.
    pub age_max: Option<Duration>,
    /// Bytes of the disk that are left to others: with less free, what is stored gives way as if the size were reached.
    pub free_min_bytes: u64,
    /// Bytes of a file that holds nothing and is given up when the disk is full, so that there is space for what follows.
    pub ballast_bytes: u64,
    /// What happens when `size_max_bytes` is reached.
    pub when_full: WhenFull,
    /// What holds for each class beside that, in the order of [`Class::ALL`].
    pub classes: [ClassOptions; Class::ALL.len()],
}

/// What sealed blocks lie in. What either has left behind is read by both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The segment files that they were appended to.
    #[default]
    Log,
    /// Generations of sled, each filled from a segment; needs the feature `sled`.
    Sled,
}

/// An uplink that must get every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UplinkOptions {
    /// Its name, by which its cursor is found again.
    pub name: String,
    /// How far it may fall behind before what all others have is dropped.
    pub lag_max: LagMax,
}

/// How far an uplink may fall behind and still pin data. What it had not got by then and every other uplink has is
/// dropped, and the gap is read by this uplink alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LagMax {
    /// Bytes on disk that are newer; `None` for no such limit.
    pub bytes: Option<u64>,
    /// Age of the newest record of a segment; `None` for no such limit.
    pub age: Option<Duration>,
}

/// The bounds of one class, within those of the whole buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassOptions {
    /// The most that it may take on disk, bytes; `None` for the whole buffer's bound alone. At least an eighth of a MiB.
    pub size_max_bytes: Option<u64>,
    /// Records of it that are older are dropped; `None` for the whole buffer's bound alone.
    pub age_max: Option<Duration>,
    /// What stays after every uplink has it, to be sent again.
    pub keep: Keep,
}

/// History that stays after it was acknowledged, until it must give way to what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The most of it, bytes; 0 keeps none.
    pub bytes_max: u64,
    /// How old it may become; `None` for as old as fits.
    pub age_max: Option<Duration>,
}

/// The policy when the buffer has reached its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The oldest segment of the least valuable class goes, the new block is stored.
    DropOldest,
    /// What is stored stays, the new block is dropped.
    DropNewest,
}

impl Options {
    /// 4 GiB, 30 days, drop-oldest, nothing kept after acknowledgement, for these uplinks.
    pub fn new<U: Into<UplinkOptions>>(uplinks: impl IntoIterator<Item = U>) -> Self {
        Self {
            engine: Engine::Log,
            uplinks: uplinks.into_iter().map(Into::into).collect(),
            size_max_bytes: 4 << 30,
            age_max: Some(Duration::from_secs(30 * 24 * 3600)),
            free_min_bytes: 0,
            ballast_bytes: 0,
            when_full: WhenFull::DropOldest,
            classes: [ClassOptions::default(); Class::ALL.len()],
        }
    }
}

impl<S: Into<String>> From<S> for UplinkOptions {
    fn from(name: S) -> Self {
        Self { name: name.into(), lag_max: LagMax::default() }
    }
}
