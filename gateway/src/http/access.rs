//! Who asks, and whether they may.
//!
//! Somebody shows a token, or the cookie of a session, or nothing. With nothing one may look, where the gateway listens on
//! the loopback only. A request that changes something and comes with a cookie has to be the page's own: the cookie is
//! `SameSite=Strict`, the request has to bear a header that no other site's page may send, and what the browser says of its
//! origin has to be this gateway.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{
    AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::Token;
use super::lockout::Lockout;
use super::login::{Denied, bearer, owner};
use super::query::shown;
use super::reply::{Answer, json_answer, told};
use super::sessions::Sessions;
use super::users::{PASSWORD_BYTES_MAX, Users, verify};
use crate::pipeline::command::Role;

const COOKIE_NAME: &str = "forebay_session";

/// What the page sends with each change: a header that a form or an image cannot bear.
pub(super) const OWN: HeaderName = HeaderName::from_static("x-forebay");

/// What the browser says of where a request comes from (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How long somebody waits who was not known.
const DENIED_PAUSE: Duration = Duration::from_millis(500);

/// Passwords are verified one after the other; who would wait longer is sent away.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    /// Their name; empty for somebody who did not say.
    pub(super) name: Box<str>,
    /// What they may do.
    pub(super) role: Role,
    by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Nothing,
    Token,
    Session,
}

/// What is known of those who ask.
pub(super) struct Access {
    users: Users,
    tokens: Arc<[Token]>,
    /// Whether one may look without saying who one is.
    open_view: bool,
    /// Whether the cookie goes over TLS only.
    secure: bool,
    sessions: Mutex<Sessions>,
    lockout: Mutex<Lockout>,
    turn: Semaphore,
}

impl Access {
    pub(super) fn new(users: Users, tokens: Vec<Token>, open_view: bool, secure: bool) -> Access {
        Access {
            users,
            tokens: tokens.into(),
            open_view,
            secure,
            sessions: Mutex::default(),
            lockout: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }

    /// Who asks; an answer where nobody may who asks so.
    pub(super) async fn who(&self, method: &Method, headers: &HeaderMap, peer: SocketAddr) -> Result<Who, Answer> {
        if let Some(header) = text(headers, &AUTHORIZATION) {
            return self.by_token(bearer(header).map(str::to_owned), peer).await;
        }
        if let Some(cookie) = cookie(headers) {
            let session = lock(&self.sessions).find(cookie, Instant::now());
            if let Some(session) = session {
                let reads = matches!(*method, Method::GET | Method::HEAD);
                if !reads && !is_own(headers) {
                    return Err(told(StatusCode::FORBIDDEN, "a change has to come from the gateway's own page"));
                }
                return Ok(Who { name: session.user, role: session.role, by: By::Session });
            }
        }
        Ok(Who { name: "".into(), role: Role::Viewer, by: By::Nothing })
    }

    /// Whether they may do what needs this role.
    pub(super) fn permit(&self, who: &Who, role: Role) -> Result<(), Box<Answer>> {
        let known = who.by != By::Nothing || (self.open_view && role == Role::Viewer);
        if known && who.role >= role {
            return Ok(());
        }
        if known {
            let what = format!("this needs the role {}; you have {}", role.name(), who.role.name());
            return Err(Box::new(told(StatusCode::FORBIDDEN, &what)));
        }
        if self.users.is_empty() && self.tokens.is_empty() {
            let what =
                "nobody may do this: the configuration has neither `http: { users: … }` nor `http: { tokens: … }`";
            return Err(Box::new(told(StatusCode::FORBIDDEN, what)));
        }
        Err(Box::new(unknown()))
    }

    /// Whether they have said who they are.
    pub(super) fn known(&self, who: &Who) -> Result<(), Box<Answer>> {
        if who.by == By::Nothing { self.permit(who, Role::Operator) } else { Ok(()) }
    }

    async fn by_token(&self, shown: Option<String>, peer: SocketAddr) -> Result<Who, Answer> {
        let tokens = self.tokens.clone();
        let denied = match spawn_blocking(move || owner(shown.as_deref(), &tokens).cloned()).await {
            Ok(Ok(token)) => return Ok(Who { name: token.name, role: token.role, by: By::Token }),
            Ok(Err(denied)) => denied,
            Err(panic) => return Err(told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string())),
        };
        sleep(DENIED_PAUSE).await;
        Err(match denied {
            Denied::NoTokens => {
                told(StatusCode::FORBIDDEN, "no token is known: the configuration has no `http: { tokens: … }`")
            }
            Denied::Unknown => {
                warn!(%peer, "somebody showed a token that is not known");
                unknown()
            }
            Denied::Unusable(cause) => {
                warn!(%peer, "a token over HTTP cannot be looked up: {cause}");
                told(StatusCode::SERVICE_UNAVAILABLE, "a token of the gateway cannot be used; its log says which")
            }
        })
    }

    /// `POST /api/v1/login`: a name and a password for a cookie.
    pub(super) async fn login(&self, body: &Value, headers: &HeaderMap, peer: SocketAddr) -> Answer {
        let (Some(user), Some(password)) = (body["user"].as_str(), body["password"].as_str()) else {
            return told(StatusCode::BAD_REQUEST, "send {\"user\": …, \"password\": …}");
        };
        if !is_own(headers) {
            return told(
                StatusCode::FORBIDDEN,
                "a login has to bear the header `x-forebay`, and come from the gateway's own page",
            );
        }
        if user.len() > PASSWORD_BYTES_MAX || password.len() > PASSWORD_BYTES_MAX {
            return told(StatusCode::BAD_REQUEST, "the name or the password is too long");
        }
        if self.users.is_empty() {
            return told(StatusCode::FORBIDDEN, "nobody may log in: the configuration has no `http: { users: … }`");
        }
        // One after the other, so that many tries at once count as many.
        let Ok(Ok(_turn)) = timeout(TURN_WITHIN, self.turn.acquire()).await else {
            return told(StatusCode::TOO_MANY_REQUESTS, "many log in just now: try again in a few seconds");
        };
        self.tried(user, password, peer).await
    }

    /// Whether the name and the password are right, unless too many were wrong before.
    async fn tried(&self, user: &str, password: &str, peer: SocketAddr) -> Answer {
        let now = Instant::now();
        if let Some(wait) = lock(&self.lockout).wait(peer.ip(), user, now) {
            let seconds = wait.as_secs().max(1);
            let mut answer = told(StatusCode::TOO_MANY_REQUESTS, &format!("too many wrong tries: wait {seconds} s"));
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            return answer;
        }
        let (users, wanted, given) = (self.users.clone(), user.to_owned(), password.to_owned());
        let found = spawn_blocking(move || {
            let user = users.find(&wanted)?;
            let right = verify(user.as_ref(), &given);
            Ok::<_, String>(user.filter(|_| right))
        });
        match found.await {
            Ok(Ok(Some(found))) => {
                lock(&self.lockout).right(peer.ip(), user);
                info!(%peer, user = &*found.name, "somebody has logged in");
                self.begun(&found.name, found.role, now)
            }
            Ok(Ok(None)) => {
                lock(&self.lockout).wrong(peer.ip(), user, now);
                warn!(%peer, user = shown(user), "a login was refused: the name or the password is wrong");
                sleep(DENIED_PAUSE).await;
                told(StatusCode::UNAUTHORIZED, "the name or the password is wrong")
            }
            Ok(Err(cause)) => {
                warn!(%peer, "nobody can log in: {cause}");
                told(StatusCode::SERVICE_UNAVAILABLE, "the users cannot be read; the gateway's log says why")
            }
            Err(panic) => told(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
        }
    }

    fn begun(&self, name: &str, role: Role, now: Instant) -> Answer {
        let Some(secret) = lock(&self.sessions).begin(name, role, now) else {
            return told(StatusCode::SERVICE_UNAVAILABLE, "the system gives no randomness: try again");
        };
        let mut answer = json_answer(StatusCode::OK, &json!({ "user": name, "role": role.name() }));
        self.set_cookie(&mut answer, &secret, "");
        answer
    }

    /// `POST /api/v1/logout`.
    pub(super) fn logout(&self, headers: &HeaderMap) -> Answer {
        if let Some(cookie) = cookie(headers) {
            lock(&self.sessions).end(cookie);
        }
        let mut answer = json_answer(StatusCode::OK, &json!({ "user": null }));
        self.set_cookie(&mut answer, "", "; Max-Age=0");
        answer
    }

    fn set_cookie(&self, answer: &mut Answer, secret: &str, end: &str) {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!("{COOKIE_NAME}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}{end}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().insert(SET_COOKIE, cookie);
        }
    }

    /// `GET /api/v1/session`: who one is, and whether one can log in at all.
    pub(super) fn session(&self, who: &Who) -> Value {
        json!({
            "user": (who.by != By::Nothing).then_some(&*who.name),
            "role": (who.by != By::Nothing || self.open_view).then(|| who.role.name()),
            "login": !self.users.is_empty(),
        })
    }
}

fn unknown() -> Answer {
    let mut answer =
        told(StatusCode::UNAUTHORIZED, "log in, or send `Authorization: Bearer TOKEN` with a token that is known");
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

/// Whether a browser says that another site is behind this request.
pub(super) fn is_of_another_site(headers: &HeaderMap) -> bool {
    let foreign_fetch = text(headers, &FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let foreign_origin = text(headers, &ORIGIN).is_some_and(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_none() || host != text(headers, &HOST)
    });
    foreign_fetch || foreign_origin
}

fn is_own(headers: &HeaderMap) -> bool {
    headers.contains_key(OWN) && !is_of_another_site(headers)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = text(headers, &COOKIE)?.split(';');
    let mut named = cookies.filter_map(|cookie| cookie.trim().split_once('='));
    named.find(|(name, _)| *name == COOKIE_NAME).map(|(_, secret)| secret)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A table is never left half changed.
fn lock<T>(table: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a header"))).collect()
    }

    #[test]
    fn requests_of_other_sites_are_told_by_what_the_browser_says() {
        let cases: [(&[(&'static str, &str)], bool); 7] = [
            (&[], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("host", "10.0.0.1:9470"), ("origin", "https://10.0.0.1:9470")], false),
            (&[("host", "10.0.0.1:9470"), ("origin", "https://evil.example")], true),
            (&[("host", "10.0.0.1:9470"), ("origin", "null")], true),
        ];
        for (given, expected) in cases {
            assert_eq!(is_of_another_site(&headers(given)), expected, "{given:?}");
        }
        assert!(is_own(&headers(&[("x-forebay", "page")])) && !is_own(&headers(&[])));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(cookie(&headers(&[("cookie", "a=b; forebay_session=42; c=d")])), Some("42"));
        assert_eq!(cookie(&headers(&[("cookie", "xforebay_session=42")])), None);
    }

    #[test]
    fn without_a_login_one_may_look_on_the_loopback_and_no_more() {
        let nobody = Who { name: "".into(), role: Role::Viewer, by: By::Nothing };
        let anna = Who { name: "anna".into(), role: Role::Operator, by: By::Session };
        let permitted =
            |access: &Access, who: &Who, role| access.permit(who, role).map_err(|answer| answer.status().as_u16());
        let users = Users { file: Some("/x".into()), ..Users::default() };
        let open = Access::new(users.clone(), Vec::new(), true, false);
        assert_eq!(permitted(&open, &nobody, Role::Viewer), Ok(()));
        assert_eq!(permitted(&open, &nobody, Role::Operator), Err(401));
        assert_eq!(permitted(&open, &anna, Role::Operator), Ok(()));
        assert_eq!(permitted(&open, &anna, Role::Engineer), Err(403));
        let closed = Access::new(users, Vec::new(), false, true);
        assert_eq!(permitted(&closed, &nobody, Role::Viewer), Err(401));
        let none = Access::new(Users::default(), Vec::new(), true, false);
        assert_eq!(permitted(&none, &nobody, Role::Operator), Err(403));
    }
}
