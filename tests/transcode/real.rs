//! What a real FFmpeg with libx265 makes of real chunks.

use std::{sync::atomic::Ordering, time::Duration};

use capstan::{
    clock::Clock,
    config::Storage,
    media::VideoCodec,
    merge::recover::verify_file,
    playback::{ClipCache, FragmentTable, TableCache},
    storage::{DeviceIndex, Volume},
    transcode::{Encode, Made, Reason},
};

use crate::{
    common::{LoopDisk, skip},
    footage::Footage,
    rig::{RECORDED, Rig, SOUND, Watcher, decodes, options, read, shown, sound_md5},
    support::{Media, Place, START, device, encode, ffprobe},
};

fn short() -> Media {
    media(&RECORDED.replace("duration=12", "duration=5"))
}

fn media(arguments: &str) -> Media {
    encode(tempfile::tempdir().unwrap().path(), arguments)
}

/// A successor is what its source is, but for the codec and the size.
fn check(rig: &Rig, made: &Made) -> FragmentTable {
    let (source, successor) = (rig.source(), rig.successor());
    let ((old, was), (new, is)) = (read(&source), read(&successor));
    assert_eq!(new.tracks.video.as_ref().unwrap().codec, VideoCodec::H265);
    assert_eq!(made.entry, capstan::storage::ChunkEntry { place: made.entry.place, ..is.clone() });
    assert_eq!(made.entry.place, rig.job.source.place);
    assert_eq!((is.key.start_ms, is.key.generation), (was.key.start_ms, was.key.generation + 1));
    assert!(is.codecs.starts_with("hvc1.1.6.L") || is.codecs.starts_with("hvc1.4."), "{}", is.codecs);
    assert_eq!(shown(&source), shown(&successor), "pictures are shown when they were");
    assert_eq!(old.holes, new.holes);
    assert!((was.end - is.end).abs() <= 3600);
    assert_eq!(old.meta.sealed.unwrap().last_mark, new.meta.sealed.unwrap().last_mark);
    if old.tracks.audio.is_some() {
        assert_eq!(sound_md5(&source), sound_md5(&successor));
        let times = |table: &FragmentTable| table.audio.samples().map(|sample| sample.dts).collect::<Vec<_>>();
        assert_eq!(times(&old), times(&new));
    }
    decodes(&successor);
    assert_eq!(
        ffprobe(&successor, "-select_streams v -show_entries stream=codec_tag_string -of csv=p=0").trim(),
        "hvc1"
    );
    assert!(verify_file(&rig.place.volume, &rig.job.successor).unwrap().is_whole());
    for fragment in new.fragments() {
        assert!(fragment.video.is_none_or(|run| run.begins_with_sync()));
        assert!(fragment.end - fragment.start <= 10 * 90_000 + 3600, "short enough to be an entry of a playlist");
    }
    new
}

#[test]
fn a_chunk_with_sound_becomes_hevc() {
    let rig = Rig::new(&media(&format!("{SOUND} {RECORDED} -map 0 -map 1 -c:a aac -b:a 64k")), options());
    let watcher = Watcher::default();
    let made = rig.transcoder.run(&rig.job, &watcher).unwrap();
    let table = check(&rig, &made);
    assert_eq!(made.encoder, "libx265");
    assert!(made.ssim.unwrap() > 0.9, "{:?}", made.ssim);
    let size = std::fs::metadata(rig.successor()).unwrap().len();
    let written = watcher.written_bytes.load(Ordering::Relaxed);
    assert!((written as i64 - (size - table.meta.data_offset) as i64).abs() < 40_000, "written once: {written}");
    // Encoding, decoding, five comparisons: each began and ended.
    let groups = watcher.groups.into_inner().unwrap();
    assert_eq!(groups.len(), 2 * 7);
    assert!(groups.chunks(2).all(|pair| pair[0].is_some() && pair[1].is_none()), "{groups:?}");
    let told = watcher.told.into_inner().unwrap();
    assert!(told.is_sorted_by(|one, next| one.0 <= next.0) && told.last().unwrap().0 == 1.0, "{told:?}");
    // Twelve seconds in GOPs of four.
    assert_eq!(table.fragments().len(), 3);
}

/// In the place of its source it is cut like any chunk: the same pictures and sounds, each at its moment.
#[test]
fn clips_of_a_successor_are_exact() {
    let mut media = media(&format!("{SOUND} {RECORDED} -map 0 -map 1 -c:a aac -b:a 64k"));
    for gop in &mut media.gops[7..] {
        gop.video.iter_mut().for_each(|run| run.base += 5 * 90_000);
        gop.audio.iter_mut().for_each(|run| run.base += 5 * 44_100);
    }
    let rig = Rig::new(&media, options());
    let made = rig.run().unwrap();
    std::fs::rename(rig.successor(), rig.source()).unwrap();
    let path = rig.source();
    let mut footage = Footage {
        place: rig.place,
        index: DeviceIndex::new(device()),
        cache: TableCache::default(),
        clips: ClipCache::default(),
        samples: Vec::new(),
        frames: Vec::new(),
    };
    footage.learn(&path, START);
    footage.index.put(made.entry);
    for (from, to) in [(0.0, 17.0), (2.5, 5.3), (4.0, 9.0), (6.0, 14.2), (13.0, 16.9)] {
        footage.check(from, to, "a successor");
    }
}

#[test]
fn pictures_alone_with_b_frames_and_gaps() {
    let mut media = media(&RECORDED.replace("-bf 0", "-bf 2"));
    // 20 s are missing after the fifth second, 3.3 s after the eighth.
    for (index, gop) in media.gops.iter_mut().enumerate() {
        let late = if index >= 5 { 20 * 90_000 } else { 0 } + if index >= 8 { 297_000 } else { 0 };
        gop.video.iter_mut().for_each(|run| run.base += late);
    }
    let rig = Rig::new(&media, options());
    let made = rig.run().unwrap();
    let table = check(&rig, &made);
    assert_eq!(table.holes.len(), 2);
    assert_eq!(made.entry.holes(), Some(&*table.holes));
    assert!(table.tracks.audio.is_none());
    assert!(table.video.samples().any(|sample| sample.cts < 0), "HEVC with B-frames");
}

#[test]
fn a_camera_with_an_unsteady_rate_keeps_its_times() {
    // Times that no rate explains: each picture late by up to 17 ms, some left out.
    let filter = r"-vf settb=1/90000,setpts=PTS+random(3)*1500,select=not(eq(mod(n\,7)\,3)) -fps_mode passthrough -enc_time_base:v 1:90000";
    let recorded = RECORDED.replace("-c:v", &format!("{filter} -force_key_frames expr:gte(t,n_forced) -c:v"));
    let rig = Rig::new(&media(&recorded), options());
    let made = rig.run().unwrap();
    check(&rig, &made);
}

#[test]
fn sound_goes_on_where_pictures_pause() {
    let arguments = format!("{SOUND} {RECORDED} -map 0 -map 1 -c:a aac -b:a 64k");
    let mut media = media(&arguments);
    // From the fourth to the ninth second the camera sent sound alone.
    media.gops[4..9].iter_mut().for_each(|gop| gop.video = None);
    let rig = Rig::new(&media, options());
    let made = rig.run().unwrap();
    let table = check(&rig, &made);
    assert_eq!(table.holes.len(), 1);
    assert!(table.fragments().any(|fragment| fragment.video.is_none()), "sound by itself");
}

#[test]
fn nothing_changes_where_the_source_is_not_fit() {
    let recorded = media(RECORDED);
    let check = |media: &Media, spoil: &dyn Fn(&Rig), reason: Reason, part: &str| {
        let rig = Rig::new(media, options());
        spoil(&rig);
        let before = std::fs::read(rig.source()).unwrap();
        let failure = rig.run().unwrap_err();
        assert_eq!(failure.reason, reason, "{}", failure.message);
        assert!(failure.message.contains(part), "{}", failure.message);
        assert!(!rig.successor().exists());
        assert!(std::fs::read(rig.source()).unwrap() == before, "the source is as it was");
    };
    let whole = |_: &Rig| {};
    let sound = media(&format!("{SOUND} -c:a aac"));
    check(&sound, &whole, Reason::Source, "no pictures");
    let x265 = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=2 -c:v libx265 -preset ultrafast -pix_fmt yuv420p";
    let hevc = media(&format!("{x265} -x265-params log-level=none:keyint=25"));
    check(&hevc, &whole, Reason::Source, "not H.264");
    let interlaced = media(&RECORDED.replace("scenecut=0", "scenecut=0:interlaced=1:bff=1"));
    check(&interlaced, &whole, Reason::Source, "interlaced");
    let mut resized = media(RECORDED);
    let other = media(&RECORDED.replace("320x180", "160x90"));
    for (to, from) in resized.gops.iter_mut().zip(&other.gops).skip(6) {
        *to = from.clone();
    }
    check(&resized, &whole, Reason::Source, "changes inside");
    // A byte of a picture that is not the byte that was written.
    let flip = |rig: &Rig| {
        let mut bytes = std::fs::read(rig.source()).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        std::fs::write(rig.source(), bytes).unwrap();
    };
    check(&recorded, &flip, Reason::Source, "");
    let cut = |rig: &Rig| {
        let bytes = std::fs::read(rig.source()).unwrap();
        std::fs::write(rig.source(), &bytes[..bytes.len() * 2 / 3]).unwrap();
    };
    check(&recorded, &cut, Reason::Source, "");
    // Recorded damaged: whole as a file, but no decoder is happy with it.
    let mut torn = media(RECORDED);
    for gop in &mut torn.gops[5..7] {
        let run = gop.video.as_mut().unwrap();
        let data = run.samples[9].data.clone();
        run.es[data.start + 12..data.end].fill(0x55);
    }
    check(&torn, &whole, Reason::Source, "decode");
}

/// A minute that cannot fail by chance: a child that is killed leaves within a second, with its file.
#[test]
fn it_is_cancelled_within_a_second() {
    let long = media(&RECORDED.replace("duration=12", "duration=20"));
    let rig = Rig::new(
        &long,
        capstan::transcode::Options { preset: capstan::capture::command::Effort::Veryslow, ..options() },
    );
    let watcher = std::sync::Arc::new(Watcher::default());
    let clock = Clock::system();
    let failure = std::thread::scope(|scope| {
        let job = scope.spawn(|| rig.transcoder.run(&rig.job, &*watcher).unwrap_err());
        let deadline = clock.mono() + Duration::from_secs(30);
        while watcher.groups.lock().unwrap().is_empty() {
            assert!(clock.mono() < deadline, "it never began");
            std::thread::yield_now();
        }
        let before = clock.mono();
        watcher.cancelled.store(true, Ordering::Relaxed);
        let failure = job.join().unwrap();
        let taken = clock.mono().since(before);
        assert!(taken < Duration::from_secs(1), "{taken:?}");
        failure
    });
    assert_eq!(failure.reason, Reason::Cancelled);
    assert!(!rig.successor().exists());
    let group = watcher.groups.lock().unwrap()[0].unwrap();
    assert!(procfs::process::Process::new(group).is_err(), "reaped");
}

/// A stopped encoder prints nothing, and is not late.
#[test]
fn the_group_it_tells_can_be_stopped_for_as_long_as_one_likes() {
    let mut options = options();
    options.limits.silence = Duration::from_millis(800);
    let rig = Rig::new(&short(), options);
    let stopped = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let from = std::sync::Arc::clone(&stopped);
    let watcher = Watcher {
        started: Some(Box::new(move |group| {
            let group = rustix::process::Pid::from_raw(group).unwrap();
            rustix::process::kill_process_group(group, rustix::process::Signal::STOP).unwrap();
            from.store(1, Ordering::Relaxed);
        })),
        // Asked five times a second: three seconds, and then enough.
        enough: Some(Box::new(move || {
            stopped.load(Ordering::Relaxed) > 0 && stopped.fetch_add(1, Ordering::Relaxed) > 15
        })),
        ..Watcher::default()
    };
    let failure = rig.transcoder.run(&rig.job, &watcher).unwrap_err();
    assert_eq!(failure.reason, Reason::Cancelled, "{}", failure.message);
    let groups = watcher.groups.into_inner().unwrap();
    assert!(matches!(groups[..], [Some(_), None]), "{groups:?}");
    assert!(procfs::process::Process::new(groups[0].unwrap()).is_err(), "a stopped child is killed too");
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    use capstan::storage::{Effect, Op};
    let recorded = short();
    for (op, skip, errno, reason) in [
        (Op::Write, 2, libc::ENOSPC, Reason::Full),
        (Op::Write, 5, libc::EIO, Reason::Disk),
        (Op::Create, 0, libc::ENOSPC, Reason::Full),
        (Op::SyncFile, 0, libc::EIO, Reason::Disk),
        (Op::SyncFile, 1, libc::ENOSPC, Reason::Full),
    ] {
        let rig = Rig::new(&recorded, options());
        let before = std::fs::read(rig.source()).unwrap();
        rig.place.volume.faults().arm(op, skip, u32::MAX, Effect::Fail(errno));
        let watcher = Watcher::default();
        let failure = rig.transcoder.run(&rig.job, &watcher).unwrap_err();
        assert_eq!(failure.reason, reason, "{op:?} {skip}: {}", failure.message);
        assert!(!rig.successor().exists());
        // What it wrote before, and no more: a budget is charged with it.
        let written = watcher.written_bytes.load(Ordering::Relaxed);
        assert_eq!(written > 0, op != Op::Create, "{op:?} {skip}: {written}");
        assert!(written < before.len() as u64);
        rig.place.volume.faults().clear();
        assert!(std::fs::read(rig.source()).unwrap() == before);
    }
}

#[test]
fn a_real_disk_that_fills_up_meanwhile_costs_nothing_but_the_job() {
    let Some(disk) = LoopDisk::new(32) else {
        return skip("a_real_disk_that_fills_up_meanwhile_costs_nothing_but_the_job", "no loop mounts here");
    };
    let storage = Storage { root: disk.root(), ..Storage::default() };
    let volume = Volume::open(&storage, &Clock::system()).unwrap();
    let place = Place { folder: tempfile::tempdir().unwrap(), volume };
    let rig = Rig::in_place(place, &short(), options());
    let before = std::fs::read(rig.source()).unwrap();
    let filler = disk.fill();
    let full = std::fs::metadata(&filler).unwrap().len();
    // No room at all, and room for a part of it.
    for left in [0, 96 << 10] {
        let file = std::fs::File::options().write(true).open(&filler).unwrap();
        file.set_len(full - left).unwrap();
        file.sync_all().unwrap();
        let watcher = Watcher::default();
        let failure = rig.transcoder.run(&rig.job, &watcher).unwrap_err();
        assert_eq!((failure.reason, failure.reason.is_final()), (Reason::Full, false), "{}", failure.message);
        assert!(!rig.successor().exists());
        assert!(watcher.written_bytes.load(Ordering::Relaxed) <= left.max(8192));
        assert!(std::fs::read(rig.source()).unwrap() == before);
        assert!(
            verify_file(&rig.place.volume, &rig.job.source.path(rig.place.volume.layout(), &device()))
                .unwrap()
                .is_whole()
        );
    }
    std::fs::remove_file(&filler).unwrap();
    let made = rig.run().unwrap();
    check(&rig, &made);
}

#[test]
fn a_source_that_goes_is_nobodys_fault() {
    let recorded = short();
    let rig = Rig::new(&recorded, options());
    let source = rig.source();
    let watcher =
        Watcher { started: Some(Box::new(move |_| drop(std::fs::remove_file(&source)))), ..Watcher::default() };
    let failure = rig.transcoder.run(&rig.job, &watcher).unwrap_err();
    assert_eq!(failure.reason, Reason::Cancelled, "{}", failure.message);
    assert!(!rig.successor().exists());
    let failure = rig.run().unwrap_err();
    assert_eq!(failure.reason, Reason::Cancelled, "{}", failure.message);
}

/// Of a job that a crash ended.
#[test]
fn what_an_earlier_job_left_is_in_nobodys_way() {
    let rig = Rig::new(&short(), options());
    std::fs::write(rig.successor(), b"half").unwrap();
    let made = rig.run().unwrap();
    check(&rig, &made);
}
