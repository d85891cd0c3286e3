//! A simulated S7 PLC in a process of its own that tells how many requests it has had.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use hardware_sim::s7::{Plc, PlcConfig, S7Server};
use tokio::runtime::Builder;

use crate::process;

/// Each block is as large as a block can be counted here, bytes.
const BLOCK_BYTES: u16 = u16::MAX;

/// The process; it ends with the value.
pub(crate) struct S7Device {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Its port on the loopback.
    pub(crate) port: u16,
}

impl S7Device {
    /// A PLC that agrees to PDUs of so many bytes.
    pub(crate) fn start(pdu: u16) -> S7Device {
        let mut command = process::on_core(process::CORE_OF_THE_REST, &process::own_program());
        let command = command.arg("s7-device").arg(pdu.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("taskset and this program can be started");
        let (input, output) = (process.stdin.take().expect("it is piped"), process.stdout.take().expect("it is piped"));
        let mut device = S7Device { process, input, output: BufReader::new(output), port: 0 };
        device.port = device.told();
        device
    }

    /// How many reads it has answered so far.
    pub(crate) fn reads(&mut self) -> u64 {
        self.input.write_all(b"\n").expect("it lives");
        self.told()
    }

    fn told<T: std::str::FromStr>(&mut self) -> T {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it lives");
        line.trim().parse().unwrap_or_else(|_| panic!("`{line}` is no number"))
    }
}

impl Drop for S7Device {
    fn drop(&mut self) {
        // An error means that it had ended by itself, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What the process does: serves, prints its port, and for each line that it is given the number of its requests, of which
/// one a connection is the agreement.
pub(crate) fn serve(pdu: u16, blocks: u16) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let plc = Plc::new();
        plc.configure(PlcConfig { pdu_max: pdu, ..PlcConfig::default() });
        (1..=blocks).for_each(|block| plc.load(block, BLOCK_BYTES));
        let server = S7Server::start(([127, 0, 0, 1], 0).into(), plc.clone()).await.expect("a free port");
        tell(server.address().port());
        std::thread::spawn(move || std::io::stdin().lines().for_each(|_| tell(plc.counts().requests)));
        std::future::pending::<()>().await;
    });
}

fn tell(number: impl std::fmt::Display) {
    println!("{number}");
    std::io::stdout().flush().expect("someone reads it");
}
