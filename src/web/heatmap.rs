//! A minute of all devices: what was seen, heard and judged of each, as JSON and for the mosaics.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use moka::sync::Cache;
use serde_json::{Map, Value, json};

use super::{
    State, WebDevice, WebState, fresh,
    hours::{Minute, OfDay},
    mosaics::Mosaics,
    thumbnails::address,
    time::Span,
};
use crate::{
    access::Caller,
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    incident::{Incident, IncidentKind},
    playback::{
        heatmap::{self, Seen, Status},
        previews::around,
    },
    registry::Filter,
    storage::{layout::ChunkKey, siblings::SLACK_90K},
};

/// Rows of the database at a time, and how often: more than it keeps.
const INCIDENTS_AT_ONCE: usize = 1000;
const PAGES_MAX: usize = 100;
/// Devices whose files are looked at together: as many as there are threads for reading.
pub(super) const TOGETHER: usize = super::reader::THREADS;
/// Minutes that were looked at, some hundred bytes each: an hour of 64 devices.
const MINUTES_KEPT: u64 = 4096;

/// What was derived lately.
pub struct Heatmap {
    /// Found by the chunks that it was made of, once nothing can come to them: none is ever stale.
    minutes: Cache<(DeviceId, Utc90k, Vec<ChunkKey>), Arc<Seen>>,
    pub(super) mosaics: Mosaics,
}

impl Default for Heatmap {
    fn default() -> Self {
        Self { minutes: Cache::new(MINUTES_KEPT), mosaics: Mosaics::default() }
    }
}

/// `GET /api/host/heatmap/{HHMM}.json?date=YYYY-MM-DD`
pub async fn minute(
    state: State,
    caller: Caller,
    name: web::Path<String>,
    day: web::Query<OfDay>,
) -> Result<HttpResponse> {
    let minute = Minute::parse(&name, &day, state.clock.wall())?;
    let all = glance(&state, &caller, minute).await?;
    let host = state.settings.server.host_name();
    let body = json!({
        "time_key": name.into_inner(),
        "timestamp": minute.from.rfc3339(),
        "incidents_count": all.devices.iter().map(|device| device.kinds.len()).sum::<usize>(),
        "incidents_complete": all.incidents_known,
        "devices": all.devices.iter().map(|device| device.told(&host)).collect::<Vec<_>>(),
    });
    Ok(fresh(HttpResponse::Ok(), body))
}

/// A minute of all devices.
pub(super) struct Glance {
    pub devices: Vec<OneDevice>,
    /// False: the database did not answer, and nothing is called well.
    incidents_known: bool,
}

/// A minute of one device.
pub(super) struct OneDevice {
    pub device: Arc<WebDevice>,
    seen: Arc<Seen>,
    /// Of the incidents that reach into the minute, one each.
    kinds: Vec<IncidentKind>,
    pub status: Status,
    pub still: Option<Still>,
}

#[derive(Clone)]
pub(super) struct Still {
    pub at: Utc90k,
    pub lies: Lies,
}

#[derive(Clone)]
pub(super) enum Lies {
    /// It waits for its commit.
    InRam(Bytes),
    Beside(ChunkKey),
}

impl OneDevice {
    /// Small: 16 of them in 5 KB.
    fn told(&self, host: &str) -> Value {
        let seen = &self.seen;
        let mut analysis = Map::new();
        let mut put = |name: &str, value: Value| drop(analysis.insert(name.to_owned(), value));
        put("frames", seen.frames.into());
        put("blackscreen", seen.black.worst().into());
        put("freeze", seen.freeze.worst().into());
        put("audio", seen.silence.worst().map(|silent| !silent).into());
        put("mean_volume_db", seen.mean_volume_db().into());
        put("volume_percentage", seen.volume_percentage().into());
        let shares =
            [("blackscreen_percent", seen.black), ("freeze_percent", seen.freeze), ("silence_percent", seen.silence)];
        for (name, tally) in shares.into_iter().filter(|(_, tally)| tally.bad > 0) {
            put(name, tally.bad_percent().into());
        }
        if !self.kinds.is_empty() {
            put("incidents", json!(self.kinds));
        }
        json!({
            "host_name": host,
            "device_id": self.device.id,
            "device_name": self.device.camera.display_name(),
            "image_url": self.still.as_ref().map(|still| address(&self.device.id, still.at)),
            "analysis_json": analysis,
            "status": self.status.name(),
        })
    }
}

/// What is known of that minute, device by device in the order of the configuration.
pub(super) async fn glance(state: &WebState, caller: &Caller, minute: Minute) -> Result<Glance> {
    let mut incidents: Vec<Incident> = Vec::new();
    let span = Span { from: minute.from, to: minute.to };
    let now = state.clock.wall();
    let is_known = each_incident(state, span, |incident| {
        // One that lasts does not reach into what is still to come.
        if incident.end.is_some() || minute.from <= now {
            incidents.push(incident);
        }
    })
    .await;
    let devices = state.seen(caller);
    // One that fails hides no other: it is unknown.
    let looks = stream::iter(devices.iter().cloned()).map(|device| async {
        let found = look(state, &device, minute).await;
        (device, found)
    });
    let looked: Vec<_> = looks.buffered(TOGETHER).collect().await;
    let mut out = Vec::with_capacity(looked.len());
    for (device, found) in looked {
        let (seen, stills) = match found {
            Err(error) if error.kind == Kind::Unavailable => return Err(error),
            found => found.unwrap_or_default(),
        };
        let its: Vec<_> = incidents.iter().filter(|incident| incident.device == device.id).collect();
        let status = match () {
            () if !its.is_empty() => Status::Ko,
            () if is_known && seen.is_judged() => Status::Ok,
            () => Status::Unknown,
        };
        // The newest; of those that show trouble, if some do.
        let shows = |at: Utc90k| its.iter().any(|it| it.start <= at && it.end.is_none_or(|end| at < end));
        let still = stills.into_iter().max_by_key(|still| (shows(still.at), still.at));
        out.push(OneDevice { device, seen, kinds: its.iter().map(|it| it.kind).collect(), status, still });
    }
    Ok(Glance { devices: out, incidents_known: is_known })
}

/// Frames and stills of one device, wherever they lie.
async fn look(state: &WebState, device: &WebDevice, minute: Minute) -> Result<(Arc<Seen>, Vec<Still>)> {
    let interval_90k = i64::from(state.settings.archive.preview_interval_seconds) * TICKS_PER_SECOND;
    let stills_from = minute.from.min(minute.to + -interval_90k);
    // Before the disk: what is written meanwhile is found there.
    let lines = device.siblings.lines_waiting(minute.from, minute.to);
    let waiting = device.siblings.stills_waiting(stills_from, minute.to);
    let waiting = waiting.into_iter().map(|(at, jpeg)| Still { at, lies: Lies::InRam(jpeg) });
    let chunks = around(&device.index.snapshot(), stills_from, minute.to);
    // Nothing will come to what lies in the ring, once footage beyond the minute does too.
    let in_ring = chunks.iter().all(|chunk| chunk.place.is_settled());
    let is_final = in_ring && chunks.last().is_some_and(|last| last.end > minute.to + SLACK_90K);
    let key = (device.id.clone(), minute.from, chunks.iter().map(|chunk| chunk.key).collect());
    let kept = state.heatmap.minutes.get(&key).filter(|_| lines.is_empty());
    let seen = match kept {
        Some(seen) => seen,
        None if chunks.is_empty() && lines.is_empty() => Arc::default(),
        None => {
            let is_kept = is_final && lines.is_empty();
            let (volume, index) = (Arc::clone(&state.volume), Arc::clone(&device.index));
            let (cache, from, to) = (state.previews.clone(), minute.from, minute.to);
            let where_to = heatmap::Minute { from, to, stills_from, chunks };
            let seen = Arc::new(run(state, move || heatmap::look(&volume, &index, &cache, &where_to, lines)).await?);
            if is_kept {
                state.heatmap.minutes.insert(key, Arc::clone(&seen));
            }
            seen
        }
    };
    let stills = seen.stills.iter().map(|(at, key)| Still { at: *at, lies: Lies::Beside(*key) });
    let stills = stills.chain(waiting).collect();
    Ok((seen, stills))
}

/// Gives each incident that reaches into `span` and that nobody discarded; false when the database does not tell all.
pub(super) async fn each_incident(state: &WebState, span: Span, mut each: impl FnMut(Incident)) -> bool {
    let (from, to, limit) = (Some(span.from), Some(span.to), INCIDENTS_AT_ONCE);
    let mut filter = Filter { from, to, limit, discarded: Some(false), ..Filter::default() };
    for _ in 0..PAGES_MAX {
        let Ok(page) = state.registry.incidents(filter.clone()).await else { return false };
        page.incidents.into_iter().for_each(&mut each);
        filter.after = page.next;
        if filter.after.is_none() {
            return true;
        }
    }
    false
}

pub(super) async fn run<T: Send + 'static>(
    state: &WebState,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = state.readers.run(work).await;
    done.unwrap_or_else(|busy| Err(Error::new(Kind::Unavailable, busy.to_string())))
}
