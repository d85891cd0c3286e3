//! Which buffer is meant, and what all commands say of it.

use std::path::{Path, PathBuf};

use buffer::{Gap, Inspector};
use driver_core::Timestamp;
use serde_json::{Value, json};

use crate::command::Exit;
use crate::config;

/// Before 2020 a clock was not set.
const CLOCK_SET_NS: i64 = 1_577_836_800_000_000_000;

/// The buffer of a gateway's file, or one by its folder.
#[derive(clap::Args)]
pub(in crate::command) struct Place {
    /// The gateway's file, which says where its buffer is
    #[arg(short, long, value_name = "FILE", default_value = "gateway.yaml")]
    config: PathBuf,
    /// The buffer's folder itself, a copy for example; no gateway's file is read
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    path: Option<PathBuf>,
}

impl Place {
    /// The folder. What is wrong with the gateway's file is printed.
    pub(in crate::command) fn folder(&self) -> Result<PathBuf, Exit> {
        if let Some(path) = &self.path {
            return Ok(path.clone());
        }
        config::read(&self.config).map(|checked| checked.config.buffer.path).map_err(|unusable| {
            eprint!("{unusable}");
            eprintln!("`--path DIR` looks into a buffer without the gateway's file");
            Exit::Configuration
        })
    }

    /// The folder, and what lies there.
    pub(super) fn open(&self) -> Result<(PathBuf, Inspector), Exit> {
        let folder = self.folder()?;
        let inspector = Inspector::open(&folder).map_err(|cause| {
            match cause.is_not_found() {
                true => {
                    eprintln!("there is no buffer in {}: check the path, or start the gateway once", folder.display())
                }
                false => eprintln!("{cause}"),
            }
            Exit::Failure
        })?;
        Ok((folder, inspector))
    }
}

/// The disk refused; said to the operator.
pub(super) fn refused(cause: &buffer::Error) -> Exit {
    eprintln!("{cause}");
    Exit::Failure
}

/// A time as text; `None` where the clock was not set.
pub(super) fn time_text(ns: i64) -> Option<String> {
    (ns >= CLOCK_SET_NS).then(|| Timestamp(ns).to_string())
}

/// A gap as JSON.
pub(super) fn gap_json(gap: &Gap) -> Value {
    let (from, to) = gap.time_ns.unzip();
    json!({
        "reason": gap.reason.name(),
        "count": gap.count,
        "first": gap.seqs.first,
        "last": gap.seqs.last,
        "from": from.and_then(time_text),
        "to": to.and_then(time_text),
    })
}

/// `1 reading`, `2 readings`.
pub(in crate::command) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// What came from outside, on one line and without what a terminal would act on.
pub(in crate::command) fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A path as text for JSON.
pub(super) fn path_text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_moves_the_cursor_of_a_terminal() {
        assert_eq!(plain("°C \u{1b}[2J\n\u{9b}1"), "°C \\u{1b}[2J\\n\\u{9b}1");
    }

    #[test]
    fn times_before_the_clock_was_set_are_none() {
        assert_eq!(time_text(40_000_000_000), None);
        assert_eq!(time_text(1_795_400_913_000_000_000).as_deref(), Some("2026-11-23T02:28:33Z"));
    }
}
