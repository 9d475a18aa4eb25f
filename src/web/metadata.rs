//! Verdicts frame by frame: a search over any span, and what is known of an hour as one document.

use std::{collections::HashMap, mem, ops::ControlFlow, sync::Arc};

use actix_web::{HttpResponse, http::header, web};
use serde::{Deserialize, Serialize};

use super::{
    State, WebDevice, WebState,
    chunks::address,
    fresh,
    hours::{Hour, OfDay},
    incidents::of_span,
    time::{Asked, Span},
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    incident::model::Incident,
    media::verdicts::FrameLine,
    playback::{
        previews::around,
        verdicts::{Filter, Step, Steps, lines},
    },
    storage::{ChunkEntry, Place},
};

/// Without a start: the last hour.
const SPAN_90K: i64 = 3600 * TICKS_PER_SECOND;
/// A day of 5 frames a second is 60 MB of lines.
const SPAN_MAX_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;
const LIMIT: u32 = 1000;
const LIMIT_MAX: u32 = 10_000;
const STEP_MAX: u32 = 3600;
/// Frames in one hour's document; with more it goes in steps of a second, so that it stays below 2 MB.
const HOUR_FRAMES_MAX: usize = 20_000;
/// Pieces of sound that an hour has.
const PIECE_SECONDS: i64 = 10;

#[derive(Debug, Default, Deserialize)]
pub struct Query {
    from: Option<String>,
    to: Option<String>,
    duration: Option<String>,
    step: Option<String>,
    black: Option<String>,
    freeze: Option<String>,
    silence: Option<String>,
    limit: Option<String>,
}

#[derive(Serialize)]
struct Reply<'a> {
    device: &'a str,
    start: String,
    end: String,
    step_seconds: Option<u32>,
    count: usize,
    /// Where to go on when there is more.
    next: Option<String>,
    frames: Vec<Told>,
}

/// A frame, or the worst of a step.
#[derive(Serialize)]
struct Told {
    time: String,
    frame: u64,
    frames: u32,
    black: Option<bool>,
    black_pct: Option<f32>,
    freeze: Option<bool>,
    freeze_diff: Option<f32>,
    audio: Option<bool>,
    mean_volume_db: Option<f32>,
    volume_percentage: Option<u8>,
    no_signal: bool,
    skipped: u32,
}

impl From<Step> for Told {
    fn from(Step { start, frames, worst }: Step) -> Self {
        Self {
            time: start.rfc3339(),
            frame: worst.frame,
            frames,
            black: worst.black,
            black_pct: worst.black_pct,
            freeze: worst.freeze,
            freeze_diff: worst.freeze_diff,
            audio: worst.audio,
            mean_volume_db: worst.mean_volume_db,
            volume_percentage: worst.volume_percentage,
            no_signal: worst.no_signal,
            skipped: worst.skipped,
        }
    }
}

/// `GET /api/host/metadata/{device}?from&to&step&black&freeze&silence&limit`
pub async fn search(state: State, device: web::Path<String>, query: web::Query<Query>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let now = state.clock.wall();
    let asked = Asked {
        start: ("from", query.from.as_deref()),
        end: ("to", query.to.as_deref()),
        duration: query.duration.as_deref(),
    };
    let span = asked.span(now, |to| Utc90k((to.0 - SPAN_90K).max(0)), now)?;
    if span.to - span.from > SPAN_MAX_90K {
        return Err(Error::new(Kind::Invalid, "at most 24 hours at once").at("to"));
    }
    let step = step_of(query.step.as_deref())?;
    let filter = Filter {
        black: flag("black", query.black.as_deref())?,
        freeze: flag("freeze", query.freeze.as_deref())?,
        silence: flag("silence", query.silence.as_deref())?,
    };
    let limit = query.limit.as_deref().map(|text| whole("limit", text, LIMIT_MAX)).transpose()?.unwrap_or(LIMIT);
    let found = Found { filter, limit: limit as usize, taken: Vec::new(), next: None };
    let found = walk(&state, &device, span, step.unwrap_or(0), found).await?;
    let body = Reply {
        device: device.id.as_str(),
        start: span.from.rfc3339(),
        end: span.to.rfc3339(),
        step_seconds: step,
        count: found.taken.len(),
        next: found.next.map(Utc90k::rfc3339),
        frames: found.taken,
    };
    Ok(fresh(HttpResponse::Ok(), body))
}

/// What takes the steps of a walk; break: enough.
trait Takes: Send + 'static {
    fn take(&mut self, step: Step) -> ControlFlow<()>;
}

struct Found {
    filter: Filter,
    limit: usize,
    taken: Vec<Told>,
    next: Option<Utc90k>,
}

impl Takes for Found {
    fn take(&mut self, step: Step) -> ControlFlow<()> {
        if !self.filter.takes(&step.worst) {
            return ControlFlow::Continue(());
        }
        if self.taken.len() == self.limit {
            self.next = Some(step.start);
            return ControlFlow::Break(());
        }
        self.taken.push(step.into());
        ControlFlow::Continue(())
    }
}

/// Everything known of the frames of `span`, chunk by chunk, each on a reader thread for itself: a day's search takes
/// turns with everybody else's reads.
async fn walk<T: Takes>(state: &WebState, device: &WebDevice, span: Span, step: u32, takes: T) -> Result<T> {
    let (from, to) = (span.from, span.to);
    // Before the disk: what is written meanwhile is there twice and counted once.
    let waiting = device.siblings.lines_waiting(from, to);
    let mut unwritten: HashMap<(Utc90k, u64), FrameLine> =
        waiting.into_iter().map(|line| ((line.at(), line.frame), line)).collect();
    let mut at_work = (takes, Steps::of_seconds(step));
    for chunk in around(&device.index.snapshot(), from, to) {
        let (volume, index) = (Arc::clone(&state.volume), Arc::clone(&device.index));
        let (mut takes, mut steps) = at_work;
        let mut known = mem::take(&mut unwritten);
        let scan = move || -> Result<_> {
            let mut each = |line: FrameLine| {
                let at = line.at();
                known.remove(&(at, line.frame));
                if !(from..to).contains(&at) {
                    return ControlFlow::Continue(());
                }
                steps.push(line).map_or(ControlFlow::Continue(()), |step| takes.take(step))
            };
            let scanned = lines(&volume, &index, chunk.key, from, &mut each)?;
            Ok((takes, steps, known, scanned.stopped))
        };
        let done = state.readers.run(scan).await;
        let (takes, steps, known, stopped) =
            done.unwrap_or_else(|busy| Err(Error::new(Kind::Unavailable, busy.to_string())))?;
        if stopped {
            return Ok(takes);
        }
        (at_work, unwritten) = ((takes, steps), known);
    }
    let (mut takes, mut steps) = at_work;
    let mut rest: Vec<_> = unwritten.into_values().collect();
    rest.sort_by_key(|line| (line.at(), line.frame));
    for line in rest {
        if let Some(step) = steps.push(line)
            && takes.take(step).is_break()
        {
            return Ok(takes);
        }
    }
    if let Some(step) = steps.finish() {
        // The last in any case.
        let _ = takes.take(step);
    }
    Ok(takes)
}

#[derive(Serialize)]
struct HourDocument {
    hour: u8,
    start_time: String,
    duration_seconds: f64,
    total_frames: u64,
    step_seconds: Option<u32>,
    video_chunks: Vec<VideoChunk>,
    frames: Vec<HourFrame>,
    audio_segments: Vec<AudioSegment>,
    incidents: Vec<HourIncident>,
}

#[derive(Serialize)]
struct VideoChunk {
    /// Beside this document, or in `chunks/` while it grows.
    file: String,
    url: String,
    start: String,
    duration: f64,
}

#[derive(Serialize)]
struct HourFrame {
    num: u64,
    time: String,
    freeze: Option<bool>,
    black: Option<bool>,
    audio: Option<bool>,
}

#[derive(Serialize)]
struct AudioSegment {
    file: String,
    url: String,
    start: String,
    duration: f64,
    transcript: Option<String>,
}

#[derive(Serialize)]
struct HourIncident {
    /// The first frame that shows it, if one of these does.
    frame: Option<u64>,
    #[serde(rename = "type")]
    kind: &'static str,
    start: String,
    duration: f64,
    severity: &'static str,
}

#[derive(Debug, Deserialize)]
pub struct OfHour {
    date: Option<String>,
    from: Option<String>,
    to: Option<String>,
    step: Option<String>,
}

/// `GET /host/stream/{device}/segments/{hour}/metadata.json?date&from&to&step`
pub async fn hour(state: State, path: web::Path<(String, String)>, asked: web::Query<OfHour>) -> Result<HttpResponse> {
    let (device, hour) = path.into_inner();
    let device = state.device(&device)?;
    let now = state.clock.wall();
    let OfHour { date, from, to, step } = asked.into_inner();
    let day = OfDay { date };
    let hour = Hour::parse(&hour, &day, now)?;
    let (from, to) =
        Asked { start: ("from", from.as_deref()), end: ("to", to.as_deref()), duration: None }.ends(now)?;
    let span = Span {
        from: from.unwrap_or(hour.from).clamp(hour.from, hour.to),
        to: to.unwrap_or(hour.to).clamp(hour.from, hour.to),
    };
    let mut step = step_of(step.as_deref())?;
    let mut found = walk(&state, &device, span, step.unwrap_or(0), HourFrames::default()).await?;
    if found.too_many {
        step = Some(1);
        found = walk(&state, &device, span, 1, HourFrames::default()).await?;
    }
    let snapshot = device.index.snapshot();
    let chunks: Vec<_> = snapshot.iter().filter(|it| it.start < span.to && it.end > span.from).cloned().collect();
    let (incidents, _) = of_span(&state, &device, span).await;
    let frames = found.frames;
    let body = move || {
        let document = HourDocument {
            hour: hour.number,
            start_time: hour.from.rfc3339(),
            duration_seconds: chunks.iter().map(|it| seconds(it.end.min(span.to) - it.start.max(span.from))).sum(),
            total_frames: found.total,
            step_seconds: step,
            video_chunks: chunks.iter().map(|chunk| video_chunk(&device, chunk)).collect(),
            audio_segments: audio_segments(&device, &chunks, hour, span, day.date.as_deref()),
            incidents: incidents.iter().map(|incident| hour_incident(incident, &frames)).collect(),
            frames: frames.iter().map(|frame| frame.told()).collect(),
        };
        serde_json::to_vec(&document)
    };
    // Made there as well: 1.6 MB take their time.
    let body = state.readers.run(body).await.map_err(|busy| Error::new(Kind::Unavailable, busy.to_string()))?;
    let body = body.map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let mut reply = HttpResponse::Ok();
    reply.content_type("application/json").insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(reply.body(body))
}

/// The frames of an hour in little room.
#[derive(Default)]
struct HourFrames {
    frames: Vec<Brief>,
    total: u64,
    too_many: bool,
}

struct Brief {
    num: u64,
    at: Utc90k,
    freeze: Option<bool>,
    black: Option<bool>,
    audio: Option<bool>,
}

impl Brief {
    fn told(&self) -> HourFrame {
        let Self { num, at, freeze, black, audio } = *self;
        HourFrame { num, time: at.rfc3339(), freeze, black, audio }
    }
}

impl Takes for HourFrames {
    fn take(&mut self, Step { start, frames, worst }: Step) -> ControlFlow<()> {
        self.too_many = self.frames.len() == HOUR_FRAMES_MAX;
        if self.too_many {
            return ControlFlow::Break(());
        }
        let (num, FrameLine { freeze, black, audio, .. }) = (self.total + 1, worst);
        self.frames.push(Brief { num, at: start, freeze, black, audio });
        self.total += u64::from(frames);
        ControlFlow::Continue(())
    }
}

fn video_chunk(device: &WebDevice, chunk: &ChunkEntry) -> VideoChunk {
    VideoChunk {
        file: match chunk.place {
            Place::Ring(slot) | Place::Library(slot, _) => slot.file_name(),
            Place::Temp => chunk.key.file_name(),
        },
        url: address(&device.id, chunk.key),
        start: chunk.start.rfc3339(),
        duration: seconds(chunk.end - chunk.start),
    }
}

/// The pieces of the hour that hold sound of some chunk.
fn audio_segments(
    device: &WebDevice,
    chunks: &[Arc<ChunkEntry>],
    hour: Hour,
    span: Span,
    date: Option<&str>,
) -> Vec<AudioSegment> {
    let piece_90k = PIECE_SECONDS * TICKS_PER_SECOND;
    let has_sound = |from: Utc90k, to: Utc90k| {
        let sounding = chunks.iter().filter(|chunk| chunk.codecs.split(',').any(|codec| codec.starts_with("mp4a")));
        sounding.clone().any(|chunk| chunk.start < to && chunk.end > from)
    };
    let date = date.map(|date| format!("?date={date}")).unwrap_or_default();
    let pieces = (0..(hour.to - hour.from) / piece_90k).map(|number| (number, hour.from + number * piece_90k));
    let within = pieces.filter(|(_, from)| *from < span.to && *from + piece_90k > span.from);
    let sounding = within.filter(|(_, from)| has_sound(*from, *from + piece_90k));
    let told = sounding.map(|(number, from)| {
        let file = format!("audio_10s_{number:03}.m4a");
        AudioSegment {
            url: format!("/host/stream/{}/audio/{}/{file}{date}", device.id, hour.number),
            file,
            start: from.rfc3339(),
            duration: PIECE_SECONDS as f64,
            transcript: None,
        }
    });
    told.collect()
}

fn hour_incident(incident: &Incident, frames: &[Brief]) -> HourIncident {
    let end = incident.end.unwrap_or(incident.last_bad);
    let first = frames.iter().find(|frame| frame.at >= incident.start && frame.at <= end);
    HourIncident {
        frame: first.map(|frame| frame.num),
        kind: incident.kind.name(),
        start: incident.start.rfc3339(),
        duration: seconds((end - incident.start).max(0)),
        severity: incident.severity.name(),
    }
}

fn seconds(ticks_90k: i64) -> f64 {
    ticks_90k as f64 / TICKS_PER_SECOND as f64
}

fn step_of(text: Option<&str>) -> Result<Option<u32>> {
    text.map(|text| whole("step", text, STEP_MAX)).transpose()
}

/// A whole number from 1 on.
fn whole(name: &'static str, text: &str, most: u32) -> Result<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=most).contains(number));
    number.ok_or_else(|| Error::new(Kind::Invalid, format!("must be 1 to {most}")).at(name))
}

fn flag(name: &'static str, text: Option<&str>) -> Result<Option<bool>> {
    match text {
        None => Ok(None),
        Some("1" | "true") => Ok(Some(true)),
        Some("0" | "false") => Ok(Some(false)),
        Some(_) => Err(Error::new(Kind::Invalid, "must be 1 or 0").at(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::model::{IncidentKind, Severity};

    #[test]
    fn an_incident_points_at_the_first_frame_that_shows_it() {
        let at = |seconds: i64| Utc90k::from_seconds(1_700_000_000 + seconds);
        let brief = |num: u64| Brief { num, at: at(num as i64), freeze: None, black: Some(true), audio: None };
        let frames: Vec<Brief> = (1..=20).map(brief).collect();
        let incident = |start: i64, end: Option<i64>| Incident {
            id: String::new(),
            host: String::new(),
            device: "cam".parse().unwrap(),
            kind: IncidentKind::Blackscreen,
            start: at(start),
            end: end.map(at),
            last_bad: at(15),
            severity: Severity::Major,
            evidence: Vec::new(),
            acknowledged: false,
            discarded: false,
            comment: String::new(),
        };
        let check = |start: i64, end: Option<i64>, frame: Option<u64>, duration: f64| {
            let told = hour_incident(&incident(start, end), &frames);
            assert_eq!((told.frame, told.duration, told.kind), (frame, duration, "blackscreen"), "{start} {end:?}");
        };
        check(5, Some(9), Some(5), 4.0);
        check(-10, Some(3), Some(1), 13.0);
        // It lasts: so far as it was seen.
        check(12, None, Some(12), 3.0);
        check(100, Some(110), None, 10.0);
    }
}
