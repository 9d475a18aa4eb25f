//! Fragment tables: those of a growing chunk and of the sealed one say the same, and what they say is what FFmpeg reads.

use std::fs::File;

use capstan::{
    clock::Utc90k,
    playback::{FragmentTable, Hole, SampleRef, Track},
};

use crate::support::{Gop, Media, Place, START, encode, ffprobe, small};

/// Records, reads the table, seals, reads it again: both must be one but for the seal itself.
fn table_of(media: &Media) -> (Place, std::path::PathBuf, FragmentTable) {
    let place = Place::new();
    let writer = media.record(&place, 3);
    let (len, told) = (writer.published_len(), writer.holes());
    let mut growing = FragmentTable::read(&File::open(place.absolute(writer.path())).unwrap(), len).unwrap();
    let chunk = writer.seal().unwrap();
    let path = place.absolute(&chunk.path);
    let sealed = FragmentTable::read(&File::open(&path).unwrap(), chunk.bytes).unwrap();
    assert!(growing.meta.sealed.is_none());
    assert_eq!(sealed.meta.sealed.map(|sealed| sealed.gaps), Some(sealed.holes.len() as u32));
    assert_eq!((&*told, chunk.holes.as_deref()), (&*sealed.holes, Some(&*sealed.holes)), "what the index is told");
    growing.meta = sealed.meta.clone();
    assert_eq!(growing, sealed);
    (place, path, sealed)
}

/// Moves everything from GOP `from` on by `seconds`.
fn delay(media: &mut Media, from: usize, seconds: u64) {
    for gop in media.gops.iter_mut().skip(from) {
        let Gop { video, audio } = gop;
        video.iter_mut().for_each(|run| run.base += seconds * 90_000);
        audio.iter_mut().for_each(|run| run.base += seconds * 48_000);
    }
}

#[test]
fn samples_are_those_that_were_appended() {
    for has_audio in [false, true] {
        let media = small(7, has_audio);
        let (_place, path, table) = table_of(&media);
        assert_eq!(table.fragments().len(), 7);
        assert_eq!(table.video.len() + table.audio.len(), media.samples());
        let bytes = std::fs::read(path).unwrap();
        for (gop, fragment) in media.gops.iter().zip(table.fragments()) {
            let run = fragment.video.unwrap();
            assert!(run.begins_with_sync() && !fragment.is_after_hole);
            let expected = gop.video.as_ref().unwrap();
            assert_eq!((run.base(), run.len()), (expected.base, expected.samples.len()));
            for (sample, expected_sample) in run.samples().zip(&expected.samples) {
                let found = &bytes[sample.offset as usize..][..sample.size as usize];
                // A length instead of the start code of four bytes.
                assert_eq!(found[4..], expected.es[expected_sample.data.clone()][4..]);
                assert_eq!((sample.duration, sample.cts, sample.sync), (3000, 0, expected_sample.sync));
            }
            assert_eq!(fragment.start, START + expected.base as i64);
            assert_eq!(fragment.end, fragment.start + 9000);
        }
        let joined: Vec<_> = table.fragments().map(|fragment| fragment.bytes).collect();
        assert!(joined.windows(2).all(|pair| pair[0].end == pair[1].start), "one range after another");
        assert_eq!(joined[0].start, table.meta.data_offset);
    }
}

#[test]
fn holes_are_found_in_growing_and_sealed_chunks_alike() {
    let check = |delays: &[(usize, u64)], expected: &[(i64, i64)]| {
        let mut media = small(9, true);
        delays.iter().for_each(|&(from, seconds)| delay(&mut media, from, seconds));
        let (_place, _path, table) = table_of(&media);
        let ms = |at: Utc90k| (at - START) / 90;
        let found: Vec<_> = table.holes.iter().map(|Hole { start, end }| (ms(*start), ms(*end))).collect();
        assert_eq!(found, expected, "{delays:?}");
        assert_eq!(table.fragments().filter(|fragment| fragment.is_after_hole).count(), expected.len());
        assert!(table.video.samples().all(|sample| sample.duration == 3000), "no sample lasts over a hole");
    };
    check(&[], &[]);
    check(&[(4, 1)], &[(400, 1400)]);
    check(&[(2, 30), (3, 1), (8, 60)], &[(200, 30_200), (30_300, 31_300), (31_800, 91_800)]);
}

/// With B-frames a hole begins where the last picture ends, which is not the last one in the file.
#[test]
fn holes_between_reordered_pictures_and_in_sound_alone_are_told_alike() {
    let picture = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6 -c:v libx264 -bf 3 -g 25 -sc_threshold 0";
    let tone = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=6 -c:a aac -ac 1";
    for arguments in [picture, tone] {
        let folder = tempfile::tempdir().unwrap();
        let mut media = encode(folder.path(), arguments);
        for (from, seconds) in [(2, 1), (3, 20)] {
            delay(&mut media, from, seconds);
        }
        let (_place, _path, table) = table_of(&media);
        assert_eq!(table.holes.len(), 2, "{arguments}");
    }
}

#[test]
fn a_slow_stream_has_no_holes() {
    let mut media = small(6, false);
    for (index, gop) in media.gops.iter_mut().enumerate() {
        let run = gop.video.as_mut().unwrap();
        run.base = index as u64 * 90_000;
        run.samples.truncate(1);
        run.samples[0].duration = 90_000;
    }
    delay(&mut media, 4, 2);
    let (_place, _path, table) = table_of(&media);
    assert_eq!(*table.holes, [Hole { start: START + 4 * 90_000, end: START + 6 * 90_000 }]);
}

#[test]
fn tables_agree_with_ffprobe_on_real_media() {
    let check = |arguments: &str| {
        let folder = tempfile::tempdir().unwrap();
        let (_place, path, table) = table_of(&encode(folder.path(), arguments));
        for (stream, track) in [("v:0", &table.video), ("a:0", &table.audio)] {
            let asked = format!("-select_streams {stream} -show_entries packet=pts_time,pos,size,flags -of csv=p=0");
            let probed = ffprobe(&path, &asked);
            let probed: Vec<_> = probed.lines().filter(|line| !line.is_empty()).collect();
            assert_eq!(probed.len(), track.len(), "{arguments}");
            track.samples().zip(probed).for_each(|(sample, probed)| agree(track, &sample, probed));
        }
    };
    let picture = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6";
    let tone = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=6";
    check(&format!("{picture} -c:v libx264 -preset ultrafast -bf 0 -g 25"));
    check(&format!("{picture} {tone} -c:v libx264 -preset veryfast -bf 2 -g 25 -sc_threshold 0 -c:a aac -ac 1"));
    check(&format!("{tone} -c:a aac -ac 2"));
}

/// A line of ffprobe: `pts_time,size,pos,flags`.
fn agree(track: &Track, sample: &SampleRef, probed: &str) {
    let fields: Vec<&str> = probed.split(',').collect();
    let [pts, size, pos, flags] = fields[..4] else { panic!("{probed}") };
    let expected = sample.pts() as f64 / f64::from(track.rate());
    assert!((pts.parse::<f64>().unwrap() - expected).abs() < 2e-5, "{probed} against {sample:?}");
    assert_eq!((size, pos), (&*sample.size.to_string(), &*sample.offset.to_string()), "{sample:?}");
    assert_eq!(flags.starts_with('K'), sample.sync, "{probed} against {sample:?}");
}
