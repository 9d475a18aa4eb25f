//! Stills of a chunk: the picture found for a moment is, to the bit, the one FFmpeg decodes from the whole file.

use std::{
    collections::HashMap,
    fs::File,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Command, Stdio},
};

use capstan::{
    capture::command::{Still, StillInput, still},
    clock::Utc90k,
    config::Settings,
    media::VideoCodec,
    playback::{
        FragmentTable,
        still::{Shot, elementary_stream, shot},
    },
};

use crate::support::{Place, START, encode, ffprobe};

/// The JPEG of a shot, by the very command of the daemon.
fn jpeg(path: &Path, shot: &Shot) -> Vec<u8> {
    let file = File::open(path).unwrap();
    let mut samples = Vec::new();
    for range in &shot.bytes {
        let mut piece = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut piece, range.start).unwrap();
        samples.extend(piece);
    }
    let input = match shot.config.codec {
        VideoCodec::H264 => StillInput::H264,
        VideoCodec::H265 => StillInput::H265,
    };
    let command = still(&Settings::default(), &Still { input, picture: shot.picture, width: None });
    let mut child =
        Command::new(command.program).args(command.args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let child = child.as_mut().unwrap();
    let stream = elementary_stream(&shot.config, &samples).unwrap();
    // It may have seen enough before the end.
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&stream)));
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut child.stdout.take().unwrap(), &mut out).unwrap();
    feeder.join().unwrap();
    assert!(child.wait().unwrap().success());
    out
}

/// All pictures of a file as JPEGs of the same making, and when each is shown in ticks since the chunk's start.
fn pictures(folder: &Path, path: &Path) -> Vec<(i64, Vec<u8>)> {
    let pattern = folder.join("%04d.jpg");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(path).args(["-map", "0:v:0", "-fps_mode", "passthrough"]);
    command.args(["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-threads", "1", "-q:v", "4"]).arg(pattern);
    assert!(command.status().unwrap().success());
    let times = ffprobe(path, "-select_streams v:0 -show_entries frame=pts -of csv=p=0");
    let times = times.lines().filter_map(|line| line.trim_end_matches(',').parse().ok());
    let files = (1..).map(|number| folder.join(format!("{number:04}.jpg")));
    times.zip(files).map(|(pts, file)| (pts, std::fs::read(file).unwrap())).collect()
}

#[test]
fn every_moment_shows_its_picture() {
    let check = |arguments: &str, seconds: i64| {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new();
        let chunk = encode(folder.path(), arguments).record(&place, 3).seal().unwrap();
        let path = place.absolute(&chunk.path);
        let table = FragmentTable::read(&File::open(&path).unwrap(), chunk.bytes).unwrap();
        let expected = pictures(folder.path(), &path);
        let is_key: Vec<bool> = {
            let mut samples: Vec<_> = table.video.samples().collect();
            samples.sort_by_key(|sample| sample.pts());
            samples.iter().map(|sample| sample.sync).collect()
        };
        assert_eq!(expected.len(), is_key.len(), "{arguments}");
        // Many pictures have the same key frame.
        let mut seen = HashMap::new();
        // On a picture, just before the next, and in between; all over the chunk.
        for number in (0..expected.len()).step_by(7) {
            let shown = expected[number].0;
            let until = expected.get(number + 1).map_or(shown + 3600, |next| next.0);
            for ticks in [shown, (shown + until) / 2, until - 1] {
                let at = START + ticks;
                let exact = shot(&table, at, true).unwrap().unwrap();
                assert_eq!(exact.shown, START + shown, "{arguments}: picture {number} at {ticks}");
                let key = (0..=number).rev().find(|number| is_key[*number]).unwrap();
                let nearest = shot(&table, at, false).unwrap().unwrap();
                assert_eq!((nearest.shown, nearest.picture), (START + expected[key].0, 0));
                if ticks == shown {
                    assert!(jpeg(&path, &exact) == expected[number].1, "{arguments}: picture {number}");
                    let nearest = seen.entry(key).or_insert_with(|| jpeg(&path, &nearest));
                    assert!(*nearest == expected[key].1, "{arguments}: key frame {key}");
                }
            }
        }
        let at = |ticks: i64, exact| shot(&table, START + ticks, exact).unwrap();
        assert_eq!(at(-1, true), None, "before the first");
        let end = seconds * 90_000;
        assert!(at(end + 40_000, true).is_some(), "a seam to the next chunk");
        assert_eq!((at(end + 60_000, true), at(end + 60_000, false)), (None, None), "a gap");
    };
    let picture = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=4";
    check(&format!("{picture} -c:v libx264 -preset ultrafast -bf 0 -g 25"), 4);
    check(&format!("{picture} -c:v libx264 -preset veryfast -bf 3 -g 25 -sc_threshold 0"), 4);
    check(&format!("{picture} -c:v libx265 -x265-params keyint=25:bframes=3:log-level=none"), 4);
}

#[test]
fn what_has_no_pictures_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new();
    let sound = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=3 -c:a aac -ac 1";
    let chunk = encode(folder.path(), sound).record(&place, 3).seal().unwrap();
    let file = File::open(place.absolute(&chunk.path)).unwrap();
    let table = FragmentTable::read(&file, chunk.bytes).unwrap();
    assert_eq!(shot(&table, Utc90k(START.0 + 90_000), true).unwrap(), None);
}
