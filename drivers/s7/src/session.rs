//! The live conversation with one PLC: jobs out, answers in, told apart by their references. The only part that awaits.

mod config;
mod error;
mod open;
mod stream;

#[cfg(test)]
mod tests;

use std::time::Duration;

use driver_core::{ReceiveBuffer, Tap};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::wire::{Deframer, Message, Outgoing, Step, tpkt};
use stream::Arrival;

pub use config::{Agreed, Calling};
pub use error::{ConnectError, Dropped, LinkError, Step as OpenStep, Unanswered};

/// Packets that the receive buffer has room for.
const PACKETS_BUFFERED: usize = 4;

/// A conversation over one open stream. Dropping a future of it is safe: an answer that then comes late is known for one by
/// its reference, and a job cut in the middle ends the session.
#[derive(Debug)]
pub struct Session<T = TcpStream> {
    io: T,
    agreed: Agreed,
    deframer: Deframer,
    received: ReceiveBuffer,
    /// A message on its way into packets.
    message: Vec<u8>,
    sending: Vec<u8>,
    next_reference: u16,
    life: Life,
    dropped: Option<Dropped>,
    tap: Tap,
}

/// Where a session stands between two polls of its futures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Nothing is under way that matters.
    Idle,
    /// A message is being written. If this is seen at the start of a call, the call before was abandoned there.
    Sending,
    /// Over.
    Spent,
}

/// The jobs under way: what is awaited, and beside it the index by which the caller knows each.
#[derive(Debug, Default)]
struct UnderWay<'r> {
    awaited: Vec<(u16, Outgoing<'r>)>,
    indexes: Vec<usize>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    fn new(io: T, agreed: Agreed) -> Session<T> {
        Session {
            io,
            agreed,
            deframer: Deframer::new(usize::from(agreed.pdu)),
            received: ReceiveBuffer::new(PACKETS_BUFFERED * tpkt::PACKET_MAX),
            message: Vec::new(),
            sending: Vec::new(),
            next_reference: 1,
            life: Life::Idle,
            dropped: None,
            tap: Tap::default(),
        }
    }

    /// What was agreed on with the PLC.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Sends `requests`, up to `depth` of them at once (never more than was agreed), and hands each result with the
    /// request's index to `on_result`, once, in the order of arrival. The iterator is asked for the next request only when
    /// there is room for it, and may end early. `timeout` is the longest that the PLC may take from one answer to the next;
    /// when it passes, all requests under way are unanswered.
    ///
    /// # Errors
    /// The session is over. Requests without a result until then have none.
    pub async fn run<'r, I, F>(
        &mut self,
        requests: I,
        depth: usize,
        timeout: Duration,
        mut on_result: F,
    ) -> Result<(), LinkError>
    where
        I: IntoIterator<Item = Outgoing<'r>>,
        F: FnMut(usize, Result<Message<'_>, Unanswered>),
    {
        self.resume()?;
        let mut queue = requests.into_iter().enumerate();
        let depth = depth.clamp(1, usize::from(self.agreed.jobs));
        let mut under_way = UnderWay::default();
        let mut deadline = Instant::now() + timeout;
        let mut overdue = false;
        loop {
            // Half of the depth at a time: so several jobs share one system call, and the PLC is never idle.
            if under_way.awaited.len() <= depth / 2 {
                let was_idle = under_way.awaited.is_empty();
                if self.top_up(&mut queue, &mut under_way, depth) {
                    self.send(Instant::now() + timeout).await?;
                }
                if under_way.awaited.is_empty() {
                    return Ok(());
                }
                if was_idle {
                    self.dropped = None;
                    deadline = Instant::now() + timeout;
                }
            }
            if self.hand_over(&mut under_way, &mut on_result)? {
                deadline = Instant::now() + timeout;
                overdue = false;
            } else if overdue {
                let unanswered = Unanswered { dropped: self.dropped.take() };
                under_way.awaited.clear();
                under_way.indexes.drain(..).for_each(|index| on_result(index, Err(unanswered)));
                overdue = false;
            } else {
                overdue = self.receive(deadline).await?.is_last(deadline);
            }
        }
    }

    /// Whether the call before was abandoned while it was sending.
    fn resume(&mut self) -> Result<(), LinkError> {
        match self.life {
            Life::Idle => Ok(()),
            Life::Sending | Life::Spent => Err(self.end(LinkError::Spent)),
        }
    }

    /// Fills up to `depth` jobs under way; whether there is something to send.
    fn top_up<'r>(
        &mut self,
        queue: &mut impl Iterator<Item = (usize, Outgoing<'r>)>,
        under_way: &mut UnderWay<'r>,
        depth: usize,
    ) -> bool {
        self.sending.clear();
        while under_way.awaited.len() < depth {
            let Some((index, request)) = queue.next() else { break };
            let reference = self.next_reference;
            self.next_reference = reference.wrapping_add(1);
            self.put(reference, &request);
            under_way.awaited.push((reference, request));
            under_way.indexes.push(index);
        }
        !self.sending.is_empty()
    }

    fn put(&mut self, reference: u16, request: &Outgoing<'_>) {
        self.message.clear();
        request.put(reference, &mut self.message);
        crate::wire::cotp::put_message(&self.message, self.agreed.tpdu_max, &mut self.sending);
    }

    /// Hands over every answer received; whether there was one.
    fn hand_over(
        &mut self,
        under_way: &mut UnderWay<'_>,
        on_result: &mut impl FnMut(usize, Result<Message<'_>, Unanswered>),
    ) -> Result<bool, LinkError> {
        let before = under_way.awaited.len();
        loop {
            let (at, consumed) = match self.deframer.step(self.received.filled()) {
                Ok(Step::Wait) => return Ok(under_way.awaited.len() < before),
                Ok(Step::Part { len }) => {
                    self.received.consume(len);
                    continue;
                }
                Ok(Step::Message { at, len }) => (at, self.received.consume(len)),
                Err(broken) => return Err(self.end(LinkError::Broken(broken))),
            };
            match Message::decode(self.deframer.message(self.received.from(consumed), at)) {
                Ok(message) => match under_way.take(&message) {
                    Some(index) => on_result(index, Ok(message)),
                    None => self.dropped = Some(Dropped::Late),
                },
                Err(malformed) => self.dropped = Some(Dropped::Malformed(malformed)),
            }
        }
    }

    /// Ends the session.
    fn end(&mut self, error: LinkError) -> LinkError {
        self.life = Life::Spent;
        error
    }
}

impl UnderWay<'_> {
    /// The index of the request that `message` answers, which then is no longer under way.
    fn take(&mut self, message: &Message<'_>) -> Option<usize> {
        let answers = |(reference, request): &(u16, Outgoing<'_>)| {
            *reference == message.reference && request.is_answered_by(message)
        };
        let which = self.awaited.iter().position(answers)?;
        self.awaited.swap_remove(which);
        Some(self.indexes.swap_remove(which))
    }
}

impl Arrival {
    /// Whether the deadline has passed: a PLC that never stops sending must not hold us for ever.
    fn is_last(&self, deadline: Instant) -> bool {
        match self {
            Arrival::Bytes => Instant::now() >= deadline,
            Arrival::Nothing => true,
        }
    }
}
