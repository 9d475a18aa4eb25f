//! `/api/host/timeline/{device}`: what there is of a device, what is missing and why, and the chunks that hold it.

use std::{collections::HashMap, sync::Arc};

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, ContentType},
    web,
};
use serde::{Deserialize, Serialize};

use super::{
    State, WebDevice, WebState,
    chunks::address,
    incidents::of_span,
    time::{Asked, Span, seconds},
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    incident::{Told, told as incident_told},
    playback::{
        Hole, Part, Selection, select,
        timeline::{Edges, timeline as derive},
    },
    storage::{ChunkEntry, index::Learned},
};

/// Without a start: the last day.
const DAY_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;
/// Up to this long, holes inside chunks are looked up however many chunks have some that nobody has read yet.
const EXACT_90K: i64 = 3600 * TICKS_PER_SECOND;
/// In longer spans one answer reads at most so many chunks, newest first; a table from a cold disk takes 20 ms. What was
/// read once is kept in the index, which a walk after the start fills by itself.
const READS_MAX: usize = 32;
/// Chunks told before other requests of the same worker get their turn: half a millisecond of writing.
const CHUNKS_AT_ONCE: usize = 256;

#[derive(Deserialize)]
pub struct Query {
    from: Option<String>,
    to: Option<String>,
    duration: Option<String>,
    /// Seconds; shorter gaps are left out.
    resolution: Option<String>,
}

/// `GET /api/host/timeline/{device}?from&to&resolution`
pub async fn timeline(state: State, device: web::Path<String>, query: web::Query<Query>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let now = state.clock.wall();
    let asked = Asked {
        start: ("from", query.from.as_deref()),
        end: ("to", query.to.as_deref()),
        duration: query.duration.as_deref(),
    };
    let span = asked.span(now, |to| Utc90k((to.0 - DAY_90K).max(0)), now)?;
    let resolution_90k = match query.resolution.as_deref() {
        None | Some("0") => 0,
        Some(text) => seconds("resolution", text)?,
    };
    let snapshot = device.index.snapshot();
    // What is still to come is no gap. A clock that was set back may have left footage there, though.
    let known = snapshot.newest().map_or(now, |newest| newest.end.max(now));
    let near = snapshot.around(span.from, span.to);
    let selection = select(near, span.from, span.to.min(known).max(span.from));
    let (selection, is_exact) = split(&state, &device, selection, span).await?;
    let first_waiting = device.hot.waiting().first().map(|segment| segment.arrived + -segment.duration_90k);
    let edges = Edges { oldest: snapshot.first().map(|chunk| chunk.start), waiting: first_waiting };
    let (found, is_complete) = of_span(&state, &device, span).await;
    let pins = state.registry.pins().unwrap_or_default();
    let is_pinned = |chunk: &ChunkEntry| pins.hold(&device.id, chunk.start, chunk.end, now);
    let missing = derive(&selection, edges, resolution_90k);
    let coverage = missing.coverage.into_iter();
    // Also those that a younger one hides.
    let within: Vec<&Arc<ChunkEntry>> =
        near.iter().filter(|chunk| chunk.start < span.to && chunk.end > span.from).collect();
    let told = Timeline {
        device: device.id.as_str(),
        start: span.from.rfc3339(),
        end: span.to.rfc3339(),
        exact: is_exact,
        coverage: coverage
            .map(|it| Covered { start: it.start.rfc3339(), end: it.end.rfc3339(), codec: it.codec })
            .collect(),
        gaps: missing
            .gaps
            .iter()
            .map(|it| Missing { start: it.start.rfc3339(), end: it.end.rfc3339(), reason: it.reason.name() })
            .collect(),
        incidents: found.iter().map(|incident| incident_told(incident, now)).collect(),
        incidents_complete: is_complete,
        chunks: [],
    };
    let mut body = json(&told)?;
    // A month of chunks is a megabyte: written piece by piece, in place of the empty list at the end.
    body.truncate(body.len().saturating_sub("]}".len()));
    for (number, some) in within.chunks(CHUNKS_AT_ONCE).enumerate() {
        if number > 0 {
            body.push(b',');
            tokio::task::yield_now().await;
        }
        let some = json(&some.iter().map(|chunk| Chunk::of(&device, chunk, is_pinned(chunk))).collect::<Vec<_>>())?;
        body.extend_from_slice(some.get(1..some.len() - 1).unwrap_or_default());
    }
    body.extend_from_slice(b"]}");
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).content_type(ContentType::json()).body(body))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::new(Kind::Internal, error.to_string()))
}

/// The shape of the contract, and more.
#[derive(Serialize)]
struct Timeline<'a> {
    device: &'a str,
    start: String,
    end: String,
    exact: bool,
    coverage: Vec<Covered>,
    gaps: Vec<Missing>,
    /// Oldest first, as all here.
    incidents: Vec<Told>,
    /// False when the database does not answer or there are more.
    incidents_complete: bool,
    /// Last, and empty here: [`Chunk`]s are put between its brackets.
    chunks: [(); 0],
}

#[derive(Serialize)]
struct Covered {
    start: String,
    end: String,
    codec: Arc<str>,
}

#[derive(Serialize)]
struct Missing {
    start: String,
    end: String,
    reason: &'static str,
}

#[derive(Serialize)]
struct Chunk<'a> {
    name: String,
    url: String,
    start: String,
    end: String,
    bytes: u64,
    codec: &'a str,
    generation: u32,
    gaps: u32,
    sealed: bool,
    pinned: bool,
}

impl<'a> Chunk<'a> {
    fn of(device: &WebDevice, chunk: &'a ChunkEntry, pinned: bool) -> Self {
        Self {
            name: chunk.key.file_name(),
            url: address(&device.id, chunk.key),
            start: chunk.start.rfc3339(),
            end: chunk.end.rfc3339(),
            bytes: chunk.bytes,
            codec: &chunk.codecs,
            generation: chunk.key.generation,
            gaps: chunk.gaps,
            sealed: chunk.sealed,
            pinned,
        }
    }
}

/// Cuts the selection at the holes inside its chunks; those that nobody knows yet are read. Whether all are known.
async fn split(state: &WebState, device: &WebDevice, selection: Selection, span: Span) -> Result<(Selection, bool)> {
    let mut reads_left = if span.to - span.from <= EXACT_90K { usize::MAX } else { READS_MAX };
    let (mut read, mut is_exact) = (HashMap::<_, Arc<[Hole]>>::new(), true);
    for chunk in selection.parts.iter().rev().map(|part| &part.chunk).filter(|chunk| chunk.holes().is_none()) {
        if read.contains_key(&chunk.key) {
            continue;
        }
        if reads_left == 0 {
            is_exact = false;
            break;
        }
        reads_left -= 1;
        match state.table(device, chunk).await {
            Ok(table) => drop(read.insert(chunk.key, Arc::clone(&table.holes))),
            Err(error) if error.kind == Kind::Unavailable => return Err(error),
            // Expired or lost while we look: the rest of the answer is still worth having.
            Err(Error { .. }) => is_exact = false,
        }
    }
    let read_of = |key| read.get(key).map(|holes| &**holes);
    let cut = selection.split(|chunk| chunk.holes().or_else(|| read_of(&chunk.key)).unwrap_or_default());
    let parts = selection.parts.iter().filter(|part| read.contains_key(&part.chunk.key));
    let learned = parts.filter_map(|Part { chunk, .. }| {
        Some(Learned { key: chunk.key, bytes: chunk.bytes, holes: Arc::clone(read.get(&chunk.key)?) })
    });
    device.index.learn(learned.collect());
    Ok((cut, is_exact))
}
