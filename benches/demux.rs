//! What taking a minute of segments apart costs: 60 segments of 1 s, 2 Mb/s 1080p30 and AAC, as FFmpeg writes them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use capstan::media::{annexb, mpegts};
use divan::{Bencher, counter::BytesCount};

const SECONDS: usize = 60;

fn main() {
    divan::main();
}

/// One second, made once; the demuxer does not care what the picture shows.
fn second() -> Vec<u8> {
    let folder = std::env::temp_dir().join(format!("capstan-bench-demux-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("second.ts");
    let arguments = "-loglevel error -nostdin -y -f lavfi -i testsrc2=size=1920x1080:rate=30,noise=alls=12:allf=t \
        -f lavfi -i sine=sample_rate=48000 -t 1 -c:v libx264 -preset ultrafast -tune zerolatency -b:v 2M -maxrate 2M \
        -bufsize 2M -g 30 -c:a aac -b:a 64k -f mpegts";
    let status = Command::new("ffmpeg").args(arguments.split_whitespace()).arg(&file).status().expect("needs ffmpeg");
    assert!(status.success());
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    bytes
}

#[divan::bench]
fn a_minute_of_segments(bencher: Bencher) {
    let ts = second();
    bencher.counter(BytesCount::new(ts.len() * SECONDS)).bench(|| {
        (0..SECONDS).map(|_| mpegts::demux(divan::black_box(&ts), Some(0)).unwrap().faults.total()).sum::<u64>()
    });
}

#[divan::bench]
fn spans_of_a_minute_of_segments(bencher: Bencher) {
    let ts = second();
    let ends = ts.len().min(65536);
    bencher.bench(|| {
        let span = || mpegts::span(divan::black_box(&ts[..ends]), &ts[ts.len() - ends..]);
        (0..SECONDS).filter_map(|_| span()).count()
    });
}

/// The floor: what copying the same bytes costs.
#[divan::bench]
fn copying_the_same_bytes(bencher: Bencher) {
    let ts = second();
    bencher
        .counter(BytesCount::new(ts.len() * SECONDS))
        .bench(|| (0..SECONDS).map(|_| divan::black_box(divan::black_box(&ts).clone()).len()).sum::<usize>());
}

/// What the muxer does next: find every NAL unit.
#[divan::bench]
fn finding_all_nal_units(bencher: Bencher) {
    let ts = second();
    let es = mpegts::demux(&ts, None).unwrap().video.unwrap().es;
    bencher
        .counter(BytesCount::new(es.len() * SECONDS))
        .bench(|| (0..SECONDS).map(|_| annexb::nal_units(divan::black_box(&es)).count()).sum::<usize>());
}
