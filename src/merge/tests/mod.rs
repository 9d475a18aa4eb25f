//! Merging with FFmpeg's own segments, a real disk and a clock that is moved: what is on disk afterwards?

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    archive::Siblings,
    clock::{ManualClock, Utc90k},
    config::{self, Settings},
    error::Result,
    ids::{DeviceId, Epoch, SegmentKey},
    merge::{
        cell::{MergeCell, Token},
        committer::Committer,
        epoch::EpochSource,
        job,
        merger_actor::MergerParts,
        plan::Due,
    },
    storage::{
        ChunkEntry, DeviceIndex, HotDevice, HotLimits, Retention, Volume,
        layout::{HotKind, HotLayout},
    },
    telemetry::Metrics,
};

mod actor;
mod beside;
mod disk;
mod media;

/// 2026-11-20T04:00:00Z.
const HOUR: i64 = 1_795_147_200;
/// Until a segment's file is there.
const DELAY_90K: i64 = 9_000;

fn device() -> DeviceId {
    "cam".parse().unwrap()
}

/// One device between a hot folder in RAM and an archive, and everything of it that would die with the daemon.
struct Bench {
    manual: ManualClock,
    hot_folder: tempfile::TempDir,
    cold_folder: tempfile::TempDir,
    settings: Arc<Settings>,
    evicted: Arc<AtomicU64>,
    daemon: Option<(Arc<MergerParts>, Token)>,
    siblings: Option<Arc<Siblings>>,
}

impl Bench {
    /// `chunk_seconds` long chunks, beginning at `start_s` behind the hour.
    fn new(chunk_seconds: u32, start_s: i64) -> Self {
        let manual = ManualClock::at(Utc90k::from_seconds(HOUR + start_s));
        let hot_folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let cold_folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        (settings.archive.chunk_seconds, settings.archive.commit_seconds) = (chunk_seconds, 2);
        settings.storage.root = cold_folder.path().to_owned();
        let settings = Arc::new(settings);
        let evicted = Arc::default();
        let mut bench = Self { manual, hot_folder, cold_folder, settings, evicted, daemon: None, siblings: None };
        bench.start();
        bench
    }

    fn start(&mut self) {
        let storage = config::Storage { root: self.cold_folder.path().to_owned(), ..config::Storage::default() };
        let clock = self.manual.clock();
        let volume = Volume::open(&storage, &clock).unwrap();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let metrics = Metrics::new().device(&device());
        let committer = Committer::start("commit", 8, log.clone()).unwrap();
        let layout = HotLayout::new(self.hot_folder.path());
        let limits =
            HotLimits { segments: 150, segment_max_age: None, captures: 0, thumbnails: 0, device_bytes: 200 << 20 };
        let hot = Arc::new(HotDevice::new(device(), layout, limits, clock.clone(), metrics.clone()));
        hot.prepare().unwrap();
        let cell = MergeCell::new(self.settings.archive.chunk_seconds);
        let token = cell.adopt();
        let evicted = self.evicted.clone();
        let index = Arc::new(DeviceIndex::new(device()));
        let siblings = Siblings::new(volume.clone(), index.clone(), 2, metrics.clone(), log.clone());
        self.siblings = Some(siblings.clone());
        let parts = MergerParts {
            device: device(),
            stagger: (0, 1),
            settings: self.settings.clone(),
            clock: clock.clone(),
            log: log.clone(),
            hot,
            index,
            retention: Retention::load(&volume, clock),
            epochs: EpochSource::open(device(), volume.clone(), committer.clone(), metrics.clone(), log),
            volume,
            committer,
            cell,
            metrics,
            evict: Arc::new(move |bytes| {
                evicted.fetch_add(bytes, Ordering::Relaxed);
            }),
            stays: Arc::new(|_, _| false),
            told: Arc::new(|_, _| {}),
            beside: siblings,
            tied: Arc::new(|_, _, _| {}),
        };
        self.daemon = Some((Arc::new(parts), token));
    }

    /// The daemon is killed and started again; hot and disk are as they were.
    fn restart(&mut self) {
        // A run number may still be on its way to the disk, and holds the volume's lock until it is there.
        let (done, wait) = std::sync::mpsc::channel::<()>();
        self.parts().committer.submit(Box::new(move || drop(done))).unwrap();
        assert!(wait.recv().is_err());
        (self.daemon, self.siblings) = (None, None);
        self.start();
    }

    fn parts(&self) -> &MergerParts {
        &self.daemon.as_ref().unwrap().0
    }

    fn volume(&self) -> &Volume {
        &self.parts().volume
    }

    /// One job, on this thread.
    fn job(&self, due: Due) -> Result<()> {
        let (parts, token) = self.daemon.as_ref().unwrap();
        job::run(parts, parts.cell.claim(*token).unwrap(), due)
    }

    fn commit(&self) -> Result<()> {
        self.job(Due::Beat)
    }

    /// A segment appears in hot, one second after the one before.
    fn arrive(&self, key: SegmentKey, ts: &Path) {
        self.manual.advance(Duration::from_secs(1));
        let to = HotLayout::new(self.hot_folder.path()).file(&device(), HotKind::Segment, key);
        fs::copy(ts, &to).unwrap();
        let arrived = self.manual.clock().wall() + DELAY_90K;
        // A restarted daemon knows the arrival from the file alone.
        let time = std::time::UNIX_EPOCH + Duration::from_micros((arrived.0 as u64) * 100 / 9);
        fs::File::options().append(true).open(&to).unwrap().set_modified(time).unwrap();
        self.parts().hot.segment_arrived(key, fs::metadata(&to).unwrap().len(), arrived);
    }

    /// Segments of one run arrive, with a commit after every `per_commit`.
    fn record(&self, epoch: u32, clip: &Clip, per_commit: usize) {
        for (number, ts) in clip.segments.iter().enumerate() {
            self.arrive(key(epoch, number as u64), ts);
            if (number + 1) % per_commit == 0 {
                self.commit().unwrap();
            }
        }
        self.commit().unwrap();
    }

    fn chunks(&self) -> Vec<Arc<ChunkEntry>> {
        self.parts().index.snapshot().to_vec()
    }

    fn path(&self, entry: &ChunkEntry) -> PathBuf {
        self.cold_folder.path().join(entry.path(self.volume().layout(), &device()))
    }

    /// Wall time in 90 kHz of every packet of all chunks, in order.
    fn all_packets(&self) -> Packets {
        let mut all = Packets::default();
        for chunk in self.chunks() {
            let of_chunk = probe(&self.path(&chunk));
            all.video.extend(of_chunk.video.into_iter().map(|ticks| chunk.start.0 + ticks));
            all.audio.extend(of_chunk.audio.into_iter().map(|ticks| chunk.start.0 + ticks));
        }
        all.sorted()
    }

    /// Every picture and sound frame of the clip is there exactly once, at its time.
    fn assert_exactly_once(&self, clip: &Clip, offset_90k: i64) {
        let (found, expected) = (self.all_packets(), clip.packets());
        for (what, found, expected) in
            [("pictures", &found.video, &expected.video), ("sound", &found.audio, &expected.audio)]
        {
            assert_eq!(found.len(), expected.len(), "{what} missing or twice");
            let off = found.iter().zip(expected).map(|(found, expected)| (found - expected - offset_90k).abs());
            // One tick of 48 kHz sound is 1.9 ticks of 90 kHz.
            assert!(off.max() <= Some(2), "{what} at another time");
        }
    }

    /// Where the clip's run time lies in wall time, when its first segment was the next to arrive.
    fn offset_90k(&self, clip: &Clip) -> i64 {
        (self.manual.clock().wall() + 90_000 + DELAY_90K).0 - clip.first_end_90k()
    }
}

fn key(epoch: u32, number: u64) -> SegmentKey {
    SegmentKey { epoch: Epoch(epoch), number }
}

/// Segments as FFmpeg writes them.
struct Clip {
    _folder: tempfile::TempDir,
    segments: Vec<PathBuf>,
    packets: OnceLock<Packets>,
}

impl Clip {
    /// `seconds` of a moving picture and a tone, each picture unlike any other.
    fn new(seconds: u32, output: &[&str]) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25"]);
        command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", &seconds.to_string()]);
        command.args(output);
        command.args(["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-hls_segment_filename"]);
        command.arg(folder.path().join("%03d.ts")).arg(folder.path().join("list.m3u8"));
        assert!(command.status().unwrap().success());
        let mut segments: Vec<PathBuf> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "ts"))
            .collect();
        segments.sort();
        Self { _folder: folder, segments, packets: OnceLock::new() }
    }

    fn h264_aac(seconds: u32) -> Self {
        Self::new(seconds, &H264_AAC)
    }

    fn whole(&self) -> tempfile::NamedTempFile {
        let whole = tempfile::Builder::new().suffix(".ts").tempfile_in("/dev/shm").unwrap();
        let bytes: Vec<u8> = self.segments.iter().flat_map(|segment| fs::read(segment).unwrap()).collect();
        fs::write(whole.path(), bytes).unwrap();
        whole
    }

    fn packets(&self) -> &Packets {
        self.packets.get_or_init(|| probe(self.whole().path()).sorted())
    }

    fn first_end_90k(&self) -> i64 {
        probe(&self.segments[0]).sorted().video.pop().unwrap() + 3600
    }
}

/// PTS in 90 kHz ticks.
#[derive(Clone, Debug, Default, PartialEq)]
struct Packets {
    video: Vec<i64>,
    audio: Vec<i64>,
}

impl Packets {
    fn sorted(mut self) -> Self {
        self.video.sort_unstable();
        self.audio.sort_unstable();
        self
    }
}

const H264_AAC: [&str; 10] = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-b:a", "64k"];

/// Every packet as ffprobe sees it.
fn probe(file: &Path) -> Packets {
    let shown = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=codec_type,pts_time", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let mut packets = Packets::default();
    for line in String::from_utf8(shown.stdout).unwrap().lines() {
        let mut fields = line.split(',');
        let (kind, time) = (fields.next(), fields.next().and_then(|time| time.parse::<f64>().ok()));
        let list = if kind == Some("video") { &mut packets.video } else { &mut packets.audio };
        list.extend(time.map(|seconds| (seconds * 90_000.0).round() as i64));
    }
    packets
}

/// Hash of every decoded picture; decoding must not complain.
fn pictures(file: &Path) -> Vec<String> {
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(decoded.status.success() && decoded.stderr.is_empty(), "{}", String::from_utf8_lossy(&decoded.stderr));
    let text = String::from_utf8(decoded.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|hash| hash.trim().to_owned()).collect()
}

/// Top-level boxes of a file: `(type, offset)`.
fn boxes(file: &Path) -> BTreeMap<String, usize> {
    let bytes = fs::read(file).unwrap();
    let mut found = BTreeMap::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 16) {
        let size = u32::from_be_bytes(header[..4].try_into().unwrap()) as usize;
        let large = usize::try_from(u64::from_be_bytes(header[8..].try_into().unwrap())).unwrap();
        found.entry(String::from_utf8_lossy(&header[4..8]).into_owned()).or_insert(at);
        at += if size == 1 { large } else { size.max(8) };
    }
    found
}
