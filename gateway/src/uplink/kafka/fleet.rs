//! The connections to the brokers of one cluster, made when they are first needed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::timeout;

use super::config::Config;
use super::dial::dial;
use super::link::Link;
use crate::uplink::stream::Failure;
use crate::uplink::{BoxFuture, CONNECT_WITHIN, EndedBy, Loss, Traffic};

/// A broker by its node id; the hosts of the URL have ids below zero until they have said who they are.
pub type NodeId = i32;

/// The connections to a cluster's brokers.
pub struct Fleet {
    config: Arc<Config>,
    addresses: BTreeMap<NodeId, (String, u16)>,
    nodes: BTreeMap<NodeId, Node>,
    /// Bytes of connections that are over.
    over: Traffic,
}

enum Node {
    Dialling(BoxFuture<'static, Result<Link, Failure>>),
    Open(Box<Link>),
}

/// What happened on one of the connections.
#[derive(Debug)]
pub enum Happened {
    /// It is open.
    Opened(NodeId),
    /// It could not be opened.
    Failed(NodeId, Failure),
    /// An answer has come to the request of this number.
    Answered(NodeId, i32, Bytes),
    /// It is over; no answer comes any more.
    Broken(NodeId, Loss),
}

impl Fleet {
    /// No connection yet.
    pub fn new(config: Arc<Config>) -> Fleet {
        let bootstrap = config.bootstrap.iter().cloned();
        let addresses = (1..).map(|place: NodeId| -place).zip(bootstrap).collect();
        Fleet { config, addresses, nodes: BTreeMap::new(), over: Traffic::default() }
    }

    /// Learns where a broker is; a connection to where it was before is dropped.
    pub fn learn(&mut self, node: NodeId, host: &str, port: u16) {
        let address = (host.to_owned(), port);
        if self.addresses.get(&node).is_some_and(|known| *known != address) {
            self.drop_link(node);
        }
        self.addresses.insert(node, address);
    }

    /// Where a broker is, for logs.
    pub fn place(&self, node: NodeId) -> String {
        match self.addresses.get(&node) {
            Some((host, port)) if node < 0 => format!("{host}:{port}"),
            Some((host, port)) => format!("broker {node} at {host}:{port}"),
            None => format!("broker {node}"),
        }
    }

    /// All brokers whose place is known, the hosts of the URL last.
    pub fn known(&self) -> Vec<NodeId> {
        self.addresses.keys().rev().copied().collect()
    }

    /// Whether it is known where the broker is.
    pub fn knows(&self, node: NodeId) -> bool {
        self.addresses.contains_key(&node)
    }

    /// Begins to open a connection where there is none.
    pub fn call(&mut self, node: NodeId) {
        let Some((host, port)) = self.addresses.get(&node).cloned() else { return };
        let config = self.config.clone();
        self.nodes.entry(node).or_insert_with(|| Node::Dialling(Box::pin(open(config, host, port))));
    }

    /// The connection, if it is open.
    pub fn link(&mut self, node: NodeId) -> Option<&mut Link> {
        match self.nodes.get_mut(&node) {
            Some(Node::Open(link)) => Some(link),
            Some(Node::Dialling(_)) | None => None,
        }
    }

    /// Some open connection.
    pub fn any_open(&self) -> Option<NodeId> {
        self.nodes.iter().find(|(_, node)| matches!(node, Node::Open(_))).map(|(id, _)| *id)
    }

    /// Ends a connection.
    pub fn drop_link(&mut self, node: NodeId) {
        if let Some(Node::Open(link)) = self.nodes.remove(&node) {
            self.over = sum(self.over, link.traffic);
        }
    }

    /// Ends all connections.
    pub fn drop_all(&mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.drop_link(node);
        }
    }

    /// Bytes of all connections.
    pub fn traffic(&self) -> Traffic {
        self.nodes.values().fold(self.over, |total, node| match node {
            Node::Open(link) => sum(total, link.traffic),
            Node::Dialling(_) => total,
        })
    }

    /// Moves bytes on all connections until something has happened. For ever pending while there is no connection.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        for (id, node) in &mut self.nodes {
            let happened = match node {
                Node::Dialling(dialling) => match dialling.as_mut().poll(cx) {
                    Poll::Pending => continue,
                    Poll::Ready(Ok(link)) => {
                        *node = Node::Open(Box::new(link));
                        return Poll::Ready(Happened::Opened(*id));
                    }
                    Poll::Ready(Err(failure)) => Happened::Failed(*id, failure),
                },
                Node::Open(link) => match link.poll(cx) {
                    Poll::Pending => continue,
                    Poll::Ready(Ok((correlation, body))) => {
                        return Poll::Ready(Happened::Answered(*id, correlation, body));
                    }
                    Poll::Ready(Err(broken)) => Happened::Broken(*id, broken.loss("")),
                },
            };
            return Poll::Ready(self.ended(happened));
        }
        Poll::Pending
    }

    fn ended(&mut self, happened: Happened) -> Happened {
        match happened {
            Happened::Failed(node, failure) => {
                self.drop_link(node);
                let cause = format!("{}: {}", self.place(node), failure.cause);
                Happened::Failed(node, Failure { cause, ..failure })
            }
            Happened::Broken(node, Loss { reason, by }) => {
                self.drop_link(node);
                Happened::Broken(node, Loss { reason: format!("{}{reason}", self.place(node)), by })
            }
            other => other,
        }
    }

    /// The end of a connection over which nothing sensible came.
    pub fn nonsense(&mut self, node: NodeId, cause: impl std::fmt::Display) -> Happened {
        self.drop_link(node);
        Happened::Broken(node, Loss { reason: format!("{}: {cause}", self.place(node)), by: EndedBy::FarSide })
    }
}

async fn open(config: Arc<Config>, host: String, port: u16) -> Result<Link, Failure> {
    match timeout(CONNECT_WITHIN, dial(&config, &host, port)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure {
            cause: format!("no answer within {} s", CONNECT_WITHIN.as_secs()),
            advice: "Check that a Kafka broker listens there: the port, and whether it wants TLS (kafkas://)",
        }),
    }
}

fn sum(one: Traffic, two: Traffic) -> Traffic {
    Traffic { sent_bytes: one.sent_bytes + two.sent_bytes, received_bytes: one.received_bytes + two.received_bytes }
}
