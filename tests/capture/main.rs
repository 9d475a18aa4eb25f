//! Real FFmpeg under the capture actor: what every source yields, and what happens when something goes wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod rig;
mod rtsp;

use std::{process::Command, time::Duration};

use capstan::{
    capture::{CaptureState, PICTURE_TICKS_PER_SECOND, Reason, TS_OFFSET_90K},
    media::VideoCodec,
    storage::layout::{HotKind, PictureKind, parse_hot_name},
    supervisor::Poison,
};
use rig::{PATIENCE, Rig, demux, ffmpeg, folder, wait_for, wait_within};

const TEST: &str = "source = { kind = \"test\" }";

/// Every segment decodes on its own: an IDR with its parameter sets first, no picture before its turn, about a second.
fn check_segments(paths: &[std::path::PathBuf], seconds: std::ops::Range<f64>, b_frames: bool) {
    check_seams(paths, seconds, b_frames, 0);
}

/// Between two segments at most so many pictures are missing. Never is one there twice.
fn check_seams(paths: &[std::path::PathBuf], seconds: std::ops::Range<f64>, b_frames: bool, dropped_max: i64) {
    let mut end = None;
    for path in paths {
        let segment = demux(path);
        assert_eq!(segment.faults.total(), 0, "{}", path.display());
        let video = segment.video.unwrap();
        assert!(video.config.is_some(), "{}: no parameter sets", path.display());
        assert!(video.samples[0].sync, "{}: does not begin with an IDR", path.display());
        if !b_frames {
            assert!(video.samples.iter().all(|sample| sample.pts_90k == sample.dts_90k), "{}", path.display());
        }
        let first = video.samples.iter().map(|sample| sample.pts_90k).min().unwrap();
        let last = video.samples.iter().map(|sample| sample.pts_90k).max().unwrap();
        let frame = (last - first) / (video.samples.len() as i64 - 1).max(1);
        let length = (last - first + frame) as f64 / 90_000.0;
        assert!(seconds.contains(&length), "{}: {length} s", path.display());
        if let Some(end) = end {
            let seam: i64 = first - end;
            let tolerance = frame / 2 + 90;
            let continues = seam >= -tolerance && seam <= dropped_max * frame + tolerance;
            assert!(continues, "{}: a seam of {seam} ticks", path.display());
        }
        end = Some(last + frame);
    }
}

#[actix_rt::test]
async fn a_test_picture_becomes_segments_and_pictures() {
    let rig = Rig::start(TEST, "");
    let segments = rig.segments(4, 1).await;
    check_segments(&segments, 0.9..1.1, false);
    let (capture, thumbnail) = (PictureKind::Capture, PictureKind::Thumbnail);
    for kind in [capture, thumbnail] {
        let pictures = rig.pictures(kind);
        assert!((15..=30).contains(&pictures.len()), "{} pictures in some 4 s at 5 a second", pictures.len());
        for path in &pictures {
            let bytes = std::fs::read(path).unwrap();
            assert!(bytes.starts_with(&[0xff, 0xd8]) && bytes.ends_with(&[0xff, 0xd9]), "{}", path.display());
        }
    }
    wait_for("online", || rig.status().state == CaptureState::Online).await;
    let status = rig.status();
    assert!(status.pid.is_some() && status.fps > 5.0 && status.last_exit.is_none(), "{status:?}");
    // The last segment, shorter than a second, is whole as well, and nothing half-written is left.
    let (layout, id) = (rig.layout.clone(), rig.id.clone());
    let _dir = rig.stop().await;
    for kind in HotKind::ALL {
        for entry in std::fs::read_dir(layout.folder(&id, kind)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let known = parse_hot_name(kind, &name).is_some() || matches!(name.as_str(), "ffmpeg.m3u8" | "live.json");
            assert!(known, "{name} is left in hot");
        }
    }
}

/// What detectors will be tested with must be what it says: black is black, frozen is the same picture, clock and all.
#[actix_rt::test]
async fn the_timetable_of_a_test_picture_is_kept() {
    let camera = "source = { kind = \"test\", freeze = [[1, 2]], black = [[3, 4]], period = 5 }";
    let rig = Rig::start(camera, "");
    rig.segments(10, 1).await;
    let of_spell = |from: u64, to: u64| {
        let inside = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let key = parse_hot_name(HotKind::Picture(PictureKind::Thumbnail), name).unwrap();
            (from..to).contains(&key.number)
        };
        let pictures = rig.pictures(PictureKind::Thumbnail);
        pictures.iter().filter(|path| inside(path)).map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let same = |pictures: &[Vec<u8>]| pictures.windows(2).filter(|pair| pair[0] == pair[1]).count();
    // Hundredths of a second; the timetable starts over after five.
    for (from, to) in [(100, 200), (600, 700), (300, 400), (800, 900)] {
        let pictures = of_spell(from, to);
        assert_eq!((pictures.len(), same(&pictures)), (5, 4), "{from}");
    }
    let moving = of_spell(200, 300);
    assert_eq!((moving.len(), same(&moving)), (5, 0));
    // A black JPEG of this size takes next to nothing.
    assert!(of_spell(300, 400)[0].len() * 3 < moving[0].len());
    rig.stop().await;
}

/// A copy of the stream makes pictures from key frames: each must carry the time of a key frame of the TS.
#[actix_rt::test]
async fn names_of_pictures_tell_the_time_of_their_segment() {
    let dir = folder();
    let clip = dir.path().join("clip.mp4");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6 -f lavfi -i sine=duration=6 -c:v libx264 -preset veryfast -g 15 -bf 2 -c:a aac {}",
        clip.display()
    ));
    let camera = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = \"{}\" }}", clip.display());
    let rig = Rig::start(&camera, "");
    let segments = rig.segments(5, 1).await;
    check_segments(&segments, 0.5..2.0, true);
    let keys: Vec<i64> = segments
        .iter()
        .flat_map(|path| demux(path).video.unwrap().samples)
        .filter(|sample| sample.sync)
        .map(|sample| sample.pts_90k - TS_OFFSET_90K)
        .collect();
    let mut compared = 0;
    for path in rig.pictures(PictureKind::Capture) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let key = parse_hot_name(HotKind::Picture(PictureKind::Capture), &name).unwrap();
        let time = key.number as i64 * 90_000 / PICTURE_TICKS_PER_SECOND;
        if time > *keys.last().unwrap() {
            continue;
        }
        // Half a picture at 25 a second, which is also more than the rounding to 10 ms.
        assert!(keys.iter().any(|key| (key - time).abs() <= 1800), "{name} is none of {keys:?}");
        compared += 1;
    }
    assert!(compared >= 3, "{compared}");
    rig.stop().await;
}

#[actix_rt::test]
async fn ffmpeg_outlives_a_panic_of_its_actor() {
    let rig = Rig::start(TEST, "");
    rig.segments(2, 1).await;
    let pid = rig.cell.current().unwrap().pid();
    rig.injector.inject("ffmpeg", Poison::Panic).unwrap();
    wait_for("the next generation", || rig.supervisor.board().node("ffmpeg").is_some_and(|node| node.generation == 2))
        .await;
    let segments = rig.segments(rig.hot.waiting().len() + 2, 1).await;
    check_segments(&segments, 0.9..1.1, false);
    assert_eq!(rig.cell.current().unwrap().pid(), pid);
    assert_eq!(rig.hot.highest_epoch().map(|epoch| epoch.0), Some(1), "one run, not two");
    wait_for("the successor to be online", || rig.status().state == CaptureState::Online).await;
    rig.stop().await;
}

/// Killed, then stopped (SIGSTOP): segments again within 5 s.
#[actix_rt::test]
async fn a_dead_or_stuck_ffmpeg_is_replaced() {
    let rig = Rig::start(TEST, "");
    rig.segments(1, 1).await;
    let mut took = Vec::new();
    for (run, signal) in [(1, libc::SIGKILL), (2, libc::SIGSTOP)] {
        // Past the start: a watch on progress needs some progress.
        rig.segments(2, run).await;
        let pid = rig.cell.current().unwrap().pid().unwrap();
        // SAFETY: a signal to a child of ours that is alive: its exit has not been collected.
        assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
        let mut again = || rig.hot.highest_epoch().is_some_and(|epoch| epoch.0 > run);
        took.push((signal, wait_within(PATIENCE, "a new run's first segment", &mut again).await));
    }
    println!("first segment after SIGKILL and SIGSTOP: {took:?}");
    // Generous for a loaded machine; 2 s and 5 s when it is idle.
    assert!(took.iter().all(|(_, took)| *took < Duration::from_secs(8)), "{took:?}");
    assert_eq!(rig.status().restarts, 2);
    rig.stop().await;
}

/// Children of this process that nobody has waited for.
fn zombies() -> usize {
    let parent = std::process::id().to_string();
    let dead = |entry: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        (fields.next() == Some("Z") && fields.next() == Some(&parent)).then_some(())
    };
    std::fs::read_dir("/proc").unwrap().filter_map(dead).count()
}

#[actix_rt::test]
async fn fifty_kills_leave_no_zombie() {
    let rounds = std::env::var("CAPSTAN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let spawner = capstan::capture::Spawner::start(capstan::limits::WorkGroup::default()).unwrap();
    let cell = capstan::capture::ProcessCell::new(spawner);
    for round in 0..rounds {
        let command = capstan::capture::FfmpegCommand {
            program: "ffmpeg".into(),
            dir: "/".into(),
            args: "-v error -progress pipe:1 -re -f lavfi -i testsrc2=size=64x64 -f null -"
                .split(' ')
                .map(Into::into)
                .collect(),
        };
        let running = cell.start(command.clone(), capstan::ids::Epoch(round)).unwrap();
        assert!(cell.start(command, capstan::ids::Epoch(round)).is_err(), "a second child beside the first");
        wait_for("its pid", || running.pid().is_some()).await;
        if round % 5 == 0 {
            running.quit();
        } else {
            running.kill();
        }
        running.ended().await;
        let exit = running.exit().unwrap();
        assert!(round % 5 == 0 || exit.signal == Some(9), "{exit:?}");
    }
    wait_for("no zombie", || zombies() == 0).await;
}

#[actix_rt::test]
async fn what_is_wrong_with_a_source_is_named() {
    let camera = rtsp::Camera::start(rtsp::Film::new(&film(0), ""));
    let check = async |camera: &str, more: &str, reason, state| {
        let rig = Rig::start(camera, more);
        wait_for(&format!("{camera}: {reason:?}"), || rig.status().reason == Some(reason)).await;
        let status = rig.status();
        assert_eq!(status.state, state, "{status:?}");
        let words = status.last_exit.as_ref().map(|exit| exit.words.join("\n")).unwrap_or_default();
        assert!(!words.contains("hunter2"), "{words}");
        rig.stop().await;
    };
    let rtsp = |url: &str| format!("quality = \"copy\"\nsource = {{ kind = \"rtsp\", url = \"{url}\" }}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let offline = CaptureState::Offline;
    check(&rtsp(&format!("rtsp://admin:hunter2@{closed}/live")), "", Reason::Refused, offline).await;
    check(&rtsp(&format!("rtsp://admin:hunter2@{}/secret", camera.address)), "", Reason::Unauthorized, offline).await;
    check(&rtsp(&camera.url("missing")), "", Reason::NotFound, offline).await;
    check("source = { kind = \"file\", path = \"/no/such.mp4\" }", "", Reason::NotFound, offline).await;
    check("source = { kind = \"v4l2\", path = \"/dev/video99\" }", "", Reason::MissingDevice, offline).await;
    check("source = { kind = \"screen\", display = \":7654\", size = \"64x64\" }", "", Reason::MissingDevice, offline)
        .await;
    let missing = "[ffmpeg]\npath = \"/no/such/ffmpeg\"\n";
    check(TEST, missing, Reason::MissingFfmpeg, CaptureState::Failed).await;
    let dir = folder();
    let noise = dir.path().join("noise.mp4");
    std::fs::write(&noise, vec![7; 4096]).unwrap();
    let file = format!("source = {{ kind = \"file\", path = \"{}\" }}", noise.display());
    check(&file, "", Reason::Unsupported, offline).await;
}

/// Four seconds of H.264 with key frames each second, as TS.
fn film(b_frames: u32) -> Vec<u8> {
    let dir = folder();
    let path = dir.path().join("film.ts");
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=4 -c:v libx264 -preset veryfast -g 25 -sc_threshold 0 -bf {b_frames} -x264-params b-adapt=0 {}",
        path.display()
    ));
    std::fs::read(path).unwrap()
}

fn rtsp_copy(camera: &rtsp::Camera) -> String {
    format!("quality = \"copy\"\nsource = {{ kind = \"rtsp\", url = \"{}\" }}", camera.url("live"))
}

#[actix_rt::test]
async fn a_camera_that_goes_and_comes_back() {
    let camera = rtsp::Camera::start(rtsp::Film::new(&film(0), ""));
    let rig = Rig::start(&rtsp_copy(&camera), "");
    let segments = rig.segments(3, 1).await;
    assert_eq!(demux(&segments[0]).video.unwrap().config.unwrap().codec, VideoCodec::H264);
    check_segments(&segments, 0.9..1.1, false);
    let address = camera.address;
    drop(camera);
    let mut offline = || rig.status().state == CaptureState::Offline;
    let told = wait_within(PATIENCE, "offline", &mut offline).await;
    assert_eq!(rig.status().reason, Some(Reason::Refused));
    let before = rig.hot.highest_epoch().map_or(0, |epoch| epoch.0);
    let _camera = rtsp::Camera::start_at(address, rtsp::Film::new(&film(0), ""));
    let mut back = || rig.hot.highest_epoch().is_some_and(|epoch| epoch.0 > before);
    let returned = wait_within(PATIENCE, "segments again", &mut back).await;
    println!("offline told after {told:?}, segments again after {returned:?}");
    assert!(told < Duration::from_secs(7) && returned < Duration::from_secs(8), "{told:?} {returned:?}");
    wait_for("online", || rig.status().state == CaptureState::Online).await;
    rig.stop().await;
}

#[actix_rt::test]
async fn rtsp_with_b_frames_is_copied() {
    let camera = rtsp::Camera::start(rtsp::Film::new(&film(2), ""));
    let rig = Rig::start(&rtsp_copy(&camera), "");
    let segments = rig.segments(4, 1).await;
    // The first picture has no time of its own in RTP and is set a little early.
    check_segments(&segments[..1], 0.9..1.3, true);
    check_segments(&segments[1..], 0.9..1.1, true);
    let reordered = demux(&segments[1]).video.unwrap().samples.iter().any(|sample| sample.pts_90k > sample.dts_90k);
    assert!(reordered, "the B-frames are still there");
    rig.stop().await;
}

#[actix_rt::test]
async fn promised_sound_that_never_comes_holds_nothing_up() {
    for (mute, copied) in [(rtsp::MUTE_AAC, true), (rtsp::MUTE_ALAW, false), (rtsp::ODD_AAC, true)] {
        let camera = rtsp::Camera::start(rtsp::Film::new(&film(0), mute));
        let rig = Rig::start(&rtsp_copy(&camera), "");
        let segments = rig.segments(3, 1).await;
        check_segments(&segments[1..], 0.9..1.1, false);
        // What is copied needs no decoder to have begun; what is encoded is given up after 3 s.
        assert_eq!(rig.status().audio, copied);
        // Nor does decoding it for the analysis: FFmpeg tells how it gets on, by which a hang is known.
        wait_for("progress", || rig.cell.current().unwrap().progress().frames > 0).await;
        assert_eq!(rig.status().restarts, u64::from(!copied));
        rig.stop().await;
    }
}

/// Sound that stalls and comes again while pictures go on: not one picture is late or lost, and what is heard has the time
/// of its run.
#[actix_rt::test]
async fn sound_that_stalls_is_heard_in_its_place() {
    let film = rtsp::Film::new(&film(0), rtsp::MUTE_ALAW).sounding(&[0..3, 7..12]);
    let camera = rtsp::Camera::start(film);
    let rig = Rig::start(&rtsp_copy(&camera), "");
    let segments = rig.segments(10, 1).await;
    check_segments(&segments[1..], 0.9..1.1, false);
    assert_eq!((rig.status().audio, rig.status().restarts), (true, 0));
    let heard = rig.heard();
    // Tenths of a second by their place in the run: loud, filled with nothing, loud.
    let loud: Vec<_> = heard.chunks_exact(3200).map(|tenth| tenth.iter().any(|byte| *byte != 0)).collect();
    let (from, again) = (loud.iter().position(|loud| !loud), loud.iter().rposition(|loud| !loud));
    let (from, again) = (from.unwrap(), again.unwrap() + 1);
    println!("{} tenths: silent from {from} to {again}", loud.len());
    // FFmpeg joins a running stream a little after its start.
    assert!((24..=34).contains(&from) && (38..=42).contains(&(again - from)), "{loud:?}");
    rig.stop().await;
}

#[actix_rt::test]
async fn mjpeg_over_http_is_encoded() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    // It serves one client and ends; the look is one and the recorder another.
    let served = url.clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let server = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let args =
                "-v quiet -nostdin -re -f lavfi -i testsrc2=size=320x240:rate=10 -t 20 -c:v mjpeg -f mpjpeg -listen 1";
            let _ = Command::new("ffmpeg").args(args.split(' ')).arg(&served).status();
        }
    });
    let rig = Rig::start(&format!("source = {{ kind = \"http\", url = \"{url}\" }}"), "");
    let segments = rig.segments(4, 1).await;
    check_segments(&segments[1..], 0.7..1.4, false);
    rig.stop().await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    // The last listener gets its client, so that it ends by itself.
    wait_for("the server to end", || {
        let _ = std::net::TcpStream::connect(("127.0.0.1", port));
        server.is_finished()
    })
    .await;
}

#[actix_rt::test]
async fn a_screen_is_recorded() {
    let Some(_screen) = Screen::start(":7718") else {
        eprintln!("SKIPPED: Xvfb is not installed");
        return;
    };
    let rig = Rig::start("source = { kind = \"screen\", display = \":7718\", size = \"640x360\" }", "");
    let segments = rig.segments(3, 1).await;
    // A live grab on a busy machine drops pictures: of 15 a second, up to a third of a second here.
    check_seams(&segments, 0.6..1.4, false, 5);
    rig.stop().await;
}

/// A screen that ends with the test, also with one that fails: what outlives it would hold the test's output open.
struct Screen(std::process::Child);

impl Screen {
    /// None where there is no Xvfb.
    fn start(display: &str) -> Option<Self> {
        let mut command = Command::new("Xvfb");
        command.args([display, "-screen", "0", "640x360x24", "-nolisten", "tcp"]);
        let null = std::process::Stdio::null;
        command.stdin(null()).stdout(null()).stderr(null()).spawn().ok().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[actix_rt::test]
async fn a_replay_goes_round_as_one_run() {
    let dir = folder();
    std::fs::create_dir(dir.path().join("segments")).unwrap();
    ffmpeg(&format!(
        "-f lavfi -i testsrc2=size=160x90:rate=25:duration=3 -c:v libx264 -preset veryfast -g 25 -bf 0 -sc_threshold 0 -f hls -hls_time 1 -hls_segment_filename {0}/segments/%03d.ts {0}/x.m3u8",
        dir.path().display()
    ));
    let camera = format!("source = {{ kind = \"replay\", dir = \"{}\", speed = 10.0 }}", dir.path().display());
    let rig = Rig::start(&camera, "");
    let segments = rig.segments(8, 1).await;
    check_segments(&segments, 0.9..1.1, false);
    assert_eq!(rig.hot.highest_epoch().map(|epoch| epoch.0), Some(1));
    rig.stop().await;
}

#[actix_rt::test]
async fn a_file_played_once_ends() {
    let dir = folder();
    let clip = dir.path().join("clip.mp4");
    ffmpeg(&format!("-f lavfi -i testsrc2=size=160x90:rate=25:duration=2 -c:v libx264 -g 25 {}", clip.display()));
    let rig = Rig::start(&format!("source = {{ kind = \"file\", path = \"{}\", loop = false }}", clip.display()), "");
    wait_for("its end", || rig.status().reason == Some(Reason::Ended)).await;
    assert_eq!(rig.status().state, CaptureState::Offline);
    assert_eq!(rig.status().restarts, 0);
    check_segments(&rig.segments(2, 1).await, 0.5..1.2, false);
    rig.stop().await;
}
