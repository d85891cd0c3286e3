//! What is not in the result and why, for people and for machines.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::found::{Found, Weight};
use super::source::Kind;

/// How many notes are printed; the rest is counted. The YAML has all of those that are not mapped.
const NOTES_MAX: usize = 200;

pub(super) fn text(name: &str, kind: Kind, found: &Found) -> String {
    let mut out = String::new();
    let devices = found.devices.iter().filter(|device| device.idle.is_none()).count();
    let mut push = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("a String takes everything");
    for weight in [Weight::Left, Weight::Look] {
        let notes: Vec<_> = found.notes.iter().filter(|note| note.weight == weight).collect();
        for note in notes.iter().take(NOTES_MAX) {
            push(format_args!("{}: {}: {}\n", weight.name(), note.place, note.message));
        }
        if notes.len() > NOTES_MAX {
            push(format_args!("{}: and {} more\n", weight.name(), notes.len() - NOTES_MAX));
        }
    }
    let count = |weight| found.notes.iter().filter(|note| note.weight == weight).count();
    let next = match found.tags() {
        0 => "Nothing in it can be read here",
        _ => "Next: `forebay check FILE`, then `forebay check FILE --connect`",
    };
    push(format_args!(
        "{name}: {}: {} on {}; not mapped: {}; to be looked at: {}. {next}\n",
        kind.name(),
        number(found.tags(), "tag"),
        number(devices, "device"),
        count(Weight::Left),
        count(Weight::Look),
    ));
    out
}

pub(super) fn json(name: &str, kind: Kind, found: &Found, yaml: &str) -> Value {
    let notes = |weight| -> Value {
        let notes = found.notes.iter().filter(|note| note.weight == weight);
        notes.map(|note| json!({ "place": note.place, "message": note.message })).collect()
    };
    json!({
        "file": name,
        "kind": kind.name(),
        "tags": found.tags(),
        "not_mapped": notes(Weight::Left),
        "look": notes(Weight::Look),
        "yaml": yaml,
    })
}

fn number(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
