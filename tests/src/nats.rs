//! nats-server as a process: an MQTT 3.1.1 broker of another make and in another language than mosquitto.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::field::free_port;
use crate::gateway::{Running, signal};
use crate::{need, wait};

const CONNECT_WITHIN: Duration = Duration::from_millis(200);

/// A nats-server of one's own; killed when dropped.
pub struct Nats {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Running>,
}

impl Nats {
    /// A broker on the loopback that lets everybody in; `None` where nats-server is not installed.
    pub fn start() -> Option<Nats> {
        let program = need::program("nats-server")?;
        let folder = TempDir::with_prefix("forebay-nats-").expect("a temporary directory");
        let (port, own) = (free_port(), free_port());
        let text = format!(
            "server_name: far\nlisten: \"127.0.0.1:{own}\"\njetstream: {{ store_dir: \"{}\" }}\nmqtt: {{ listen: \
             \"127.0.0.1:{port}\" }}\n",
            folder.path().join("store").display()
        );
        std::fs::write(folder.path().join("nats.conf"), text).expect("the broker's file can be written");
        let mut broker = Nats { program, folder, port, process: None };
        broker.start_again();
        Some(broker)
    }

    /// Where it takes MQTT.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nats.log")).unwrap_or_default()
    }

    /// Ends it as a service manager would; it keeps its sessions.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(process.id(), "TERM");
            wait::for_it("nats-server ends", wait::SOON, || matches!(process.0.try_wait(), Ok(Some(_))));
        }
    }

    /// Starts it again on the same ports.
    pub fn start_again(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("nats.conf")).current_dir(self.folder.path());
        self.process = Some(Running::start(&mut command, &self.folder.path().join("nats.log")));
        let address = self.address();
        wait::for_it("nats-server listens", wait::SOON, || {
            TcpStream::connect_timeout(&address, CONNECT_WITHIN).is_ok()
        });
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- what nats-server said\n{}\n----", self.log());
        }
    }
}
