//! TCP whose far side is told at once that its bytes have come.
//!
//! Brokers that send small packets by Nagle's rule (mosquitto as it is shipped) hold an acknowledgement back until the one
//! before it is confirmed by TCP, which the kernel puts off by 40 ms as long as there is nothing to send. A window of 20
//! messages that waits for its last acknowledgements stood still for so long each time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection that confirms what it has read without delay.
pub(super) struct Prompt(pub(super) TcpStream);

impl AsyncRead for Prompt {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.get_mut().0;
        let before = buf.filled().len();
        ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            // The kernel goes back to its delays by itself, so it is asked again after each read.
            stream.set_quickack(true)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// So many exchanges the kernel confirms at once by itself on a young connection.
    const YOUNG: usize = 30;
    const EXCHANGES: usize = 50;

    #[tokio::test]
    async fn the_second_of_two_small_packets_is_not_held_back() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port to spare");
        let address = listener.local_addr().expect("it listens");
        let broker = std::thread::spawn(move || -> io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut asked = [0];
            loop {
                stream.read_exact(&mut asked)?;
                stream.write_all(b"1")?;
                stream.write_all(b"2")?;
            }
        });
        let mut stream = Prompt(TcpStream::connect(address).await.expect("it listens"));
        stream.0.set_nodelay(true).expect("a connection");
        let mut took = Vec::new();
        for _ in 0..EXCHANGES {
            let asked_at = Instant::now();
            stream.write_all(b"?").await.expect("it listens");
            stream.read_exact(&mut [0; 2]).await.expect("it answers");
            took.push(asked_at.elapsed());
        }
        drop(stream);
        let ended = broker.join().expect("it does not panic");
        assert_eq!(ended.map_err(|cause| cause.kind()), Err(io::ErrorKind::UnexpectedEof));
        let took = &mut took[YOUNG..];
        took.sort_unstable();
        assert!(took[took.len() / 2] < Duration::from_millis(20), "{took:?}");
    }
}
