//! What chunk tests share: a volume in a temporary folder, real media by FFmpeg, small made-up media, checks by FFmpeg.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use capstan::{
    clock::{Clock, Utc90k},
    config,
    ids::{DeviceId, Epoch, SegmentKey},
    media::{AudioCodec, AudioConfig, Segment, VideoCodec, VideoConfig, mpegts},
    merge::chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, OutSample, TrackRun},
    storage::volume::Volume,
};

/// 2026-11-20T03:50:00Z.
pub const START: Utc90k = Utc90k::from_seconds(1_795_146_600);

pub struct Place {
    pub folder: tempfile::TempDir,
    pub volume: Arc<Volume>,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = config::Storage { root: folder.path().join("archive"), ..config::Storage::default() };
        let volume = Volume::open(&storage, &Clock::system()).unwrap();
        Self { folder, volume }
    }

    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.volume.root().join(path)
    }
}

pub fn device() -> DeviceId {
    "cam".parse().unwrap()
}

pub fn mark(number: u64) -> MarkInfo {
    let last = SegmentKey { epoch: Epoch(3), number };
    MarkInfo { last, last_dts_90k: [Some(number as i64 * 90_000), None], offset_90k: START.0 }
}

/// One GOP that owns its bytes.
#[derive(Clone, Debug, Default)]
pub struct Gop {
    pub video: Option<Owned>,
    pub audio: Option<Owned>,
}

#[derive(Clone, Debug)]
pub struct Owned {
    pub base: u64,
    pub samples: Vec<OutSample>,
    pub es: Vec<u8>,
}

impl Owned {
    fn as_run(&self) -> TrackRun<'_> {
        TrackRun { base: self.base, samples: &self.samples, es: &self.es }
    }
}

impl Gop {
    pub fn as_fragment(&self) -> Fragment<'_> {
        Fragment { video: self.video.as_ref().map(Owned::as_run), audio: self.audio.as_ref().map(Owned::as_run) }
    }

    pub fn samples(&self) -> usize {
        [&self.video, &self.audio].into_iter().flatten().map(|run| run.samples.len()).sum()
    }
}

/// Media of a device and what it takes to open a chunk for it.
pub struct Media {
    pub spec: ChunkSpec,
    pub gops: Vec<Gop>,
}

impl Media {
    /// Appends and commits, `per_commit` GOPs each.
    pub fn record(&self, place: &Place, per_commit: usize) -> ChunkWriter {
        let mut writer = ChunkWriter::create(Arc::clone(&place.volume), self.spec.clone()).unwrap();
        for (index, batch) in self.gops.chunks(per_commit).enumerate() {
            for gop in batch {
                writer.append(&gop.as_fragment()).unwrap();
            }
            writer.commit(mark(index as u64 + 1)).unwrap();
        }
        writer
    }

    pub fn samples(&self) -> usize {
        self.gops.iter().map(Gop::samples).sum()
    }
}

/// What FFmpeg encodes from `arguments` as 1 s TS segments, one GOP each, as the merger would hand it on.
pub fn encode(folder: &Path, arguments: &str) -> Media {
    std::fs::create_dir_all(folder).unwrap();
    let pattern = folder.join("%03d.ts");
    // Its own warnings about encoders do not matter; those about our files do.
    ffmpeg(&format!("-v error {arguments} -f segment -segment_time 1 -segment_format mpegts {}", pattern.display()));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "ts"));
    files.sort();
    let mut near = None;
    let segments: Vec<Segment> = files
        .iter()
        .map(|file| {
            let segment = mpegts::demux(&std::fs::read(file).unwrap(), near).unwrap();
            near = segment.video.as_ref().and_then(|track| track.samples.last()).map(|sample| sample.pts_90k).or(near);
            segment
        })
        .collect();
    lay_out(&segments)
}

/// The part of the merger's timeline that a clean, single run needs.
pub fn lay_out(segments: &[Segment]) -> Media {
    let first = segments.first().unwrap();
    let video_pts = first.video.iter().flat_map(|track| &track.samples).map(|sample| sample.pts_90k);
    let audio_pts = first.audio.iter().flat_map(|track| &track.samples).map(|sample| sample.pts_90k);
    let zero = video_pts.chain(audio_pts).min().unwrap();
    let video_config = first.video.as_ref().and_then(|track| track.config.clone());
    let audio_config = first.audio.first().map(|track| track.config.clone());
    // Decode times are shifted so that the first is not before the chunk; composition offsets take it back.
    let dts_shift =
        first.video.iter().flat_map(|track| &track.samples).map(|s| zero - s.dts_90k).max().unwrap_or(0).max(0);
    let mut audio_time = None;
    let mut gops = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let next_dts = segments.get(index + 1).and_then(|next| next.video.as_ref()).map(|t| t.samples[0].dts_90k);
        let video = segment.video.as_ref().map(|track| {
            let mut samples = Vec::new();
            for (at, sample) in track.samples.iter().enumerate() {
                let next = track.samples.get(at + 1).map(|next| next.dts_90k).or(next_dts);
                let duration = next.map_or(3000, |next| (next - sample.dts_90k) as u32);
                let cts = (sample.pts_90k - sample.dts_90k - dts_shift) as i32;
                samples.push(OutSample { duration, cts, sync: sample.sync, data: sample.data.clone() });
            }
            let base = (track.samples[0].dts_90k + dts_shift - zero) as u64;
            Owned { base, samples, es: track.es.clone() }
        });
        let audio = segment.audio.first().map(|track| {
            let rate = i64::from(track.config.sample_rate);
            let base = *audio_time.get_or_insert((track.samples[0].pts_90k - zero) * rate / 90_000) as u64;
            let duration = track.config.samples_per_frame;
            let samples: Vec<OutSample> = track
                .samples
                .iter()
                .map(|sample| OutSample { duration, cts: 0, sync: true, data: sample.data.clone() })
                .collect();
            audio_time = Some(base as i64 + samples.len() as i64 * i64::from(duration));
            Owned { base, samples, es: track.es.clone() }
        });
        gops.push(Gop { video, audio });
    }
    let spec = ChunkSpec {
        device: device(),
        start: START,
        generation: 0,
        video: video_config,
        audio: audio_config,
        fps: 30.0,
    };
    Media { spec, gops }
}

/// Media that looks right to everything but a decoder, small enough for tests of every byte.
pub fn small(gops: usize, has_audio: bool) -> Media {
    let sps = [
        0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5,
        0x0a, 0xa8,
    ];
    let parameter_sets = vec![sps.to_vec(), vec![0x68, 0xce, 0x0f, 0xc8]];
    let video = VideoConfig::from_parameter_sets(VideoCodec::H264, parameter_sets).unwrap();
    let audio = AudioConfig {
        codec: AudioCodec::Aac,
        sample_rate: 48_000,
        channels: 1,
        samples_per_frame: 1024,
        specific: vec![0x11, 0x88],
    };
    let mut random = Random(7);
    let gops = (0..gops as u64).map(|index| Gop {
        video: Some(random.run(index * 9000, 3000, 3, &[0, 0, 0, 1, 0x65])),
        audio: has_audio.then(|| random.run(index * 4096, 1024, 4, &[])),
    });
    let gops = gops.collect();
    let audio = has_audio.then_some(audio);
    let spec = ChunkSpec { device: device(), start: START, generation: 0, video: Some(video), audio, fps: 30.0 };
    Media { spec, gops }
}

/// SplitMix64: seeded, so that a failure can be run again.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    fn run(&mut self, base: u64, duration: u32, count: usize, prefix: &[u8]) -> Owned {
        let mut es = Vec::new();
        let samples = (0..count).map(|index| {
            let start = es.len();
            es.extend_from_slice(prefix);
            let len = 20 + self.below(100);
            es.extend((0..len).map(|_| 1 + self.below(255) as u8));
            OutSample { duration, cts: 0, sync: index == 0 || prefix.is_empty(), data: start..es.len() }
        });
        let samples = samples.collect();
        Owned { base, samples, es }
    }
}

/// How many rounds a randomised test runs: `CAPSTAN_ROUNDS` or few.
pub fn rounds(few: u64) -> u64 {
    std::env::var("CAPSTAN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Runs `ffmpeg` and demands that it succeeds without a word.
pub fn ffmpeg(arguments: &str) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "warning", "-y"])
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffmpeg {arguments}\n{said}");
}

/// Decodes all of a file; any complaint is a failure. Returns decoded frames of video and of audio.
pub fn decode(path: &Path) -> [usize; 2] {
    ffmpeg(&format!("-xerror -i {} -f null -", path.display()));
    let told = ffprobe(path, "-count_frames -show_entries stream=codec_type,nb_read_frames -of csv=p=0");
    ["video,", "audio,"].map(|kind| {
        let count = told.lines().find_map(|line| line.strip_prefix(kind));
        count.and_then(|count| count.trim_end_matches(',').parse().ok()).unwrap_or(0)
    })
}

/// What `ffprobe` prints; it must have nothing to complain of.
pub fn ffprobe(path: &Path, arguments: &str) -> String {
    let output =
        Command::new("ffprobe").args(["-v", "warning"]).args(arguments.split_whitespace()).arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffprobe {}\n{said}", path.display());
    String::from_utf8(output.stdout).unwrap()
}
