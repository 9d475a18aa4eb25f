//! Pictures: the newest from RAM, any past one decoded from the archive.

use std::{io::Read, os::unix::fs::FileExt, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderName, HeaderValue},
    web,
};
use bytes::Bytes;
use moka::sync::Cache;
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    State, WebDevice, WebState,
    clips::waits as is_in_hot,
    range::{Precondition, precondition},
    slices::{Content, Slice, respond},
    time::moment,
};
use crate::{
    capture::{
        Spawner,
        command::{self, Still, StillInput},
    },
    clock::Utc90k,
    error::{Error, Kind, Result},
    media::VideoCodec,
    playback::{
        select,
        select::GAP_90K,
        still::{Shot, elementary_stream, shot},
    },
    storage::{
        HotPicture,
        layout::{ChunkKey, HotKind, PictureKind},
    },
};

/// Pictures decoded at the same time: recording needs the processor more.
const PLACES: usize = 2;
/// To wait for a place, and then for FFmpeg. A GOP of 10 s in full HD takes 2 s on a small host.
const PLACE_LIMIT: Duration = Duration::from_secs(5);
const DECODE_LIMIT: Duration = Duration::from_secs(10);
/// Of decoded pictures that are kept: a page of thumbnails, and a person who steps to and fro.
const DECODED_BYTES: u64 = 16 << 20;
/// A picture older than this is no live picture, unless the source gives them so rarely.
const STALE: Duration = Duration::from_secs(3);
/// However rarely: a source of one picture a minute is down after two.
const INTERVAL_MAX: Duration = Duration::from_secs(60);
/// A picture may be evicted between being the newest and being read; then another is.
const READ_ATTEMPTS: usize = 3;
/// Pixels; wider than any camera.
const WIDTH_MAX: u16 = 8192;
/// When the picture was taken.
const TIME: HeaderName = HeaderName::from_static("x-picture-time");

/// Where past pictures are decoded: few at a time, each by an FFmpeg of its own.
pub struct Stills {
    spawner: Spawner,
    places: Arc<Semaphore>,
    /// By ETag: the picture of one moment never changes. When full, those not asked for lately go.
    decoded: Cache<String, Bytes>,
}

impl Stills {
    pub fn new(spawner: Spawner) -> Self {
        let weigh = |etag: &String, jpeg: &Bytes| u32::try_from(etag.len() + jpeg.len()).unwrap_or(u32::MAX);
        let decoded = Cache::builder().max_capacity(DECODED_BYTES).weigher(weigh).build();
        Self { spawner, places: Arc::new(Semaphore::new(PLACES)), decoded }
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    at: Option<String>,
    exact: Option<String>,
    width: Option<String>,
}

/// `GET /api/host/screenshot/{device}?at=T&exact=1&width=W`
pub async fn screenshot(
    request: HttpRequest,
    state: State,
    device: web::Path<String>,
    wanted: web::Query<Wanted>,
) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let width = wanted.width.as_deref().map(width).transpose()?;
    let exact = wanted.exact.as_deref().map(exact).transpose()?.unwrap_or(false);
    match wanted.at.as_deref() {
        Some(at) => {
            let at = moment("at", at, state.clock.wall())?;
            past(&request, &state, &device, at, exact, width).await
        }
        None => newest(&request, &state, &device, width).await,
    }
}

/// What was recorded at `at`: its key frame, or the picture itself; what waits in hot is put on the disk for it. 404 in a
/// gap.
async fn past(
    request: &HttpRequest,
    state: &WebState,
    device: &WebDevice,
    at: Utc90k,
    exact: bool,
    width: Option<u16>,
) -> Result<HttpResponse> {
    let newest = || device.index.snapshot().newest().map(|chunk| chunk.end);
    // Before the snapshot: what is committed in between is found, or still counts as waiting.
    let waits = device.hot.waiting_bytes() > 0;
    let before = newest();
    if let Some(found) = recorded(request, state, device, at, exact, width).await? {
        return Ok(found);
    }
    if waits && before.is_none_or(|end| end <= at) {
        let is_there = || newest().is_some_and(|end| end > at);
        if is_in_hot(state, device, at)
            && device.tail.bring(is_there).await.is_ok()
            && let Some(found) = recorded(request, state, device, at, exact, width).await?
        {
            return Ok(found);
        }
        return Err(Error::new(Kind::Unavailable, "not on the disk yet"));
    }
    Err(Error::new(Kind::NotFound, format!("{} has no picture of {at}", device.id)))
}

/// None when no chunk shows anything at `at`.
async fn recorded(
    request: &HttpRequest,
    state: &WebState,
    device: &WebDevice,
    at: Utc90k,
    exact: bool,
    width: Option<u16>,
) -> Result<Option<HttpResponse>> {
    let chunks = device.index.snapshot();
    // From a little before: a seam between two chunks is no gap.
    let parts = select(chunks.around(at + -GAP_90K, at + 1), at + -GAP_90K, at + 1).parts;
    for part in parts.iter().rev() {
        let table = state.table(device, &part.chunk).await?;
        let Some(shot) = shot(&table, at, exact)? else { continue };
        let key = part.chunk.key;
        let taken = shot.shown;
        let etag =
            [taken.0, key.start_ms, i64::from(key.generation), i64::from(width.unwrap_or(0))].map(|n| n.to_string());
        let etag = format!("\"{}-{}\"", device.id, etag.join("-"));
        let input = match shot.config.codec {
            VideoCodec::H264 => StillInput::H264,
            VideoCodec::H265 => StillInput::H265,
        };
        let still = Still { input, picture: shot.picture, width };
        let jpeg = if is_known(request, &etag) {
            Bytes::new()
        } else if let Some(jpeg) = state.stills.decoded.get(&etag) {
            jpeg
        } else {
            let jpeg = decode(state, still, stream_of(state, device, key, shot)).await?;
            state.stills.decoded.insert(etag.clone(), jpeg.clone());
            jpeg
        };
        return Ok(Some(reply(request, state, jpeg, etag, taken)));
    }
    Ok(None)
}

/// The reply will be 304: nothing need be decoded for it.
fn is_known(request: &HttpRequest, etag: &str) -> bool {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    precondition(text(header::IF_MATCH), text(header::IF_NONE_MATCH), Some(etag)) == Precondition::NotModified
}

/// The samples of `shot` as a decoder takes them, read on a reader thread.
async fn stream_of(state: &WebState, device: &WebDevice, key: ChunkKey, shot: Shot) -> Result<Bytes> {
    let (_, file) = state.open(device, key).await?;
    let read = move || -> Result<Bytes> {
        let len: u64 = shot.bytes.iter().map(|range| range.end - range.start).sum();
        let mut samples = vec![0; usize::try_from(len).unwrap_or_default()];
        let mut rest = samples.as_mut_slice();
        for range in &shot.bytes {
            let (piece, behind) = rest.split_at_mut_checked((range.end - range.start) as usize).unwrap_or_default();
            file.read_exact_at(piece, range.start).map_err(|error| Error::io("reading a picture", "chunk", error))?;
            rest = behind;
        }
        Ok(elementary_stream(&shot.config, &samples)?.into())
    };
    state.readers.run(read).await.unwrap_or_else(|busy| Err(Error::new(Kind::Unavailable, busy.to_string())))
}

/// The newest of hot. 503 `stale` when there is none that counts as live.
pub(super) async fn newest(
    request: &HttpRequest,
    state: &WebState,
    device: &WebDevice,
    width: Option<u16>,
) -> Result<HttpResponse> {
    let (picture, mut jpeg) = read_newest(device)?;
    if width.is_some() {
        let still = Still { input: StillInput::Jpeg, picture: 0, width };
        jpeg = decode(state, still, async { Ok(jpeg) }).await?;
    }
    let key = picture.key;
    let etag = format!("\"{}-{}-{}-{}\"", device.id, key.epoch, key.number, width.unwrap_or(0));
    Ok(reply(request, state, jpeg, etag, picture.arrived))
}

fn read_newest(device: &WebDevice) -> Result<(HotPicture, Bytes)> {
    let mut gone = None;
    for _ in 0..READ_ATTEMPTS {
        let of = |kind| device.hot.newest_picture(kind);
        let picture = of(PictureKind::Capture).or_else(|| of(PictureKind::Thumbnail));
        let picture = picture.ok_or_else(|| Error::new(Kind::Stale, format!("{} has no picture", device.id)))?;
        if picture.age > fresh_for(picture.interval) {
            let seconds = picture.age.as_secs_f64();
            return Err(Error::new(Kind::Stale, format!("the newest picture is {seconds:.1} s old")));
        }
        match read(device, &picture) {
            Ok(jpeg) => return Ok((picture, jpeg)),
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Gone) => gone = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(gone.unwrap_or_else(|| Error::new(Kind::Stale, format!("{} has no picture", device.id))))
}

/// How old the newest may be when one comes every `interval`.
pub(super) fn fresh_for(interval: Option<Duration>) -> Duration {
    interval.map_or(STALE, |interval| STALE.max(2 * interval.min(INTERVAL_MAX)))
}

fn read(device: &WebDevice, picture: &HotPicture) -> Result<Bytes> {
    let mut file = device.hot.open(HotKind::Picture(picture.kind), picture.key)?;
    let mut jpeg = Vec::with_capacity(usize::try_from(picture.bytes).unwrap_or_default());
    file.read_to_end(&mut jpeg).map_err(|error| Error::io("reading a picture", "hot", error))?;
    Ok(jpeg.into())
}

/// Waits for a place first, so that what is read for it is in memory for [`PLACES`] pictures at most.
async fn decode(state: &WebState, still: Still, input: impl Future<Output = Result<Bytes>>) -> Result<Bytes> {
    let stills = &state.stills;
    let place = timeout(PLACE_LIMIT, stills.places.acquire()).await;
    let Ok(Ok(_place)) = place else {
        return Err(Error::new(Kind::Unavailable, "too many pictures are being decoded"));
    };
    stills.spawner.convert(command::still(&state.settings, &still), input.await?, DECODE_LIMIT).await
}

fn reply(request: &HttpRequest, state: &WebState, jpeg: Bytes, etag: String, taken: Utc90k) -> HttpResponse {
    let content = Content::picture(Slice::Bytes(jpeg), etag, "private, no-cache");
    let mut reply = respond(request, &state.readers, content);
    if let Ok(taken) = HeaderValue::from_str(&taken.rfc3339()) {
        reply.headers_mut().insert(TIME, taken);
    }
    reply
}

fn exact(text: &str) -> Result<bool> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Error::new(Kind::Invalid, "must be 1 or 0").at("exact")),
    }
}

fn width(text: &str) -> Result<u16> {
    let refuse = || Error::new(Kind::Invalid, format!("must be 16 to {WIDTH_MAX} pixels")).at("width");
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|width| digits && (16..=WIDTH_MAX).contains(width)).ok_or_else(refuse)
}
