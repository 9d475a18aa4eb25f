//! Chunks without a daemon: written and sealed by the recorder's own writer.

use std::{path::Path, sync::Arc};

use capstan::{
    clock::{Clock, Utc90k},
    config::Storage,
    ids::{DeviceId, Epoch, SegmentKey},
    media::{AudioCodec, AudioConfig, VideoCodec, VideoConfig},
    merge::chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, OutSample, SealedChunk, TrackRun},
    storage::{
        Volume,
        layout::{RingSlot, Sibling},
    },
};

/// A second of sound: sealed and durable, still where chunks grow.
pub fn sealed_sound(volume: &Arc<Volume>, device: &DeviceId, start: Utc90k, generation: u32) -> SealedChunk {
    let audio = AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate: 48_000,
        channels: 1,
        samples_per_frame: 1024,
        specific: vec![0x11, 0x88],
    };
    let spec = ChunkSpec { device: device.clone(), start, generation, video: None, audio: Some(audio), fps: 0.0 };
    let mut writer = ChunkWriter::create(Arc::clone(volume), spec).unwrap();
    let samples: Vec<_> =
        (0..46).map(|at| OutSample { duration: 1024, cts: 0, sync: true, data: at * 64..(at + 1) * 64 }).collect();
    let run = TrackRun { base: 0, samples: &samples, es: &[7; 46 * 64] };
    writer.append(&Fragment { video: None, audio: Some(run) }).unwrap();
    writer.commit(MarkInfo::default()).unwrap();
    writer.seal().unwrap()
}

/// Pictures of one size in a chunk that is sealed and durable, still where chunks grow: each at so many seconds after its
/// beginning, and for as long. What they show cannot be decoded; FFmpeg finds and counts them.
pub fn sealed_pictures(
    volume: &Arc<Volume>,
    device: &DeviceId,
    start: Utc90k,
    pictures: &[(u64, u32)],
    number: u64,
) -> SealedChunk {
    let sps = [
        0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5,
        0x0a, 0xa8,
    ];
    let video = VideoConfig::from_parameter_sets(VideoCodec::H264, vec![sps.to_vec(), vec![0x68, 0xce, 0x0f, 0xc8]]);
    let spec = ChunkSpec { device: device.clone(), start, generation: 0, video, audio: None, fps: 1.0 };
    let mut writer = ChunkWriter::create(Arc::clone(volume), spec).unwrap();
    let es = [0, 0, 0, 1, 0x65, 0x88, 0x84, 0];
    for (at, seconds) in pictures {
        let samples = [OutSample { duration: seconds * 90_000, cts: 0, sync: true, data: 0..es.len() }];
        let run = TrackRun { base: at * 90_000, samples: &samples, es: &es };
        writer.append(&Fragment { video: Some(run), audio: None }).unwrap();
    }
    let last = SegmentKey { epoch: Epoch(1), number };
    writer.commit(MarkInfo { last, ..MarkInfo::default() }).unwrap();
    writer.seal().unwrap()
}

/// Gives it its name in the ring, and lines of metadata beside it that say nothing.
pub fn into_ring(volume: &Volume, device: &DeviceId, slot: RingSlot, sealed: &SealedChunk) {
    let layout = volume.layout();
    volume.mkdir_all(&layout.ring_hour(device, slot.hour)).unwrap();
    volume.rename_new(&sealed.path, &layout.ring_chunk(device, slot)).unwrap();
    let lines = layout.ring_sibling(device, Sibling::Metadata, slot);
    volume.mkdir_all(lines.parent().unwrap()).unwrap();
    volume.write_atomic(&lines, b"").unwrap();
}

/// Chunks in the ring that a daemon of before recorded so many hours ago; their starts in seconds.
pub fn in_ring(root: &Path, device: &str, hours_ago: &[i64]) -> Vec<i64> {
    let device: DeviceId = device.parse().unwrap();
    let volume = Volume::open(&Storage { root: root.to_owned(), ..Storage::default() }, &Clock::system()).unwrap();
    let now = Clock::system().wall().as_seconds();
    let record = |hours: &i64| {
        let start = (now - hours * 3600) / 600 * 600;
        let at = Utc90k::from_seconds(start);
        into_ring(&volume, &device, RingSlot::of(at, 600), &sealed_sound(&volume, &device, at, 0));
        start
    };
    hours_ago.iter().map(record).collect()
}
