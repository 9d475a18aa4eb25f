//! `/api/host/timeline/{device}`: what there is of a device, what is missing and why, and the chunks that hold it.

use std::{collections::HashMap, sync::Arc};

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{
    State, WebDevice, WebState,
    chunks::address,
    fresh,
    time::{Asked, Span, seconds},
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    playback::{
        Selection, select,
        timeline::{Edges, timeline as derive},
    },
    storage::ChunkEntry,
};

/// Without a start: the last day.
const DAY_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;
/// Up to this long, holes inside chunks are looked up however many chunks have some.
const EXACT_90K: i64 = 3600 * TICKS_PER_SECOND;
/// In longer spans one answer reads at most so many chunks, newest first; a table from a cold disk takes 20 ms. Holes
/// once read are remembered, so asking again tells more.
const READS_MAX: usize = 32;

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
    let known = snapshot.iter().map(|chunk| chunk.end).max().map_or(now, |newest| newest.max(now));
    let selection = select(&snapshot, span.from, span.to.min(known).max(span.from));
    let (selection, is_exact) = split(&state, &device, selection, span).await?;
    let first_waiting = device.hot.waiting().first().map(|segment| segment.arrived + -segment.duration_90k);
    let edges = Edges { oldest: snapshot.first().map(|chunk| chunk.start), waiting: first_waiting };
    let told = derive(&selection, edges, resolution_90k);
    let coverage = told.coverage.into_iter();
    // Also those that a younger one hides.
    let within = snapshot.iter().filter(|chunk| chunk.start < span.to && chunk.end > span.from);
    let body = Timeline {
        device: device.id.as_str(),
        start: span.from.rfc3339(),
        end: span.to.rfc3339(),
        exact: is_exact,
        coverage: coverage
            .map(|it| Covered { start: it.start.rfc3339(), end: it.end.rfc3339(), codec: it.codec })
            .collect(),
        gaps: told
            .gaps
            .iter()
            .map(|it| Missing { start: it.start.rfc3339(), end: it.end.rfc3339(), reason: it.reason.name() })
            .collect(),
        incidents: [],
        chunks: within.map(|chunk| Chunk::of(&device, chunk)).collect(),
    };
    Ok(fresh(HttpResponse::Ok(), body))
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
    /// Nothing finds any yet.
    incidents: [(); 0],
    chunks: Vec<Chunk<'a>>,
}

#[derive(Serialize)]
struct Covered {
    start: String,
    end: String,
    codec: String,
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
    fn of(device: &WebDevice, chunk: &'a ChunkEntry) -> Self {
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
            pinned: false,
        }
    }
}

/// Cuts the selection at the holes inside its chunks; only those with holes are read. Whether all are known.
async fn split(state: &WebState, device: &WebDevice, selection: Selection, span: Span) -> Result<(Selection, bool)> {
    let mut reads_left = if span.to - span.from <= EXACT_90K { usize::MAX } else { READS_MAX };
    let (mut known, mut is_exact) = (HashMap::new(), true);
    for part in selection.parts.iter().rev().filter(|part| part.chunk.gaps > 0) {
        if let Some(holes) = state.tables.holes(&device.id, &part.chunk) {
            known.insert(part.chunk.key, holes);
            continue;
        }
        if reads_left == 0 {
            is_exact = false;
            continue;
        }
        reads_left -= 1;
        match state.table(device, &part.chunk).await {
            Ok(table) => drop(known.insert(part.chunk.key, Arc::clone(&table.holes))),
            Err(error) if error.kind == Kind::Unavailable => return Err(error),
            // Expired or lost while we look: the rest of the answer is still worth having.
            Err(Error { .. }) => is_exact = false,
        }
    }
    let holes_of = |chunk: &ChunkEntry| known.get(&chunk.key).map_or(&[][..], |holes| holes);
    Ok((selection.split(holes_of), is_exact))
}
