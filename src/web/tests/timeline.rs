//! Timelines of chunks that the real writer made.

use serde_json::json;

use super::*;
use crate::{
    media::{VideoCodec, VideoConfig},
    merge::chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, OutSample, TrackRun},
};

impl Host {
    /// A chunk of 1 s GOPs with one picture each at these seconds after `start`, listed as a daemon would.
    pub(super) fn record(&self, start: Utc90k, at_seconds: &[u64], sealed: bool) {
        let sps = [
            0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0f, 0x23, 0xc5,
            0x0a, 0xa8,
        ];
        let sets = vec![sps.to_vec(), vec![0x68, 0xce, 0x0f, 0xc8]];
        let video = VideoConfig::from_parameter_sets(VideoCodec::H264, sets);
        let device = self.device();
        let spec = ChunkSpec { device: device.id.clone(), start, generation: 0, video, audio: None, fps: 1.0 };
        let mut writer = ChunkWriter::create(Arc::clone(&self.state.volume), spec).unwrap();
        let es = [0, 0, 1, 0x65, 1, 2, 3];
        for seconds in at_seconds {
            let samples = [OutSample { duration: 90_000, cts: 0, sync: true, data: 0..es.len() }];
            let run = TrackRun { base: seconds * 90_000, samples: &samples, es: &es };
            writer.append(&Fragment { video: Some(run), audio: None }).unwrap();
        }
        writer.commit(MarkInfo::default()).unwrap();
        let mut entry = ChunkEntry {
            key: writer.key(),
            place: Place::Temp,
            start,
            end: writer.end(),
            bytes: writer.published_len(),
            codecs: writer.codecs().into(),
            gaps: writer.gaps(),
            holes: None,
            sealed,
            original: false,
        };
        if sealed {
            entry.bytes = writer.seal().unwrap().bytes;
        }
        device.index.put(entry);
    }
}

/// A host that has nothing but what is recorded here; times are seconds before now.
pub(super) fn recorded(chunks: &[(i64, &[u64], bool)]) -> Host {
    recorded_on(Host::start(), chunks)
}

/// On this host.
pub(super) fn recorded_on(host: Host, chunks: &[(i64, &[u64], bool)]) -> Host {
    let index = &host.device().index;
    index.snapshot().iter().for_each(|chunk| drop(index.remove(&chunk.key)));
    for (ago, at, sealed) in chunks {
        host.record(Utc90k::from_seconds(NOW.as_seconds() - ago), at, *sealed);
    }
    host
}

#[test]
fn a_timeline_is_exact_inside_sealed_and_growing_chunks() {
    let host = recorded(&[(300, &[0, 1, 2, 60, 61], true), (100, &[0, 1, 30, 31], false)]);
    let ask = |query: &str| host.get(&format!("/api/host/timeline/cam?{query}"));
    // 22:08:20 is 300 s ago.
    let reply = ask("from=2023-11-14T22:08:20Z&to=2023-11-14T22:13:20Z");
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    let told = reply.json();
    let codec = "avc1.42c00d";
    assert_eq!(told["exact"], true);
    assert_eq!(
        told["coverage"],
        json!([
            {"start": "2023-11-14T22:08:20.000Z", "end": "2023-11-14T22:08:23.000Z", "codec": codec},
            {"start": "2023-11-14T22:09:20.000Z", "end": "2023-11-14T22:09:22.000Z", "codec": codec},
            {"start": "2023-11-14T22:11:40.000Z", "end": "2023-11-14T22:11:42.000Z", "codec": codec},
            {"start": "2023-11-14T22:12:10.000Z", "end": "2023-11-14T22:12:12.000Z", "codec": codec},
        ])
    );
    let gaps = |query: &str| -> Vec<String> {
        let told = ask(query).json();
        let gaps = told["gaps"].as_array().unwrap().iter();
        let second = |time: &Value| time.as_str().unwrap()[14..19].to_owned();
        gaps.map(|gap| format!("{}-{} {}", second(&gap["start"]), second(&gap["end"]), gap["reason"].as_str().unwrap()))
            .collect()
    };
    // One segment waits in hot: it arrived now and lasts a second.
    let all = ["08:23-09:20", "09:22-11:40", "11:42-12:10", "12:12-13:19", "13:19-13:20"];
    let all = all.map(|gap| format!("{gap} {}", if gap == "13:19-13:20" { "not_committed" } else { "not_recorded" }));
    assert_eq!(gaps("from=1699999700&duration=300"), all);
    assert_eq!(gaps("from=1699999700&duration=300&resolution=60"), [&*all[1], &*all[3], &*all[4]]);
    assert_eq!(gaps("from=1699999690&to=1699999701.5"), ["08:10-08:20 not_kept"]);
    assert_eq!(gaps("from=1699999725&to=1699999735"), ["08:45-08:55 not_recorded"]);
    let chunk = &told["chunks"][0];
    assert_eq!((&chunk["gaps"], &chunk["sealed"], &chunk["pinned"]), (&json!(1), &json!(true), &json!(false)));
    assert_eq!(chunk["name"], "1699999700000-0.mp4");
    assert_eq!(host.get(chunk["url"].as_str().unwrap()).body.len() as u64, chunk["bytes"].as_u64().unwrap());
}

#[test]
fn a_timeline_without_bounds_tells_the_last_day() {
    let host = recorded(&[(300, &[0, 1, 2], true)]);
    let told = host.get("/api/host/timeline/cam").json();
    assert_eq!(
        (&told["start"], &told["end"]),
        (&json!("2023-11-13T22:13:20.000Z"), &json!("2023-11-14T22:13:20.000Z"))
    );
    assert_eq!((told["coverage"].as_array().map(Vec::len), told["gaps"].as_array().map(Vec::len)), (Some(1), Some(3)));
    assert_eq!(told["device"], "cam");
}

#[test]
fn what_is_lost_while_one_looks_leaves_the_rest_of_the_timeline() {
    let host = recorded(&[(300, &[0, 60], true), (100, &[0, 30], true)]);
    let lost = host.device().index.snapshot()[0].path(host.state.volume.layout(), &host.device().id);
    fs::remove_file(host.root().join(lost)).unwrap();
    let told = host.get("/api/host/timeline/cam?from=1699999700&to=1700000000").json();
    assert_eq!((&told["exact"], told["coverage"].as_array().map(Vec::len)), (&json!(false), Some(3)));
}

#[test]
fn bad_spans_are_refused_by_the_name_of_the_parameter() {
    let host = recorded(&[]);
    let check = |query: &str, path: &str| {
        let reply = host.get(&format!("/api/host/timeline/cam?{query}"));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some(path)), "{query}");
    };
    for (query, path) in [
        ("from=", "from"),
        ("from=yesterday", "from"),
        ("from=-5", "from"),
        ("from=%ff%fe", "from"),
        ("from=1700000000&to=%C3%28", "to"),
        ("from=9223372036854775807", "from"),
        ("from=1699999999&to=1699999998", "to"),
        ("from=1699999999&to=1699999999", "to"),
        ("to=9999-12-31T23:59:59Z", "to"),
        ("from=2033-11-14T22:13:20Z", "from"),
        ("from=1699990000&duration=0", "duration"),
        ("from=1699990000&duration=1e3", "duration"),
        ("from=1699990000&duration=999999999999", "duration"),
        ("from=1699990000&resolution=-1", "resolution"),
        ("from=1699990000&resolution=", "resolution"),
    ] {
        check(query, path);
    }
    assert_eq!(host.get("/api/host/timeline/nobody").status, 404);
    assert_eq!(host.get("/api/host/timeline/..%2fcam").status, 404);
    let twice = host.get("/api/host/timeline/cam?from=1&from=2");
    assert_eq!(twice.status, 400);
}

/// A day of chunks that all have holes: one answer reads a part of them, and later ones know the rest.
#[test]
fn long_timelines_become_exact_by_being_asked() {
    let chunks: Vec<(i64, &[u64], bool)> = (1..=70).map(|i| (i * 1200, &[0_u64, 60][..], true)).collect();
    let host = recorded(&chunks);
    let ask = || {
        let told = host.get("/api/host/timeline/cam?from=1699900000").json();
        (told["exact"].as_bool().unwrap(), told["coverage"].as_array().unwrap().len())
    };
    let answers = [ask(), ask(), ask()];
    assert_eq!(answers, [(false, 70 + 32), (false, 70 + 64), (true, 140)]);
    assert!(host.get("/api/host/timeline/cam?from=1699996400").json()["exact"].as_bool().unwrap());
}
