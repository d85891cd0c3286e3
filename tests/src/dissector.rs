//! tshark, which dissects what passes on one port of the loopback while it passes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::gateway::{Running, signal};
use crate::{need, wait};

/// How tshark tells an error from a remark, in its column `_ws.expert.severity`.
pub const SEVERITY_ERROR: &str = "8388608";

/// A running tshark.
pub struct Dissector {
    process: Running,
    log: PathBuf,
    columns: usize,
}

/// What is dissected, and what is printed of each packet.
#[derive(Debug, Clone, Copy)]
pub struct Dissection<'a> {
    /// The port that is listened to.
    pub port: u16,
    /// The dissector that is first in charge of the port.
    pub first: &'a str,
    /// The protocol whose packets are printed; what is malformed is printed too.
    pub protocol: &'a str,
    /// The fields that are printed of each packet, a column each.
    pub columns: &'a [&'a str],
}

impl Dissector {
    /// It captures when this returns. None where tshark is missing or may not capture, which is said.
    pub fn start(what: Dissection<'_>, folder: &Path) -> Option<Dissector> {
        let Dissection { port, first, protocol, columns } = what;
        let log = folder.join("tshark.log");
        let mut command = Command::new(need::program("tshark")?);
        command.args(["-i", "lo", "-l", "-f", &format!("tcp port {port}"), "-d", &format!("tcp.port=={port},{first}")]);
        command.args(["-Y", &format!("{protocol} || _ws.malformed"), "-T", "fields"]);
        for column in columns {
            command.args(["-e", column]);
        }
        let mut dissector = Dissector { process: Running::start(&mut command, &log), log, columns: columns.len() };
        let is_on = wait::until("tshark captures", wait::SOON, || {
            let ended = dissector.process.0.try_wait().expect("the process is ours").is_some();
            (ended || dissector.said().contains("Capture started")).then_some(!ended)
        });
        if !is_on {
            need::unable("capture on the loopback", &dissector.said());
        }
        is_on.then_some(dissector)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The columns of each packet so far. Of several messages in a packet a column holds a list, with commas.
    pub fn packets(&self) -> Vec<Vec<String>> {
        let said = self.said();
        let columns = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        said.lines().map(columns).filter(|columns| columns.len() == self.columns).collect()
    }
}

impl Drop for Dissector {
    /// Asks it to end, for it ends its own capturing process then; a kill would leave that behind.
    fn drop(&mut self) {
        if self.process.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            signal(self.process.id(), "TERM");
            let ends_by = Instant::now() + wait::SOON;
            while self.process.0.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < ends_by {
                wait::pass(Duration::from_millis(20));
            }
        }
    }
}
