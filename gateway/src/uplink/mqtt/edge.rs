//! The Sparkplug edge node on a publisher's connections: what of its life touches the broker.

use std::sync::Arc;
use std::time::Instant;

use driver_core::{Clock, SystemClock};
use tracing::{error, warn};

use super::packet::Arrived;
use crate::pipeline::command::Inbound;
use crate::uplink::sparkplug::node::{Frame, HandOver, Node, Verdict};
use crate::uplink::sparkplug::{AskedFor, BdSeq, Came, Door};
use crate::uplink::{Message, Token, UplinkSpec};

/// The edge node of an uplink.
pub(super) struct Edge {
    node: Node,
    bd_seq: BdSeq,
    door: Door,
    clock: Arc<dyn Clock>,
    /// Whether it stands in the log already that the session's number is not kept.
    not_kept_told: bool,
}

/// What a message from the broker asks for.
pub(super) enum Taken {
    /// It is for somebody else.
    NotMine,
    /// These are published; it may be none.
    Publish(Vec<Frame>),
    /// These go to the desk.
    Commands(Vec<Inbound>),
    /// This is published, and then the connection ended.
    Leave(Frame),
}

impl Edge {
    pub(super) fn new(node: Node, bd_seq: BdSeq, door: Door, spec: &UplinkSpec) -> Edge {
        let clock =
            spec.site.as_ref().map_or_else(|| Arc::new(SystemClock) as Arc<dyn Clock>, |site| site.clock.clone());
        Edge { node, bd_seq, door, clock, not_kept_told: false }
    }

    /// A connection is about to be made: its number is written down, and its last will is made.
    pub(super) async fn connecting(&mut self, uplink: &str) -> Frame {
        let mut bd_seq = self.bd_seq.clone();
        let written = tokio::task::spawn_blocking(move || {
            let next = bd_seq.next();
            (bd_seq, next)
        });
        let number = match written.await {
            Ok((bd_seq, (number, kept))) => {
                self.bd_seq = bd_seq;
                if let Err(cause) = kept {
                    self.tell_not_kept(uplink, &cause.to_string());
                }
                number
            }
            Err(panic) => {
                error!(uplink, "the number of the Sparkplug session cannot be made: {panic}; please report this");
                0
            }
        };
        self.node.connecting(number);
        self.death()
    }

    fn tell_not_kept(&mut self, uplink: &str, cause: &str) {
        if !self.not_kept_told {
            self.not_kept_told = true;
            warn!(
                uplink,
                "the number of the Sparkplug session (bdSeq) cannot be kept: {cause}. After a restart it may be one that was \
                 used before; free or repair the disk"
            );
        }
    }

    /// The last will, and the farewell.
    pub(super) fn death(&self) -> Frame {
        self.node.death(self.clock.now().0)
    }

    /// What is listened to.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        self.node.subscriptions()
    }

    /// The connection is made and listened on.
    pub(super) fn connected(&mut self) -> Vec<Frame> {
        self.node.connected(self.clock.now().0)
    }

    /// Whether data may be published.
    pub(super) fn is_born(&self) -> bool {
        self.node.is_born()
    }

    /// Whether the primary host is waited for.
    pub(super) fn waits(&self) -> bool {
        self.node.waits_for_host()
    }

    /// A message of the log's is about to be published.
    pub(super) fn hand_over(&mut self, message: &Message) -> HandOver {
        self.node.hand_over(message, self.clock.now().0)
    }

    /// The broker has a message.
    pub(super) fn confirmed(&mut self, token: Token) {
        self.node.confirmed(token);
    }

    /// Takes in what the broker delivers.
    pub(super) fn take(&mut self, arrived: &Arrived) -> Taken {
        let now = self.clock.now().0;
        if self.node.is_state(&arrived.topic) {
            return match self.node.host_says(&arrived.payload, now) {
                Verdict::Stay => Taken::Publish(Vec::new()),
                Verdict::Born(frames) => Taken::Publish(frames),
                Verdict::Leave(death) => Taken::Leave(death),
            };
        }
        let doubt = if arrived.retained {
            Some("the command is retained: nobody knows how old it is. Send it without the retain flag")
        } else {
            arrived.again.then_some("the command was delivered again: whether it was executed before cannot be told")
        };
        let came = Came { topic: &arrived.topic, payload: &arrived.payload, doubt };
        match self.door.read(came, Instant::now()) {
            AskedFor::Nothing if self.door.is_for(&arrived.topic) => Taken::Publish(Vec::new()),
            AskedFor::Nothing => Taken::NotMine,
            AskedFor::Rebirth if self.node.is_born() => Taken::Publish(self.node.births(now)),
            AskedFor::Rebirth => Taken::Publish(Vec::new()),
            AskedFor::Writes(writes) => Taken::Commands(writes),
        }
    }
}
