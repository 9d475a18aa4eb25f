//! `POST /api/cameras/probe`: what a source is and shows, before it is saved.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    State,
    cameras::read,
    fresh,
    incidents::{fields, unknown},
};
use crate::{
    capture::{AudioStream, Spawner, VideoStream, sight},
    error::{Error, Kind, Result},
};

/// Sources opened at the same time: each costs two processes, and recording needs the machine more.
const PLACES: usize = 2;

/// Where sources are opened.
pub struct Sights {
    spawner: Spawner,
    places: Arc<Semaphore>,
}

impl Sights {
    pub fn new(spawner: Spawner) -> Self {
        Self { spawner, places: Arc::new(Semaphore::new(PLACES)) }
    }
}

/// `{source, id?, fps?}`: with the id of a camera, what is hidden in the address is taken from it.
pub async fn probe(state: State, body: web::Json<Value>) -> Result<HttpResponse> {
    let mut asked = json!({"id": "probe"});
    let mut before = None;
    for (name, value) in fields(&body)? {
        match name.as_str() {
            "source" | "fps" => asked[name] = value.clone(),
            "id" => {
                let id = value.as_str().ok_or_else(|| Error::new(Kind::Invalid, "must be text").at("id"))?;
                before = state.fleet.cameras().get(id).map(|listed| listed.camera.clone());
            }
            other => return Err(unknown(other)),
        }
    }
    if let Some(before) = &before {
        asked["id"] = json!(before.id);
    }
    let camera = read(&state, &asked, before.as_deref())?;
    let busy = |_| Error::new(Kind::Unavailable, "other sources are being looked at");
    let _place = state.sights.places.clone().try_acquire_owned().map_err(busy)?;
    let began = state.clock.mono();
    let seen = sight(&camera, &state.settings, &state.sights.spawner, &state.clock).await;
    let streams = seen.streams.unwrap_or_default();
    let body = json!({
        "ok": seen.reason.is_none(),
        "reason": seen.reason,
        "message": seen.reason.map(|reason| reason.to_string()),
        "words": seen.words,
        "format": streams.format,
        "video": streams.video.as_ref().map(video),
        "audio": streams.audio.as_ref().map(audio),
        "still": seen.jpeg.map(|jpeg| format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg))),
        "seconds": state.clock.mono().since(began).as_secs_f64(),
    });
    Ok(fresh(HttpResponse::Ok(), body))
}

fn video(stream: &VideoStream) -> Value {
    json!({
        "codec": stream.codec,
        "width": stream.width,
        "height": stream.height,
        "fps": stream.fps,
        "copy": stream.can_copy(),
    })
}

fn audio(stream: &AudioStream) -> Value {
    json!({
        "codec": stream.codec,
        "sample_rate": stream.sample_rate,
        "channels": stream.channels,
        "flows": stream.flows,
    })
}
