//! The registry's questions and answers: what is asked in which order, and what each answer means.
//!
//! ```text
//! POST /compatibility/subjects/SUBJECT/versions/latest   200 {"is_compatible":true} · 404: there is no version yet
//! POST /subjects/SUBJECT/versions                        200 {"id":1}               · 409: not compatible
//! POST /subjects/SUBJECT                                 200 {"id":1,…}             · 404: it is not registered
//! ```

use std::sync::Arc;

use serde_json::{Value, json};

use super::http::{Answer, Exchange};
use super::{RegistrySpec, Schemas};
use crate::uplink::format::keyed::Registration;
use crate::uplink::stream::Failure;

/// The registry's media type.
pub(super) const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;

const LOGIN: &str = "Put right `user` and `password` of the uplink's `registry`, or its rights on the subject";
const NO_REGISTRY: &str = "Check the uplink's `registry`: host, port and path; Apicurio's path is /apis/ccompat/v7";
const LATER: &str = "Look into the registry's log; it is asked again";
const NOT_COMPATIBLE: &str =
    "Another schema stands under this subject: send to another topic, or set the subject's compatibility to NONE";
const TO_BE_REGISTERED: &str =
    "Register what `forebay schema` prints for this format under this subject, or set `schemas: register`";

/// The number of a schema, after it was found or registered.
pub(super) async fn number(spec: &RegistrySpec, registration: &Registration) -> Result<u32, Failure> {
    let questions = Questions::new(spec, registration).await?;
    match spec.schemas {
        Schemas::LookUp => questions.look_up().await,
        Schemas::Register => {
            questions.fits().await?;
            questions.register().await
        }
    }
}

/// Whether the number of a schema could be had; nothing is registered.
pub(super) async fn tried(spec: &RegistrySpec, registration: &Registration) -> Result<(), Failure> {
    let questions = Questions::new(spec, registration).await?;
    match spec.schemas {
        Schemas::LookUp => questions.look_up().await.map(drop),
        Schemas::Register => questions.fits().await,
    }
}

/// What is asked about one schema.
struct Questions<'s> {
    exchange: Exchange<'s>,
    registration: &'s Registration,
    subject: String,
    body: String,
}

impl<'s> Questions<'s> {
    async fn new(spec: &'s RegistrySpec, registration: &'s Registration) -> Result<Questions<'s>, Failure> {
        let exchange = Exchange::new(spec).await?;
        let body = json!({ "schema": registration.schema, "schemaType": registration.kind }).to_string();
        Ok(Questions { exchange, registration, subject: encoded(&registration.subject), body })
    }

    async fn look_up(&self) -> Result<u32, Failure> {
        let answer = self.exchange.post(&format!("/subjects/{}", self.subject), &self.body).await?;
        match answer.status {
            NOT_FOUND => Err(failure(self.registration, "does not know the schema", &answer, TO_BE_REGISTERED)),
            _ => id(self.registration, &answer),
        }
    }

    /// Whether readers of what is there can read what comes.
    async fn fits(&self) -> Result<(), Failure> {
        let path = format!("/compatibility/subjects/{}/versions/latest", self.subject);
        let answer = self.exchange.post(&path, &self.body).await?;
        match (answer.status, answer.json["is_compatible"].as_bool()) {
            (NOT_FOUND, _) if answer.json["error_code"].is_u64() => Ok(()),
            (200, Some(true)) => Ok(()),
            (200, Some(false)) => Err(failure(self.registration, "refuses the schema", &answer, NOT_COMPATIBLE)),
            _ => Err(unexpected(self.registration, &answer)),
        }
    }

    async fn register(&self) -> Result<u32, Failure> {
        let answer = self.exchange.post(&format!("/subjects/{}/versions", self.subject), &self.body).await?;
        match answer.status {
            CONFLICT => Err(failure(self.registration, "refuses the schema", &answer, NOT_COMPATIBLE)),
            _ => id(self.registration, &answer),
        }
    }
}

fn id(registration: &Registration, answer: &Answer) -> Result<u32, Failure> {
    let id = answer.json["id"].as_u64().and_then(|id| u32::try_from(id).ok()).filter(|_| answer.status == 200);
    id.ok_or_else(|| unexpected(registration, answer))
}

fn unexpected(registration: &Registration, answer: &Answer) -> Failure {
    let advice = match answer.status {
        401 | 403 => LOGIN,
        500.. => LATER,
        _ => NO_REGISTRY,
    };
    failure(registration, "did not give a number for the schema", answer, advice)
}

fn failure(registration: &Registration, what: &str, answer: &Answer, advice: &'static str) -> Failure {
    let said = match &answer.json["message"] {
        Value::String(message) => format!(", {message:?}"),
        _ => String::new(),
    };
    let Answer { status, .. } = answer;
    Failure { cause: format!("the registry {what} of {} (HTTP {status}{said})", registration.subject), advice }
}

/// A subject as a part of a path (RFC 3986, 2.3).
fn encoded(subject: &Arc<str>) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut out = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        if unreserved(byte) { out.push(char::from(byte)) } else { out.push_str(&format!("%{byte:02X}")) }
    }
    out
}

#[cfg(test)]
mod tests;
