//! A sealed chunk in the ring, a transcoder for it, and what somebody who steers it sees.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use capstan::{
    capture::Spawner,
    clock::Clock,
    limits::WorkGroup,
    playback::FragmentTable,
    storage::{
        ChunkEntry, Place as Where,
        layout::{Companion, RingSlot},
    },
    transcode::{Encode, Failure, Job, Made, Options, Steer, Transcoder},
};

use crate::support::{Media, Place, START, device, ffmpeg};

/// Pictures of a moving test pattern as our recorder encodes them: no B-frames, an IDR a second.
pub const RECORDED: &str = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=12 -c:v libx264 -preset ultrafast \
                            -pix_fmt yuv420p -g 25 -bf 0 -b:v 2M -x264-params scenecut=0";
pub const SOUND: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=12";

pub struct Rig {
    pub place: Place,
    pub job: Job,
    pub transcoder: Transcoder,
}

/// Sees everything and stops when it should.
#[derive(Default)]
pub struct Watcher {
    pub groups: Mutex<Vec<Option<i32>>>,
    pub told: Mutex<Vec<(f64, f64)>>,
    pub cancelled: AtomicBool,
    pub written_bytes: AtomicU64,
    /// Asked whenever the job asks whether to give up.
    pub enough: Option<Box<dyn Fn() -> bool + Send + Sync>>,
    /// Called with each new group.
    pub started: Option<Box<dyn Fn(i32) + Send + Sync>>,
}

impl Steer for Watcher {
    fn encodes(&self, group: Option<i32>) {
        self.groups.lock().unwrap().push(group);
        if let (Some(group), Some(started)) = (group, &self.started) {
            started(group);
        }
    }

    fn tell(&self, share: f64, speed: f64) {
        self.told.lock().unwrap().push((share, speed));
    }

    fn wrote(&self, bytes: u64) {
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.enough.as_ref().is_some_and(|enough| enough())
    }
}

impl Rig {
    pub fn new(media: &Media, options: Options) -> Self {
        Self::in_place(Place::new(), media, options)
    }

    pub fn in_place(place: Place, media: &Media, options: Options) -> Self {
        let writer = media.record(&place, 2);
        let sealed = writer.seal().unwrap();
        let slot = RingSlot::of(START, 600);
        let entry = sealed.entry(Where::Ring(slot));
        let path = entry.path(place.volume.layout(), &device());
        place.volume.mkdir_all(path.parent().unwrap()).unwrap();
        place.volume.rename_new(&sealed.path, &path).unwrap();
        let job = Job {
            device: device(),
            volume: place.volume.clone(),
            source: entry.into(),
            successor: Companion::Successor.beside(&path),
        };
        let spawner = Spawner::start(WorkGroup::default()).unwrap();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let transcoder = Transcoder::new(spawner, Clock::system(), options, &log);
        Self { place, job, transcoder }
    }

    pub fn run(&self) -> Result<Made, Failure> {
        self.transcoder.run(&self.job, &Watcher::default())
    }

    pub fn source(&self) -> PathBuf {
        self.place.absolute(&self.job.source.path(self.place.volume.layout(), &device()))
    }

    pub fn successor(&self) -> PathBuf {
        self.place.absolute(&self.job.successor)
    }
}

/// Fast enough for a test.
pub fn options() -> Options {
    Options {
        preset: capstan::capture::command::Effort::Ultrafast,
        quality: 28,
        verify_quality: true,
        threads: 2,
        // Test pictures at a tiny size are all edges.
        target_savings_percent: 0.0,
        ..Options::default()
    }
}

pub fn read(path: &Path) -> (FragmentTable, ChunkEntry) {
    let file = std::fs::File::open(path).unwrap();
    let len = file.metadata().unwrap().len();
    let table = FragmentTable::read(&file, len).unwrap();
    let entry = ChunkEntry {
        key: capstan::storage::layout::ChunkKey {
            start_ms: table.meta.start.as_ms(),
            generation: table.meta.generation,
        },
        place: Where::Ring(RingSlot::of(table.meta.start, 600)),
        start: table.meta.start,
        end: table.meta.sealed.unwrap().end,
        bytes: len,
        codecs: table.meta.codecs.as_str().into(),
        gaps: table.meta.sealed.unwrap().gaps,
        holes: Some(table.holes.clone()),
        sealed: true,
        original: false,
    };
    (table, entry)
}

/// Presentation times of all pictures as ffprobe has them, in order.
pub fn shown(path: &Path) -> Vec<String> {
    let told = crate::support::ffprobe(path, "-select_streams v:0 -show_entries packet=pts -of csv=p=0");
    let mut times: Vec<i64> = told.lines().map(|line| line.trim_end_matches(',').parse().unwrap()).collect();
    times.sort_unstable();
    times.iter().map(i64::to_string).collect()
}

/// MD5 of the sound's packets.
pub fn sound_md5(path: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:a", "-c", "copy", "-f", "md5", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Decodes all of it without a word.
pub fn decodes(path: &Path) {
    ffmpeg(&format!("-xerror -i {} -map 0:v -fps_mode passthrough -enc_time_base:v -1 -f null -", path.display()));
}
