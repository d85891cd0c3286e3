//! What goes to the log, and how: standard error, for people or as JSON.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, registry};

use crate::config::{LogConfig, LogFormat};
use crate::events::{Events, Listener};

/// Which messages, such as `info` or `warn,forebay::pipeline=debug`.
const LEVEL_VARIABLE: &str = "FOREBAY_LOG";

/// `json` or `text`.
const FORMAT_VARIABLE: &str = "FOREBAY_LOG_FORMAT";

/// Libraries that log each failure that they also return, which is told once with its device; whoever names one hears it.
/// The server among them is the simulated one of the demonstration.
const QUIET: [&str; 5] = ["opcua_client", "opcua_core", "opcua_crypto", "opcua_server", "opcua_types"];

/// The level with the quiet libraries left out, where it does not name them.
fn with_quiet(level: &str) -> String {
    let mut filter = level.to_owned();
    QUIET.iter().filter(|name| !level.contains(**name)).for_each(|name| filter += &format!(",{name}=off"));
    filter
}

/// What an operator should know: nothing of the quiet libraries.
fn own_messages() -> Targets {
    QUIET.iter().fold(Targets::new().with_default(LevelFilter::INFO), |targets, name| {
        targets.with_target(*name, LevelFilter::OFF)
    })
}

/// Begins to log as configured, or as the environment says instead; `events` get what an operator should know whatever the
/// level. What the environment says and cannot be understood is an error for the operator.
pub(super) fn start(config: &LogConfig, events: Arc<Events>) -> Result<(), String> {
    let level = env::var(LEVEL_VARIABLE).unwrap_or_else(|_| config.level.as_str().to_ascii_lowercase());
    let filter = EnvFilter::try_new(with_quiet(&level))
        .map_err(|cause| format!("{LEVEL_VARIABLE} is `{level}`: {cause}. Write error, warn, info, debug or trace"))?;
    let format = match env::var(FORMAT_VARIABLE).as_deref() {
        Err(_) | Ok("") => config.format,
        Ok("text") => LogFormat::Text,
        Ok("json") => LogFormat::Json,
        Ok(other) => return Err(format!("{FORMAT_VARIABLE} is `{other}`; write text or json")),
    };
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let log = match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let begun = registry().with(log.with_filter(filter)).with(Listener(events).with_filter(own_messages())).try_init();
    begun.map_err(|cause| format!("cannot begin to log: {cause}"))
}

/// Says nothing, and keeps what is said for those who look elsewhere.
#[cfg(feature = "sim")]
pub(super) fn listen() -> Result<Arc<Events>, String> {
    let events = Arc::new(Events::default());
    let begun = registry().with(Listener(events.clone()).with_filter(own_messages())).try_init();
    begun.map(|()| events).map_err(|cause| format!("cannot begin to log: {cause}"))
}
