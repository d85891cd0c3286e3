//! The way for the bytes: TCP, TLS on top of it where the URL says so, a WebSocket on top of that.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::config::Config;
use super::tls;
use super::websocket::{self, WebSocket};

/// An open way; whatever it is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why it could not be opened, and what the operator can do.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: String,
    pub(super) advice: &'static str,
}

/// Opens the way. The caller sets the deadline; dropping the future gives the attempt up.
pub(super) async fn open(config: &Config) -> Result<Box<dyn Stream>, Failure> {
    let tcp = TcpStream::connect((&*config.host, config.port)).await.map_err(|cause| tcp_failure(&cause))?;
    tcp.set_nodelay(true).map_err(|cause| tcp_failure(&cause))?;
    let Some(files) = config.tls.clone() else { return over(tcp, config).await };
    let connector = tokio::task::spawn_blocking(move || tls::connector(&files)).await;
    let connector = connector
        .map_err(|cause| Failure { cause: cause.to_string(), advice: "Please report this" })
        .and_then(|connector| connector)?;
    let name = tls::server_name(&config.host)?;
    let secured = connector.connect(name, tcp).await.map_err(|cause| tls::handshake_failure(&cause))?;
    over(secured, config).await
}

async fn over(mut stream: impl Stream + 'static, config: &Config) -> Result<Box<dyn Stream>, Failure> {
    let Some(path) = &config.websocket else { return Ok(Box::new(stream)) };
    let failed = |cause: String| Failure {
        cause: format!("the WebSocket is refused: {cause}"),
        advice: "Check port and path of the uplink's URL, and that the broker listens for WebSockets there",
    };
    let key = websocket::key().map_err(|cause| failed(cause.into()))?;
    let request = websocket::request(&config.host, config.port, path, &key);
    stream.write_all(request.as_bytes()).await.map_err(|cause| failed(cause.to_string()))?;
    stream.flush().await.map_err(|cause| failed(cause.to_string()))?;
    let mut answer = Vec::new();
    loop {
        if let Some(end) = websocket::answer(&answer, &key).map_err(failed)? {
            return Ok(Box::new(WebSocket::new(stream, &answer[end..])));
        }
        if stream.read_buf(&mut answer).await.map_err(|cause| failed(cause.to_string()))? == 0 {
            return Err(failed("the far side closed the connection".into()));
        }
    }
}

fn tcp_failure(cause: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    let advice = match cause.kind() {
        ErrorKind::ConnectionRefused => {
            "The host answers, but nothing listens on this port: check it, and that the broker runs"
        }
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "Check the network cable, the address and the firewall"
        }
        _ => "Check the host's name in the URL, this machine's name server and the network",
    };
    Failure { cause: cause.to_string(), advice }
}
