//! `forebay commands …`: looks into the audit trail of commands, beside a running gateway.

use std::path::Path;

use serde_json::{Value, json};

use super::Exit;
use super::buffer::place::{Place, counted, plain};
use super::stdout::{print, stream};
use super::table::table;
use crate::pipeline::command::trail::{Found, Verified, folder_in, verify};

/// Look into the audit trail of commands: beside a running gateway, on a copy.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Print what is recorded, the oldest first
    Log(Log),
    /// Prove that no record was changed or taken out; exit 1 when one was
    Verify(Verify),
}

#[derive(clap::Args)]
struct Log {
    #[command(flatten)]
    place: Place,
    /// Only the last so many
    #[arg(long, value_name = "COUNT", default_value_t = usize::MAX, hide_default_value = true)]
    last: usize,
    /// Print the records as they are, one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Verify {
    #[command(flatten)]
    place: Place,
    /// A chain value that was noted earlier: it has to stand in the trail
    #[arg(long, value_name = "HASH")]
    holds: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let done = match &args.action {
        Action::Log(args) => log(args),
        Action::Verify(args) => verify_trail(args),
    };
    done.unwrap_or_else(|exit| exit)
}

fn log(args: &Log) -> Result<Exit, Exit> {
    let folder = folder_in(&args.place.folder()?);
    let mut records = std::collections::VecDeque::new();
    let verified = read(&folder, None, &mut |record| {
        if record["event"].is_string() {
            if records.len() >= args.last {
                records.pop_front();
            }
            records.push_back(record.clone());
        }
    })?;
    if args.json {
        stream(|out| records.iter().try_for_each(|record| writeln!(out, "{record}")))?;
    } else {
        let rows: Vec<[String; 8]> = records.iter().map(row).collect();
        print(&table(["time", "event", "tag", "value", "old", "held", "result", "who"], &rows));
    }
    Ok(tell_broken(&verified))
}

fn row(record: &Value) -> [String; 8] {
    let text = |name: &str| plain(record[name].as_str().unwrap_or_default());
    let value = |name: &str| if record[name].is_null() { String::new() } else { plain(&record[name].to_string()) };
    let tag = if record["tag"].is_string() { format!("{}.{}", text("device"), text("tag")) } else { String::new() };
    let result = match (text("refused"), text("reason")) {
        (refused, reason) if !refused.is_empty() => format!("refused ({refused}): {reason}"),
        (_, reason) if !reason.is_empty() => format!("{}: {reason}", text("result")),
        _ => text("result"),
    };
    let result = if record["repeated"] == true { format!("{result} (asked again)") } else { result };
    let who = format!("{} {} {}", text("who"), text("door"), text("from"));
    [text("time"), text("event"), tag, value("value"), value("old"), value("held"), result, who.trim().to_owned()]
}

fn verify_trail(args: &Verify) -> Result<Exit, Exit> {
    let folder = folder_in(&args.place.folder()?);
    let verified = read(&folder, args.holds.as_deref(), &mut |_| {})?;
    let missing = args.holds.is_some() && verified.found == Found::Nowhere;
    if args.json {
        print(&format!("{:#}\n", described(&folder, &verified, args.holds.is_some())));
    } else {
        tell_broken(&verified);
        if missing {
            eprintln!("the value given with --holds stands nowhere in the trail: records are missing at its end");
        }
        let records = counted(verified.records, "record");
        print(&format!(
            "{}: {records} in {} files\nthe chain ends with {}\n",
            folder.display(),
            verified.files,
            verified.head
        ));
    }
    Ok(if verified.broken.is_empty() && !missing { Exit::Success } else { Exit::Incomplete })
}

fn read(folder: &Path, holds: Option<&str>, each: &mut dyn FnMut(&Value)) -> Result<Verified, Exit> {
    verify(folder, holds, each).map_err(|cause| {
        eprintln!("cannot read the audit trail in {}: {cause}", folder.display());
        Exit::Failure
    })
}

fn tell_broken(verified: &Verified) -> Exit {
    verified.broken.iter().for_each(|broken| eprintln!("{broken}"));
    if verified.broken.is_empty() { Exit::Success } else { Exit::Incomplete }
}

fn described(folder: &Path, verified: &Verified, looked_for: bool) -> Value {
    let broken = verified
        .broken
        .iter()
        .map(|broken| json!({ "file": broken.file.display().to_string(), "line": broken.line, "what": broken.what }));
    json!({
        "folder": folder.display().to_string(),
        "files": verified.files,
        "records": verified.records,
        "first": verified.first,
        "chain": verified.head,
        "holds": looked_for.then_some(verified.found == Found::There),
        "broken": broken.collect::<Value>(),
    })
}
