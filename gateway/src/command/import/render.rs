//! The configuration as YAML, with what the other program said of a tag as a comment.

use std::fmt::Write as _;

use super::found::{Device, EVERY_MS, Found, Note, Tag, Weight};

/// The whole file. `origin` says what it was made from.
pub(super) fn render(found: &Found, origin: &str, gateway: &str) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("# Made by `forebay import` from {}.", comment(origin)));
    line(&mut out, format_args!("# Tags are read-only: `write: {{}}` at a tag lets commands write it."));
    line(&mut out, format_args!("gateway: {}", text(gateway)));
    line(&mut out, format_args!("every: {}", duration(EVERY_MS)));
    line(&mut out, format_args!("\ndevices:"));
    for device in &found.devices {
        write_device(&mut out, device);
    }
    out.push_str(UPLINKS);
    let left: Vec<&Note> = found.notes.iter().filter(|note| note.weight == Weight::Left).collect();
    if !left.is_empty() {
        line(&mut out, format_args!("\n# Not mapped:"));
        for note in left {
            line(&mut out, format_args!("#   {}: {}", comment(&note.place), comment(&note.message)));
        }
    }
    out
}

const UPLINKS: &str = "
# Where readings go: `forebay sample mqtt` and `forebay sample kafka` show what can be said.
# uplinks:
#   cloud: { url: mqtts://broker.example:8883, topic: \"{gateway}/{device}/{tag}\" }
";

fn write_device(out: &mut String, device: &Device) {
    let mut text_of = String::new();
    if let Some(said) = &device.comment {
        line(&mut text_of, format_args!("  # {}", comment(said)));
    }
    if let Some(why) = &device.idle {
        line(&mut text_of, format_args!("  # {}:", comment(why)));
    }
    line(&mut text_of, format_args!("  {}:", text(&device.name)));
    match &device.on {
        Some(on) => line(&mut text_of, format_args!("    on: {}", text(on))),
        None => line(&mut text_of, format_args!("    url: {}", text(device.url.as_deref().unwrap_or(device.stand_in)))),
    }
    if let Some(unit) = device.unit {
        line(&mut text_of, format_args!("    unit: {unit}"));
    }
    if let Some(every) = device.every_ms.filter(|every| *every != EVERY_MS) {
        line(&mut text_of, format_args!("    every: {}", duration(every)));
    }
    if let Some(timeout) = device.timeout_ms.filter(|timeout| *timeout != 1_000) {
        line(&mut text_of, format_args!("    timeout: {}", duration(timeout)));
    }
    line(&mut text_of, format_args!("    tags:"));
    for tag in &device.tags {
        write_tag(&mut text_of, tag);
    }
    if device.idle.is_none() {
        out.push_str(&text_of);
        return;
    }
    for row in text_of.lines() {
        let row = row.strip_prefix("  # ").map_or_else(|| format!("  # {row}"), |said| format!("  # {said}"));
        line(out, format_args!("{row}"));
    }
}

fn write_tag(out: &mut String, tag: &Tag) {
    let address = tag.addresses.first().map_or("", String::as_str);
    let mut more = String::new();
    if let Some(scale) = tag.scale {
        push(&mut more, format_args!(", scale: {scale}"));
    }
    if let Some(offset) = tag.offset.filter(|offset| *offset != 0.0) {
        push(&mut more, format_args!(", offset: {offset}"));
    }
    if let Some(unit) = &tag.unit {
        push(&mut more, format_args!(", unit: {}", text(unit)));
    }
    if let Some(every) = tag.every_ms {
        push(&mut more, format_args!(", every: {}", duration(every)));
    }
    let value = if more.is_empty() { text(address) } else { format!("{{ address: {}{more} }}", quoted(address)) };
    let said = tag.comment.as_deref().map(|said| format!("  # {}", comment(said))).unwrap_or_default();
    line(out, format_args!("      {}: {value}{said}", text(&tag.name)));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    push(out, text);
    out.push('\n');
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

/// In one line, without control characters.
fn comment(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A scalar, in quotes where YAML could read something else.
fn text(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_alphanumeric() || first == '_' || first == '/')
        && text.chars().all(|c| c.is_alphanumeric() || "_-./?=&@:;+%°".contains(c))
        && !text.contains(": ")
        && !text.ends_with(':')
        && text != "null";
    if is_plain { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn duration(ms: u64) -> String {
    match ms {
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_quoted_where_they_have_to_be() {
        for (plain, written) in [
            ("hr:0:REAL@CDAB", "hr:0:REAL@CDAB"),
            ("DB1,REAL4", "\"DB1,REAL4\""),
            ("a \"b\"", "\"a \\\"b\\\"\""),
            ("%DB1.DBD4", "\"%DB1.DBD4\""),
            ("null", "\"null\""),
            ("hr:0:INT[4]", "\"hr:0:INT[4]\""),
            ("°C", "\"°C\""),
        ] {
            assert_eq!(text(plain), written);
        }
        assert_eq!(
            [duration(500), duration(1_500), duration(10_000), duration(60_000)],
            ["500ms", "1500ms", "10s", "1m"]
        );
    }
}
