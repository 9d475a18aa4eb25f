//! What arrives is on disk exactly once and in time, whatever the source does.

use super::*;
use crate::storage::Place;

#[test]
fn every_picture_is_there_once_across_chunk_seams() {
    let bench = Bench::new(10, 7);
    let clip = Clip::h264_aac(26);
    let offset_90k = bench.offset_90k(&clip);
    bench.record(1, &clip, 2);

    let chunks = bench.chunks();
    let places: Vec<PathBuf> = chunks.iter().map(|chunk| chunk.path(bench.volume().layout(), &device())).collect();
    let ring = |index: u16| PathBuf::from(format!("cam/segments/4/chunk_10min_{index}.mp4"));
    assert_eq!(places[..3], [ring(0), ring(1), ring(2)]);
    assert!(chunks[..3].iter().all(|chunk| chunk.sealed) && !chunks[3].sealed);
    assert_eq!(chunks.len(), 4);
    bench.assert_exactly_once(&clip, offset_90k);
    let found: Vec<String> = chunks.iter().flat_map(|chunk| pictures(&bench.path(chunk))).collect();
    assert_eq!(found, pictures(clip.whole().path()));
    for chunk in &chunks[..3] {
        let boxes = boxes(&bench.path(chunk));
        assert!(boxes["moov"] < boxes["mdat"], "{boxes:?}");
        assert_eq!(fs::metadata(bench.path(chunk)).unwrap().len(), chunk.bytes);
    }
    assert_eq!(bench.parts().hot.waiting_bytes(), 0);
    let metrics = &bench.parts().metrics;
    assert_eq!((metrics.committed_seconds.get().round(), metrics.chunks_sealed.get()), (26.0, 3));
}

#[test]
fn b_frames_and_a_variable_rate_survive() {
    let bench = Bench::new(10, 7);
    let rate = "select='not(mod(n,3))+lt(mod(n,50),20)'";
    let clip = Clip::new(
        12,
        &[
            "-vf",
            rate,
            "-vsync",
            "vfr",
            "-c:v",
            "libx264",
            "-bf",
            "2",
            "-force_key_frames",
            "expr:gte(t,n_forced)",
            "-c:a",
            "aac",
        ],
    );
    bench.record(1, &clip, 3);
    let found: Vec<String> = bench.chunks().iter().flat_map(|chunk| pictures(&bench.path(chunk))).collect();
    assert_eq!(found, pictures(clip.whole().path()));
    let mut expected = clip.packets().video.clone();
    for chunk in bench.chunks() {
        let shown = probe(&bench.path(&chunk)).sorted().video;
        let of_clip: Vec<i64> = expected.drain(..shown.len()).collect();
        let differences = |times: &[i64]| times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
        assert_eq!(differences(&shown), differences(&of_clip), "to the tick");
    }
    assert_eq!(expected, [0; 0]);
}

#[test]
fn another_codec_starts_a_part() {
    let bench = Bench::new(600, 60);
    bench.record(1, &Clip::h264_aac(3), 2);
    bench.record(2, &Clip::new(3, &["-c:v", "libx265", "-x265-params", "keyint=25:log-level=none", "-c:a", "aac"]), 2);
    bench.record(3, &Clip::new(3, &["-c:v", "libx264", "-g", "25", "-c:a", "aac", "-ar", "44100"]), 2);
    let chunks = bench.chunks();
    let codecs: Vec<&str> = chunks.iter().map(|chunk| chunk.codecs.split('.').next().unwrap()).collect();
    assert_eq!(codecs, ["avc1", "hvc1", "avc1"]);
    let names: Vec<String> = chunks[..2].iter().map(|chunk| bench.path(chunk).display().to_string()).collect();
    assert!(names[0].ends_with("/4/chunk_10min_0.mp4") && names[1].ends_with("/4/chunk_10min_0-2.mp4"), "{names:?}");
    for chunk in &chunks {
        assert_eq!(pictures(&bench.path(chunk)).len(), 75);
    }
}

#[test]
fn a_device_without_sound_and_one_without_pictures() {
    for output in [
        &["-map", "0:v", "-c:v", "libx264", "-g", "25"][..],
        &["-map", "1:a", "-c:a", "aac"],
        &["-map", "1:a", "-c:a", "mp2"],
    ] {
        let bench = Bench::new(10, 6);
        let clip = Clip::new(9, output);
        bench.record(1, &clip, 2);
        assert_eq!(bench.chunks().len(), 2, "{output:?}");
        let (found, expected) = (bench.all_packets(), clip.packets());
        let counts = |packets: &Packets| (packets.video.len(), packets.audio.len());
        assert_eq!(counts(&found), counts(expected), "{output:?}");
    }
}

#[test]
fn a_run_that_restarts_from_zero_continues_the_chunk() {
    let bench = Bench::new(600, 60);
    let clip = Clip::h264_aac(4);
    bench.record(1, &clip, 2);
    bench.manual.advance(Duration::from_secs(5));
    bench.record(2, &clip, 2);
    let chunks = bench.chunks();
    assert_eq!((chunks.len(), chunks[0].gaps), (1, 1));
    assert_eq!(pictures(&bench.path(&chunks[0])).len(), 200);
}

#[test]
fn sound_that_goes_missing_is_silence() {
    let bench = Bench::new(600, 60);
    let silent = ["-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25"];
    let (clip, mute) = (Clip::h264_aac(6), Clip::new(6, &silent));
    for number in 0..6 {
        let from = if (2..4).contains(&number) { &mute } else { &clip };
        bench.arrive(key(1, number as u64), &from.segments[number]);
    }
    bench.commit().unwrap();
    let sound = bench.all_packets().audio;
    assert!(sound.windows(2).all(|pair| pair[1] - pair[0] < 2 * 1920), "no hole");
    assert_eq!(pictures(&bench.path(&bench.chunks()[0])).len(), 150);
}

#[test]
fn spoilt_segments_are_skipped_and_counted() {
    let bench = Bench::new(600, 60);
    let clip = Clip::h264_aac(8);
    let spoilt = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    for (number, ts) in clip.segments.iter().enumerate() {
        let ts = match number {
            2 => {
                fs::write(spoilt.path(), vec![7; 4000]).unwrap();
                spoilt.path()
            }
            4 => {
                fs::write(spoilt.path(), []).unwrap();
                spoilt.path()
            }
            _ => ts,
        };
        bench.arrive(key(1, number as u64), ts);
    }
    let gone = HotLayout::new(bench.hot_folder.path()).file(&device(), HotKind::Segment, key(1, 6));
    fs::remove_file(gone).unwrap();
    bench.commit().unwrap();
    let metrics = &bench.parts().metrics;
    assert_eq!((metrics.lost_corrupt.get(), metrics.lost_vanished.get().round()), (2.0, 1.0));
    assert_eq!(bench.all_packets().video.len(), 5 * 25);
    assert_eq!(bench.parts().hot.waiting_bytes(), 0);
}

#[test]
fn wall_clock_steps_start_parts_and_overwrite_nothing() {
    for step_s in [3600, -3600, 86_400, -86_400, 60 - HOUR] {
        let bench = Bench::new(10, 4000);
        let clip = Clip::h264_aac(20);
        for (number, ts) in clip.segments.iter().enumerate() {
            if number == 10 {
                let wall = bench.manual.clock().wall();
                bench.manual.step_wall(wall + step_s * 90_000);
            }
            bench.arrive(key(1, number as u64), ts);
            let waiting = bench.parts().hot.waiting();
            bench.parts().cell.look(&bench.manual.clock(), waiting.last().map(|segment| segment.key));
            if number % 3 == 2 {
                bench.commit().unwrap();
            }
        }
        bench.commit().unwrap();
        assert_eq!(bench.all_packets().video.len(), 500, "{step_s}");
        let starts: Vec<i64> = bench.chunks().iter().map(|chunk| chunk.start.as_seconds()).collect();
        let stepped = starts.iter().filter(|start| (**start - (HOUR + 4010 + step_s)).abs() <= 11).count();
        assert!(stepped >= 1, "{step_s}: {starts:?}");
    }
}

#[test]
fn the_same_hour_again_does_not_overwrite_the_first() {
    let bench = Bench::new(10, 0);
    let clip = Clip::h264_aac(12);
    bench.record(1, &clip, 4);
    bench.manual.step_wall(Utc90k::from_seconds(HOUR));
    bench.record(2, &clip, 4);
    let files: Vec<String> = bench.chunks().iter().map(|chunk| bench.path(chunk).display().to_string()).collect();
    assert!(files.iter().any(|file| file.ends_with("chunk_10min_0.mp4")), "{files:?}");
    assert!(files.iter().any(|file| file.ends_with("chunk_10min_0-2.mp4")), "{files:?}");
    assert_eq!(bench.all_packets().video.len(), 600);
}

#[test]
fn a_day_later_the_slot_is_free() {
    let bench = Bench::new(10, 0);
    let clip = Clip::h264_aac(12);
    bench.record(1, &clip, 4);
    bench.manual.advance(Duration::from_secs(86_400 - 12));
    bench.record(2, &clip, 4);
    let slots: Vec<bool> =
        bench.chunks().iter().map(|chunk| bench.path(chunk).ends_with("4/chunk_10min_0.mp4")).collect();
    assert_eq!(slots.iter().filter(|taken| **taken).count(), 1);
    assert_eq!(bench.parts().metrics.chunks_expired.get(), 1);
}

/// Design §4: while clocks behave, no chunk ever meets one of the day before in its place.
#[test]
fn in_48_ordinary_hours_every_chunk_finds_its_place_free() {
    let bench = Bench::new(600, 0);
    let clip = Clip::h264_aac(2);
    for slot in 0..48 * 6 {
        bench.record(slot + 1, &clip, 2);
        bench.manual.advance(Duration::from_secs(600 - 2));
    }
    let chunks = bench.chunks();
    let copies: Vec<_> = chunks.iter().map(|chunk| bench.path(chunk)).filter(|path| !path.exists()).collect();
    assert!(copies.is_empty(), "listed, and not there: {copies:?}");
    let in_ring = chunks.iter().filter_map(|chunk| match chunk.place {
        Place::Ring(slot) => Some(slot),
        _ => None,
    });
    let slots: Vec<_> = in_ring.collect();
    assert!(slots.iter().all(|slot| slot.copy == 1), "{slots:?}");
    // A whole day, but for the one whose place is still free because its successor is open.
    assert_eq!((slots.len(), chunks.len()), (144, 145));
}

#[test]
fn a_chunk_is_finished_when_nothing_arrives_any_more() {
    let bench = Bench::new(10, 0);
    bench.record(1, &Clip::h264_aac(4), 2);
    bench.job(Due::Idle).unwrap();
    assert!(!bench.chunks()[0].sealed, "its time is not over");
    bench.manual.advance(Duration::from_secs(10));
    bench.job(Due::Idle).unwrap();
    assert!(bench.chunks()[0].sealed);
    bench.record(2, &Clip::h264_aac(4), 2);
    assert_eq!(bench.chunks().len(), 2);
}
