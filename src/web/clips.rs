//! Clips over HTTP: any span of a device as one MP4, made while it is read, and the files that are clips by other names.

use std::{fmt::Write as _, ops::Range, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web,
};
use futures_util::{StreamExt, future, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    State, WebDevice, WebState,
    footage::READS,
    hours::{Hour, OfDay},
    restart,
    slices::{Content, Slice, respond},
    time::Asked,
};
use crate::{
    capture::command::Preset,
    clock::{TICKS_PER_SECOND, Utc90k, ticks_90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    playback::{
        clip::{Clip, Made},
        virtual_mp4::{Cut, Gaps},
    },
};

/// Seconds of one piece of sound; 360 an hour.
const PIECE_SECONDS: i64 = 10;
const PIECES: i64 = 3600 / PIECE_SECONDS;

/// What `codec=h264` encodes with: who asks wants to see it soon.
pub const ANY_PLAYER: Preset = Preset::Fast;
/// Of one codec, told where a clip has several: in a day each chunk may be another.
const SPANS_MAX: usize = 16;

/// The segment that FFmpeg writes now and the one on its way here: an end of "now" lies that far beyond the newest.
const UNDER_WAY_90K: i64 = 2 * TICKS_PER_SECOND;

#[derive(Debug, Deserialize)]
pub struct Query {
    start: Option<String>,
    end: Option<String>,
    duration: Option<String>,
    /// `keep` or `skip`.
    gap: Option<String>,
    /// `all` or `audio`.
    tracks: Option<String>,
    /// `1`: the slice table as text.
    explain: Option<String>,
    /// Encoded anew, as a job: see [`super::encodes`].
    preset: Option<String>,
    /// `h264`: encoded anew unless that is what it is.
    codec: Option<String>,
}

/// What is made of the clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    File,
    Explained,
    Encoded(Preset),
    /// As a file where all pictures are H.264, else encoded.
    H264,
}

/// `GET /api/host/clip/{device}.mp4?start&end`
///
/// 307 to an explicit end where the footage is not committed that far, so that all ranges of one address fit together.
pub async fn span(
    request: HttpRequest,
    state: State,
    device: web::Path<String>,
    query: web::Query<Query>,
) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let asked = Asked {
        start: ("start", query.start.as_deref()),
        end: ("end", query.end.as_deref()),
        duration: query.duration.as_deref(),
    };
    let gaps = choice("gap", query.gap.as_deref(), &[("keep", Gaps::Keep), ("skip", Gaps::Skip)])?;
    let sound_only = choice("tracks", query.tracks.as_deref(), &[("all", false), ("audio", true)])?;
    let explain = choice("explain", query.explain.as_deref(), &[("0", false), ("1", true)])?;
    let preset = query
        .preset
        .as_deref()
        .map(|text| choice("preset", Some(text), &Preset::ALL.map(|preset| (preset.name(), preset))))
        .transpose()?;
    let h264 = query.codec.as_deref().map(|text| choice("codec", Some(text), &[("h264", true)])).transpose()?;
    let h264 = h264.unwrap_or(false);
    let form = match preset {
        _ if explain => Form::Explained,
        Some(_) if sound_only => return Err(Error::new(Kind::Invalid, "only pictures are encoded anew").at("preset")),
        Some(preset) => Form::Encoded(preset),
        None if h264 && sound_only => return Err(Error::new(Kind::Invalid, "there are no pictures").at("codec")),
        None if h264 => Form::H264,
        None => Form::File,
    };
    let (start, end) = asked.ends(state.clock.wall())?;
    let start = start.ok_or_else(|| Error::new(Kind::Invalid, "is missing").at("start"))?;
    let is_open = end.is_none();
    let end = match end {
        Some(end) => end,
        // Up to now: what waits in hot comes to the disk first.
        None => restart::newest(&state, &device).await?,
    };
    let wish = Cut { span: start..end, gaps, sound_only };
    if start >= end {
        return Err(nothing(&device, &wish.span));
    }
    // Never served as such: by the next range there may be more.
    if is_open {
        return Ok(moved(&device.id, &wish, form));
    }
    serve(&request, &state, &device, wish, form).await
}

/// `GET /host/stream/{device}/segments/{hour}/archive_hour_{hour}.mp4?date=YYYY-MM-DD`
pub async fn hour(
    request: HttpRequest,
    state: State,
    path: web::Path<(String, String, String)>,
    day: web::Query<OfDay>,
) -> Result<HttpResponse> {
    let (device, hour, again) = path.into_inner();
    let device = state.device(&device)?;
    let hour = Hour::parse(&hour, &day, state.clock.wall())?;
    if again != hour.number.to_string() {
        return Err(Error::new(Kind::NotFound, format!("the file of hour {0} is archive_hour_{0}.mp4", hour.number)));
    }
    let wish = Cut { span: hour.from..hour.to, gaps: Gaps::Keep, sound_only: false };
    serve(&request, &state, &device, wish, Form::File).await
}

/// `GET /host/stream/{device}/audio/{hour}/audio_10s_{NNN}.m4a?date=YYYY-MM-DD`: sound of 10 s, 000 to 359.
pub async fn sound(
    request: HttpRequest,
    state: State,
    path: web::Path<(String, String, String)>,
    day: web::Query<OfDay>,
) -> Result<HttpResponse> {
    let (device, hour, piece) = path.into_inner();
    let device = state.device(&device)?;
    let hour = Hour::parse(&hour, &day, state.clock.wall())?;
    let number = piece.parse::<i64>().ok().filter(|number| piece == format!("{number:03}") && *number < PIECES);
    let number = number.ok_or_else(|| Error::new(Kind::NotFound, "pieces of an hour are audio_10s_000 to _359"))?;
    let from = hour.from + number * PIECE_SECONDS * TICKS_PER_SECOND;
    let wish = Cut { span: from..from + PIECE_SECONDS * TICKS_PER_SECOND, gaps: Gaps::Keep, sound_only: true };
    serve(&request, &state, &device, wish, Form::File).await
}

async fn serve(
    request: &HttpRequest,
    state: &WebState,
    device: &WebDevice,
    wish: Cut,
    form: Form,
) -> Result<HttpResponse> {
    let span = wish.span.clone();
    let newest_of = || device.index.snapshot().newest().map(|chunk| chunk.end);
    let newest = newest_of();
    let is_near = newest.is_none_or(|newest| span.end > newest + -UNDER_WAY_90K);
    let waits = is_near && waits(state, device, span.end);
    // What is not there yet does not make it too long.
    let reach = match newest {
        _ if waits => span.end,
        Some(newest) => span.end.min(newest),
        None => return Err(nothing(device, &span)),
    };
    let most_90k =
        i64::try_from(state.settings.limits.clip_seconds).unwrap_or(i64::MAX).saturating_mul(TICKS_PER_SECOND);
    if reach - span.start > most_90k {
        return Ok(too_long(&device.id, &span, most_90k));
    }
    let mut made = make(state, device, &wish).await?;
    if waits && !matches!(made, Made::Clip(_)) {
        match device.tail.bring(|| newest_of() > newest).await {
            Ok(()) => made = make(state, device, &wish).await?,
            // A disk that takes nothing now still has the rest.
            Err(_) if matches!(made, Made::Until(_)) => {}
            Err(error) => return Err(Error::new(Kind::Unavailable, error.message)),
        }
    }
    let clip = match made {
        Made::Clip(clip) => clip,
        Made::Nothing => return Err(nothing(device, &span)),
        Made::Until(end) => {
            return Ok(moved(&device.id, &Cut { span: wish.span.start..end, ..wish }, form));
        }
    };
    let form = match form {
        Form::H264 if clip.has_others_than_h264() => Form::Encoded(ANY_PLAYER),
        Form::H264 => Form::File,
        form => form,
    };
    let content = match form {
        Form::File | Form::H264 if clip.is_mixed() => return Ok(mixed(&clip)),
        // Looking at the head must not start an hour of work.
        Form::Encoded(preset) if request.method() == Method::HEAD => return state.encodes.peek(&clip, preset),
        Form::Encoded(preset) => return state.encodes.ask(*clip, preset),
        Form::Explained => Content {
            slices: vec![Slice::Bytes(clip.explain().into())],
            content_type: "text/plain; charset=utf-8",
            etag: None,
            cache_control: "no-store",
            location: None,
            file_name: None,
        },
        Form::File | Form::H264 => content(&clip),
    };
    Ok(respond(request, &state.readers, content))
}

async fn make(state: &WebState, device: &WebDevice, wish: &Cut) -> Result<Made> {
    // An hour has seven tables, which are read together. What fails here fails below, and is told there.
    let lacks = Clip::lacks(&device.index, (&state.tables, &state.clips), wish);
    let reads = lacks.iter().map(|chunk| async move { Some((chunk.as_ref(), state.table(device, chunk).await.ok()?)) });
    let read = stream::iter(reads).buffer_unordered(READS).filter_map(future::ready).collect().await;
    let (volume, index) = (state.volume.clone(), device.index.clone());
    let (tables, clips) = (state.tables.holding(&device.id, read), state.clips.clone());
    let wish = wish.clone();
    let made = state.readers.run(move || Clip::make(&volume, &index, (&tables, &clips), wish)).await;
    made.map_err(|busy| Error::new(Kind::Unavailable, busy.to_string()))?
}

/// What lies before `end` was recorded, and some of it may wait in hot.
pub(super) fn waits(state: &WebState, device: &WebDevice, end: Utc90k) -> bool {
    let hot = device.hot.status();
    let age = hot.newest_segment_age_seconds.and_then(|age| Duration::try_from_secs_f64(age).ok());
    let newest = age.map(|age| state.clock.wall() + -ticks_90k(age));
    hot.waiting_bytes > 0 && newest.is_some_and(|newest| end <= newest + UNDER_WAY_90K)
}

fn content(clip: &Clip) -> Content {
    let mut slices = Vec::with_capacity(1 + clip.movie.pieces.len());
    slices.extend(clip.slices().map(|(file, range)| Slice::File(file.clone(), range)));
    let (etag, file_name) = (Some(clip.etag()), Some(clip.file_name()));
    slices.insert(0, Slice::Bytes(clip.movie.head.clone()));
    Content {
        slices,
        content_type: if clip.wish.sound_only { "audio/mp4" } else { "video/mp4" },
        etag,
        cache_control: "private, no-cache",
        location: None,
        file_name,
    }
}

/// 307 to the address with both ends told.
fn moved(device: &DeviceId, wish: &Cut, form: Form) -> HttpResponse {
    HttpResponse::TemporaryRedirect()
        .insert_header((header::LOCATION, address(device, wish, form)))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// The address of a clip with both ends told.
pub fn address(device: &DeviceId, wish: &Cut, form: Form) -> String {
    let mut out = format!("/api/host/clip/{device}.mp4?start={}&end={}", exact(wish.span.start), exact(wish.span.end));
    let options = [(wish.gaps == Gaps::Skip, "&gap=skip"), (wish.sound_only, "&tracks=audio")];
    options.iter().filter(|(wanted, _)| *wanted).for_each(|(_, option)| out.push_str(option));
    match form {
        Form::File => {}
        Form::Explained => out.push_str("&explain=1"),
        Form::H264 => out.push_str("&codec=h264"),
        Form::Encoded(preset) => {
            let _ = write!(out, "&preset={}", preset.name());
        }
    }
    out
}

/// RFC 3339 where milliseconds tell it all, else seconds since 1970 to the tick.
fn exact(at: Utc90k) -> String {
    if at.0 % 90 == 0 {
        return at.rfc3339();
    }
    let micros = (i128::from(at.0) * 100 + 4).div_euclid(9);
    format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
}

/// 413, with the address of the playlist that plays the same.
fn too_long(device: &DeviceId, span: &Range<Utc90k>, most_90k: i64) -> HttpResponse {
    let playlist = format!("/api/host/playlist/{device}.m3u8?start={}&end={}", exact(span.start), exact(span.end));
    let message = format!("a clip is at most {} s long; longer spans play as a playlist", most_90k / TICKS_PER_SECOND);
    HttpResponse::build(StatusCode::PAYLOAD_TOO_LARGE)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::LINK, format!("<{playlist}>; rel=\"alternate\"")))
        .json(json!({"error": {"kind": "too_long", "message": message, "playlist_url": playlist}}))
}

/// 409, with what plays instead.
fn mixed(clip: &Clip) -> HttpResponse {
    let Range { start, end } = clip.wish.span;
    let playlist = format!("/api/host/playlist/{}.m3u8?start={}&end={}", clip.device, exact(start), exact(end));
    let stretches = clip.stretches();
    let spans: Vec<_> = stretches
        .iter()
        .take(SPANS_MAX)
        .map(|(codec, span)| json!({"start": to_the_tick(span.start), "end": to_the_tick(span.end), "codec": codec.name()}))
        .collect();
    let first = spans.first().map_or(Value::Null, Value::clone);
    let message = format!(
        "its pictures are of several codecs, which no player takes in one file: ask with codec=h264 to have all encoded \
         anew, or for one of {} shorter spans; the first is {} from {} to {}",
        stretches.len(),
        first["codec"].as_str().unwrap_or_default(),
        first["start"].as_str().unwrap_or_default(),
        first["end"].as_str().unwrap_or_default(),
    );
    let clip_url = address(&clip.device, &clip.wish, Form::H264);
    HttpResponse::build(StatusCode::CONFLICT).insert_header((header::CACHE_CONTROL, "no-store")).json(json!({"error": {
        "kind": Kind::Conflict.name(), "message": message, "clip_url": clip_url, "playlist_url": playlist, "spans": spans,
    }}))
}

/// RFC 3339 with so many digits that the tick is told.
pub fn to_the_tick(at: Utc90k) -> String {
    let text = at.rfc3339();
    match at.0.rem_euclid(90) {
        0 => text,
        ticks => format!("{}{:03}Z", text.trim_end_matches('Z'), (ticks * 1000 + 45) / 90),
    }
}

fn nothing(device: &WebDevice, span: &Range<Utc90k>) -> Error {
    Error::new(Kind::NotFound, format!("{} has no footage from {} to {}", device.id, span.start, span.end))
}

/// The first choice when nothing is said.
fn choice<T: Copy>(name: &'static str, text: Option<&str>, choices: &[(&str, T)]) -> Result<T> {
    let found = match text {
        None => choices.first(),
        Some(text) => choices.iter().find(|(word, _)| *word == text),
    };
    let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
    found.map(|(_, value)| *value).ok_or_else(|| Error::new(Kind::Invalid, format!("must be {}", words())).at(name))
}
