//! The simulated plant of a test: a thread that runs the simulators, so that the test itself can be plain and wait.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use hardware_sim::broker::{Broker, BrokerConfig};
use hardware_sim::faults::{FaultProxy, Framing};
use hardware_sim::modbus::{ModbusServer, Plant};
use hardware_sim::opcua::{OpcUaPlc, OpcUaServer};
use hardware_sim::s7::{Plc, S7Server};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Linux connects from 32768 on.
const BELOW_EPHEMERAL: Range<u16> = 12_000..32_000;

/// A thread with a runtime on which simulators live; it ends with the value.
pub struct Field {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Field {
    /// Starts the thread.
    pub fn new() -> Field {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            // Either way of ending means stop.
            drop(runtime.block_on(stopped));
        });
        Field { handle, stop: Some(stop), thread: Some(thread) }
    }

    /// Runs a future on the field's runtime to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(future)
    }

    /// Serves a plant over Modbus TCP on a free port.
    pub fn tcp(&self, plant: &Plant) -> (ModbusServer, SocketAddr) {
        let server = self.run(ModbusServer::tcp(free(), plant.clone())).expect("a free port");
        let address = server.address().expect("a TCP server listens");
        (server, address)
    }

    /// Serves a plant over RTU in TCP on a free port.
    pub fn rtu_over_tcp(&self, plant: &Plant) -> (ModbusServer, SocketAddr) {
        let server = self.run(ModbusServer::rtu_over_tcp(free(), plant.clone())).expect("a free port");
        let address = server.address().expect("a TCP server listens");
        (server, address)
    }

    /// Serves an S7 PLC on a free port.
    pub fn s7(&self, plc: &Plc) -> S7Server {
        self.run(S7Server::start(free(), plc.clone())).expect("a free port")
    }

    /// Serves an OPC UA server on a free port.
    pub fn opcua(&self, plc: &OpcUaPlc) -> OpcUaServer {
        self.run(OpcUaServer::start(free(), plc.clone())).expect("a free port")
    }

    /// The embedded broker on a free port.
    pub fn broker(&self) -> Broker {
        self.run(Broker::start(free(), BrokerConfig::default())).expect("a free port")
    }

    /// A proxy before any server.
    pub fn proxy(&self, target: SocketAddr, framing: Framing) -> FaultProxy {
        self.run(FaultProxy::start(free(), target, framing)).expect("a free port")
    }

    /// Lets what a simulator starts in its constructor start on the field's runtime.
    pub fn enter<T>(&self, make: impl FnOnce() -> T) -> T {
        let _on_the_field = self.handle.enter();
        make()
    }
}

impl Default for Field {
    fn default() -> Field {
        Field::new()
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the simulators' thread panicked");
        }
    }
}

/// Any free port of the loopback.
pub fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A port of the loopback for a program that cannot take port 0, or for nobody: from below those that the kernel gives to
/// whoever connects, so that nobody is given it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let seed = std::process::id().wrapping_mul(7_919);
    let candidates = std::iter::repeat_with(|| {
        let place = seed.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))
            % u32::from(BELOW_EPHEMERAL.end - BELOW_EPHEMERAL.start);
        BELOW_EPHEMERAL.start + place as u16
    });
    let mut free = candidates.filter(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("there are thousands")
}
