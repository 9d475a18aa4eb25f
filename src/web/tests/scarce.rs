//! What the description says of bad moments, provoked: footage that goes under a reader, threads that are all busy.

use std::sync::{RwLock, atomic::AtomicUsize};

use futures_util::FutureExt;

use super::{openapi::DOCUMENT, timeline::recorded, *};

/// Those that read chunks and what lies beside them, in the words of the table, and an address of each on [`host`].
const OF_CHUNKS: &[(&str, &str)] = &[
    ("/api/host/screenshot/{device}", "/api/host/screenshot/cam?at=1699999701"),
    ("/api/host/clip/{device}.mp4", "/api/host/clip/cam.mp4?start=1699999701&end=1699999703"),
    ("/api/host/playlist/{device}.m3u8", "/api/host/playlist/cam.m3u8?start=1699999000&end=1699999800"),
    ("/api/host/timeline/{device}", "/api/host/timeline/cam?from=1699999000&to=1699999800"),
    ("/host/stream/{device}/segments/{hour}/archive.m3u8", "/host/stream/cam/segments/22/archive.m3u8"),
    (
        "/host/stream/{device}/segments/{hour}/archive_hour_{again}.mp4",
        "/host/stream/cam/segments/22/archive_hour_22.mp4",
    ),
    ("/host/stream/{device}/audio/{hour}/audio_10s_{piece}.m4a", "/host/stream/cam/audio/22/audio_10s_050.m4a"),
    ("/host/stream/{device}/segments/{hour}/chunk_10min_{index}.mp4", "/host/stream/cam/segments/22/chunk_10min_0.mp4"),
    ("/host/stream/{device}/chunks/{key}.mp4", "/host/stream/cam/chunks/1699999700000-0.mp4"),
    ("/api/host/thumbnails/{device}/{hour}", "/api/host/thumbnails/cam/22"),
    ("/api/host/preview/{device}", "/api/host/preview/cam?at=1699999701"),
    ("/api/host/metadata/{device}", "/api/host/metadata/cam?from=1699999000&to=1699999800"),
    ("/host/stream/{device}/segments/{hour}/metadata.json", "/host/stream/cam/segments/22/metadata.json"),
    ("/host/stream/{device}/thumbnails/{hour}/thumbnails.vtt", "/host/stream/cam/thumbnails/22/thumbnails.vtt"),
    ("/host/stream/{device}/thumbnails/{hour}/{still}.jpg", "/host/stream/cam/thumbnails/22/1699999701000.jpg"),
    ("/api/host/heatmap/{minute}.json", "/api/host/heatmap/2208.json"),
    ("/api/host/heatmap/{minute}.jpg", "/api/host/heatmap/2208.jpg"),
    ("/api/host/heatmap/{minute}_ok.jpg", "/api/host/heatmap/2208_ok.jpg"),
    ("/api/host/heatmap/{minute}_ko.jpg", "/api/host/heatmap/2208_ko.jpg"),
    (
        "/host/stream/{device}/evidence/{date}/{name}.jpg",
        "/host/stream/cam/evidence/2023-11-14/1699999991000-freeze-worst.jpg",
    ),
];
/// Those with other reasons to say so; each has a test of its own.
const OTHERS: &[&str] = &[
    "/api/host/heatmap",
    "/api/host/incidents",
    "/api/viewer/history",
    "/api/host/incidents/{id}",
    "/api/host/incidents.csv",
    "/api/host/maintenance/{device}",
    "/api/host/pins",
    "/api/host/pins/{id}",
    "/api/cameras/{id}",
    "/api/audit",
    "/host/stream/{device}/captures/latest.jpg",
    "/host/stream/{device}/captures/latest.json",
    "/readyz",
    "/api/events",
    "/api/transcode",
    "/api/host/health",
    "/api/host/clip-jobs/{id}",
    "/api/host/clip-jobs/{id}.mp4",
    "/host/stream/{device}/segments/output.m3u8",
    "/host/stream/{device}/segments/segment_{key}.ts",
];

/// A chunk of the ring; nothing is read of it yet.
fn host() -> Host {
    // With a gap inside: only the table tells where.
    let host = recorded(&[(300, &[0, 1, 2, 3, 4, 60, 61], true)]).nothing_waits();
    let device = host.device();
    let mut entry = device.index.snapshot()[0].as_ref().clone();
    let layout = host.state.volume.layout();
    let from = host.root().join(entry.path(layout, &device.id));
    entry.place = Place::Ring(RingSlot::of(Utc90k::from_ms(OLD.start_ms), 600));
    let to = host.root().join(entry.path(layout, &device.id));
    fs::rename(from, to).unwrap();
    device.index.put(entry);
    host
}

/// Each route of the document that declares `status` is in one of the lists.
fn declared(status: &str) -> Vec<&'static str> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let with = paths.filter(|(_, item)| !item["get"]["responses"][status].is_null()).map(|(path, _)| path.as_str());
    let all: Vec<_> = with.collect();
    for path in &all {
        assert!(OF_CHUNKS.iter().any(|(it, _)| it == path) || OTHERS.contains(path), "{path} says {status}");
    }
    all
}

#[test]
fn footage_that_goes_under_a_reader_is_gone() {
    let all = declared("410");
    for (path, address) in OF_CHUNKS.iter().filter(|(path, _)| all.contains(path)) {
        let host = host();
        let entry = host.device().index.snapshot()[0].clone();
        fs::remove_file(host.root().join(entry.path(host.state.volume.layout(), &host.device().id))).unwrap();
        let reply = host.get(address);
        assert_eq!((reply.status, reply.json()["error"]["kind"].as_str()), (410, Some("gone")), "{path}");
    }
    let host = Host::start();
    fs::remove_file(host.device().hot.segment_path(SegmentKey { epoch: Epoch(7), number: 0 })).unwrap();
    assert_eq!(host.get("/host/stream/cam/segments/segment_7_000000000.ts").status, 410);
}

/// A download goes on to its end when its chunk is deleted meanwhile: what is open stays readable.
#[test]
fn a_download_outlives_its_chunk() {
    let host = host();
    let address = OF_CHUNKS[1].1;
    let whole = host.get(address);
    let entry = host.device().index.snapshot()[0].clone();
    let mut stream = TcpStream::connect(host.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    fs::remove_file(host.root().join(entry.path(host.state.volume.layout(), &host.device().id))).unwrap();
    host.device().index.remove(&entry.key);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&whole.body));
    assert_eq!(host.get(address).status, 404);
}

/// One so long that most of it is neither in the sockets' buffers nor read ahead when its chunk goes, by a reader who waits.
#[test]
fn a_long_download_outlives_its_chunk() {
    let host = Host::start();
    let bytes: Vec<u8> = (0..32_u32 << 20).map(|at| (at % 251) as u8).collect();
    let key = ChunkKey { start_ms: OLD.start_ms - 600_000, generation: 0 };
    host.chunk(key, Place::Ring(RingSlot::of(Utc90k::from_ms(key.start_ms), 600)), &bytes, true);
    let address = format!("/host/stream/cam/chunks/{}", key.file_name());
    let mut stream = TcpStream::connect(host.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    let entry = host.device().index.remove(&key).unwrap();
    fs::remove_file(host.root().join(entry.path(host.state.volume.layout(), &host.device().id))).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&bytes));
    assert_eq!(host.get(&address).status, 404);
}

/// Clips must not take the files that recording needs.
#[test]
fn clips_beyond_the_files_that_are_left_are_refused() {
    let host = host();
    let address = OF_CHUNKS[1].1;
    host.state.clips.files.allow(0);
    let refused = host.get(address);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.text());
    assert_eq!(refused.json()["error"]["kind"], "unavailable");
    assert!(refused.text().contains("shorter span"), "{}", refused.text());
    assert_eq!(host.get("/host/stream/cam/chunks/1699999700000-0.mp4").status, 200, "chunks are served");
    host.state.clips.files.allow(1);
    assert_eq!(host.get(address).status, 200);
}

#[test]
fn a_full_queue_of_reads_is_told_and_ends() {
    let host = host();
    let all = declared("503");
    let gate = Arc::new(RwLock::new(()));
    let closed = gate.write().unwrap();
    let inside = Arc::new(AtomicUsize::new(0));
    let stalled = || {
        let (gate, inside) = (gate.clone(), inside.clone());
        let job = move || {
            inside.fetch_add(1, Ordering::SeqCst);
            drop(gate.read());
        };
        // Queued at its first poll; its answer is not waited for.
        host.state.readers.run(job).now_or_never()
    };
    // Full is what stays full when every thread has a job.
    while inside.load(Ordering::SeqCst) < reader::THREADS || stalled().is_none() {
        stalled();
    }
    for (path, address) in OF_CHUNKS.iter().filter(|(path, _)| all.contains(path)) {
        let reply = host.get(address);
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{path}: {}", reply.text());
        assert_eq!(reply.json()["error"]["kind"], "unavailable", "{path}");
    }
    assert_eq!(host.get("/healthz").status, 200, "what needs no disk is served");
    drop(closed);
    while host.state.readers.run(|| ()).now_or_never().is_some() {
        std::thread::yield_now();
    }
    assert_eq!(host.get(OF_CHUNKS[1].1).status, 200);
}
