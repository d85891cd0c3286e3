//! The live conversation with one device or one bus: requests out, answers in, nothing confused. The only part that awaits.

mod alarm;
mod config;
mod doubt;
mod error;
mod identify;
mod pipeline;
mod probe;
mod stats;
mod stream;

#[cfg(test)]
mod tests;

use std::slice;

use driver_core::{ReceiveBuffer, Tap};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::transport::{ConnectError, Endpoint, Transport};
use crate::wire::{
    Answer, Awaited, Deframer, Framing, InvalidRequest, Mismatch, Request, Response, TransactionIds, ascii, mbap, rtu,
};
use alarm::Alarm;
use doubt::{Doubt, Doubts};
use stream::{Arrival, Found};

pub use config::{IN_FLIGHT_MAX, Pace, SessionConfig};
pub use error::{LinkError, TransactError};
pub use identify::Identity;
pub use probe::InFlight;
pub use stats::SessionStats;

/// The unit to which all units of a serial line listen, and none answers.
pub const BROADCAST: u8 = 0;

/// A conversation over one open transport. Dropping a future of it is safe: an answer that then comes late is known for
/// one, and a request cut in the middle ends the session.
#[derive(Debug)]
pub struct Session<T = Transport> {
    io: T,
    config: SessionConfig,
    deframer: Deframer,
    received: ReceiveBuffer,
    sending: Vec<u8>,
    alarm: Alarm,
    next_tid: u16,
    quiet_until: Instant,
    doubts: Doubts,
    life: Life,
    dropped: Option<Mismatch>,
    stats: SessionStats,
    tap: Tap,
}

/// Where a session stands between two polls of its futures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Nothing is under way that matters.
    Idle,
    /// A frame is being written, or an answer is owed that could not be told from the next one. If this is seen at the
    /// start of a call, the call before was abandoned there, and the session is over.
    Committed,
    /// A unit of a serial line owes an answer.
    Asked(Doubt),
    /// Over.
    Spent,
}

impl Session {
    /// Opens a connection to `endpoint` and a session over it.
    ///
    /// # Errors
    /// What could not be reached, and why.
    pub async fn connect(endpoint: &Endpoint, config: SessionConfig, deadline: Instant) -> Result<Self, ConnectError> {
        Ok(Self::new(endpoint.connect(deadline).await?, config))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// A session over an open transport.
    pub fn new(io: T, config: SessionConfig) -> Self {
        let frames = config.in_flight() + 1;
        Self {
            io,
            deframer: Deframer::new(config.framing, config.transaction_ids),
            received: ReceiveBuffer::new(frames * frame_max(config.framing)),
            sending: Vec::with_capacity(frame_max(config.framing)),
            alarm: Alarm::new(),
            next_tid: 1,
            quiet_until: Instant::now() + config.pace.silence,
            doubts: Doubts::default(),
            life: Life::Idle,
            dropped: None,
            stats: SessionStats::default(),
            tap: Tap::default(),
            config,
        }
    }

    /// Shows what passes to a watcher.
    pub fn with_tap(self, tap: Tap) -> Self {
        Self { tap, ..self }
    }

    /// What the session has done so far.
    pub fn stats(&self) -> &SessionStats {
        &self.stats
    }

    /// How the session speaks.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Sends one request and waits for its answer until `deadline`. A write to unit 0 of a serial line is a broadcast:
    /// it returns once it is sent.
    ///
    /// # Errors
    /// See [`TransactError`]; only [`TransactError::Link`] ends the session.
    pub async fn transact(
        &mut self,
        unit: u8,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Response<'_>, TransactError> {
        self.resume()?;
        while let Some(marker) = self.marker(unit, request) {
            self.stats.markers += 1;
            self.exchange(unit, &marker, deadline).await?;
        }
        let Some(found) = self.exchange(unit, request, deadline).await? else { return Ok(Response::Written) };
        into_result(request.decode(self.pdu(&found)))
    }

    /// Whether the call before was abandoned, and what follows from it.
    fn resume(&mut self) -> Result<(), LinkError> {
        match self.life {
            Life::Idle => Ok(()),
            Life::Asked(doubt) => {
                self.doubts.add(doubt);
                self.life = Life::Idle;
                Ok(())
            }
            Life::Committed | Life::Spent => {
                self.life = Life::Spent;
                Err(LinkError::Spent)
            }
        }
    }

    fn marker(&mut self, unit: u8, request: &Request<'_>) -> Option<Request<'static>> {
        if self.doubts.is_empty() || self.is_broadcast(unit) {
            return None;
        }
        self.doubts.marker(unit, request, Instant::now())
    }

    /// One request and its answer; `None` for a broadcast.
    async fn exchange(
        &mut self,
        unit: u8,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Option<Found>, TransactError> {
        if self.is_broadcast(unit) && !request.is_write() {
            return Err(InvalidRequest::BroadcastRead.into());
        }
        let awaited = Awaited { tid: self.take_tid(), unit, request: *request };
        self.sending.clear();
        awaited.encode(self.config.framing, &mut self.sending)?;
        self.dropped = None;
        if !self.has_ids() {
            self.listen_for_silence(deadline).await?;
            self.deframer.sent(&self.sending, self.config.echo);
        }
        self.send(deadline).await?;
        self.stats.requests += 1;
        if self.is_broadcast(unit) {
            let pace = self.config.pace;
            self.quiet_until = Instant::now() + pace.transmission(self.sending.len()) + pace.turnaround;
            return Ok(None);
        }
        if self.is_serial() {
            self.life = Life::Asked(Doubt::about(unit, request, Instant::now()));
        } else if !self.has_ids() {
            self.life = Life::Committed;
        }
        let mut overdue = false;
        loop {
            if let Some(found) = self.next_answer(slice::from_ref(&awaited)) {
                self.answered(&awaited, &found);
                return Ok(Some(found));
            }
            if overdue {
                return Err(self.give_up());
            }
            overdue = self.receive(deadline).await?.is_last(deadline);
        }
    }

    /// Throws away what was heard before we speak, which could not be told from the answer, and keeps a serial line's
    /// silent interval.
    async fn listen_for_silence(&mut self, deadline: Instant) -> Result<(), TransactError> {
        loop {
            self.drop_received();
            match self.receive(self.quiet_until.min(deadline)).await? {
                Arrival::Bytes if Instant::now() < deadline => {
                    self.quiet_until = Instant::now() + self.config.pace.silence;
                }
                Arrival::Nothing if Instant::now() >= self.quiet_until => return Ok(()),
                Arrival::Bytes | Arrival::Nothing => {
                    self.stats.timeouts += 1;
                    return Err(TransactError::Timeout { dropped: Some(Mismatch::Noise) });
                }
            }
        }
    }

    fn answered(&mut self, awaited: &Awaited<'_>, found: &Found) {
        let refused = matches!(awaited.request.decode(self.pdu(found)), Ok(Answer::Exception(_)));
        if refused {
            self.stats.exceptions += 1;
        } else {
            self.stats.responses += 1;
        }
        self.life = Life::Idle;
        if !self.is_serial() {
            return;
        }
        self.quiet_until = Instant::now() + self.config.pace.silence;
        if refused {
            self.doubts.settle_refused(awaited.unit, awaited.request.function());
        } else {
            self.doubts.settle(awaited.unit);
        }
    }

    /// The deadline of the only request under way has passed.
    fn give_up(&mut self) -> TransactError {
        self.stats.timeouts += 1;
        let leftover = self.deframer.leftover(self.received.filled());
        let dropped = self.dropped.or(leftover);
        if let Life::Asked(doubt) = self.life {
            if let Some(reason) = leftover {
                self.stats.dropped.count(reason);
            }
            self.drop_received();
            self.doubts.add(doubt);
            self.quiet_until = Instant::now() + self.config.pace.silence;
            self.life = Life::Idle;
        } else if !self.has_ids() {
            return self.end(LinkError::LateAnswerPossible).into();
        }
        TransactError::Timeout { dropped }
    }

    fn take_tid(&mut self) -> u16 {
        let tid = self.next_tid;
        self.next_tid = tid.wrapping_add(1);
        tid
    }

    fn has_ids(&self) -> bool {
        self.config.framing == Framing::Mbap && self.config.transaction_ids == TransactionIds::Match
    }

    fn is_serial(&self) -> bool {
        self.config.framing != Framing::Mbap
    }

    fn is_broadcast(&self, unit: u8) -> bool {
        unit == BROADCAST && self.is_serial()
    }
}

fn into_result(decoded: Result<Answer<'_>, Mismatch>) -> Result<Response<'_>, TransactError> {
    match decoded {
        Ok(Answer::Response(response)) => Ok(response),
        Ok(Answer::Exception(exception)) => Err(TransactError::Exception(exception)),
        Err(mismatch) => Err(TransactError::Timeout { dropped: Some(mismatch) }),
    }
}

fn frame_max(framing: Framing) -> usize {
    match framing {
        Framing::Mbap => mbap::ADU_MAX,
        Framing::Rtu => rtu::ADU_MAX,
        Framing::Ascii => ascii::ADU_MAX,
    }
}
