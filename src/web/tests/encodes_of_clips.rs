//! Clips encoded anew, by a stand-in for FFmpeg: what is refused, how a job is told of, what ends one. What the real one
//! makes is in `tests/e2e_encode`.

use std::os::unix::fs::PermissionsExt;

use super::{timeline::recorded, *};
use crate::{
    capture::command::Preset,
    playback::{
        clip::{Clip, Made},
        virtual_mp4::{Cut, Gaps},
    },
};

/// Copies its input to the output that its last word names, and tells of progress.
const COPIES: &str = "for last; do :; done\ncat > \"$last\"\nprintf 'out_time_us=1\\ntotal_size=9\\nprogress=end\\n'";
const HANGS: &str = "exec sleep 600";

/// A host with clips of 1 to 4 pictures, and the encoders under test.
struct Bench {
    host: Host,
    encodes: encodes::Encodes,
}

impl Bench {
    /// `program` is a shell script; what it finds out may go to `told` in its folder `$DIR`.
    fn new(program: &str, limits: impl FnOnce(&mut crate::config::Limits)) -> Self {
        let host = recorded(&[(300, &[0, 1, 2, 3, 4], true)]);
        let script = host.dir.path().join("ffmpeg.sh");
        fs::write(&script, format!("#!/bin/sh\nDIR={}\n{program}\n", host.dir.path().display())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        let mut settings = Settings::clone(&host.state.settings);
        settings.ffmpeg.path = script;
        limits(&mut settings.limits);
        let spawner = Spawner::start(WorkGroup::default()).unwrap();
        let readers = host.state.readers.clone();
        let encodes = encodes::Encodes::new(
            spawner,
            readers,
            Arc::new(settings),
            host.manual.clock(),
            host.state.feed.events.clone(),
            Arc::default(),
        );
        Self { host, encodes }
    }

    fn clip(&self, pictures: i64) -> Clip {
        let (state, start) = (&self.host.state, NOW + -300 * 90_000);
        let wish = Cut { span: start..start + pictures * 90_000, gaps: Gaps::Keep, sound_only: false };
        match Clip::make(&state.volume, &self.host.device().index, (&state.tables, &state.clips), wish).unwrap() {
            Made::Clip(clip) => *clip,
            other => panic!("{other:?}"),
        }
    }

    /// Status and body of asking for it.
    fn ask(&self, pictures: i64, preset: Preset) -> (u16, Value) {
        told(self.encodes.ask(self.clip(pictures), preset))
    }

    /// Asks until it is neither queued nor running.
    fn ended(&self, pictures: i64) -> (u16, Value) {
        let mut last = (0, Value::Null);
        until("the job ends", || {
            last = self.ask(pictures, Preset::Fast);
            last.0 != 202
        });
        last
    }

    fn told(&self) -> String {
        fs::read_to_string(self.host.dir.path().join("told")).unwrap_or_default()
    }
}

fn told(reply: Result<HttpResponse>) -> (u16, Value) {
    let reply = reply.unwrap_or_else(|error| actix_web::ResponseError::error_response(&error));
    let status = reply.status().as_u16();
    let body = futures_util::FutureExt::now_or_never(actix_web::body::to_bytes(reply.into_body())).unwrap().unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = Clock::system();
    let start = clock.mono();
    while !condition() {
        assert!(clock.mono().since(start) < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn bad_wishes_are_refused() {
    let host = recorded(&[(300, &[0, 1, 2, 3, 4], true), (100, &[0, 1], false)]);
    let span = "/api/host/clip/cam.mp4?start=1699999700&end=1699999702";
    for (query, message) in [
        ("&preset=ultra", "must be fast or medium or high or low or pi_optimized"),
        ("&preset=", "must be fast"),
        ("&preset=FAST", "must be fast"),
        ("&preset=fast&tracks=audio", "only pictures"),
    ] {
        let reply = host.get(&format!("{span}{query}"));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some("preset")), "{query}");
        assert!(reply.json()["error"]["message"].as_str().unwrap().starts_with(message), "{}", reply.text());
    }
    for path in ["x", "x.mp4", "..%2f..%2fcontrol.sock", "..%2fx.mp4", "%ff.mp4"] {
        assert_eq!(host.get(&format!("/api/host/clip-jobs/{path}")).status, 404, "{path}");
    }
    assert_eq!(host.ask("POST", "/api/host/clip-jobs/x", &["Content-Length: 0"]).status, 405);
    // An open end is told first; the preset stays in the address.
    let led = host.get("/api/host/clip/cam.mp4?start=1699999900&end=1700000000&preset=low");
    assert_eq!(led.status, 307);
    assert!(led.header("location").unwrap().ends_with("&preset=low"), "{:?}", led.header("location"));
    assert_eq!(host.get(&format!("{span}&preset=fast&explain=1")).status, 200);
    assert_eq!(host.get("/api/host/clip/cam.mp4?start=1699990000&end=1699990002&preset=fast").status, 404);
}

#[test]
fn ffmpeg_gets_the_clip_and_the_job_tells_of_the_result() {
    let bench = Bench::new(&format!("nice > $DIR/told\n{COPIES}"), |_| {});
    let (status, first) = bench.ask(2, Preset::Fast);
    assert_eq!((status, &first["state"], &first["success"]), (202, &"queued".into(), &false.into()));
    let (status, done) = bench.ended(2);
    let clip = bench.clip(2);
    assert_eq!(status, 200, "{done}");
    assert_eq!(done["size"], clip.len(), "the same bytes come out");
    assert_eq!((&done["success"], &done["count"], &done["compression_ratio"]), (&true.into(), &1.into(), &1.0.into()));
    assert_eq!(done["url"], format!("{}.mp4", first["job_url"].as_str().unwrap()));
    assert_eq!(bench.told().trim(), "19", "the lowest priority");
    // Another preset is another job.
    assert_eq!(bench.ask(2, Preset::High).0, 202);
}

#[test]
fn what_fails_is_told_once_and_tried_again() {
    let bench = Bench::new("echo x >> $DIR/told\ncat > /dev/null\necho 'no such codec' >&2\nexit 1", |_| {});
    let (status, failed) = bench.ended(2);
    assert_eq!((status, &failed["error"]["kind"]), (500, &"corrupt".into()));
    assert!(failed["error"]["message"].as_str().unwrap().contains("no such codec"), "{failed}");
    assert_eq!(bench.ended(2).0, 500);
    assert_eq!(bench.told().lines().count(), 2);

    let bench = Bench::new(HANGS, |limits| limits.encode_seconds = 1);
    let (status, failed) = bench.ended(2);
    assert_eq!(status, 503, "{failed}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("longer than 1 s"), "{failed}");
}

#[test]
fn one_at_a_time_and_few_wait() {
    let bench = Bench::new(&format!("echo $$ >> $DIR/told\n{HANGS}"), |limits| limits.encode_queue = 1);
    until("the first is at work", || {
        bench.ask(1, Preset::Fast).1["state"] == "running" && bench.told().ends_with('\n')
    });
    for _ in 0..3 {
        assert_eq!(bench.ask(2, Preset::Fast).1["state"], "queued");
        let (status, refused) = bench.ask(3, Preset::Fast);
        assert_eq!((status, &refused["error"]["kind"]), (503, &"unavailable".into()));
    }
    let pid = bench.told().trim().to_owned();
    assert!(Path::new("/proc").join(&pid).exists(), "only one: {pid:?}");
    // Whoever asked for the first is gone; the second still has somebody, and gets its turn.
    bench.host.manual.advance(Duration::from_secs(15));
    bench.ask(2, Preset::Fast);
    bench.host.manual.advance(Duration::from_secs(10));
    until("the first is killed", || !Path::new("/proc").join(&pid).exists());
    until("the second is at work", || bench.ask(2, Preset::Fast).1["state"] == "running");
    assert_eq!(bench.ask(3, Preset::Fast).1["state"], "queued");
    bench.host.manual.advance(Duration::from_secs(30));
    let folder = HotLayout::new(bench.host.dir.path().join("hot")).encoded();
    until("nothing is left behind", || fs::read_dir(&folder).unwrap().next().is_none());
}

#[test]
fn results_stay_within_their_budget() {
    let bytes = Bench::new(COPIES, |_| {}).clip(4).len();
    let bench = Bench::new(COPIES, |limits| limits.encode_bytes.0 = 2 * bytes);
    let kept = || {
        let folder = HotLayout::new(bench.host.dir.path().join("hot")).encoded();
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    for pictures in [4, 3, 2, 1] {
        assert_eq!(bench.ended(pictures).0, 200);
        assert!(kept() <= 2 * bytes, "{} of {}", kept(), 2 * bytes);
    }
    assert_eq!(bench.ask(1, Preset::Fast).0, 200, "the newest is kept");
    assert_eq!(bench.ask(4, Preset::Fast).0, 202, "the oldest had to leave, and starts anew");

    let bench = Bench::new(COPIES, |limits| limits.encode_bytes.0 = 100);
    let (status, refused) = bench.ended(4);
    assert_eq!((status, &refused["error"]["kind"]), (507, &"full".into()), "{refused}");
}

#[test]
fn a_job_is_told_of_and_taken_back() {
    let bench = Bench::new(&format!("echo $$ >> $DIR/told\n{HANGS}"), |_| {});
    let events = bench.host.state.feed.events.clone();
    let mut listener = events.listen(None);
    let mut heard = Vec::new();
    let mut hear_until = |kind: &str| {
        until(kind, || {
            while let Some(Some(crate::events::Heard::Event(event))) =
                futures_util::FutureExt::now_or_never(listener.next())
            {
                heard.push(event);
            }
            heard.iter().any(|event| event.kind == kind)
        });
        heard.drain(..).map(|event| event.kind).collect::<Vec<_>>()
    };
    // Looking at it first: as if it waited, but nothing does.
    let peeked = bench.encodes.peek(&bench.clip(2), Preset::Fast);
    assert_eq!(told(peeked).1["state"], "queued");
    assert!(!bench.encodes.remove("cam-none-fast"));
    let (_, first) = bench.ask(2, Preset::Fast);
    let id = first["job_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(hear_until("job_started"), ["job_started"]);
    until("FFmpeg tells its number", || bench.told().ends_with('\n'));
    let pid = bench.told().trim().to_owned();
    assert_eq!(told(bench.encodes.peek(&bench.clip(2), Preset::Fast)).1["state"], "running");
    // Taken back and asked for again at once: the new one is not mistaken for the old.
    assert!(bench.encodes.remove(&id) && !bench.encodes.remove(&id));
    assert_eq!(bench.ask(2, Preset::Fast).1["state"], "queued");
    until("the first is killed", || !Path::new("/proc").join(&pid).exists());
    let kinds = hear_until("job_started");
    assert_eq!(kinds, ["job_cancelled", "job_started"]);
    assert_eq!(bench.ask(2, Preset::Fast).1["state"], "running");
    assert!(bench.encodes.remove(&id));
    assert_eq!(hear_until("job_cancelled"), ["job_cancelled"]);

    let bench = Bench::new(COPIES, |_| {});
    assert_eq!(bench.ended(2).0, 200);
    let folder = HotLayout::new(bench.host.dir.path().join("hot")).encoded();
    let kept = || fs::read_dir(&folder).unwrap().count();
    assert_eq!(kept(), 1);
    assert!(bench.encodes.remove(&id));
    assert_eq!(kept(), 0, "the result goes with the job");
}
