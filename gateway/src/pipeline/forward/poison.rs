//! What the far side will not take: a message of many readings is halved until the one that it refuses stands alone, and
//! that one alone goes into quarantine, and a gap in its place. Where the far side ends the connection instead of refusing,
//! see [`super::window::blame`].

use std::collections::BTreeSet;
use std::sync::Arc;

use buffer::{Block, Item, SeqRange};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::backlog::Backlog;
use super::counters::count;
use super::window::blame::SHUT_FOR;
use super::window::{Conviction, Window};
use super::{Forward, is_news};
use crate::uplink::{Lane, Message, Token};

/// So many topics are remembered.
const TOPICS_MAX: usize = 1_024;

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// How large the message is.
    ItsSize,
    /// What it says or where it goes.
    TheMessage,
}

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
    pub(super) async fn refused_for_good(&mut self, token: Token, about: About, reason: &str) {
        let Some(message) = self.window.message(token).cloned() else { return };
        if !self.halve(&message, about, reason).await {
            self.set_aside(message, reason).await;
        }
    }

    /// Deals with messages that are not to be sent, because of what was learnt from others.
    pub(super) async fn keep_convicted(&mut self) {
        while let Some((token, conviction)) = self.window.next_convicted(Instant::now().into_std()) {
            let Some(message) = self.window.message(token).cloned() else { continue };
            match conviction {
                Conviction::TopicIsShut(topic) => {
                    let minutes = SHUT_FOR.as_secs() / 60;
                    let reason = format!(
                        "the far side ended the connection each time that something was sent to {topic}. One message is \
                         tried every {minutes} minutes; look into the far side's log and its access list"
                    );
                    self.set_aside(message, &reason).await;
                }
                Conviction::TooLarge(bytes) => {
                    let reason = format!("the far side ended the connection at {bytes} bytes");
                    if !self.halve(&message, About::ItsSize, &reason).await {
                        self.window.send_whole(token);
                    }
                }
            }
        }
    }

    /// Halves a message that may be too large; where that cannot be done, it is one like others.
    pub(super) async fn make_smaller(&mut self, token: Token, reason: &str) {
        let Some(message) = self.window.message(token).cloned() else { return };
        if !self.halve(&message, About::ItsSize, reason).await {
            self.window.cannot_be_halved(token);
        }
    }

    /// Puts smaller messages in the place of one of several readings; whether that could be done.
    async fn halve(&mut self, message: &Message, about: About, reason: &str) -> bool {
        if self.lanes.is_of_quarantine(message.lane()) {
            // That was done when it was refused first.
            return false;
        }
        let halves = match self.block_of(message, about).await {
            Some(block) => self.halves(message, &block).await,
            None => Vec::new(),
        };
        if halves.len() < 2 {
            return false;
        }
        debug!(uplink = &*self.name, first = message.seqs.first, "a message is halved: {reason}");
        self.lanes.returned(message, None, Instant::now().into_std());
        self.window.split(message.token, halves);
        self.commit_soon();
        true
    }

    /// The block that a message of several readings was made of; `None` where it is gone, or the message is not to be halved.
    async fn block_of(&mut self, message: &Message, about: About) -> Option<Block> {
        let seqs = message.seqs;
        let is_about_a_part = about == About::ItsSize || self.accepted.topics.contains(&message.topic);
        if seqs.first == seqs.last || !is_about_a_part {
            return None;
        }
        self.block_with(seqs).await
    }

    async fn block_with(&mut self, seqs: SeqRange) -> Option<Block> {
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

    /// A message that came out of the quarantine was refused once more: it lies there still.
    fn stays_in_quarantine(&mut self, message: &Message, reason: &str) {
        self.window.give_up(message.token, Instant::now().into_std());
        self.lanes.returned(message, None, Instant::now().into_std());
        if is_news(reason, &mut self.told.set_aside) {
            warn!(
                uplink = &*self.name,
                "messages out of the quarantine are refused once more and stay there: {reason}"
            );
        }
    }

    /// The far side takes no word of what lies in quarantine either; the quarantine tells it.
    fn stays_undeclared(&mut self, declaration: &Message, reason: &str) {
        self.window.give_up(declaration.token, Instant::now().into_std());
        self.lanes.returned(declaration, None, Instant::now().into_std());
        if is_news(reason, &mut self.told.set_aside) {
            warn!(uplink = &*self.name, "what goes into quarantine cannot be declared to the far side: {reason}");
        }
    }

    /// Sends a gap in the place of a message that lies in quarantine now. What is sent once more was declared before, or is
    /// there; and what tells of losses is no reading.
    async fn declare(&mut self, message: Arc<Message>) {
        let is_first = matches!(message.lane(), Lane::Live | Lane::History) && message.readings > 0;
        let gone = if is_first {
            let block = self.block_with(message.seqs).await;
            let declaration = self.lanes.declaration(&message, block.as_ref());
            self.window.declare(message.token, declaration, Instant::now().into_std())
        } else {
            self.window.give_up(message.token, Instant::now().into_std())
        };
        if let Some(gone) = gone {
            self.lanes.returned(&gone, None, Instant::now().into_std());
        }
    }

    /// Puts a message into quarantine, so that the rest flows. What cannot be kept there is offered again.
    async fn set_aside(&mut self, message: Arc<Message>, reason: &str) {
        if self.lanes.is_of_quarantine(message.lane()) {
            return self.stays_in_quarantine(&message, reason);
        }
        if Window::is_declaration(&message) {
            return self.stays_undeclared(&message, reason);
        }
        let (quarantine, keeps, owned) = (self.quarantine.clone(), message.clone(), reason.to_owned());
        let kept = tokio::task::spawn_blocking(move || quarantine.keep(&keeps, &owned)).await;
        let failure = match kept {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(panic) => Some(panic.to_string()),
        };
        let first = message.seqs.first;
        match failure {
            None => {
                self.declare(message).await;
                self.told.not_kept = false;
                self.commit_soon();
                count(&self.counters.set_aside, 1);
                if is_news(reason, &mut self.told.set_aside) {
                    error!(uplink = &*self.name, first, "messages go into quarantine and will not be sent: {reason}");
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
