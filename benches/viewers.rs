//! What those who watch cost: players of the live picture, pages that ask how things are, connections that wait, what of
//! viewers reaches the database, and how it answers five at once.
//!
//! The 20 cameras are `replay` sources of 1 Mb/s with pictures, so that no FFmpeg takes the cores from the server; the
//! load comes from one thread of this process, on the same cores.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "common.rs"]
mod bench;
#[path = "../tests/common/mod.rs"]
mod common;
mod load;

use std::{
    rc::Rc,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bench::footage;
use common::{Setup, TestDaemon, daemon::Usage, http, media::prepare_replay, now, until};
use load::{Book, Connection, Times, beats};
use serde_json::{Value, json};
use tokio::time;

const CAMERAS: usize = 20;
/// With those that are off.
const LISTED: usize = 100;
const VIEWERS: usize = 500;
const MANY_VIEWERS: usize = 2000;
/// A minute, and what the last batch may come late.
const SECONDS: u64 = 66;
const MANY_SECONDS: u64 = 20;
const IDLE: usize = 2000;
const REQUESTS_PER_SECOND: usize = 2000;
const UNCACHED_PER_SECOND: usize = 100;
const PAGES: usize = 40;
const PAGES_SECONDS: u64 = 10;
/// Of ninety days, as a busy host has.
const SESSIONS: i64 = 100_000;
const ASKERS: usize = 5;
const QUESTIONS: usize = 60;

fn main() {
    let mut daemon = start();
    let headers = sign_in(&daemon);
    idle(&daemon, &headers);
    watched(&daemon, &headers);
    many_watch(&daemon, &headers);
    let cached = pages(&daemon, &headers, REQUESTS_PER_SECOND);

    daemon.stop();
    history_of_90_days(&daemon);
    daemon.setup = std::mem::replace(&mut daemon.setup, Setup::new()).set("cache.ttl_seconds", 0);
    daemon.start_again();
    until("all are seen", 60, || online(&daemon, &headers) == CAMERAS);
    let made = pages(&daemon, &headers, UNCACHED_PER_SECOND);
    println!(
        "claim\tcached_api\tuncached p50 {:.2} ms, p95 {:.2} ms at {UNCACHED_PER_SECOND} a second, {LISTED} cameras\t\
         p50 {:.2} ms, p99 {:.2} ms at {REQUESTS_PER_SECOND} a second, {} errors",
        made.times.at(50.0),
        made.times.at(95.0),
        cached.times.at(50.0),
        cached.times.at(99.0),
        made.times.errors + cached.times.errors,
    );
    println!(
        "claim\tcache_cpu\t{:.3} ms of CPU a request\t{:.3} ms of CPU a request, {:.0} % less",
        made.cpu_ms,
        cached.cpu_ms,
        (1.0 - cached.cpu_ms / made.cpu_ms) * 100.0
    );
    five_readers(&daemon, &headers);
}

/// 20 that record, 80 that are off; signing in is asked for, as on a host of people.
fn start() -> TestDaemon {
    let setup = Setup::new()
        .set("auth.enabled", true)
        .set("archive.commit_seconds", 60)
        .set("archive.chunk_seconds", 600)
        .set("hot.device_bytes", "16MiB")
        .set("hot.segments", 7)
        .set("hot.captures", 10)
        .set("hot.thumbnails", 100)
        .set("limits.connections_per_worker", 1500);
    let prepared = setup.folder().join("prepared");
    prepare_replay(&prepared, 30, 5);
    let segments = prepared.join("segments");
    std::fs::remove_dir_all(&segments).unwrap();
    bench::segments(&segments, footage::Kind { size: "1280x720", video_kbps: 820, audio_kbps: 96 }, 30, 30);
    let bytes: u64 = std::fs::read_dir(&segments).unwrap().map(|it| it.unwrap().metadata().unwrap().len()).sum();
    println!("viewers: segments of {:.2} Mb/s", bytes as f64 * 8.0 / 30e6);
    let source = format!("area = \"Hall\"\nsource = {{ kind = \"replay\", dir = {prepared:?} }}");
    let setup = (0..CAMERAS).fold(setup, |setup, n| setup.camera(&camera(n), &source));
    let off = "area = \"Yard\"\nenabled = false\nsource = { kind = \"test\" }";
    let setup = (CAMERAS..LISTED).fold(setup, |setup, n| setup.camera(&camera(n), off));
    let daemon = TestDaemon::start(setup);
    until("all are seen", 60, || (0..CAMERAS).all(|n| daemon.hot_segments(&camera(n)).len() > 3));
    daemon
}

fn camera(n: usize) -> String {
    format!("camera-{n:02}")
}

/// The cookie and the token against forged changes, as headers, by the password that the first start told.
fn sign_in(daemon: &TestDaemon) -> Rc<str> {
    let log = daemon.log();
    let told = log.split("admin password: ").nth(1).unwrap().chars();
    let password: String = told.take_while(|it| it.is_ascii_alphanumeric() || *it == '_').collect();
    let body = json!({"username": "admin", "password": password});
    let reply = http::send_with(daemon.address(), "POST", "/api/auth/login", &[], &body).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let csrf = reply.json()["csrf_token"].as_str().unwrap().to_owned();
    format!("Cookie: {cookie}\r\nX-CSRF-Token: {csrf}\r\n").into()
}

fn get(daemon: &TestDaemon, headers: &str, path: &str) -> Value {
    let lines: Vec<_> = headers.lines().filter_map(|line| line.split_once(": ")).collect();
    let reply = daemon.get_with(path, &lines);
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

fn online(daemon: &TestDaemon, headers: &str) -> usize {
    get(daemon, headers, "/api/cameras/active")["online"].as_u64().unwrap() as usize
}

fn resident(daemon: &TestDaemon) -> u64 {
    Usage::of(daemon.pid()).resident_bytes
}

fn hot_bytes(daemon: &TestDaemon) -> f64 {
    let text = daemon.get("/metrics").text();
    let each = text.lines().filter(|line| line.starts_with("capstan_hot_bytes{"));
    each.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn transactions(daemon: &TestDaemon) -> f64 {
    daemon.metric("capstan_db_write_seconds_count", &[]).unwrap_or(0.0)
}

/// Connections that asked once and wait.
fn idle(daemon: &TestDaemon, headers: &Rc<str>) {
    let before = resident(daemon);
    let book = Book::default();
    let mut after = 0;
    load::run(async {
        let mut waiting = Vec::new();
        for n in 0..IDLE {
            let mut connection = Connection::open(daemon.address(), headers).await;
            let path = format!("GET /host/stream/{}/segments/output.m3u8", camera(n % CAMERAS));
            connection.ask(&book, &path, "", false).await;
            waiting.push(connection);
        }
        time::sleep(Duration::from_secs(2)).await;
        after = resident(daemon);
    });
    println!(
        "claim\tidle_connection\t\t{:.1} KB each of {IDLE}; the daemon {:.0} MB with them, {:.0} MB before; {} errors",
        after.saturating_sub(before) as f64 / IDLE as f64 / 1024.0,
        after as f64 / 1e6,
        before as f64 / 1e6,
        book.borrow().errors
    );
}

struct Watching {
    playlists: Book,
    segments: Book,
    pages: Book,
    beats: Book,
    cpu: f64,
    seconds: f64,
}

/// A minute of 500, each as a page does it.
fn watched(daemon: &TestDaemon, headers: &Rc<str>) {
    let (most_rss, most_hot, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let before = transactions(daemon);
    let watching = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most_rss.fetch_max(resident(daemon), Ordering::Relaxed);
                most_hot.fetch_max(hot_bytes(daemon) as u64, Ordering::Relaxed);
                thread::sleep(Duration::from_secs(1));
            }
        });
        let watching = watch(daemon, headers, VIEWERS, SECONDS, true);
        done.store(true, Ordering::Relaxed);
        watching
    });
    let transactions = transactions(daemon) - before;
    let counted = get(daemon, headers, "/api/viewer/stats")["viewers"].as_u64().unwrap();
    watching.print(VIEWERS, "viewers");
    let pages = watching.pages.borrow();
    println!(
        "claim\tcache_hits\t\t{:.1} % of {} answers that pages of {VIEWERS} viewers asked for",
        pages.hits as f64 / pages.took.len() as f64 * 100.0,
        pages.took.len()
    );
    println!(
        "claim\tviewer_writes\t\t{transactions:.0} transactions in {SECONDS} s for {counted} viewers and {} heartbeats, \
         {} errors",
        watching.beats.borrow().took.len(),
        watching.beats.borrow().errors
    );
    let [rss, hot] = [most_rss, most_hot].map(|most| most.into_inner() as f64 / 1e6);
    println!(
        "claim\tcameras20\t\t{:.0} MB: at most {hot:.0} MB of hot and {rss:.0} MB of the daemon, {VIEWERS} viewers watching",
        rss + hot
    );
}

fn many_watch(daemon: &TestDaemon, headers: &Rc<str>) {
    let most = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(resident(daemon), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(500));
            }
        });
        watch(daemon, headers, MANY_VIEWERS, MANY_SECONDS, false).print(MANY_VIEWERS, "viewers_many");
        done.store(true, Ordering::Relaxed);
    });
    println!("viewers: the daemon has {:.0} MB at most with {MANY_VIEWERS}", most.into_inner() as f64 / 1e6);
}

impl Watching {
    fn print(&self, viewers: usize, key: &str) {
        let (playlists, segments) = (self.playlists.borrow(), self.segments.borrow());
        println!(
            "claim\t{key}\t\t{viewers} viewers: playlists p50 {:.1}, p95 {:.1}, p99 {:.1} ms, segments p50 {:.1}, p95 {:.1}, \
             p99 {:.1} ms, {} errors of {}; {:.0} Mb/s, the server {:.0} % of a core",
            playlists.at(50.0),
            playlists.at(95.0),
            playlists.at(99.0),
            segments.at(50.0),
            segments.at(95.0),
            segments.at(99.0),
            playlists.errors + segments.errors,
            playlists.took.len() + segments.took.len(),
            segments.bytes as f64 * 8e-6 / self.seconds,
            self.cpu / self.seconds * 100.0,
        );
    }
}

/// Each asks for the playlist every second and for each new segment. `as_pages`: with a session, a heartbeat every five
/// seconds, and what a page shows beside the picture.
fn watch(daemon: &TestDaemon, headers: &Rc<str>, viewers: usize, seconds: u64, as_pages: bool) -> Watching {
    let [playlists, segments, pages, said] = [(); 4].map(|()| Book::default());
    let server = daemon.address();
    let (mut cpu, mut took) = (0.0, 0.0);
    load::run(async {
        let mut connections = Vec::new();
        for _ in 0..viewers {
            connections.push(Connection::open(server, headers).await);
        }
        let before = Usage::of(daemon.pid()).cpu_seconds;
        let began = now();
        let limit = Duration::from_secs(seconds);
        let all = connections.into_iter().enumerate().map(|(n, mut connection)| {
            let (playlists, segments) = (playlists.clone(), segments.clone());
            let (pages, said, headers) = (pages.clone(), said.clone(), headers.clone());
            tokio::task::spawn_local(async move {
                let camera = camera(n % CAMERAS);
                let folder = format!("/host/stream/{camera}/segments");
                let (mut last, mut query) = (String::new(), String::new());
                let mut beats = beats(n, viewers, Duration::from_secs(1)).await;
                // A page has a connection beside that of its player.
                let mut page = if as_pages { Some(Connection::open(server, &headers).await) } else { None };
                for second in n.. {
                    beats.tick().await;
                    if now().since(began) >= limit {
                        break;
                    }
                    if let Some(page) = &mut page {
                        beside(page, &camera, &mut query, second, &pages, &said).await;
                    }
                    let asked = format!("GET {folder}/output.m3u8{query}");
                    let Some(reply) = connection.ask(&playlists, &asked, "", true).await else { continue };
                    let text = String::from_utf8(reply.body).unwrap();
                    let names: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
                    let next = names.iter().position(|name| *name == last).map_or(names.len() - 1, |at| at + 1);
                    for name in &names[next..] {
                        connection.ask(&segments, &format!("GET {folder}/{name}"), "", false).await;
                        last = (*name).to_owned();
                    }
                }
            })
        });
        for task in all.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        cpu = Usage::of(daemon.pid()).cpu_seconds - before;
        took = now().since(began).as_secs_f64();
    });
    Watching { playlists, segments, pages, beats: said, cpu, seconds: took }
}

/// Every five seconds a heartbeat and how the cameras do; every half minute areas and the timeline.
async fn beside(page: &mut Connection, camera: &str, query: &mut String, second: usize, pages: &Book, said: &Book) {
    if query.is_empty() {
        let body = json!({"device": camera}).to_string();
        if let Some(reply) = page.ask(said, "POST /api/viewer/start", &body, true).await {
            let told: Value = serde_json::from_slice(&reply.body).unwrap();
            *query = format!("?session={}", told["session"].as_str().unwrap());
        }
    }
    if second.is_multiple_of(5) {
        let session = query.trim_start_matches("?session=");
        page.ask(said, "POST /api/viewer/heartbeat", &json!({"session": session}).to_string(), false).await;
        page.ask(pages, "GET /api/cameras/active", "", false).await;
    }
    if second.is_multiple_of(30) {
        page.ask(pages, "GET /api/areas", "", false).await;
        page.ask(pages, &format!("GET /api/host/timeline/{camera}"), "", false).await;
    }
}

struct Pages {
    times: Times,
    /// Of the server, for each request; what it takes to record is not in it.
    cpu_ms: f64,
}

/// `/api/cameras/active`, so many a second.
fn pages(daemon: &TestDaemon, headers: &Rc<str>, per_second: usize) -> Pages {
    let book = Book::default();
    let cpu = || Usage::of(daemon.pid()).cpu_seconds;
    // What recording takes in the same time.
    let before = cpu();
    thread::sleep(Duration::from_secs(PAGES_SECONDS));
    let resting = cpu() - before;
    let before = cpu();
    let server = daemon.address();
    load::run(async {
        let period = Duration::from_secs(1).mul_f64(PAGES as f64 / per_second as f64);
        let began = now();
        let all = (0..PAGES).map(|n| {
            let (book, headers) = (book.clone(), headers.clone());
            tokio::task::spawn_local(async move {
                let mut connection = Connection::open(server, &headers).await;
                let mut beats = beats(n, PAGES, period).await;
                while now().since(began).as_secs() < PAGES_SECONDS {
                    beats.tick().await;
                    connection.ask(&book, "GET /api/cameras/active", "", false).await;
                }
            })
        });
        for task in all.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    let times = book.take();
    let cpu_ms = (cpu() - before - resting).max(0.0) * 1e3 / times.took.len() as f64;
    println!(
        "viewers: {} answers in {PAGES_SECONDS} s, {:.0} KB each, {:.1} % given again",
        times.took.len(),
        times.bytes as f64 / times.took.len() as f64 / 1e3,
        times.hits as f64 * 100.0 / times.took.len() as f64
    );
    Pages { times, cpu_ms }
}

/// Into the database of a daemon that is not there.
fn history_of_90_days(daemon: &TestDaemon) {
    let mut database = rusqlite::Connection::open(daemon.setup.root().join("capstan.db")).unwrap();
    let rows = database.transaction().unwrap();
    let now = capstan::clock::Clock::system().wall().0;
    let day = 24 * 3600 * 90_000_i64;
    for n in 0..SESSIONS {
        let began = now - (n + 1) * 89 * day / SESSIONS;
        let (device, last) = (camera(n as usize % CAMERAS), began + 90_000 * 600);
        let values = rusqlite::params![n + 1, device, "192.0.2.x", "a browser of some name", began, last];
        rows.execute("INSERT INTO viewing VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)", values).unwrap();
    }
    rows.commit().unwrap();
}

/// Five who ask at once: one after another as one reader would have it, and as the five have it.
fn five_readers(daemon: &TestDaemon, headers: &Rc<str>) {
    let (one, headers) = (Mutex::new(()), headers.to_string());
    // Questions a second, and what each took once it was its turn.
    let ask = |in_turn: bool| {
        let all = now();
        let took: Vec<_> = thread::scope(|scope| {
            let askers = (0..ASKERS).map(|n| {
                let (one, headers) = (&one, &headers);
                scope.spawn(move || {
                    let path = format!("/api/viewer/history?device={}&limit=100", camera(n));
                    let each = (0..QUESTIONS).map(|_| {
                        let turn = in_turn.then(|| one.lock().unwrap());
                        let began = now();
                        let told = get(daemon, headers, &path);
                        let took = now().since(began);
                        drop(turn);
                        assert_eq!(told["sessions"].as_array().unwrap().len(), 100);
                        took
                    });
                    each.collect::<Vec<_>>()
                })
            });
            askers.collect::<Vec<_>>().into_iter().flat_map(|asker| asker.join().unwrap()).collect()
        });
        (took.len() as f64 / now().since(all).as_secs_f64(), Times { took, ..Times::default() })
    };
    let ((one, alone), (five, together)) = (ask(true), ask(false));
    println!(
        "claim\tdatabase\t{one:.0} questions a second, one after another, p50 {:.1} ms, p95 {:.1} ms\t{five:.0} a second by \
         five readers, p50 {:.1} ms, p95 {:.1} ms: each 100 of {SESSIONS} sessions and the sums of a camera",
        alone.at(50.0),
        alone.at(95.0),
        together.at(50.0),
        together.at(95.0)
    );
}
