//! The far side of a dialogue: a TCP server on loopback that does what the script says.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::dialogue::Step;

/// The longest that the far side waits for a request.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// How long it listens at the end for a request that nobody expects.
const SURPLUS_WAIT: Duration = Duration::from_millis(50);

/// A far side at work.
#[derive(Debug)]
pub struct Far {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<Result<(), String>>,
}

/// How a step ended.
enum Ended {
    Done,
    /// The near side left before it, as it may: the step is for its next connection.
    Left,
}

impl Far {
    /// Listens on loopback and plays `steps` to whoever connects, one connection after the other.
    ///
    /// # Errors
    /// There is no port to listen on.
    pub async fn listen(steps: Vec<Step>) -> std::io::Result<Far> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Far { address, task: tokio::spawn(play(listener, steps)) })
    }

    /// Waits until the script is played to its end.
    ///
    /// # Errors
    /// What came that was not in the script, or did not come.
    pub async fn finish(self) -> Result<(), String> {
        self.task.await.unwrap_or_else(|error| Err(format!("the far side broke: {error}")))
    }
}

async fn play(listener: TcpListener, steps: Vec<Step>) -> Result<(), String> {
    let deadline = Instant::now() + REQUEST_MAX;
    let mut stream = accept(&listener, deadline).await?;
    let mut steps = steps.into_iter().peekable();
    while let Some(step) = steps.peek() {
        match one(step, &mut stream).await? {
            Ended::Left => {
                stream = accept(&listener, Instant::now() + REQUEST_MAX).await?;
                continue;
            }
            Ended::Done if *step == Step::Close => {
                drop(stream);
                let Some(()) = steps.next().and(steps.peek()).map(|_| ()) else { return Ok(()) };
                stream = accept(&listener, Instant::now() + REQUEST_MAX).await?;
                continue;
            }
            Ended::Done => {}
        }
        steps.next();
    }
    nothing_more(&mut stream).await
}

async fn accept(listener: &TcpListener, deadline: Instant) -> Result<TcpStream, String> {
    match timeout_at(deadline, listener.accept()).await {
        Ok(Ok((stream, _))) => Ok(stream),
        Ok(Err(error)) => Err(format!("cannot accept: {error}")),
        Err(_) => Err("nobody connected, though the script goes on".into()),
    }
}

async fn one(step: &Step, stream: &mut TcpStream) -> Result<Ended, String> {
    match step {
        Step::Expect(line, expected) => return expect(*line, expected, stream).await,
        Step::Send(bytes) => {
            if stream.write_all(bytes).await.is_err() {
                return Ok(Ended::Left);
            }
        }
        Step::Wait(time) => sleep(*time).await,
        Step::Close => {}
    }
    Ok(Ended::Done)
}

async fn expect(line: usize, expected: &[u8], stream: &mut TcpStream) -> Result<Ended, String> {
    let mut got = Vec::with_capacity(expected.len());
    let deadline = Instant::now() + REQUEST_MAX;
    while got.len() < expected.len() {
        let mut rest = vec![0; expected.len() - got.len()];
        match timeout_at(deadline, stream.read(&mut rest)).await {
            Ok(Ok(0) | Err(_)) if got.is_empty() => return Ok(Ended::Left),
            Ok(Ok(len)) if len > 0 => got.extend_from_slice(&rest[..len]),
            _ => return Err(format!("line {line}: expected {expected:02x?}, only {got:02x?} came")),
        }
    }
    if got == expected {
        Ok(Ended::Done)
    } else {
        Err(format!("line {line}: expected {expected:02x?}, {got:02x?} came"))
    }
}

async fn nothing_more(stream: &mut TcpStream) -> Result<(), String> {
    let mut surplus = [0; 64];
    match timeout_at(Instant::now() + SURPLUS_WAIT, stream.read(&mut surplus)).await {
        Ok(Ok(len)) if len > 0 => Err(format!("{:02x?} came, which nobody expects", &surplus[..len])),
        _ => Ok(()),
    }
}
