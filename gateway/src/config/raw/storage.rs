//! The section `buffer`.

use std::time::Duration;

use buffer::{ClassOptions, Engine, Keep, WhenFull};

use super::{DAY, DRAIN};
use crate::config::checked::BufferConfig;
use crate::config::fields::Fields;
use crate::config::form::{Either, Interval, OneOf, Or, Size, Text};
use crate::pipeline::store::SyncPolicy;

/// Reads the section `buffer`.
pub(super) fn buffer(fields: &mut Fields<'_, '_>) -> BufferConfig {
    let path = fields.default(
        "path",
        "The folder of the log on disk.",
        &Text { example: "/var/lib/forebay/buffer" },
        "/var/lib/forebay/buffer",
    );
    let size = Size { min: 1 << 20, max: 1 << 50 };
    let age = Interval { min: Duration::from_secs(60), max: DAY.saturating_mul(3650) };
    let at_most = Interval { min: Duration::from_millis(10), max: Duration::from_secs(3600) };
    let kept = Size { min: 0, max: 1 << 50 };
    let keep = Keep {
        bytes_max: fields.default("keep", KEEP_HELP, &kept, "0B"),
        age_max: fields.optional("keep_age", KEEP_AGE_HELP, &age).map(|age| age.value),
    };
    let classes = [
        fields.section("critical", "The bounds of tags with `class: critical`, which give way last.", class),
        fields.section("normal", "The bounds of tags without a class.", class),
        fields.section("bulk", "The bounds of tags with `class: bulk`, which give way first.", class),
    ];
    BufferConfig {
        path: path.into(),
        engine: fields.default("engine", "What the readings lie in.", &ENGINE, "log"),
        size_max_bytes: fields.default("max_size", "The most that it takes on disk.", &size, "4GiB"),
        age_max: fields.default("max_age", "Older readings are dropped, sent or not.", &age, "30d"),
        free_min_bytes: fields.default("min_free", MIN_FREE_HELP, &kept, "0B"),
        ballast_bytes: fields.default("ballast", BALLAST_HELP, &Size { min: 0, max: 1 << 30 }, "4MiB"),
        when_full: fields.default("when_full", "What happens when `max_size` is reached.", &WHEN_FULL, "drop-oldest"),
        drain: fields.default("drain", "In which order a backlog leaves after an outage.", &DRAIN, "live-first"),
        classes: classes.map(|class| ClassOptions { keep, ..class }),
        sync: match fields.default("sync", SYNC_HELP, &Or(ALWAYS, at_most), "1s") {
            Either::First(policy) => policy,
            Either::Second(interval) => SyncPolicy::Every(interval),
        },
    }
}

/// The bounds of a class within those of the whole.
fn class(fields: &mut Fields<'_, '_>) -> ClassOptions {
    let size = Size { min: 1 << 20, max: 1 << 50 };
    let age = Interval { min: Duration::from_secs(60), max: DAY.saturating_mul(3650) };
    ClassOptions {
        size_max_bytes: fields.optional("max_size", "The most that it takes on disk.", &size).map(|size| size.value),
        age_max: fields
            .optional("max_age", "Older readings of it are dropped, sent or not.", &age)
            .map(|age| age.value),
        keep: Keep::default(),
    }
}

const SYNC_HELP: &str = "How long a stored reading may wait to be made durable: what a power cut may cost.";

const ALWAYS: OneOf<SyncPolicy> = OneOf(&[("always", SyncPolicy::Always, "before anything else happens")]);

const MIN_FREE_HELP: &str = "What is left free of the disk for others: with less, the buffer acts as if it were full.";

const BALLAST_HELP: &str = "Space in reserve: a file that holds nothing and is given up when the disk is full.";

const KEEP_HELP: &str =
    "How much stays after every uplink has it, to be sent again; it goes first when room is needed.";

const KEEP_AGE_HELP: &str = "How old what is kept may become; as old as fits, if it does not stand there.";

const ENGINE: OneOf<Engine> = OneOf(&[
    ("log", Engine::Log, "segment files; damage costs the blocks that it touches"),
    (
        "sled",
        Engine::Sled,
        "sled databases behind the same journal; damage costs a whole one, and each write costs more",
    ),
]);

const WHEN_FULL: OneOf<WhenFull> = OneOf(&[
    ("drop-oldest", WhenFull::DropOldest, "the oldest readings go; each loss is counted and published"),
    ("drop-newest", WhenFull::DropNewest, "new readings are dropped; each loss is counted and published"),
]);
