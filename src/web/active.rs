//! `GET /api/cameras/active`: how every camera does, from snapshots alone.

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::json;

use super::{State, WebDevice, WebState, facts, fresh};
use crate::{
    access::Caller,
    clock::{TICKS_PER_SECOND, Utc90k, ticks_90k},
    storage::index::Chunks,
};

const DAY_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;

#[derive(Serialize)]
struct Active<'a> {
    id: &'a str,
    name: &'a str,
    area: &'a str,
    source: &'static str,
    enabled: bool,
    status: &'static str,
    since: Option<String>,
    /// A word for programs.
    reason: Option<&'static str>,
    /// The same for people.
    message: Option<String>,
    last_seen: Option<String>,
    uptime_seconds: Option<f64>,
    /// Share of the last 24 hours, or of those since the first footage, that was recorded. Null: nothing is known.
    availability_24h: Option<f64>,
}

/// The handler.
pub async fn list(state: State, caller: Caller) -> HttpResponse {
    let devices = state.seen(&caller);
    let all: Vec<_> = devices.iter().map(|device| active(&state, device)).collect();
    let online = all.iter().filter(|it| matches!(it.status, "online" | "degraded")).count();
    fresh(HttpResponse::Ok(), json!({"cameras": all, "online": online, "total": all.len()}))
}

fn active<'a>(state: &WebState, device: &'a WebDevice) -> Active<'a> {
    let now = state.clock.wall();
    let status = facts::status(state, device);
    let hot = device.hot.status();
    let chunks = device.index.snapshot();
    // By ages on the monotonic clock: one that was set makes nothing newer.
    let ages = [hot.newest_segment_age_seconds, hot.newest_picture_age_seconds].into_iter().flatten();
    let seen = ages.reduce(f64::min).map(|age| now + -((age * TICKS_PER_SECOND as f64) as i64));
    let seen = seen.or_else(|| chunks.newest().map(|chunk| chunk.end));
    let is_up = matches!(status.status, "online" | "degraded");
    let up = status.since.filter(|_| is_up).map(|since| (now - since).max(0) as f64 / TICKS_PER_SECOND as f64);
    let waiting = ticks_90k(std::time::Duration::from_secs(hot.waiting as u64));
    Active {
        id: device.id.as_str(),
        name: device.camera.display_name(),
        area: &device.camera.area,
        source: device.camera.source.kind(),
        enabled: device.camera.enabled,
        status: status.status,
        since: status.since.map(|since| since.rfc3339()),
        reason: status.kind,
        message: status.reason,
        last_seen: seen.map(|at| at.rfc3339()),
        uptime_seconds: up,
        availability_24h: availability(&chunks, waiting, now),
    }
}

/// `waiting_90k` of footage has not reached the disk yet.
fn availability(chunks: &Chunks, waiting_90k: i64, now: Utc90k) -> Option<f64> {
    let day = now + -DAY_90K;
    let Some(oldest) = chunks.first() else { return (waiting_90k > 0).then_some(1.0) };
    let (from, recent) = (oldest.start.max(day), chunks.around(day, now));
    let mut recorded = waiting_90k;
    for chunk in recent {
        let within = |start: Utc90k, end: Utc90k| (end.min(now) - start.max(from)).max(0);
        recorded += within(chunk.start, chunk.end);
        recorded -= chunk.holes().unwrap_or_default().iter().map(|hole| within(hole.start, hole.end)).sum::<i64>();
    }
    let whole = now - from;
    (whole > 0).then(|| (recorded as f64 / whole as f64).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{ChunkEntry, DeviceIndex, Place, layout::ChunkKey};

    const NOW: Utc90k = Utc90k::from_seconds(1_700_000_000);

    #[test]
    fn the_share_of_a_day_or_of_what_there_was_of_it() {
        let check = |chunks: &[(i64, i64)], waiting: i64, expected: Option<f64>| {
            let index = DeviceIndex::new("cam".parse().unwrap());
            for (from, to) in chunks {
                let (start, end) = (NOW + from * TICKS_PER_SECOND, NOW + to * TICKS_PER_SECOND);
                index.put(ChunkEntry {
                    key: ChunkKey { start_ms: start.as_ms(), generation: 0 },
                    place: Place::Temp,
                    start,
                    end,
                    bytes: 1,
                    codecs: "avc1".into(),
                    gaps: 0,
                    holes: None,
                    sealed: true,
                    original: false,
                });
            }
            let found = availability(&index.snapshot(), waiting * TICKS_PER_SECOND, NOW);
            let same = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 0.0001,
                (found, expected) => found == expected,
            };
            assert!(same, "{chunks:?} and {waiting}: {found:?}, not {expected:?}");
        };
        check(&[], 0, None);
        check(&[], 5, Some(1.0));
        check(&[(-600, 0)], 0, Some(1.0));
        check(&[(-600, -60)], 60, Some(1.0));
        check(&[(-600, -300)], 0, Some(0.5));
        // Of yesterday: all of the day counts.
        check(&[(-100_000, -90_000), (-43_200, 0)], 0, Some(0.5));
        check(&[(-86_700, -86_100)], 0, Some(300.0 / 86_400.0));
        check(&[(-100_000, -90_000)], 0, Some(0.0));
    }
}
