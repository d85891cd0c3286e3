//! What the operator wrote, checked.
//!
//! [`Config`] is what the rest of the gateway works with: everything inherited, resolved and understood.

mod checked;
mod secret;

pub use checked::{BufferConfig, Config, LineConfig, LogConfig, LogFormat, UplinkConfig};
pub use secret::Secret;
