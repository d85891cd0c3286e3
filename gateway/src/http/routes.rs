//! All paths, and what each needs.

use hyper::Method;

use crate::pipeline::command::Role;

/// A path and its method.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) needs: Needs,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Anybody.
    Nothing,
    /// Somebody who may look.
    Look,
    /// Somebody who has said who they are; what they may do is decided elsewhere.
    Name,
    /// Somebody of this role.
    Role(Role),
}

const fn get(path: &'static str, needs: Needs) -> Route {
    Route { method: Method::GET, path, needs }
}

const fn post(path: &'static str, needs: Needs) -> Route {
    Route { method: Method::POST, path, needs }
}

const ENGINEER: Needs = Needs::Role(Role::Engineer);

/// All but the files of the page.
pub(super) const ROUTES: &[Route] = &[
    get("/healthz", Needs::Nothing),
    get("/readyz", Needs::Nothing),
    get("/metrics", Needs::Look),
    get("/api/v1/openapi.json", Needs::Nothing),
    get("/api/v1/session", Needs::Nothing),
    post("/api/v1/login", Needs::Nothing),
    post("/api/v1/logout", Needs::Nothing),
    get("/api/v1/status", Needs::Look),
    get("/api/v1/tags", Needs::Look),
    get("/api/v1/values", Needs::Look),
    get("/api/v1/history", Needs::Look),
    get("/api/v1/events", Needs::Look),
    get("/api/v1/live", Needs::Look),
    post("/api/v1/commands", Needs::Name),
    get("/api/v1/quarantine", Needs::Role(Role::Operator)),
    get("/api/v1/quarantine/message", Needs::Role(Role::Operator)),
    post("/api/v1/quarantine/retry", ENGINEER),
    post("/api/v1/quarantine/drop", ENGINEER),
    get("/api/v1/recordings", ENGINEER),
    get("/api/v1/recordings/now", ENGINEER),
    get("/api/v1/recordings/file", ENGINEER),
    post("/api/v1/recordings/save", ENGINEER),
    post("/api/v1/recordings/decoding", ENGINEER),
    post("/api/v1/read", ENGINEER),
    post("/api/v1/browse", ENGINEER),
    get("/api/v1/config", ENGINEER),
    post("/api/v1/config/check", ENGINEER),
    post("/api/v1/config/apply", ENGINEER),
    post("/api/v1/config/confirm", ENGINEER),
    post("/api/v1/config/roll-back", ENGINEER),
];

/// The methods that a path has; empty: it is not there.
pub(super) fn methods(path: &str) -> Vec<&'static str> {
    let known = ROUTES.iter().filter(|route| route.path == path);
    known.flat_map(|route| if route.method == Method::GET { vec!["GET", "HEAD"] } else { vec!["POST"] }).collect()
}
