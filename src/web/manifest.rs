//! `archive_manifest.json`: the sealed chunks of a device's ring, as players of the last 24 hours read them.

use actix_web::{HttpResponse, http::header, web};
use serde::Serialize;

use super::{State, chunks::address};
use crate::{
    clock::TICKS_PER_SECOND,
    config::Archive,
    error::Result,
    ids::DeviceId,
    storage::index::{ChunkEntry, Place},
};

/// The shape of the contract; a window is one hour.
#[derive(Debug, Serialize)]
struct Manifest {
    total_duration_seconds: u32,
    window_hours: u32,
    segments_per_window: u32,
    manifests: Vec<Entry>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Entry {
    /// Relative to the folder this manifest lies in.
    name: String,
    /// UTC hour.
    window_index: u8,
    chunk_index: u16,
    /// Within the UTC day on which the chunk began.
    start_time_seconds: f64,
    end_time_seconds: f64,
    duration_seconds: f64,
    start: String,
    end: String,
    /// The stable address.
    url: String,
    bytes: u64,
    codecs: String,
    gaps: u32,
}

/// `GET /host/stream/{device}/segments/archive_manifest.json`
pub async fn archive(state: State, device: web::Path<String>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let manifest = manifest(&device.id, device.index.snapshot().iter(), &state.in_force().archive);
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-cache")).json(manifest))
}

fn manifest<'a>(
    device: &DeviceId,
    chunks: impl IntoIterator<Item = &'a std::sync::Arc<ChunkEntry>>,
    archive: &Archive,
) -> Manifest {
    Manifest {
        total_duration_seconds: archive.window_hours * 3600,
        window_hours: 1,
        segments_per_window: 3600 / archive.chunk_seconds.max(1),
        manifests: chunks.into_iter().filter_map(|chunk| entry(device, chunk)).collect(),
    }
}

/// None for what has no ring name: the growing chunk.
fn entry(device: &DeviceId, chunk: &ChunkEntry) -> Option<Entry> {
    let Place::Ring(slot) = chunk.place else { return None };
    if !chunk.sealed {
        return None;
    }
    let seconds = |ticks: i64| ticks as f64 / TICKS_PER_SECOND as f64;
    let start = seconds(chunk.start.0.rem_euclid(86_400 * TICKS_PER_SECOND));
    let duration = seconds(chunk.end - chunk.start);
    Some(Entry {
        name: format!("{}/{}", slot.hour, slot.file_name()),
        window_index: slot.hour,
        chunk_index: slot.index,
        start_time_seconds: start,
        end_time_seconds: start + duration,
        duration_seconds: duration,
        start: chunk.start.rfc3339(),
        end: chunk.end.rfc3339(),
        url: address(device, chunk.key),
        bytes: chunk.bytes,
        codecs: chunk.codecs.to_string(),
        gaps: chunk.gaps,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Utc90k,
        storage::layout::{ChunkKey, RingSlot},
    };

    #[test]
    fn lists_sealed_ring_chunks_with_real_durations() {
        // 22:13:20.5 UTC: the second chunk of hour 22.
        let start = Utc90k::from_ms(1_700_000_000_500);
        let chunk = |place, sealed| {
            Arc::new(ChunkEntry {
                key: ChunkKey { start_ms: start.as_ms(), generation: 0 },
                place,
                start,
                end: start + 90_000 * 399 + 45_000,
                bytes: 1234,
                codecs: "avc1.64001f".into(),
                gaps: 1,
                holes: None,
                sealed,
                original: false,
            })
        };
        let slot = RingSlot::of(start, 600);
        let chunks = [chunk(Place::Ring(slot), true), chunk(Place::Temp, true), chunk(Place::Temp, false)];
        let manifest = manifest(&"cam".parse().unwrap(), &chunks, &Archive::default());
        assert_eq!(
            serde_json::to_value(&manifest).unwrap(),
            serde_json::json!({
                "total_duration_seconds": 86400, "window_hours": 1, "segments_per_window": 6,
                "manifests": [{
                    "name": "22/chunk_10min_1.mp4", "window_index": 22, "chunk_index": 1,
                    "start_time_seconds": 80000.5, "end_time_seconds": 80400.0, "duration_seconds": 399.5,
                    "start": "2023-11-14T22:13:20.500Z", "end": "2023-11-14T22:20:00.000Z",
                    "url": "/host/stream/cam/chunks/1700000000500-0.mp4",
                    "bytes": 1234, "codecs": "avc1.64001f", "gaps": 1,
                }],
            })
        );
    }
}
