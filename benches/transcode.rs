//! What HEVC saves of a real clip as our recorder would have recorded it, at which SSIM, and what the daemon's own part of
//! a job costs beside FFmpeg's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "common.rs"]
mod common;

use std::{path::PathBuf, sync::Arc, time::Duration};

use capstan::{
    capture::{Spawner, command::Effort},
    clock::Clock,
    limits::WorkGroup,
    storage::{
        Place,
        layout::{Companion, RingSlot},
    },
    transcode::{Encode, Job, Options, Steer, Transcoder},
};

struct Alone;

impl Steer for Alone {
    fn encodes(&self, _group: Option<i32>) {}

    fn tell(&self, _share: f64, _speed: f64) {}

    fn wrote(&self, _bytes: u64) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let spawner = Spawner::start(WorkGroup::default()).unwrap();
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/demo/bigbuckbunny.mp4");
    let recorded = [
        ("640×360, 2 Mb/s ultrafast", "-c:v libx264 -preset ultrafast -b:v 2M -maxrate 2M -bufsize 4M"),
        (
            "640×360, 350 kb/s as tier sd",
            "-c:v libx264 -preset veryfast -tune zerolatency -b:v 350k -maxrate 350k -bufsize 700k",
        ),
    ];
    for (number, (name, how)) in recorded.into_iter().enumerate() {
        let job = record(&folder.path().join(number.to_string()), clip, how);
        for preset in [Effort::Veryfast, Effort::Medium] {
            let options =
                Options { preset, verify_quality: true, ssim_min: 0.0, min_savings_percent: 0.0, ..Options::default() };
            let transcoder = Transcoder::new(spawner.clone(), Clock::system(), options, &log);
            transcoder.ready().unwrap();
            let (own, children) = (common::cpu(), children());
            let made = transcoder.run(&job, &Alone).unwrap();
            let (own, children) = (common::cpu() - own, self::children() - children);
            let reserve = 512 << 10;
            let (before, after) = (job.source.bytes - reserve, made.entry.bytes - reserve);
            let saved = 100.0 - 100.0 * after as f64 / before as f64;
            let ssim = made.ssim.unwrap();
            let share = 100.0 * own.as_secs_f64() / (own + children).as_secs_f64();
            println!(
                "{name}: {} {:9} {saved:.1} % saved at SSIM {ssim:.4}; {:.1} s of CPU by FFmpeg, {:.0} ms by us",
                made.encoder,
                preset.name(),
                children.as_secs_f64(),
                common::ms(own)
            );
            if number == 0 && preset == Effort::Medium {
                let name = made.encoder;
                println!("claim\ttranscode_saved\t\t{saved:.1} % at SSIM {ssim:.4} ({name}, medium, quality 23)");
                println!("claim\ttranscode_cpu\t\t{share:.2} % of the job's CPU");
            }
            job.volume.unlink(&job.successor).unwrap();
        }
    }
}

/// 12 s of the clip, through the merger, sealed in the ring.
fn record(folder: &std::path::Path, clip: &str, how: &str) -> Job {
    std::fs::create_dir_all(folder).unwrap();
    let pattern = folder.join("%03d.ts");
    common::run(&format!(
        "-i {clip} -t 12 {how} -pix_fmt yuv420p -g 24 -bf 0 -sc_threshold 0 -c:a aac -b:a 64k -f segment -segment_time 1 \
         -segment_format mpegts {}",
        pattern.display()
    ));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let volume = common::volume(folder);
    let (writer, _) = common::merge(&volume, &files);
    let device = writer.spec().device.clone();
    let sealed = writer.seal().unwrap();
    let entry = sealed.entry(Place::Ring(RingSlot::of(sealed.meta.start, 600)));
    let path = entry.path(volume.layout(), &device);
    volume.mkdir_all(path.parent().unwrap()).unwrap();
    volume.rename_new(&sealed.path, &path).unwrap();
    Job { device, volume: Arc::clone(&volume), source: entry.into(), successor: Companion::Successor.beside(&path) }
}

/// CPU time of children that have ended.
fn children() -> Duration {
    let stat = procfs::process::Process::myself().unwrap().stat().unwrap();
    let ticks = (stat.cutime + stat.cstime) as f64;
    Duration::from_secs_f64(ticks / procfs::ticks_per_second() as f64)
}
