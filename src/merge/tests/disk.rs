//! A disk that fails, fills, hangs, and a daemon that is killed: nothing lost, nothing twice.

use super::*;
use crate::storage::{Effect, Op};

/// Rounds of the loops here: a few in every test run, more in a soak.
fn rounds() -> u32 {
    std::env::var("CAPSTAN_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2)
}

/// Commits until it works, as the actor would.
fn commit_at_last(bench: &Bench) {
    let failures = (0..20).take_while(|_| bench.commit().is_err()).count();
    assert!(failures < 20, "{:?}", bench.commit());
}

fn hit(bench: &Bench, op: Op, nth: u32, errno: i32) {
    bench.volume().faults().arm(op, nth, 1, Effect::Fail(errno));
}

const OPS: [Op; 6] = [Op::Write, Op::SyncFile, Op::Link, Op::SyncDir, Op::Create, Op::Unlink];

#[test]
fn one_failure_anywhere_costs_nothing() {
    let clip = Clip::h264_aac(14);
    for round in 0..rounds() {
        for (op, errno) in OPS.into_iter().flat_map(|op| [(op, libc::EIO), (op, libc::ENOSPC)]) {
            let bench = Bench::new(10, 4);
            bench.job(Due::Start).unwrap();
            hit(&bench, op, round * if op == Op::Write { 3 } else { 1 }, errno);
            let offset_90k = bench.offset_90k(&clip);
            for (number, ts) in clip.segments.iter().enumerate() {
                bench.arrive(key(1, number as u64), ts);
                if number % 4 == 3 {
                    let _ = bench.commit();
                }
            }
            commit_at_last(&bench);
            bench.volume().faults().clear();
            commit_at_last(&bench);
            eprintln!("{op:?} {errno} {round}");
            bench.assert_exactly_once(&clip, offset_90k);
            assert_eq!(bench.parts().metrics.lost_corrupt.get(), 0.0);
        }
    }
}

#[test]
fn killed_at_any_operation_the_next_daemon_goes_on() {
    let clip = Clip::h264_aac(14);
    for round in 0..rounds() {
        for op in OPS {
            let mut bench = Bench::new(10, 4);
            let offset_90k = bench.offset_90k(&clip);
            // From the n-th operation on nothing reaches the disk: as if the process were gone.
            let strike = Effect::Fail(libc::EIO);
            bench.volume().faults().arm(op, round * if op == Op::Write { 3 } else { 1 }, u32::MAX, strike);
            let mut killed = false;
            for (number, ts) in clip.segments.iter().enumerate() {
                bench.arrive(key(1, number as u64), ts);
                if number % 4 == 3 && bench.commit().is_err() && !killed {
                    bench.restart();
                    killed = true;
                }
            }
            bench.restart();
            commit_at_last(&bench);
            eprintln!("{op:?} {round}");
            bench.assert_exactly_once(&clip, offset_90k);
        }
    }
}

#[test]
fn a_daemon_killed_between_commits_loses_and_doubles_nothing() {
    let clip = Clip::h264_aac(14);
    let mut bench = Bench::new(10, 4);
    let offset_90k = bench.offset_90k(&clip);
    for (number, ts) in clip.segments.iter().enumerate() {
        bench.arrive(key(1, number as u64), ts);
        if number % 2 == 1 {
            bench.commit().unwrap();
        }
        bench.restart();
    }
    bench.commit().unwrap();
    bench.assert_exactly_once(&clip, offset_90k);
    assert_eq!(bench.chunks().len(), 2, "the open chunk was continued each time");
    let found: Vec<String> = bench.chunks().iter().flat_map(|chunk| pictures(&bench.path(chunk))).collect();
    assert_eq!(found, pictures(clip.whole().path()));
}

#[test]
fn a_full_disk_asks_for_eviction_and_recording_goes_on() {
    let bench = Bench::new(600, 60);
    let clip = Clip::h264_aac(8);
    let offset_90k = bench.offset_90k(&clip);
    for (number, ts) in clip.segments.iter().enumerate() {
        bench.arrive(key(1, number as u64), ts);
        match number {
            1 => bench.commit().unwrap(),
            3 => {
                bench.volume().faults().arm(Op::Write, 1, u32::MAX, Effect::Fail(libc::ENOSPC));
                assert!(bench.commit().is_err());
                assert!(bench.evicted.load(Ordering::Relaxed) > 0);
                assert!(bench.commit().is_err());
                assert!(bench.parts().cell.status().error.is_some());
            }
            5 => bench.volume().faults().clear(),
            _ => {}
        }
    }
    bench.commit().unwrap();
    bench.assert_exactly_once(&clip, offset_90k);
    assert_eq!(bench.chunks().len(), 1, "a full disk is no reason for a part");
    assert_eq!((bench.parts().cell.status().failures, bench.parts().hot.waiting_bytes()), (0, 0));
}

#[test]
fn after_a_failed_sync_a_part_follows_and_the_file_is_sealed() {
    let bench = Bench::new(600, 60);
    let clip = Clip::h264_aac(8);
    let offset_90k = bench.offset_90k(&clip);
    for (number, ts) in clip.segments.iter().enumerate() {
        bench.arrive(key(1, number as u64), ts);
        if number == 3 {
            bench.commit().unwrap();
        }
    }
    hit(&bench, Op::SyncFile, 0, libc::EIO);
    assert!(bench.commit().is_err());
    assert_eq!(bench.parts().hot.waiting().len(), 4, "they wait again");
    bench.commit().unwrap();
    let chunks = bench.chunks();
    assert_eq!(chunks.iter().map(|chunk| chunk.sealed).collect::<Vec<_>>(), [true, false]);
    bench.assert_exactly_once(&clip, offset_90k);
}

#[test]
fn a_panicking_job_recovers_from_the_files() {
    let bench = Bench::new(600, 60);
    let clip = Clip::h264_aac(6);
    let offset_90k = bench.offset_90k(&clip);
    for (number, ts) in clip.segments.iter().enumerate() {
        bench.arrive(key(1, number as u64), ts);
        if number == 2 {
            bench.commit().unwrap();
            let (parts, token) = bench.daemon.clone().unwrap();
            let panicked = std::thread::spawn(move || {
                let _claim = parts.cell.claim(token).unwrap();
                panic!("on purpose");
            });
            assert!(panicked.join().is_err());
        }
    }
    bench.commit().unwrap();
    bench.assert_exactly_once(&clip, offset_90k);
    assert_eq!(bench.chunks().len(), 1);
}

#[test]
fn without_its_run_numbers_a_device_begins_above_those_on_disk() {
    let mut bench = Bench::new(10, 4);
    bench.record(70, &Clip::h264_aac(12), 4);
    bench.restart();
    let epochs = |bench: &Bench| bench.parts().epochs.next(None);
    assert!(epochs(&bench) > Epoch(70));
    let file = bench.cold_folder.path().join(bench.volume().layout().epoch(&device()));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "{").unwrap();
    bench.restart();
    assert!(epochs(&bench) > Epoch(70));
}
