//! Chunks over HTTP: by their stable address for life, and by the ring name they have at present.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::{
    State, WebDevice, WebState, share,
    slices::{Content, Slice, respond},
};
use crate::{
    access::Caller,
    error::{Error, Kind, Result},
    ids::DeviceId,
    storage::layout::{ChunkKey, LibraryHour, RingSlot, parse_day, parse_hour},
};

/// Where a chunk is found whatever becomes of its file.
pub fn address(device: &DeviceId, key: ChunkKey) -> String {
    format!("/host/stream/{device}/chunks/{}", key.file_name())
}

/// `GET /host/stream/{device}/chunks/{start_ms}-{generation}.mp4`
pub async fn stable(
    request: HttpRequest,
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    let (device, name) = path.into_inner();
    let device = state.device(&device)?;
    let key = ChunkKey::parse(&format!("{name}.mp4"))
        .ok_or_else(|| Error::new(Kind::NotFound, "a chunk's name is {start_ms}-{generation}.mp4"))?;
    if let Some(shared) = caller.share() {
        let chunk = device.index.get(&key).ok_or_else(|| absent(&device, key))?;
        share::opens(&state, &device, &chunk, shared, request.headers()).await?;
    }
    serve(&request, &state, &device, key, None).await
}

#[derive(Deserialize)]
pub struct RingQuery {
    date: Option<String>,
}

/// `GET /host/stream/{device}/segments/{h}/chunk_10min_{i}.mp4?date=YYYY-MM-DD`
///
/// Without a date: the sealed chunk that lies in that place of the ring. With one: the chunk of that name which began in
/// that UTC hour, in the ring or the library.
pub async fn ring(
    request: HttpRequest,
    state: State,
    path: web::Path<(String, String, String)>,
    query: web::Query<RingQuery>,
) -> Result<HttpResponse> {
    let (device, hour, index) = path.into_inner();
    let device = state.device(&device)?;
    parse_hour(&hour).ok_or_else(|| Error::new(Kind::Invalid, "an hour is 0 to 23").at("hour"))?;
    let missing = || Error::new(Kind::NotFound, format!("{} has no chunk {index} of hour {hour}", device.id));
    let slot = RingSlot::parse(&hour, &format!("chunk_10min_{index}.mp4")).ok_or_else(missing)?;
    let entry = match &query.date {
        None => device.index.at_slot(slot),
        Some(date) => device.index.in_hour(LibraryHour { day: day_of(date)?, hour: slot.hour }, slot),
    };
    let entry = entry.filter(|entry| entry.sealed).ok_or_else(missing)?;
    let location = Some(address(&device.id, entry.key));
    serve(&request, &state, &device, entry.key, location).await
}

fn day_of(date: &str) -> Result<jiff::civil::Date> {
    parse_day(date).ok_or_else(|| Error::new(Kind::Invalid, "a date is YYYY-MM-DD").at("date"))
}

async fn serve(
    request: &HttpRequest,
    state: &WebState,
    device: &WebDevice,
    key: ChunkKey,
    location: Option<String>,
) -> Result<HttpResponse> {
    let (entry, file) = state.open(device, key).await?;
    let content = Content {
        // Only published bytes: what is appended but not committed lies beyond.
        slices: vec![Slice::File(Arc::new(file), 0..entry.bytes)],
        content_type: if entry.codecs.starts_with("mp4a") { "audio/mp4" } else { "video/mp4" },
        etag: entry.sealed.then(|| format!("\"{}-{}-{}\"", device.id, key.start_ms, key.generation)),
        cache_control: if entry.sealed { "private, no-cache" } else { "no-store" },
        location,
        file_name: None,
    };
    Ok(respond(request, &state.readers, content))
}

/// 410 when a newer generation of the same footage exists, 404 for what we know nothing of.
pub(super) fn absent(device: &WebDevice, key: ChunkKey) -> Error {
    let replaced = device
        .index
        .snapshot()
        .iter()
        .any(|chunk| chunk.key.start_ms == key.start_ms && chunk.key.generation > key.generation);
    if replaced {
        Error::new(Kind::Gone, "this generation of the chunk was replaced")
    } else {
        Error::new(Kind::NotFound, format!("{} has no such chunk", device.id))
    }
}
