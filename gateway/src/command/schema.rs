//! `forebay schema`: what may stand in a configuration file, for editors.

use super::Exit;
use super::stdout::print;
use crate::config::{Kinds, schema};

/// Print the JSON Schema of the configuration file, for an editor that completes and checks while you write.
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Exit {
    print(&format!("{:#}\n", schema(Kinds::of_this_build())));
    Exit::Success
}
