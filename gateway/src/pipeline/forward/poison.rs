//! What the far side will not take: a message of many readings is halved until the one that it refuses stands alone, and
//! that one alone goes into quarantine.

use std::collections::BTreeSet;
use std::sync::Arc;

use buffer::{Block, Item};
use tokio::time::Instant;
use tracing::{debug, error};

use super::backlog::Backlog;
use super::counters::count;
use super::{Forward, is_news};
use crate::uplink::{Message, Token};

/// So many topics are remembered.
const TOPICS_MAX: usize = 1_024;

/// The topics on which the far side has taken messages of several readings. Where it never took one, it refuses the topic
/// and no reading of it, and to halve what goes there would multiply the refusals.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    topics: BTreeSet<Arc<str>>,
}

impl Accepted {
    /// A message was delivered.
    pub(super) fn note(&mut self, message: &Message) {
        let is_batch = message.seqs.first != message.seqs.last;
        if is_batch && self.topics.len() < TOPICS_MAX && !self.topics.contains(&message.topic) {
            self.topics.insert(message.topic.clone());
        }
    }
}

impl<B: Backlog> Forward<B> {
    /// A message was refused for good: smaller ones take its place, or it is set aside.
    pub(super) async fn refused_for_good(&mut self, token: Token, reason: &str) {
        let Some(message) = self.window.message(token).cloned() else { return };
        let halves = match self.block_of(&message).await {
            Some(block) => self.halves(&message, &block).await,
            None => Vec::new(),
        };
        if halves.len() < 2 {
            return self.set_aside(message, reason).await;
        }
        debug!(uplink = &*self.name, first = message.seqs.first, "a refused message is halved: {reason}");
        self.lanes.returned(&message, None, Instant::now().into_std());
        self.window.split(token, halves);
        self.commit_soon();
    }

    /// The block that a message of several readings was made of; `None` where it is gone, or the message is not to be halved.
    async fn block_of(&mut self, message: &Message) -> Option<Block> {
        let seqs = message.seqs;
        if seqs.first == seqs.last || !self.accepted.topics.contains(&message.topic) {
            return None;
        }
        let items = self.log.read(seqs.first, 1).await.ok()?.items;
        items.into_iter().find_map(|item| match item {
            Item::Block(block) if block.seqs.contains(seqs.first) && block.seqs.contains(seqs.last) => Some(block),
            Item::Block(_) | Item::Gap(_) => None,
        })
    }

    async fn halves(&mut self, message: &Message, block: &Block) -> Vec<Message> {
        let Ok(schema) = self.log.schema(block.meta.schema).await else { return Vec::new() };
        self.lanes.halves(message, block, schema)
    }

    /// Puts a message into quarantine, so that the rest flows. What cannot be kept there is offered again.
    async fn set_aside(&mut self, message: Message, reason: &str) {
        let token = message.token;
        let (quarantine, owned) = (self.quarantine.clone(), reason.to_owned());
        let kept = tokio::task::spawn_blocking(move || quarantine.keep(&message, &owned)).await;
        let failure = match kept {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(panic) => Some(panic.to_string()),
        };
        match failure {
            None => {
                if let Some(message) = self.window.give_up(token) {
                    self.lanes.returned(&message, None, Instant::now().into_std());
                }
                self.told.not_kept = false;
                self.commit_soon();
                count(&self.counters.set_aside, 1);
                if is_news(reason, &mut self.told.set_aside) {
                    error!(
                        uplink = &*self.name,
                        first = token.seq,
                        "messages go into quarantine and will not be sent: {reason}"
                    );
                }
            }
            Some(failure) if !self.told.not_kept => {
                self.told.not_kept = true;
                error!(uplink = &*self.name, "{failure}");
            }
            Some(_) => {}
        }
    }
}
