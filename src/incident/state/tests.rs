//! Spells of trouble as text, and what is told of them.

use super::{super::model::Severity, *};
use crate::{
    frames::observation::Sound,
    ids::{Epoch, SegmentKey},
};

mod random;

const START: i64 = 1_700_000_000;

pub(super) fn owner() -> Owner {
    Owner { host: "host".into(), device: "cam".parse().unwrap() }
}

/// Seconds after the start of the test.
pub(super) fn at(seconds: f64) -> Utc90k {
    Utc90k::from_seconds(START) + (seconds * 90_000.0).round() as i64
}

fn after(moment: Utc90k) -> f64 {
    (moment - at(0.0)) as f64 / 90_000.0
}

pub(super) fn frame(seconds: f64, run: u32) -> Observation {
    Observation {
        key: SegmentKey { epoch: Epoch(run), number: (seconds.abs() * 100.0).round() as u64 },
        at: at(seconds),
        black: Some(false),
        freeze: Some(false),
        no_signal: Some(false),
        sound: Sound { silent: Some(false), ..Sound::default() },
        ..Observation::default()
    }
}

/// One frame as a letter: `b` black, `z` black and frozen, `f` frozen, `s` silent, `x` frozen and silent, `n` a slate
/// (which is frozen and silent, too), `?` unknown, `.` fine.
fn letter(seconds: f64, letter: char) -> Observation {
    let mut seen = frame(seconds, 1);
    match letter {
        'b' => seen.black = Some(true),
        'z' => (seen.black, seen.freeze) = (Some(true), Some(true)),
        'f' => seen.freeze = Some(true),
        's' => seen.sound.silent = Some(true),
        'x' => (seen.freeze, seen.sound.silent) = (Some(true), Some(true)),
        'n' => (seen.no_signal, seen.freeze, seen.sound.silent) = (Some(true), Some(true), Some(true)),
        '?' => {
            (seen.black, seen.freeze, seen.no_signal) = (None, None, None);
            seen.sound = Sound::default();
        }
        _ => {}
    }
    seen
}

/// `+freeze 1.0` opened with that start, `-freeze 1.0..3.0` closed, `^` worse, `~` reopened.
fn told(changes: &[Change]) -> Vec<String> {
    let kind =
        |change: &Change| change.incident.kind.name().replace("blackscreen", "black").replace("signal_lost", "lost");
    let tell = |change: &Change| {
        let (kind, start) = (kind(change), after(change.incident.start));
        match change.what {
            What::Opened => format!("+{kind} {start:.1}"),
            What::Reopened => format!("~{kind} {start:.1}"),
            What::Worse => format!("^{kind} {}", change.incident.severity.name()),
            What::Closed => format!("-{kind} {start:.1}..{:.1}", after(change.incident.end.unwrap())),
        }
    };
    changes.iter().map(tell).collect()
}

struct Run {
    state: State,
    detect: Detect,
    seconds: f64,
    told: Vec<String>,
}

impl Run {
    fn new() -> Self {
        Self { state: State::new(owner()), detect: Detect::default(), seconds: 0.0, told: Vec::new() }
    }

    /// `frames`: `"b10 .5"` is ten black frames, then five fine ones, `step` seconds apart.
    fn play(&mut self, frames: &str, step: f64) -> &mut Self {
        for spell in frames.split_whitespace() {
            let mut chars = spell.chars();
            let what = chars.next().unwrap();
            for _ in 0..chars.as_str().parse().unwrap_or(1) {
                let changes = self.state.observe(&letter(self.seconds, what), &self.detect);
                self.told.extend(told(&changes));
                self.seconds += step;
            }
        }
        self
    }

    fn tick(&mut self, now: f64, newest: Option<f64>, signal: Signal) -> &mut Self {
        let changes = self.state.tick(at(now), newest.map(at), signal, &self.detect);
        self.told.extend(told(&changes));
        self
    }

    fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

/// Five frames a second.
#[track_caller]
fn check(frames: &str, expected: &[&str]) {
    assert_eq!(Run::new().play(frames, 0.2).done(), expected, "{frames}");
}

#[test]
fn an_incident_opens_after_two_seconds_and_starts_with_the_first_bad_frame() {
    check(".5 b10", &[]);
    check(".5 b11", &["+black 1.0"]);
    check(".5 f11", &["+freeze 1.0"]);
    check(".5 s11", &["+silence 1.0"]);
    check(".5 n11", &["+lost 1.0"]);
    check(".5 b2 .5 f2 .5 s2 .5 n2 .9", &[]);
    check("b9 .1 b9 .1 b9 .1", &[]);
}

#[test]
fn a_freeze_starts_with_the_first_picture_that_looked_so() {
    let freeze = |seconds: f64, since: f64| Observation { still_since: Some(at(since)), ..letter(seconds, 'f') };
    let start = |step: f64, first: u32, since: f64| {
        let mut run = Run::new();
        run.play(".4", step);
        for number in 0..12 {
            let changes = run.state.observe(&freeze(f64::from(first + number) * step, since), &run.detect);
            run.told.extend(told(&changes));
        }
        run.done()
    };
    assert_eq!(start(0.2, 4, 0.2), ["+freeze 0.2"]);
    assert_eq!(start(2.0, 4, 6.0)[0], "+freeze 6.0", "pictures that are key frames");
    assert_eq!(start(0.2, 4, -60.0), ["+freeze -0.4"], "not long before what else was seen");
    assert_eq!(start(0.2, 4, 9.0), ["+freeze 0.8"], "not in the future");
}

#[test]
fn it_closes_after_a_second_and_ends_with_the_first_good_frame() {
    check("b11 .5", &["+black 0.0"]);
    check("b11 .6", &["+black 0.0", "-black 0.0..2.2"]);
    // A good frame in between ends nothing.
    check("b11 .4 b5 .6", &["+black 0.0", "-black 0.0..4.0"]);
}

#[test]
fn trouble_that_comes_back_soon_is_the_same_incident() {
    check("b11 .14 b11 .6", &["+black 0.0", "-black 0.0..2.2", "~black 0.0", "-black 0.0..7.2"]);
    check("b11 .16 b11", &["+black 0.0", "-black 0.0..2.2", "+black 5.4"]);
    // Other trouble is another incident.
    check("b11 .10 f11", &["+black 0.0", "-black 0.0..2.2", "+freeze 4.2"]);
    // A glitch does not reopen it.
    check("b11 .8 b2 .20", &["+black 0.0", "-black 0.0..2.2"]);
}

#[test]
fn what_is_unknown_neither_proves_nor_clears() {
    check("?500", &[]);
    check("b1 ?20 b1", &["+black 0.0"]);
    check("b1 ?9", &[]);
    check("b1 ?60 b1 .1", &[]);
    check("b11 ?200 b1", &["+black 0.0", "^black major"]);
    // After a minute nobody can say: it ends one picture after the last bad one.
    check("b11 ?310", &["+black 0.0", "-black 0.0..2.2"]);
    check("b11 .2 ?310", &["+black 0.0", "-black 0.0..2.2"]);
}

#[test]
fn frames_that_were_skipped_are_unknown() {
    let mut run = Run::new();
    run.play("b3", 0.2);
    let mut late = letter(9.0, 'b');
    (late.skipped, late.skipped_from) = (42, Some(at(0.6)));
    assert_eq!(told(&run.state.observe(&late, &run.detect)), ["+black 0.0"]);
    let mut run = Run::new();
    run.play("b3", 0.2);
    let mut late = letter(11.0, 'b');
    (late.skipped, late.skipped_from) = (50, Some(at(0.6)));
    assert!(run.state.observe(&late, &run.detect).is_empty(), "ten seconds unseen are no proof");
    assert_eq!(told(&run.state.observe(&letter(13.0, 'b'), &run.detect)), ["+black 11.0"]);
}

#[test]
fn silence_begins_and_ends_when_it_was_heard() {
    let mut run = Run::new();
    let mut hear = |seconds: f64, silent: bool, before: f64| {
        let mut seen = frame(seconds, 1);
        seen.sound = Sound { silent: Some(silent), before_90k: (before * 90_000.0) as i64, ..Sound::default() };
        let changes = run.state.observe(&seen, &run.detect);
        run.told.extend(told(&changes));
    };
    for n in 0..40 {
        let seconds = f64::from(n) * 0.2;
        // Sound comes 0.4 s after its picture, and half a second of it is judged.
        let silent = (2.9..6.5).contains(&seconds);
        hear(seconds, silent, if silent { 0.9 } else { 0.5 });
    }
    assert_eq!(run.done(), ["+silence 2.1", "-silence 2.1..6.1"]);

    // Somebody worked on it until just now.
    let mut run = Run::new();
    run.state.mute(at(5.0));
    for n in 26..40 {
        let mut seen = letter(f64::from(n) * 0.2, 's');
        seen.sound.before_90k = 45_000;
        run.told.extend(told(&run.state.observe(&seen, &run.detect)));
    }
    assert_eq!(run.done(), ["+silence 5.0"]);
}

#[test]
fn it_becomes_worse_by_lasting() {
    check("b60 .6", &["+black 0.0", "^black major", "-black 0.0..12.0"]);
    check("b301 .6", &["+black 0.0", "^black major", "^black critical", "-black 0.0..60.2"]);
    // Ten seconds count from the first bad frame to the first good one.
    check("b50 .6", &["+black 0.0", "-black 0.0..10.0"]);
}

#[test]
fn black_hides_freeze() {
    check(".5 z30 .6", &["+black 1.0", "-black 1.0..7.0"]);
    // A still that fades to black is one trouble.
    check("f5 z30", &["+black 1.0"]);
    check("f11 z11", &["+freeze 0.0", "+black 2.2", "-freeze 0.0..2.2"]);
    // A dark glitch does not end a freeze.
    check("f11 z2 f9 .6", &["+freeze 0.0", "-freeze 0.0..4.4"]);
    // A freeze after the black is one of its own.
    check("z11 f11", &["+black 0.0", "-black 0.0..2.2", "+freeze 2.2"]);
    check("s5 z20", &["+black 1.0"]);
}

#[test]
fn sound_is_a_trouble_of_its_own() {
    check("x11 .6", &["+freeze 0.0", "+silence 0.0", "-freeze 0.0..2.2", "-silence 0.0..2.2"]);
    check("s30 z1", &["+silence 0.0"]);
}

#[test]
fn a_slate_is_a_lost_signal_and_hides_all_else() {
    check(".5 n20 .6", &["+lost 1.0", "-lost 1.0..5.0"]);
    check("x11 n11", &["+freeze 0.0", "+silence 0.0", "+lost 2.2", "-freeze 0.0..2.2", "-silence 0.0..2.2"]);
}

#[test]
fn rare_pictures_are_judged_in_their_own_time() {
    // One a second.
    assert_eq!(Run::new().play(".3 f3 .2", 1.0).done(), ["+freeze 3.0", "-freeze 3.0..6.0"]);
    // One per 10 s: two bad ones are an incident, one is none.
    assert_eq!(Run::new().play(".3 f1 .2", 10.0).done(), Vec::<String>::new());
    assert_eq!(Run::new().play(".3 f2 .2", 10.0).done(), ["+freeze 30.0", "-freeze 30.0..50.0"]);
    // One in 40 s is no jump of time.
    assert_eq!(Run::new().play(".3 f2", 40.0).done(), ["+freeze 120.0"]);
}

#[test]
fn time_that_jumps_ends_what_was_open_where_it_was_last_seen() {
    let mut run = Run::new();
    run.play("b11", 0.2);
    run.seconds = -3600.0;
    assert_eq!(
        run.play("b11 .6", 0.2).done(),
        ["+black 0.0", "-black 0.0..2.0", "+black -3600.0", "-black -3600.0..-3597.8"]
    );
    let mut run = Run::new();
    run.play("b11", 0.2);
    run.seconds = 3600.0;
    assert_eq!(run.play("b11", 0.2).done(), ["+black 0.0", "-black 0.0..2.0", "+black 3600.0"]);
    let mut run = Run::new();
    run.play("b9", 0.2);
    run.seconds = 100.0;
    assert_eq!(run.play("b9", 0.2).done(), Vec::<String>::new(), "a suspicion does not jump");
    // A hole of seconds between two runs is none.
    let mut run = Run::new();
    run.play("b11", 0.2);
    run.seconds = 12.0;
    assert_eq!(run.play("b1", 0.2).done(), ["+black 0.0", "^black major"]);
}

#[test]
fn no_two_incidents_have_one_id_though_the_clock_is_set_back_over_them() {
    let mut run = Run::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        for i in 0..11 {
            let changes = run.state.observe(&letter(f64::from(i) * 0.2, 'b'), &run.detect);
            ids.extend(
                changes.into_iter().filter(|change| change.what == What::Opened).map(|change| change.incident.id),
            );
        }
    }
    assert_eq!(ids.len(), 5);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{ids:?}");
}

#[test]
fn no_picture_for_three_seconds_is_a_lost_signal() {
    use Signal::*;
    let mut run = Run::new();
    run.tick(0.0, Some(0.0), There).play(".26", 0.2);
    let mut told = Vec::new();
    for second in 1..=20 {
        let newest = f64::from(second).min(5.0);
        run.tick(f64::from(second), Some(newest), if second < 9 { There } else { Gone });
        told.extend(run.done().into_iter().map(|line| format!("{second}: {line}")));
    }
    assert_eq!(told, ["9: +lost 5.2", "16: ^lost major"]);
    run.seconds = 20.0;
    assert_eq!(run.play(".6", 0.2).done(), ["-lost 5.2..20.0"]);
    // It comes back within the gap: the same incident.
    run.tick(25.0, Some(21.0), Gone);
    assert_eq!(run.done(), ["~lost 5.2"]);
}

#[test]
fn a_lost_signal_explains_what_was_open() {
    let mut run = Run::new();
    run.tick(0.0, Some(0.0), Signal::There).play("x12", 0.2);
    run.tick(6.0, Some(2.2), Signal::Gone);
    assert_eq!(run.done(), ["+freeze 0.0", "+silence 0.0", "+lost 2.4", "-freeze 0.0..2.4", "-silence 0.0..2.4"]);
}

#[test]
fn frames_that_are_looked_at_late_are_no_sign_of_life() {
    let mut run = Run::new();
    run.tick(0.0, Some(0.0), Signal::There).tick(10.0, Some(5.0), Signal::Gone);
    // Their pictures came before the loss; they are judged after it.
    run.play(".8 f16", 0.2);
    assert_eq!(run.done(), ["+lost 5.0", "+freeze 1.6", "-freeze 1.6..5.0"], "told once, however long it takes");
    run.seconds = 12.0;
    assert_eq!(run.play(".6", 0.2).done(), ["-lost 5.0..12.0"]);
}

#[test]
fn key_frames_that_are_rare_are_waited_for_while_the_source_delivers() {
    let mut run = Run::new();
    run.tick(0.0, None, Signal::There).play(".4", 2.0);
    run.tick(20.0, Some(6.0), Signal::There);
    assert_eq!(run.done(), Vec::<String>::new());
    run.tick(21.5, Some(6.0), Signal::There);
    assert_eq!(run.done(), ["+lost 8.0"]);
    // The recorder knows better.
    let mut run = Run::new();
    run.tick(0.0, None, Signal::There).play(".4", 2.0);
    run.tick(9.5, Some(6.0), Signal::Gone);
    assert_eq!(run.done(), ["+lost 8.0"]);
}

#[test]
fn a_start_is_given_its_time() {
    use Signal::*;
    let mut run = Run::new();
    // Pictures of the daemon before.
    run.tick(0.0, Some(-20.0), Starting).tick(14.0, Some(-20.0), Starting);
    assert_eq!(run.done(), Vec::<String>::new());
    run.tick(16.0, Some(-20.0), Starting);
    assert_eq!(run.done(), ["+lost -20.0"]);
    // What was lost once it had come is no start.
    for signal in [Starting, Gone] {
        let mut run = Run::new();
        run.tick(0.0, None, Starting).tick(2.0, Some(1.8), There).tick(4.5, Some(1.8), signal);
        assert_eq!(run.done(), Vec::<String>::new());
        run.tick(5.0, Some(1.8), signal);
        assert_eq!(run.done(), ["+lost 1.8"]);
    }
    let mut run = Run::new();
    run.tick(0.0, None, Gone).tick(4.0, None, Gone);
    assert_eq!(run.done(), Vec::<String>::new());
    run.tick(5.0, None, Gone);
    assert_eq!(run.done(), ["+lost 0.0"]);
    // No pictures are asked for.
    let mut run = Run::new();
    run.tick(0.0, None, Starting).tick(30.0, None, There).tick(60.0, None, There);
    assert_eq!(run.done(), Vec::<String>::new());
}

#[test]
fn a_lost_signal_ends_with_a_picture_also_where_none_is_looked_at() {
    let mut run = Run::new();
    run.tick(0.0, Some(0.0), Signal::There).tick(10.0, Some(4.0), Signal::Gone);
    run.tick(11.0, Some(10.9), Signal::There).tick(12.0, Some(11.9), Signal::There);
    assert_eq!(run.done(), ["+lost 4.0", "-lost 4.0..10.9"]);
}

#[test]
fn a_wall_clock_that_is_set_ends_a_loss_and_begins_another() {
    let mut run = Run::new();
    run.tick(0.0, Some(0.0), Signal::There).tick(10.0, Some(4.0), Signal::Gone).tick(20.0, Some(4.0), Signal::Gone);
    // An hour back: the picture is as old as before, by the new clock.
    run.tick(-3580.0, Some(-3596.0), Signal::Gone);
    run.tick(-3570.0, Some(-3596.0), Signal::Gone);
    assert_eq!(run.done(), ["+lost 4.0", "^lost major", "-lost 4.0..20.0", "+lost -3580.0"]);
}

#[test]
fn muted_devices_tell_nothing() {
    let mut run = Run::new();
    run.play("x11", 0.2);
    let closed = run.state.mute(at(2.1));
    assert_eq!(told(&closed), ["-freeze 0.0..2.1", "-silence 0.0..2.1"]);
    assert!(run.state.mute(at(3.0)).is_empty());
}

fn open(kind: IncidentKind, start: f64, last_bad: f64) -> Incident {
    Incident {
        id: Incident::id_of(&owner().device, kind, at(start)),
        host: "host".into(),
        device: owner().device,
        kind,
        start: at(start),
        end: None,
        last_bad: at(last_bad),
        severity: Severity::Minor,
        evidence: vec!["cam/evidence/2023-11-14/1-freeze-first.jpg".into()],
        acknowledged: true,
        discarded: false,
        comment: "seen".into(),
    }
}

#[test]
fn after_a_restart_an_incident_goes_on_or_ends_where_it_was_last_seen() {
    let check = |frames: &str, first: f64, expected: &[&str]| {
        let mut run = Run::new();
        run.state.restore(vec![open(IncidentKind::Freeze, -60.0, -20.0)]);
        run.seconds = first;
        assert_eq!(run.play(frames, 0.2).done(), expected, "{frames} at {first}");
    };
    check("?3 f3 .6", 0.0, &["^freeze critical", "-freeze -60.0..1.2"]);
    check("?3 .3", 0.0, &["-freeze -60.0..-20.0"]);
    check("?310", 0.0, &["-freeze -60.0..-20.0"]);
    check("f1", 69.0, &["^freeze critical"]);
    // Nobody watched for too long: another incident.
    check("f11", 71.0, &["-freeze -60.0..-20.0", "+freeze 71.0"]);
    // The clock was set back meanwhile.
    check("f11", -500.0, &["-freeze -60.0..-20.0", "+freeze -500.0"]);
    let mut run = Run::new();
    run.state.restore(vec![open(IncidentKind::Freeze, -60.0, -20.0)]);
    run.tick(0.0, None, Signal::There).tick(71.0, None, Signal::There);
    assert_eq!(run.done(), ["-freeze -60.0..-20.0"], "no picture ever came");
}

#[test]
fn a_restored_loss_of_signal_goes_on_while_no_picture_comes() {
    let mut run = Run::new();
    run.state.restore(vec![open(IncidentKind::SignalLost, -60.0, -20.0)]);
    run.tick(0.0, Some(-60.0), Signal::Starting).tick(10.0, Some(-60.0), Signal::Gone);
    assert_eq!(run.done(), ["^lost critical"]);
    run.seconds = 30.0;
    assert_eq!(run.play(".6", 0.2).done(), ["-lost -60.0..30.0"]);
    let mut run = Run::new();
    run.state.restore(vec![open(IncidentKind::SignalLost, -60.0, -20.0)]);
    run.tick(0.0, Some(-60.0), Signal::Starting);
    assert_eq!(run.play(".1", 0.2).done(), ["-lost -60.0..-20.0"]);
}

#[test]
fn the_worst_frame_is_the_darkest() {
    let mut state = State::new(owner());
    let mut last = None;
    for (i, percent) in [96.0, 97.0, 100.0, 98.0, 99.0, 97.5].into_iter().enumerate() {
        let seen = Observation { black_percent: Some(percent), ..letter(i as f64, 'b') };
        last = state.observe(&seen, &Detect::default()).pop().or(last);
    }
    let opened = last.unwrap();
    let numbers = |proof: Proof| [proof.first, proof.worst, proof.last].map(|mark| mark.key.number);
    assert_eq!(numbers(opened.proof.unwrap()), [0, 200, 200]);
    let (kind, proof) = state.proofs().next().unwrap();
    assert_eq!((kind, numbers(proof)), (IncidentKind::Blackscreen, [0, 200, 500]));
}
