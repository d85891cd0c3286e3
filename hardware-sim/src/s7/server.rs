//! Serves a PLC over TCP.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::Plc;
use super::answer::latency;
use super::session::{Session, Step};
use crate::frame::{Extent, tpkt};
use crate::place::Place;

/// Requests of one connection that wait for their answers; nothing more is read while there are so many.
const WAITING_MAX: usize = 256;

/// Room for at least so many bytes is made before each read.
const READ_MIN: usize = 4 * 1024;

/// The pause after the listener failed, for instance for want of file descriptors.
const LISTEN_AGAIN: Duration = Duration::from_millis(100);

/// A running server; it stops when it is dropped.
#[derive(Debug)]
pub struct S7Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    cut: Arc<Notify>,
    task: JoinHandle<()>,
}

impl S7Server {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start(address: SocketAddr, plc: Plc) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (connections, cut) = (Arc::default(), Arc::<Notify>::default());
        let task = tokio::spawn(listen(listener, plc, Arc::clone(&connections), Arc::clone(&cut)));
        Ok(Self { address, connections, cut, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Closes every open connection and goes on listening.
    pub fn drop_connections(&self) {
        self.cut.notify_one();
    }

    /// Stops and frees the port, so that it can be taken again at once.
    pub async fn stop(mut self) {
        self.task.abort();
        // The task ends as aborted, or had ended before: both are what is wanted.
        drop((&mut self.task).await);
    }
}

impl Drop for S7Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, plc: Plc, connections: Arc<AtomicUsize>, cut: Arc<Notify>) {
    let mut open = JoinSet::new();
    loop {
        // Every arm may be cancelled: an accept that is cancelled has accepted nothing.
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    sleep(LISTEN_AGAIN).await;
                    continue;
                };
                let max = plc.with(|state| state.config.connections_max);
                // Without a place the connection is closed as it is dropped.
                if let Some(place) = Place::take(&connections, max) {
                    open.spawn(connection(stream, plc.clone(), place));
                }
            }
            () = cut.notified() => open.shutdown().await,
            Some(_) = open.join_next() => {}
        }
    }
}

/// A connection that ends with an error is a client that went away: here nobody's loss.
async fn connection(stream: TcpStream, plc: Plc, _place: Place) {
    drop(serve(stream, &plc).await);
}

async fn serve(mut stream: TcpStream, plc: &Plc) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut session = Session::new();
    let mut received = Vec::new();
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    loop {
        let mut replies = Vec::new();
        let open = take(&mut session, plc, &mut received, &mut waiting, &mut replies);
        let open = open && answer(&mut session, plc, &mut waiting, &mut replies);
        stream.write_all(&replies).await?;
        if !open {
            return stream.shutdown().await;
        }
        let due = waiting.front().map(|(due, _)| *due);
        received.reserve(READ_MIN);
        // Both arms may be cancelled: what was read stands in the buffer.
        tokio::select! {
            read = stream.read_buf(&mut received), if waiting.len() < WAITING_MAX => if read? == 0 {
                return Ok(());
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
    }
}

/// Takes the packets that have come whole. False ends the connection.
fn take(
    session: &mut Session,
    plc: &Plc,
    received: &mut Vec<u8>,
    waiting: &mut VecDeque<(Instant, Vec<u8>)>,
    replies: &mut Vec<u8>,
) -> bool {
    while waiting.len() < WAITING_MAX {
        let len = match tpkt(received) {
            Extent::Frame(len) if len <= received.len() => len,
            Extent::Frame(_) | Extent::Unclear => return true,
            Extent::Foreign => return false,
        };
        let packet: Vec<u8> = received.drain(..len).collect();
        match session.take(plc, &packet) {
            Step::Wait => {}
            Step::Reply(reply) => replies.extend(reply),
            Step::Request(request) => {
                if waiting.len() >= session.jobs_max() {
                    plc.with(|state| state.counts.breaches += 1);
                }
                // In order: one that needs less time does not overtake.
                let due = Instant::now() + latency(plc, &request);
                let due = waiting.back().map_or(due, |(before, _)| due.max(*before));
                waiting.push_back((due, request));
            }
            Step::End(reply) => {
                replies.extend(reply);
                return false;
            }
        }
    }
    true
}

/// Answers the requests whose time has come. False ends the connection.
fn answer(session: &mut Session, plc: &Plc, waiting: &mut VecDeque<(Instant, Vec<u8>)>, replies: &mut Vec<u8>) -> bool {
    while waiting.front().is_some_and(|(due, _)| *due <= Instant::now()) {
        let Some((_, request)) = waiting.pop_front() else { break };
        match session.answer(plc, &request) {
            Some(reply) => replies.extend(reply),
            None => return false,
        }
    }
    true
}
