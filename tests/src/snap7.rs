//! python-snap7 as a server and as a client: the pure one (3.x), and the C library that came before it (2.x).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::gateway::Running;
use crate::{need, wait};

/// Two programs that were written independently of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// python-snap7 3.x, all in Python.
    Python,
    /// snap7, in C, with Python only to start it.
    C,
}

impl Library {
    fn python(self) -> Option<PathBuf> {
        match self {
            Library::Python => need::python(),
            Library::C => need::python_snap7(),
        }
    }
}

/// A server that holds the values of `cases/s7-types.json`; killed when dropped.
pub struct Snap7 {
    _process: Running,
    port: u16,
}

impl Snap7 {
    /// Starts `tests/far/s7_server.py` and waits until it serves; `None` where the library is not installed.
    pub fn start(folder: &Path, library: Library) -> Option<Snap7> {
        let (log, ready) = (folder.join("snap7.log"), folder.join("snap7.ready"));
        let mut command = script(library, "s7_server.py")?;
        let mut process = Running::start(command.arg("--ready").arg(&ready), &log);
        let port = wait::until("snap7 serves", wait::SOON, || {
            let ended = process.0.try_wait().expect("the process is ours");
            assert!(ended.is_none(), "snap7 ended: {}", fs::read_to_string(&log).unwrap_or_default());
            fs::read_to_string(&ready).ok()?.trim().parse().ok()
        });
        Some(Snap7 { _process: process, port })
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// What `tests/far/s7_client.py` found at a server; `None` where the library is not installed.
pub fn client(library: Library, port: u16) -> Option<Value> {
    let run = script(library, "s7_client.py")?.arg(port.to_string()).output().expect("a Python of this machine");
    let text = String::from_utf8_lossy(&run.stdout);
    let found = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    Some(found.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&run.stderr))))
}

fn script(library: Library, name: &str) -> Option<Command> {
    let mut command = Command::new(library.python()?);
    command.arg(need::root().join("tests/far").join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}
