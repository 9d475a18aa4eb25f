//! Replies that are given again, and to whom: nobody is told what was made for somebody who may see other things, and
//! whoever changed something is told of it at once.

use serde_json::json;

use super::{access::guarded, kept::how, timeline::recorded_on, *};
use crate::{incident::IncidentKind, registry::users::Role};

/// About `cam` of the hall and `yard` of the yard.
const LISTS: [&str; 4] = [
    "/api/cameras/active",
    "/api/areas",
    "/api/host/heatmap/2212.json?date=2023-11-14",
    "/api/host/heatmap?from=1699999000&to=1699999900",
];

fn keeping(change: impl FnOnce(&mut Settings)) -> Host {
    let host = guarded(|settings| {
        settings.cache.ttl_seconds = 30;
        settings.camera.push(Camera { id: "yard".parse().unwrap(), area: "Yard".into(), ..settings.camera[0].clone() });
        change(settings);
    });
    host.state.registry.wait_opened();
    host
}

#[test]
fn nobody_is_given_what_was_made_for_another() {
    let host = keeping(|_| {});
    host.user("root", Role::Admin, &[]);
    for (name, area) in [("hall", "Hall"), ("hall-too", "Hall"), ("yard", "Yard")] {
        host.user(name, Role::Viewer, &[area]);
    }
    let [hall, hall_too, yard, root] = [
        host.bearer("hall", Role::Viewer),
        host.bearer("hall-too", Role::Viewer),
        host.bearer("yard", Role::Viewer),
        host.bearer("root", Role::Admin),
    ];
    for path in LISTS {
        let ask = |who: &str| host.ask("GET", path, &[who]);
        let told = |who: &str, expected: &str| {
            let reply = ask(who);
            assert_eq!((reply.status, how(&reply)), (200, expected), "{path}");
            reply.text().to_lowercase()
        };
        let all = told(&root, "miss");
        assert!(all.contains("cam") && all.contains("yard"), "{path}: {all}");
        let of_hall = told(&hall, "miss");
        assert!(!of_hall.contains("yard"), "{path}: {of_hall}");
        let of_yard = told(&yard, "miss");
        assert!(!of_yard.contains("\"cam\""), "{path}: {of_yard}");
        // Whoever may see the same is told the same.
        assert_eq!(told(&hall_too, "hit"), of_hall);
        assert_eq!((told(&root, "hit"), told(&yard, "hit")), (all, of_yard));
        // One who knows another's reply learns nothing by its name.
        let etag = ask(&root).header("etag").unwrap().to_owned();
        assert_eq!(host.ask("GET", path, &[&hall, &format!("If-None-Match: {etag}")]).status, 200, "{path}");
        let nobody = host.get(path);
        assert_eq!((nobody.status, how(&nobody)), (401, "none"), "{path}");
    }
    let settings = |who: &str| host.ask("GET", "/api/settings", &[who]);
    assert_eq!((how(&settings(&root)), how(&settings(&root))), ("miss", "hit"));
    assert_eq!((settings(&hall).status, how(&settings(&hall))), (403, "none"));
    // A camera that is theirs no more: from the next request on.
    let path = "/api/host/timeline/cam?from=1699999000&to=1699999900";
    assert_eq!(how(&host.ask("GET", path, &[&hall])), "miss");
    assert_eq!(how(&host.ask("GET", path, &[&hall_too])), "hit");
    let change = json!({"areas": ["Yard"]});
    assert_eq!(host.call("PATCH", "/api/users/hall", &[&root], &change).status, 200);
    let refused = host.ask("GET", path, &[&hall]);
    assert_eq!((refused.status, how(&refused)), (403, "none"));
    assert_eq!(how(&host.ask("GET", LISTS[0], &[&hall])), "hit", "as the yard's own");
    assert!(!host.ask("GET", LISTS[0], &[&hall]).text().contains("\"cam\""));
}

#[test]
fn the_public_and_links_are_given_nothing_that_is_kept() {
    let host = keeping(|settings| {
        settings.auth.public_view = true;
        settings.auth.public_areas = vec!["Hall".into()];
    });
    host.user("root", Role::Admin, &[]);
    let root = host.bearer("root", Role::Admin);
    let body = json!({"device": "cam", "start": 1_699_999_210, "end": 1_699_999_220, "expires": 1_700_000_600});
    let told = host.call("POST", "/api/host/share", &[&root], &body).json();
    let share = told["share"].as_str().unwrap();
    assert_eq!(host.get("/host/stream/cam/segments/output.m3u8").status, 200, "the public sees what is live");
    for path in LISTS.iter().chain(&["/api/host/timeline/cam?from=1699999210&to=1699999220", "/api/settings"]) {
        for _ in 0..2 {
            assert_eq!(host.ask("GET", path, &[&root]).status, 200, "{path}");
        }
        let mark = if path.contains('?') { '&' } else { '?' };
        for path in [(*path).to_owned(), format!("{path}{mark}share={share}")] {
            let reply = host.get(&path);
            assert_eq!((reply.status, how(&reply)), (401, "none"), "{path}");
        }
    }
}

#[test]
fn what_was_changed_is_told_at_once() {
    let host = Host::start_with(|settings, _| settings.cache.ttl_seconds = 30);
    host.state.registry.wait_opened();
    let twice = |path: &str| {
        let (first, again) = (host.get(path), host.get(path));
        assert_eq!((first.status, how(&first), how(&again)), (200, "miss", "hit"), "{path}");
        assert_eq!(first.body, again.body, "{path}");
        first
    };
    let change = |method: &str, path: &str, body: Value, status: u16| {
        let reply = host.call(method, path, &["If-Match: *"], &body);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    };
    let settings = twice("/api/settings");
    let etag = settings.header("etag").unwrap().to_owned();
    let known = host.ask("GET", "/api/settings", &[&format!("If-None-Match: {etag}")]);
    assert_eq!((known.status, how(&known)), (304, "hit"));
    // The tag of a kept reply is one to change by.
    let detect = json!({"detect": {"black_luma": 21}});
    assert_eq!(host.call("PUT", "/api/settings", &["If-Match: \"7\""], &detect).status, 412);
    assert_eq!(host.call("PUT", "/api/settings", &[&format!("If-Match: {etag}")], &detect).status, 200);
    let newer = host.ask("GET", "/api/settings", &[&format!("If-None-Match: {etag}")]);
    assert_eq!(
        (newer.status, how(&newer), &newer.json()["settings"]["detect"]["black_luma"]),
        (200, "miss", &json!(21))
    );

    twice("/api/areas");
    change("POST", "/api/areas", json!({"name": "Roof"}), 201);
    assert_eq!(twice("/api/areas").json()["areas"][0]["name"], "Roof");
    change("PUT", "/api/areas/Roof", json!({"name": "Cellar"}), 200);
    assert_eq!(twice("/api/areas").json()["areas"][0]["name"], "Cellar");
    change("DELETE", "/api/areas/Cellar", Value::Null, 204);
    assert_eq!(twice("/api/areas").json()["areas"], json!([]));

    // A camera came; one goes on by another name.
    twice("/api/cameras/active");
    change("POST", "/api/cameras", json!({"id": "door", "source": {"kind": "test"}}), 201);
    twice("/api/cameras/active");
    // One does otherwise, before its second is over.
    let like = host.device();
    let status = Arc::new(ArcSwap::from_pointee(DeviceStatus { status: "online", ..DeviceStatus::default() }));
    let told = status.clone();
    let device = WebDevice {
        id: like.id.clone(),
        camera: like.camera.clone(),
        hot: like.hot.clone(),
        index: like.index.clone(),
        siblings: like.siblings.clone(),
        metrics: like.metrics.clone(),
        latest: Arc::default(),
        status: Arc::new(move || DeviceStatus::clone(&told.load())),
        recorder: Arc::new(Map::new),
        tail: tail::Tail::new(host.state.clock.clone(), Arc::new(|| Box::pin(std::future::ready(Ok(()))))),
    };
    host.state.devices.store(Arc::new(vec![Arc::new(device)]));
    twice("/api/cameras/active");
    status.store(Arc::new(DeviceStatus { status: "offline", kind: Some("refused"), ..DeviceStatus::default() }));
    let offline = twice("/api/cameras/active").json();
    assert_eq!(
        (&offline["cameras"][0]["status"], &offline["cameras"][0]["reason"]),
        (&json!("offline"), &json!("refused"))
    );
    // And what goes on with the clock is a second old at most.
    host.manual.advance(Duration::from_secs(1));
    twice("/api/cameras/active");
}

#[test]
fn what_people_say_of_incidents_is_told_at_once() {
    let host = recorded_on(Host::start_with(|settings, _| settings.cache.ttl_seconds = 30), &[(300, &[0, 1, 2], true)]);
    host.state.registry.wait_opened();
    let path = "/api/host/timeline/cam?from=2023-11-14T22:08:20Z&to=2023-11-14T22:13:20Z";
    let ask = || {
        let reply = host.get(path);
        assert_eq!(reply.status, 200, "{}", reply.text());
        (how(&reply).to_owned(), reply.json()["incidents"].clone())
    };
    assert_eq!(ask(), ("miss".into(), json!([])));
    assert_eq!(ask().0, "hit");
    let one = host.incident("cam", IncidentKind::Freeze, 100, Some(20));
    let (how_told, incidents) = ask();
    assert_eq!((how_told.as_str(), &incidents[0]["id"]), ("miss", &json!(one.id)));
    let path = format!("/api/host/incidents/{}", one.id);
    assert_eq!(host.call("PATCH", &path, &[], &json!({"acknowledged": true})).status, 200);
    let (how_told, incidents) = ask();
    assert_eq!((how_told.as_str(), &incidents[0]["acknowledged"]), ("miss", &json!(true)));
    assert_eq!(ask().0, "hit");
}

#[test]
fn a_client_is_who_a_trusted_proxy_says_and_nobody_else() {
    let start = |trusts: bool| {
        Host::start_with(move |settings, _| {
            settings.limits.state_per_second = 1;
            settings.server.trusted_proxies = if trusts { vec!["127.0.0.1".parse().unwrap()] } else { Vec::new() };
        })
    };
    let counted = |host: &Host, from: &dyn Fn(u32) -> String| {
        let ask =
            |n: &u32| host.ask("GET", "/api/viewer/stats", &[&format!("X-Forwarded-For: {}", from(*n))]).status == 200;
        (0..20).take_while(ask).count()
    };
    let behind = start(true);
    assert_eq!(counted(&behind, &|_| "192.0.2.1".into()), 5);
    assert_eq!(counted(&behind, &|_| "192.0.2.2".into()), 5, "each behind the proxy has an allowance");
    assert_eq!(counted(&behind, &|n| format!("198.51.100.{n}, 192.0.2.3")), 5, "whatever the client itself wrote");
    assert_eq!(counted(&behind, &|n| format!("127.0.0.1, 10.0.0.{n}, 192.0.2.4")), 5);
    assert_eq!(counted(&behind, &|n| format!("2001:db8::{n:x}")), 5, "a network of IPv6 is one");
    assert!((0..20).all(|_| behind.get("/api/viewer/stats").status == 200), "the host itself is not held to it");
    // Who is not trusted to tell is taken for one, however many it names.
    let lied_to = start(false);
    assert_eq!(counted(&lied_to, &|n| format!("192.0.2.{n}")), 5);
}

#[test]
fn viewers_are_told_of_and_counted_where_they_may_see() {
    let host = guarded(|_| {});
    host.state.registry.wait_opened();
    for (name, role, areas) in [
        ("root", Role::Admin, &[][..]),
        ("hall", Role::Viewer, &["Hall"][..]),
        ("hall-operator", Role::Operator, &["Hall"][..]),
    ] {
        host.user(name, role, areas);
    }
    let [root, hall, operator] = [
        host.bearer("root", Role::Admin),
        host.bearer("hall", Role::Viewer),
        host.bearer("hall-operator", Role::Operator),
    ];
    let say = |who: &str, what: &str, body: Value| host.call("POST", &format!("/api/viewer/{what}"), &[who], &body);
    let start = |who: &str, device: &str| say(who, "start", json!({"device": device}));
    for device in ["yard", "none"] {
        assert_eq!(start(&hall, device).status, 403, "{device}");
    }
    assert_eq!(start(&root, "none").status, 404);
    let session = |reply: Reply| reply.json()["session"].as_str().unwrap().to_owned();
    let (of_hall, of_yard) = (session(start(&hall, "cam")), session(start(&root, "yard")));
    for what in ["heartbeat", "stop"] {
        assert_eq!(say(&hall, what, json!({"session": of_yard})).status, 404, "{what}: not theirs to touch");
    }
    assert_eq!(say(&hall, "heartbeat", json!({"session": of_hall})).status, 200);
    let ask = |who: &str, what: &str| host.ask("GET", &format!("/api/viewer/{what}"), &[who]);
    assert_eq!(ask(&hall, "active").status, 403, "who watches is not for viewers");
    assert_eq!(ask(&root, "active").json()["devices"], json!({"cam": 1, "yard": 1}));
    assert_eq!(ask(&root, "active?device=yard").json()["devices"], json!({"yard": 1}));
    assert_eq!(ask(&root, "active?device=a/b").status, 400);
    let active = ask(&operator, "active").json();
    assert_eq!((&active["viewers"], &active["devices"]), (&json!(1), &json!({"cam": 1})));
    assert_eq!(ask(&operator, "stats").json()["viewers"], 1);
    host.state.viewers.finish(&host.state.registry);
    let totals = |who: &str| ask(who, "history").json()["totals"].as_array().unwrap().len();
    host.until("it is written down", || totals(&root) == 2);
    assert_eq!(totals(&operator), 1);
    assert_eq!(ask(&operator, "history").json()["sessions"][0]["device"], "cam");
    // The cache is for those who run the host.
    for (method, path) in [("GET", "/api/cache/stats"), ("POST", "/api/cache/clear"), ("POST", "/api/cache/invalidate")]
    {
        let status = |who: &str| host.call(method, path, &[who], &json!({"pattern": "*"})).status;
        assert_eq!((status(&operator), status(&root)), (403, 200), "{method} {path}");
    }
}
