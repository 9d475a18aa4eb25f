//! `capstan clip` beside a running daemon, after one that stopped, and after one that was killed: the same bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod common;

use std::{fs, path::PathBuf};

use common::{Setup, TestDaemon, Turn, clip, daemon::finished, media, until};

struct Bench {
    daemon: TestDaemon,
    start: jiff::Timestamp,
}

impl Bench {
    fn file(&self) -> PathBuf {
        self.daemon.setup.folder().join("out/x.mp4")
    }

    /// The span from second `from` to second `to` of what was recorded. The code and what was said.
    fn run(&self, from: f64, to: f64, more: &[&str]) -> (i32, String) {
        let at = |seconds: f64| (self.start + jiff::SignedDuration::from_secs_f64(seconds)).to_string();
        let (start, end, file) = (at(from), at(to), self.file());
        let file = file.to_str().unwrap();
        let mut arguments = vec!["clip", "clip", "--start", &start, "--end", &end, "-o", file];
        arguments.extend(more);
        finished(self.daemon.setup.command(&arguments))
    }

    #[track_caller]
    fn saved(&self, from: f64, to: f64, more: &[&str]) -> (Vec<u8>, String) {
        let (code, said) = self.run(from, to, more);
        assert_eq!(code, 0, "{said}");
        assert_eq!(fs::read_dir(self.file().parent().unwrap()).unwrap().count(), 1, "nothing beside it");
        (fs::read(self.file()).unwrap(), said)
    }

    /// What is refused leaves the file as it was.
    #[track_caller]
    fn refused(&self, from: f64, to: f64, more: &[&str], code: i32, part: &str) {
        fs::write(self.file(), "before").unwrap();
        let (found, said) = self.run(from, to, more);
        assert!(found == code && said.contains(part), "{code} {part:?}: {found} {said}");
        assert_eq!(fs::read(self.file()).unwrap(), b"before");
        assert_eq!(fs::read_dir(self.file().parent().unwrap()).unwrap().count(), 1, "nothing beside it");
    }
}

#[test]
fn the_same_clip_with_and_without_a_daemon() {
    let _turn = Turn::wait();
    let source = format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {:?} }}", clip());
    let daemon = TestDaemon::start(Setup::new().camera("clip", &source));
    fs::create_dir(daemon.setup.folder().join("out")).unwrap();
    until("a chunk is sealed and the next one grows", 40, || {
        !daemon.ring("clip").is_empty() && daemon.committed_seconds("clip") > 13.0
    });
    let start = daemon.json("/api/host/timeline/clip")["chunks"][0]["start"].as_str().unwrap().parse().unwrap();
    let mut bench = Bench { daemon, start };

    // Over the seam, from inside a GOP.
    let (plain, said) = bench.saved(0.7, 12.0, &[]);
    assert!(said.contains("x.mp4: ") && said.contains("iB\n") && !said.contains("no more"), "{said}");
    let path =
        format!("/api/host/clip/clip.mp4?start={}&duration=11.3", start + jiff::SignedDuration::from_millis(700));
    assert!(plain == bench.daemon.get(&path).body, "what HTTP serves");
    media::assert_decodes(&bench.file());
    let (_, said) = bench.saved(5.0, 3600.0, &[]);
    assert!(said.contains("there is no more yet"), "{said}");
    let (small, _) = bench.saved(0.7, 3.7, &["--preset", "low"]);
    media::assert_decodes(&bench.file());
    assert!(!small.is_empty() && media::codecs(&bench.file()) == ["h264", "aac"]);
    let refusals = |bench: &Bench| {
        bench.refused(-500.0, -400.0, &[], 1, "no footage from");
        bench.refused(2.0, 1.0, &[], 2, "--end must be after --start");
        bench.refused(1.0, 2.0, &["--preset", "ultra"], 2, "pi_optimized");
        bench.refused(1.0, 2.0, &["--gap", "hide"], 2, "keep or skip");
    };
    refusals(&bench);
    let file = bench.file();
    for (device, file, part) in [
        ("other", file.to_str().unwrap(), "there is no device \"other\""),
        ("clip", "no/such/folder/x.mp4", "no/such/folder/x.mp4"),
        ("clip", file.parent().unwrap().to_str().unwrap(), "is not the name of a file"),
    ] {
        let wish = ["clip", device, "--start", "1700000000", "--end", "1700000001", "-o", file];
        let (code, said) = finished(bench.daemon.setup.command(&wish));
        assert!(code == 1 && said.contains(part), "{part:?}: {code} {said}");
    }

    // Killed: what was committed is there, and nothing is changed by looking at it.
    bench.daemon.kill();
    let open = bench.daemon.open_chunks("clip");
    let before: Vec<_> = open.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!open.is_empty() && bench.saved(0.7, 12.0, &[]).0 == plain);
    assert!(bench.saved(5.0, 3600.0, &[]).1.contains("there is no more yet"));
    assert!(open.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>() == before);
    bench.saved(0.7, 3.7, &["--preset", "pi_optimized"]);
    media::assert_decodes(&bench.file());
    media::assert_table_first(&bench.file());
    let pictures = media::frame_hashes(&bench.file()).len();
    assert!(pictures.abs_diff(45) <= 1, "3 s at 15 a second: {pictures}");
    refusals(&bench);

    // Stopped in order.
    bench.daemon.start_again();
    bench.daemon.stop();
    assert!(bench.saved(0.7, 12.0, &[]).0 == plain);
}
