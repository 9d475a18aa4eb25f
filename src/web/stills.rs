//! Pictures: the newest from RAM, any past one decoded from the archive.

use std::{io::Read, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web,
};
use bytes::Bytes;
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    State, WebDevice, WebState,
    slices::{Content, Slice, respond},
};
use crate::{
    capture::{
        Spawner,
        command::{self, Still, StillInput},
    },
    clock::Utc90k,
    error::{Error, Kind, Result},
    storage::{
        HotPicture,
        layout::{HotKind, PictureKind},
    },
};

/// Pictures decoded at the same time: recording needs the processor more.
const PLACES: usize = 2;
/// To wait for a place, and then for FFmpeg. A GOP of 10 s in full HD takes 2 s on a small host.
const PLACE_LIMIT: Duration = Duration::from_secs(5);
const DECODE_LIMIT: Duration = Duration::from_secs(10);
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
}

impl Stills {
    pub fn new(spawner: Spawner) -> Self {
        Self { spawner, places: Arc::new(Semaphore::new(PLACES)) }
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
    newest(&request, &state, &device, width).await
}

/// The newest of hot. 503 `stale` when there is none that counts as live.
async fn newest(
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
        let limit = picture.interval.map_or(STALE, |interval| STALE.max(2 * interval.min(INTERVAL_MAX)));
        if picture.age > limit {
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
    let content = Content {
        slices: vec![Slice::Bytes(jpeg)],
        content_type: "image/jpeg",
        etag: Some(etag),
        cache_control: "private, no-cache",
        location: None,
    };
    let mut reply = respond(request, &state.readers, content);
    if let Ok(taken) = HeaderValue::from_str(&taken.rfc3339()) {
        reply.headers_mut().insert(TIME, taken);
    }
    reply
}

fn width(text: &str) -> Result<u16> {
    let refuse = || Error::new(Kind::Invalid, format!("must be 16 to {WIDTH_MAX} pixels")).at("width");
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|width| digits && (16..=WIDTH_MAX).contains(width)).ok_or_else(refuse)
}
