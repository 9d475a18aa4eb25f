//! Old chunks become HEVC by the real FFmpeg beside a recording, by themselves and by command, and back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{path::PathBuf, process::Command};

use capstan::{
    clock::Utc90k,
    storage::layout::{ChunkKey, ColdLayout, Companion, RingSlot},
};
use common::{Setup, TestDaemon, Turn, clip, daemon::children_of, daemon::finished, media, skip, until};
use serde_json::{Value, json};

/// Chunks of ten seconds, as old as they need be, at any time of day, on a machine as busy as one that runs tests.
fn setup() -> Setup {
    let source = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    Setup::new()
        .set("archive.chunk_seconds", 10)
        .set("archive.commit_seconds", 2)
        .set("transcode.min_age_days", 0.0)
        .set("transcode.run_schedule", "always")
        .set("transcode.max_cpu_percent", 100.0)
        .set("transcode.max_io_wait", 100.0)
        .set("transcode.min_free_space_gb", 0.0)
        .set("transcode.min_savings_percent", 0.0)
        .set("transcode.preset", "ultrafast")
        .set("transcode.quality", 30)
        // What a picture must be like is another test's.
        .set("transcode.verify_quality", false)
        .set("transcode.pause_between_seconds", 0)
        .set("transcode.error_pause_seconds", 1)
        .set("transcode.idle_seconds", 1)
        .camera("cam", &source)
}

fn stats(daemon: &TestDaemon) -> Value {
    daemon.json("/api/transcode")
}

/// A chunk with its marker beside it, and the marker.
fn transcoded(daemon: &TestDaemon) -> Option<(PathBuf, Value)> {
    daemon.ring("cam").into_iter().find_map(|chunk| {
        let text = std::fs::read(Companion::Marker.beside(&chunk)).ok()?;
        Some((chunk, serde_json::from_slice(&text).ok()?))
    })
}

#[test]
fn old_chunks_become_hevc_and_come_back() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(setup());
    until("a chunk is transcoded", 120, || {
        daemon.get("/api/transcode").status == 200 && stats(&daemon)["files_transcoded"] != 0
    });
    let told = stats(&daemon);
    assert!(told["space_saved"].as_u64().unwrap() > 0, "{told}");
    let (chunk, marker) = transcoded(&daemon).expect("it has a marker");
    let original = Companion::Original.beside(&chunk);
    assert_eq!(
        (media::codecs(&chunk), media::codecs(&original)),
        (vec!["hevc".into(), "aac".into()], vec!["h264".into(), "aac".into()])
    );
    media::assert_decodes(&chunk);
    assert_eq!(media::frame_hashes(&chunk).len(), media::frame_hashes(&original).len());
    // Both generations answer by their addresses, with their own bytes.
    let name = marker["chunk"].as_str().unwrap().to_owned();
    let before = name.replace("-1.mp4", "-0.mp4");
    let get = |name: &str| daemon.get(&format!("/host/stream/cam/chunks/{name}"));
    assert_eq!(get(&name).body, std::fs::read(&chunk).unwrap());
    assert_eq!(get(&before).body, std::fs::read(&original).unwrap());
    assert_ne!(get(&name).header("etag"), get(&before).header("etag"));

    // Off, over a restart; the command line says so, also without a daemon.
    let command = |arguments: &[&str]| finished(daemon.setup.command(&[&["transcode"], arguments].concat()));
    let (code, said) = command(&["disable"]);
    assert!(code == 0 && said.contains("disabled"), "{said}");
    until("what ran is finished", 60, || stats(&daemon)["status"]["state"] == "disabled");
    let files = stats(&daemon)["files_transcoded"].clone();
    let recorded = std::fs::read(&original).unwrap();
    let (code, said) = command(&["rollback", chunk.to_str().unwrap()]);
    assert!(code == 0 && said.contains("as recorded again"), "{said}");
    assert_eq!(std::fs::read(&chunk).unwrap(), recorded);
    assert!(!original.exists() && !Companion::Marker.beside(&chunk).exists());
    assert_eq!(get(&before).body, recorded);
    assert!([404, 410].contains(&get(&name).status));
    assert_eq!(command(&["rollback", chunk.to_str().unwrap()]).0, 1);
    assert_eq!(command(&["file", chunk.to_str().unwrap()]).0, 1, "disabled");
    daemon.stop();
    let alone = |arguments: &[&str]| finished(daemon.setup.command(&[&["transcode"], arguments].concat()));
    let (code, said) = alone(&["stats"]);
    assert!(code == 0 && said.contains("no daemon answers") && said.contains("disabled"), "{said}");
    let (code, said) = alone(&["enable"]);
    assert!(code == 1 && said.contains("start it"), "{said}");

    daemon.start_again();
    until("the books are read", 30, || daemon.get("/api/transcode").status == 200);
    let told = stats(&daemon);
    assert_eq!((&told["status"]["state"], &told["files_rolled_back"]), (&json!("disabled"), &json!(1)));
    assert_eq!(told["files_transcoded"].as_u64(), files.as_u64().map(|files| files - 1));
    assert_eq!(finished(daemon.setup.command(&["transcode", "enable"])).0, 0);
    until("it goes on", 120, || stats(&daemon)["files_transcoded"].as_u64() > files.as_u64());
    let first = std::fs::read(&chunk).ok();
    assert!(first.is_none_or(|bytes| bytes == recorded), "what was rolled back stays");
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
}

/// What a player fetches of a media playlist: each address with its bytes.
fn entries(list: &str) -> Vec<(String, String)> {
    let list = m3u8_rs::parse_media_playlist_res(list.as_bytes()).unwrap();
    let bytes = |range: &m3u8_rs::ByteRange| {
        let from = range.offset.unwrap();
        format!("bytes={from}-{}", from + range.length - 1)
    };
    let maps = |one: &m3u8_rs::MediaSegment| one.map.clone().map(|map| (map.uri, map.byte_range));
    let all =
        list.segments.iter().flat_map(|one| maps(one).into_iter().chain([(one.uri.clone(), one.byte_range.clone())]));
    all.map(|(uri, range)| (uri, bytes(&range.unwrap()))).collect()
}

#[test]
fn a_playlist_plays_on_over_a_swap_and_the_next_one_tells_of_hevc() {
    let _turn = Turn::wait();
    // Nothing is old enough: only what is asked for is encoded.
    let daemon = TestDaemon::start(setup().set("transcode.min_age_days", 7.0).set("archive.chunk_seconds", 10));
    until("the books are read", 60, || daemon.get("/api/transcode").status == 200);
    until("three chunks are sealed", 90, || daemon.ring("cam").len() >= 3);
    let chunks = daemon.json("/api/host/timeline/cam")["chunks"].clone();
    let sealed: Vec<_> = chunks.as_array().unwrap().iter().filter(|chunk| chunk["sealed"] == true).collect();
    // The middle one of three, so that codecs change twice.
    let [first, middle, last] = [0, 1, 2].map(|at| sealed[at]);
    let span = format!("start={}&end={}", first["start"].as_str().unwrap(), last["end"].as_str().unwrap());
    let playlist = |more: &str| {
        let reply = daemon.get(&format!("/api/host/playlist/cam.m3u8?{span}{more}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text()
    };
    let fetch = |list: &[(String, String)]| -> Vec<Vec<u8>> {
        let one = |(path, range): &(String, String)| {
            let reply = daemon.get_with(path, &[("Range", range)]);
            assert_eq!(reply.status, 206, "{path} {range}: {}", reply.status);
            reply.body
        };
        list.iter().map(one).collect()
    };
    let before = entries(&playlist(""));
    let played = fetch(&before);
    let codecs = |text: &str| text.split_once("CODECS=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    assert!(!codecs(&playlist("&multivariant=1")).contains("hvc1"));

    let name = middle["name"].as_str().unwrap();
    let start = Utc90k::from_ms(ChunkKey::parse(name).unwrap().start_ms);
    let file = ColdLayout::new(daemon.setup.root()).ring_chunk(&"cam".parse().unwrap(), RingSlot::of(start, 10));
    let (code, said) = finished(daemon.setup.command(&["transcode", "file", file.to_str().unwrap()]));
    assert_eq!(code, 0, "{said}");
    until("it is transcoded", 120, || stats(&daemon)["files_transcoded"] == 1);

    assert!(fetch(&before) == played, "the old playlist reads what was recorded");
    let list = playlist("");
    let after = entries(&list);
    assert_ne!(before, after);
    assert!(list.contains(&name.replace("-0.mp4", "-1.mp4")), "{list}");
    fetch(&after);
    let told = codecs(&playlist("&multivariant=1"));
    assert!(told.contains("hvc1.") && told.contains("avc1."), "{told}");
    // Each stretch of one codec plays by itself, to its last picture; so does the new one alone.
    let frames = |span: &str| {
        let address = format!("http://{}/api/host/playlist/cam.m3u8?{span}", daemon.address());
        let out = Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-select_streams", "v", "-show_entries"])
            .args(["stream=codec_name,nb_read_frames", "-of", "csv=p=0", &address])
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap().to_owned();
        let (codec, count) = line.split_once(',').unwrap();
        (codec.to_owned(), count.trim_end_matches(',').trim().parse::<usize>().unwrap())
    };
    // Whole fragments that reach into the span: a neighbour's, too, if it touched it by a rounded millisecond.
    let of = |chunk: &Value| {
        let at = |name: &str, shift_ms: i64| {
            let time: jiff::Timestamp = chunk[name].as_str().unwrap().parse().unwrap();
            Utc90k::from_ms(time.as_millisecond() + shift_ms).rfc3339()
        };
        format!("start={}&end={}", at("start", 5), at("end", -5))
    };
    let original = Companion::Original.beside(&file);
    let (codec, count) = frames(&of(middle));
    assert_eq!((codec.as_str(), count), ("hevc", media::frame_hashes(&original).len()));
    assert_eq!(frames(&of(last)).0, "h264");
    assert_eq!(daemon.lost_seconds("cam"), 0.0);
}

#[test]
fn the_end_of_the_daemon_leaves_nothing_half_done() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(setup().set("transcode.preset", "veryslow").set("transcode.quality", 10));
    let encoder = |daemon: &TestDaemon| children_of(daemon.pid()).into_iter().find(|(_, line)| line.contains("x265"));
    until("it encodes", 120, || encoder(&daemon).is_some());
    let (pid, _) = encoder(&daemon).unwrap();
    let (_, took) = daemon.stop();
    assert!(took.as_secs() < 8, "{took:?}");
    assert!(!common::daemon::is_alive(pid));
    let left: Vec<_> =
        daemon.ring("cam").iter().map(|chunk| Companion::Successor.beside(chunk)).filter(|it| it.exists()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());

    // And killed: the next start takes away what is left.
    daemon.start_again();
    until("it encodes again", 120, || encoder(&daemon).is_some());
    daemon.kill();
    daemon.start_again();
    until("it is healed or in work", 60, || daemon.get("/api/transcode").status == 200);
    let (code, said) = finished(daemon.setup.command(&["archive", "verify"]));
    assert_eq!(code, 0, "{said}");
}

/// A process that is none of our children takes a whole core: orphaned, in a session of its own.
fn foreign_burner() -> i32 {
    let script = "setsid sh -c 'i=0; while :; do i=$((i+1)); done' >/dev/null 2>&1 & echo $!";
    let out = Command::new("sh").args(["-c", script]).output().expect("sh");
    String::from_utf8_lossy(&out.stdout).trim().parse().unwrap()
}

#[test]
fn an_encoder_is_stopped_within_a_second_of_somebody_elses_work() {
    let _turn = Turn::wait();
    let daemon = TestDaemon::start(
        setup().set("transcode.preset", "veryslow").set("transcode.quality", 10).set("transcode.max_cpu_percent", 30.0),
    );
    let state = || daemon.json("/api/transcode")["status"]["state"].clone();
    until("the books are read", 60, || daemon.get("/api/transcode").status == 200);
    if !common::holds_within(std::time::Duration::from_secs(60), || state() == "running") {
        return skip("an_encoder_is_stopped_within_a_second_of_somebody_elses_work", "others keep this machine busy");
    }
    let pid = rustix::process::Pid::from_raw(foreign_burner()).unwrap();
    let began = common::now();
    let stopped = common::holds_within(std::time::Duration::from_secs(10), || state() == "paused");
    let took = common::now().since(began);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    assert!(stopped, "{}", daemon.json("/api/transcode"));
    // Polled every 50 ms, on a machine that runs other tests.
    assert!(took.as_secs_f64() < 1.5, "{took:?}");
    let encoder = children_of(daemon.pid()).into_iter().find(|(_, line)| line.contains("x265"));
    let (encoder, _) = encoder.expect("it stands");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", encoder.as_raw_nonzero())).unwrap();
    assert!(stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T'), "{stat}");
}
