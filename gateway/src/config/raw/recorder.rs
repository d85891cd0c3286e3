//! The flight recorder as written.

use crate::config::fields::Fields;
use crate::config::form::{Integer, Size};
use crate::pipeline::recorder::RecorderConfig;

/// Takes the keys of `recorder:`.
pub(super) fn recorder(fields: &mut Fields<'_, '_>) -> RecorderConfig {
    let size = Size { min: 0, max: 64 << 20 };
    RecorderConfig {
        line_bytes: fields.default(
            "size",
            "The last bytes of each line that are kept in memory; 0B records nothing.",
            &size,
            "32KiB",
        ),
        files_max: fields.default(
            "keep",
            "How many recordings are kept in the buffer's folder; the oldest go.",
            &Integer { min: 1, max: 1_000 },
            "20",
        ),
    }
}
