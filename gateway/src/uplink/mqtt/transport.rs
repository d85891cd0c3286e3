//! The way for the bytes: what all uplinks share, and a WebSocket on top of it where the URL says so.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::config::Config;
use super::websocket::{self, WebSocket};
use crate::uplink::stream;

pub(super) use crate::uplink::stream::{Failure, Stream};

/// Opens the way. The caller sets the deadline; dropping the future gives the attempt up.
pub(super) async fn open(config: &Config) -> Result<Box<dyn Stream>, Failure> {
    let stream = stream::open(&config.host, config.port, config.tls.as_ref()).await?;
    over(stream, config).await
}

async fn over(mut stream: Box<dyn Stream>, config: &Config) -> Result<Box<dyn Stream>, Failure> {
    let Some(path) = &config.websocket else { return Ok(stream) };
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
