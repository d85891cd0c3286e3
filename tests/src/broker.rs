//! mosquitto as a process: plain, or with the listeners and rules that a test writes.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::field::free_port;
use crate::gateway::{Running, signal};
use crate::{need, wait};

/// What mosquitto is told whatever the test: nothing is dropped, and sessions survive a restart. Queues are long instead
/// of unlimited: with 0 mosquitto 2.0.11 closes the connection of a client whose publish its rules deny.
const ALWAYS: &str = "persistence true\nautosave_interval 1\nmax_queued_messages 10000000\nuser root\n";

const CONNECT_WITHIN: Duration = Duration::from_millis(200);

/// A mosquitto of one's own; killed when dropped.
pub struct Broker {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Running>,
}

impl Broker {
    /// A broker on the loopback that lets everybody in; `None` where mosquitto is not installed.
    pub fn start() -> Option<Broker> {
        Broker::with(|_| "allow_anonymous true\n".to_owned())
    }

    /// A broker whose one listener is followed by these lines, made for its folder.
    pub fn with(lines: impl FnOnce(&Path) -> String) -> Option<Broker> {
        Broker::logging("all", lines)
    }

    /// A broker that writes down nothing but errors, so that what is measured beside it is not its log.
    pub fn quiet(lines: &str) -> Option<Broker> {
        Broker::logging("error", |_| lines.to_owned())
    }

    fn logging(what: &str, lines: impl FnOnce(&Path) -> String) -> Option<Broker> {
        let program = need::program("mosquitto")?;
        let folder = TempDir::with_prefix("forebay-broker-").expect("a temporary directory");
        let port = free_port();
        let place = folder.path().display();
        let text = format!(
            "{ALWAYS}log_type {what}\npersistence_location {place}/\nlistener {port} 127.0.0.1\n{}",
            lines(folder.path())
        );
        std::fs::write(folder.path().join("mosquitto.conf"), text).expect("the broker's file can be written");
        let mut broker = Broker { program, folder, port, process: None };
        broker.start_again();
        Some(broker)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The URL of its listener under a scheme such as `mqtt`.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Ends it as a service manager would; it keeps its sessions.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(process.id(), "TERM");
            wait::for_it("mosquitto ends", wait::SOON, || matches!(process.0.try_wait(), Ok(Some(_))));
        }
    }

    /// Starts it again on the same port.
    pub fn start_again(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf")).current_dir(self.folder.path());
        self.process = Some(Running::start(&mut command, &self.log_path()));
        let address = self.address();
        wait::for_it("mosquitto listens", wait::SOON, || TcpStream::connect_timeout(&address, CONNECT_WITHIN).is_ok());
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("mosquitto.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let start = log.char_indices().rev().nth(1_500).map_or(0, |(index, _)| index);
            eprintln!("---- mosquitto's last words\n{}\n----", &log[start..]);
        }
    }
}
