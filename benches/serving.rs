//! What serving costs: CPU beside nginx on the same files in the same run, pictures by the second, RAM of slow clients.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "common.rs"]
mod bench;
#[path = "../tests/common/mod.rs"]
mod common;
mod nginx;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use bench::{
    client::Client,
    footage::{self, HD, Template},
    ms, percentile,
};
use capstan::{
    clock::{Clock, Utc90k},
    storage::layout::RingSlot,
};
use common::{Setup, TestDaemon, daemon::Usage, holds_within, media::prepare_replay, now, until};
use nginx::Nginx;

const ARCHIVE: &str = "archive";
const LIVE: &str = "live";
/// Rounds of each server in turn; their median counts.
const ROUNDS: usize = 7;
const CLIENTS: usize = 4;
/// Each round: enough for a CPU clock of 10 ms.
const ROUND_BYTES: u64 = 2 << 30;
/// What a player asks for at a time.
const RANGE_BYTES: u64 = 4 << 20;
const PICTURES: u32 = 2000;
const PICTURES_PER_SECOND: u32 = 200;
const SLOW_CLIENTS: usize = 50;

fn main() {
    let setup = Setup::new().set("archive.chunk_seconds", 600).set("hot.device_bytes", "128MiB");
    let prepared = setup.folder().join("prepared");
    prepare_replay(&prepared, 60, 5);
    let segments = prepared.join("segments");
    std::fs::remove_dir_all(&segments).unwrap();
    bench::segments(&segments, footage::Kind { video_kbps: 2000, ..HD }, 60, 60);
    let setup = setup
        .set("hot.segments", 60)
        .camera(ARCHIVE, "enabled = false\nsource = { kind = \"test\" }")
        .camera(LIVE, &format!("source = {{ kind = \"replay\", dir = {prepared:?} }}"));
    let starts = footage::starts(1);
    footage::fill(&setup.root(), &Template::new(HD), &starts, &[ARCHIVE.into()]);
    let daemon = TestDaemon::start(setup);
    until("pictures and segments are there", 60, || daemon.hot_segments(LIVE).len() > 20);

    pictures(&daemon);
    slow_clients(&daemon, starts[0].as_seconds());
    chunk_ranges(&daemon, &starts);
    segments_of_hot(&daemon);
}

/// CPU seconds per GB of both, round by round in turn, of `asked` on [`CLIENTS`] connections.
struct Costs {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Costs {
    fn print(self, key: &str) {
        let [ours, theirs] = [self.ours, self.theirs].map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        });
        println!(
            "claim\t{key}\t{theirs:.3} s CPU per GB (nginx)\t{ours:.3} s CPU per GB, {:.2} × nginx",
            ours / theirs
        );
    }
}

fn chunk_ranges(daemon: &TestDaemon, starts: &[Utc90k]) {
    let Some(nginx) = Nginx::start(&daemon.setup.root(), "") else {
        println!("serving: no nginx, nothing compared; scripts/setup.sh bench installs it");
        return;
    };
    let mut costs = Costs { ours: Vec::new(), theirs: Vec::new() };
    let len = Client::new(daemon.address()).get(&stable(starts[0]), None);
    for _ in 0..ROUNDS {
        costs.ours.push(cost(
            || Usage::of(daemon.pid()).cpu_seconds,
            |n, client| {
                let (start, range) = place(starts, len, n);
                client.get(&stable(start), Some(range))
            },
            daemon.address(),
        ));
        costs.theirs.push(cost(
            || nginx.cpu_seconds(),
            |n, client| {
                let (start, range) = place(starts, len, n);
                let slot = RingSlot::of(start, 600);
                client.get(&format!("/{ARCHIVE}/segments/{}/{}", slot.hour, slot.file_name()), Some(range))
            },
            nginx.address,
        ));
    }
    costs.print("serving_chunks");
}

fn stable(start: Utc90k) -> String {
    format!("/host/stream/{ARCHIVE}/chunks/{}-0.mp4", start.as_ms())
}

/// The `n`th range: chunk after chunk, from the front.
fn place(starts: &[Utc90k], len: u64, n: usize) -> (Utc90k, (u64, u64)) {
    let per_chunk = (len / RANGE_BYTES) as usize;
    let from = (n % per_chunk) as u64 * RANGE_BYTES;
    (starts[n / per_chunk % starts.len()], (from, from + RANGE_BYTES - 1))
}

fn segments_of_hot(daemon: &TestDaemon) {
    let Some(nginx) = Nginx::start(&daemon.setup.hot.hot(), "") else { return };
    let mut costs = Costs { ours: Vec::new(), theirs: Vec::new() };
    for _ in 0..ROUNDS {
        // The newest, as viewers of the live picture ask for; anew each round, because they leave.
        let names = || {
            let all = daemon.hot_segments(LIVE);
            let names = all.iter().rev().take(10).map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        let newest = names();
        costs.ours.push(cost(
            || Usage::of(daemon.pid()).cpu_seconds,
            |n, client| client.get(&format!("/host/stream/{LIVE}/segments/{}", newest[n % newest.len()]), None),
            daemon.address(),
        ));
        let newest = names();
        costs.theirs.push(cost(
            || nginx.cpu_seconds(),
            |n, client| client.get(&format!("/{LIVE}/segments/{}", newest[n % newest.len()]), None),
            nginx.address,
        ));
    }
    costs.print("serving_live");
}

/// CPU seconds per GB of [`ROUND_BYTES`] asked for in turn by [`CLIENTS`].
fn cost(cpu: impl Fn() -> f64, ask: impl Fn(usize, &mut Client) -> u64 + Sync, server: SocketAddr) -> f64 {
    let (next, before) = (AtomicUsize::new(0), cpu());
    let bytes: u64 = thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|_| {
            scope.spawn(|| {
                let (mut client, mut bytes) = (Client::new(server), 0);
                while bytes < ROUND_BYTES / CLIENTS as u64 {
                    bytes += ask(next.fetch_add(1, Ordering::Relaxed), &mut client);
                }
                bytes
            })
        });
        clients.collect::<Vec<_>>().into_iter().map(|client| client.join().unwrap()).sum()
    });
    (cpu() - before) / (bytes as f64 / 1e9)
}

/// 200 a second from one client, as a wall of pictures asks.
fn pictures(daemon: &TestDaemon) {
    let (clock, path) = (Clock::system(), format!("/api/host/screenshot/{LIVE}"));
    let mut client = Client::new(daemon.address());
    let counted = |daemon: &TestDaemon, le: &str| {
        daemon.metric("capstan_http_request_seconds_bucket", &[("le", le)]).unwrap_or(0.0)
    };
    let before = ["0.001", "+Inf"].map(|le| counted(daemon, le));
    let (start, mut times) = (clock.mono(), Vec::new());
    for n in 0..PICTURES {
        let due = Duration::from_secs(1) * n / PICTURES_PER_SECOND;
        thread::sleep(due.saturating_sub(clock.mono().since(start)));
        let asked = clock.mono();
        client.get(&path, None);
        times.push(clock.mono().since(asked));
    }
    let [fast, all] = ["0.001", "+Inf"].map(|le| counted(daemon, le));
    let (fast, all) = (fast - before[0], all - before[1]);
    let [half, most] = [50, 99].map(|percent| ms(percentile(times.clone(), percent)));
    println!(
        "claim\tscreenshot\t\t{:.2} % within 1 ms in the server at {PICTURES_PER_SECOND} a second; \
         at the client p50 {half:.2} ms, p99 {most:.2} ms",
        fast / all * 100.0
    );
}

/// Each takes an hour of its own, slower than it was recorded to the end of the bench.
fn slow_clients(daemon: &TestDaemon, from: i64) {
    let resident = || Usage::of(daemon.pid()).resident_bytes as f64;
    let (before, done, ready) = (resident(), AtomicBool::new(false), AtomicUsize::new(0));
    let mut most = 0.0_f64;
    thread::scope(|scope| {
        for n in 0..SLOW_CLIENTS {
            let (done, ready, address) = (&done, &ready, daemon.address());
            scope.spawn(move || {
                let path = format!("/api/host/clip/{ARCHIVE}.mp4?start={}&end={}", from + n as i64, from + 3590);
                let mut stream = TcpStream::connect(address).unwrap();
                write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").unwrap();
                let mut buffer = vec![0; 32 << 10];
                let mut had = 0;
                while !done.load(Ordering::Relaxed) {
                    had += stream.read(&mut buffer).unwrap();
                    if had > 8 << 20 {
                        ready.fetch_add(1, Ordering::Relaxed);
                        had = 0;
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            });
        }
        let start = now();
        holds_within(Duration::from_secs(60), || {
            most = most.max(resident());
            now().since(start) > Duration::from_secs(20) && ready.load(Ordering::Relaxed) >= SLOW_CLIENTS
        });
        done.store(true, Ordering::Relaxed);
    });
    let each = (most - before) / SLOW_CLIENTS as f64;
    println!(
        "claim\tslow_clients\t\t{:.2} MB each of {SLOW_CLIENTS} ({:.0} MB before, {:.0} MB at most)",
        each / 1e6,
        before / 1e6,
        most / 1e6
    );
}
