//! The configuration as it was written: every key, its default, its help and its form. Nothing is inherited or resolved.

mod derived;
mod device;
mod http;
mod recorder;
mod storage;
mod tag;
mod uplink;
mod write;

use std::time::Duration;

use buffer::Class;
use tracing::Level;

use super::checked::{BufferConfig, CommandsConfig, LogConfig, LogFormat};
use super::fields::Fields;
use super::form::{Interval, MapOf, Name, Named, OneOf, Section};
use super::source::{Span, Spanned};
use crate::http::HttpConfig;
use crate::pipeline::forward::route::Drain;
use crate::pipeline::recorder::RecorderConfig;
use crate::pipeline::scheduling::Scheduling;

pub(super) use derived::{RawAlarm, RawDerived, RawTotal, RawWindow};
pub(super) use device::{RawDevice, RawSettings};
pub(super) use tag::{RawExpect, RawReport, RawTag, TagSettings};
pub(super) use uplink::{RawRegistry, RawTls, RawTopics, RawUplink};
pub(super) use write::{RawLinkLoss, RawWrite};

/// The whole file.
#[derive(Debug)]
pub(super) struct RawConfig<'t> {
    pub(super) gateway: Option<Spanned<&'t str>>,
    pub(super) every: Duration,
    pub(super) class: Class,
    pub(super) templates: Vec<Named<'t, RawSettings<'t>>>,
    pub(super) devices: Vec<Named<'t, RawDevice<'t>>>,
    /// Where the devices stand.
    pub(super) devices_span: Span,
    pub(super) uplinks: Vec<Named<'t, RawUplink<'t>>>,
    pub(super) buffer: BufferConfig,
    pub(super) commands: CommandsConfig,
    pub(super) scheduling: Scheduling,
    pub(super) recorder: RecorderConfig,
    pub(super) http: HttpConfig,
    pub(super) log: LogConfig,
}

const DAY: Duration = Duration::from_secs(86_400);

/// How often tags may be polled.
const EVERY: Interval = Interval { min: Duration::from_millis(1), max: DAY.saturating_mul(7) };

const EVERY_HELP: &str = "How often tags are polled. A tag's own comes before its device's, then the template's, then the \
                          gateway's.";

const CLASS_HELP: &str = "What readings are worth when space runs out. A tag's own comes before its device's, then the \
                          template's, then the gateway's.";

const CLASS: OneOf<Class> = OneOf(&[
    ("critical", Class::Critical, "dropped last"),
    ("normal", Class::Normal, "dropped when no bulk is left"),
    ("bulk", Class::Bulk, "dropped first"),
]);

/// Takes the keys of the whole file.
pub(super) fn gateway<'t>(fields: &mut Fields<'_, 't>) -> RawConfig<'t> {
    let name =
        fields.required("gateway", "The gateway's name, such as acme/berlin/line7: the root of its topics.", &Name);
    let every = fields.default("every", EVERY_HELP, &EVERY, "1s");
    let class = fields.default("class", CLASS_HELP, &CLASS, "normal");
    let templates = fields.optional(
        "templates",
        "What devices have in common, by name; a device takes one with `template`.",
        &MapOf(Section { name: "template", read: device::settings }),
    );
    let devices = fields.required(
        "devices",
        "What is polled, by name.",
        &MapOf(Section { name: "device", read: device::device }),
    );
    let uplinks = fields.optional(
        "uplinks",
        "Where readings go, by name. Each gets all of them and never waits for another.",
        &MapOf(Section { name: "uplink", read: uplink::uplink }),
    );
    let buffer = fields.section("buffer", "Where readings are kept until every uplink has them.", storage::buffer);
    let commands = fields.section("commands", "What is kept of commands that write to devices.", write::commands);
    let http = fields.section("http", "Health, metrics, status and a door for commands, on the loopback.", http::http);
    let scheduling = fields.default("scheduling", SCHEDULING_HELP, &SCHEDULING, "normal");
    let recorder = fields.section(
        "recorder",
        "The flight recorder: the last bytes of each line, saved when its connection is lost.",
        recorder::recorder,
    );
    let log = fields.section("log", "What the gateway says of itself.", log);
    RawConfig {
        gateway: name,
        every,
        class,
        templates: templates.map(|templates| templates.value).unwrap_or_default(),
        devices_span: devices.as_ref().map(|devices| devices.span).unwrap_or_default(),
        devices: devices.map(|devices| devices.value).unwrap_or_default(),
        uplinks: uplinks.map(|uplinks| uplinks.value).unwrap_or_default(),
        buffer,
        commands,
        scheduling,
        recorder,
        http,
        log,
    }
}

const SCHEDULING_HELP: &str = "In which class the kernel schedules the thread that polls.";

const SCHEDULING: OneOf<Scheduling> = OneOf(&[
    ("normal", Scheduling::Normal, "as every program: late by milliseconds when the processor is busy"),
    ("realtime", Scheduling::Realtime, "SCHED_FIFO, for intervals of 10 ms; the service needs realtime.conf for it"),
]);

/// For the buffer, and for one uplink.
const DRAIN: OneOf<Drain> = OneOf(&[
    ("live-first", Drain::LiveFirst, "what is new at once; the backlog beside it, oldest first, marked as history"),
    ("oldest-first", Drain::OldestFirst, "everything in the order of the log, for consumers that need it"),
    ("newest-first", Drain::NewestFirst, "what is new at once; the backlog beside it, newest first, marked as history"),
]);

fn log(fields: &mut Fields<'_, '_>) -> LogConfig {
    LogConfig {
        level: fields.default("level", "How much is said.", &LEVEL, "info"),
        format: fields.default("format", "In which form.", &LOG_FORMAT, "text"),
    }
}

const LEVEL: OneOf<Level> = OneOf(&[
    ("error", Level::ERROR, "data is lost or a person is needed"),
    ("warn", Level::WARN, "something is wrong, and nothing is lost"),
    ("info", Level::INFO, "changes of state"),
    ("debug", Level::DEBUG, "for finding faults"),
    ("trace", Level::TRACE, "every message"),
]);

const LOG_FORMAT: OneOf<LogFormat> =
    OneOf(&[("text", LogFormat::Text, "for people"), ("json", LogFormat::Json, "one JSON object a line")]);
