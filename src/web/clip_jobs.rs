//! Jobs of encoded clips over HTTP: how one goes, its result, its end. What they do is in [`super::encodes`].

use std::{fs::File, io, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde_json::json;

use super::{
    State,
    encodes::{Origin, Stage},
    slices::{Content, Slice, respond},
};
use crate::{
    access::Caller,
    error::{Error, Kind, Result},
};

/// `GET /api/host/clip-jobs/{id}`
pub async fn job(state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    let known = known(&state, &caller, &id)?;
    reply(&id, known)
}

/// `GET /api/host/clip-jobs/{id}.mp4`: the result.
pub async fn result(request: HttpRequest, state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    let (source, stage) = known(&state, &caller, &id)?;
    let Stage::Done { bytes } = stage else { return Err(Error::new(Kind::Unavailable, "it is not finished")) };
    // In RAM: opening does not wait. Evicted meanwhile is gone.
    let file = File::open(state.encodes.file(&id)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(Kind::Gone, "the result was evicted; ask for it again"),
        _ => Error::io("opening an encoded clip", "hot", error),
    })?;
    let content = Content {
        slices: vec![Slice::File(Arc::new(file), 0..bytes)],
        content_type: "video/mp4",
        // The same clip encoded again may have other bytes.
        etag: None,
        cache_control: "no-store",
        location: None,
        file_name: Some(source.file_name),
    };
    Ok(respond(&request, &state.readers, content))
}

/// `DELETE /api/host/clip-jobs/{id}`: its FFmpeg ends, or the result goes.
pub async fn cancel(state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    known(&state, &caller, &id)?;
    if state.encodes.remove(&id) {
        return Ok(HttpResponse::NoContent().finish());
    }
    Err(Error::new(Kind::NotFound, "there is no such job, or no more"))
}

/// One of a device that the caller may not see is as if it were not there: its name tells nothing of a device.
fn known(state: &State, caller: &Caller, id: &str) -> Result<(Origin, Stage)> {
    let known = state.encodes.known(id)?;
    if state.sees(caller, &known.0.device) {
        return Ok(known);
    }
    Err(Error::new(Kind::NotFound, "there is no such job, or no more"))
}

pub fn job_url(id: &str) -> String {
    format!("/api/host/clip-jobs/{id}")
}

/// 200 when it is done, 202 while it is not, and what went wrong.
pub(super) fn reply(id: &str, (source, stage): (Origin, Stage)) -> Result<HttpResponse> {
    let job_url = job_url(id);
    let (state, share, bytes) = match stage {
        Stage::Failed { kind, message } => return Err(Error::new(kind, message)),
        Stage::Done { bytes } => {
            let ratio = source.bytes as f64 / bytes.max(1) as f64;
            return Ok(super::fresh(
                HttpResponse::Ok(),
                json!({
                    "success": true,
                    "url": format!("{job_url}.mp4"),
                    "size": bytes,
                    "compression_ratio": (ratio * 100.0).round() / 100.0,
                    "count": source.chunks,
                    "state": "done",
                    "progress": 1.0,
                    "job_url": job_url,
                }),
            ));
        }
        Stage::Queued => ("queued", 0.0, 0),
        Stage::Running { share, bytes } => ("running", share, bytes),
    };
    let mut reply = HttpResponse::build(StatusCode::ACCEPTED);
    reply.insert_header((header::LOCATION, job_url.as_str())).insert_header((header::RETRY_AFTER, "1"));
    let progress = (share * 1000.0_f64).round() / 1000.0;
    Ok(super::fresh(
        reply,
        json!({
            "success": false, "state": state, "progress": progress, "size": bytes, "count": source.chunks, "job_url": job_url,
        }),
    ))
}
