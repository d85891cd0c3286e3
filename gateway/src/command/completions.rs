//! `forebay completions SHELL`: what makes a shell complete the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use super::stdout::print;
use super::{Cli, Exit};

/// Print the completions for a shell
#[derive(clap::Args)]
#[command(after_help = "\
For bash: forebay completions bash > ~/.local/share/bash-completion/completions/forebay
The Debian package brings those for bash, zsh and fish.")]
pub(super) struct Args {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "forebay", &mut script);
    print(&String::from_utf8_lossy(&script));
    Exit::Success
}
