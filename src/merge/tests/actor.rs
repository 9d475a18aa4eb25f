//! The actor on its own system: it commits in time, waits for a stalled disk without blocking, and hands over.

use actix::Actor;

use super::*;
use crate::{
    clock::Clock,
    merge::merger_actor::{CommitNow, MergerActor, SegmentArrived},
    storage::{Effect, Gate, Op},
};

/// Waits for something that happens on another thread.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Clock::system().mono() + Duration::from_secs(20);
    while !done() {
        assert!(Clock::system().mono() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn on_a_system(test: impl AsyncFnOnce()) {
    actix::System::new().block_on(test());
}

#[test]
fn waiting_segments_are_committed_when_their_time_has_come() {
    let clip = Clip::h264_aac(4);
    on_a_system(async || {
        let bench = Bench::new(600, 60);
        let (parts, _) = bench.daemon.clone().unwrap();
        let actor = MergerActor::new(parts.clone()).start();
        until("recovery", || parts.cell.status().recovered && !parts.cell.is_busy()).await;
        for (number, ts) in clip.segments.iter().enumerate() {
            bench.arrive(key(1, number as u64), ts);
        }
        actor.send(SegmentArrived).await.unwrap();
        until("commit", || parts.hot.waiting_bytes() == 0).await;
        assert_eq!(bench.all_packets().video.len(), 100);
    });
}

#[test]
fn a_final_commit_resolves_when_it_is_durable() {
    let clip = Clip::h264_aac(3);
    on_a_system(async || {
        let bench = Bench::new(600, 60);
        let (parts, _) = bench.daemon.clone().unwrap();
        for (number, ts) in clip.segments.iter().enumerate() {
            bench.arrive(key(1, number as u64), ts);
        }
        let actor = MergerActor::new(parts.clone()).start();
        actor.send(CommitNow).await.unwrap().unwrap();
        assert_eq!((parts.hot.waiting_bytes(), bench.all_packets().video.len()), (0, 75));
    });
}

#[test]
fn a_stalled_disk_stalls_the_commit_and_not_the_actor() {
    let clip = Clip::h264_aac(4);
    on_a_system(async || {
        let bench = Bench::new(600, 60);
        let (parts, _) = bench.daemon.clone().unwrap();
        bench.job(Due::Start).unwrap();
        let offset_90k = bench.offset_90k(&clip);
        let gate = Gate::closed();
        parts.volume.faults().arm(Op::SyncFile, 0, 1, Effect::Stall(gate.clone()));
        let first = MergerActor::new(parts.clone()).start();
        for (number, ts) in clip.segments.iter().enumerate() {
            bench.arrive(key(1, number as u64), ts);
            first.send(SegmentArrived).await.unwrap();
        }
        until("a job", || parts.cell.is_busy()).await;
        // The actor still answers, and so does its successor, which must not merge the same segments again.
        first.send(SegmentArrived).await.unwrap();
        let second = MergerActor::new(parts.clone()).start();
        let last = second.send(CommitNow);
        second.send(SegmentArrived).await.unwrap();
        assert!(parts.cell.is_busy() && parts.hot.waiting_bytes() > 0);
        gate.open();
        last.await.unwrap().unwrap();
        bench.assert_exactly_once(&clip, offset_90k);
        assert_eq!(bench.chunks().len(), 1);
    });
}
