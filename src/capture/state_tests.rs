//! What is decided about one FFmpeg, told as little stories: at second x this is seen, this is done.

use super::*;
use crate::clock::TICKS_PER_SECOND;

/// One device and its clock, in seconds.
struct Story {
    state: State,
    seen: Seen,
    now: f64,
}

fn story(kind: &'static str, ends: bool) -> Story {
    let state = State::new(Nature { kind, ends }, Mono::ZERO, Utc90k(0));
    Story { state, seen: Seen::default(), now: 0.0 }
}

impl Story {
    fn mono(&self) -> Mono {
        Mono::ZERO + Duration::from_secs_f64(self.now)
    }

    fn wall(&self) -> Utc90k {
        Utc90k((self.now * TICKS_PER_SECOND as f64) as i64)
    }

    /// Ticks four times a second until `to`; everything done meanwhile with its second.
    fn until(&mut self, to: f64) -> Vec<(f64, Effect)> {
        let mut done = Vec::new();
        while self.now + 0.25 <= to {
            self.now += 0.25;
            done.extend(self.tick().into_iter().map(|effect| (self.now, effect)));
        }
        done
    }

    fn tick(&mut self) -> Vec<Effect> {
        self.state.tick(&self.seen, self.mono(), self.wall())
    }

    /// The prepared run starts.
    fn start(&mut self, epoch: u32) {
        let epoch = Epoch(epoch);
        assert_eq!(self.state.started(epoch, self.mono()), []);
        self.seen.child = Some(Child { epoch, progress: Progress::default(), exit: None });
    }

    /// FFmpeg gets on, with a segment each second, until `to`.
    fn record(&mut self, to: f64) -> Vec<(f64, Effect)> {
        let mut done = Vec::new();
        while self.now + 0.5 <= to {
            if let Some(child) = &mut self.seen.child {
                child.progress.frames += 12;
            }
            let next = self.now + 0.5;
            if next.floor() > self.now.floor() {
                self.seen.segments += 1;
            }
            done.extend(self.until(next));
        }
        done
    }

    fn exit(&mut self, code: i32, words: &[&str]) -> Vec<Effect> {
        let exit = ChildExit {
            code: Some(code),
            words: words.iter().map(ToString::to_string).collect(),
            ..ChildExit::default()
        };
        if let Some(child) = &mut self.seen.child {
            child.exit = Some(exit);
        }
        self.tick()
    }

    /// The second of the next preparation, and what is tried.
    fn next_start(&mut self) -> (f64, Attempt, bool) {
        let limit = self.now + 30.0;
        while self.now < limit {
            for (at, effect) in self.until(self.now + 0.25) {
                if let Effect::Prepare { attempt, look } = effect {
                    return (at, attempt, look);
                }
            }
        }
        panic!("no start in 30 s");
    }

    fn told(&self) -> (CaptureState, Option<Reason>) {
        let status = self.state.status(self.mono());
        (status.state, status.reason)
    }
}

fn prepares(effects: &[Effect]) -> bool {
    matches!(effects, [Effect::Prepare { look: true, .. }])
}

fn kills(effects: &[(f64, Effect)]) -> Vec<(f64, &'static str)> {
    let kill = |(at, effect): &(f64, Effect)| match effect {
        Effect::Kill(why) => Some((*at, *why)),
        _ => None,
    };
    effects.iter().filter_map(kill).collect()
}

/// A device that records since second 0, now at 20.
fn recording() -> Story {
    let mut story = story("rtsp", false);
    assert!(prepares(&story.tick()));
    story.start(1);
    assert_eq!(kills(&story.record(20.0)), []);
    assert_eq!(story.told(), (CaptureState::Online, None));
    story
}

#[test]
fn a_good_run_that_ends_is_restarted_at_once_and_nobody_is_told() {
    let mut story = recording();
    let effects = story.exit(255, &[]);
    assert!(matches!(effects[..], [Effect::TellExit { again: false, .. }]), "{effects:?}");
    assert_eq!(story.next_start(), (20.25, Attempt::default(), false));
    story.start(2);
    assert!(matches!(story.record(23.0)[..], [(_, Effect::Sweep)]));
    assert_eq!(story.told(), (CaptureState::Online, None));
}

#[test]
fn offline_is_told_within_five_seconds() {
    let mut story = recording();
    story.exit(1, &["rtsp://camera: Connection refused"]);
    let told = story.until(26.0).into_iter().find_map(|(at, effect)| match effect {
        Effect::TellState { to: CaptureState::Offline, reason, .. } => Some((at, reason)),
        _ => None,
    });
    let (at, reason) = told.unwrap();
    assert!((23.0..=25.0).contains(&at), "{at}");
    assert_eq!(reason, Some(Reason::Refused));
}

#[test]
fn back_off_doubles_to_two_seconds_from_start_to_start() {
    let mut story = story("rtsp", false);
    assert!(prepares(&story.tick()));
    let mut starts = vec![0.0];
    for _ in 0..9 {
        let words = vec!["Connection refused".to_owned()];
        story.state.refused(Reason::Refused, words, story.mono(), story.wall());
        starts.push(story.next_start().0);
    }
    // Ticks are a quarter of a second apart.
    assert_eq!(starts, [0.0, 0.25, 0.5, 0.75, 1.25, 2.25, 4.0, 6.0, 8.0, 10.0]);
    assert_eq!(story.told(), (CaptureState::Offline, Some(Reason::Refused)));
}

#[test]
fn slow_failures_wait_no_longer_than_they_took() {
    let mut story = story("rtsp", false);
    story.tick();
    for _ in 0..8 {
        story.until(story.now + 3.0);
        story.state.refused(Reason::Unreachable, Vec::new(), story.mono(), story.wall());
        let failed = story.now;
        assert!(story.next_start().0 <= failed + 0.25);
    }
}

#[test]
fn a_hang_is_killed_after_three_seconds() {
    let mut story = recording();
    assert_eq!(kills(&story.until(30.0)), [(22.75, "its progress stands still")]);
}

#[test]
fn the_start_has_fifteen_seconds() {
    let mut story = story("rtsp", false);
    story.tick();
    story.start(1);
    assert_eq!(kills(&story.until(20.0)), [(15.0, "no segment came")]);
    assert_eq!(story.told(), (CaptureState::Offline, Some(Reason::NoFrames)));
    // It may have waited for sound.
    story.exit(255, &[]);
    assert_eq!(story.next_start().1, Attempt { audio: false, ..Attempt::default() });
}

#[test]
fn segments_that_stop_while_ffmpeg_goes_on_are_a_hang() {
    let mut story = recording();
    let mut killed = Vec::new();
    while story.now < 40.0 {
        if let Some(child) = &mut story.seen.child {
            child.progress.frames += 1;
        }
        killed.extend(kills(&story.until(story.now + 0.5)));
    }
    assert_eq!(killed, [(34.75, "segments stopped coming")]);
}

#[test]
fn what_failed_is_given_up_the_next_time() {
    let check = |words: &str, attempt: Attempt| {
        let mut story = story("rtsp", false);
        story.tick();
        story.start(1);
        story.until(2.0);
        story.exit(1, &[words]);
        assert_eq!(story.next_start().1, attempt, "{words}");
    };
    let all = Attempt::default();
    check("[mpegts @ 0x1] first pts and dts value must be set", Attempt { make_dts: true, ..all });
    check("Too many packets buffered for output stream 0:0.", Attempt { audio: false, ..all });
    check("Error while opening decoder for input stream #0:1 : Invalid data", Attempt { hear: false, ..all });
    check("Connection refused", all);
}

#[test]
fn a_run_that_yields_nothing_makes_us_look_again() {
    let check = |words: &str, look: bool| {
        let mut story = story("rtsp", false);
        story.tick();
        story.start(1);
        story.exit(1, &[words]);
        assert_eq!(story.next_start().2, look, "{words}");
    };
    check("Invalid data found when processing input", true);
    check("who knows", true);
    check("Connection refused", false);
}

#[test]
fn the_same_end_is_told_once() {
    let mut story = story("rtsp", false);
    story.tick();
    let mut again = Vec::new();
    for epoch in 1..=3 {
        story.start(epoch);
        for effect in story.exit(1, &["Connection refused"]) {
            if let Effect::TellExit { again: same, .. } = effect {
                again.push(same);
            }
        }
        story.next_start();
    }
    assert_eq!(again, [false, true, true]);
}

#[test]
fn a_missing_ffmpeg_is_a_failure_of_this_machine() {
    let mut story = story("test", false);
    story.tick();
    story.state.refused(Reason::MissingFfmpeg, Vec::new(), story.mono(), story.wall());
    assert_eq!(story.told(), (CaptureState::Failed, Some(Reason::MissingFfmpeg)));
    // It is tried again all the same.
    story.next_start();
}

#[test]
fn a_file_played_once_ends_for_good() {
    let mut story = story("file", true);
    story.tick();
    story.start(1);
    story.record(5.0);
    story.exit(0, &[]);
    assert!(story.state.is_done());
    assert_eq!(story.told(), (CaptureState::Offline, Some(Reason::Ended)));
    assert_eq!(story.until(20.0), []);
}

#[test]
fn a_stop_ends_what_runs_and_starts_nothing() {
    let mut story = recording();
    assert_eq!(story.state.stop(), [Effect::Quit]);
    assert!(!story.state.is_done());
    story.exit(255, &[]);
    assert!(story.state.is_done());
    assert!(story.until(40.0).iter().all(|(_, effect)| matches!(effect, Effect::TellState { .. })));

    let mut resting = super::tests::story("rtsp", false);
    assert_eq!(resting.state.stop(), []);
    assert!(resting.state.is_done());
    assert!(resting.until(10.0).iter().all(|(_, effect)| matches!(effect, Effect::TellState { .. })));
}

#[test]
fn an_adopted_child_goes_on_and_is_watched_at_once() {
    let child = Child { epoch: Epoch(4), progress: Progress { frames: 100, ..Progress::default() }, exit: None };
    let adopt = || {
        let mut story = story("rtsp", false);
        story.seen = Seen { child: Some(child.clone()), segments: 60 };
        story.state.adopt(&child, 60, story.mono());
        story
    };
    let mut alive = adopt();
    assert_eq!(kills(&alive.record(10.0)), []);
    assert_eq!(alive.told(), (CaptureState::Online, None));
    let mut stuck = adopt();
    assert_eq!(kills(&stuck.until(10.0)), [(3.0, "its progress stands still")]);
}
