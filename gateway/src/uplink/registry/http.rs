//! As much of HTTP/1.1 (RFC 9112) as asking a registry takes: one request a connection, an answer of bounded size.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::rest::CONTENT_TYPE;
use super::{ANSWER_WITHIN, RegistrySpec};
use crate::uplink::base64::base64;
use crate::uplink::stream::{self, Failure};

/// The longest answer, bytes: a schema and what a registry tells of it.
const ANSWER_BYTES_MAX: usize = 1 << 20;

const NO_REGISTRY: &str = "Check that a schema registry listens there: the port, and whether it wants https";
const PASSWORD: &str = "Put right `password` of the uplink's `registry`";

/// One registry to ask.
pub(super) struct Exchange<'s> {
    spec: &'s RegistrySpec,
    /// The value of `Authorization`, where there is a login.
    login: Option<String>,
}

/// What the registry answered.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// HTTP's status code.
    pub status: u16,
    /// The body; null where it is no JSON.
    pub json: Value,
}

impl<'s> Exchange<'s> {
    /// Fetches the password, which may lie in a file.
    pub(super) async fn new(spec: &'s RegistrySpec) -> Result<Exchange<'s>, Failure> {
        let (Some(user), Some(password)) = (&spec.user, spec.password.clone()) else {
            return Ok(Exchange { spec, login: None });
        };
        let fetched = tokio::task::spawn_blocking(move || password()).await;
        let fetched = fetched.unwrap_or_else(|panic| Err(panic.to_string()));
        let password = fetched.map_err(|cause| Failure { cause, advice: PASSWORD })?;
        let pair = [user.as_bytes(), b":", &password].concat();
        Ok(Exchange { spec, login: Some(format!("Basic {}", base64(&pair))) })
    }

    /// Sends a body to a path and takes in the answer.
    pub(super) async fn post(&self, path: &str, body: &str) -> Result<Answer, Failure> {
        match timeout(ANSWER_WITHIN, self.exchange(path, body)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(failure(format!("the registry did not answer within {} s", ANSWER_WITHIN.as_secs()))),
        }
    }

    async fn exchange(&self, path: &str, body: &str) -> Result<Answer, Failure> {
        let url = &self.spec.url;
        let (files, port) = match url.scheme() {
            "https" => (Some(&self.spec.tls), 443),
            _ => (None, 80),
        };
        let port = url.port().unwrap_or(port);
        let mut stream = stream::open(url.host(), port, files).await?;
        let host = if url.host().contains(':') { format!("[{}]", url.host()) } else { url.host().to_owned() };
        let login = self.login.iter().map(|login| format!("Authorization: {login}\r\n")).collect::<String>();
        let base = url.path().trim_end_matches('/');
        let request = format!(
            "POST {base}{path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {CONTENT_TYPE}\r\nAccept: {CONTENT_TYPE}\r\n\
             {login}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let broken = |cause: std::io::Error| failure(format!("the registry ended the connection: {cause}"));
        stream.write_all(request.as_bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut bytes = Vec::new();
        loop {
            let count = stream.read_buf(&mut bytes).await.map_err(broken)?;
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(failure(format!("the registry's answer is longer than {ANSWER_BYTES_MAX} bytes")));
            }
            let end = if count == 0 { End::Reached } else { End::Open };
            if let Some(answer) = answer(&bytes, end).map_err(|cause| failure(cause.into()))? {
                return Ok(answer);
            }
        }
    }
}

fn failure(cause: String) -> Failure {
    Failure { cause, advice: NO_REGISTRY }
}

/// Whether more bytes may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// They may.
    Open,
    /// The connection is over.
    Reached,
}

/// The answer in the bytes that have come; `None` while it is not whole.
///
/// # Errors
/// What came is no answer of HTTP, or was cut short.
pub fn answer(bytes: &[u8], end: End) -> Result<Option<Answer>, &'static str> {
    let unfinished = if end == End::Open { Ok(None) } else { Err("the registry's answer was cut short") };
    let mut rest = bytes;
    let (status, head, body) = loop {
        match head(rest)? {
            None => return unfinished,
            // An interim answer: the one that counts follows.
            Some((100..200, _, after)) => rest = after,
            Some(found) => break found,
        }
    };
    let whole = match framing(head)? {
        Framing::Length(length) => body.get(..length).map(<[u8]>::to_vec),
        Framing::Chunks => unchunked(body)?,
        Framing::ToTheEnd => (end == End::Reached).then(|| body.to_vec()),
    };
    match whole {
        Some(body) => Ok(Some(Answer { status, json: serde_json::from_slice(&body).unwrap_or_default() })),
        None => unfinished,
    }
}

/// A status, its head and what follows it.
type Head<'b> = (u16, &'b str, &'b [u8]);

/// The head of an answer; `None` while it is not whole.
fn head(bytes: &[u8]) -> Result<Option<Head<'_>>, &'static str> {
    const NO_HTTP: &str = "what answers there does not speak HTTP";
    if bytes.iter().zip(b"HTTP/1.").any(|(one, two)| one != two) {
        return Err(NO_HTTP);
    }
    let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..at]).map_err(|_| NO_HTTP)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(NO_HTTP)?;
    Ok(Some((status, head, &bytes[at + 4..])))
}

/// How a body ends (RFC 9112, 6.3).
enum Framing {
    Length(usize),
    Chunks,
    ToTheEnd,
}

fn framing(head: &str) -> Result<Framing, &'static str> {
    let mut framing = Framing::ToTheEnd;
    for line in head.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            return Ok(Framing::Chunks);
        }
        if name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.parse().map_err(|_| "the registry's answer has no length")?);
        }
    }
    Ok(framing)
}

/// A body in chunks (RFC 9112, 7.1); `None` while the last one is missing.
fn unchunked(mut rest: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    const BROKEN: &str = "the registry's answer is broken";
    let mut body = Vec::new();
    loop {
        let Some(at) = rest.windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[..at]).map_err(|_| BROKEN)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| BROKEN)?;
        rest = &rest[at + 2..];
        if size == 0 {
            return Ok(Some(body));
        }
        let (Some(chunk), Some(after)) = (rest.get(..size), size.checked_add(2).and_then(|end| rest.get(end..))) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        rest = after;
    }
}

#[cfg(test)]
mod tests;
