//! `forebay manual FOLDER`: the manual pages, made of the command line's own help.

use std::path::PathBuf;

use clap::CommandFactory;

use super::{Cli, Exit};

/// Write the manual pages of all commands into a folder, for packages
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to; it has to exist
    folder: PathBuf,
}

pub(super) fn run(args: &Args) -> Exit {
    match clap_mangen::generate_to(Cli::command(), &args.folder) {
        Ok(()) => Exit::Success,
        Err(cause) => {
            eprintln!("cannot write manual pages to {}: {cause}; name a folder that exists", args.folder.display());
            Exit::Failure
        }
    }
}
