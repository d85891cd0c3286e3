//! The command line: one module a command.

mod json;
mod one_shot;
mod read;
mod table;
mod write;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What the process says to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// The configuration, or an address or value on the command line, is wrong; nothing was started.
    Configuration = 1,
    /// The command line itself is wrong (given by its parser).
    Usage = 2,
    /// It was started and failed: a device that cannot be reached, a port or a disk that refuses.
    Failure = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the configuration, an address or a value is wrong; nothing was started
  2  the command line is wrong
  3  started and failed: a device, a port or a disk refuses";

/// Polls PLCs, keeps every reading on disk, and forwards it when and as fast as the network allows.
#[derive(Parser)]
#[command(name = "forebay", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Read(read::Args),
    Write(write::Args),
}

/// Understands the command line, runs the command and returns its exit code.
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Read(args) => read::run(&args),
        Command::Write(args) => write::run(&args),
    };
    exit.into()
}
