//! Preview stills and verdicts, from the ring, from the open chunk, and from what waits for its commit.

use bytes::Bytes;

use super::*;
use crate::{
    clock::Mono,
    frames::{Frame, Observation, Sound},
    media::verdicts::FrameLine,
    storage::{Beside, layout::Sibling, siblings},
};

/// The chunk of the ring begins with hour 22.
pub(super) const HOUR: Utc90k = Utc90k::from_ms(OLD.start_ms);
const CHUNK_MS: i64 = 600_000;

/// 1×1 pixel, and a comment that says the time.
fn picture(ms: i64) -> Bytes {
    let mut jpeg = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 50);
    encoder.add_app_segment(9, ms.to_string().into_bytes()).unwrap();
    encoder.encode(&[100], 1, 1, jpeg_encoder::ColorType::Luma).unwrap();
    jpeg.into()
}

/// A host on which somebody looked once a second from 22:00:00 to 22:13:19: black from 22:05:00 to 22:05:10, silent from
/// 22:05:05 on. The ring has the first 10 minutes, the open chunk is committed to 22:13:00.
pub(super) fn host() -> Host {
    let host = Host::start();
    let device = host.device();
    let witness = device.siblings.witness();
    let see = |from_ms: i64, to_ms: i64| {
        for ms in (from_ms..to_ms).step_by(1000) {
            let at = HOUR + ms * 90;
            let sound = Sound {
                silent: Some(ms >= 305_000),
                mean_volume_db: Some(-30.0),
                volume_percentage: Some(50),
                ..Sound::default()
            };
            let black = Some((300_000..310_000).contains(&ms));
            let seen = Observation { at, black, freeze: Some(false), sound, ..Observation::default() };
            let key = SegmentKey::default();
            witness(&seen, &Frame { key, at, seen: Mono::ZERO, jpeg: picture(ms) });
        }
    };
    let commit = |key: ChunkKey, end_ms: i64| {
        device.siblings.committed(key, Utc90k::from_ms(key.start_ms), HOUR + end_ms * 90);
    };
    see(0, 590_000);
    commit(OLD, 580_000);
    see(590_000, 800_000);
    device.siblings.complete(OLD, HOUR, HOUR + CHUNK_MS * 90);
    device.siblings.settle(OLD);
    commit(OPEN, 780_000);
    host
}

fn still(ms: i64) -> String {
    format!("/host/stream/cam/thumbnails/22/{}.jpg", OLD.start_ms + ms)
}

/// What lies beside a chunk stays when the chunk is encoded anew.
#[test]
fn a_new_generation_keeps_the_stills_and_verdicts_of_its_footage() {
    let host = host();
    let ask = || {
        let verdicts = host.get("/api/host/metadata/cam?from=1699999500&to=1699999520").json();
        (host.get("/api/host/thumbnails/cam/22").json(), host.get(&still(590_000)).body, verdicts)
    };
    let before = ask();
    let index = &host.device().index;
    let old = index.get(&OLD).unwrap();
    let new = ChunkEntry { key: ChunkKey { generation: 1, ..OLD }, bytes: 9, ..old.as_ref().clone() };
    index.replace(&OLD, new, true);
    let after = ask();
    assert_eq!((&after.0, &after.2), (&before.0, &before.2));
    assert!(before.1 == after.1 && before.0["count"] == 80 && before.2["count"].as_u64() > Some(10));
}

#[test]
fn stills_of_an_hour_are_listed_and_served_wherever_they_lie() {
    let host = host();
    let clock = Clock::system();
    let began = clock.mono();
    let list = host.get("/api/host/thumbnails/cam/22").json();
    println!("hour listed, never read before: {:.1} ms", clock.mono().since(began).as_secs_f64() * 1000.0);
    let expected: Vec<String> = (0..80).map(|slot| still(slot * 10_000)).collect();
    assert_eq!((list["hour"].as_u64(), list["count"].as_u64()), (Some(22), Some(80)));
    assert_eq!(list["thumbnails"], serde_json::json!(expected));
    assert_eq!(host.get("/api/host/thumbnails/cam/22?date=2023-11-14").json(), list);
    // In the ring, beside the open chunk, still in RAM.
    for ms in [0, 590_000, 600_000, 770_000, 780_000, 790_000] {
        let reply = host.get(&still(ms));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/jpeg")), "{ms}");
        assert_eq!(reply.body, picture(ms), "{ms}");
        assert!(reply.header("cache-control").unwrap().contains("immutable"));
        assert_eq!(reply.header("x-picture-time"), Some((HOUR + ms * 90).rfc3339().to_lowercase().as_str()));
        let known = format!("If-None-Match: {}", reply.header("etag").unwrap());
        assert_eq!(host.ask("GET", &still(ms), &[&known]).status, 304);
        assert_eq!(host.ask("GET", &still(ms), &["Range: bytes=0-1"]).body, [0xFF, 0xD8]);
    }
    for hour in [21, 0] {
        let empty = host.get(&format!("/api/host/thumbnails/cam/{hour}"));
        assert_eq!((empty.status, empty.json()["count"].as_u64()), (200, Some(0)));
    }
    assert_eq!(host.get("/api/host/thumbnails/cam/22?date=2023-11-13").json()["count"], 0);
    for hour in ["24", "-1", "07", "x"] {
        assert_eq!(host.get(&format!("/api/host/thumbnails/cam/{hour}")).status, 400);
        assert_eq!(host.get(&format!("/host/stream/cam/thumbnails/{hour}/1.jpg")).status, 400);
    }
    for missing in [5000, 800_000, -10_000] {
        assert_eq!(host.get(&still(missing)).status, 404, "{missing}");
    }
    for bad in ["21/1699999200000", "22/01699999200000", "22/+1", "22/x", "22/99999999999999999999", "22/-1"] {
        assert_eq!(host.get(&format!("/host/stream/cam/thumbnails/{bad}.jpg")).status, 404, "{bad}");
    }
}

#[test]
fn scrubbing_has_a_cue_for_each_still_and_any_moment_its_picture() {
    let host = host();
    let track = host.get("/host/stream/cam/thumbnails/22/thumbnails.vtt");
    assert_eq!((track.status, track.header("content-type")), (200, Some("text/vtt; charset=utf-8")));
    assert!(track.text().starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:10.000\n/host/stream/cam/thumbnails/22/"));
    assert_eq!(track.text().matches(" --> ").count(), 80);
    assert_eq!(host.get("/host/stream/cam/thumbnails/3/thumbnails.vtt").text(), "WEBVTT\n");

    let at = |query: &str| host.get(&format!("/api/host/preview/cam{query}"));
    let check = |query: &str, ms: i64| {
        let reply = at(query);
        assert_eq!((reply.status, reply.body == picture(ms)), (200, true), "{query}");
        assert_eq!(reply.header("content-location"), Some(still(ms).as_str()));
    };
    check("?at=1699999200", 0);
    check("?at=1699999209.999", 0);
    check("?at=1699999799.5", 590_000);
    check("?at=1699999800", 600_000);
    check("?at=2023-11-14T22:13:05Z", 780_000);
    check("", 790_000);
    assert_eq!(at("?at=1699999199").status, 404);
    assert_eq!(at("?at=soon").json()["error"]["path"], "at");
}

#[test]
fn frames_are_searched_by_what_they_show() {
    let host = host();
    let ask = |query: &str| host.get(&format!("/api/host/metadata/cam?{query}")).json();
    let count = |query: &str| ask(query)["count"].as_u64();
    let hour = "from=1699999200&to=1700000000&limit=10000";
    assert_eq!(count(hour), Some(800), "each frame once, also while it is written");
    assert_eq!(count(&format!("{hour}&black=1")), Some(10));
    assert_eq!(count(&format!("{hour}&black=0&silence=1")), Some(490));
    assert_eq!(count(&format!("{hour}&freeze=true")), Some(0));
    assert_eq!(count("from=1699999500&duration=2.5"), Some(3));
    assert_eq!(count(""), Some(800), "the last hour");
    let minutes = ask(&format!("{hour}&step=60"));
    assert_eq!((minutes["count"].as_u64(), minutes["step_seconds"].as_u64()), (Some(14), Some(60)));
    assert_eq!((&minutes["frames"][5]["black"], &minutes["frames"][5]["frames"]), (&true.into(), &60.into()));
    assert_eq!((&minutes["frames"][4]["audio"], &minutes["frames"][5]["audio"]), (&true.into(), &false.into()));
    assert_eq!(minutes["frames"][5]["time"], "2023-11-14T22:05:00.000Z");
    // Page by page.
    let (mut from, mut seen) = ("1699999200".to_owned(), 0);
    loop {
        let page = ask(&format!("from={from}&to=1700000000&limit=300"));
        seen += page["count"].as_u64().unwrap();
        match page["next"].as_str() {
            Some(next) => from = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, 800);
    for (bad, path) in [
        ("from=x", "from"),
        ("from=1700000000&to=1699999200", "to"),
        ("from=1699000000&to=1700000000", "to"),
        ("step=0", "step"),
        ("step=3601", "step"),
        ("step=+5", "step"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("black=2", "black"),
        ("freeze=", "freeze"),
        ("silence=no", "silence"),
    ] {
        let refused = host.get(&format!("/api/host/metadata/cam?{bad}"));
        assert_eq!((refused.status, refused.json()["error"]["path"].as_str()), (400, Some(path)), "{bad}");
    }
}

#[test]
fn an_hour_in_one_document() {
    let host = host();
    let path = "/host/stream/cam/segments/22/metadata.json";
    let document = host.get(path).json();
    assert_eq!((&document["hour"], &document["total_frames"]), (&22.into(), &800.into()));
    assert_eq!(
        (&document["start_time"], &document["duration_seconds"]),
        (&"2023-11-14T22:00:00.000Z".into(), &1200.0.into())
    );
    let chunks = document["video_chunks"].as_array().unwrap();
    assert_eq!((&chunks[0]["file"], &chunks[0]["duration"]), (&"chunk_10min_0.mp4".into(), &600.0.into()));
    assert_eq!(chunks[1]["url"], "/host/stream/cam/chunks/1699999800000-0.mp4");
    let frame = serde_json::json!({
        "num": 301, "time": "2023-11-14T22:05:00.000Z", "freeze": false, "black": true, "audio": true,
    });
    assert_eq!(document["frames"][300], frame);
    assert_eq!(document["audio_segments"], serde_json::json!([]), "these chunks have no sound");
    let part = host.get(&format!("{path}?from=1699999500&to=1699999510&step=5")).json();
    assert_eq!((part["total_frames"].as_u64(), part["frames"].as_array().map(Vec::len)), (Some(10), Some(2)));
    let empty = host.get("/host/stream/cam/segments/3/metadata.json").json();
    assert_eq!((&empty["total_frames"], &empty["frames"]), (&0.into(), &serde_json::json!([])));
    assert_eq!(host.get(&format!("{path}?step=x")).status, 400);
    assert_eq!(host.get("/host/stream/cam/segments/24/metadata.json").status, 400);
}

/// 5 frames a second make 18,000 in the hour; more than 20,000 go in steps.
#[test]
fn the_document_of_an_hour_stays_below_2_mb() {
    let host = Host::start();
    let device = host.device();
    let entry = device.index.get(&OLD).unwrap();
    let file = host.root().join(siblings::path(&host.state.volume, &device.id, Sibling::Metadata, OLD, entry.place));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    for (frames, step) in [(18_000, None), (54_000, Some(1))] {
        let line = |number: i64| FrameLine {
            black: Some(false),
            freeze: Some(false),
            audio: Some(false),
            ..FrameLine::new(HOUR + number * (3_600_000 / frames) * 90, number as u64 + 1)
        };
        fs::write(&file, (0..frames).map(|number| line(number).encode()).collect::<String>()).unwrap();
        let reply = host.get("/host/stream/cam/segments/22/metadata.json");
        println!("{frames} frames: {} bytes", reply.body.len());
        assert!(reply.body.len() <= 2_000_000);
        let document = reply.json();
        assert_eq!((document["total_frames"].as_i64(), document["step_seconds"].as_i64()), (Some(frames), step));
    }
}
