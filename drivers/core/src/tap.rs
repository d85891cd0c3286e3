//! Frames of a line, shown to whoever watches as they pass.

use std::fmt;
use std::sync::Arc;

use crate::LinkError;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the device.
    Out,
    /// From the device.
    In,
}

/// Whoever looks at the bytes of a line. Called on the line's own task: it must be quick and wait for nothing.
pub trait Watch: Send + Sync {
    /// Bytes as they were sent or came, without what encrypts them. What comes may be part of a frame, or several.
    fn bytes(&self, way: Way, bytes: &[u8]);

    /// The connection could not be made, or is over.
    fn over(&self, error: &LinkError);
}

/// Where a connection shows its bytes. Without a watcher it costs a comparison.
#[derive(Clone, Default)]
pub struct Tap(Option<Arc<dyn Watch>>);

impl Tap {
    /// Shows bytes to this watcher.
    pub fn to(watch: Arc<dyn Watch>) -> Tap {
        Tap(Some(watch))
    }

    /// Bytes go out.
    #[inline]
    pub fn sent(&self, bytes: &[u8]) {
        if let Some(watch) = &self.0 {
            watch.bytes(Way::Out, bytes);
        }
    }

    /// Bytes have come.
    #[inline]
    pub fn came(&self, bytes: &[u8]) {
        if let Some(watch) = &self.0 {
            watch.bytes(Way::In, bytes);
        }
    }

    /// The connection could not be made, or is over.
    pub fn over(&self, error: &LinkError) {
        if let Some(watch) = &self.0 {
            watch.over(error);
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Tap(watched)" } else { "Tap" })
    }
}
