//! `POST /api/v1/commands`: one command, one answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Request, StatusCode};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::Token;
use super::login::{Denied, bearer, owner};
use super::reply::{Answer, json_answer, told};
use crate::pipeline::command::json::{COMMAND_BYTES_MAX, json_of, read};
use crate::pipeline::command::{Asked, CommandDoor, Origin, Outcome, RefusedFor};
use crate::pipeline::vitals::Vitals;

/// How long a client may take for the body of a request.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// How long the answer to a command is waited for; it comes sooner from every device, dead ones included.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How long somebody waits who showed a token that is not known.
const DENIED_PAUSE: Duration = Duration::from_millis(500);

/// The key of a command may stand in this header instead of in the command.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Has a command executed, and tells what became of it.
pub(super) async fn command(
    request: Request<Incoming>,
    peer: SocketAddr,
    tokens: Arc<[Token]>,
    vitals: &Vitals,
) -> Answer {
    let received = Instant::now();
    let shown = header(request.headers(), &AUTHORIZATION).and_then(|header| bearer(&header).map(str::to_owned));
    let found = spawn_blocking(move || owner(shown.as_deref(), &tokens).cloned()).await;
    let token = match found {
        Ok(Ok(token)) => token,
        Ok(Err(denied)) => return refuse(denied, peer).await,
        Err(panic) => return told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    };
    let agent = header(request.headers(), &USER_AGENT).unwrap_or_default();
    let key = header(request.headers(), &IDEMPOTENCY_KEY);
    let origin = Origin {
        door: CommandDoor::Http,
        from: format!("{peer} {}", shown_agent(&agent)).trim_end().into(),
        who: token.name,
        role: token.role,
    };
    let body = match timeout(BODY_WITHIN, Limited::new(request.into_body(), COMMAND_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return told(StatusCode::PAYLOAD_TOO_LARGE, "a command has at most 64 KiB"),
        Err(_) => return told(StatusCode::REQUEST_TIMEOUT, "the command did not come whole in time"),
    };
    let mut asked = read(&body, origin, received);
    if let (Asked::Command(command), Some(key)) = (&mut asked, key.filter(|key| key.len() <= 128)) {
        command.key.get_or_insert_with(|| key.into());
    }
    let (sender, answered) = oneshot::channel();
    // The client may have gone when the answer comes.
    vitals.desk.submit(asked, Box::new(move |answer| drop(sender.send(answer))));
    match timeout(ANSWER_WITHIN, answered).await {
        Ok(Ok(answer)) => json_answer(status_of(answer.outcome), &json_of(&answer)),
        Ok(Err(_)) | Err(_) => {
            told(StatusCode::GATEWAY_TIMEOUT, "the command has no answer yet; ask again with its id")
        }
    }
}

async fn refuse(denied: Denied, peer: SocketAddr) -> Answer {
    match denied {
        Denied::NoTokens => {
            told(StatusCode::FORBIDDEN, "nobody may send commands: the configuration has no `http: { tokens: … }`")
        }
        Denied::Unknown => {
            warn!(%peer, "a command was sent with no token, or with one that is not known");
            sleep(DENIED_PAUSE).await;
            let mut answer =
                told(StatusCode::UNAUTHORIZED, "send `Authorization: Bearer TOKEN` with a token that is known");
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            answer
        }
        Denied::Unusable(cause) => {
            warn!(%peer, "commands over HTTP cannot be permitted: {cause}");
            sleep(DENIED_PAUSE).await;
            told(StatusCode::SERVICE_UNAVAILABLE, "a token of the gateway cannot be used; its log says which")
        }
    }
}

/// What an outcome is in HTTP: what the sender can put right is a 4xx, what the plant has to is a 5xx.
fn status_of(outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::Done | Outcome::Differs => StatusCode::OK,
        Outcome::Failed | Outcome::Unknown => StatusCode::BAD_GATEWAY,
        Outcome::Refused(why) => match why {
            RefusedFor::Unreadable => StatusCode::BAD_REQUEST,
            RefusedFor::UnknownTag => StatusCode::NOT_FOUND,
            RefusedFor::ReadOnly | RefusedFor::NotPermitted => StatusCode::FORBIDDEN,
            RefusedFor::WrongType | RefusedFor::OutOfRange | RefusedFor::Expired => StatusCode::UNPROCESSABLE_ENTITY,
            RefusedFor::Interlock | RefusedFor::Repeated => StatusCode::CONFLICT,
            RefusedFor::Rate => StatusCode::TOO_MANY_REQUESTS,
            RefusedFor::Busy | RefusedFor::Audit | RefusedFor::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        },
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn shown_agent(agent: &str) -> String {
    agent.chars().filter(|character| !character.is_control()).take(60).collect()
}
