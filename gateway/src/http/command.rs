//! `POST /api/v1/commands`: one command, one answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{HeaderName, USER_AGENT};
use hyper::{HeaderMap, Request, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::access::Who;
use super::body::bytes;
use super::reply::{Answer, json_answer, told};
use crate::pipeline::command::json::{COMMAND_BYTES_MAX, json_of, read};
use crate::pipeline::command::{Asked, CommandDoor, Origin, Outcome, RefusedFor};
use crate::pipeline::vitals::Vitals;

/// How long the answer to a command is waited for; it comes sooner from every device, dead ones included.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The key of a command may stand in this header instead of in the command.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Has a command executed, and tells what became of it.
pub(super) async fn command(request: Request<Incoming>, peer: SocketAddr, who: Who, vitals: &Vitals) -> Answer {
    let received = Instant::now();
    let agent = header(request.headers(), &USER_AGENT).unwrap_or_default();
    let key = header(request.headers(), &IDEMPOTENCY_KEY);
    let origin = Origin {
        door: CommandDoor::Http,
        from: format!("{peer} {}", shown_agent(&agent)).trim_end().into(),
        who: who.name,
        role: who.role,
    };
    let body = match bytes(request, COMMAND_BYTES_MAX).await {
        Ok(body) => body,
        Err(answer) => return answer,
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
