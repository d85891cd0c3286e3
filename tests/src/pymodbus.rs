//! pymodbus as a server, over each of its transports, holding the values of `cases/modbus-types.json`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::gateway::Running;
use crate::{need, wait};

/// A pymodbus server; killed when dropped.
pub struct Pymodbus {
    process: Running,
    port: u16,
}

impl Pymodbus {
    /// Starts `tests/far/modbus_server.py` with arguments such as `["tcp"]` or `["rtu", "--device", PATH]` and waits
    /// until it serves; `None` where pymodbus is not installed.
    pub fn start(folder: &Path, arguments: &[&str]) -> Option<Pymodbus> {
        let python = need::python()?;
        let far = need::root().join("tests/far");
        let (log, ready) = (folder.join("pymodbus.log"), folder.join("pymodbus.ready"));
        let mut command = Command::new(python);
        command.arg(far.join("modbus_server.py")).args(arguments).arg("--ready").arg(&ready);
        let mut process = Running::start(command.env("PYTHONDONTWRITEBYTECODE", "1"), &log);
        let port = wait::until("pymodbus serves", wait::SOON, || {
            let ended = process.0.try_wait().expect("the process is ours");
            assert!(ended.is_none(), "pymodbus ended: {}", fs::read_to_string(&log).unwrap_or_default());
            fs::read_to_string(&ready).ok()?.trim().parse().ok()
        });
        Some(Pymodbus { process, port })
    }

    /// The TCP port; 0 on a serial line.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}
