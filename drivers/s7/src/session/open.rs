//! Opening a session: TCP, the call to a TSAP, agreeing on messages; and taking leave.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use driver_core::Tap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::Step;
use super::{Agreed, Calling, ConnectError, LinkError, Session};
use crate::config::{KeepAlive, S7Endpoint};
use crate::wire::{Broken, Malformed, Outgoing, PDU_MIN, Setup, Tpdu, cotp, tpkt};

/// How long the far side may take to close its end.
const LEAVE_MAX: Duration = Duration::from_millis(500);

impl Session<TcpStream> {
    /// Opens a connection to `endpoint` and a session over it, whose bytes are shown to `tap`.
    ///
    /// # Errors
    /// What could not be reached or agreed on, and why.
    pub async fn connect(endpoint: &S7Endpoint, deadline: Instant, tap: Tap) -> Result<Self, ConnectError> {
        let connected = timeout_at(deadline, connect_to_any(endpoint)).await;
        let stream = connected.unwrap_or(Err(ConnectError::Silent(Step::Tcp)))?;
        Session::open_tapped(stream, &Calling::from(endpoint), deadline, tap).await
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// A session over an open stream.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub async fn open(io: T, calling: &Calling, deadline: Instant) -> Result<Self, ConnectError> {
        Session::open_tapped(io, calling, deadline, Tap::default()).await
    }

    async fn open_tapped(io: T, calling: &Calling, deadline: Instant, tap: Tap) -> Result<Self, ConnectError> {
        let asked = Agreed { pdu: calling.pdu, jobs: 1, tpdu_max: tpkt::PACKET_MAX, far_reference: 0 };
        let mut session = Session::new(io, asked);
        session.tap = tap;
        session.sending = cotp::connect(calling.local_tsap, calling.remote_tsap);
        session.send(deadline).await.map_err(|error| failed(error, Step::Call))?;
        (session.agreed.far_reference, session.agreed.tpdu_max) = session.confirmed(deadline).await?;
        let setup = session.agree(calling, deadline).await?;
        if usize::from(setup.pdu) < PDU_MIN || setup.pdu > calling.pdu {
            return Err(ConnectError::Malformed(Malformed(
                "the PLC agrees to a size of messages that was not asked for",
            )));
        }
        session.agreed.pdu = setup.pdu;
        session.agreed.jobs = setup.jobs.clamp(1, calling.jobs);
        Ok(session)
    }

    /// Waits for the confirmation of a call: the far side's reference, and the longest TPDU that it takes.
    async fn confirmed(&mut self, deadline: Instant) -> Result<(u16, usize), ConnectError> {
        loop {
            let buffer = self.received.filled();
            if let Some(len) = tpkt::packet_len(buffer).map_err(ConnectError::Malformed)?
                && let Some(packet) = buffer.get(tpkt::HEADER..len)
            {
                let confirmed = match Tpdu::decode(packet).map_err(ConnectError::Malformed)? {
                    Tpdu::Confirm { reference, size } => Ok((reference, size)),
                    Tpdu::Disconnect { reason } => Err(ConnectError::Refused(reason)),
                    Tpdu::Error { .. } | Tpdu::Data { .. } => Err(ConnectError::Malformed(Malformed(
                        "the call was answered by something that is no answer to it",
                    ))),
                };
                self.received.consume(len);
                return confirmed;
            }
            let arrival = self.receive(deadline).await.map_err(|error| failed(error, Step::Call))?;
            if arrival.is_last(deadline) {
                return Err(ConnectError::Silent(Step::Call));
            }
        }
    }

    async fn agree(&mut self, calling: &Calling, deadline: Instant) -> Result<Setup, ConnectError> {
        let parameter = Setup { jobs: calling.jobs, pdu: calling.pdu }.parameter();
        let mut answer = Err(ConnectError::Silent(Step::Setup));
        let timeout = deadline.saturating_duration_since(Instant::now());
        let ran = self.run([Outgoing::job(&parameter)], 1, timeout, |_, result| {
            if let Ok(message) = result {
                answer = match message.error {
                    Some(error) => Err(ConnectError::Setup(error)),
                    None => Setup::decode(&message).map_err(ConnectError::Malformed),
                };
            }
        });
        ran.await.map_err(|error| failed(error, Step::Setup))?;
        answer
    }

    /// Takes leave, and waits until the far side has closed its end, so that its connection is free again.
    pub async fn leave(mut self) {
        let goodbye = async {
            let leave = cotp::leave(self.agreed.far_reference);
            self.tap.sent(&leave);
            self.io.write_all(&leave).await?;
            self.io.shutdown().await?;
            let mut rest = [0; 256];
            while self.io.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        if let Ok(Err(error)) = timeout(LEAVE_MAX, goodbye).await {
            tracing::debug!(%error, "the PLC left first");
        }
    }
}

fn failed(error: LinkError, step: Step) -> ConnectError {
    match error {
        LinkError::Closed => ConnectError::Closed(step),
        LinkError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => ConnectError::Closed(step),
        LinkError::Io(error) => ConnectError::Tcp(error),
        LinkError::Broken(Broken::Malformed(malformed)) => ConnectError::Malformed(malformed),
        LinkError::Broken(Broken::Left(reason)) => ConnectError::Refused(reason),
        LinkError::Broken(Broken::Rejected(_)) => ConnectError::Closed(step),
        LinkError::Stuck | LinkError::Spent => ConnectError::Silent(step),
    }
}

async fn connect_to_any(endpoint: &S7Endpoint) -> Result<TcpStream, ConnectError> {
    let resolve = |error| ConnectError::Resolve { host: endpoint.host.clone(), error };
    let addresses = lookup_host((endpoint.host.as_str(), endpoint.port)).await.map_err(resolve)?;
    let mut refused = None;
    for address in addresses {
        match connect_to(address, endpoint.keep_alive).await {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = Some(error),
        }
    }
    Err(match refused {
        Some(error) => ConnectError::Tcp(error),
        None => resolve(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
    })
}

async fn connect_to(address: SocketAddr, keep_alive: KeepAlive) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_keepalive(keep_alive == KeepAlive::On)?;
    // Without it a job waits for the acknowledgement of the one before, up to 40 ms.
    socket.set_nodelay(true)?;
    socket.connect(address).await
}
