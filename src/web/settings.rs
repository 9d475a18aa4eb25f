//! `/api/settings` and `/api/host/reload`: the settings in force, and what of them can be changed while all runs.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    State, WebState,
    cache::short_hash,
    cameras::{if_match, order},
    fleet::{Cameras, Order, Report, invalid},
    fresh,
    incidents::{self, fields, unknown},
    viewers::random_id,
};
use crate::{
    access::Caller,
    config::{Receiver, Section, Settings, Webhook},
    error::{Error, Kind, Result},
    keep::KeepLimits,
};

/// `GET /api/settings`
pub async fn show(state: State) -> HttpResponse {
    told(&state)
}

#[derive(Debug, Default, Deserialize)]
pub struct Query {
    dry_run: Option<String>,
}

/// `PUT /api/settings` `{detect?, archive?, transcode?, notify?}`: each section as it shall be from now on, what is left out
/// of it is the file's. All or nothing. `?dry_run=true` changes nothing and tells what would be deleted or moved.
pub async fn change(
    request: HttpRequest,
    state: State,
    caller: Caller,
    query: web::Query<Query>,
    body: web::Json<Value>,
) -> Result<HttpResponse> {
    let is_dry = match query.dry_run.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(incidents::invalid("dry_run", "must be true or false")),
    };
    let cameras = state.fleet.cameras();
    let sections = asked(&cameras, &body)?;
    let would_be = would_be(&cameras, &sections)?;
    let revision = if_match(&request, Some(cameras.settings_revision))?;
    if is_dry {
        return outlook(&state, &would_be).await;
    }
    order(&state, Order::Settings(sections, revision), caller.name()).await?;
    Ok(told(&state))
}

/// `POST /api/settings/notify/test` `{id}`: one delivery now, past the queue.
pub async fn test(state: State, body: web::Json<Value>) -> Result<HttpResponse> {
    let mut id = None;
    for (name, value) in fields(&body)? {
        match name.as_str() {
            "id" => id = Some(value.as_str().ok_or_else(|| incidents::invalid("id", "must be text"))?.to_owned()),
            other => return Err(unknown(other)),
        }
    }
    let id = id.ok_or_else(|| incidents::invalid("id", "is missing"))?;
    let (send, began) = (state.try_webhook.clone(), state.clock.mono());
    // As long as the receiver takes: not on a thread that others wait for.
    let sent = actix_rt::task::spawn_blocking(move || send(&id)).await;
    let status = sent.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a defect while sending")))?;
    let ms = u64::try_from(state.clock.mono().since(began).as_millis()).unwrap_or(u64::MAX);
    Ok(fresh(HttpResponse::Ok(), json!({"status": status, "ms": ms})))
}

/// `POST /api/host/reload`
pub async fn reload(state: State, caller: Caller) -> Result<HttpResponse> {
    let report: Report = order(&state, Order::Reload, caller.name()).await?.unwrap_or_default();
    Ok(fresh(HttpResponse::Ok(), report))
}

fn told(state: &WebState) -> HttpResponse {
    let cameras = state.fleet.cameras();
    let mut settings = json!(*cameras.settings);
    settings["notify"]["webhook"] = cameras.receivers.iter().map(Receiver::shown).collect();
    if let Some(sections) = settings.as_object_mut() {
        // They have a list of their own.
        sections.remove("camera");
    }
    let mut file = cameras.file.live();
    file["notify"]["webhook"] = cameras.file.notify.webhook.iter().map(Webhook::shown).collect();
    let changed = cameras.changes.sections();
    let changed: Value = changed
        .iter()
        .map(|section| (section.name().to_owned(), section.shown()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let body = json!({
        "settings": settings,
        "file": file,
        "changed_here": changed,
        "changeable": Settings::changeable(),
        "warnings": warnings(&cameras.settings),
        "revision": cameras.settings_revision,
    });
    let mut reply = HttpResponse::Ok();
    // The revision is what changes are refused by; the rest, so that what a reload brought is another reply, too.
    reply.insert_header((
        header::ETAG,
        format!("\"{}-{}\"", cameras.settings_revision, short_hash(body.to_string().as_bytes())),
    ));
    fresh(reply, body)
}

/// What is allowed and hardly meant.
fn warnings(settings: &Settings) -> Vec<String> {
    settings.transcode.never(&settings.archive).into_iter().collect()
}

fn asked(cameras: &Cameras, body: &Value) -> Result<Vec<Section>> {
    let mut undrawn = None;
    let mut fresh_id = || {
        random_id().unwrap_or_else(|error| {
            undrawn = Some(error);
            String::new()
        })
    };
    let mut sections = Vec::new();
    for (name, sent) in fields(body)? {
        if !Section::NAMES.contains(&name.as_str()) {
            return Err(unknown(name));
        }
        let section = Section::read(name, sent, &cameras.receivers, &mut fresh_id);
        sections.push(section.map_err(|problem| invalid(&[problem]))?);
    }
    match undrawn {
        Some(error) => Err(error),
        None if sections.is_empty() => {
            let named = Section::NAMES.join(", ");
            Err(Error::new(Kind::Invalid, format!("must hold at least one of {named}")))
        }
        None => Ok(sections),
    }
}

fn would_be(cameras: &Cameras, sections: &[Section]) -> Result<Settings> {
    let mut changes = cameras.changes.clone();
    sections.iter().for_each(|section| changes.set(section.clone()));
    let problems = changes.problems(&cameras.file);
    if problems.is_empty() { Ok(changes.over(&cameras.file)) } else { Err(invalid(&problems)) }
}

async fn outlook(state: &State, would_be: &Settings) -> Result<HttpResponse> {
    let (look, limits) = (state.outlook.clone(), KeepLimits::from(would_be));
    let busy = |_| Error::new(Kind::Unavailable, "too much waits for the disk");
    let told = state.readers.run(move || look(&limits)).await.map_err(busy)??;
    let body = json!({
        "chunks": told.chunks,
        "bytes": told.bytes,
        "moved_chunks": told.moved_chunks,
        "moved_bytes": told.moved_bytes,
        "oldest_kept": told.oldest_kept.map(|at| at.rfc3339()),
        "warnings": warnings(would_be),
    });
    Ok(fresh(HttpResponse::Ok(), body))
}
