//! `forebay password`: the hash of a password, for `http: { users: … }`.

use std::io::{self, IsTerminal as _, Read as _};

use super::Exit;
use super::stdout::print;
use crate::http::{PASSWORD_BYTES_MAX, hash};

/// Print the hash of a password that is read from standard input.
#[derive(clap::Args)]
#[command(after_help = "\
The password is one line of standard input, at least 10 characters: `systemd-ask-password | forebay password`
shows nothing while it is typed. The hash goes into the gateway's file, `http: { users: { anna: { hash: … } } }`,
or as name:role:hash into the file that `users_file` names.")]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Exit {
    if io::stdin().is_terminal() {
        eprintln!("The password, as one line; it is shown while you type. Ctrl-D ends it.");
    }
    let mut text = String::new();
    let read = io::stdin().lock().take(PASSWORD_BYTES_MAX as u64 + 3).read_to_string(&mut text);
    if let Err(cause) = read {
        eprintln!("cannot read the password: {cause}");
        return Exit::Failure;
    }
    match hash(text.trim_end_matches(['\n', '\r'])) {
        Ok(hash) => {
            print(&format!("{hash}\n"));
            Exit::Success
        }
        Err(wrong) => {
            eprintln!("{wrong}");
            Exit::Configuration
        }
    }
}
