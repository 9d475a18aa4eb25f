//! The routes as clients meet them: a device with live segments and chunks in a hand-made tree, a real listener.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::{dev::ServerHandle, web::Data};
use arc_swap::ArcSwap;
use serde_json::Value;

use super::*;
use crate::{
    access::AccessParts,
    capture::Spawner,
    clock::{ManualClock, Utc90k},
    config::{Storage, parse},
    events::Events,
    ids::{Epoch, SegmentKey},
    limits::WorkGroup,
    registry::RegistryParts,
    storage::{
        ChunkEntry, HotLimits, Place, Retention,
        layout::{ChunkKey, HotKind, HotLayout, RingSlot},
    },
};

mod access;
mod beside;
mod cameras;
mod clips;
mod encodes_of_clips;
mod glance;
mod history;
mod hostile;
mod incidents;
mod kept;
mod kept_apart;
mod latest;
mod listening;
mod newest;
mod pictures;
mod pins;
mod playlists;
mod scarce;
mod swapped;
mod timeline;
mod transcoding;
mod viewing;

/// 2023-11-14T22:13:20Z
const NOW: Utc90k = Utc90k::from_seconds(1_700_000_000);
const OLD: ChunkKey = ChunkKey { start_ms: 1_699_999_200_000, generation: 0 };
const OPEN: ChunkKey = ChunkKey { start_ms: 1_699_999_800_000, generation: 0 };
const SEALED_BYTES: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A host with one device, `cam`, serving on a port of its own until dropped.
struct Host {
    state: State,
    address: SocketAddr,
    server: ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
    dir: tempfile::TempDir,
    manual: ManualClock,
}

impl Host {
    fn start() -> Self {
        Self::start_with(|_, _| {})
    }

    /// `change` gets the folder of the host, too.
    fn start_with(change: impl FnOnce(&mut Settings, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let manual = ManualClock::at(NOW);
        let clock = manual.clock();
        let mut settings = parse("[[camera]]\nid = \"cam\"\nname = \"Lobby\"\nsource = { kind = \"test\" }").unwrap();
        settings.storage = Storage { root: dir.path().join("root"), hot: dir.path().join("hot"), ..Storage::default() };
        settings.auth.enabled = false;
        // Tests change what no event tells of; those of the cache set it.
        settings.cache.ttl_seconds = 0;
        change(&mut settings, dir.path());
        let settings = Arc::new(settings);
        let volume = Volume::open(&settings.storage, &clock).unwrap();
        let metrics = Arc::new(Metrics::new());
        let camera = Arc::new(settings.camera[0].clone());
        let device_metrics = metrics.device(&camera.id);
        let layout = HotLayout::new(&settings.storage.hot);
        let limits = HotLimits::of(&settings, &camera);
        let hot = Arc::new(HotDevice::new(camera.id.clone(), layout, limits, clock.clone(), device_metrics.clone()));
        hot.prepare().unwrap();
        let index = Arc::new(DeviceIndex::new(camera.id.clone()));
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let siblings = Siblings::new(volume.clone(), index.clone(), 10, device_metrics.clone(), log);
        let online = DeviceStatus { status: "online", since: Some(NOW), ..DeviceStatus::default() };
        let device = WebDevice {
            id: camera.id.clone(),
            camera,
            hot,
            index,
            siblings,
            metrics: device_metrics,
            latest: Arc::default(),
            status: Arc::new(move || online.clone()),
            recorder: Arc::new(Map::new),
            tail: tail::Tail::new(clock.clone(), Arc::new(|| Box::pin(std::future::ready(Ok(()))))),
        };
        let readers = reader::Readers::start().unwrap();
        let spawner = Spawner::start(WorkGroup::default()).unwrap();
        let bus = Events::counted(clock.clone(), &metrics);
        let feed = events::Feed::new(bus.clone(), 2, &metrics);
        let registry = Registry::start(RegistryParts {
            volume: volume.clone(),
            retention: Arc::new(Retention::at(NOW, clock.clone())),
            clock: clock.clone(),
            metrics: metrics.clone(),
            events: bus.clone(),
            log: slog::Logger::root(slog::Discard, slog::o!()),
        })
        .unwrap();
        let encodes = encodes::Encodes::new(
            spawner.clone(),
            readers.clone(),
            settings.clone(),
            clock.clone(),
            bus.clone(),
            Arc::new(facts::quota_bytes(&settings).into()),
        );
        let transcoder = transcoding::runner(&settings, &volume, &registry, &device.index, &clock, &metrics, bus);
        let access = Access::start(AccessParts {
            auth: settings.auth.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            log: slog::Logger::root(slog::Discard, slog::o!()),
        })
        .unwrap();
        let replies = Replies::new(settings.cache.ttl(), settings.cache.capacity, metrics.clone());
        let limiter = Limiter::new(&settings.limits, clock.clone(), slog::Logger::root(slog::Discard, slog::o!()));
        let viewers = Arc::new(Viewers::new(clock.clone(), metrics.clone()));
        let counted = metrics.clone();
        let lost = device.metrics.clone();
        let history = History::new(
            clock.clone(),
            Arc::new(move || crate::supervisor::Sums {
                written_bytes: counted.total_written_bytes(),
                media_bytes: counted.total_media_bytes(),
                writes: counted.total_writes(),
                lost_seconds: lost.lost_hot_full.get(),
                ..Default::default()
            }),
        );
        let state = Data::new(WebState {
            settings: settings.clone(),
            clock,
            metrics,
            devices: Arc::new(ArcSwap::from_pointee(vec![Arc::new(device)])),
            fleet: Arc::new(cameras::Paper::of(&settings)),
            volume,
            board: StateBoard::new(),
            ready: Arc::new(AtomicBool::new(true)),
            ffmpeg: Arc::new(|| Ok("ffmpeg version 5.1".into())),
            load: Arc::default(),
            history: Arc::new(history),
            cleaner: Arc::new(Arc::default),
            transcoder,
            registry,
            access,
            webhooks: Arc::new(|| serde_json::json!([])),
            try_webhook: cameras::try_webhook(),
            outlook: cameras::outlook(),
            readers,
            hot_cache: HotCache::default(),
            sights: Sights::new(spawner.clone()),
            stills: Stills::new(spawner),
            encodes,
            feed,
            tables: TableCache::default(),
            previews: PreviewCache::default(),
            heatmap: Heatmap::default(),
            clips: ClipCache::default(),
            fronts: Fronts::default(),
            viewers,
            replies,
            limiter,
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let served = state.clone();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                // A database that does not open keeps nobody from what needs no users.
                let _ = tokio::time::timeout(Duration::from_secs(10), served.access.open()).await;
                let server = serve(served, listener, None, 1024).unwrap();
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let host = Self { state, address, server: told.recv().unwrap(), thread: Some(thread), dir, manual };
        host.segment(0);
        host.chunk(OLD, Place::Ring(RingSlot::of(Utc90k::from_ms(OLD.start_ms), 600)), SEALED_BYTES, true);
        host.chunk(OPEN, Place::Temp, b"published-and-more", false);
        host
    }

    fn device(&self) -> Arc<WebDevice> {
        self.state.device("cam").unwrap()
    }

    fn segment(&self, number: u64) {
        let key = SegmentKey { epoch: Epoch(7), number };
        let path = HotLayout::new(self.dir.path().join("hot")).file(&self.device().id, HotKind::Segment, key);
        fs::write(path, format!("segment {number}")).unwrap();
        self.device().hot.segment_arrived(key, 9, NOW);
    }

    /// A file of `bytes`; of an open one, the first nine are published.
    fn chunk(&self, key: ChunkKey, place: Place, bytes: &[u8], sealed: bool) {
        let device = self.device();
        let entry = ChunkEntry {
            key,
            place,
            start: Utc90k::from_ms(key.start_ms),
            end: Utc90k::from_ms(key.start_ms + 600_000),
            bytes: if sealed { bytes.len() as u64 } else { 9 },
            codecs: "avc1.64001f".into(),
            gaps: 0,
            holes: None,
            sealed,
            original: false,
        };
        let path = self.dir.path().join("root").join(entry.path(self.state.volume.layout(), &device.id));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        device.index.put(entry);
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("root")
    }

    /// Sends raw lines and reads to the end of the connection.
    fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").unwrap();
        read_reply(stream)
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[])
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Polled here, not on the server's runtime: that one ends by it.
        futures_util::FutureExt::now_or_never(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Everything to the end of the connection.
fn read_reply(mut stream: TcpStream) -> Reply {
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).unwrap();
    let split = raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
    let head = String::from_utf8(raw[..split].to_vec()).unwrap().to_lowercase();
    Reply { status: head[9..12].parse().unwrap(), head, body: raw[split..].to_vec() }
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[test]
fn live_playlist_and_segments_agree() {
    let host = Host::start();
    host.segment(1);
    let playlist = host.get("/host/stream/cam/segments/output.m3u8");
    assert_eq!((playlist.status, playlist.header("content-type")), (200, Some("application/vnd.apple.mpegurl")));
    let listed: Vec<&str> = playlist.text().lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(listed, ["segment_7_000000000.ts", "segment_7_000000001.ts"]);
    for (i, name) in listed.iter().enumerate() {
        for _twice_the_second_from_the_cache in 0..2 {
            let segment = host.get(&format!("/host/stream/cam/segments/{name}"));
            assert_eq!((segment.status, segment.text()), (200, format!("segment {i}").as_str()));
            assert_eq!(segment.header("content-type"), Some("video/mp2t"));
        }
    }
    let etag = format!("If-None-Match: {}", playlist.header("etag").unwrap());
    let again = host.ask("GET", "/host/stream/cam/segments/output.m3u8", &[&etag]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    host.segment(2);
    assert_eq!(host.ask("GET", "/host/stream/cam/segments/output.m3u8", &[&etag]).status, 200);
    // What has left hot is not served, though its bytes are still in the cache.
    let hot = &host.device().hot;
    fs::remove_file(hot.segment_path(SegmentKey { epoch: Epoch(7), number: 0 })).unwrap();
    hot.rescan().unwrap();
    assert_eq!(host.get(&format!("/host/stream/cam/segments/{}", listed[0])).status, 404);
}

#[test]
fn sealed_chunks_have_ranges_and_etags_under_both_names() {
    let host = Host::start();
    let stable = format!("/host/stream/cam/chunks/{}", OLD.file_name());
    for path in [stable.as_str(), "/host/stream/cam/segments/22/chunk_10min_0.mp4"] {
        let check = |headers: &[&str], status: u16, body: &[u8]| {
            let reply = host.ask("GET", path, headers);
            assert_eq!((reply.status, reply.body.as_slice()), (status, body), "{path} {headers:?}");
            assert_eq!(reply.header("etag"), Some("\"cam-1699999200000-0\""));
            reply
        };
        let whole = check(&[], 200, SEALED_BYTES);
        assert_eq!(whole.header("content-type"), Some("video/mp4"));
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));
        let part = check(&["Range: bytes=4-6"], 206, b"456");
        assert_eq!(part.header("content-range"), Some("bytes 4-6/36"));
        check(&["Range: bytes=-3"], 206, b"xyz");
        check(&["Range: bytes=4-6", "If-Range: \"cam-1699999200000-0\""], 206, b"456");
        check(&["Range: bytes=4-6", "If-Range: \"other\""], 200, SEALED_BYTES);
        check(&["If-None-Match: \"cam-1699999200000-0\""], 304, b"");
        assert_eq!(host.ask("GET", path, &["Range: bytes=36-"]).header("content-range"), Some("bytes */36"));
        let head = host.ask("HEAD", path, &[]);
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("36"), 0));
    }
}

#[test]
fn a_growing_chunk_shows_published_bytes_only() {
    let host = Host::start();
    let path = format!("/host/stream/cam/chunks/{}", OPEN.file_name());
    let reply = host.get(&path);
    assert_eq!((reply.status, reply.text()), (200, "published"));
    assert_eq!((reply.header("etag"), reply.header("cache-control")), (None, Some("no-store")));
    assert_eq!(host.ask("GET", &path, &["Range: bytes=5-99"]).text(), "shed");
    assert_eq!(host.ask("GET", &path, &["Range: bytes=9-"]).status, 416);
}

#[test]
fn ring_names_mean_an_hour_and_on_request_a_day() {
    let host = Host::start();
    let check = |path: &str, status: u16| {
        assert_eq!(host.get(&format!("/host/stream/cam/segments/{path}")).status, status, "{path}");
    };
    check("22/chunk_10min_0.mp4?date=2023-11-14", 200);
    check("22/chunk_10min_0.mp4?date=2023-11-13", 404);
    check("22/chunk_10min_0.mp4?date=yesterday", 400);
    check("22/chunk_10min_0.mp4?date=2023-11-14T22:00:00", 400);
    check("22/chunk_10min_1.mp4", 404);
    check("22/chunk_10min_x.mp4", 404);
    check("24/chunk_10min_0.mp4", 400);
    check("022/chunk_10min_0.mp4", 400);
}

#[test]
fn a_chunk_that_moves_or_goes_meanwhile() {
    let host = Host::start();
    let (device, path) = (host.device(), format!("/host/stream/cam/chunks/{}", OLD.file_name()));
    let entry = device.index.get(&OLD).unwrap();
    fs::remove_file(host.root().join(entry.path(host.state.volume.layout(), &device.id))).unwrap();
    assert_eq!(host.get(&path).json()["error"]["kind"], "gone");
    device.index.remove(&OLD);
    assert_eq!(host.get(&path).status, 404);
    host.chunk(ChunkKey { generation: 1, ..OLD }, Place::Temp, b"smaller", true);
    assert_eq!(host.get(&path).status, 410, "a newer generation took its place");
}

#[test]
fn the_manifest_names_what_can_be_fetched() {
    let host = Host::start();
    let manifest = host.get("/host/stream/cam/segments/archive_manifest.json").json();
    assert_eq!(manifest["manifests"].as_array().map(Vec::len), Some(1));
    let name = manifest["manifests"][0]["name"].as_str().unwrap();
    assert_eq!(host.get(&format!("/host/stream/cam/segments/{name}")).status, 200);
}

#[test]
fn state_health_readiness_and_metrics() {
    let host = Host::start();
    let state = host.get("/api/host/state").json();
    assert_eq!(state["devices"][0]["id"], "cam");
    assert_eq!(state["devices"][0]["status"], "online");
    assert_eq!(state["devices"][0]["open_chunk"]["bytes"], 9);
    assert_eq!(state["devices"][0]["lost_seconds"]["hot_full"], 0.0);
    // The hot folder of this test lies on a disk, and its chunk is from 1970 + 53 years: both are told.
    let health = host.get("/api/host/health");
    let checks = health.json();
    let hot = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "hot").unwrap().clone();
    assert_eq!(health.status == 200, checks["ok"] == true);
    assert_eq!(hot["ok"] == true, Path::new("/tmp").exists() && is_tmpfs(host.dir.path()));
    assert_eq!(host.get("/readyz").status, 200);
    host.state.ready.store(false, Ordering::Relaxed);
    let unready = host.get("/readyz");
    assert_eq!((unready.status, unready.header("retry-after")), (503, Some("1")));
    assert_eq!(host.get("/healthz").status, 200);
    let metrics = host.get("/metrics");
    assert!(metrics.text().contains("capstan_http_requests_total{route=\"/readyz\",status=\"503\"} 1"));
    assert!(metrics.text().ends_with("# EOF\n"));
}

fn is_tmpfs(path: &Path) -> bool {
    crate::storage::tmpfs::hot_facts(path).unwrap().is_tmpfs
}

#[test]
fn the_page_is_served_with_a_strict_policy() {
    let host = Host::start();
    let page = host.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(page.text().contains("Capstan"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(host.get("/assets/none.js").status, 404);
    let deep = host.get("/device/cam?t=1763610000");
    assert_eq!((deep.status, deep.text()), (200, page.text()));
    assert_eq!(deep.header("content-security-policy"), page.header("content-security-policy"));
    for none in ["/api/device", "/api/host/none", "/host/device", "/nothing"] {
        let reply = host.get(none);
        assert_eq!((reply.status, reply.json()["error"]["kind"].as_str()), (404, Some("not_found")), "{none}");
    }
    let manual = host.get("/api/docs");
    assert_eq!(manual.header("content-security-policy"), page.header("content-security-policy"));
    let style = manual.text().split("stylesheet href=\"").nth(1).map(|rest| rest.split('"').next().unwrap());
    // None in a binary that was built without its page.
    style
        .into_iter()
        .for_each(|style| assert_eq!(host.get(style).header("content-type"), Some("text/css; charset=utf-8")));
}

#[test]
fn hostile_requests_get_a_short_refusal() {
    let host = Host::start();
    let refused = |method: &str, path: &str, status: u16| {
        let reply = host.ask(method, path, &[]);
        assert_eq!(reply.status, status, "{method} {path}");
        if method != "HEAD" {
            assert!(reply.json()["error"]["kind"].is_string(), "{path}");
        }
    };
    refused("GET", "/nothing", 404);
    refused("GET", "/host/stream/../../etc/passwd", 404);
    refused("GET", "/host/stream/%2e%2e%2fcam/segments/output.m3u8", 404);
    refused("GET", "/host/stream/cam%00/segments/output.m3u8", 404);
    refused("GET", "/host/stream/other/segments/output.m3u8", 404);
    refused("GET", "/host/stream/cam/segments/segment_7_..%2f.ts", 404);
    refused("GET", "/host/stream/cam/segments/segment_7_000000099.ts", 404);
    refused("GET", "/host/stream/cam/chunks/..%2f..%2fvolume.mp4", 404);
    refused("GET", "/host/stream/cam/chunks/1-0.mp4", 404);
    refused("GET", "/assets/..%2f..%2fCargo.toml", 404);
    refused("POST", "/api/host/state", 405);
    refused("DELETE", "/host/stream/cam/chunks/1-0.mp4", 405);
    refused("HEAD", "/nothing", 404);
    let ranges = format!("Range: bytes={}", "0-,".repeat(1000));
    assert_eq!(host.ask("GET", &format!("/host/stream/cam/chunks/{}", OLD.file_name()), &[&ranges]).status, 200);
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).unwrap_err();
    assert_eq!(error.kind, Kind::Conflict);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn every_route_is_documented() {
    let manual = include_str!("../../docs/api.md");
    for entry in ROUTES {
        assert!(manual.contains(&format!("`{}`", entry.path)), "{} is not in docs/api.md", entry.path);
    }
}
