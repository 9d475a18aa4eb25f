//! The heatmap: minutes, mosaics and strips, of devices that are well, in trouble, or say nothing.

use bytes::Bytes;

use super::{
    beside::{HOUR, host},
    *,
};
use crate::{
    clock::Mono,
    frames::{Frame, Observation, Sound},
    incident::IncidentKind,
    storage::{layout::Sibling, siblings},
};

/// A grey picture of the size of a thumbnail.
fn thumbnail(luma: u8) -> Bytes {
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 70);
    encoder.encode(&[luma; 320 * 180], 320, 180, jpeg_encoder::ColorType::Luma).unwrap();
    jpeg.into()
}

impl Host {
    /// So many devices in place of the one, of which nothing is known.
    fn devices(&self, count: usize) -> Vec<Arc<WebDevice>> {
        let like = self.device();
        let make = |number: usize| {
            let camera = Camera { id: format!("camera-{number:02}").parse().unwrap(), ..(*like.camera).clone() };
            let camera = Camera { name: format!("Camera {number:02}"), ..camera };
            let index = Arc::new(DeviceIndex::new(camera.id.clone()));
            let metrics = self.state.metrics.device(&camera.id);
            let log = slog::Logger::root(slog::Discard, slog::o!());
            Arc::new(WebDevice {
                id: camera.id.clone(),
                camera: Arc::new(camera),
                hot: like.hot.clone(),
                siblings: Siblings::new(self.state.volume.clone(), index.clone(), 10, metrics.clone(), log),
                index,
                metrics,
                latest: Arc::default(),
                status: like.status.clone(),
                recorder: Arc::new(Map::new),
                tail: tail::Tail::new(self.state.clock.clone(), Arc::new(|| Box::pin(std::future::ready(Ok(()))))),
            })
        };
        let devices: Vec<_> = (0..count).map(make).collect();
        self.state.devices.store(Arc::new(devices.clone()));
        devices
    }

    /// Once the database is open.
    fn minute(&self, name: &str) -> Value {
        self.list("");
        let reply = self.get(&format!("/api/host/heatmap/{name}.json"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    fn mosaic(&self, name: &str) -> Reply {
        let reply = self.get(&format!("/api/host/heatmap/{name}.jpg"));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/jpeg")), "{name}");
        reply
    }
}

/// Looked at five times a second from `from` on, for so many seconds; a still each 10 s.
fn watch(device: &WebDevice, from: Utc90k, seconds: i64, jpeg: &Bytes) {
    let witness = device.siblings.witness();
    for number in 0..seconds * 5 {
        let at = from + number * 18_000;
        let sound =
            Sound { silent: Some(false), mean_volume_db: Some(-20.53), volume_percentage: Some(59), before_90k: 0 };
        let seen = Observation { at, black: Some(false), freeze: Some(false), sound, ..Observation::default() };
        witness(&seen, &Frame { key: SegmentKey::default(), at, seen: Mono::ZERO, jpeg: jpeg.clone() });
    }
}

#[test]
fn a_minute_tells_how_each_device_did() {
    let host = host();
    let quiet = host.minute("2201");
    assert_eq!((&quiet["time_key"], &quiet["timestamp"]), (&"2201".into(), &"2023-11-14T22:01:00.000Z".into()));
    let device = serde_json::json!({
        "host_name": host.state.settings.server.host_name(), "device_id": "cam", "device_name": "Lobby",
        "image_url": "/host/stream/cam/thumbnails/22/1699999310000.jpg", "status": "ok",
        "analysis_json": {"frames": 60, "blackscreen": false, "freeze": false, "audio": true,
                          "mean_volume_db": -30.0, "volume_percentage": 50},
    });
    assert_eq!((&quiet["devices"], &quiet["incidents_count"]), (&serde_json::json!([device]), &0.into()));
    assert_eq!(host.minute("2201"), quiet, "kept or not");

    // Black for ten seconds, and nobody has called it an incident.
    let dark = host.minute("2205");
    let analysis = &dark["devices"][0]["analysis_json"];
    assert_eq!((&analysis["blackscreen"], &analysis["blackscreen_percent"]), (&true.into(), &16.into()));
    assert_eq!((&analysis["silence_percent"], &dark["devices"][0]["status"]), (&91.into(), &"ok".into()));

    // 22:05:00 to 22:05:10: now it is one, and the picture is the one that shows it.
    let incident = host.incident("cam", IncidentKind::Blackscreen, 500, Some(10));
    let dark = host.minute("2205");
    assert_eq!((&dark["incidents_count"], &dark["devices"][0]["status"]), (&1.into(), &"ko".into()));
    assert_eq!(dark["devices"][0]["analysis_json"]["incidents"], serde_json::json!(["blackscreen"]));
    assert_eq!(dark["devices"][0]["image_url"], "/host/stream/cam/thumbnails/22/1699999500000.jpg");
    assert_eq!(host.minute("2204")["devices"][0]["status"], "ok");
    let said = serde_json::json!({"discarded": true});
    assert_eq!(host.change("PATCH", &format!("/api/host/incidents/{}", incident.id), &said).status, 200);
    assert_eq!(host.minute("2205")["devices"][0]["status"], "ok", "somebody said it is none");

    // Yesterday, and a minute that waits in RAM.
    let nothing = host.minute("2300");
    assert_eq!(
        (&nothing["timestamp"], &nothing["devices"][0]["status"]),
        (&"2023-11-13T23:00:00.000Z".into(), &"unknown".into())
    );
    assert!(nothing["devices"][0]["image_url"].is_null());
    assert_eq!(host.minute("2213")["devices"][0]["analysis_json"]["frames"], 20);
    let other_day = host.get("/api/host/heatmap/2201.json?date=2023-11-13").json();
    assert_eq!(other_day["devices"][0]["analysis_json"]["frames"], 0);
}

#[test]
fn a_minute_of_16_devices_has_1_to_5_kb() {
    let host = Host::start();
    let jpeg = thumbnail(120);
    for device in host.devices(16) {
        watch(&device, HOUR, 60, &jpeg);
    }
    (0..4).for_each(|number| drop(host.incident(&format!("camera-0{number}"), IncidentKind::Freeze, 790, Some(5))));
    host.minute("2200");
    let reply = host.get("/api/host/heatmap/2200.json");
    println!("a minute of 16 devices: {} bytes", reply.body.len());
    assert!((1000..=5000).contains(&reply.body.len()), "{} bytes", reply.body.len());
    assert_eq!(reply.json()["incidents_count"], 4);
}

#[test]
fn mosaics_show_who_belongs_there_and_nothing_old() {
    let host = Host::start();
    let devices = host.devices(3);
    watch(&devices[0], HOUR, 60, &thumbnail(60));
    watch(&devices[1], HOUR, 60, &thumbnail(200));
    let decoded = |reply: &Reply| {
        let mut decoder = zune_jpeg::JpegDecoder::new(zune_jpeg::zune_core::bytestream::ZCursor::new(&reply.body));
        decoder.decode_headers().unwrap();
        decoder.dimensions().unwrap()
    };
    host.list("");
    let (empty, one) = (host.mosaic("2200_ko"), host.mosaic("2200_ok"));
    assert_eq!((decoded(&empty), decoded(&one), decoded(&host.mosaic("2200"))), ((328, 208), (656, 208), (656, 416)));
    let known = format!("If-None-Match: {}", one.header("etag").unwrap());
    assert_eq!(host.ask("GET", "/api/host/heatmap/2200_ok.jpg", &[&known]).status, 304);

    host.incident("camera-01", IncidentKind::Freeze, 790, Some(5));
    let ko = host.mosaic("2200_ko");
    assert_ne!(ko.body, empty.body);
    assert_eq!((decoded(&ko), decoded(&host.mosaic("2200_ok"))), ((328, 208), (328, 208)));
    assert_ne!(host.mosaic("2200_ok").body, one.body);
    // The minutes after and before have no such set, whatever was shown a moment ago.
    for name in ["2159_ko", "2201_ko", "2201_ok", "2300_ok"] {
        assert_eq!(host.mosaic(name).body, empty.body, "{name}");
    }
    assert_eq!(decoded(&host.mosaic("2201")), (656, 416), "a placeholder each");
    host.state.devices.store(Arc::default());
    assert_eq!(host.mosaic("2200").body, empty.body);
}

/// What was made of one picture is not shown for another.
#[test]
fn a_mosaic_is_of_the_stills_of_now() {
    let host = Host::start();
    let devices = host.devices(1);
    host.list("");
    watch(&devices[0], HOUR, 10, &thumbnail(60));
    let first = host.mosaic("2200");
    assert_eq!(host.mosaic("2200").body, first.body);
    watch(&devices[0], HOUR + 10 * 90_000, 10, &thumbnail(200));
    assert_ne!(host.mosaic("2200").body, first.body);
}

#[test]
fn who_would_wait_too_long_for_a_mosaic_is_told_so() {
    let host = Host::start();
    host.list("");
    let known = host.mosaic("2200");
    let taken = host.state.heatmap.mosaics.places.try_acquire().unwrap();
    assert_eq!(host.mosaic("2200").body, known.body, "what is at hand needs no place");
    let refused = host.get("/api/host/heatmap/2200_ok.jpg");
    assert_eq!((refused.status, refused.json()["error"]["kind"].as_str()), (503, Some("unavailable")));
    drop(taken);
    host.mosaic("2200_ok");
}

#[test]
fn strips_tell_the_worst_of_every_minute() {
    let host = host();
    host.list("");
    // 22:01:40 to 22:02:50 black, 22:02:00 for a second silent, from 22:13:08 on gone.
    host.incident("cam", IncidentKind::Blackscreen, 700, Some(70));
    host.incident("cam", IncidentKind::Silence, 680, Some(1));
    host.incident("cam", IncidentKind::SignalLost, 12, None);
    host.incident("gone", IncidentKind::Freeze, 700, Some(70));
    let ask = |query: &str| {
        let reply = host.get(&format!("/api/host/heatmap?{query}"));
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        reply.json()
    };
    let hour = ask("from=2023-11-14T21:58:00Z&to=2023-11-14T22:16:00Z");
    assert_eq!(
        hour["devices"],
        serde_json::json!([
            {"device_id": "cam", "device_name": "Lobby", "states": "..obbooooooooooxoo"},
        ])
    );
    assert_eq!((&hour["step_seconds"], &hour["incidents_complete"]), (&60.into(), &true.into()));
    let minutes = hour["minutes"].as_array().unwrap();
    assert_eq!((minutes.len(), &minutes[3]), (18, &"2023-11-14T22:01:00.000Z".into()));
    let coarse = ask("from=2023-11-14T21:58:00Z&to=2023-11-14T22:16:00Z&step=600");
    assert_eq!((&coarse["devices"][0]["states"], &coarse["from"]), (&".bx".into(), &"2023-11-14T21:50:00.000Z".into()));
    let day = ask("");
    assert_eq!(day["minutes"].as_array().unwrap().len(), 1441);
    let month = ask("to=1700000000&duration=2678400");
    assert_eq!((month["step_seconds"].as_u64(), month["minutes"].as_array().map(Vec::len)), (Some(3600), Some(745)));
}

#[test]
fn a_day_of_64_devices_is_told_at_once() {
    let host = Host::start();
    host.list("");
    for device in host.devices(64) {
        for number in 0..144 {
            let start_ms = NOW.as_ms() - 86_400_000 + number * 600_000;
            device.index.put(ChunkEntry {
                key: ChunkKey { start_ms, generation: 0 },
                place: Place::Temp,
                start: Utc90k::from_ms(start_ms),
                end: Utc90k::from_ms(start_ms + 600_000),
                bytes: 1,
                codecs: "avc1.64001f".into(),
                gaps: 0,
                holes: None,
                sealed: true,
                original: false,
            });
        }
    }
    let clock = Clock::system();
    let mut times: Vec<_> = (0..9)
        .map(|_| {
            let began = clock.mono();
            let reply = host.get("/api/host/heatmap");
            assert_eq!(reply.status, 200);
            (clock.mono().since(began).as_secs_f64() * 1000.0, reply.body.len())
        })
        .collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("1440 minutes of 64 devices: {:.1} ms at the median, {} bytes", times[4].0, times[4].1);
    let strips = host.get("/api/host/heatmap").json();
    let states = strips["devices"].as_array().unwrap().iter().map(|it| it["states"].as_str().unwrap());
    assert_eq!(states.filter(|states| states.matches('o').count() >= 1440).count(), 64);
}

#[test]
fn what_is_no_minute_and_no_span_is_refused_by_name() {
    let host = Host::start();
    let check = |address: &str, path: &str| {
        let refused = host.get(&format!("/api/host/heatmap{address}"));
        assert_eq!((refused.status, refused.json()["error"]["path"].as_str()), (400, Some(path)), "{address}");
    };
    for name in ["2460", "2360", "99", "x", "12345", "-100", "+100", "1e10", "%FF", "%00", "2200_xx"] {
        for end in [".json", ".jpg", "_ok.jpg", "_ko.jpg"] {
            check(&format!("/{name}{end}"), "minute");
        }
    }
    for end in [".json", ".jpg", "_ok.jpg", "_ko.jpg"] {
        for date in ["", "x", "2023-02-30", "20231114", "99999-01-01"] {
            check(&format!("/2200{end}?date={date}"), "date");
        }
    }
    check("?from=1700000000&to=1699999990", "to");
    check("?from=1690000000&to=1700000000", "to");
    check("?from=x", "from");
    check("?from=99999999999", "from");
    check("?duration=60", "from");
    check("?from=1699990000&to=1700000000&duration=60", "duration");
    for step in ["0", "59", "86401", "", "x", "-60"] {
        check(&format!("?step={step}"), "step");
    }
    check("?from=1699000000&to=1700000000&step=60", "step");
    for missing in ["/2200", "/2200.png", "/.json/x", "/22/00.json"] {
        assert_eq!(host.get(&format!("/api/host/heatmap{missing}")).status, 404, "{missing}");
    }
}

/// The database does not answer, as while it is opened or after it broke: nothing is called well.
#[test]
fn without_the_database_nothing_is_well() {
    let host = host();
    host.list("");
    host.state.registry.finish();
    let ask = |address: &str| host.get(&format!("/api/host/heatmap{address}")).json();
    // Each waits for the database until its limit.
    let (minute, strip) = std::thread::scope(|scope| {
        let minute = scope.spawn(|| ask("/2201.json"));
        let strip = ask("?from=1699999200&duration=300");
        (minute.join().unwrap(), strip)
    });
    assert_eq!((&minute["incidents_complete"], &minute["devices"][0]["status"]), (&false.into(), &"unknown".into()));
    assert_eq!((&strip["incidents_complete"], &strip["devices"][0]["states"]), (&false.into(), &".....".into()));
}

/// Every device shows what is broken beside its own chunk, and no more.
#[test]
fn what_is_damaged_costs_its_own_device_alone() {
    let host = host();
    host.list("");
    let whole = host.mosaic("2201").body;
    let cam = host.device();
    let others = host.devices(1);
    watch(&others[0], HOUR + 60 * 90_000, 60, &thumbnail(90));
    host.state.devices.store(Arc::new(vec![cam.clone(), others[0].clone()]));
    let cam_chunk = cam.index.get(&OLD).unwrap();
    let place = cam_chunk.place;
    for sibling in Sibling::ALL {
        let path = host.root().join(siblings::path(&host.state.volume, &cam.id, sibling, OLD, place));
        assert!(path.exists());
        fs::write(path, [0xFF; 5000]).unwrap();
    }
    let minute = host.minute("2201");
    assert_eq!(minute["devices"][1]["status"], "ok");
    // Nothing whole is left of its lines, and no still where the list of them says.
    assert_eq!(host.minute("2203")["devices"][0]["status"], "unknown");
    assert_ne!(host.mosaic("2201").body, whole);
}
