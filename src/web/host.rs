//! The host about itself: alive, ready, healthy, its actors and devices, and the metrics.

use std::{sync::atomic::Ordering, time::Duration};

use actix_web::{HttpResponse, http::header};
use serde_json::{Map, Value, json};

use super::{
    State, WebDevice, WebState,
    checks::{Check, healthy, judge},
    chunks::address,
    facts, fresh, latest,
    limiter::Class,
    transcode,
};
use crate::{
    access::Caller,
    error::{Error, Kind, Result},
    ids::DeviceId,
    registry::users::Role,
    telemetry::LossReason,
};

/// A disk that does not answer in this time is the answer.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);

/// `GET /healthz`: the process serves.
pub async fn healthz() -> HttpResponse {
    fresh(HttpResponse::Ok(), json!({"status": "ok"}))
}

/// `GET /readyz`: it records and is not about to stop.
pub async fn readyz(state: State) -> Result<HttpResponse> {
    if state.ready.load(Ordering::Relaxed) {
        return Ok(fresh(HttpResponse::Ok(), json!({"status": "ready"})));
    }
    Err(Error::new(Kind::Unavailable, "starting or stopping"))
}

/// `GET /metrics`, OpenMetrics text.
pub async fn metrics(state: State) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(state.metrics.render())
}

/// `GET /api/host/health`: 503 when any check fails.
pub async fn health(state: State, caller: Caller) -> HttpResponse {
    let mut checks = checks(&state).await;
    checks.retain(|check| check.device.as_ref().is_none_or(|id| id.parse().is_ok_and(|id| state.sees(&caller, &id))));
    let ok = healthy(&checks);
    let reply = if ok { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    fresh(reply, json!({"ok": ok, "checks": checks}))
}

/// Gathers on a reader thread, within [`HEALTH_LIMIT`]: one probe that never returns must not silence all checks.
async fn checks(state: &State) -> Vec<Check> {
    let shared = State::clone(state);
    let gathered = state.readers.run(move || judge(&facts::gather(&shared)));
    match tokio::time::timeout(HEALTH_LIMIT, gathered).await {
        Ok(Ok(checks)) => checks,
        Ok(Err(error)) => vec![Check::host("archive", Err(error.to_string()))],
        Err(_) => {
            let seconds = HEALTH_LIMIT.as_secs();
            vec![Check::host("archive", Err(format!("the disk has not answered for {seconds} s")))]
        }
    }
}

/// `GET /api/host/state`
pub async fn state(state: State, caller: Caller) -> HttpResponse {
    fresh(HttpResponse::Ok(), state_body(&state, &caller))
}

/// The same for the control socket.
pub fn state_body(state: &WebState, caller: &Caller) -> Value {
    let cleaner = (state.cleaner)();
    let mut body = Map::new();
    body.insert(
        "host".into(),
        json!({
            "name": state.settings.server.host_name(),
            "version": env!("CARGO_PKG_VERSION"),
            "time": state.clock.wall().rfc3339(),
            "ready": state.ready.load(Ordering::Relaxed),
        }),
    );
    body.insert(
        "archive".into(),
        json!({
            "root": state.volume.root(),
            "ok": state.volume.is_ok(),
            "error": cleaner.volume_error,
            "free_bytes": cleaner.free_bytes,
            "total_bytes": cleaner.total_bytes,
            "min_free_bytes": state.in_force().archive.min_free_bytes.0,
        }),
    );
    body.insert("load".into(), json!(**state.load.load()));
    body.insert("cleaner".into(), json!(*cleaner));
    body.insert("transcoder".into(), transcode::shown(state, caller, json!(state.transcoder.status())));
    body.insert("registry".into(), json!(state.registry.status()));
    // Where they go is not for viewers.
    body.insert("webhooks".into(), if caller.may(Role::Operator) { (state.webhooks)() } else { json!([]) });
    body.insert("serving".into(), serving(state, caller));
    let actors = state.board.snapshot();
    let is_seen = |name: &str| device_of(name).is_none_or(|id| state.sees(caller, &id));
    body.insert("actors".into(), actors.iter().filter(|node| is_seen(&node.name)).map(|node| json!(node)).collect());
    let devices: Vec<Value> = state.seen(caller).iter().map(|device| device_body(state, device)).collect();
    body.insert("devices".into(), devices.into());
    body.into()
}

/// Those who watch what the caller may see; the rest since the start.
fn serving(state: &WebState, caller: &Caller) -> Value {
    let told = &state.metrics.serving;
    let (limited, overloaded) = told.refused(Class::ALL.map(Class::name));
    json!({
        "viewers": state.viewers.count(|device| state.sees(caller, device)),
        "viewers_refused": told.viewer_refused.get(),
        "cache_hits": told.cache_hits.get(),
        "cache_misses": told.cache_misses.get(),
        "limited": limited,
        "overloaded": overloaded,
    })
}

/// `device/lobby/merger` is the lobby's.
fn device_of(actor: &str) -> Option<DeviceId> {
    actor.strip_prefix("device/")?.split('/').next()?.parse().ok()
}

fn device_body(state: &WebState, device: &WebDevice) -> Value {
    let status = facts::status(state, device);
    let chunks = device.index.snapshot();
    let open = chunks.iter().rev().find(|chunk| !chunk.sealed);
    let lost: Map<String, Value> = LossReason::ALL
        .into_iter()
        .map(|reason| (format!("{reason:?}"), device.metrics.lost(reason).get().into()))
        .collect();
    let stream = format!("/host/stream/{}/segments", device.id);
    json!({
        "id": device.id,
        "name": device.camera.display_name(),
        "area": device.camera.area,
        "source": device.camera.source.kind(),
        "status": status.status,
        "since": status.since.map(|since| since.rfc3339()),
        "reason": status.reason,
        "recorder": (device.recorder)(),
        "playlist_url": format!("{stream}/output.m3u8"),
        "manifest_url": format!("{stream}/archive_manifest.json"),
        "hot": device.hot.status(),
        "chunks": {
            "count": chunks.len(),
            "bytes": chunks.bytes(),
            "oldest": chunks.first().map(|chunk| chunk.start.rfc3339()),
            "newest": chunks.last().map(|chunk| chunk.end.rfc3339()),
        },
        "open_chunk": open.map(|chunk| json!({
            "url": address(&device.id, chunk.key),
            "start": chunk.start.rfc3339(),
            "end": chunk.end.rfc3339(),
            "bytes": chunk.bytes,
        })),
        "analysis": latest::analysis(state, device),
        "segments_total": device.metrics.segments.get(),
        "segment_faults": device.metrics.segment_faults.get(),
        "frames_total": device.metrics.frames.get(),
        "committed_seconds": device.metrics.committed_seconds.get(),
        "lost_seconds": lost,
        "commit_failures": device.metrics.commit_failures.get(),
        "chunks_sealed": device.metrics.chunks_sealed.get(),
        "ffmpeg_restarts": device.metrics.ffmpeg_restarts.get(),
        "media_bytes": device.metrics.media_bytes(),
        "written_bytes": device.metrics.written_bytes(),
    })
}
