//! `/api/cameras`: what is configured, as people read and change it. Passwords go in and never out.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde_json::{Value, json};

use super::{
    State, WebState,
    fleet::{Listed, Order, Report, answered, invalid},
    fresh,
};
use crate::{
    access::Caller,
    config::Camera,
    error::{Error, Kind, Result},
    ids::DeviceId,
};

/// What a reply says beside the camera itself. Whoever sends a reply back may leave it in.
const OURS: [&str; 6] = ["origin", "revision", "created", "changed", "shadows", "refused"];

/// `GET /api/cameras`
pub async fn list(state: State, caller: Caller) -> HttpResponse {
    let cameras = state.fleet.cameras();
    let all: Vec<_> = cameras.cameras.iter().filter(|it| it.is_seen(&caller)).map(told).collect();
    fresh(HttpResponse::Ok(), json!({"cameras": all, "complete": cameras.is_known}))
}

/// `GET /api/cameras/{id}`
pub async fn one(state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    let listed = find(&state, &id)?;
    if !listed.is_seen(&caller) {
        return Err(missing());
    }
    Ok(reply(HttpResponse::Ok(), &listed))
}

/// `POST /api/cameras`
pub async fn add(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let camera = read(&state, &body, None)?;
    let id = camera.id.clone();
    order(&state, Order::Add(Box::new(camera)), caller.name()).await?;
    let mut made = HttpResponse::Created();
    made.insert_header((header::LOCATION, format!("/api/cameras/{id}")));
    Ok(reply(made, &find(&state, id.as_str())?))
}

/// `PUT /api/cameras/{id}`
pub async fn change(
    request: HttpRequest,
    state: State,
    caller: Caller,
    id: web::Path<String>,
    body: web::Json<Value>,
) -> Result<HttpResponse> {
    let before = changeable(&state, &id)?;
    let camera = read(&state, &body, Some(&before.camera))?;
    let revision = if_match(&request, before.revision)?;
    order(&state, Order::Change(Box::new(camera), revision), caller.name()).await?;
    Ok(reply(HttpResponse::Ok(), &find(&state, &id)?))
}

/// `DELETE /api/cameras/{id}`: its footage stays until it expires.
pub async fn remove(request: HttpRequest, state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    let before = changeable(&state, &id)?;
    let revision = if_match(&request, before.revision)?;
    order(&state, Order::Remove(before.camera.id.clone(), revision), caller.name()).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn order(state: &WebState, order: Order, by: &str) -> Result<Option<Report>> {
    answered(state.fleet.order(order, by)?).await
}

/// The camera as anyone may see it.
pub fn told(listed: &Listed) -> Value {
    let mut body = json!(listed.camera.shown());
    body["origin"] = json!(listed.origin);
    body["revision"] = json!(listed.revision);
    body["created"] = json!(listed.created.map(|at| at.rfc3339()));
    body["changed"] = json!(listed.changed.map(|at| at.rfc3339()));
    body["shadows"] = json!(listed.shadows);
    body["refused"] = json!(listed.refused);
    body
}

fn reply(mut builder: actix_web::HttpResponseBuilder, listed: &Listed) -> HttpResponse {
    if let Some(revision) = listed.revision {
        builder.insert_header((header::ETAG, format!("\"{revision}\"")));
    }
    fresh(builder, told(listed))
}

/// From a body of the shape of `[[camera]]`. Of `before`, the id and what is hidden are kept.
pub fn read(state: &WebState, body: &Value, before: Option<&Camera>) -> Result<Camera> {
    let mut body = body.clone();
    let fields = body.as_object_mut().ok_or_else(|| Error::new(Kind::Invalid, "the body must be a JSON object"))?;
    fields.retain(|name, _| !OURS.contains(&name.as_str()));
    if let Some(before) = before {
        let id = fields.entry("id").or_insert_with(|| json!(before.id));
        if *id != json!(before.id) {
            return Err(Error::new(Kind::Invalid, "must be that of the address: footage is kept under it").at("id"));
        }
    }
    let mut camera = Camera::read(&body, &state.settings).map_err(|problems| invalid(&problems))?;
    camera.reveal(before).map_err(|problem| invalid(&[problem]))?;
    Ok(camera)
}

fn missing() -> Error {
    Error::new(Kind::NotFound, "there is no such camera")
}

fn find(state: &WebState, id: &str) -> Result<Listed> {
    let cameras = state.fleet.cameras();
    cameras.get(id).cloned().ok_or_else(|| {
        let is_id = id.parse::<DeviceId>().is_ok();
        match cameras.is_known || !is_id {
            true => missing(),
            false => Error::new(Kind::Unavailable, "the database is being opened"),
        }
    })
}

/// Refused before anything else is looked at: those of the file are read only.
fn changeable(state: &WebState, id: &str) -> Result<Listed> {
    let listed = find(state, id)?;
    if listed.revision.is_none() {
        let message = "this camera is in the settings file: change it there, and reload";
        return Err(Error::new(Kind::Forbidden, message));
    }
    Ok(listed)
}

/// The revision that whoever asks knows of, which must be `current`; None when any will do.
pub(super) fn if_match(request: &HttpRequest, current: Option<u64>) -> Result<Option<u64>> {
    let told = request.headers().get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default());
    let missing = || Error::new(Kind::Unconditional, "say with If-Match which ETag was read, or * for any");
    let told = told.ok_or_else(missing)?.trim();
    if told == "*" {
        return Ok(None);
    }
    // `"5"`, or `"5-…"` where the reply holds more than what the revision counts.
    let revision = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.split('-').next().map(str::to_owned);
    let current = current.filter(|current| told.split(',').any(|tag| revision(tag) == Some(current.to_string())));
    current.map(Some).ok_or_else(|| Error::new(Kind::Changed, "it was changed meanwhile: look at it again"))
}
