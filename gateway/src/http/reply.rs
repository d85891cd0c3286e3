//! The forms of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::live::Live;

pub(super) type Answer = Response<Content>;

/// What an answer carries.
pub(super) enum Content {
    /// All of it at once.
    Whole(Full<Bytes>),
    /// As it comes.
    Live(Live),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Content::Whole(whole) => Pin::new(whole).poll_frame(context),
            Content::Live(live) => live.poll_next(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Content::Whole(whole) => whole.is_end_stream(),
            Content::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(whole) => whole.size_hint(),
            Content::Live(_) => SizeHint::default(),
        }
    }
}

/// A reason in words; every answer that is none of what was asked for has this form.
pub(super) fn told(status: StatusCode, what: &str) -> Answer {
    json_answer(status, &json!({ "error": what }))
}

/// Too many do the same.
pub(super) fn busy(what: &str) -> Answer {
    told(StatusCode::TOO_MANY_REQUESTS, &format!("{what}: ask again in a few seconds"))
}

pub(super) fn json_answer(status: StatusCode, value: &Value) -> Answer {
    whole(status, "application/json", format!("{value}\n"))
}

pub(super) fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    of(status, kind, Content::Whole(Full::new(body.into())))
}

pub(super) fn of(status: StatusCode, kind: &'static str, content: Content) -> Answer {
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
