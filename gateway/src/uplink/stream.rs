//! The way for the bytes that uplinks share: TCP, and TLS on top of it where the URL says so.

mod prompt;
pub mod tls;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use self::prompt::Prompt;
use super::TlsFiles;

/// An open way; whatever it is made of.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why it could not be opened, and what the operator can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was seen.
    pub cause: String,
    /// What to do.
    pub advice: &'static str,
}

/// Opens the way, with TLS where there are files for it. The caller sets the deadline; dropping the future gives the
/// attempt up.
///
/// # Errors
/// The host cannot be reached, or one side does not trust the other.
pub async fn open(host: &str, port: u16, files: Option<&TlsFiles>) -> Result<Box<dyn Stream>, Failure> {
    let tcp = TcpStream::connect((host, port)).await.map_err(|cause| tcp_failure(&cause))?;
    tcp.set_nodelay(true).map_err(|cause| tcp_failure(&cause))?;
    let tcp = Prompt(tcp);
    let Some(files) = files.cloned() else { return Ok(Box::new(tcp)) };
    let connector = tokio::task::spawn_blocking(move || tls::connector(&files)).await;
    let connector = connector
        .map_err(|cause| Failure { cause: cause.to_string(), advice: "Please report this" })
        .and_then(|connector| connector)?;
    let name = tls::server_name(host)?;
    let secured = connector.connect(name, tcp).await.map_err(|cause| tls::handshake_failure(&cause))?;
    Ok(Box::new(secured))
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
