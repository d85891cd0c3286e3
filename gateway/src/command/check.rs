//! `forebay check FILE`: all that is wrong with a configuration; or, where nothing is, what will be polled, or with
//! `--connect` whether it can be.

mod connect;
mod tried;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use driver_core::{DeviceSpec, Line, TagSpec};
use serde_json::{Value, json};

use super::Exit;
use super::one_shot::block_on;
use super::stdout::print;
use super::table::table;
use crate::config::{self, Checked, Config, Severity, Unusable};

/// Check a configuration: all errors at once, or what will be polled.
#[derive(clap::Args)]
#[command(after_help = "\
--connect reads every tag of every device once and logs in to every uplink, under another name than the gateway's and
without sending anything there. It may be used while the gateway runs; a serial port that it holds, and a PLC that takes
one connection only, are then refused.
Exit codes: 0 no errors, and with --connect all could be used; 1 errors, or something could not be used; 2 the command
line is wrong.")]
pub(super) struct Args {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Try every device and every uplink of the file
    #[arg(long)]
    connect: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match config::read(&args.file) {
        Ok(checked) if args.connect => match try_all(args, checked) {
            Ok(exit) | Err(exit) => exit,
        },
        Ok(checked) => {
            if args.json {
                print(&format!("{:#}\n", described(&args.file, &checked)));
            } else {
                eprint!("{}", checked.warnings);
                print(&told(&args.file, &checked));
            }
            Exit::Success
        }
        Err(unusable) => {
            if args.json {
                print(&format!("{:#}\n", refused(&args.file, &unusable)));
            } else {
                eprint!("{unusable}{}", counted(&unusable));
            }
            Exit::Configuration
        }
    }
}

fn try_all(args: &Args, checked: Checked) -> Result<Exit, Exit> {
    let mut json = args.json.then(|| described(&args.file, &checked));
    if json.is_none() {
        eprint!("{}", checked.warnings);
        print(&format!("{}\n", headline(&args.file, &checked)));
    }
    let tried = block_on(connect::connect(checked))?;
    match &mut json {
        Some(json) => {
            json["connect"] = tried::json(&tried);
            print(&format!("{json:#}\n"));
        }
        None => print(&tried::text(&tried)),
    }
    let all_good = tried.iter().all(connect::Tried::is_good);
    Ok(if all_good { Exit::Success } else { Exit::Incomplete })
}

fn counted(unusable: &Unusable) -> String {
    match unusable {
        Unusable::File(_) => String::new(),
        Unusable::Content(report) => {
            format!("{}; nothing would be started\n", number(report.count(Severity::Error), "error"))
        }
    }
}

fn refused(file: &Path, unusable: &Unusable) -> Value {
    let faults = match unusable {
        Unusable::File(cause) => json!([{ "file": file, "severity": "error", "message": cause }]),
        Unusable::Content(report) => report.json(),
    };
    json!({ "file": file, "usable": false, "faults": faults })
}

/// What will be done, for people.
fn told(file: &Path, checked: &Checked) -> String {
    let Checked { config, lines, .. } = checked;
    let mut text = headline(file, checked);
    for (line, planned) in config.lines.iter().zip(lines) {
        for (index, device) in line.spec.devices.iter().enumerate() {
            write_device(&mut text, line.spec.url.as_str(), device, index, config, planned.as_ref());
        }
    }
    write_derived(&mut text, config);
    for uplink in &config.uplinks {
        push(&mut text, format_args!("\n{}: to {}\n", uplink.name, uplink.url));
    }
    text
}

/// The tags that no device has, and what they are made of.
fn write_derived(text: &mut String, config: &Config) {
    let name =
        |tag| config.tags.schema().tag(tag).map_or_else(String::new, |names| format!("{}.{}", names.device, names.tag));
    if !config.derived.steps.is_empty() {
        text.push_str("\nmade of other tags:\n");
    }
    for step in &config.derived.steps {
        let sources: Vec<String> = step.sources.iter().map(|source| name(source.tag)).collect();
        push(text, format_args!("  {}  {} {}\n", name(step.tag), step.work.name(), sources.join(", ")));
    }
}

fn headline(file: &Path, checked: &Checked) -> String {
    let Checked { config, lines, warnings } = checked;
    let devices: usize = config.lines.iter().map(|line| line.spec.devices.len()).sum();
    format!(
        "{}: {}. {} polls {} on {} over {}, for {}.\n",
        file.display(),
        if warnings.is_empty() { "no errors".into() } else { number(warnings.count(Severity::Warning), "warning") },
        config.gateway,
        number(config.tags.len(), "tag"),
        number(devices, "device"),
        number(lines.len(), "line"),
        number(config.uplinks.len(), "uplink"),
    )
}

fn write_device(text: &mut String, url: &str, device: &DeviceSpec, index: usize, config: &Config, line: &dyn Line) {
    let unit = device.unit.map(|unit| format!(", unit {unit}")).unwrap_or_default();
    push(text, format_args!("\n{}: {url}{unit}\n", device.name));
    let rows: Vec<[String; 7]> = device
        .tags
        .iter()
        .enumerate()
        .map(|(tag, spec)| {
            let (name, unit) = names(config, spec);
            let address = line.tag_text(index, tag);
            let elements = if address.elements > 1 { format!("[{}]", address.elements) } else { String::new() };
            let data_type = structure(config, spec).unwrap_or_else(|| format!("{}{elements}", address.data_type));
            let every = format!("{:?}", every(device, spec));
            let written_by = written_by(config, spec).unwrap_or_default();
            [name.into(), address.canonical, address.also, data_type, every, unit.into(), written_by.into()]
        })
        .collect();
    for pattern in &device.browse {
        push(text, format_args!("  {pattern}: the variables there become tags when the gateway has found them\n"));
    }
    if !rows.is_empty() {
        text.push_str(&table(["tag", "address", "on the wire", "type", "every", "unit", "written by"], &rows));
    }
}

/// What a tag's structure is made of, where that is declared.
fn structure(config: &Config, tag: TagSpec<'_>) -> Option<String> {
    let (_, structure) = config.structures.iter().find(|(id, _)| *id == tag.id)?;
    Some(structure.to_string())
}

/// The least role that may write a tag; `None` where nobody may.
fn written_by(config: &Config, tag: TagSpec<'_>) -> Option<&'static str> {
    let writable = config.writables.list().iter().find(|writable| writable.tag == tag.id)?;
    Some(writable.rule.role.name())
}

fn names<'c>(config: &'c Config, tag: TagSpec<'_>) -> (&'c str, &'c str) {
    config.tags.schema().tag(tag.id).map_or(("", ""), |names| (names.tag, names.unit))
}

fn every(device: &DeviceSpec, tag: TagSpec<'_>) -> Duration {
    device.groups.get(tag.group.index()).copied().unwrap_or_default()
}

/// What will be done, for machines.
fn described(file: &Path, checked: &Checked) -> Value {
    let Checked { config, lines, warnings } = checked;
    let lines = config.lines.iter().zip(lines).map(|(line, planned)| {
        let devices = line.spec.devices.iter().enumerate();
        let devices = devices.map(|(index, device)| device_json(device, index, config, planned.as_ref()));
        json!({ "line": line.name, "url": line.spec.url.as_str(), "devices": devices.collect::<Value>() })
    });
    let uplinks = config.uplinks.iter().map(|uplink| json!({ "uplink": uplink.name, "url": uplink.url.as_str() }));
    json!({
        "file": file,
        "usable": true,
        "faults": warnings.json(),
        "gateway": config.gateway,
        "lines": lines.collect::<Value>(),
        "uplinks": uplinks.collect::<Value>(),
    })
}

fn device_json(device: &DeviceSpec, index: usize, config: &Config, line: &dyn Line) -> Value {
    let tags = device.tags.iter().enumerate().map(|(tag, spec)| {
        let (name, unit) = names(config, spec);
        let address = line.tag_text(index, tag);
        json!({
            "tag": name,
            "address": spec.address,
            "canonical": address.canonical,
            "wire": address.also,
            "type": address.data_type.to_string(),
            "elements": address.elements,
            "structure": structure(config, spec),
            "writable": address.writable,
            "written_by": written_by(config, spec),
            "every_s": every(device, spec).as_secs_f64(),
            "unit": unit,
        })
    });
    json!({ "device": device.name, "unit": device.unit, "browse": device.browse, "tags": tags.collect::<Value>() })
}

fn number(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a String takes everything");
}
