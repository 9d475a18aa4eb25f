//! What the end-to-end tests share: a daemon to start and kill, disks to break, media to compare.
//!
//! Tests hold real processes, so they wait for conditions with a deadline ([`until`]); none sleeps for a fixed time.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

pub mod browser;
pub mod chunks;
pub mod contract;
pub mod daemon;
pub mod disk;
pub mod faketime;
pub mod footage;
pub mod http;
pub mod incidents;
pub mod keeper;
pub mod media;
pub mod people;
pub mod receiver;

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use capstan::clock::{Clock, Mono};

pub use daemon::{Setup, TestDaemon};
pub use disk::{HotDir, LoopDisk};
pub use keeper::Keeper;

/// The clip that the demo plays: 640×360, 24 fps, H.264 + AAC, one closed GOP a second, no B-frames, 30 s.
pub fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/demo/bigbuckbunny.mp4")
}

pub fn now() -> Mono {
    Clock::system().mono()
}

/// Polls until `condition` holds. False when `limit` passed first.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = now();
    loop {
        if condition() {
            return true;
        }
        if now().since(start) > limit {
            return false;
        }
        pause();
    }
}

/// Panics with `what` unless `condition` holds within `seconds`.
#[track_caller]
pub fn until(what: &str, seconds: u64, condition: impl FnMut() -> bool) {
    assert!(holds_within(Duration::from_secs(seconds), condition), "not within {seconds} s: {what}");
}

/// The rest between two looks of a poll.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

/// Rounds of a seeded test: `CAPSTAN_ROUNDS`, or `usual` in `make test`.
pub fn rounds(usual: u64) -> u64 {
    std::env::var("CAPSTAN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// True in `make soak`.
pub fn soaking() -> bool {
    std::env::var_os("CAPSTAN_SOAK").is_some()
}

/// SplitMix64: small, seeded, good enough to choose moments and places.
pub struct Dice(u64);

impl Dice {
    /// From `CAPSTAN_SEED` or a fixed seed; printed, so that a failure can be repeated.
    pub fn new() -> Self {
        let seed = std::env::var("CAPSTAN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_120);
        println!("CAPSTAN_SEED={seed}");
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `low ≤ n < high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low)
    }
}

/// Says loudly that a test cannot run here; fails where nothing may skip (continuous integration).
#[track_caller]
pub fn skip(test: &str, why: &str) {
    assert!(std::env::var_os("CAPSTAN_NO_SKIP").is_none(), "{test} may not skip here: {why}");
    println!("SKIPPED {test}: {why}");
    if let Some(list) = std::env::var_os("CAPSTAN_SKIPS") {
        let mut list = OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(list, "{test}: {why}").unwrap();
    }
}

/// One of three places for tests that encode video: more at once would starve each other on two cores.
/// Held until dropped; released by the kernel when the test process dies.
pub struct Turn(#[allow(dead_code, reason = "holds the lock")] File);

impl Turn {
    pub fn wait() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(folder).unwrap();
        let open = |n: usize| File::create(folder.join(format!("turn-{n}.lock"))).unwrap();
        loop {
            for n in 0..3 {
                let file = open(n);
                if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
                    return Self(file);
                }
            }
            pause();
        }
    }
}
