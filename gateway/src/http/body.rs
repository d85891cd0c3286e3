//! What a client sends, in bounds of size and time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::reply::{Answer, told};

/// How long a client may take for the body of a request.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// All bytes of a body.
pub(super) async fn bytes(request: Request<Incoming>, bytes_max: usize) -> Result<Bytes, Answer> {
    match timeout(BODY_WITHIN, Limited::new(request.into_body(), bytes_max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(told(StatusCode::PAYLOAD_TOO_LARGE, &format!("at most {bytes_max} bytes are taken here"))),
        Err(_) => Err(told(StatusCode::REQUEST_TIMEOUT, "the body did not come whole in time")),
    }
}

/// A body that is a JSON object.
pub(super) async fn object(request: Request<Incoming>, bytes_max: usize) -> Result<Value, Answer> {
    let body = bytes(request, bytes_max).await?;
    let object = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object);
    object.ok_or_else(|| told(StatusCode::BAD_REQUEST, "send a JSON object"))
}
