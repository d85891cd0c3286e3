//! What goes to the log, and how: standard error, for people or as JSON.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Which messages, such as `info` or `warn,forebay::pipeline=debug`.
const LEVEL_VARIABLE: &str = "FOREBAY_LOG";

/// `json` or `text`.
const FORMAT_VARIABLE: &str = "FOREBAY_LOG_FORMAT";

/// Begins to log as configured, or as the environment says instead. What the environment says and cannot be understood is
/// an error for the operator.
pub(super) fn start(config: &LogConfig) -> Result<(), String> {
    let level = env::var(LEVEL_VARIABLE).unwrap_or_else(|_| config.level.as_str().to_ascii_lowercase());
    let filter = EnvFilter::try_new(&level)
        .map_err(|cause| format!("{LEVEL_VARIABLE} is `{level}`: {cause}. Write error, warn, info, debug or trace"))?;
    let format = match env::var(FORMAT_VARIABLE).as_deref() {
        Err(_) | Ok("") => config.format,
        Ok("text") => LogFormat::Text,
        Ok("json") => LogFormat::Json,
        Ok(other) => return Err(format!("{FORMAT_VARIABLE} is `{other}`; write text or json")),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let begun = match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    begun.map_err(|cause| format!("cannot begin to log: {cause}"))
}
