//! Seeking in a real Chromium: an hour as one file and as a playlist of ours, beside 3,600 TS files in a playlist.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

#[path = "common.rs"]
mod bench;
#[path = "../tests/common/mod.rs"]
mod common;
mod nginx;

use std::{fmt::Write as _, fs, path::Path};

use bench::footage::{self, Kind, Template};
use common::{Setup, TestDaemon, browser::Browser};
use nginx::Nginx;
use serde_json::{Value, json};

const DEVICE: &str = "archive";
const HOUR: i64 = 3600;
const SD: Kind = Kind { size: "640x360", video_kbps: 350, audio_kbps: 64 };
/// Seconds of the hour: what the issue names, and some off the key frames.
const SEEKS: [f64; 9] = [0.0, 1800.0, 3540.0, 901.4, 2700.7, 61.3, 3000.5, 1234.6, 2222.2];
/// The last second of a chunk: two seconds are played from there.
const SEAMS: [f64; 3] = [599.0, 1799.0, 2999.0];

fn main() {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return println!("browser: {why}, nothing measured"),
    };
    let setup =
        Setup::new().set("archive.chunk_seconds", 600).camera(DEVICE, "enabled = false\nsource = { kind = \"test\" }");
    let starts = footage::starts(1);
    footage::fill(&setup.root(), &Template::new(SD), &starts, &[DEVICE.into()]);
    let daemon = TestDaemon::start(setup);
    let ts = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    segments_of_an_hour(ts.path());
    // One origin for all, or the page may not ask for it: ours comes through nginx too, theirs straight from its disk.
    let ours = format!("location / {{ proxy_pass http://{}; proxy_buffering off; }}", daemon.address());
    let theirs = format!("location /hour/ {{ alias {}/; }}", ts.path().display());
    let Some(nginx) = Nginx::start(ts.path(), &format!("{ours} {theirs}")) else {
        println!("browser: no nginx, nothing measured; scripts/setup.sh bench installs it");
        return;
    };
    let mut browser = Browser::start(&program, &format!("http://{}/", nginx.address));
    browser.ask("open", json!({}));

    let (from, to) = (starts[0].as_seconds(), starts[0].as_seconds() + HOUR - 5);
    let file = format!("/api/host/clip/{DEVICE}.mp4?start={from}&end={to}");
    let list = format!("/api/host/playlist/{DEVICE}.m3u8?start={from}&end={to}");
    let mut played = |action: &str, url: &str, seeks: &[f64]| {
        let before = asked(&mut browser).len();
        let done = browser.ask(action, json!({"url": url, "seeks": seeks}));
        let requests = asked(&mut browser).len() - before;
        Played::of(&done, requests)
    };
    let [file_seeks, list_seeks, ts_seeks] = [("file", &*file), ("archive", &*list), ("archive", "/hour/output.m3u8")]
        .map(|(action, url)| played(action, url, &SEEKS));
    let seams = [("file", &*file), ("archive", &*list)].map(|(action, url)| played(action, url, &SEAMS));
    seams.iter().filter(|seam| seam.stalls > 0).for_each(|seam| println!("browser: stalled: {}", seam.stalled));

    println!(
        "claim\tseek\tmedian {:.0} ms, 3,600 TS by hls.js\tmedian {:.0} ms in the hour file, {:.1} × faster; {:.0} ms in \
         our playlist",
        ts_seeks.median,
        file_seeks.median,
        ts_seeks.median / file_seeks.median,
        list_seeks.median
    );
    println!(
        "claim\trequests\t3,601 for the hour; {} for {} seeks\t1 for the hour; {} for the same seeks",
        ts_seeks.requests,
        SEEKS.len(),
        file_seeks.requests
    );
    println!(
        "claim\tbrowser\t\tmetadata of the hour file {:.0} ms; seeks to 0, 30, 59 min {}; across {} seams {} stalls in the \
         file, {} in the playlist",
        file_seeks.metadata,
        file_seeks.first_three(),
        SEAMS.len(),
        seams[0].stalls,
        seams[1].stalls
    );
}

struct Played {
    seeks: Vec<f64>,
    median: f64,
    metadata: f64,
    stalls: u64,
    /// Where.
    stalled: Value,
    requests: usize,
}

impl Played {
    fn of(done: &Value, requests: usize) -> Self {
        assert!(done["width"].as_u64().is_some_and(|width| width > 0), "{done}");
        let sought = done["sought"].as_array().unwrap();
        assert!(sought.iter().all(|one| one["frames"].as_u64().unwrap() >= 30), "{done}");
        let seeks: Vec<f64> = sought.iter().map(|one| one["took"].as_f64().unwrap()).collect();
        let mut sorted = seeks.clone();
        sorted.sort_by(f64::total_cmp);
        Self {
            median: sorted[sorted.len() / 2],
            seeks,
            metadata: done["metadata"].as_f64().unwrap_or(0.0),
            stalls: done["stalls"].as_u64().unwrap(),
            stalled: done["stalled"].clone(),
            requests,
        }
    }

    fn first_three(&self) -> String {
        let mut text = String::new();
        self.seeks.iter().take(3).for_each(|took| write!(text, "{took:.0} ms, ").unwrap());
        text.trim_end_matches(", ").to_owned()
    }
}

fn asked(browser: &mut Browser) -> Vec<Value> {
    browser.ask("report", json!({}))["requests"].as_array().unwrap().clone()
}

/// The way of the original notes: each second a file, all of them in one playlist.
fn segments_of_an_hour(folder: &Path) {
    let files = bench::segments(folder, SD, 60, HOUR as u32);
    let mut list = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-PLAYLIST-TYPE:VOD\n".to_owned();
    for file in &files {
        writeln!(list, "#EXTINF:1.000,\n{}", file.file_name().unwrap().to_str().unwrap()).unwrap();
    }
    list += "#EXT-X-ENDLIST\n";
    fs::write(folder.join("output.m3u8"), list).unwrap();
}
