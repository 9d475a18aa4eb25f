//! Playlists of the archive, asked for in every wrong way.

use super::{timeline::recorded, *};

#[test]
fn spans_that_make_no_sense_are_refused_by_name() {
    let host = Host::start();
    let check = |query: &str, path: &str| {
        let reply = host.get(&format!("/api/host/playlist/cam.m3u8?{query}"));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some(path)), "{query}");
    };
    check("start=x", "start");
    check("start=-1", "start");
    check("start=%ff%fe", "start");
    check("start=1699999300&end=1699999200", "end");
    check("start=1699999300&end=1699999300", "end");
    check("start=1699999300&end=9999999999", "end");
    check("start=1699999300&duration=-5", "duration");
    check("start=1699999300&end=1699999400&duration=5", "duration");
    check("start=1384639200&end=1699999400", "end");
}

#[test]
fn hours_without_footage_are_not_found_and_wrong_ones_refused() {
    let host = Host::start();
    let check = |path: &str, status: u16| assert_eq!(host.get(path).status, status, "{path}");
    for (before, after) in [("/api/host/segments/cam/", ""), ("/host/stream/cam/segments/", "/archive.m3u8")] {
        let path = |hour: &str, query: &str| format!("{before}{hour}{after}{query}");
        check(&path("21", ""), 404);
        check(&path("22", "?date=2023-11-13"), 404);
        check(&path("24", ""), 400);
        check(&path("-1", ""), 400);
        check(&path("22", "?date=today"), 400);
        check(&path("22", "").replace("cam", "none"), 404);
        check(&path("..%2f22", ""), 400);
    }
    let told = host.get("/api/host/segments/cam/22").json();
    assert_eq!(told, serde_json::json!({"hour": 22, "manifest_url": "/host/stream/cam/segments/22/archive.m3u8"}));
    let dated = host.get("/api/host/segments/cam/22?date=2023-11-14").json();
    assert_eq!(dated["manifest_url"], "/host/stream/cam/segments/22/archive.m3u8?date=2023-11-14");
}

#[test]
fn a_file_that_is_no_chunk_is_a_gap() {
    let host = Host::start();
    // The files of this host hold no media.
    let closed = host.get("/api/host/playlist/cam.m3u8?start=1699999200&end=1699999300");
    assert_eq!((closed.status, closed.json()["error"]["kind"].as_str()), (404, Some("not_found")));
    let open = host.get("/api/host/playlist/cam.m3u8?start=1699999200");
    assert_eq!((open.status, open.json()["error"]["kind"].as_str()), (503, Some("unavailable")));
}

/// Without a start the list begins an hour ago, which is later at each look; and what expires leaves any growing list.
#[test]
fn numbers_rise_when_a_growing_list_loses_its_front() {
    let gop: Vec<u64> = (0..24).collect();
    let host = recorded(&[(3610, &gop, true), (3500, &gop, true), (100, &gop, true)]);
    let look = |query: &str| {
        let reply = host.get(&format!("/api/host/playlist/cam.m3u8{query}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        m3u8_rs::parse_media_playlist_res(&reply.body).unwrap()
    };
    let told = |list: &m3u8_rs::MediaPlaylist| {
        (list.media_sequence, list.discontinuity_sequence, list.segments.len(), list.playlist_type.is_some())
    };
    let all = "?start=1699996000";
    assert_eq!(told(&look(all)), (0, 0, 12, true));
    // An hour ago lies within the oldest chunk: it is listed whole.
    assert_eq!(told(&look("")), (0, 0, 12, false));
    host.manual.advance(Duration::from_secs(20));
    assert_eq!(told(&look("")), (4, 1, 8, false));
    let oldest = host.device().index.snapshot()[0].key;
    host.device().index.remove(&oldest);
    assert_eq!(told(&look(all)), (4, 1, 8, false));
    host.manual.advance(Duration::from_secs(300));
    assert_eq!(told(&look("")), (8, 2, 4, false));
    assert_eq!(told(&look("?start=1699996001")), (0, 0, 8, true), "another list");
}
