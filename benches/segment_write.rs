//! How long FFmpeg would wait for a segment of 1 s to be safe: on an ext4 disk with fsync, and in RAM.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "common.rs"]
mod bench;
#[path = "../tests/common/mod.rs"]
mod common;

use std::{fs::File, io::Write as _, path::Path, time::Duration};

use bench::{ms, percentile};
use capstan::clock::Clock;
use common::LoopDisk;

fn main() {
    let Some(disk) = LoopDisk::new(256) else {
        println!("segment_write: needs root and loop devices, nothing measured");
        return;
    };
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let source = tempfile::tempdir_in("/dev/shm").unwrap();
    let segments: Vec<Vec<u8>> = bench::minute(source.path()).iter().map(|file| std::fs::read(file).unwrap()).collect();
    // In turn, so that both have the same neighbours on a busy machine.
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    for (number, segment) in segments.iter().enumerate() {
        let name = format!("{number}.ts");
        slow.push(written(&disk.root().join(&name), segment));
        fast.push(written(&memory.path().join(&name), segment));
    }
    let told = |times: &[Duration]| {
        let [half, most] = [50, 95].map(|percent| ms(percentile(times.to_vec(), percent)));
        format!("p50 {half:.2} ms, p95 {most:.2} ms")
    };
    println!("claim\tffmpeg_write\t{} on ext4 with fsync\t{} in RAM", told(&slow), told(&fast));
}

/// To the end of its fsync.
fn written(path: &Path, bytes: &[u8]) -> Duration {
    let clock = Clock::system();
    let before = clock.mono();
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    clock.mono().since(before)
}
