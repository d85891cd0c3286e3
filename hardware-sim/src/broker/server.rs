//! The broker as its owner sees it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::core::SharedCore;
use super::packet::{Publish, Qos};
use super::{BrokerCounts, Misbehaviour, Observer, connection};

/// The most connections at a time; those above are closed.
const CONNECTIONS_MAX: usize = 4096;

/// The pause after the listener failed, for instance for want of file descriptors.
const LISTEN_AGAIN: Duration = Duration::from_millis(100);

/// What a broker allows.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// User and password that every client must give; none lets everybody in.
    pub login: Option<(String, String)>,
    /// The largest packet, in bytes.
    pub packet_max: usize,
    /// How many publishes a client may send without their acknowledgements. MQTT 5 only.
    pub receive_max: u16,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self { login: None, packet_max: 1 << 20, receive_max: 1000 }
    }
}

/// A running broker; it stops when it is dropped.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    core: SharedCore,
    task: JoinHandle<()>,
}

impl Broker {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start(address: SocketAddr, config: BrokerConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let core = SharedCore::default();
        let task = tokio::spawn(listen_on(listener, core.clone(), Arc::new(config)));
        Ok(Self { address, core, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Receives within the process what clients publish to topics that the filter takes, and first what is retained. So
    /// many messages wait for the observer; those above are missed and counted.
    pub fn observe(&self, filter: &str, capacity: usize) -> Observer {
        self.core.with(|core| core.observe(filter, capacity))
    }

    /// Publishes as a client would, with QoS 1.
    pub fn publish(&self, topic: &str, payload: &[u8], retain: bool) {
        let (topic, payload, properties) = (topic.to_owned(), payload.to_vec(), Vec::new());
        let qos = Qos::One;
        let publish = Publish { topic, payload, qos, retain, duplicate: false, id: None, properties };
        self.core.with(|core| core.publish(publish));
    }

    /// Does this wrong from now on; with [`Misbehaviour::None`] it is good again.
    pub fn misbehave(&self, how: Misbehaviour) {
        self.core.with(|core| {
            core.misbehaviour = how;
            // So that connections which stand idle see it as well.
            core.sessions.values().for_each(|session| session.wake.notify_one());
        });
    }

    /// Closes every connection without a word; sessions stay.
    pub fn disconnect_all(&self) {
        self.core.with(super::core::Core::dispossess_all);
    }

    /// What was done so far.
    pub fn counts(&self) -> BrokerCounts {
        self.core.with(|core| core.counts)
    }

    /// Stops, closes every connection and frees the port. Sessions and retained messages are lost; to keep them, put a
    /// [`FaultProxy`](crate::faults::FaultProxy) before the broker and let that refuse.
    pub async fn stop(mut self) {
        self.task.abort();
        // The task ends as aborted, which is what is wanted.
        drop((&mut self.task).await);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen_on(listener: TcpListener, core: SharedCore, config: Arc<BrokerConfig>) {
    let mut connections = JoinSet::new();
    loop {
        // Either arm may be cancelled: a connection that was not accepted waits in the listener.
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(&mut connections, stream, &core, &config),
                Err(_) => tokio::time::sleep(LISTEN_AGAIN).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Takes a connection, or drops it if there are too many or it is gone already.
fn admit(connections: &mut JoinSet<()>, stream: TcpStream, core: &SharedCore, config: &Arc<BrokerConfig>) {
    if connections.len() < CONNECTIONS_MAX && stream.set_nodelay(true).is_ok() {
        connections.spawn(connection::serve(stream, core.clone(), Arc::clone(config)));
    }
}
