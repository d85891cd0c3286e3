//! Apicurio Registry as a process, its schemas in memory. It speaks the interface of Confluent's Schema Registry.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::field::free_port;
use crate::gateway::Running;
use crate::{need, wait};

/// The version.
pub const VERSION: &str = "2.6.13.Final";

/// A Java virtual machine with a framework takes its time, on a busy machine more.
const STARTS_WITHIN: Duration = Duration::from_secs(180);

const CONNECT_WITHIN: Duration = Duration::from_millis(500);

const JVM: [&str; 4] = ["-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];

/// A registry of one's own; killed when dropped.
pub struct Registry {
    port: u16,
    _process: Running,
    _folder: TempDir,
}

impl Registry {
    /// Starts one on a free port of the loopback and waits until it serves; `None` where it is not installed.
    pub fn start() -> Option<Registry> {
        Registry::on(free_port())
    }

    /// The same on a port.
    pub fn on(port: u16) -> Option<Registry> {
        let program = need::registry(VERSION)?;
        let java = need::program("java")?;
        let folder = TempDir::with_prefix("forebay-registry-").expect("a temporary directory");
        let mut command = Command::new(java);
        command.args(JVM).arg("-jar").arg(program.join(format!("apicurio-registry-app-{VERSION}-runner.jar")));
        command.current_dir(folder.path());
        command.env("QUARKUS_HTTP_PORT", port.to_string()).env("QUARKUS_HTTP_HOST", "127.0.0.1");
        let process = Running::start(&mut command, &folder.path().join("registry.log"));
        let address = ([127, 0, 0, 1], port).into();
        wait::for_it("the registry listens", STARTS_WITHIN, || {
            TcpStream::connect_timeout(&address, CONNECT_WITHIN).is_ok()
        });
        Some(Registry { port, _process: process, _folder: folder })
    }

    /// Where its interface is.
    pub fn url(&self) -> String {
        url(self.port)
    }
}

/// Where the interface of a registry on this port is.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/apis/ccompat/v7")
}
