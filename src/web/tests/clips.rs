//! Clips over HTTP: addresses, ranges, what is refused. What is in them is proven where real media is (`tests/chunk`).

use super::{timeline::recorded, *};

/// A finished chunk of five pictures from 300 s ago on, a growing one of four from 100 s ago on, one picture a second.
fn host() -> Host {
    recorded(&[(300, &[0, 1, 2, 3, 4], true), (100, &[0, 1, 2, 3], false)]).nothing_waits()
}

/// Seconds ago as a query wants them.
fn ago(seconds: f64) -> f64 {
    NOW.as_seconds() as f64 - seconds
}

fn clip(host: &Host, from_ago: f64, to_ago: f64) -> String {
    let path = format!("/api/host/clip/cam.mp4?start={}&end={}", ago(from_ago), ago(to_ago));
    assert_eq!(host.get(&path).status, 200, "{path}");
    path
}

#[test]
fn a_clip_has_ranges_an_etag_and_a_name() {
    let host = host();
    for path in [clip(&host, 299.0, 297.0), clip(&host, 298.5, 98.0), clip(&host, 100.0, 99.0)] {
        let whole = host.get(&path);
        let etag = whole.header("etag").unwrap().to_owned();
        assert_eq!(whole.header("content-type"), Some("video/mp4"));
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));
        assert!(whole.header("content-disposition").unwrap().starts_with("inline; filename=\"cam_2023-11-14t22-"));
        assert_eq!(&whole.body[4..8], b"ftyp");
        let len = whole.body.len();
        assert_eq!(whole.header("content-length"), Some(len.to_string().as_str()));
        let head = host.ask("HEAD", &path, &[]);
        assert_eq!(
            (head.status, head.header("content-length"), head.body.len()),
            (200, whole.header("content-length"), 0)
        );
        assert_eq!(head.header("etag"), Some(etag.as_str()));
        // Any ranges put together are the whole.
        for step in [1 + len / 7, 1 + len / 3, len] {
            let mut joined = Vec::new();
            for from in (0..len).step_by(step) {
                let range = format!("Range: bytes={from}-{}", from + step - 1);
                let part = host.ask("GET", &path, &[&range, &format!("If-Range: {etag}")]);
                assert_eq!((part.status, part.header("etag")), (206, Some(etag.as_str())), "{range}");
                joined.extend(part.body);
            }
            assert!(joined == whole.body, "{path} in steps of {step}");
        }
        assert_eq!(host.ask("GET", &path, &["Range: bytes=-5"]).body, whole.body[len - 5..]);
        assert_eq!(host.ask("GET", &path, &[&format!("Range: bytes={len}-")]).status, 416);
        assert_eq!(host.ask("GET", &path, &[&format!("If-None-Match: {etag}")]).status, 304);
        assert_eq!(host.ask("GET", &path, &["Range: bytes=0-1", "If-Range: \"other\""]).body.len(), len);
    }
}

#[test]
fn what_is_not_committed_yet_leads_to_an_explicit_end() {
    let host = host();
    let start = ago(99.0);
    let last = "2023-11-14T22:11:44.000Z";
    for query in ["", "&end=1700000000", "&duration=60", "&end=1700003600"] {
        let reply = host.get(&format!("/api/host/clip/cam.mp4?start={start}{query}&gap=skip"));
        assert_eq!((reply.status, reply.header("cache-control")), (307, Some("no-store")), "{query}");
        let expected = format!("/api/host/clip/cam.mp4?start=2023-11-14T22:11:41.000Z&end={last}&gap=skip");
        assert_eq!(reply.header("location"), Some(expected.to_lowercase().as_str()), "{query}");
    }
    let path = format!("/api/host/clip/cam.mp4?start=2023-11-14T22:11:41.000Z&end={last}");
    let before = host.get(&path);
    assert_eq!(before.status, 200);
    // More is committed, an old chunk expires: the same address, the same bytes.
    host.record(NOW, &[0, 1], false);
    let oldest = host.device().index.snapshot()[0].key;
    host.device().index.remove(&oldest);
    let after = host.get(&path);
    assert_eq!((after.header("etag"), after.body == before.body), (before.header("etag"), true));
    // A start that milliseconds cannot tell stays what it is.
    let exact = host.get(&format!("/api/host/clip/cam.mp4?start={start}.00005&end=1700009999"));
    assert!(
        exact.header("location").unwrap().contains("start=1699999901.000056&end="),
        "{:?}",
        exact.header("location")
    );
}

#[test]
fn nothing_too_long_and_gone() {
    let host = host();
    let ask = |from_ago: f64, to_ago: f64| {
        host.get(&format!("/api/host/clip/cam.mp4?start={}&end={}", ago(from_ago), ago(to_ago)))
    };
    for (from, to) in [(1000.0, 900.0), (294.0, 101.0), (90.0, 80.0), (299.9, 299.8)] {
        assert_eq!(ask(from, to).status, 404, "{from} to {to}");
    }
    // What there is decides, not what is asked for: the future holds nothing.
    assert_eq!(ask(299.0, -80_000.0).status, 307);
    let reply = ask(90_000.0, 98.0);
    let playlist =
        format!("/api/host/playlist/cam.m3u8?start={}&end={}", "2023-11-13T21:13:20.000Z", "2023-11-14T22:11:42.000Z");
    assert_eq!((reply.status, reply.json()["error"]["playlist_url"].as_str()), (413, Some(playlist.as_str())));
    assert_eq!(reply.json()["error"]["kind"], "too_long");
    assert!(reply.header("link").unwrap().contains("rel=\"alternate\""));
    assert_eq!(host.get(&playlist).status, 200);
    // A chunk that expires between the index and the disk.
    let entry = host.device().index.snapshot()[0].clone();
    fs::remove_file(host.root().join(entry.path(host.state.volume.layout(), &host.device().id))).unwrap();
    assert_eq!(ask(299.0, 297.0).status, 410);
}

#[test]
fn a_clip_is_explained() {
    let host = host();
    let path = clip(&host, 299.0, 98.0);
    let told = host.get(&format!("{path}&explain=1"));
    assert_eq!((told.status, told.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let len = host.get(&path).body.len();
    let text = told.text();
    assert!(text.contains(&format!("bytes    {len}\n")), "{text}");
    assert!(text.contains("6 pictures, 0 of sound"), "{text}");
    for name in ["head", "1699999700000-0.mp4 at ", "1699999900000-0.mp4 at "] {
        assert!(text.lines().any(|line| line.contains(name)), "{name} in {text}");
    }
}

#[test]
fn hours_and_sounds_by_name() {
    let host = host();
    let check = |path: &str, status: u16| {
        let reply = host.get(&format!("/host/stream/cam/{path}"));
        assert_eq!(reply.status, status, "{path}");
        reply.header("location").map(str::to_owned)
    };
    let hour = "start=2023-11-14t22:00:00.000z&end=2023-11-14t22:11:44.000z";
    let running = check("segments/22/archive_hour_22.mp4", 307);
    assert_eq!(running, Some(format!("/api/host/clip/cam.mp4?{hour}")));
    check("segments/21/archive_hour_21.mp4", 404);
    check("segments/22/archive_hour_22.mp4?date=2023-11-13", 404);
    check("segments/22/archive_hour_21.mp4", 404);
    check("segments/24/archive_hour_24.mp4", 400);
    check("segments/22/archive_hour_22.mp4?date=x", 400);
    // The clock goes on: the hour is over and whole.
    host.record(Utc90k::from_seconds(NOW.as_seconds() + 3600), &[0, 1], true);
    assert_eq!(check("segments/22/archive_hour_22.mp4?date=2023-11-14", 200), None);
    // No sound in these chunks.
    check("audio/22/audio_10s_050.m4a", 404);
    for bad in ["audio_10s_360", "audio_10s_50", "audio_10s_-01", "audio_10s_0050", "audio_10s_"] {
        check(&format!("audio/22/{bad}.m4a"), 404);
    }
    check("audio/24/audio_10s_000.m4a", 400);
}

#[test]
fn bad_clips_are_refused_by_the_name_of_the_parameter() {
    let host = host();
    for (query, path) in [
        ("", "start"),
        ("end=1700000000", "start"),
        ("start=", "start"),
        ("start=-5&end=1700000000", "start"),
        ("start=%ff%fe&end=1700000000", "start"),
        ("start=1699999999&end=1699999998", "end"),
        ("start=1699999999&end=1699999999", "end"),
        ("start=1699999999&end=2099-01-01T00:00:00Z", "end"),
        ("start=99999999999999999999", "start"),
        ("start=1699999000&duration=0", "duration"),
        ("start=1699999000&end=1699999001&duration=1", "duration"),
        ("start=1699999000&end=1699999001&gap=hide", "gap"),
        ("start=1699999000&end=1699999001&tracks=video", "tracks"),
        ("start=1699999000&end=1699999001&explain=2", "explain"),
    ] {
        let reply = host.get(&format!("/api/host/clip/cam.mp4?{query}"));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some(path)), "{query}");
    }
    assert_eq!(host.get("/api/host/clip/other.mp4?start=1699999000&end=1699999001").status, 404);
    assert_eq!(host.get("/api/host/clip/..%2fcam.mp4?start=1699999000&end=1699999001").status, 404);
    assert_eq!(host.ask("POST", "/api/host/clip/cam.mp4", &["Content-Length: 0"]).status, 405);
}
