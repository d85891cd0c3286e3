//! A simulated OPC UA server in a process of its own, each of whose variables counts how often it was shown.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use hardware_sim::opcua::{OpcUaPlc, OpcUaServer};
use tokio::runtime::Builder;

use crate::process;

/// The process; it ends with the value.
pub(crate) struct OpcUaDevice {
    process: Child,
    /// Its port on the loopback.
    pub(crate) port: u16,
}

/// The node of an item.
pub(crate) fn node(item: usize) -> String {
    format!("ns=2;i={}", item + 1)
}

impl OpcUaDevice {
    pub(crate) fn start(items: usize) -> OpcUaDevice {
        let mut command = process::on_core(process::CORE_OF_THE_REST, &process::own_program());
        let command = command.arg("opcua-device").arg(items.to_string()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("taskset and this program can be started");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("it lives");
        let port = line.trim().parse().unwrap_or_else(|_| panic!("`{line}` is no port"));
        OpcUaDevice { process, port }
    }
}

impl Drop for OpcUaDevice {
    fn drop(&mut self) {
        // An error means that it had ended by itself, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What the process does: serves, and prints its port.
pub(crate) fn serve(items: usize) {
    let plc = OpcUaPlc::new();
    (0..items).for_each(|item| drop(plc.oracle(&node(item)).expect("a place")));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = OpcUaServer::start(([127, 0, 0, 1], 0).into(), plc).await.expect("a free port");
        println!("{}", server.address().port());
        std::io::stdout().flush().expect("someone reads it");
        std::future::pending::<()>().await;
    });
}
