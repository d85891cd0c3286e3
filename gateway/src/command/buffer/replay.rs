//! `forebay buffer replay`: asks the gateway to send a range of the log once more.

use std::io::IsTerminal;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use buffer::Lock;
use serde_json::Value;

use super::place::{Place, counted, plain};
use crate::clock::parse_time;
use crate::command::Exit;
use crate::command::stdout::print;
use crate::pipeline::forward::replay::{Job, JobState, Jobs, Range, What};

/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// So many looks come to one look at whether a gateway runs.
const LOOKS_PER_LOCK: u64 = 25;

/// Send a range of the log to an uplink once more
#[derive(clap::Args)]
#[command(after_help = "\
The running gateway sends what the log still holds, behind what is new, under the same numbers, and marked:
\"lane\":\"replay\",\"job\":N. What every uplink has is kept as far as `keep` in the gateway's file says. Ctrl-C ends the
watching, not the replay, which also goes on after a restart. Without --uplink the replays so far are listed.")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The uplink that gets it
    #[arg(long, value_name = "NAME", requires = "from")]
    uplink: Option<String>,
    /// From this time on, such as 2026-11-23T02:00Z
    #[arg(long, value_name = "TIME", value_parser = time, requires = "uplink")]
    from: Option<i64>,
    /// Up to this time; without it, up to now
    #[arg(long, value_name = "TIME", value_parser = time, requires = "uplink")]
    to: Option<i64>,
    /// Only tags whose device.tag is so; * and ? stand for any characters
    #[arg(long, value_name = "GLOB", requires = "uplink")]
    tag: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<i64, String> {
    parse_time(text).ok_or_else(|| "write a time such as 2026-11-23 or 2026-11-23T02:28:33Z".into())
}

pub(super) fn run(args: &Args) -> Result<Exit, Exit> {
    let (folder, inspector) = args.place.open()?;
    let jobs = Jobs::beside(&folder);
    let (Some(uplink), Some(from_ns)) = (&args.uplink, args.from) else { return list(&jobs, args.json) };
    let overview = inspector.overview();
    if !overview.uplinks.iter().any(|(name, _)| name == uplink) {
        let known: Vec<&str> = overview.uplinks.iter().map(|(name, _)| name.as_str()).collect();
        eprintln!("the buffer knows no uplink {}; it knows: {}", plain(uplink), plain(&known.join(", ")));
        return Err(Exit::Configuration);
    }
    if args.to.is_some_and(|to_ns| to_ns <= from_ns) {
        eprintln!("`--to` is not later than `--from`: there is nothing between them");
        return Err(Exit::Usage);
    }
    let range = Range { from_ns, to_ns: args.to, tags: args.tag.clone() };
    let number = jobs.add(Job::asked(uplink, What::Range(range))).map_err(|cause| {
        eprintln!("cannot ask for the replay in {}: {cause}. {}", folder.display(), advice(&cause));
        Exit::Failure
    })?;
    watch(&jobs, number, &folder, args.json)
}

fn advice(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        std::io::ErrorKind::PermissionDenied => "Run it as the gateway's user",
        _ => "The gateway that sends it reads the request out of its own buffer: name that folder",
    }
}

/// Waits until the job is done, or tells that nobody works on it.
pub(super) fn watch(jobs: &Jobs, number: u32, folder: &Path, json: bool) -> Result<Exit, Exit> {
    let is_shown = std::io::stderr().is_terminal();
    for looks in 0_u64.. {
        let job = jobs.get(number).ok().flatten();
        let Some(job) = job else {
            eprintln!("the replay {number} is gone from {}", folder.display());
            return Err(Exit::Failure);
        };
        // Seldom, because a gateway that starts at this moment finds the buffer taken.
        let nobody_works = looks % LOOKS_PER_LOCK == 0 && Lock::take(folder).is_ok();
        if job.state == JobState::Done || nobody_works {
            if is_shown {
                eprint!("\r\x1b[K");
            }
            print(&if json { format!("{:#}\n", listed(&job)) } else { told(&job) });
            return Ok(if job.refused == 0 { Exit::Success } else { Exit::Incomplete });
        }
        if is_shown {
            eprint!("\r\x1b[Kreplay {number} {}", progress(&job));
        }
        sleep(LOOK_EVERY);
    }
    Err(Exit::Failure)
}

fn progress(job: &Job) -> String {
    let state = if job.state == JobState::Waiting { "waits for the uplink" } else { "runs" };
    match &job.what {
        What::Range(_) => {
            let left = job.end.unwrap_or(0).saturating_sub(job.next.unwrap_or(0));
            format!("{state}: {} sent, {left} places of the log to go", counted(job.sent, "reading"))
        }
        What::Quarantined(_) => format!("{state}: {} delivered, {} refused", counted(job.sent, "message"), job.refused),
    }
}

fn told(job: &Job) -> String {
    let (number, uplink) = (job.number, plain(&job.uplink));
    match (job.state, &job.what) {
        (JobState::Done, What::Range(_)) => {
            format!("replay {number}: {} sent to {uplink} once more\n", counted(job.sent, "reading"))
        }
        (JobState::Done, What::Quarantined(_)) => {
            let stay = match job.refused {
                0 => String::new(),
                refused => format!(", {} refused once more and kept", counted(refused, "message")),
            };
            format!(
                "replay {number}: {} out of the quarantine delivered to {uplink}{stay}\n",
                counted(job.sent, "message")
            )
        }
        (JobState::Waiting | JobState::Running, _) => {
            format!("replay {number} waits: no gateway runs on this buffer; it goes on when one is started\n")
        }
    }
}

fn listed(job: &Job) -> Value {
    let mut object = job.json();
    object["job"] = job.number.into();
    object
}

fn list(jobs: &Jobs, json: bool) -> Result<Exit, Exit> {
    let jobs = jobs.all().map_err(|cause| {
        eprintln!("cannot read the requests: {cause}");
        Exit::Failure
    })?;
    let text = match (json, jobs.is_empty()) {
        (true, _) => format!("{:#}\n", jobs.iter().map(listed).collect::<Value>()),
        (false, true) => "no replay was asked for; name an uplink and a time: --uplink NAME --from TIME\n".into(),
        (false, false) => {
            let line = |job: &Job| {
                let (number, uplink, state) = (job.number, plain(&job.uplink), job.state.name());
                match &job.what {
                    What::Range(_) => {
                        format!("replay {number} to {uplink}: {state}, {}\n", counted(job.sent, "reading"))
                    }
                    What::Quarantined(_) => {
                        let delivered = counted(job.sent, "message");
                        format!("replay {number} of the quarantine to {uplink}: {state}, {delivered}\n")
                    }
                }
            };
            jobs.iter().map(line).collect()
        }
    };
    print(&text);
    Ok(Exit::Success)
}
