//! Bytes out and in: the places where a session waits.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::{Life, LinkError, Session};
use crate::wire::tpkt;

/// What waiting for bytes came to.
pub(super) enum Arrival {
    Bytes,
    Nothing,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// Writes out what stands in `sending`. Abandoned in the middle, the session is spent.
    pub(super) async fn send(&mut self, deadline: Instant) -> Result<(), LinkError> {
        self.life = Life::Sending;
        self.tap.sent(&self.sending);
        let sent = match timeout_at(deadline, self.io.write_all(&self.sending)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(LinkError::Io(error)),
            Err(_) => Err(LinkError::Stuck),
        };
        self.life = if sent.is_ok() { Life::Idle } else { Life::Spent };
        sent
    }

    /// Waits for bytes until `deadline`. Bytes that are there already are taken even if it has passed.
    pub(super) async fn receive(&mut self, deadline: Instant) -> Result<Arrival, LinkError> {
        let free = self.received.free(tpkt::PACKET_MAX);
        match timeout_at(deadline, self.io.read(free)).await {
            Err(_) => Ok(Arrival::Nothing),
            Ok(Ok(0)) => Err(self.end(LinkError::Closed)),
            Ok(Ok(len)) => {
                self.received.fill(len);
                let filled = self.received.filled();
                self.tap.came(&filled[filled.len() - len..]);
                Ok(Arrival::Bytes)
            }
            Ok(Err(error)) => Err(self.end(LinkError::Io(error))),
        }
    }
}
