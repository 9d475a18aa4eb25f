//! What is seen and heard now: the newest verdict, and the newest picture by its own address.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::{State, WebDevice, WebState, fresh, stills};
use crate::{
    error::{Error, Kind, Result},
    frames::{Sound, Told},
    storage::layout::PictureKind,
};

/// `GET /host/stream/{device}/captures/latest.jpg`
pub async fn picture(request: HttpRequest, state: State, device: web::Path<String>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    stills::newest(&request, &state, &device, None).await
}

/// `GET /host/stream/{device}/captures/latest.json`: 503 `stale` by the rule for pictures.
pub async fn verdict(state: State, device: web::Path<String>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let told = device.latest.newest();
    let told = told.ok_or_else(|| Error::new(Kind::Stale, format!("no picture of {} was looked at", device.id)))?;
    let thumbnails = device.hot.newest_picture(PictureKind::Thumbnail);
    let interval = thumbnails.and_then(|picture| picture.interval);
    let age = state.clock.mono().since(told.seen);
    if age > stills::fresh_for(interval) {
        let seconds = age.as_secs_f64();
        return Err(Error::new(Kind::Stale, format!("the newest verdict is {seconds:.1} s old")));
    }
    let seen = &told.observation;
    let mut body = verdicts(&told);
    body["t"] = json!(seen.at.as_ms() as f64 / 1000.0);
    body["frame"] = format!("{}_{:09}", seen.key.epoch, seen.key.number).into();
    body["no_signal"] = json!(seen.no_signal);
    body["black_percent"] = json!(seen.black_percent);
    body["freeze_diff"] = json!(seen.freeze_diff);
    Ok(fresh(HttpResponse::Ok(), body))
}

/// For `/api/host/state`: null when watching is off.
pub fn analysis(state: &WebState, device: &WebDevice) -> Value {
    if !state.settings.analysis.enabled {
        return Value::Null;
    }
    let told = device.latest.newest();
    let mut body = told.as_ref().map_or_else(|| verdicts(&Told::default()), |told| verdicts(told));
    body["at"] = json!(told.as_ref().map(|told| told.observation.at.rfc3339()));
    body["age_seconds"] = json!(told.map(|told| state.clock.mono().since(told.seen).as_secs_f64()));
    body["queue_depth"] = device.metrics.frame_queue_depth.get().into();
    body["dropped"] = device.metrics.frames_dropped.get().into();
    body["failed"] = device.metrics.frames_failed.get().into();
    body["skipped"] = device.metrics.frames_skipped.get().into();
    body
}

fn verdicts(told: &Told) -> Value {
    let Sound { silent, mean_volume_db, volume_percentage, .. } = told.observation.sound;
    json!({
        "blackscreen": told.observation.black,
        "freeze": told.observation.freeze,
        // True: something is to be heard.
        "audio": silent.map(|silent| !silent),
        "mean_volume_db": mean_volume_db,
        "volume_percentage": volume_percentage,
    })
}
