//! CPU to merge a device-minute (read, demux, lay out, append, commit), beside FFmpeg's concat of the same segments.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "common.rs"]
mod common;

fn main() {
    let segments = common::folders().remove(0).1;
    let files = common::minute(segments.path());
    let ts_bytes: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    println!("minute: {} segments, {:.1} MB of TS", files.len(), ts_bytes as f64 / 1e6);

    let list = segments.path().join("list.txt");
    let lines: Vec<String> = files.iter().map(|file| format!("file '{}'", file.display())).collect();
    std::fs::write(&list, lines.join("\n")).unwrap();
    for (name, folder) in common::folders() {
        let out = folder.path().join("concat.mp4");
        let concat = format!("-f concat -safe 0 -i {} -c copy -movflags +faststart {}", list.display(), out.display());
        let ffmpeg = common::median((0..3).map(|_| common::run(&concat)).collect());
        let volume = common::volume(folder.path());
        let mut media_bytes = 0;
        let ours = (0..9).map(|_| {
            let before = common::cpu();
            let (writer, bytes) = common::merge(&volume, &files);
            let spent = common::cpu() - before;
            media_bytes = bytes;
            writer.discard().unwrap();
            spent
        });
        let ours = common::median(ours.collect());
        println!(
            "{name:5} ours {:7.2} ms CPU ({:.1} MB of media)   ffmpeg concat {:7.0} ms CPU   {:.0} times",
            ours.as_secs_f64() * 1e3,
            media_bytes as f64 / 1e6,
            ffmpeg.as_secs_f64() * 1e3,
            ffmpeg.as_secs_f64() / ours.as_secs_f64()
        );
        // The archive is a disk; RAM is printed to show what the file system costs.
        if name == "disk" {
            let (theirs_ms, ours_ms) = (ffmpeg.as_secs_f64() * 1e3, ours.as_secs_f64() * 1e3);
            let times = theirs_ms / ours_ms;
            println!("claim\tmerge_cpu\t{theirs_ms:.0} ms CPU\t{ours_ms:.1} ms CPU, {times:.0} times less");
        }
    }
}
