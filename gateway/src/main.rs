//! The binary `forebay`.

use std::process::ExitCode;

fn main() -> ExitCode {
    forebay::command::main()
}
