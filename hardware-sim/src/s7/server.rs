//! Serves a PLC over TCP.

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
use super::conversation::{Conversation, Talk};
use crate::place::Place;

/// The room for one read.
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
    let mut conversation = Conversation::new(plc);
    let (mut received, mut replies) = (Vec::with_capacity(READ_MIN), Vec::new());
    loop {
        let due = conversation.next_due();
        received.clear();
        // Both arms may be cancelled: a read that is cancelled has read nothing.
        tokio::select! {
            read = stream.read_buf(&mut received), if conversation.has_room() => if read? == 0 {
                return Ok(());
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        replies.clear();
        let talk = conversation.turn(&received, Instant::now(), &mut replies);
        stream.write_all(&replies).await?;
        if talk == Talk::Ended {
            return stream.shutdown().await;
        }
    }
}
