//! Bytes and requests that reach an ext4 disk for ten minutes of video: ours, and FFmpeg's minute → 10-minute route.
//!
//! Takes as long as it records: CAPSTAN_BENCH_SECONDS (600). Needs root for a loop mount.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use common::{Keeper, LoopDisk, Setup, TestDaemon, media, now, until};

const DEVICE: &str = "bench";

fn main() {
    let seconds = std::env::var("CAPSTAN_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let (Some(ours), Some(theirs)) = (LoopDisk::new(1024), LoopDisk::new(2048)) else {
        println!("disk_writes: needs root and loop devices, nothing measured");
        return;
    };
    let (written, media_bytes, requests, commits, runs) = record(ours, seconds);
    let minutes = seconds as f64 / 60.0;
    let (their_written, their_requests) = merge_by_ffmpeg(&theirs, &runs);
    let es = media_bytes as f64;
    println!(
        "claim\tdisk_bytes\t{:.2} bytes per byte\t{:.4} bytes per byte ({seconds} s)",
        their_written as f64 / es,
        written as f64 / es
    );
    println!(
        "claim\tdisk_operations\t{:.1} a minute\t{:.1} a minute",
        their_requests as f64 / minutes,
        requests as f64 / minutes
    );
    println!("claim\tdata_commits\t60 segments a minute\t{:.2} a minute", commits / minutes);
}

/// Records for `seconds` after the first commit, one seal among them. Written bytes, media bytes, requests, commits,
/// segments.
fn record(disk: LoopDisk, seconds: u64) -> (u64, u64, u64, f64, Vec<PathBuf>) {
    let camera = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", minute_of_video());
    let setup = Setup::new()
        .set("archive.commit_seconds", 60)
        .set("archive.chunk_seconds", 600)
        .set("hot.device_bytes", "200MiB")
        .on(disk)
        .camera(DEVICE, &camera);
    let mut kept = Keeper::start(&setup.hot, &[DEVICE]);
    let mut daemon = TestDaemon::start(setup);
    let count = |daemon: &TestDaemon, name: &str| daemon.metric(name, &[("device", DEVICE)]).unwrap_or(0.0);
    until("the first commit", 150, || daemon.committed_seconds(DEVICE) > 0.0);
    // The clock starts right behind a commit, so that a whole number of them lies inside.
    let disk = daemon.setup.disk.as_ref().unwrap();
    let (bytes, requests) = (disk.written_bytes(), disk.write_requests());
    let (es, commits) = (count(&daemon, "capstan_media_bytes_total"), count(&daemon, "capstan_commit_seconds_count"));
    let (start, goal) = (now(), commits + (seconds / 60) as f64);
    until("the rounds are over", seconds + 120, || {
        now().since(start) >= Duration::from_secs(seconds) && count(&daemon, "capstan_commit_seconds_count") >= goal
    });
    let result = (
        disk.written_bytes() - bytes,
        (count(&daemon, "capstan_media_bytes_total") - es) as u64,
        disk.write_requests() - requests,
        count(&daemon, "capstan_commit_seconds_count") - commits,
    );
    daemon.stop();
    // The kept segments lie in RAM and go with the daemon: FFmpeg's route reads them from the disk of the target folder.
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("disk-writes-segments");
    let _ = fs::remove_dir_all(&copies);
    fs::create_dir_all(&copies).unwrap();
    let segments = kept.finish(DEVICE).concat();
    let segments = segments.iter().take(usize::try_from(seconds).unwrap()).enumerate().map(|(i, from)| {
        let to = copies.join(format!("{i:04}.ts"));
        fs::copy(from, &to).unwrap();
        to
    });
    (result.0, result.1, result.2, result.3, segments.collect())
}

/// The route of the original notes: each minute's segments into an MP4, then ten of those into one, both faststart.
fn merge_by_ffmpeg(disk: &LoopDisk, segments: &[PathBuf]) -> (u64, u64) {
    let (bytes, requests) = (disk.written_bytes(), disk.write_requests());
    let mut minutes = Vec::new();
    for (i, minute) in segments.chunks(60).enumerate() {
        let joined = Path::new(env!("CARGO_TARGET_TMPDIR")).join("disk-writes-minute.ts");
        media::join_segments(minute, &joined);
        let to = disk.root().join(format!("minute_{i}.mp4"));
        ffmpeg(&["-i", joined.to_str().unwrap(), "-c", "copy", "-movflags", "+faststart", to.to_str().unwrap()]);
        // What the notes promise to be safe must be on the disk.
        disk.written_bytes();
        minutes.push(to);
    }
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("disk-writes-list.txt");
    fs::write(&list, minutes.iter().map(|file| format!("file '{}'\n", file.display())).collect::<String>()).unwrap();
    let to = disk.root().join("chunk_10min_0.mp4");
    let (list, to) = (list.to_str().unwrap(), to.to_str().unwrap());
    ffmpeg(&["-f", "concat", "-safe", "0", "-i", list, "-c", "copy", "-movflags", "+faststart", to]);
    minutes.iter().for_each(|minute| fs::remove_file(minute).unwrap());
    (disk.written_bytes() - bytes, disk.write_requests() - requests)
}

/// 1080p30 at 2 Mb/s with AAC, one GOP a second, 60 s: made once.
fn minute_of_video() -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("minute-1080p30-2M.mp4");
    if !file.exists() {
        let part = file.with_extension("part.mp4");
        #[rustfmt::skip]
        ffmpeg(&[
            "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30,noise=alls=12:allf=t", "-f", "lavfi", "-i", "sine=440",
            "-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", "-b:v", "2M", "-minrate", "2M",
            "-maxrate", "2M", "-bufsize", "1M", "-nal-hrd", "cbr", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k",
            part.to_str().unwrap(),
        ]);
        fs::rename(part, &file).unwrap();
    }
    file
}

fn ffmpeg(arguments: &[&str]) {
    let status = Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(arguments).status().unwrap();
    assert!(status.success(), "ffmpeg {arguments:?}");
}
