//! The runner: what it takes, what holds it, what it remembers, how it ends.

mod doctor;
mod tuned;

use std::{os::unix::process::CommandExt, process::Command, sync::Arc, time::Duration};

use super::rig::{DAY, NOW, Rig, device};
use crate::{
    clock::Utc90k,
    config::Transcode,
    error::Kind,
    storage::{ChunkEntry, Effect, Op, Pin, Pins, layout::Companion, library},
    transcode::{Failure, Reason, State},
};

fn fails(reason: Reason) -> Option<Result<super::super::Made, Failure>> {
    Some(Err(Failure { reason, message: "as told".into() }))
}

fn generations(rig: &Rig) -> Vec<u32> {
    rig.disk.index.snapshot().iter().map(|chunk| chunk.key.generation).collect()
}

#[test]
fn the_oldest_goes_first_and_the_books_survive_a_restart() {
    let rig = Rig::new();
    let chunks = [20, 9, 2].map(|days| rig.disk.record(days));
    assert_eq!((rig.turn(), generations(&rig)), (1, vec![1, 0, 0]));
    assert_eq!((rig.turn(), generations(&rig)), (2, vec![1, 1, 0]));
    assert_eq!((rig.turn(), rig.gate()), (2, "idle"), "the third is too young");
    let told = rig.runner.stats().unwrap();
    assert_eq!((told.files_transcoded, told.files_failed, told.total_original), (2, 0, 2 * chunks[0].bytes));
    assert_eq!(told.space_saved, told.total_original - told.total_transcoded);
    assert_eq!((told.status.originals.count, told.status.state), (2, State::Waiting));
    assert_eq!(told.last_transcoded.as_deref(), Some("2026-11-20T03:50:00.000Z"));
    let text = rig.metrics.render();
    for line in ["capstan_transcode_files_total 2", "capstan_transcode_gate{gate=\"idle\"} 1"] {
        assert!(text.contains(line), "{line}");
    }

    let rig = rig.restart();
    rig.turn();
    let again = rig.runner.stats().unwrap();
    assert_eq!((again.files_transcoded, again.total_transcoded), (2, told.total_transcoded));
    rig.advance(5 * DAY);
    assert_eq!(rig.turn(), 3, "now it is old enough");
}

#[test]
fn what_fails_for_good_is_not_tried_again_even_after_a_restart() {
    let rig = Rig::new();
    rig.disk.record(9);
    rig.next_job(|_, _| fails(Reason::Savings));
    assert_eq!(rig.turn(), 1);
    let rig = rig.restart();
    assert_eq!((rig.turn(), rig.gate()), (1, "idle"));
    let told = rig.runner.stats().unwrap();
    assert_eq!((told.files_failed, told.errors.get("savings")), (1, Some(&1)));
    assert_eq!(rig.disk.names(&rig.disk.index.snapshot()[0]).len(), 1, "nothing is left");

    // Somebody names it: once more. Another file in its place is another input.
    let file = rig.disk.path(&rig.disk.index.snapshot()[0]);
    rig.next_job(|_, _| fails(Reason::Structure));
    rig.runner.ask_file(&file).unwrap();
    assert_eq!((rig.turn(), rig.turn()), (2, 2));
    let chunk = rig.disk.index.snapshot()[0].as_ref().clone();
    rig.disk.index.put(ChunkEntry { bytes: chunk.bytes + 1, ..chunk });
    rig.next_job(|_, _| fails(Reason::Cancelled));
    assert_eq!(rig.turn(), 3);
}

#[test]
fn what_may_go_well_another_time_is_tried_again_and_what_is_always_late_is_not() {
    for (reason, tries) in [(Reason::Cancelled, 6), (Reason::Full, 6), (Reason::Disk, 6), (Reason::Time, 3)] {
        let rig = Rig::new();
        rig.disk.record(9);
        for _ in 0..6 {
            rig.next_job(move |_, _| fails(reason));
        }
        let begun: Vec<_> = (0..6).map(|_| rig.turn()).collect();
        assert_eq!(begun.last(), Some(&tries), "{reason:?}");
    }
}

#[test]
fn a_panic_of_the_encoder_costs_one_file() {
    let rig = Rig::new();
    rig.disk.record(9);
    rig.disk.record(8);
    rig.next_job(|_, _| panic!("a defect"));
    assert_eq!((rig.turn(), rig.turn(), generations(&rig)), (1, 2, vec![0, 1]));
    assert_eq!(rig.runner.stats().unwrap().errors.get("encoder"), Some(&1));
    let first = rig.disk.index.snapshot()[0].clone();
    assert!(!rig.disk.volume.exists(&Companion::Successor.beside(&rig.disk.path(&first))));
}

#[test]
fn a_source_that_goes_meanwhile_takes_its_successor_with_it() {
    // Its file alone; and by the cleaner's hand, with all that lies beside it.
    for by_cleaner in [false, true] {
        let rig = Rig::new();
        let source = rig.disk.record(9);
        let (index, volume, path) = (rig.disk.index.clone(), rig.disk.volume.clone(), rig.disk.path(&source));
        rig.next_job(move |job, _| {
            let _ring = index.hold_ring();
            let taken = index.forget(&job.source.key).unwrap();
            match by_cleaner {
                true => library::remove(&volume, index.device(), &taken).unwrap(),
                false => volume.unlink(&path).unwrap(),
            }
            None
        });
        assert_eq!(rig.turn(), 1);
        let folder = rig.disk.folder.path().join(rig.disk.path(&source));
        let left = std::fs::read_dir(folder.parent().unwrap()).map_or(0, Iterator::count);
        assert_eq!((left, generations(&rig)), (0, vec![]), "by the cleaner: {by_cleaner}");
        let told = rig.runner.stats().unwrap();
        assert_eq!((told.files_transcoded, told.files_failed), (0, 0), "no error of anybody's");
    }
}

#[test]
fn a_damaged_source_is_left_alone_and_told_once() {
    let rig = Rig::new();
    let source = rig.disk.record(9);
    rig.next_job(|_, _| fails(Reason::Source));
    let told = |rig: &Rig| {
        let label = crate::telemetry::ReasonLabel { reason: "source" };
        rig.metrics.transcode.failures.get_or_create_owned(&label).get()
    };
    assert_eq!((rig.turn(), rig.turn(), rig.turn(), told(&rig)), (1, 1, 1, 1));
    let rig = rig.restart();
    rig.advance(2 * DAY);
    assert_eq!((rig.turn(), told(&rig)), (1, 1), "nor after a restart, days later");
    assert_eq!(rig.disk.names(&source).len(), 1);
    assert_eq!(rig.runner.stats().unwrap().errors.get("source"), Some(&1));
}

#[test]
fn a_range_pinned_as_recorded_stays_also_when_the_pin_comes_late() {
    let rig = Rig::new();
    let source = rig.disk.record(9);
    let pin = Pin {
        id: 1,
        device: device(),
        start: source.start,
        end: source.end,
        until: None,
        original: true,
        why: String::new(),
        by: String::new(),
        created: NOW,
    };
    let (pins, all) = (rig.pins.clone(), Some(Arc::new(Pins::new(vec![pin]))));
    let late = all.clone();
    rig.next_job(move |_, _| {
        pins.store(Arc::new(late));
        None
    });
    assert_eq!((rig.turn(), generations(&rig)), (1, vec![0]));
    assert_eq!(rig.disk.names(&source).len(), 1);
    assert_eq!((rig.turn(), rig.gate()), (1, "idle"));
    assert_eq!(rig.runner.ask_file(&rig.disk.path(&source)).unwrap_err().kind, Kind::Conflict);
    // Nobody knows what must stay: nothing is touched.
    rig.pins.store(Arc::new(None));
    assert_eq!((rig.turn(), rig.gate()), (1, "database"));
    // And a kept original under a pin does not run out.
    rig.pins.store(Arc::new(Some(Arc::default())));
    rig.turn();
    assert_eq!(generations(&rig), [1]);
    rig.pins.store(Arc::new(all));
    rig.advance(2 * DAY);
    rig.turn();
    assert_eq!(rig.runner.status().originals.count, 1);
    rig.pins.store(Arc::new(Some(Arc::default())));
    rig.advance(3600);
    rig.turn();
    assert_eq!(rig.runner.status().originals.count, 0);
}

#[test]
fn originals_run_out_by_a_clock_that_no_step_hurries() {
    let rig = Rig::with(|settings| settings.keep_original_days = 1.0);
    rig.disk.record(9);
    rig.turn();
    let kept = |rig: &Rig| {
        rig.turn();
        rig.runner.status().originals.count
    };
    let wall = |rig: &Rig| rig.manual.clock().wall();
    rig.manual.step_wall(wall(&rig) + (30 * DAY * 90_000) as i64);
    rig.advance(3600);
    assert_eq!(kept(&rig), 1, "a month ahead");
    rig.manual.step_wall(Utc90k::from_seconds(100));
    rig.advance(3600);
    assert_eq!(kept(&rig), 1, "in 1970");
    rig.manual.step_wall(NOW + 2 * 3600 * 90_000);
    rig.advance(21 * 3600);
    assert_eq!(kept(&rig), 1);
    rig.advance(3600 * 2);
    assert_eq!(kept(&rig), 0);
    assert_eq!(generations(&rig), [1]);
}

#[test]
fn the_switch_outlives_the_daemon_and_lets_the_running_file_finish() {
    let rig = Rig::new();
    rig.disk.record(9);
    rig.disk.record(8);
    rig.turn();
    let runner = rig.runner.clone();
    rig.disk.record(10);
    rig.next_job(move |_, control| {
        runner.set_enabled(false).unwrap();
        assert!(!control.is_cancelled());
        None
    });
    assert_eq!((rig.turn(), generations(&rig)), (2, vec![1, 1, 0]), "what ran was finished");
    assert_eq!((rig.turn(), rig.gate(), rig.runner.status().state), (2, "disabled", State::Disabled));
    let rig = rig.restart();
    assert_eq!((rig.turn(), rig.gate()), (2, "disabled"));
    assert_eq!(rig.runner.ask_all(true).unwrap_err().kind, Kind::Conflict);
    rig.runner.set_enabled(true).unwrap();
    assert_eq!(rig.turn(), 3);
}

#[test]
fn without_its_database_nothing_is_begun() {
    let rig = Rig::new();
    rig.disk.record(9);
    rig.disk.record(8);
    rig.next_job(|_, _| fails(Reason::Frames));
    // The disk takes nothing while the first one fails: that must not be forgotten.
    rig.next_job(|_, _| None);
    let (_, path) = (rig.turn(), rig.disk.folder.path().join("capstan.db"));
    assert!(path.exists());
    rig.registry.finish();
    rig.disk.record(10);
    rig.next_job(|_, _| fails(Reason::Frames));
    assert_eq!((rig.turn(), rig.turn()), (2, 2), "the failure that could not be written down holds all");
    assert_eq!(rig.gate(), "database");
}

#[test]
fn gates_hold_the_next_file_and_say_why() {
    let hold = |change: fn(&mut Transcode), machine: fn(&Rig), gate: &str| {
        let rig = Rig::with(change);
        rig.disk.record(9);
        machine(&rig);
        assert_eq!((rig.turn(), rig.gate()), (0, gate));
        rig
    };
    let rig = hold(|_| {}, |rig| rig.foreign_cpu(40.0), "cpu");
    assert_eq!(rig.runner.status().detail.as_deref(), Some("others take 40 % of the processor"));
    rig.foreign_cpu(5.0);
    assert_eq!(rig.turn(), 0, "not calm yet");
    rig.advance(5);
    assert_eq!(rig.turn(), 1);

    let rig = hold(|_| {}, |rig| *rig.recorders.lock().unwrap() = Some("cam is degraded".into()), "recorder");
    assert_eq!(rig.runner.status().detail.as_deref(), Some("cam is degraded"));
    hold(|settings| settings.min_free_space_gb = 1e6, |_| {}, "space");
    hold(|settings| settings.enabled = false, |_| {}, "disabled");

    let rig = hold(|settings| settings.run_schedule = "05:00-06:00".into(), |_| {}, "schedule");
    assert_eq!(rig.runner.status().next_run.as_deref(), Some("2026-11-20T05:00:00.000Z"));
    rig.advance(70 * 60);
    assert_eq!(rig.turn(), 1);
}

#[test]
fn a_budget_of_writes_is_of_a_day() {
    let rig = Rig::with(|settings| settings.max_write_bytes_per_day = 1_900_000);
    rig.disk.record(9);
    rig.disk.record(8);
    assert_eq!((rig.turn(), rig.turn(), rig.gate()), (1, 1, "write_budget"));
    // In the books over a restart; the next day has its own.
    let rig = rig.restart();
    assert_eq!((rig.turn(), rig.gate()), (1, "write_budget"));
    assert!(rig.runner.stats().unwrap().written_today_bytes > 500_000);
    rig.advance(DAY);
    assert_eq!(rig.turn(), 2);
}

#[test]
fn a_job_that_fails_is_charged_with_what_it_wrote() {
    let written = |fails_after: Option<u64>| {
        let rig = Rig::new();
        rig.disk.record(9);
        if let Some(bytes) = fails_after {
            rig.next_job(move |_, control| {
                control.wrote(bytes);
                fails(Reason::Decode)
            });
        }
        assert_eq!(rig.turn(), 1);
        let told = rig.runner.stats().unwrap().written_today_bytes;
        assert_eq!(rig.metrics.transcode.written_bytes.get(), told);
        let rig = rig.restart();
        rig.turn();
        assert_eq!(rig.runner.stats().unwrap().written_today_bytes, told);
        told
    };
    let whole = written(None);
    assert!(whole > 0);
    assert_eq!((written(Some(0)), written(Some(1000))), (whole, whole + 1000));
}

#[test]
fn rests_are_as_long_as_they_are_set() {
    let rig = Rig::with(|settings| {
        (settings.pause_between_seconds, settings.error_pause_seconds, settings.idle_seconds) = (60, 300, 3600);
    });
    rig.disk.record(9);
    rig.disk.record(8);
    rig.next_job(|_, _| None);
    rig.next_job(|_, _| fails(Reason::Encoder));
    let after = |seconds: u64| {
        rig.advance(seconds);
        (rig.turn(), rig.gate())
    };
    assert_eq!(after(0), (1, "open"));
    assert_eq!(after(59), (1, "pause"));
    assert_eq!(rig.runner.status().next_run.as_deref(), Some("2026-11-20T03:51:00.000Z"));
    assert_eq!(after(1), (2, "open"));
    assert_eq!(after(299), (2, "error_pause"));
    assert_eq!(after(1), (2, "idle"));
    rig.disk.record(10);
    assert_eq!(after(3599), (2, "idle"));
    assert_eq!(after(1).0, 3);
    // A person waits for no rest.
    let young = rig.disk.record(1);
    rig.runner.ask_file(&rig.disk.path(&young)).unwrap();
    assert_eq!(after(0).0, 4);
    assert_eq!(rig.runner.status().queued, 0);
}

#[test]
fn without_an_encoder_no_file_is_blamed() {
    let rig = Rig::with(|settings| settings.error_pause_seconds = 300);
    rig.disk.record(9);
    *rig.encode.broken.lock().unwrap() = Some("no HEVC encoder of ffmpeg works on this machine".into());
    assert_eq!((rig.turn(), rig.gate()), (0, "encoder"));
    assert!(rig.runner.status().detail.is_some_and(|why| why.contains("no HEVC encoder")));
    *rig.encode.broken.lock().unwrap() = None;
    rig.advance(299);
    assert_eq!((rig.turn(), rig.gate()), (0, "encoder"), "it is tried out now and then only");
    rig.advance(1);
    assert_eq!((rig.turn(), rig.gate()), (1, "open"));
}

#[test]
fn all_by_force_takes_the_young_at_noon_and_no_more_than_the_machine_gives() {
    let rig = Rig::with(|settings| settings.run_schedule = "12:00-13:00".into());
    rig.disk.record(3);
    rig.disk.record(2);
    assert_eq!((rig.turn(), rig.gate()), (0, "schedule"));
    rig.runner.ask_all(false).unwrap();
    assert_eq!(rig.turn(), 0, "without force the time of day counts");
    rig.runner.ask_all(true).unwrap();
    rig.foreign_cpu(90.0);
    assert_eq!((rig.turn(), rig.gate()), (0, "cpu"));
    rig.foreign_cpu(0.0);
    rig.advance(6);
    rig.turn();
    rig.advance(6);
    assert_eq!((rig.turn(), rig.turn(), rig.turn()), (1, 2, 2));
    assert_eq!((generations(&rig), rig.runner.status().forced), (vec![1, 1], false));
    rig.disk.record(4);
    rig.turn();
    assert_eq!((rig.turn(), rig.gate()), (2, "schedule"), "all was all that there were");
}

#[test]
fn what_was_rolled_back_stays_as_recorded() {
    let rig = Rig::new();
    let source = rig.disk.record(9);
    let file = rig.disk.path(&source);
    rig.turn();
    assert_eq!(rig.runner.roll_back(&file.with_file_name("none.mp4")).unwrap_err().kind, Kind::NotFound);
    let back = rig.runner.roll_back(&rig.disk.folder.path().join(&file)).unwrap();
    assert_eq!((back.bytes, back.chunk), (source.bytes, source.key.file_name()));
    assert_eq!((generations(&rig), rig.disk.names(&source).len()), (vec![0], 1));
    let restored = rig.disk.index.get(&source.key).unwrap();
    assert_eq!((restored.original, restored.place), (false, source.place));
    assert_eq!((rig.turn(), rig.runner.roll_back(&file).unwrap_err().kind), (1, Kind::NotFound));
    let told = rig.runner.stats().unwrap();
    assert_eq!((told.files_transcoded, told.files_rolled_back, told.space_saved), (0, 1, 0));
    let rig = rig.restart();
    assert_eq!((rig.turn(), generations(&rig)), (1, vec![0]));
}

/// A job whose process works until it is ended, as one that hangs does.
fn hang(rig: &Rig) {
    rig.next_job(|job, control| {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).process_group(0).spawn().unwrap();
        control.encodes(i32::try_from(child.id()).ok());
        child.wait().unwrap();
        control.encodes(None);
        assert!(control.is_cancelled());
        let _ = job.volume.unlink(&job.successor);
        fails(Reason::Cancelled)
    });
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("{what}: not within 20 s");
}

#[test]
fn a_job_that_is_held_too_long_is_given_up_and_one_at_the_end_of_its_window_at_once() {
    let rig = Rig::with(|settings| settings.run_schedule = "02:00-05:00".into());
    let source = rig.disk.record(9);
    hang(&rig);
    hang(&rig);
    rig.runner.steer();
    std::thread::scope(|scope| {
        let job = scope.spawn(|| rig.turn());
        until("it runs", || rig.runner.status().state == State::Running);
        rig.foreign_cpu(80.0);
        rig.runner.steer();
        let status = rig.runner.status();
        assert_eq!((status.state, status.gate.name()), (State::Paused, "cpu"));
        rig.advance(29 * 60);
        rig.runner.steer();
        assert!(!job.is_finished());
        assert_eq!(rig.runner.status().current.unwrap().paused_seconds, 29.0 * 60.0);
        rig.advance(60);
        rig.runner.steer();
        assert_eq!(job.join().unwrap(), 1);
    });
    assert_eq!(rig.runner.stats().unwrap().errors.get("time"), Some(&1));
    assert_eq!(rig.disk.names(&source).len(), 1);

    rig.foreign_cpu(0.0);
    rig.runner.steer();
    rig.advance(10);
    std::thread::scope(|scope| {
        let job = scope.spawn(|| rig.turn());
        until("it runs", || rig.runner.status().state == State::Running);
        // 05:00 has come, and the next window is tomorrow.
        rig.advance(45 * 60);
        rig.runner.steer();
        assert_eq!(job.join().unwrap(), 2);
    });
    assert_eq!(rig.runner.stats().unwrap().errors.get("time"), Some(&2));
}

#[test]
fn the_end_of_the_daemon_takes_the_running_file_away() {
    let rig = Rig::new();
    let source = rig.disk.record(9);
    hang(&rig);
    rig.runner.steer();
    std::thread::scope(|scope| {
        let job = scope.spawn(|| rig.turn());
        until("it runs", || rig.runner.is_running());
        rig.runner.abandon();
        assert!(rig.runner.wait_ended(Duration::from_secs(20)));
        assert_eq!(job.join().unwrap(), 1);
    });
    assert_eq!(rig.disk.names(&source).len(), 1);
    assert_eq!(rig.turn(), 1, "nothing is begun any more");
}
