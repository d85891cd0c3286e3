//! The configuration over HTTP: shown, checked, applied, confirmed, taken back.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::info;

use super::query::Query;
use super::reply::{Answer, busy, json_answer, told};
use crate::pipeline::vitals::Vitals;
use crate::reload::{Applied, CONFIRM_WITHIN_MAX, Refused, Reload};

/// The longest configuration, bytes.
pub(super) const FILE_BYTES_MAX: usize = 8 << 20;

/// What a request to apply may say.
pub(super) const PARAMETERS: [&str; 1] = ["confirm_within"];

/// A change that nobody confirms is taken back after this many seconds, where the request does not say.
const CONFIRM_WITHIN_USUAL_S: u64 = 60;

/// How long a change may take.
const CHANGE_WITHIN: Duration = Duration::from_secs(90);

/// `GET /api/v1/config`: what runs, and what became of the last change.
pub(super) fn show(vitals: &Vitals) -> Answer {
    let Some(reload) = &vitals.reload else { return fixed() };
    let file = reload.file().display().to_string();
    json_answer(StatusCode::OK, &json!({ "file": file, "text": reload.text(), "state": reload.state().json() }))
}

/// `POST /api/v1/config/check`: what a text would change; nothing is changed.
pub(super) async fn check(vitals: &Vitals, body: &[u8]) -> Answer {
    let Some(reload) = &vitals.reload else { return fixed() };
    let Ok(text) = std::str::from_utf8(body) else { return no_text() };
    match timeout(CHANGE_WITHIN, reload.check(text)).await {
        Ok(Ok(preview)) => json_answer(
            StatusCode::OK,
            &json!({ "valid": true, "report": preview.warnings, "changes": preview.diff.to_string() }),
        ),
        Ok(Err(refused @ (Refused::Wrong { .. } | Refused::Restart(_)))) => {
            json_answer(StatusCode::OK, &json!({ "valid": false, "report": refused.to_string(), "changes": "" }))
        }
        Ok(Err(refused)) => answer_of(&refused),
        Err(_) => late(),
    }
}

/// What is done with a configuration that runs, or shall.
pub(super) enum Change<'a> {
    Apply(&'a [u8], Query),
    Confirm,
    RollBack,
}

/// `POST /api/v1/config/apply`, `…/confirm`, `…/roll-back`.
pub(super) async fn change(vitals: &Vitals, change: Change<'_>, who: &str) -> Answer {
    let Some(reload) = &vitals.reload else { return fixed() };
    let made = match change {
        Change::Apply(body, query) => {
            let Ok(text) = std::str::from_utf8(body) else { return no_text() };
            let within = match confirm_within(&query) {
                Ok(within) => within,
                Err(wrong) => return told(StatusCode::BAD_REQUEST, &wrong),
            };
            info!(who, "a configuration is applied from the page");
            timeout(CHANGE_WITHIN, reload.apply(text, within)).await
        }
        Change::Confirm => timeout(CHANGE_WITHIN, reload.confirm()).await,
        Change::RollBack => {
            info!(who, "the configuration is taken back from the page");
            timeout(CHANGE_WITHIN, reload.roll_back()).await
        }
    };
    match made {
        Ok(Ok(applied)) => json_answer(StatusCode::OK, &applied_json(&applied, reload)),
        Ok(Err(refused)) => answer_of(&refused),
        Err(_) => late(),
    }
}

/// 0: nobody has to confirm.
fn confirm_within(query: &Query) -> Result<Option<Duration>, String> {
    let max = CONFIRM_WITHIN_MAX.as_secs();
    let seconds = match query.get("confirm_within") {
        None => CONFIRM_WITHIN_USUAL_S,
        Some(text) => text.parse().ok().filter(|seconds| *seconds <= max).ok_or_else(|| {
            format!("`confirm_within` is a number of seconds up to {max}; 0: it stays without a word")
        })?,
    };
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

fn applied_json(applied: &Applied, reload: &Reload) -> Value {
    json!({
        "changes": applied.diff.to_string(),
        "not_in_file": applied.kept.as_ref().err(),
        "state": reload.state().json(),
    })
}

fn answer_of(refused: &Refused) -> Answer {
    let status = match refused {
        Refused::Wrong { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::Restart(_) | Refused::Nothing(_) => StatusCode::CONFLICT,
        Refused::Busy => return busy("another change is being made"),
        Refused::File(_) | Refused::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    told(status, &refused.to_string())
}

fn fixed() -> Answer {
    told(StatusCode::CONFLICT, "the configuration of this gateway cannot be changed while it runs")
}

fn no_text() -> Answer {
    told(StatusCode::BAD_REQUEST, "the configuration is no UTF-8")
}

fn late() -> Answer {
    told(StatusCode::GATEWAY_TIMEOUT, "the change takes long; /api/v1/status says what became of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_to_be_confirmed_unless_it_is_asked_otherwise() {
        let within = |text: Option<&str>| confirm_within(&Query::parse(text, &PARAMETERS).expect("a query"));
        assert_eq!(within(None), Ok(Some(Duration::from_secs(60))));
        assert_eq!(within(Some("confirm_within=0")), Ok(None));
        assert_eq!(within(Some("confirm_within=5")), Ok(Some(Duration::from_secs(5))));
        for wrong in ["confirm_within=", "confirm_within=-1", "confirm_within=3601", "confirm_within=x"] {
            assert!(within(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
