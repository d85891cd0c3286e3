//! Places for connections, of which a device has so many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A place among the connections, free again when it is dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    /// None if `max` are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let more = |n: usize| (n < max).then_some(n + 1);
        taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
