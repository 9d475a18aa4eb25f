//! HLS over the archive: whole hours and any span, as byte ranges of the chunks' stable addresses.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    State, WebDevice, WebState,
    chunks::address,
    footage::READS,
    fresh,
    hours::{Hour, OfDay},
    slices::{Content, Slice, respond},
    time::Asked,
};
use crate::{
    access::Caller,
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    playback::{
        self, FragmentTable, Part, Selection,
        playlist::{Piece, Playlist},
    },
};

/// Two days are 29,000 entries, 4 MB.
const SPAN_MAX_90K: i64 = 48 * 3600 * TICKS_PER_SECOND;
/// What is asked for when the query leaves the start open.
const SPAN_90K: i64 = 3600 * TICKS_PER_SECOND;
/// From then on no segment of that time can still be on its way into hot.
const ARRIVAL_90K: i64 = 10 * TICKS_PER_SECOND;

/// Whether a list is wanted that leads to the one of the address.
#[derive(Debug, Deserialize)]
pub struct Variants {
    /// `1`: one that names the codecs and leads to the same list.
    multivariant: Option<String>,
}

impl Variants {
    /// The address of the list itself, when one that leads there is wanted.
    fn leads_to(&self, request: &HttpRequest) -> Result<Option<String>> {
        match self.multivariant.as_deref() {
            None | Some("0") => return Ok(None),
            Some("1") => {}
            Some(_) => return Err(Error::new(Kind::Invalid, "must be 0 or 1").at("multivariant")),
        }
        let others = request.query_string().split('&').filter(|pair| !pair.starts_with("multivariant="));
        let others = others.collect::<Vec<_>>().join("&");
        let mark = if others.is_empty() { "" } else { "?" };
        Ok(Some(format!("{}{mark}{others}", request.path())))
    }
}

/// `GET /host/stream/{device}/segments/{hour}/archive.m3u8?date=YYYY-MM-DD`
pub async fn hour(
    request: HttpRequest,
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    day: web::Query<OfDay>,
    variants: web::Query<Variants>,
) -> Result<HttpResponse> {
    let (device, hour) = path.into_inner();
    let device = state.device(&device)?;
    let hour = Hour::parse(&hour, &day, state.clock.wall())?;
    let leads_to = variants.leads_to(&request)?;
    serve(
        &request,
        &state,
        &caller,
        &device,
        Wish { from: hour.from, to: hour.to, start_at: None, slides: false, leads_to },
    )
    .await
}

#[derive(Debug, Deserialize)]
pub struct Span {
    start: Option<String>,
    end: Option<String>,
    duration: Option<String>,
}

/// `GET /api/host/playlist/{device}.m3u8?start&end`; without an end it grows with the recording.
pub async fn span(
    request: HttpRequest,
    state: State,
    caller: Caller,
    device: web::Path<String>,
    span: web::Query<Span>,
    variants: web::Query<Variants>,
) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let asked = Asked {
        start: ("start", span.start.as_deref()),
        end: ("end", span.end.as_deref()),
        duration: span.duration.as_deref(),
    };
    let now = state.clock.wall();
    let (start, end) = asked.ends(now)?;
    let from = start.unwrap_or(end.unwrap_or(now) + -SPAN_90K);
    let to = end.unwrap_or(from + SPAN_MAX_90K);
    if to - from > SPAN_MAX_90K {
        return Err(Error::new(Kind::Invalid, "at most 48 hours in one playlist").at("end"));
    }
    let (slides, leads_to) = (start.is_none() && end.is_none(), variants.leads_to(&request)?);
    serve(&request, &state, &caller, &device, Wish { from, to, start_at: Some(from), slides, leads_to }).await
}

#[derive(Serialize)]
struct HourOfSegments {
    hour: u8,
    manifest_url: String,
}

/// `GET /api/host/segments/{device}/{hour}`: where the hour plays; 404 when it is empty.
pub async fn segments(state: State, path: web::Path<(String, String)>, day: web::Query<OfDay>) -> Result<HttpResponse> {
    let (device, hour) = path.into_inner();
    let device = state.device(&device)?;
    let hour = Hour::parse(&hour, &day, state.clock.wall())?;
    let chunks = device.index.snapshot();
    if playback::select(chunks.around(hour.from, hour.to), hour.from, hour.to).parts.is_empty() {
        return Err(nothing(&device, hour.from, hour.to));
    }
    let date = day.date.as_ref().map(|date| format!("?date={date}")).unwrap_or_default();
    let manifest_url = format!("/host/stream/{}/segments/{}/archive.m3u8{date}", device.id, hour.number);
    Ok(fresh(HttpResponse::Ok(), HourOfSegments { hour: hour.number, manifest_url }))
}

/// What a list is to hold.
struct Wish {
    from: Utc90k,
    to: Utc90k,
    /// Where players are to begin.
    start_at: Option<Utc90k>,
    /// The address names no moment: at each look the list begins with what was recorded an hour ago.
    slides: bool,
    /// A multivariant list is wanted, that leads to this address.
    leads_to: Option<String>,
}

async fn serve(
    request: &HttpRequest,
    state: &WebState,
    caller: &Caller,
    device: &WebDevice,
    wish: Wish,
) -> Result<HttpResponse> {
    let Wish { from, to, start_at, slides, leads_to } = wish;
    // Before the snapshot: what is committed in between makes the list longer, never closed too early.
    let waits = device.hot.waiting_bytes() > 0;
    let now = state.clock.wall();
    let chunks = device.index.snapshot();
    let closed = chunks.newest().is_some_and(|newest| newest.end >= to) || (now - to > ARRIVAL_90K && !waits);
    let mut selection = playback::select(chunks.around(from, to), from, to);
    if let Some(first) = selection.parts.first().filter(|_| slides) {
        // Chunk by chunk, so that an entry that was listed once stays what it is for as long as it is listed.
        let from = first.chunk.start.min(from);
        selection = playback::select(chunks.around(from, to), from, to);
    }
    let parts = parts(state, device, &selection).await?;
    let mut list = Playlist { parts, closed, from: start_at, slides, ..Playlist::default() };
    // One that slides has one name, whenever it is asked for.
    let (since, until) = if slides { (Utc90k(i64::MIN), Utc90k(i64::MAX)) } else { (from, to) };
    list.before = state.fronts.before((device.id.clone(), since, until), &list.listed(), !closed);
    if !list.has_entries() {
        return Err(match closed {
            true => nothing(device, from, to),
            false => Error::new(Kind::Unavailable, format!("{} has nothing of it on the disk yet", device.id)),
        });
    }
    let mut text = leads_to.map_or_else(|| list.to_string(), |uri| list.multivariant(&uri));
    if caller.share().is_some() {
        // The only names with a dot in them are those of chunks.
        text = text.replace(".mp4", &caller.follow(".mp4".into()));
    }
    let content = Content {
        etag: Some(format!("\"{:08x}-{}\"", crc32c::crc32c(text.as_bytes()), text.len())),
        slices: vec![Slice::Bytes(text.into())],
        content_type: "application/vnd.apple.mpegurl",
        cache_control: "private, no-cache",
        location: None,
        file_name: None,
    };
    Ok(respond(request, &state.readers, content))
}

fn nothing(device: &WebDevice, from: Utc90k, to: Utc90k) -> Error {
    Error::new(Kind::NotFound, format!("{} has no footage from {from} to {to}", device.id))
}

async fn parts(state: &WebState, device: &WebDevice, selection: &Selection) -> Result<Vec<playback::playlist::Part>> {
    let tables = selection.parts.iter().map(|part| async move { (part, state.table(device, &part.chunk).await) });
    let mut tables = stream::iter(tables).buffered(READS);
    let mut out = Vec::with_capacity(selection.parts.len());
    while let Some((part, table)) = tables.next().await {
        let table = match table {
            Ok(table) => table,
            // Deleted or found broken meanwhile: a gap, not the end of the list.
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Gone | Kind::Corrupt) => continue,
            Err(error) => return Err(error),
        };
        out.push(playback::playlist::Part {
            key: part.chunk.key,
            address: address(&device.id, part.chunk.key),
            init: table.init.0..table.init.0 + table.init.1,
            pieces: pieces(&table, part),
            grows: !part.chunk.sealed && part.to >= part.chunk.end,
            codecs: Arc::clone(&part.chunk.codecs),
            size: table.tracks.video.as_ref().map(|config| (config.width, config.height)),
        });
    }
    Ok(out)
}

fn pieces(table: &FragmentTable, part: &Part) -> Vec<Piece> {
    let within = table.within(part.from, part.to);
    let pieces = within.map(|fragment| Piece {
        start: fragment.start,
        duration_90k: fragment.end - fragment.start,
        bytes: fragment.bytes,
        after_gap: fragment.is_after_hole,
    });
    pieces.collect()
}
