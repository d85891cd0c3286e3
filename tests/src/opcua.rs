//! OPC UA servers that we did not write, holding the values of `cases/opcua-types.json`: asyncua and node-opcua.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::field::free_port;
use crate::gateway::Running;
use crate::{need, wait};

/// How long a server has to begin; both are slow at that, and slower on a machine that does more.
const SERVES_WITHIN: Duration = Duration::from_secs(60);

/// Two programs that were written independently of each other and of the library that the driver stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// In Python.
    Asyncua,
    /// In JavaScript.
    NodeOpcua,
}

/// A server; killed when dropped.
pub struct Far {
    server: Server,
    folder: PathBuf,
    arguments: Vec<String>,
    process: Option<Running>,
    port: u16,
}

impl Far {
    /// Starts `tests/far/opcua_server.py` or `.js` with arguments such as `["--items", "2000"]` on a port that stays its
    /// own, and waits until it serves; `None` where it is not installed.
    pub fn start(server: Server, folder: &Path, arguments: &[&str]) -> Option<Far> {
        command(server)?;
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut far = Far { server, folder: folder.to_owned(), arguments, process: None, port: free_port() };
        far.start_again();
        Some(far)
    }

    /// SIGKILL, and away at once.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts on the same port after [`Far::kill`].
    pub fn start_again(&mut self) {
        let (log, ready) = (self.folder.join("opcua.log"), self.folder.join("opcua.ready"));
        if ready.exists() {
            fs::remove_file(&ready).expect("the file is ours");
        }
        let mut command = command(self.server).expect("it was installed a moment ago");
        command.arg("--ready").arg(&ready).args(["--port", &self.port.to_string()]).args(&self.arguments);
        let mut process = Running::start(&mut command, &log);
        wait::for_it(&format!("{:?} serves", self.server), SERVES_WITHIN, || {
            let ended = process.0.try_wait().expect("the process is ours");
            assert!(ended.is_none(), "{:?} ended: {}", self.server, fs::read_to_string(&log).unwrap_or_default());
            ready.exists()
        });
        self.process = Some(process);
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("opc.tcp://127.0.0.1:{}", self.port)
    }

    /// Sends it a signal by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        crate::gateway::signal(self.process.as_ref().expect("it runs").id(), name);
    }
}

/// What `tests/far/opcua_client.py` found at a server; `None` where asyncua is not installed.
pub fn client(url: &str, nodes: &[&str]) -> Option<Value> {
    let script = need::root().join("tests/far/opcua_client.py");
    let mut command = Command::new(need::python_opcua()?);
    let run = command.arg(script).arg(url).args(nodes).env("PYTHONDONTWRITEBYTECODE", "1").output();
    let run = run.expect("a Python of this machine");
    let text = String::from_utf8_lossy(&run.stdout);
    let found = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    Some(found.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&run.stderr))))
}

fn command(server: Server) -> Option<Command> {
    let far = need::root().join("tests/far");
    Some(match server {
        Server::Asyncua => {
            let mut command = Command::new(need::python_opcua()?);
            command.arg(far.join("opcua_server.py")).env("PYTHONDONTWRITEBYTECODE", "1");
            command
        }
        Server::NodeOpcua => {
            let modules = need::node_opcua()?;
            let mut command = Command::new(need::program("node")?);
            command.arg(far.join("opcua_server.js")).env("NODE_PATH", modules);
            command
        }
    })
}
