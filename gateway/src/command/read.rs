//! `forebay read URL ADDRESS…`: the values of a device, once.

use driver_core::{Fact, GroupId, Line, LinkError, Reading, Readings, SystemClock};
use serde_json::json;

use super::Exit;
use super::advice::words;
use super::json::json_value;
use super::one_shot::{Purpose, block_on, line};
use super::stdout::print;
use super::table::table;

/// Read addresses of a device once, with no configuration file.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The device, such as modbus-tcp://10.0.0.11?unit=1
    url: String,
    /// What to read, such as hr:0:INT
    #[arg(required_unless_present = "info")]
    addresses: Vec<String>,
    /// Also ask the device what it is
    #[arg(long)]
    info: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match read(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn read(args: &Args) -> Result<Exit, Exit> {
    let mut line = line(&args.url, &args.addresses, Purpose::Read)?;
    let (facts, readings) = block_on(ask(line.as_mut(), args))?.map_err(|error| {
        eprintln!("{error}");
        Exit::Failure
    })?;
    if args.json {
        print_json(args, &facts, &readings)
    } else {
        print_table(args, line.as_ref(), &facts, &readings)
    }
    let all_good = readings.iter().all(|reading| reading.quality.reason().is_none());
    Ok(if all_good { Exit::Success } else { Exit::Failure })
}

async fn ask(line: &mut dyn Line, args: &Args) -> Result<(Vec<Fact>, Vec<Reading>), LinkError> {
    line.connect().await?;
    let facts = if args.info { line.identify(0).await? } else { Vec::new() };
    let mut readings = Vec::new();
    if !args.addresses.is_empty() {
        line.poll(0, GroupId(0), &mut Readings::new(&mut readings, &SystemClock)).await?;
    }
    line.close().await;
    readings.sort_by_key(|reading| reading.tag);
    Ok((facts, readings))
}

fn print_table(args: &Args, line: &dyn Line, facts: &[Fact], readings: &[Reading]) {
    if args.info && facts.is_empty() {
        print("the device does not say what it is\n");
    }
    for fact in facts {
        print(&format!("{}: {}\n", fact.label, fact.text));
    }
    let rows: Vec<[String; 5]> = readings.iter().map(|reading| row(args, line, reading)).collect();
    if !rows.is_empty() {
        print(&table(["address", "value", "quality", "type", "on the wire"], &rows));
    }
    let scheme = args.url.split_once(':').map_or("", |(scheme, _)| scheme);
    let mut told: Vec<String> = Vec::new();
    for reading in readings {
        let Some(reason) = reading.quality.reason() else { continue };
        let said = format!("{reason}: {}", words(scheme, reason, reading.status));
        if !told.contains(&said) {
            eprintln!("{said}");
            told.push(said);
        }
    }
}

fn row(args: &Args, line: &dyn Line, reading: &Reading) -> [String; 5] {
    let index = reading.tag.index();
    let text = line.tag_text(0, index);
    let reason = reading.quality.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    let quality = format!("{}{reason}{}", reading.quality.level().name(), code(reading.status));
    [args.addresses[index].clone(), reading.value.to_string(), quality, text.data_type.to_string(), text.also]
}

/// The protocol's own code as its tables have it: one of 32 bits in hexadecimal.
fn code(status: u32) -> String {
    match status {
        0 => String::new(),
        1..0x1_0000 => format!(" ({status})"),
        _ => format!(" (0x{status:08X})"),
    }
}

fn print_json(args: &Args, facts: &[Fact], readings: &[Reading]) {
    let facts: serde_json::Map<String, serde_json::Value> =
        facts.iter().map(|fact| (fact.label.clone(), json!(fact.text))).collect();
    let readings: Vec<serde_json::Value> = readings
        .iter()
        .map(|reading| {
            json!({
                "address": args.addresses[reading.tag.index()],
                "value": json_value(&reading.value),
                "quality": reading.quality.level().name(),
                "reason": reading.quality.reason().map(|reason| reason.name()),
                "status": reading.status,
                "time": reading.timestamp.to_string(),
            })
        })
        .collect();
    print(&format!("{:#}\n", json!({ "url": args.url, "info": facts, "readings": readings })));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_as_they_are_looked_up() {
        assert_eq!([0, 2, 0x8034_0000].map(code), ["", " (2)", " (0x80340000)"]);
    }
}
