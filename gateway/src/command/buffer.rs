//! `forebay buffer …`: looks into the log on disk.
//!
//! Nothing here opens the log as the gateway does: it works beside a running gateway, on a copy and on a read-only medium.
//! Only what changes the quarantine takes the gateway's lock, and refuses while a gateway runs. A replay is asked for: the
//! gateway sends it.

pub(super) mod place;

mod progress;

mod stats;

mod dump;

mod verify;

mod replay;

mod quarantine;

use super::Exit;

/// Look into the log on disk: beside a running gateway, on a copy, on a read-only medium.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Stats(stats::Args),
    Dump(dump::Args),
    Verify(verify::Args),
    Replay(replay::Args),
    Quarantine(quarantine::Args),
}

pub(super) fn run(args: &Args) -> Exit {
    let done = match &args.action {
        Action::Stats(args) => stats::run(args),
        Action::Dump(args) => dump::run(args),
        Action::Verify(args) => verify::run(args),
        Action::Replay(args) => replay::run(args),
        Action::Quarantine(args) => quarantine::run(args),
    };
    done.unwrap_or_else(|exit| exit)
}

#[cfg(test)]
mod tests;
