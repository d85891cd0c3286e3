//! Servers over TCP, RTU over TCP, and serial lines.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_modbus::server::{rtu_over_tcp, tcp};
use tokio_serial::SerialStream;

use super::Plant;
use super::answer::Medium;
use super::rtu;
use super::service::PlantService;
use crate::place::Place;

/// Connections at a time where the caller sets no limit.
const CONNECTIONS_MAX: usize = 4096;

/// The pause after the listener failed, for instance for want of file descriptors.
const LISTEN_AGAIN: Duration = Duration::from_millis(100);

/// A running server; it stops when it is dropped.
#[derive(Debug)]
pub struct ModbusServer {
    address: Option<SocketAddr>,
    connections: Arc<AtomicUsize>,
    cut: Arc<Notify>,
    task: JoinHandle<()>,
}

/// What the connections of one server share.
#[derive(Clone)]
struct Shared {
    plant: Plant,
    medium: Medium,
    connections: Arc<AtomicUsize>,
    connections_max: usize,
    cut: Arc<Notify>,
}

impl ModbusServer {
    /// Modbus TCP; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn tcp(address: SocketAddr, plant: Plant) -> io::Result<Self> {
        Self::tcp_with_slots(address, plant, CONNECTIONS_MAX).await
    }

    /// Modbus TCP that takes at most `slots` connections at a time, as small PLCs do, and closes those above.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn tcp_with_slots(address: SocketAddr, plant: Plant, slots: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let server = tcp::Server::new(listener);
        let shared = Shared::new(plant, Medium::Tcp, slots);
        Ok(Self::start(Some(address), &shared, serve_tcp(server, shared.clone())))
    }

    /// RTU frames over TCP, as serial device servers pass them on; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn rtu_over_tcp(address: SocketAddr, plant: Plant) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let server = rtu_over_tcp::Server::new(listener);
        let shared = Shared::new(plant, Medium::Line, CONNECTIONS_MAX);
        Ok(Self::start(Some(address), &shared, serve_rtu_over_tcp(server, shared.clone())))
    }

    /// RTU on an open serial port or pseudo-terminal. It ends when the port fails.
    pub fn rtu(port: SerialStream, plant: Plant) -> Self {
        let shared = Shared::new(plant, Medium::Line, CONNECTIONS_MAX);
        Self::start(None, &shared, serve_rtu(port, shared.clone()))
    }

    /// RTU on the port at a path.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn rtu_at(path: &str, baud: u32, plant: Plant) -> io::Result<Self> {
        Ok(Self::rtu(SerialStream::open(&tokio_serial::new(path, baud))?, plant))
    }

    /// Where it listens; none on a serial line.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// How many connections are open; a serial line counts as one.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Closes every open connection and goes on listening. Means nothing on a serial line.
    pub fn drop_connections(&self) {
        self.cut.notify_one();
    }

    /// Stops and frees the port, so that it can be taken again at once.
    pub async fn stop(mut self) {
        self.task.abort();
        // The task ends as aborted, or had ended before: both are what is wanted.
        drop((&mut self.task).await);
    }

    fn start(address: Option<SocketAddr>, shared: &Shared, serve: impl Future<Output = ()> + Send + 'static) -> Self {
        let (connections, cut) = (Arc::clone(&shared.connections), Arc::clone(&shared.cut));
        Self { address, connections, cut, task: tokio::spawn(serve) }
    }
}

impl Drop for ModbusServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn new(plant: Plant, medium: Medium, connections_max: usize) -> Self {
        Self { plant, medium, connections: Arc::default(), connections_max, cut: Arc::default() }
    }

    /// None rejects the connection.
    fn connected(&self, stream: TcpStream) -> io::Result<Option<(PlantService, TcpStream)>> {
        if stream.set_nodelay(true).is_err() {
            return Ok(None);
        }
        Ok(self.service().map(|service| (service, stream)))
    }

    fn service(&self) -> Option<PlantService> {
        let place = Place::take(&self.connections, self.connections_max)?;
        Some(PlantService::new(self.plant.clone(), self.medium, place))
    }
}

async fn serve_tcp(server: tcp::Server, shared: Shared) {
    loop {
        let connected = |stream, _| std::future::ready(shared.connected(stream));
        // Cancelling the server drops its connections, which is what a cut is for.
        let served = tokio::select! {
            served = server.serve(&connected, ended) => served,
            () = shared.cut.notified() => Ok(()),
        };
        if served.is_err() {
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}

async fn serve_rtu_over_tcp(server: rtu_over_tcp::Server, shared: Shared) {
    loop {
        let connected = |stream, _| std::future::ready(shared.connected(stream));
        // As above.
        let served = tokio::select! {
            served = server.serve(&connected, ended) => served,
            () = shared.cut.notified() => Ok(()),
        };
        if served.is_err() {
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}

async fn serve_rtu(port: SerialStream, shared: Shared) {
    if let Some(service) = shared.service() {
        // A port that fails ends the server; `connections` then shows 0.
        drop(rtu::serve(port, service).await);
    }
}

/// A connection that ends with an error is a client that went away or sent garbage: here nobody's loss.
fn ended(_: io::Error) {}
