//! What holds for any frames whatever.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Frame {
        seconds: f64,
        black: Option<bool>,
        freeze: Option<bool>,
        slate: Option<bool>,
        silent: Option<bool>,
        run: u32,
    },
    Tick {
        signal: Signal,
        age: f64,
    },
    Mute,
}

fn verdict() -> impl Strategy<Value = Option<bool>> {
    prop_oneof![4 => Just(Some(true)), 3 => Just(Some(false)), 1 => Just(None)]
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = prop_oneof![20 => 0.05..0.5, 5 => 0.5..15.0, 1 => 15.0..200.0, 1 => -100.0..0.0];
    let slate = prop_oneof![10 => Just(Some(false)), 2 => Just(Some(true)), 1 => Just(None)];
    let frame = (seconds, verdict(), verdict(), slate, verdict(), 1..3_u32).prop_map(
        |(seconds, black, freeze, slate, silent, run)| Step::Frame { seconds, black, freeze, slate, silent, run },
    );
    let signal = prop_oneof![Just(Signal::There), Just(Signal::Gone), Just(Signal::Starting)];
    let tick = (signal, 0.0..20.0).prop_map(|(signal, age)| Step::Tick { signal, age });
    prop_oneof![20 => frame, 3 => tick, 1 => Just(Step::Mute)]
}

/// What was told so far, by which each new change is judged.
#[derive(Default)]
struct Ledger {
    open: HashMap<IncidentKind, Incident>,
    ended: HashMap<String, Incident>,
    ids: HashSet<String>,
}

impl Ledger {
    fn take(&mut self, changes: Vec<Change>, detect: &Detect) {
        for Change { what, incident, proof, since } in changes {
            assert!(incident.start <= incident.last_bad, "{incident:?}");
            assert!(incident.end.is_none_or(|end| incident.last_bad <= end), "{incident:?}");
            assert_eq!(incident.id, Incident::id_of(&incident.device, incident.kind, incident.start));
            assert!(since >= incident.start);
            let before = match what {
                What::Opened => {
                    assert!(self.ids.insert(incident.id.clone()), "{} twice", incident.id);
                    self.open.insert(incident.kind, incident.clone())
                }
                What::Reopened => {
                    let ended = self.ended.remove(&incident.id).expect("was told");
                    let gap = (since - ended.end.unwrap()) as f64 / 90_000.0;
                    assert!((0.0..=f64::from(detect.join_gap_seconds) + 0.01).contains(&gap), "{gap}");
                    self.open.insert(incident.kind, incident.clone())
                }
                What::Worse => {
                    let before = self.open.insert(incident.kind, incident.clone()).expect("is open");
                    assert!(incident.severity > before.severity && incident.start == before.start);
                    continue;
                }
                What::Closed => {
                    assert!(incident.end.is_some());
                    self.ended.insert(incident.id.clone(), incident.clone());
                    assert!(self.open.remove(&incident.kind).is_some_and(|before| before.id == incident.id));
                    continue;
                }
            };
            assert!(before.is_none() && incident.end.is_none(), "two of one kind");
            if let Some(proof) = proof {
                assert!(proof.worst.badness >= proof.first.badness.max(proof.last.badness));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incidents_are_well_formed_whatever_is_seen(
        steps in prop::collection::vec(step(), 1..300), times in (0.0..5.0_f32, 0.0..3.0_f32, 0.0..8.0_f32),
    ) {
        let detect = Detect {
            open_after_seconds: times.0,
            close_after_seconds: times.1,
            join_gap_seconds: times.2,
            ..Detect::default()
        };
        let (mut state, mut ledger, mut now) = (State::new(owner()), Ledger::default(), 0.0);
        for step in steps {
            let changes = match step {
                Step::Frame { seconds, black, freeze, slate, silent, run } => {
                    now += seconds;
                    let mut seen = Observation { black, freeze, no_signal: slate, ..frame(now, run) };
                    seen.sound.silent = silent;
                    state.observe(&seen, &detect)
                }
                Step::Tick { signal, age } => state.tick(at(now), Some(at(now - age)), signal, &detect),
                Step::Mute => state.mute(at(now)),
            };
            ledger.take(changes, &detect);
            let open: HashMap<_, _> = state.open().map(|incident| (incident.kind, incident.id.clone())).collect();
            let told: HashMap<_, _> = ledger.open.iter().map(|(kind, told)| (*kind, told.id.clone())).collect();
            prop_assert_eq!(open, told, "what is open is what was told");
            prop_assert!(!(ledger.open.contains_key(&IncidentKind::SignalLost) && state.proofs().count() > 4));
        }
    }

    #[test]
    fn what_is_unknown_opens_nothing(gaps in prop::collection::vec(0.05..30.0_f64, 1..200)) {
        let (mut state, mut now) = (State::new(owner()), 0.0);
        for gap in gaps {
            now += gap;
            prop_assert!(state.observe(&letter(now, '?'), &Detect::default()).is_empty());
        }
    }

    /// Trouble shorter than `open_after` is never told, however often it comes.
    #[test]
    fn glitches_open_nothing(bad in prop::collection::vec((1..=9_u32, 1..10_u32), 1..60)) {
        let mut run = Run::new();
        for (bad, good) in bad {
            run.play(&format!("b{bad} .{good} f{bad} .{good} s{bad} .{good}"), 0.2);
        }
        prop_assert_eq!(run.done(), Vec::<String>::new());
    }
}
