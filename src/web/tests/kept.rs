//! Replies that are given again, and those who ask too often.

use serde_json::json;

use super::{timeline::recorded_on, *};

const PATH: &str = "/api/host/timeline/cam?from=2023-11-14T22:08:20Z&to=2023-11-14T22:13:20Z";

fn keeping() -> Host {
    let host = Host::start_with(|settings, _| settings.cache.ttl_seconds = 30);
    host.state.registry.wait_opened();
    host
}

pub(super) fn how(reply: &Reply) -> &str {
    reply.header("x-cache").unwrap_or("none")
}

#[test]
fn a_reply_is_given_again_until_what_it_tells_changes() {
    let host = recorded_on(keeping(), &[(300, &[0, 1, 2], true)]);
    let ask = || host.get(PATH);
    let first = ask();
    assert_eq!((first.status, how(&first), first.header("cache-control")), (200, "miss", Some("private, no-cache")));
    let again = ask();
    assert_eq!((how(&again), &again.body), ("hit", &first.body));
    let turned = host.get("/api/host/timeline/cam?to=2023-11-14T22:13:20Z&from=2023-11-14T22:08:20Z");
    assert_eq!(how(&turned), "hit", "the order of a query means nothing");
    let head = host.ask("HEAD", PATH, &[]);
    let length = first.body.len().to_string();
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some(length.as_str()), 0));

    let etag = format!("If-None-Match: {}", first.header("etag").unwrap());
    let known = host.ask("GET", PATH, &[&etag]);
    assert_eq!((known.status, known.body.len(), how(&known)), (304, 0, "hit"));

    // Footage came: at once, and whatever condition is told.
    host.record(Utc90k::from_seconds(NOW.as_seconds() - 100), &[0, 1], false);
    let newer = host.ask("GET", PATH, &[&etag]);
    assert_eq!((newer.status, how(&newer), newer.body != first.body), (200, "miss", true));
    assert_eq!(how(&ask()), "hit");

    // Somebody said something of it.
    let pin = json!({"device": "cam", "start": "2023-11-14T22:08:20Z", "end": "2023-11-14T22:09:00Z", "why": "x"});
    assert_eq!(host.say("/api/host/pins", &pin).status, 201);
    let pinned = ask();
    assert_eq!((how(&pinned), &pinned.json()["chunks"][0]["pinned"]), ("miss", &json!(true)));

    // Errors are nobody's.
    for _ in 0..2 {
        assert_eq!(how(&host.get("/api/host/timeline/none")), "none");
        let bad = host.get("/api/host/timeline/cam?from=soon");
        assert_eq!((bad.status, how(&bad)), (400, "none"));
    }
}

#[test]
fn who_asks_meanwhile_waits_for_the_one_that_is_made() {
    let host = recorded_on(keeping(), &[(300, &[0, 1, 2], true)]);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(host.get(PATH).status, 200));
        }
    });
    let told = host.get("/api/cache/stats").json();
    let data = &told["data"];
    assert_eq!((&data["sets"], &data["size"], &data["maxSize"]), (&json!(1), &json!(1), &json!(100)));
    assert_eq!((&data["misses"], &data["hits"], &data["hitRate"]), (&json!(1), &json!(15), &json!("93%")));
}

#[test]
fn kept_replies_are_bounded_listed_and_forgotten() {
    let host = Host::start_with(|settings, _| {
        (settings.cache.ttl_seconds, settings.cache.capacity) = (30, 3);
    });
    host.state.registry.wait_opened();
    let at =
        |second: i64| format!("/api/host/timeline/cam?from={}&to={}", NOW.as_seconds() - 60, NOW.as_seconds() - second);
    for second in 0..8 {
        host.get(&at(second));
    }
    let data = host.get("/api/cache/stats").json()["data"].clone();
    assert_eq!((&data["size"], &data["evictions"], &data["sets"]), (&json!(3), &json!(5), &json!(8)));
    let forget = |pattern: &str| host.say("/api/cache/invalidate", &json!({"pattern": pattern}));
    assert_eq!(forget("heatmap").json()["data"]["removed"], 0);
    assert_eq!(forget("/api/*/cam").json()["data"]["removed"], 3);
    assert_eq!(how(&host.get(&at(7))), "miss");
    assert_eq!(host.say("/api/cache/clear", &json!({})).json()["data"]["removed"], 1);
    for (body, at) in [
        (json!({}), "pattern"),
        (json!({"pattern": 5}), "pattern"),
        (json!({"pattern": ""}), "pattern"),
        (json!({"pattern": "x".repeat(257)}), "pattern"),
        (json!({"pattern": "x", "y": 1}), "y"),
    ] {
        let reply = host.say("/api/cache/invalidate", &body);
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some(at)), "{body}");
    }
}

#[test]
fn parts_of_kept_pictures_and_of_made_ones_are_the_same() {
    let host = keeping();
    const MOSAIC: &str = "/api/host/heatmap/2212.jpg?date=2023-11-14";
    // The first to ask wants a part: the whole is made, and kept.
    let part = host.ask("GET", MOSAIC, &["Range: bytes=2-9"]);
    assert_eq!((part.status, part.body.len(), how(&part)), (206, 8, "miss"));
    let whole = host.get(MOSAIC);
    assert_eq!((whole.status, how(&whole), whole.header("content-type")), (200, "hit", Some("image/jpeg")));
    assert_eq!(part.body, whole.body[2..10]);
    let etag = whole.header("etag").unwrap();
    assert!(etag.starts_with("\"mosaic-"), "the picture's own: {etag}");
    let check = |header: &str, status: u16| assert_eq!(host.ask("GET", MOSAIC, &[header]).status, status, "{header}");
    check(&format!("If-None-Match: {etag}"), 304);
    check("If-Match: \"another\"", 412);
    check("Range: bytes=99999999-", 416);
    let strip = format!("/api/host/heatmap?from={}&to={}", NOW.as_seconds() - 600, NOW.as_seconds());
    for path in ["/api/host/heatmap/2212.json?date=2023-11-14", strip.as_str()] {
        let (first, again) = (host.get(path), host.get(path));
        assert_eq!((first.status, how(&first), how(&again)), (200, "miss", "hit"), "{path}");
        assert_eq!(first.body, again.body);
    }
}

#[test]
fn without_a_time_to_keep_nothing_is_kept() {
    let host = recorded_on(Host::start(), &[(300, &[0], true)]);
    for _ in 0..2 {
        let reply = host.get(PATH);
        assert_eq!((how(&reply), reply.header("cache-control")), ("none", Some("no-store")));
    }
    assert_eq!(host.get("/api/cache/stats").json()["data"]["maxSize"], 0);
}

#[test]
fn who_asks_too_often_waits_and_others_do_not() {
    let host = Host::start_with(|settings, _| {
        let limits = &mut settings.limits;
        (limits.state_per_second, limits.writes_per_second, limits.loopback) = (1, 1, true);
    });
    let ask = || host.get("/api/viewer/stats");
    for _ in 0..5 {
        assert_eq!(ask().status, 200);
    }
    let refused = ask();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(refused.json()["error"]["kind"], "too_many");
    assert_eq!(host.get("/host/stream/cam/segments/output.m3u8").status, 200, "the picture is no state");
    assert_eq!(host.get("/healthz").status, 200);
    assert_eq!(host.say("/api/cache/clear", &json!({})).status, 200, "changes have a book of their own");
    host.manual.advance(Duration::from_secs(1));
    assert_eq!((ask().status, ask().status), (200, 429));
    assert!(host.get("/metrics").text().contains("capstan_http_limited_total{class=\"state\"} 2"));

    let free = Host::start_with(|settings, _| settings.limits.state_per_second = 1);
    assert!((0..20).all(|_| free.get("/api/viewer/stats").status == 200), "the host itself is not held to it");
}
