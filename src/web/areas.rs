//! `/api/areas`: where cameras are, by name. An area exists while somebody made it or a camera is in it.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    State, WebState,
    cameras::order,
    fleet::Order,
    fresh,
    incidents::{fields, invalid, unknown},
};
use crate::{
    access::Caller,
    error::{Error, Kind, Result},
    ids::DeviceId,
};

const CHARS_MAX: usize = 128;

#[derive(Default, Serialize)]
struct Area {
    name: String,
    cameras: Vec<DeviceId>,
}

/// `GET /api/areas`
pub async fn list(state: State, caller: Caller) -> HttpResponse {
    fresh(HttpResponse::Ok(), json!({"areas": all(&state, &caller)}))
}

/// `GET /api/areas/{name}`
pub async fn show(state: State, caller: Caller, name: web::Path<String>) -> Result<HttpResponse> {
    known(&state, &caller, &name)?;
    one(&state, &caller, HttpResponse::Ok(), &name)
}

/// `POST /api/areas` `{name}`
pub async fn add(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let name = named(&body)?;
    order(&state, Order::AddArea(name.clone()), caller.name()).await?;
    one(&state, &caller, HttpResponse::Created(), &name)
}

/// `PUT /api/areas/{name}` `{name}`: its cameras come along; nothing is restarted.
pub async fn rename(
    state: State,
    caller: Caller,
    from: web::Path<String>,
    body: web::Json<Value>,
) -> Result<HttpResponse> {
    known(&state, &caller, &from)?;
    let to = named(&body)?;
    if to != *from {
        order(&state, Order::RenameArea(from.into_inner(), to.clone()), caller.name()).await?;
    }
    one(&state, &caller, HttpResponse::Ok(), &to)
}

/// `DELETE /api/areas/{name}`: one without cameras.
pub async fn remove(state: State, caller: Caller, name: web::Path<String>) -> Result<HttpResponse> {
    known(&state, &caller, &name)?;
    order(&state, Order::RemoveArea(name.into_inner()), caller.name()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Those of the caller, and those with cameras of the caller's.
fn all(state: &WebState, caller: &Caller) -> Vec<Area> {
    let cameras = state.fleet.cameras();
    let is_theirs = |name: &&String| caller.sees_all() || caller.rights().areas.contains(name);
    let theirs = cameras.areas.iter().filter(is_theirs);
    let mut areas: BTreeMap<&str, Vec<DeviceId>> = theirs.map(|name| (name.as_str(), vec![])).collect();
    for listed in cameras.cameras.iter().filter(|it| !it.camera.area.is_empty() && it.is_seen(caller)) {
        areas.entry(&listed.camera.area).or_default().push(listed.camera.id.clone());
    }
    areas.into_iter().map(|(name, cameras)| Area { name: name.to_owned(), cameras }).collect()
}

fn known(state: &WebState, caller: &Caller, name: &str) -> Result<()> {
    let is_known = all(state, caller).iter().any(|area| area.name == name);
    is_known.then_some(()).ok_or_else(|| Error::new(Kind::NotFound, "there is no such area"))
}

fn one(state: &WebState, caller: &Caller, reply: actix_web::HttpResponseBuilder, name: &str) -> Result<HttpResponse> {
    let found = all(state, caller).into_iter().find(|area| area.name == name);
    Ok(fresh(reply, found.unwrap_or_else(|| Area { name: name.to_owned(), ..Area::default() })))
}

fn named(body: &Value) -> Result<String> {
    let mut name = None;
    for (field, value) in fields(body)? {
        match field.as_str() {
            "name" => name = value.as_str(),
            other => return Err(unknown(other)),
        }
    }
    let name = name.ok_or_else(|| invalid("name", "is missing, or no text"))?;
    let fine = !name.trim().is_empty() && name.chars().count() <= CHARS_MAX && !name.chars().any(char::is_control);
    if fine { Ok(name.to_owned()) } else { Err(invalid("name", "must be 1 to 128 printable characters")) }
}
