//! Faults on TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::lane::{End, Lane, LastRequest};
use super::link::{Control, until_reset};
use super::pump::{Alarm, both, pump};
use super::{Fault, Faults, Framing, Link};
use crate::frame::Way;

/// The most connections at a time; those above are reset.
const CONNECTIONS_MAX: usize = 4096;

/// The pause before a listener is tried again.
const LISTEN_AGAIN: Duration = Duration::from_millis(50);

/// How long the server behind may take to accept.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A proxy between clients and one server; it stops when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    control: watch::Sender<Control>,
    requests: Faults,
    replies: Faults,
    target: watch::Sender<SocketAddr>,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

/// What a proxy has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyCounts {
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Connections that ended with a reset, by a fault, a link or the server.
    pub reset: u64,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    open: AtomicU64,
    reset: AtomicU64,
}

#[derive(Debug, Clone)]
struct Shared {
    framing: Framing,
    control: watch::Receiver<Control>,
    target: watch::Receiver<SocketAddr>,
    requests: Faults,
    replies: Faults,
    counters: Arc<Counters>,
}

impl FaultProxy {
    /// Listens at an address, where port 0 takes a free one, for connections to `target`.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start(listen: SocketAddr, target: SocketAddr, framing: Framing) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (control, target) = (Control::up(), watch::Sender::new(target));
        let (requests, replies) = (Faults::none(), Faults::none());
        let counters = Arc::<Counters>::default();
        let shared = Shared {
            framing,
            control: control.subscribe(),
            target: target.subscribe(),
            requests: requests.clone(),
            replies: replies.clone(),
            counters: Arc::clone(&counters),
        };
        let task = tokio::spawn(listen_on(listener, address, shared));
        Ok(Self { address, control, requests, replies, target, counters, task })
    }

    /// Where it listens, also while it refuses.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The faults of what clients send.
    pub fn requests(&self) -> &Faults {
        &self.requests
    }

    /// The faults of what the server sends.
    pub fn replies(&self) -> &Faults {
        &self.replies
    }

    /// Every reply meets this fault from now on. See [`Faults`] for scripts and mixes.
    pub fn set(&self, fault: Fault) {
        self.replies.set(fault);
    }

    /// Changes the line, also for the connections that are open.
    pub fn link(&self, link: Link) {
        self.control.send_modify(|control| control.link = link);
    }

    /// Resets every open connection once.
    pub fn reset_all(&self) {
        self.control.send_modify(|control| control.resets += 1);
    }

    /// Sends new connections elsewhere.
    pub fn retarget(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }

    /// What was done so far.
    pub fn counts(&self) -> ProxyCounts {
        ProxyCounts {
            accepted: self.counters.accepted.load(Ordering::SeqCst),
            open: self.counters.open.load(Ordering::SeqCst),
            reset: self.counters.reset.load(Ordering::SeqCst),
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen_on(listener: TcpListener, address: SocketAddr, mut shared: Shared) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let refusing = shared.control.borrow_and_update().link == Link::Refuse;
        listener = match listener {
            _ if refusing => None,
            None => TcpListener::bind(address).await.ok(),
            open => open,
        };
        // Every arm may be cancelled: a connection that was not accepted waits in the listener.
        tokio::select! {
            changed = shared.control.changed() => if changed.is_err() { return },
            accepted = accept(listener.as_ref()), if !refusing => {
                if let Some(client) = accepted {
                    admit(&mut connections, client, &shared);
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// None after a pause, when there is no listener or it failed.
async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    let accepted = match listener {
        Some(listener) => listener.accept().await.ok(),
        None => None,
    };
    if accepted.is_none() {
        sleep(LISTEN_AGAIN).await;
    }
    accepted.map(|(client, _)| client)
}

fn admit(connections: &mut JoinSet<()>, client: TcpStream, shared: &Shared) {
    if connections.len() >= CONNECTIONS_MAX {
        return reset(&client, &shared.counters);
    }
    shared.counters.accepted.fetch_add(1, Ordering::SeqCst);
    connections.spawn(connection(client, Open::new(&shared.counters), shared.clone()));
}

/// Counts a connection while it is open.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(mut client: TcpStream, open: Open, mut shared: Shared) {
    let since = *shared.control.borrow_and_update();
    let target = *shared.target.borrow();
    if since.link == Link::BlackHole {
        let mut control = shared.control.clone();
        // Either arm may be cancelled: nothing is kept.
        let end = tokio::select! {
            () = swallow(&mut client) => End::Closed,
            () = until_reset(&mut control, since) => End::Reset,
        };
        return end_with(end, &client, None, &open);
    }
    let Ok(Ok(mut server)) = timeout(CONNECT_MAX, TcpStream::connect(target)).await else {
        return end_with(End::Reset, &client, None, &open);
    };
    let end = bridge(&mut client, &mut server, since, &shared).await;
    end_with(end, &client, Some(&server), &open);
}

async fn bridge(client: &mut TcpStream, server: &mut TcpStream, since: Control, shared: &Shared) -> End {
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return End::Reset;
    }
    let last_request = LastRequest::default();
    let lane = |way, faults| Lane::new(shared.framing, way, faults, &last_request, None);
    let requests = lane(Way::Request, &shared.requests);
    let replies = lane(Way::Reply, &shared.replies);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let mut control = shared.control.clone();
    let both = both(
        pump(from_client, to_server, requests, control.clone(), Alarm::Timer),
        pump(from_server, to_client, replies, control.clone(), Alarm::Timer),
    );
    // Either arm may be cancelled: the connection is over then.
    tokio::select! {
        end = both => end,
        () = until_reset(&mut control, since) => End::Reset,
    }
}

/// Reads until the client gives up.
async fn swallow(client: &mut TcpStream) {
    let mut buffer = [0; 4096];
    while client.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
}

fn end_with(end: End, client: &TcpStream, server: Option<&TcpStream>, open: &Open) {
    if end == End::Reset {
        reset(client, &open.0);
        if let Some(server) = server {
            linger_not(server);
        }
    }
}

fn reset(client: &TcpStream, counters: &Counters) {
    counters.reset.fetch_add(1, Ordering::SeqCst);
    linger_not(client);
}

/// Closing this socket then sends a reset. Where the system refuses, it closes in the ordinary way.
fn linger_not(stream: &TcpStream) {
    drop(stream.set_zero_linger());
}
