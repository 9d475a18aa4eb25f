//! What benches share: a minute of 2 Mb/s 1080p30 with AAC as 1 s segments, archives of hours, a small HTTP client, and
//! this process's CPU time.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

pub mod client;
pub mod footage;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use capstan::{
    clock::{Clock, Utc90k},
    config,
    ids::{Epoch, SegmentKey},
    media::mpegts,
    merge::{
        chunk::{ChunkSpec, ChunkWriter, Fragment, TrackRun},
        lay::PlannedRun,
        timeline::{Input, Laid, Output, Timeline},
    },
    storage::volume::Volume,
};

/// 2026-11-20T03:51:00Z: away from the full hour, so that all goes to one chunk.
pub const START: Utc90k = Utc90k::from_seconds(1_795_146_660);

/// 60 segments in `folder`, oldest first.
pub fn minute(folder: &Path) -> Vec<PathBuf> {
    segments(folder, footage::Kind { size: "1920x1080", video_kbps: 2000, audio_kbps: 128 }, 10, 60)
}

/// Encodes `encoded_seconds` and repeats them: segments of 1 s in `folder`, oldest first.
pub fn segments(folder: &Path, kind: footage::Kind, encoded_seconds: u32, seconds: u32) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder).unwrap();
    let source = folder.join("encoded.ts");
    let footage::Kind { size, video_kbps, audio_kbps } = kind;
    run(&format!(
        "-f lavfi -i testsrc2=size={size}:rate=30:duration={encoded_seconds} \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration={encoded_seconds} \
         -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 -b:v {video_kbps}k \
         -minrate {video_kbps}k -maxrate {video_kbps}k -bufsize {}k -x264-params nal-hrd=cbr:scenecut=0 \
         -c:a aac -b:a {audio_kbps}k {}",
        video_kbps / 2,
        source.display()
    ));
    let pattern = folder.join("segment_1_%09d.ts");
    run(&format!(
        "-stream_loop {} -i {} -c copy -f segment -segment_time 1 -segment_format mpegts {}",
        seconds / encoded_seconds - 1,
        source.display(),
        pattern.display()
    ));
    std::fs::remove_file(source).unwrap();
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "ts")).collect();
    files.sort();
    files.truncate(seconds as usize);
    files
}

/// Runs FFmpeg and returns the CPU time it says it took.
pub fn run(arguments: &str) -> Duration {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-benchmark", "-y"])
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg {arguments}\n{said}");
    let seconds = said.rsplit("bench: ").find(|line| line.starts_with("utime=")).map(|line| {
        let times = line.split_whitespace().take(2).filter_map(|field| field.split('=').nth(1));
        times.filter_map(|text| text.trim_end_matches('s').parse::<f64>().ok()).sum::<f64>()
    });
    Duration::from_secs_f64(seconds.unwrap())
}

/// A volume below `folder`.
pub fn volume(folder: &Path) -> Arc<Volume> {
    let storage = config::Storage { root: folder.join("archive"), ..config::Storage::default() };
    Volume::open(&storage, &Clock::system()).unwrap()
}

/// Everything the merger does to a minute but deciding when: read, demux, lay, append, commit.
pub fn merge(volume: &Arc<Volume>, files: &[PathBuf]) -> (ChunkWriter, u64) {
    let mut writer = None;
    // Of an hour, so that no boundary of ten minutes cuts what is merged.
    let mut timeline = Timeline::new(3600);
    let mut last = None;
    for (number, file) in files.iter().enumerate() {
        let ts = std::fs::read(file).unwrap();
        let segment = mpegts::demux(&ts, None).unwrap();
        let key = SegmentKey { epoch: Epoch(1), number: number as u64 };
        let arrived = Utc90k::from_seconds(START.as_seconds() + number as i64 + 1);
        for output in timeline.push(Input { key, arrived, lead_90k: 0, segment }, &|_| false) {
            match output {
                Output::Open(opening) => {
                    let spec = ChunkSpec {
                        device: "bench".parse().unwrap(),
                        start: opening.start,
                        generation: 0,
                        video: opening.video,
                        audio: opening.audio,
                        fps: opening.fps,
                    };
                    writer = Some(ChunkWriter::create(Arc::clone(volume), spec).unwrap());
                }
                Output::Append(laid) => last = Some(append(writer.as_mut().unwrap(), &laid)),
            }
        }
    }
    let mut writer = writer.unwrap();
    if let Some(laid) = timeline.flush() {
        last = Some(append(&mut writer, &laid));
    }
    let committed = writer.commit(last.unwrap()).unwrap();
    (writer, committed.media_bytes)
}

fn append(writer: &mut ChunkWriter, laid: &Laid) -> capstan::merge::chunk::MarkInfo {
    for planned in &laid.fragments {
        let fragment = Fragment {
            video: planned.video.as_ref().map(|run| track(run, &laid.video_es)),
            audio: planned.audio.as_ref().map(|run| track(run, &laid.audio_es)),
        };
        writer.append(&fragment).unwrap();
    }
    laid.mark
}

fn track<'a>(run: &'a PlannedRun, es: &'a [u8]) -> TrackRun<'a> {
    TrackRun { base: run.base, samples: &run.samples, es }
}

/// CPU time of this process so far, all threads, kernel included.
pub fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

pub fn median(values: Vec<Duration>) -> Duration {
    percentile(values, 50)
}

/// The value below which `percent` of them lie.
pub fn percentile(mut values: Vec<Duration>, percent: usize) -> Duration {
    values.sort();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Where to measure: RAM, to see the work alone, and the temporary folder, which is what this machine calls a disk.
pub fn folders() -> Vec<(&'static str, tempfile::TempDir)> {
    let shm = Path::new("/dev/shm").is_dir().then(|| ("RAM", tempfile::tempdir_in("/dev/shm").unwrap()));
    shm.into_iter().chain([("disk", tempfile::tempdir().unwrap())]).collect()
}
