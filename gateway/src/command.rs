//! The command line: one module a command.

use std::process::ExitCode;

/// Understands the command line, runs the command and returns its exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
