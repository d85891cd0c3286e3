//! `forebay buffer quarantine …`: the messages that a far side would not take.

use std::collections::BTreeSet;
use std::path::Path;

use buffer::Lock;
use serde_json::{Value, json};

use super::place::{Place, counted, plain, refused};
use super::replay::watch;
use crate::command::Exit;
use crate::command::stdout::{print, stream};
use crate::command::table::table;
use crate::pipeline::forward::quarantine::{Kept, Quarantine};
use crate::pipeline::forward::replay::Jobs;
use crate::pipeline::forward::retry;

/// What stands where a line of the file cannot be understood.
const CUT_SHORT: &str = "(cannot be understood: a kill or damage cut it short)";

/// Look at the messages that an uplink refused for good, offer them once more, or drop them.
#[derive(clap::Args)]
#[command(after_help = "\
list, show and export work beside a running gateway. retry asks the gateway that runs, or the next one: it sends the
messages as they were refused, under the same numbers, marked as a replay, and takes out of the quarantine what the far
side has. What is refused again stays, and the exit code is 1. drop does not work beside a gateway, which may be adding to
the same file: it takes the gateway's lock and refuses while one runs. Numbers change when messages before them go.")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// What is kept, one line a message
    List {
        #[command(flatten)]
        place: Place,
        /// Only of this uplink
        #[arg(long, value_name = "NAME")]
        uplink: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One message with its payload
    Show {
        #[command(flatten)]
        one: OfUplink,
        /// Its number in the list
        #[arg(value_name = "N")]
        number: u64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// All messages whole, one JSON object a line
    Export {
        #[command(flatten)]
        place: Place,
        /// Only of this uplink
        #[arg(long, value_name = "NAME")]
        uplink: Option<String>,
    },
    /// Let the gateway offer messages once more, after what the far side minded was put right
    Retry {
        #[command(flatten)]
        one: OfUplink,
        /// Their numbers in the list
        #[arg(value_name = "N", required_unless_present = "all", conflicts_with = "all")]
        numbers: Vec<u64>,
        /// All of this uplink
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove messages for good; the gateway must not run
    Drop {
        #[command(flatten)]
        one: OfUplink,
        /// Their numbers in the list
        #[arg(value_name = "N", required = true)]
        numbers: Vec<u64>,
    },
}

#[derive(clap::Args)]
struct OfUplink {
    #[command(flatten)]
    place: Place,
    /// The uplink that refused it
    #[arg(long, value_name = "NAME")]
    uplink: String,
}

pub(super) fn run(args: &Args) -> Result<Exit, Exit> {
    match &args.action {
        Action::List { place, uplink, json } => {
            let quarantines = quarantines(place, uplink.as_deref())?;
            if *json { list_json(&quarantines) } else { list(&quarantines) }
        }
        Action::Show { one, number, json } => show(one, *number, *json),
        Action::Export { place, uplink } => export(&quarantines(place, uplink.as_deref())?),
        Action::Retry { one, numbers, json, .. } => retry(one, numbers, *json),
        Action::Drop { one, numbers } => remove(one, numbers),
    }
}

/// The quarantines that are meant; the folder of the buffer must be there.
fn quarantines(place: &Place, uplink: Option<&str>) -> Result<Vec<Quarantine>, Exit> {
    let folder = existing(place)?;
    match uplink {
        Some(uplink) => Ok(vec![Quarantine::beside(&folder, uplink)]),
        None => Quarantine::all(&folder).map_err(|cause| unreadable(&folder, &cause)),
    }
}

fn existing(place: &Place) -> Result<std::path::PathBuf, Exit> {
    let folder = place.folder()?;
    if folder.is_dir() {
        return Ok(folder);
    }
    eprintln!("there is no buffer in {}: check the path, or start the gateway once", folder.display());
    Err(Exit::Failure)
}

fn unreadable(path: &Path, cause: &std::io::Error) -> Exit {
    eprintln!("cannot read {}: {cause}", path.display());
    Exit::Failure
}

/// Hands each message over, with the name of its uplink, until `each` fails.
fn visit(quarantines: &[Quarantine], mut each: impl FnMut(&str, &Kept) -> Result<(), Exit>) -> Result<(), Exit> {
    for quarantine in quarantines {
        let failed = |cause| unreadable(quarantine.path(), &cause);
        for kept in quarantine.messages().map_err(failed)? {
            each(&quarantine.name(), &kept.map_err(failed)?)?;
        }
    }
    Ok(())
}

fn list(quarantines: &[Quarantine]) -> Result<Exit, Exit> {
    let mut rows = Vec::new();
    visit(quarantines, |uplink, kept| {
        let seqs = kept.place().map_or_else(|| "-".into(), |(_, first, last)| format!("{first}-{last}"));
        let topic = kept.topic().map_or_else(|| "-".into(), |topic| plain(&topic));
        let reason = kept.reason().map_or_else(|| CUT_SHORT.into(), |reason| plain(&reason));
        rows.push([plain(uplink), kept.number.to_string(), topic, seqs, reason]);
        Ok(())
    })?;
    match rows.is_empty() {
        true => print("nothing is in quarantine\n"),
        false => print(&table(["uplink", "number", "topic", "seqs", "reason"], &rows)),
    }
    Ok(Exit::Success)
}

fn list_json(quarantines: &[Quarantine]) -> Result<Exit, Exit> {
    let mut all = Vec::new();
    visit(quarantines, |uplink, kept| {
        let place = kept.place();
        all.push(json!({
            "uplink": uplink,
            "number": kept.number,
            "topic": kept.topic(),
            "epoch": place.map(|(epoch, ..)| epoch),
            "first": place.map(|(_, first, _)| first),
            "last": place.map(|(_, _, last)| last),
            "reason": kept.reason(),
        }));
        Ok(())
    })?;
    print(&format!("{:#}\n", Value::from(all)));
    Ok(Exit::Success)
}

fn show(one: &OfUplink, number: u64, json: bool) -> Result<Exit, Exit> {
    let quarantine = Quarantine::beside(&existing(&one.place)?, &one.uplink);
    let failed = |cause| unreadable(quarantine.path(), &cause);
    for kept in quarantine.messages().map_err(failed)? {
        let kept = kept.map_err(failed)?;
        if kept.number == number {
            print(&if json { whole(&one.uplink, &kept) } else { text(&one.uplink, &kept) });
            return Ok(Exit::Success);
        }
    }
    Err(unknown(&one.uplink, number))
}

fn unknown(uplink: &str, number: u64) -> Exit {
    eprintln!(
        "there is no message {number} in the quarantine of {uplink}: `forebay buffer quarantine list` has them all"
    );
    Exit::Configuration
}

fn text(uplink: &str, kept: &Kept) -> String {
    let or_cut = |text: Option<String>| text.map_or_else(|| CUT_SHORT.into(), |text| plain(&text));
    let place = kept.place().map(|(epoch, first, last)| format!("epoch {epoch}, seq {first} to {last}"));
    let payload = kept.payload().unwrap_or_else(|| kept.line.clone());
    let payload = match std::str::from_utf8(&payload) {
        Ok(text) => plain(text),
        Err(_) => payload.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    format!(
        "uplink    {}\ntopic     {}\nreadings  {}\nreason    {}\n\n{payload}\n",
        plain(uplink),
        or_cut(kept.topic()),
        or_cut(place),
        or_cut(kept.reason()),
    )
}

/// A message as one line of JSON; what cannot be understood stands there as text.
fn whole(uplink: &str, kept: &Kept) -> String {
    let cut_short = || json!({ "number": kept.number, "cut_short": String::from_utf8_lossy(&kept.line) });
    let mut object = kept.json().unwrap_or_else(cut_short);
    object["uplink"] = uplink.into();
    format!("{object}\n")
}

fn export(quarantines: &[Quarantine]) -> Result<Exit, Exit> {
    let mut failed = Ok(());
    stream(|out| {
        let mut written = Ok(());
        failed = visit(quarantines, |uplink, kept| {
            written = out.write_all(whole(uplink, kept).as_bytes());
            if written.is_ok() { Ok(()) } else { Err(Exit::Success) }
        });
        written
    })?;
    failed.map_or_else(Ok, |()| Ok(Exit::Success))
}

fn retry(one: &OfUplink, numbers: &[u64], json: bool) -> Result<Exit, Exit> {
    let folder = existing(&one.place)?;
    let number = retry::ask(&folder, &one.uplink, &numbers.iter().copied().collect()).map_err(|cause| {
        eprintln!("{cause}");
        match cause {
            retry::NotAsked::Unknown(_) | retry::NotAsked::Empty => Exit::Configuration,
            retry::NotAsked::Disk(_) => Exit::Failure,
        }
    })?;
    watch(&Jobs::beside(&folder), number, &folder, json)
}

fn remove(one: &OfUplink, numbers: &[u64]) -> Result<Exit, Exit> {
    let folder = existing(&one.place)?;
    let quarantine = Quarantine::beside(&folder, &one.uplink);
    let numbers: BTreeSet<u64> = numbers.iter().copied().collect();
    let held = Lock::take(&folder).map_err(|cause| {
        if !cause.is_in_use() {
            return refused(&cause);
        }
        eprintln!(
            "a gateway runs on {}, and may be adding to its quarantine just now: stop it first, or drop from a copy",
            folder.display()
        );
        Exit::Failure
    })?;
    let kept = quarantine.messages().map(Iterator::count).map_err(|cause| unreadable(quarantine.path(), &cause))?;
    if let Some(wrong) = numbers.iter().find(|number| !(1..=kept as u64).contains(number)) {
        return Err(unknown(&one.uplink, *wrong));
    }
    let removed = quarantine.remove(&numbers, &held).map_err(|cause| {
        eprintln!("cannot change {}: {cause}; nothing was dropped", quarantine.path().display());
        Exit::Failure
    })?;
    print(&format!("{} dropped\n", counted(removed, "message")));
    Ok(Exit::Success)
}
