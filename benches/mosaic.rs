//! A minute of 16 devices from the disk to one picture, nothing of it at hand: verdicts, stills, the mosaic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

use std::{fs::File, path::Path, sync::Arc};

use bytes::Bytes;
use capstan::{
    archive::Siblings,
    clock::{Clock, Mono, Utc90k},
    config::Storage,
    frames::{Frame, Observation, Sound},
    ids::SegmentKey,
    playback::{
        PreviewCache,
        heatmap::{Minute, Status, look, still},
        mosaic::{Tile, compose},
        previews::around,
    },
    storage::{Beside, ChunkEntry, DeviceIndex, Place, Volume, layout::ChunkKey},
    telemetry::Metrics,
};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

const DEVICES: usize = 16;
const ROUNDS: usize = 25;
/// 2023-11-14T22:00:00Z
const START: Utc90k = Utc90k::from_seconds(1_699_999_200);
const KEY: ChunkKey = ChunkKey { start_ms: 1_699_999_200_000, generation: 0 };
const TICKS_90K: i64 = 90_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage { root: folder.path().join("archive"), ..Storage::default() };
    let volume = Volume::open(&storage, &Clock::system()).unwrap();
    let thumbnails: Vec<Bytes> = (0..60).map(thumbnail).collect();
    let devices: Vec<_> = (0..DEVICES).map(|number| record(&volume, number, &thumbnails)).collect();

    let (clock, mut took, mut bytes) = (Clock::system(), Vec::new(), 0);
    // As many at a time as there are cores; the daemon reads with more threads.
    for _ in 0..ROUNDS {
        forget(folder.path());
        let began = clock.mono();
        bytes = glance(&volume, &devices).len();
        took.push(clock.mono().since(began).as_secs_f64() * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    let (median, worst) = (took[ROUNDS / 2], took[ROUNDS - 1]);
    println!("claim\tmosaic\t\t{median:.1} ms ({worst:.1} at most), {} KB", bytes / 1000);
}

/// Ten minutes of one device, looked at five times a second, with their stills.
fn record(volume: &Arc<Volume>, number: usize, thumbnails: &[Bytes]) -> Arc<DeviceIndex> {
    let index = Arc::new(DeviceIndex::new(format!("device-{number}").parse().unwrap()));
    index.put(ChunkEntry {
        key: KEY,
        place: Place::Temp,
        start: START,
        end: START + 600 * TICKS_90K,
        bytes: 1,
        codecs: "avc1.64001f".into(),
        gaps: 0,
        holes: None,
        sealed: true,
        original: false,
    });
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let metrics = Metrics::new().device(index.device());
    volume.mkdir_all(&volume.layout().temp(index.device())).unwrap();
    let siblings = Siblings::new(volume.clone(), index.clone(), 10, metrics, log);
    let witness = siblings.witness();
    for frame in 0..3000 {
        let at = START + frame * TICKS_90K / 5;
        let sound =
            Sound { silent: Some(false), mean_volume_db: Some(-20.0), volume_percentage: Some(60), before_90k: 0 };
        let seen = Observation { at, black: Some(false), freeze: Some(false), sound, ..Observation::default() };
        let jpeg = thumbnails[(frame as usize / 50 + number) % thumbnails.len()].clone();
        witness(&seen, &Frame { key: SegmentKey::default(), at, seen: Mono::ZERO, jpeg });
        // What waits in RAM is bounded.
        if frame % 300 == 299 {
            siblings.committed(KEY, START, at + 1);
        }
    }
    siblings.complete(KEY, START, START + 600 * TICKS_90K);
    index
}

/// Shapes and noise, about as many bytes as a camera's.
fn thumbnail(number: usize) -> Bytes {
    let pixel = |place: usize| {
        let (x, y) = (place % 320, place / 320);
        let noise = (place * 7919 + number * 104_729) % 13;
        let shape = if (x + 5 * number) / 40 % 2 == y / 30 % 2 { 150 } else { 60 };
        [(shape + noise) as u8, (x / 2 + noise) as u8, (y + noise) as u8]
    };
    let pixels: Vec<u8> = (0..320 * 180).flat_map(pixel).collect();
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 75).encode(&pixels, 320, 180, jpeg_encoder::ColorType::Rgb).unwrap();
    jpeg.into()
}

/// All that a request makes of what lies on the disk.
fn glance(volume: &Volume, devices: &[Arc<DeviceIndex>]) -> Vec<u8> {
    let cache = PreviewCache::default();
    let tile = |index: &Arc<DeviceIndex>| {
        let (from, to) = (START + 480 * TICKS_90K, START + 540 * TICKS_90K);
        let chunks = around(&index.snapshot(), from, to);
        let seen = look(volume, index, &cache, &Minute { from, to, stills_from: from, chunks }, Vec::new()).unwrap();
        assert_eq!((seen.frames, seen.stills.len()), (300, 6));
        let (at, key) = *seen.stills.last().unwrap();
        let status = if seen.is_judged() { Status::Ok } else { Status::Unknown };
        Tile { label: index.device().to_string(), status, still: still(volume, index, key, at).unwrap() }
    };
    let tiles: Vec<Tile> = devices.par_iter().map(tile).collect();
    assert!(tiles.iter().all(|tile| tile.still.is_some()));
    compose(&tiles).unwrap()
}

/// Out of the page cache.
fn forget(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            forget(&entry.path());
        } else {
            let file = File::open(entry.path()).unwrap();
            // Only what is on the disk can be let go of.
            file.sync_all().unwrap();
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        }
    }
}
