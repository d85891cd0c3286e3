//! Commands that an uplink brings, and the answers that go back to their senders.

use tokio::sync::mpsc;
use tracing::warn;

use super::super::command::desk::Desk;
use super::super::command::{Answer, Inbound, ReplyTo};

/// How many answers may wait for the uplink to be connected; more are lost, and that is said.
const ANSWERS_WAITING_MAX: usize = 256;

/// The desk as one uplink sees it.
pub(super) struct Commands {
    desk: Desk,
    sender: mpsc::Sender<(ReplyTo, Answer)>,
    answers: mpsc::Receiver<(ReplyTo, Answer)>,
}

impl Commands {
    pub(super) fn new(desk: Desk) -> Commands {
        let (sender, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        Commands { desk, sender, answers }
    }

    /// Hands a command to the desk; its answer comes out of [`Commands::answered`].
    pub(super) fn submit(&self, Inbound { asked, to }: Inbound) {
        let (sender, from) = (self.sender.clone(), asked.origin().from.clone());
        let reply = move |answer: Answer| {
            if sender.try_send((to, answer)).is_err() {
                warn!(%from, "the answer to a command has no way back: the uplink is gone, or too many wait for it");
            }
        };
        self.desk.submit(asked, Box::new(reply));
    }

    /// The next answer. May be dropped and called again.
    pub(super) async fn answered(&mut self) -> (ReplyTo, Answer) {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => unreachable!("a sender is kept here"),
        }
    }
}
