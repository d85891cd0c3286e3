//! `forebay write URL ADDRESS VALUE`: one value into a device, read back.

use driver_core::{Line, LinkError, TagId, TagText, Value, WriteError, WriteOutcome, parse_value};
use serde_json::json;

use super::Exit;
use super::json::json_value;
use super::one_shot::{Purpose, block_on, line};
use super::stdout::print;
use crate::pipeline::command::verify::{holds, holds_nearest};

/// Write one value to a device and read it back, with no configuration file.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The device, such as modbus-tcp://10.0.0.11?unit=1
    url: String,
    /// Where to write, such as hr:40:REAL
    address: String,
    /// What to write: 21.5, true, text, 1.5s, 2026-11-23T02:28:33, or [1, 2, 3] for an array
    #[arg(allow_hyphen_values = true)]
    value: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match write(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn write(args: &Args) -> Result<Exit, Exit> {
    let mut line = line(&args.url, std::slice::from_ref(&args.address), Purpose::Write)?;
    let text = line.tag_text(0, 0);
    if !text.writable {
        eprintln!("{}: the protocol can only read this address", args.address);
        return Err(Exit::Configuration);
    }
    let value = parse_value(&args.value, text.data_type, text.elements).map_err(|cause| {
        eprintln!("{cause}");
        Exit::Configuration
    })?;
    let outcome = block_on(send(line.as_mut(), &value))?.map_err(|error| {
        eprintln!("{error}");
        Exit::Failure
    })?;
    Ok(report(args, &text, &value, &outcome))
}

async fn send(line: &mut dyn Line, value: &Value) -> Result<WriteOutcome, LinkError> {
    line.connect().await?;
    let outcome = line.write(0, TagId(0), value).await?;
    line.close().await;
    Ok(outcome)
}

fn report(args: &Args, tag: &TagText, value: &Value, outcome: &WriteOutcome) -> Exit {
    let (held, exit, text) = match outcome {
        WriteOutcome::Written(Value::None) => (None, Exit::Success, "written; it cannot be read back".to_owned()),
        WriteOutcome::Written(held)
            if holds(held, value) || holds_nearest(held, value, tag.data_type, tag.elements) =>
        {
            (Some(held), Exit::Success, format!("the device now holds {held}"))
        }
        WriteOutcome::Written(held) => (
            Some(held),
            Exit::Failure,
            format!("the device took {value}, but holds {held}: something else writes there, or limits it"),
        ),
        WriteOutcome::Failed(error @ (WriteError::Value { .. } | WriteError::ReadOnly(_))) => {
            (None, Exit::Configuration, error.to_string())
        }
        WriteOutcome::Failed(error) => (None, Exit::Failure, error.to_string()),
    };
    if args.json {
        let held = held.map(json_value);
        let ok = exit == Exit::Success;
        let answer = json!({ "url": args.url, "address": args.address, "held": held, "ok": ok, "text": text });
        print(&format!("{answer:#}\n"));
    } else if exit == Exit::Success {
        print(&format!("{}: {text}\n", args.address));
    } else {
        eprintln!("{}: {text}", args.address);
    }
    exit
}
