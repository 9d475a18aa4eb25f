//! Archives of many hours made in seconds: ten minutes are encoded and merged once; each chunk gets head, table and
//! times of its own and a copy of those fragments. Such a file is what the merger would have sealed.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use capstan::{
    clock::{Clock, Utc90k},
    ids::{DeviceId, Epoch, SegmentKey},
    media::mp4::{
        Fragment, MarkInfo, OutSample, SealedMeta, TrackRun,
        head::Head,
        scan::{self, Piece},
        seal,
        table::{Run, Tables},
        tracks::Tracks,
    },
    merge::chunk::ChunkWriter,
    storage::{
        layout::{ColdLayout, RingSlot},
        volume::Volume,
    },
};

/// Of one chunk.
pub const CHUNK_SECONDS: i64 = 600;

/// The coded pictures and sound.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub size: &'static str,
    pub video_kbps: u32,
    pub audio_kbps: u32,
}

/// As many pictures, fragments and frames of sound as any 30 fps camera has, in few bytes: what lists and tables cost
/// depends on their number alone, and a day of eight devices fits in 6 GB.
pub const SMALL: Kind = Kind { size: "320x180", video_kbps: 30, audio_kbps: 8 };
/// What a viewer really downloads.
pub const HD: Kind = Kind { size: "1280x720", video_kbps: 1500, audio_kbps: 64 };

/// Ten minutes as the merger lays them out, to be copied with other names and times.
pub struct Template {
    /// From the first fragment on.
    fragments: Vec<u8>,
    data_offset: u64,
    tables: Tables,
    tracks: Tracks,
}

impl Template {
    pub fn new(kind: Kind) -> Self {
        let folder = super::folders().remove(0).1;
        let files = super::segments(folder.path(), kind, 60, 60);
        let volume = super::volume(folder.path());
        let writer = ten_minutes(&volume, &files);
        let file = fs::read(volume.root().join(writer.path())).unwrap();
        let head = Head::read(&file).unwrap().unwrap();
        let data_offset = head.meta.data_offset;
        let mut tables = Tables::default();
        for piece in scan::shallow(&file, data_offset, file.len() as u64).unwrap() {
            if let Piece::Fragment(fragment) = piece {
                let [video, audio] = [fragment.video, fragment.audio].map(Option::unwrap_or_default);
                tables.push(&video, &audio, true, head.tracks.audio_rate());
            }
        }
        let fragments = file[data_offset as usize..].to_vec();
        Self { fragments, data_offset, tables, tracks: head.tracks }
    }

    /// The sealed chunk of `device` that begins at `start`, in its place of the ring.
    pub fn write(&self, root: &Path, device: &DeviceId, start: Utc90k) -> io::Result<()> {
        let head = Head::new(device, start, 0, self.tracks.clone(), 30.0).unwrap();
        assert_eq!(head.meta.data_offset, self.data_offset);
        let last = SegmentKey { epoch: Epoch(1), number: start.as_seconds() as u64 };
        let last_mark = Some(MarkInfo { last, ..MarkInfo::default() });
        let sealed = SealedMeta { end: head.end(&self.tables), gaps: 0, last_mark };
        let media_end = self.data_offset + self.fragments.len() as u64;
        let sealing = seal::plan(&head, &self.tables, sealed, media_end).unwrap();
        let slot = RingSlot::of(start, CHUNK_SECONDS as u32);
        let path = root.join(ColdLayout::new("").ring_chunk(device, slot));
        fs::create_dir_all(path.parent().unwrap())?;
        let file = File::create(&path)?;
        file.write_all_at(&head.image, 0)?;
        for (at, bytes) in &sealing.before {
            file.write_all_at(bytes, *at)?;
        }
        file.write_all_at(&sealing.flip.1, sealing.flip.0)?;
        file.write_all_at(&self.fragments, self.data_offset)?;
        file.set_len(sealing.len)
    }
}

/// When the chunks of `hours` begin that end with the last full ten minutes. Less than 24 hours, or the ring is too
/// small. Ask once: the next ten minutes come while a bench runs.
pub fn starts(hours: i64) -> Vec<Utc90k> {
    let newest = Clock::system().wall().as_seconds() / CHUNK_SECONDS * CHUNK_SECONDS;
    let count = hours * 3600 / CHUNK_SECONDS;
    (1..=count).rev().map(|back| Utc90k::from_seconds(newest - back * CHUNK_SECONDS)).collect()
}

/// Fills `root` with a chunk of each device at each of `starts`, which end up on the disk and in RAM.
pub fn fill(root: &Path, template: &Template, starts: &[Utc90k], devices: &[String]) {
    for device in devices {
        let device = device.parse().unwrap();
        for start in starts {
            template.write(root, &device, *start).unwrap();
        }
    }
    rustix::fs::syncfs(File::open(root).unwrap()).unwrap();
}

/// Forgets what RAM holds of the files below `folder`. They must have been written to the disk.
pub fn drop_caches(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            drop_caches(&path);
        } else if let Ok(file) = File::open(&path) {
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        }
    }
}

/// One merged minute, appended and committed ten times.
pub fn ten_minutes(volume: &Arc<Volume>, files: &[PathBuf]) -> ChunkWriter {
    let (first, _) = super::merge(volume, files);
    let mut spec = first.spec().clone();
    let minute = fs::read(volume.root().join(first.path())).unwrap();
    let data_offset = first.meta().data_offset;
    first.discard().unwrap();
    spec.generation = 1;
    let mut writer = ChunkWriter::create(Arc::clone(volume), spec).unwrap();
    let pieces = scan::shallow(&minute, data_offset, minute.len() as u64).unwrap();
    // Back to Annex B, as the writer takes it.
    let mut video_es = minute.clone();
    let runs = pieces.iter().filter_map(|piece| match piece {
        Piece::Fragment(fragment) => Some((fragment.video.as_ref().unwrap(), fragment.audio.as_ref().unwrap())),
        _ => None,
    });
    let runs: Vec<_> = runs.collect();
    for turn in 0..10u64 {
        // Sound goes on from minute to minute and from chunk to chunk, as a camera's does: ten minutes are 28,125 frames
        // of it. Chromium stalls at a hole of 32 ms between two chunks.
        let frame = u64::from(runs[0].1.samples[0].duration);
        let [from, to] = [turn, turn + 1].map(|turn| (turn * 60 * 48_000).div_ceil(frame) * frame);
        for (number, (video, audio)) in runs.iter().enumerate() {
            let video_samples = samples(video);
            for sample in &video_samples {
                start_codes(&mut video_es[sample.data.clone()]);
            }
            let mut audio_samples = samples(audio);
            let base = from + audio.base - runs[0].1.base;
            if number + 1 == runs.len() {
                let last = audio_samples.last().unwrap().clone();
                audio_samples.resize(((to - base) / frame) as usize, last);
            }
            writer
                .append(&Fragment {
                    video: Some(TrackRun {
                        base: video.base + turn * 60 * 90_000,
                        samples: &video_samples,
                        es: &video_es,
                    }),
                    audio: Some(TrackRun { base, samples: &audio_samples, es: &minute }),
                })
                .unwrap();
        }
        let last = SegmentKey { epoch: Epoch(1), number: turn };
        writer.commit(MarkInfo { last, ..MarkInfo::default() }).unwrap();
    }
    writer
}

fn samples(run: &Run) -> Vec<OutSample> {
    let mut at = run.offset as usize;
    let samples = run.samples.iter().map(|sample| {
        let data = at..at + sample.size as usize;
        at = data.end;
        OutSample { duration: sample.duration, cts: sample.cts, sync: sample.sync, data }
    });
    samples.collect()
}

/// Four length bytes become a four-byte start code.
fn start_codes(mut sample: &mut [u8]) {
    while let Some((length, rest)) = sample.split_first_chunk_mut::<4>() {
        let size = u32::from_be_bytes(*length) as usize;
        let already = *length == [0, 0, 0, 1];
        *length = [0, 0, 0, 1];
        if already {
            return;
        }
        sample = &mut rest[size..];
    }
}
