//! Scripted dialogues over a pipe in memory, on a clock that stands still while nobody waits for it.

mod chaos;
mod pipelined;
mod serial;
mod tcp;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::{Session, SessionConfig, TransactError};
use crate::wire::mirror::{self, ascii_frame, mbap_frame, rtu_frame};
use crate::wire::{Awaited, Framing, Request, Response, Table};

const TIMEOUT: Duration = Duration::from_millis(500);

/// The far end of the pipe.
struct Far {
    pipe: DuplexStream,
    framing: Framing,
}

impl Far {
    /// Waits for exactly this request.
    async fn expects(&mut self, tid: u16, unit: u8, request: Request<'_>) {
        let mut frame = Vec::new();
        Awaited { tid, unit, request }.encode(self.framing, &mut frame).expect("a valid request");
        let mut got = vec![0; frame.len()];
        self.pipe.read_exact(&mut got).await.expect("the session to send");
        assert_eq!(got, frame, "awaited {request}");
    }

    async fn sends(&mut self, bytes: &[u8]) {
        self.pipe.write_all(bytes).await.expect("the session to listen");
    }

    /// Sends the true answer.
    async fn answers(&mut self, tid: u16, unit: u8, request: Request<'_>) {
        let bytes = self.frame(tid, unit, &mirror::reply(&request));
        self.sends(&bytes).await;
    }

    async fn refuses(&mut self, tid: u16, unit: u8, request: Request<'_>, code: u8) {
        let bytes = self.frame(tid, unit, &[request.function() | 0x80, code]);
        self.sends(&bytes).await;
    }

    fn frame(&self, tid: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
        match self.framing {
            Framing::Mbap => mbap_frame(tid, unit, pdu),
            Framing::Rtu => rtu_frame(unit, pdu),
            Framing::Ascii => ascii_frame(unit, pdu),
        }
    }
}

fn talk(config: SessionConfig) -> (Session<DuplexStream>, Far) {
    let (near, pipe) = duplex(8192);
    let framing = config.framing;
    (Session::new(near, config), Far { pipe, framing })
}

fn holding(start: u16, count: u16) -> Request<'static> {
    Request::Read { table: Table::HoldingRegisters, start, count }
}

/// One read within the usual timeout; the registers, if the answer is good.
async fn read(session: &mut Session<DuplexStream>, unit: u8, request: Request<'_>) -> Result<Vec<u8>, TransactError> {
    match session.transact(unit, &request, Instant::now() + TIMEOUT).await? {
        Response::Registers(bytes) => Ok(bytes.to_vec()),
        other => panic!("{other:?}"),
    }
}

fn is_timeout<T>(result: &Result<T, TransactError>) -> bool {
    matches!(result, Err(TransactError::Timeout { .. }))
}

/// A device that sends without end; on the real clock, for the other one stands still while somebody works.
#[tokio::test]
async fn a_device_that_never_stops_sending_is_given_up_in_time() {
    let line = super::Pace::of_line(115_200, 11);
    for config in [
        SessionConfig::mbap(),
        SessionConfig { max_in_flight: 4, ..SessionConfig::mbap() },
        SessionConfig::serial(Framing::Rtu, line),
        SessionConfig::serial(Framing::Ascii, line),
    ] {
        let (mut session, mut far) = talk(config);
        let flood = tokio::spawn(async move { while far.pipe.write_all(&[0x55; 4096]).await.is_ok() {} });
        let timeout = Duration::from_millis(50);
        let mut timed_out = 0;
        let requests = (0..3).map(|start| (1, holding(start, 1)));
        let ran = session.run(requests, timeout, |_, result| timed_out += usize::from(is_timeout(&result))).await;
        assert!(ran.is_ok());
        assert_eq!(timed_out, 3);
        drop(session);
        flood.await.expect("the flood to end");
    }
}
