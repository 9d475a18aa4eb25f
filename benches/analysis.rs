//! What one thumbnail costs: decoding, black and freeze; beside FFmpeg's filters and NumPy on the same pictures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use capstan::{
    clock::{Clock, Utc90k},
    config::Detect,
    frames::Eyes,
};

#[path = "common.rs"]
mod common;

const ROUNDS: usize = 5;
/// Moving, then frozen with the noise of a sensor, then black: all that the detectors have to work for.
const FILTER: &str = "fps=25,loop=loop=150:size=1:start=150,setpts=N/25/TB,noise=alls=8:all_seed=7:allf=t,\
     drawbox=t=fill:c=black:enable='gte(t,16)',\
     select='isnan(prev_selected_t)+gte(t-prev_selected_t,0.199)',scale=320:180:out_range=full";
const NUMPY: &str = include_str!("analysis_numpy.py");

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eyes/film.mp4");
    let pattern = folder.path().join("%05d.jpg");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-stream_loop", "-1", "-i"])
        .arg(&film)
        .args(["-t", "20", "-an", "-vf", FILTER, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "6"])
        .args(["-fps_mode", "passthrough"])
        .arg(&pattern)
        .status();
    assert!(made.unwrap().success());
    let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let pictures: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();

    let ours = ours(&pictures);
    let ffmpeg = ffmpeg(&pattern, pictures.len());
    let numpy = numpy(folder.path());
    println!("analysis: {} pictures of 320×180, {ours:.0} µs each (median)", pictures.len());
    println!("FFmpeg:   {ffmpeg:.0} µs of CPU each (blackdetect + freezedetect, decoding included)");
    println!("NumPy:    {numpy}");
    println!("claim\tanalysis\tFFmpeg {ffmpeg:.0} µs; NumPy {numpy}\t{ours:.0} µs");
}

/// Median of one look: JPEG to verdicts.
fn ours(pictures: &[Vec<u8>]) -> f64 {
    let (clock, detect) = (Clock::system(), Detect::default());
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let mut eyes = Eyes::new();
        for (number, jpeg) in pictures.iter().enumerate() {
            let before = clock.mono();
            eyes.look(Utc90k(number as i64 * 18_000), jpeg, &detect).unwrap();
            took.push(clock.mono().since(before));
        }
    }
    took.sort();
    took[took.len() / 2].as_secs_f64() * 1e6
}

/// CPU of a process that does both filters, less than that of one that starts and does nothing.
fn ffmpeg(pattern: &Path, pictures: usize) -> f64 {
    let run = |filters: &str, repeat: u32| {
        let input = format!("-threads 1 -stream_loop {repeat} -framerate 5 -i {}", pattern.display());
        common::run(&format!("{input} -filter_threads 1 -vf {filters} -f null -")).as_secs_f64()
    };
    let (one, many) = (run("blackdetect,freezedetect", 0), run("blackdetect,freezedetect", 9));
    (many - one) / (9 * pictures) as f64 * 1e6
}

/// The same rules without connected areas, on decoded pictures, as a script would write them.
fn numpy(folder: &Path) -> String {
    let script = folder.join("analysis.py");
    std::fs::write(&script, NUMPY).unwrap();
    let raw = folder.join("luma.raw");
    let decoded = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(folder.join("%05d.jpg"))
        .args(["-pix_fmt", "gray", "-f", "rawvideo"])
        .arg(&raw)
        .status();
    assert!(decoded.unwrap().success());
    // Debian's own Python first: that is the one which has the package.
    for python in ["/usr/bin/python3", "python3"] {
        let output = Command::new(python).arg(&script).arg(&raw).stderr(Stdio::null()).output();
        if let Ok(output) = output
            && output.status.success()
        {
            return String::from_utf8_lossy(&output.stdout).trim().to_owned();
        }
    }
    println!("SKIPPED  NumPy is not installed (python3-numpy): no figure beside ours");
    "not installed".into()
}
