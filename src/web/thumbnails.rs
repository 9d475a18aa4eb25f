//! Preview stills: lists of an hour for scrubbing, and each as a JPEG by byte range from the pack beside its chunk.

use std::{fmt::Write, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    State, WebDevice, WebState, fresh,
    hours::{Hour, OfDay},
    slices::{Content, Slice, respond},
    time::moment,
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    playback::previews,
    storage::ChunkEntry,
};

/// When the picture was taken.
const TIME: HeaderName = HeaderName::from_static("x-picture-time");
const TICKS_PER_MS: i64 = TICKS_PER_SECOND / 1000;
/// Chunks looked through for the still before a moment: two hours of them, which bounds the reads of one request.
const CHUNKS_BACK: usize = 12;
/// A still is what it is: its address holds its time.
const FOREVER: &str = "private, max-age=31536000, immutable";

#[derive(Serialize)]
struct HourOfStills {
    hour: u8,
    count: usize,
    thumbnails: Vec<String>,
}

/// `GET /api/host/thumbnails/{device}/{hour}?date=YYYY-MM-DD`
pub async fn hour(state: State, path: web::Path<(String, String)>, day: web::Query<OfDay>) -> Result<HttpResponse> {
    let (device, hour) = path.into_inner();
    let device = state.device(&device)?;
    let hour = Hour::parse(&hour, &day, state.clock.wall())?;
    let times = times(&state, &device, hour).await?;
    let thumbnails: Vec<_> = times.iter().map(|at| address(&device.id, *at)).collect();
    Ok(fresh(HttpResponse::Ok(), HourOfStills { hour: hour.number, count: thumbnails.len(), thumbnails }))
}

/// `GET /host/stream/{device}/thumbnails/{hour}/thumbnails.vtt?date=YYYY-MM-DD`: a cue for each still, counted from the
/// full hour.
pub async fn track(
    request: HttpRequest,
    state: State,
    path: web::Path<(String, String)>,
    day: web::Query<OfDay>,
) -> Result<HttpResponse> {
    let (device, hour) = path.into_inner();
    let device = state.device(&device)?;
    let hour = Hour::parse(&hour, &day, state.clock.wall())?;
    let times = times(&state, &device, hour).await?;
    let interval_90k = i64::from(state.settings.archive.preview_interval_seconds.max(1)) * TICKS_PER_SECOND;
    let text = cues(&device.id, hour, &times, interval_90k);
    let content = Content {
        etag: Some(format!("\"{:08x}-{}\"", crc32c::crc32c(text.as_bytes()), text.len())),
        slices: vec![Slice::Bytes(text.into())],
        content_type: "text/vtt; charset=utf-8",
        cache_control: "private, no-cache",
        location: None,
        file_name: None,
    };
    Ok(respond(&request, &state.readers, content))
}

/// `GET /host/stream/{device}/thumbnails/{hour}/{epoch_ms}.jpg`
pub async fn still(
    request: HttpRequest,
    state: State,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (device, hour, name) = path.into_inner();
    let device = state.device(&device)?;
    let number = Hour::parse(&hour, &OfDay::default(), state.clock.wall())?.number;
    let missing = || Error::new(Kind::NotFound, format!("{} has no such still", device.id));
    let ms: i64 = name.parse().ok().filter(|ms: &i64| *ms >= 0 && ms.to_string() == name).ok_or_else(missing)?;
    let at = Utc90k::from_ms(ms);
    if hour_of(at) != i64::from(number) {
        return Err(missing());
    }
    // Its time to the tick lies within that millisecond.
    let found = newest_within(&state, &device, at, at + TICKS_PER_MS).await?.ok_or_else(missing)?;
    Ok(serve(&request, &state, &device, found, FOREVER))
}

#[derive(Debug, Deserialize)]
pub struct Moment {
    at: Option<String>,
}

/// `GET /api/host/preview/{device}?at=T`: the still at that moment, or the last before it.
pub async fn nearest(
    request: HttpRequest,
    state: State,
    device: web::Path<String>,
    moment_asked: web::Query<Moment>,
) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let now = state.clock.wall();
    let at = moment_asked.at.as_deref().map(|at| moment("at", at, now)).transpose()?.unwrap_or(now);
    // Times are told in whole milliseconds: asked for with its own, a still must be found.
    let found = newest_within(&state, &device, Utc90k(0), at + TICKS_PER_MS).await?;
    let found = found.ok_or_else(|| Error::new(Kind::NotFound, format!("{} has no still near {at}", device.id)))?;
    Ok(serve(&request, &state, &device, found, "private, no-cache"))
}

/// A still and where its bytes are.
struct Found {
    at: Utc90k,
    slice: Slice,
}

fn serve(
    request: &HttpRequest,
    state: &WebState,
    device: &WebDevice,
    found: Found,
    cache_control: &'static str,
) -> HttpResponse {
    let etag = format!("\"{}-{}\"", device.id, found.at.as_ms());
    let location = Some(address(&device.id, found.at));
    let content = Content { location, ..Content::picture(found.slice, etag, cache_control) };
    let mut reply = respond(request, &state.readers, content);
    if let Ok(taken) = HeaderValue::from_str(&found.at.rfc3339()) {
        reply.headers_mut().insert(TIME, taken);
    }
    reply
}

/// The newest still from `from` on and before `to`, not further back than [`CHUNKS_BACK`] chunks.
async fn newest_within(state: &WebState, device: &WebDevice, from: Utc90k, to: Utc90k) -> Result<Option<Found>> {
    // Before the disk: what is written meanwhile is found there.
    let waiting = device.siblings.stills_waiting(from, to).into_iter().max_by_key(|(at, _)| *at);
    let waiting = waiting.map(|(at, jpeg): (Utc90k, Bytes)| Found { at, slice: Slice::Bytes(jpeg) });
    let chunks = previews::around(&device.index.snapshot(), from, to);
    let (volume, index) = (Arc::clone(&state.volume), Arc::clone(&device.index));
    let cache = state.previews.clone();
    let look = move || -> Result<Option<Found>> {
        let mut best: Option<(Utc90k, &ChunkEntry)> = None;
        for chunk in chunks.iter().rev().take(CHUNKS_BACK) {
            // A chunk that ended so long before cannot have a newer one.
            if best.is_some_and(|(at, _)| at > chunk.end + crate::storage::siblings::SLACK_90K) {
                break;
            }
            let list = cache.list(&volume, &index, chunk)?;
            let until = list.partition_point(|still| still.at < to);
            let newest = list.get(..until).and_then(<[_]>::last).filter(|still| still.at >= from);
            if let Some(still) = newest.filter(|still| best.is_none_or(|(at, _)| at < still.at)) {
                best = Some((still.at, chunk));
            }
        }
        let Some((at, chunk)) = best else { return Ok(None) };
        // Looked up again in the file that is served: another may have come to that place.
        let Some((file, pack)) = previews::open(&volume, &index, chunk.key)? else { return Ok(None) };
        let still = pack.stills.iter().find(|still| still.at == at);
        Ok(still.map(|still| {
            let range = still.offset..still.offset + u64::from(still.bytes);
            Found { at, slice: Slice::File(Arc::new(file), range) }
        }))
    };
    let on_disk = run(state, look).await?;
    Ok(on_disk.into_iter().chain(waiting).max_by_key(|found| found.at))
}

/// When the stills of an hour were taken, in order.
async fn times(state: &WebState, device: &WebDevice, hour: Hour) -> Result<Vec<Utc90k>> {
    let waiting = device.siblings.stills_waiting(hour.from, hour.to);
    let chunks = previews::around(&device.index.snapshot(), hour.from, hour.to);
    let (volume, index) = (Arc::clone(&state.volume), Arc::clone(&device.index));
    let cache = state.previews.clone();
    let look = move || -> Result<Vec<Utc90k>> {
        let mut times: Vec<_> = waiting.into_iter().map(|(at, _)| at).collect();
        for chunk in &chunks {
            let list = cache.list(&volume, &index, chunk)?;
            times.extend(list.iter().map(|still| still.at).filter(|at| (hour.from..hour.to).contains(at)));
        }
        times.sort_unstable();
        times.dedup_by_key(|at| at.as_ms());
        Ok(times)
    };
    run(state, look).await
}

async fn run<T: Send + 'static>(state: &WebState, look: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = state.readers.run(look).await;
    done.unwrap_or_else(|busy| Err(Error::new(Kind::Unavailable, busy.to_string())))
}

fn hour_of(at: Utc90k) -> i64 {
    at.as_seconds().rem_euclid(86_400) / 3600
}

pub(super) fn address(device: &DeviceId, at: Utc90k) -> String {
    format!("/host/stream/{device}/thumbnails/{}/{}.jpg", hour_of(at), at.as_ms())
}

/// WebVTT: a still stands until the next one, or for the interval where none follows.
fn cues(device: &DeviceId, hour: Hour, times: &[Utc90k], interval_90k: i64) -> String {
    let stamp = |at: Utc90k| {
        let ms = (at - hour.from) / 90;
        format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
    };
    let mut out = String::from("WEBVTT\n");
    for (place, at) in times.iter().enumerate() {
        let next = times.get(place + 1).filter(|next| **next - *at <= 2 * interval_90k);
        let end = next.copied().unwrap_or((*at + interval_90k).min(hour.to));
        // Writing to a string never fails.
        let _ = write!(out, "\n{} --> {}\n{}\n", stamp(*at), stamp(end), address(device, *at));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_reach_to_the_next_still_but_not_over_a_gap() {
        // 2023-11-14T22:00:00Z
        let from = Utc90k::from_seconds(1_699_999_200);
        let hour = Hour { number: 22, from, to: from + 3600 * TICKS_PER_SECOND };
        let at = |ms: i64| from + ms * 90;
        let times = [at(0), at(10_125), at(60_000), at(3_595_000)];
        let expected = "WEBVTT\n\n\
            00:00:00.000 --> 00:00:10.125\n/host/stream/cam/thumbnails/22/1699999200000.jpg\n\n\
            00:00:10.125 --> 00:00:20.125\n/host/stream/cam/thumbnails/22/1699999210125.jpg\n\n\
            00:01:00.000 --> 00:01:10.000\n/host/stream/cam/thumbnails/22/1699999260000.jpg\n\n\
            00:59:55.000 --> 01:00:00.000\n/host/stream/cam/thumbnails/22/1700002795000.jpg\n";
        assert_eq!(cues(&"cam".parse().unwrap(), hour, &times, 10 * TICKS_PER_SECOND), expected);
        assert_eq!(cues(&"cam".parse().unwrap(), hour, &[], 1), "WEBVTT\n");
    }
}
