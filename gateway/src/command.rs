//! The command line: one module a command.

mod run;

mod check;
mod plan;
mod sample;
mod schema;
mod import;

mod buffer;

mod discover;
mod probe;
mod read;
mod browse;
mod trust;
mod write;
mod record;
mod send;
mod commands;
mod audit;
mod password;

mod completions;
mod manual;

#[cfg(feature = "sim")]
mod demo;
#[cfg(feature = "sim")]
mod sim;

mod advice;
#[cfg(feature = "sim")]
mod folder;
mod json;
mod logging;
mod one_shot;
#[cfg(feature = "sim")]
mod simulation;
mod stdout;
mod table;
mod units;

#[cfg(test)]
mod guide;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What the process says to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success,
    /// The configuration, or an address or value on the command line, is wrong; nothing was started.
    Configuration,
    /// The audit found readings missing, or could not prove that none is; or the buffer is damaged; or something that the
    /// file names cannot be used.
    Incomplete,
    /// The command line itself is wrong.
    Usage,
    /// It was started and failed: a device that cannot be reached, a port or a disk that refuses.
    Failure,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Success => 0,
            Exit::Configuration | Exit::Incomplete => 1,
            Exit::Usage => 2,
            Exit::Failure => 3,
        })
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the configuration, an address or a value is wrong; nothing was started; or a loss or damage was found,
     or a device or uplink that was tried cannot be used
  2  the command line is wrong
  3  started and failed: a device, a port or a disk refuses";

/// Polls PLCs, keeps every reading on disk, and forwards it when and as fast as the network allows.
#[derive(Parser)]
#[command(name = "forebay", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Plan(plan::Args),
    Schema(schema::Args),
    Sample(sample::Args),
    Import(import::Args),
    Buffer(buffer::Args),
    Discover(discover::Args),
    Probe(probe::Args),
    Read(read::Args),
    Browse(browse::Args),
    Trust(trust::Args),
    Write(write::Args),
    #[command(name = "command")]
    Send(send::Args),
    Record(record::Args),
    Commands(commands::Args),
    Audit(audit::Args),
    Password(password::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Manual(manual::Args),
    #[cfg(feature = "sim")]
    Sim(sim::Args),
    #[cfg(feature = "sim")]
    Demo(demo::Args),
}

/// Understands the command line, runs the command and returns its exit code.
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Buffer(args) => buffer::run(&args),
        Command::Discover(args) => discover::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Read(args) => read::run(&args),
        Command::Browse(args) => browse::run(&args),
        Command::Trust(args) => trust::run(&args),
        Command::Write(args) => write::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Commands(args) => commands::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Password(args) => password::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Manual(args) => manual::run(&args),
        #[cfg(feature = "sim")]
        Command::Sim(args) => sim::run(&args),
        #[cfg(feature = "sim")]
        Command::Demo(args) => demo::run(&args),
    };
    exit.into()
}
