//! Clips over H.264 and H.265, as where some chunks were transcoded: what is told of them, and what encoding one anew
//! gives. Each picture is one grey that tells its number, each second begins with a beep: both must come at their time.

use std::{path::Path, process::Command, time::Duration};

use capstan::{
    capture::{Spawner, command::Preset},
    clock::Utc90k,
    config::Settings,
    limits::WorkGroup,
    media::VideoCodec,
    playback::virtual_mp4::Gaps,
    web::{
        reader::Readers,
        recode::{Scratch, Tools, encode as recode},
    },
};

use crate::{
    footage::{Chunk, Footage, bytes_of, chunk},
    support::{Media, Place, START, encode, ffmpeg, ffprobe},
};

const FPS: f64 = 30.0;
const AUDIO: &str = "-f lavfi -i aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=48000:d=9";
const X264: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 30 -pix_fmt yuv420p";
const X265: &str =
    "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30:open-gop=0:bframes=0 -pix_fmt yuv420p";

/// Its grey, of all 256. Neighbours are far apart.
fn grey(number: usize) -> i32 {
    let of_video = 30 + (number * 37 % 180) as i32;
    (of_video - 16) * 255 / 219
}

fn media(scratch: &Place, encoder: &str, size: &str, sound: bool, generation: u32) -> Media {
    let folder = scratch.folder.path().join("ts");
    let video =
        format!("-f lavfi -i color=black:size={size}:rate=30:duration=9,geq=lum=30+mod(N*37\\,180):cb=128:cr=128");
    let sound = if sound { format!("{AUDIO} {encoder} -c:a aac") } else { encoder.to_owned() };
    let mut media = encode(&folder, &format!("{video} {sound}"));
    std::fs::remove_dir_all(folder).unwrap();
    media.spec.generation = generation;
    media
}

/// The same in H.264, and in H.265 of this size as generation 1.
fn both(scratch: &Place, size: &str, sound: bool) -> [Media; 2] {
    [media(scratch, X264, "160x90", sound, 0), media(scratch, X265, size, sound, 1)]
}

/// Three chunks of 3 s, of which one was encoded anew and took the place of what it was made of.
fn footage([h264, h265]: &[Media; 2], late: [i64; 3]) -> Footage {
    let chunks: [Chunk; 3] = [chunk(0..3, late[0]), chunk(3..6, late[1]), chunk(6..9, late[2])];
    let mut footage = Footage::record(h264, &chunks);
    let old = footage.index.snapshot()[1].key;
    footage.add(h265, &chunks[1]);
    let new = footage.index.snapshot().iter().find(|chunk| chunk.key.generation == 1).unwrap().key;
    assert_eq!(new.start_ms, old.start_ms);
    let entry = footage.index.remove(&new).unwrap().as_ref().clone();
    footage.index.replace(&old, entry, true);
    footage
}

/// Mean grey and movie time of each picture.
fn pictures(path: &Path) -> Vec<(f64, i32)> {
    let raw = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-fps_mode", "passthrough", "-vf", "scale=1:1:flags=area", "-f", "rawvideo"])
        .args(["-pix_fmt", "gray", "-"])
        .output()
        .unwrap();
    assert!(raw.status.success() && raw.stderr.is_empty(), "{}", String::from_utf8_lossy(&raw.stderr));
    let times = ffprobe(path, "-select_streams v:0 -show_entries frame=pts_time -of csv=p=0");
    let times: Vec<f64> = times.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect();
    assert_eq!(times.len(), raw.stdout.len(), "as many are decoded as are listed");
    times.into_iter().zip(raw.stdout.into_iter().map(i32::from)).collect()
}

/// Movie times at which beeps begin.
fn beeps(path: &Path) -> Vec<f64> {
    let raw = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-copyts", "-i"])
        .arg(path)
        // Silence in place of what is missing, before the first sound too.
        .args(["-map", "0:a", "-af", "aresample=8000:async=1:first_pts=0", "-ac", "1", "-f", "s16le", "-"])
        .output()
        .unwrap();
    assert!(raw.status.success(), "{}", String::from_utf8_lossy(&raw.stderr));
    let samples: Vec<i32> =
        raw.stdout.chunks(2).map(|two| i32::from(i16::from_le_bytes([two[0], two[1]])).abs()).collect();
    let loud = |window: &[i32]| window.iter().any(|sample| *sample > 3000);
    let steps: Vec<bool> = samples.chunks(40).map(loud).collect();
    let starts = steps.windows(8).enumerate().filter(|(_, it)| !it[..7].iter().any(|loud| *loud) && it[7]);
    let first = steps.first().copied().unwrap_or(false).then_some(0.0);
    first.into_iter().chain(starts.map(|(at, _)| (at + 7) as f64 * 0.005)).collect()
}

fn recoded(footage: &Footage, (from, to): (f64, f64), gaps: Gaps, preset: Preset) -> std::path::PathBuf {
    let clip = footage.clip(from, to, gaps, false).unwrap();
    assert!(clip.is_mixed() && clip.has_others_than_h264());
    let (spawner, readers) = (Spawner::start(WorkGroup::default()).unwrap(), Readers::start().unwrap());
    let settings = Settings::default();
    let tools = Tools { spawner: &spawner, readers: &readers, settings: &settings };
    let folder = footage.place.folder.path();
    let scratch = |number: usize| Ok(Scratch { path: folder.join(format!("{number}.part")), keep: Box::new(()) });
    let output = folder.join("recoded.mp4");
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = told.clone();
    let hear = Box::new(move |progress: capstan::capture::Progress| heard.lock().unwrap().push(progress.bytes));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(recode(tools, clip, preset, &output, scratch, hear, Duration::from_secs(60))).unwrap();
    let told = told.lock().unwrap().clone();
    assert!(told.is_sorted() && told.last() > Some(&1000), "{told:?}");
    output
}

#[test]
fn a_clip_of_both_codecs_is_encoded_anew_with_every_picture_and_sound_at_its_time() {
    let scratch = Place::new();
    // How much later than recorded each chunk is; the span; what is done with gaps.
    let (none, gaps) = ([0, 0, 0], [0, 2, 7]);
    let heard = both(&scratch, "160x90", true);
    let narrow = both(&scratch, "128x96", false);
    for (size, late, span, policy, sound) in [
        ("160x90", none, (0.0, 9.0), Gaps::Keep, true),
        ("160x90", none, (1.51, 7.34), Gaps::Keep, true),
        ("160x90", gaps, (0.0, 16.0), Gaps::Keep, true),
        ("160x90", gaps, (0.0, 16.0), Gaps::Skip, true),
        ("160x90", gaps, (3.5, 14.2), Gaps::Keep, true),
        ("160x90", gaps, (2.2, 14.2), Gaps::Skip, true),
        // Of another shape, and without sound.
        ("128x96", gaps, (1.0, 15.0), Gaps::Keep, false),
    ] {
        let what = format!("{size} {late:?} {span:?} {policy:?}");
        let footage = footage(if sound { &heard } else { &narrow }, late);
        let path = recoded(&footage, span, policy, Preset::Fast);
        let codecs = ffprobe(&path, "-show_entries stream=codec_name -of csv=p=0");
        let expected = if sound { vec!["h264", "aac"] } else { vec!["h264"] };
        assert_eq!(codecs.lines().collect::<Vec<_>>(), expected, "{what}");
        ffmpeg(&format!("-xerror -i {} -f null -", path.display()));

        // Where second `at` of the recording comes in the movie; None outside the span.
        let origin = footage.clip(span.0, span.1, policy, false).unwrap().movie.start - START;
        let origin = origin as f64 / 90_000.0;
        // An encoder of sound begins a frame early, and the chunk with it.
        let lead = if sound { 1024.0 / 48_000.0 } else { 0.0 };
        let place = |at: f64| {
            let number = ((at + 1e-6) / 3.0) as usize;
            let wall = at + lead + late[number] as f64;
            let missing = |end: usize| if end == 0 { 0.0 } else { (late[end] - late[end - 1]) as f64 };
            let gap_end = |end: usize| 3.0 * end as f64 + late[end] as f64;
            let counts = |end: &usize| gap_end(*end) - missing(*end) >= origin - 0.1;
            let skipped: f64 = (0..=number).filter(counts).map(missing).sum();
            let inside = wall >= span.0 - 1e-4 && wall < span.1 - 1e-4;
            inside.then_some(wall - origin - if policy == Gaps::Skip { skipped } else { 0.0 })
        };
        let expected: Vec<_> =
            (0..270).filter_map(|number| Some((place(number as f64 / FPS)?, grey(number)))).collect();
        let found = pictures(&path);
        assert_eq!(found.len(), expected.len(), "{what}");
        for ((at, grey), (expected_at, expected_grey)) in found.iter().zip(&expected) {
            // What is skipped ends where picture and sound both have ended, and begins where one begins.
            let least = if policy == Gaps::Skip { 0.1 } else { 0.002 };
            assert!((at - expected_at).abs() < least, "{what}: a picture of {expected_at} at {at}");
            // Borders of another shape are black.
            let apart = (grey - expected_grey).abs();
            assert!(apart <= 4 || size != "160x90", "{what}: {grey} for {expected_grey} at {at}");
        }
        if sound {
            // Each with the first picture of its second.
            let shown = (0..270).filter(|number| place(f64::from(*number) / FPS).is_some()).zip(&found);
            let expected: Vec<f64> = shown.filter(|(number, _)| number % 30 == 0).map(|(_, (at, _))| *at).collect();
            let heard = beeps(&path);
            for expected in &expected {
                let near = heard.iter().any(|at| (at - expected).abs() < 0.03);
                assert!(near, "{what}: no beep at {expected}: {heard:?}");
            }
            // More where a span begins within one, and where a chunk ends with the first frame of one.
            assert!(heard.len() <= expected.len() + 3, "{what}: {heard:?} for {expected:?}");
        }
        for part in 0..3 {
            let _ = std::fs::remove_file(footage.place.folder.path().join(format!("{part}.part")));
        }
    }
}

#[test]
fn spans_of_one_codec_are_told_and_play_as_they_are() {
    let scratch = Place::new();
    let footage = footage(&both(&scratch, "160x90", true), [0, 2, 7]);
    let clip = footage.clip(1.0, 15.0, Gaps::Keep, false).unwrap();
    let stretches = clip.stretches();
    let seconds = |at: Utc90k| ((at - START) as f64 / 90.0).round() / 1000.0;
    let told: Vec<_> = stretches.iter().map(|(codec, span)| (*codec, seconds(span.start), seconds(span.end))).collect();
    let [h264, h265] = [VideoCodec::H264, VideoCodec::H265];
    assert_eq!(told, [(h264, 1.0, 5.021), (h265, 5.021, 13.021), (h264, 13.021, 15.0)]);
    let explained = clip.explain();
    assert!(explained.contains("\nh265     2026-11-20T03:50:05.021Z to "), "{explained}");
    for (codec, span) in &stretches {
        let [from, to] = [span.start, span.end].map(|at| (at - START) as f64 / 90_000.0);
        let part = footage.clip(from, to, Gaps::Keep, false).unwrap();
        assert!(!part.is_mixed() && part.has_others_than_h264() == (*codec == h265), "{from}..{to}");
        let path = footage.save(&part);
        let name = ffprobe(&path, "-select_streams v -show_entries stream=codec_name,codec_tag_string -of csv=p=0");
        assert_eq!(name.trim(), if *codec == h265 { "hevc,hvc1" } else { "h264,avc1" });
        ffmpeg(&format!("-xerror -i {} -f null -", path.display()));
    }
    // Sound alone knows no codec of pictures, and goes over all of it.
    let sound = footage.clip(1.0, 15.0, Gaps::Keep, true).unwrap();
    assert!(!sound.is_mixed() && sound.stretches().is_empty());
    ffmpeg(&format!("-xerror -i {} -f null -", footage.save(&sound).display()));
    // What was replaced is in no clip; the clip of before has another name.
    let replaced = footage.index.originals()[0].key;
    let after = footage.clip(5.0, 8.0, Gaps::Keep, false).unwrap();
    let new = footage.index.snapshot().iter().find(|chunk| chunk.key.generation == 1).unwrap().as_ref().clone();
    let old = footage.index.get(&replaced).unwrap().as_ref().clone();
    footage.index.replace(&new.key, capstan::storage::ChunkEntry { original: false, ..old }, false);
    let before = footage.clip(5.0, 8.0, Gaps::Keep, false).unwrap();
    assert!(before.etag() != after.etag() && bytes_of(&before) != bytes_of(&after));
}
