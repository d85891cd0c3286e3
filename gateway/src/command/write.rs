//! `forebay write URL ADDRESS VALUE`: one value into a device, read back.

use driver_core::{Field, Line, LinkError, TagId, TagText, Value, WriteError, WriteOutcome, parse_value};
use serde_json::json;

use super::Exit;
use super::json::json_value;
use super::one_shot::{Purpose, block_on, line};
use super::stdout::print;

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
        WriteOutcome::Written(held) if is_same(held, value) || is_nearest(held, value, tag) => {
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

/// Whether the device holds the nearest value that the type has: 0.1 as F16 is 0.099975586.
fn is_nearest(held: &Value, written: &Value, tag: &TagText) -> bool {
    let elements = (tag.elements > 1).then(|| u16::try_from(tag.elements).unwrap_or(u16::MAX));
    let field = Field { elements, ..Field::in_registers(tag.data_type) };
    field.encode(held).is_ok_and(|held| field.encode(written).is_ok_and(|written| held == written))
}

/// Whether the device holds what was written. NaN is NaN, and no device keeps the spaces at the end of a text.
fn is_same(held: &Value, written: &Value) -> bool {
    match (held, written) {
        (Value::Real(held), Value::Real(written)) => held == written || held.is_nan() && written.is_nan(),
        (Value::LReal(held), Value::LReal(written)) => held == written || held.is_nan() && written.is_nan(),
        (Value::Text(held), Value::Text(written)) => held.trim_end_matches(' ') == written.trim_end_matches(' '),
        (Value::Array(held), Value::Array(written)) => {
            held.len() == written.len() && held.iter().zip(written).all(|(held, written)| is_same(held, written))
        }
        (held, written) => held == written,
    }
}

#[cfg(test)]
mod tests {
    use driver_core::DataType;

    use super::*;

    #[test]
    fn what_reads_back_as_it_was_meant_is_the_same() {
        let text = |text: &str| Value::Text(text.into());
        let reals = |number: f32| Value::Array([Value::Real(1.0), Value::Real(number)].into());
        assert!(is_same(&reals(f32::NAN), &reals(f32::NAN)));
        assert!(is_same(&Value::LReal(f64::NAN), &Value::LReal(f64::NAN)));
        assert!(is_same(&text("A1"), &text("A1  ")));
        assert!(!is_same(&reals(2.0), &reals(3.0)) && !is_same(&text(" A1"), &text("A1")));
        assert!(!is_same(&Value::Int(1), &Value::Int(2)));
        let tag = |data_type, elements| TagText {
            canonical: String::new(),
            also: String::new(),
            data_type,
            elements,
            writable: true,
        };
        assert!(is_nearest(&Value::Real(0.099_975_586), &Value::Real(0.1), &tag(DataType::Half, 1)));
        assert!(!is_nearest(&Value::Real(0.2), &Value::Real(0.1), &tag(DataType::Half, 1)));
        assert!(!is_nearest(&reals(2.0), &reals(3.0), &tag(DataType::Real, 2)));
    }
}
