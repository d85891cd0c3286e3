//! Many requests in a row, several of them under way at once where transaction ids allow it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{LinkError, Session, TransactError, into_result};
use crate::wire::{Answer, Awaited, Mismatch, Request, Response, TransactionIds};

/// The requests under way: what is awaited, and beside it the index by which the caller knows each.
struct UnderWay<'r> {
    awaited: Vec<Awaited<'r>>,
    indexes: Vec<usize>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// Sends `requests` (unit and request), up to the configured number of them at once, and hands each result with the
    /// request's index to `on_result`, once, in the order of arrival. The iterator is asked for the next request only
    /// when there is room for it, and may end early, for example to let a write overtake. `timeout` is the longest that
    /// the device may take from one answer to the next; when it passes, all requests under way have timed out.
    ///
    /// # Errors
    /// The session is over. Requests without a result until then have none.
    pub async fn run<'r, I, F>(&mut self, requests: I, timeout: Duration, mut on_result: F) -> Result<(), LinkError>
    where
        I: IntoIterator<Item = (u8, Request<'r>)>,
        F: FnMut(usize, Result<Response<'_>, TransactError>),
    {
        let mut queue = requests.into_iter().enumerate();
        if self.config.in_flight() > 1 {
            return self.run_pipelined(&mut queue, timeout, &mut on_result).await;
        }
        for (index, (unit, request)) in queue {
            match self.transact(unit, &request, Instant::now() + timeout).await {
                Err(TransactError::Link(over)) => return Err(over),
                result => on_result(index, result),
            }
        }
        Ok(())
    }

    async fn run_pipelined<'r>(
        &mut self,
        queue: &mut impl Iterator<Item = (usize, (u8, Request<'r>))>,
        timeout: Duration,
        on_result: &mut impl FnMut(usize, Result<Response<'_>, TransactError>),
    ) -> Result<(), LinkError> {
        self.resume()?;
        let depth = self.config.in_flight();
        let mut under_way = UnderWay { awaited: Vec::with_capacity(depth), indexes: Vec::with_capacity(depth) };
        let mut deadline = Instant::now() + timeout;
        let mut overdue = false;
        self.dropped = None;
        loop {
            // Half of the depth at a time: so several requests share one system call, and the device is never idle.
            if under_way.awaited.len() <= depth / 2 {
                let was_idle = under_way.awaited.is_empty();
                if self.top_up(queue, &mut under_way, depth, on_result) {
                    self.send(Instant::now() + timeout).await?;
                }
                if under_way.awaited.is_empty() {
                    return Ok(());
                }
                if was_idle {
                    deadline = Instant::now() + timeout;
                }
            }
            if self.hand_over(&mut under_way, on_result) {
                deadline = Instant::now() + timeout;
                overdue = false;
            } else if overdue {
                self.give_up_all(&mut under_way, on_result);
                overdue = false;
            } else {
                overdue = self.receive(deadline).await?.is_last(deadline);
            }
        }
    }

    /// Fills up to `depth` requests under way; whether there is something to send.
    fn top_up<'r>(
        &mut self,
        queue: &mut impl Iterator<Item = (usize, (u8, Request<'r>))>,
        under_way: &mut UnderWay<'r>,
        depth: usize,
        on_result: &mut impl FnMut(usize, Result<Response<'_>, TransactError>),
    ) -> bool {
        self.sending.clear();
        while under_way.awaited.len() < depth {
            let Some((index, (unit, request))) = queue.next() else { break };
            let awaited = Awaited { tid: self.take_tid(), unit, request };
            match awaited.encode(self.config.framing, &mut self.sending) {
                Ok(()) => {
                    under_way.awaited.push(awaited);
                    under_way.indexes.push(index);
                    self.stats.requests += 1;
                }
                Err(invalid) => on_result(index, Err(invalid.into())),
            }
        }
        !self.sending.is_empty()
    }

    /// Hands over every answer received; whether there was one.
    fn hand_over(
        &mut self,
        under_way: &mut UnderWay<'_>,
        on_result: &mut impl FnMut(usize, Result<Response<'_>, TransactError>),
    ) -> bool {
        let before = under_way.awaited.len();
        while let Some(found) = self.next_answer(&under_way.awaited) {
            let awaited = under_way.awaited.swap_remove(found.which);
            let index = under_way.indexes.swap_remove(found.which);
            let decoded = awaited.request.decode(self.pdu(&found));
            let refused = matches!(decoded, Ok(Answer::Exception(_)));
            on_result(index, into_result(decoded));
            if refused {
                self.stats.exceptions += 1;
            } else {
                self.stats.responses += 1;
            }
        }
        under_way.awaited.len() < before
    }

    fn give_up_all(
        &mut self,
        under_way: &mut UnderWay<'_>,
        on_result: &mut impl FnMut(usize, Result<Response<'_>, TransactError>),
    ) {
        let leftover = self.deframer.leftover(self.received.filled());
        let dropped: Option<Mismatch> = self.dropped.take().or(leftover);
        under_way.awaited.clear();
        for index in under_way.indexes.drain(..) {
            self.stats.timeouts += 1;
            on_result(index, Err(TransactError::Timeout { dropped }));
        }
    }

    /// Changes how many requests may be under way at once. Refused (and held at 1) where ids cannot tell them apart.
    pub fn set_max_in_flight(&mut self, depth: usize) {
        if self.config.transaction_ids == TransactionIds::Match {
            self.config.max_in_flight = depth;
        }
        self.received.grow((self.config.in_flight() + 1) * super::frame_max(self.config.framing));
    }
}
