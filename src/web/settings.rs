//! `/api/settings` and `/api/host/reload`: the settings in force, and what of them can be changed while all runs.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde_json::{Value, json};

use super::{
    State, WebState,
    cache::short_hash,
    cameras::{if_match, order},
    fleet::{Order, Report, invalid},
    fresh,
    incidents::{fields, unknown},
};
use crate::{
    access::Caller,
    config::{DetectOverride, Problem, redact},
    error::{Error, Kind, Result},
};

/// Shown in the place of what must not be.
const HIDDEN: &str = "***";

/// `GET /api/settings`
pub async fn show(state: State) -> HttpResponse {
    told(&state)
}

/// `PUT /api/settings` `{detect}`: thresholds of all cameras that do not say otherwise. What is left out is the file's.
pub async fn change(
    request: HttpRequest,
    state: State,
    caller: Caller,
    body: web::Json<Value>,
) -> Result<HttpResponse> {
    let detect = asked(&state, &body)?;
    let revision = if_match(&request, Some(state.fleet.cameras().detect_revision))?;
    order(&state, Order::Detect(detect, revision), caller.name()).await?;
    Ok(told(&state))
}

/// `POST /api/host/reload`
pub async fn reload(state: State, caller: Caller) -> Result<HttpResponse> {
    let report: Report = order(&state, Order::Reload, caller.name()).await?.unwrap_or_default();
    Ok(fresh(HttpResponse::Ok(), report))
}

fn told(state: &WebState) -> HttpResponse {
    let cameras = state.fleet.cameras();
    let mut settings = json!(*state.settings);
    settings["detect"] = json!(cameras.detect);
    for webhook in settings["notify"]["webhook"].as_array_mut().into_iter().flatten() {
        hide(webhook);
    }
    if let Some(sections) = settings.as_object_mut() {
        // They have a list of their own.
        sections.remove("camera");
    }
    let body = json!({
        "settings": settings,
        "changed_here": {"detect": cameras.detect_override},
        "changeable": ["detect"],
        "revision": cameras.detect_revision,
    });
    let mut reply = HttpResponse::Ok();
    // The revision is what changes are refused by; the rest, so that what a reload brought is another reply, too.
    reply.insert_header((
        header::ETAG,
        format!("\"{}-{}\"", cameras.detect_revision, short_hash(body.to_string().as_bytes())),
    ));
    fresh(reply, body)
}

/// Many receivers keep the key in the path of their address.
fn hide(webhook: &mut Value) {
    if let Some(url) = webhook["url"].as_str() {
        let shown = redact(url);
        let host = shown.split_once("://").map(|(scheme, rest)| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            format!("{scheme}://{host}/{HIDDEN}")
        });
        webhook["url"] = json!(host.unwrap_or_else(|| HIDDEN.to_owned()));
    }
    if webhook.get("secret").is_some() {
        webhook["secret"] = json!(HIDDEN);
    }
}

fn asked(state: &WebState, body: &Value) -> Result<DetectOverride> {
    let mut detect = None;
    for (name, value) in fields(body)? {
        match name.as_str() {
            "detect" => {
                let read = serde_path_to_error::deserialize::<_, DetectOverride>(value);
                let refuse = |error: serde_path_to_error::Error<serde_json::Error>| {
                    let (path, rule) = (error.path().to_string(), error.inner().to_string());
                    Error::new(Kind::Invalid, rule).at(if path == "." { name.clone() } else { format!("{name}.{path}") })
                };
                detect = Some(read.map_err(refuse)?);
            }
            other => return Err(unknown(other)),
        }
    }
    let detect = detect.ok_or_else(|| Error::new(Kind::Invalid, "is missing").at("detect"))?;
    let at = |problem: Problem| Problem { path: format!("detect.{}", problem.path), ..problem };
    let problems: Vec<_> = state.settings.detect.with(&detect).broken().into_iter().map(at).collect();
    if problems.is_empty() { Ok(detect) } else { Err(invalid(&problems)) }
}
