//! What a store is told when it is opened.

use std::time::Duration;

/// Smallest bound on the size that a store accepts, bytes; a smaller one is raised to it.
pub(crate) const SIZE_MIN_BYTES: u64 = 1024 * 1024;

/// How a store is to be opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The uplinks that must get every record, by name. See [`crate::Store::declare`].
    pub uplinks: Vec<String>,
    /// The most that the buffer may take on disk, bytes; at least 1 MiB.
    pub size_max_bytes: u64,
    /// Records older than this are dropped; `None` keeps them until the size bound acts.
    pub age_max: Option<Duration>,
    /// What happens when `size_max_bytes` is reached.
    pub when_full: WhenFull,
}

/// The policy when the buffer has reached its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The oldest segment goes, the new block is stored.
    DropOldest,
    /// What is stored stays, the new block is dropped.
    DropNewest,
}

impl Options {
    /// 4 GiB, 30 days, drop-oldest, for these uplinks.
    pub fn new<S: Into<String>>(uplinks: impl IntoIterator<Item = S>) -> Self {
        Self {
            uplinks: uplinks.into_iter().map(Into::into).collect(),
            size_max_bytes: 4 << 30,
            age_max: Some(Duration::from_secs(30 * 24 * 3600)),
            when_full: WhenFull::DropOldest,
        }
    }
}
