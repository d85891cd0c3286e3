//! Values as JSON for `--json`.

pub(super) use crate::pipeline::command::json::json_value;
