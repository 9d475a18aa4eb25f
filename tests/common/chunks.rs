//! Chunks without a daemon: written and sealed by the recorder's own writer.

use std::{path::Path, sync::Arc};

use capstan::{
    clock::{Clock, Utc90k},
    config::Storage,
    ids::DeviceId,
    media::{AudioCodec, AudioConfig},
    merge::chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, OutSample, SealedChunk, TrackRun},
    storage::{Volume, layout::RingSlot},
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

/// Chunks in the ring that a daemon of before recorded so many hours ago; their starts in seconds.
pub fn in_ring(root: &Path, device: &str, hours_ago: &[i64]) -> Vec<i64> {
    let device: DeviceId = device.parse().unwrap();
    let volume = Volume::open(&Storage { root: root.to_owned(), ..Storage::default() }, &Clock::system()).unwrap();
    let now = Clock::system().wall().as_seconds();
    let record = |hours: &i64| {
        let start = (now - hours * 3600) / 600 * 600;
        let at = Utc90k::from_seconds(start);
        let sealed = sealed_sound(&volume, &device, at, 0);
        let slot = RingSlot::of(at, 600);
        volume.mkdir_all(&volume.layout().ring_hour(&device, slot.hour)).unwrap();
        volume.rename_new(&sealed.path, &volume.layout().ring_chunk(&device, slot)).unwrap();
        start
    };
    hours_ago.iter().map(record).collect()
}
