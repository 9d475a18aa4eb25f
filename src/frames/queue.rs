//! One device's frames from their arrival to the verdict: the ring, the one job in flight, and who is told.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use slog::{Logger, debug};

use super::{
    Eyes, Frame, Hearing, Observation, Pool, RunClock, Seen, Witness,
    ring::{Ring, Taken, Waiting},
    run_clock::run_time_90k,
};
use crate::{
    clock::{Clock, Utc90k},
    config::Detect,
    error::{Error, Kind, Result},
    ids::{Epoch, SegmentKey},
    telemetry::DeviceMetrics,
};

/// Frames a job looks at before the next device's turn: 1 ms of work.
const BATCH: usize = 4;
/// A file that seems older was stamped by another clock.
const AGE_MAX: Duration = Duration::from_secs(10);

/// Looks at the frames of one device, in order.
pub trait Look: Send {
    /// Another run began.
    fn reset(&mut self);
    fn look(&mut self, at: Utc90k, jpeg: &[u8], detect: &Detect) -> Result<Seen>;
}

impl Look for Eyes {
    fn reset(&mut self) {
        Eyes::reset(self);
    }

    fn look(&mut self, at: Utc90k, jpeg: &[u8], detect: &Detect) -> Result<Seen> {
        Eyes::look(self, at, jpeg, detect)
    }
}

/// Fresh ones at the start and after each panic: what a panic left behind is not trusted.
pub type MakeEyes = Arc<dyn Fn() -> Box<dyn Look> + Send + Sync>;

pub struct FrameParts {
    pub clock: Clock,
    pub log: Logger,
    pub metrics: DeviceMetrics,
    pub pool: Pool,
    /// Frames that may wait.
    pub frames_max: usize,
    /// Read for each frame: it may change while we run.
    pub detect: Arc<ArcSwap<Detect>>,
    pub run_clock: Arc<RunClock>,
    pub hearing: Arc<Hearing>,
    pub eyes: MakeEyes,
    pub witnesses: Vec<Witness>,
}

/// Owned by the device: a job in flight and the frames that wait do not care which actor asked for them.
pub struct FrameQueue {
    parts: FrameParts,
    ring: Ring,
    /// A job is in the pool.
    busy: AtomicBool,
    looking: Mutex<Looking>,
}

struct Looking {
    eyes: Box<dyn Look>,
    epoch: Option<Epoch>,
}

impl FrameQueue {
    pub fn new(parts: FrameParts) -> Arc<Self> {
        let looking = Mutex::new(Looking { eyes: (parts.eyes)(), epoch: None });
        Arc::new(Self { ring: Ring::new(parts.frames_max), busy: AtomicBool::new(false), looking, parts })
    }

    /// A thumbnail is in its place, its file complete since `arrived`. None: it could not be read, or is no thumbnail.
    pub fn arrived(&self, key: SegmentKey, arrived: Utc90k, jpeg: Option<Bytes>) {
        let parts = &self.parts;
        if self.ring.last().is_some_and(|last| key <= last) {
            return;
        }
        let at = parts.run_clock.picture(key, arrived);
        let Some(jpeg) = jpeg else {
            parts.metrics.frames_failed.inc();
            return self.ring.miss(key, at);
        };
        let age_then = parts.clock.wall() - arrived;
        let age_then = Duration::from_micros(u64::try_from(age_then).unwrap_or(0) * 100 / 9);
        let age_then = if age_then > AGE_MAX { Duration::ZERO } else { age_then };
        let frame = Frame { key, at, seen: parts.clock.mono(), jpeg };
        let dropped = self.ring.push(Waiting { frame, age_then }).unwrap_or(0);
        parts.metrics.frames_dropped.inc_by(dropped);
        self.account();
    }

    /// Thumbnails that came unnoticed and are too many to be read now.
    pub fn unnoticed(&self, keys: &[SegmentKey], arrived: Utc90k) {
        let last = self.ring.last();
        for key in keys.iter().filter(|key| last.is_none_or(|last| **key > last)) {
            self.ring.miss(*key, self.parts.run_clock.picture(*key, arrived));
            self.parts.metrics.frames_skipped.inc();
        }
    }

    /// The newest thumbnail that was told.
    pub fn last(&self) -> Option<SegmentKey> {
        self.ring.last()
    }

    pub fn run_clock(&self) -> &RunClock {
        &self.parts.run_clock
    }

    /// Frames that wait are looked at, unless that goes on already.
    pub fn start(self: &Arc<Self>) {
        if self.ring.depth() > 0 && !self.busy.swap(true, Ordering::AcqRel) {
            self.submit();
        }
    }

    fn submit(self: &Arc<Self>) {
        let queue = Arc::clone(self);
        self.parts.pool.spawn(move || queue.work());
    }

    fn work(self: &Arc<Self>) {
        for _ in 0..BATCH {
            let Some(taken) = self.ring.take(self.parts.clock.mono()) else { break };
            self.look(taken);
        }
        if self.ring.depth() > 0 {
            return self.submit();
        }
        self.busy.store(false, Ordering::Release);
        // A frame that came between the two lines found us busy.
        self.start();
    }

    fn look(&self, taken: Taken) {
        let parts = &self.parts;
        let Taken { waiting: Waiting { frame, age_then }, missed, skipped } = taken;
        parts.metrics.frames_skipped.inc_by(skipped);
        self.account();
        let detect = parts.detect.load_full();
        let seen = self.see(&frame, &detect).unwrap_or_else(|error| {
            parts.metrics.frames_failed.inc();
            debug!(parts.log, "frame cannot be looked at"; "frame" => frame.key.number, "error" => %error);
            Seen::default()
        });
        let Seen { black, black_percent, freeze, still_since, freeze_diff, no_signal } = seen;
        let observation = Observation {
            key: frame.key,
            at: frame.at,
            black,
            black_percent,
            freeze,
            still_since,
            freeze_diff,
            no_signal,
            sound: parts.hearing.around(frame.key.epoch, run_time_90k(frame.key), &detect),
            skipped: missed.count,
            skipped_from: missed.from,
        };
        for witness in &parts.witnesses {
            // One that panics (which the log tells) must not keep it from the others, nor end the device's turn.
            let _ = catch_unwind(AssertUnwindSafe(|| witness(&observation, &frame)));
        }
        let took = parts.clock.mono().since(frame.seen) + age_then;
        parts.metrics.analysis_seconds.observe(took.as_secs_f64());
    }

    fn see(&self, frame: &Frame, detect: &Detect) -> Result<Seen> {
        // Never contended: one job at a time.
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if looking.epoch.replace(frame.key.epoch) != Some(frame.key.epoch) {
            looking.eyes.reset();
        }
        let look = AssertUnwindSafe(|| looking.eyes.look(frame.at, &frame.jpeg, detect));
        let looked = catch_unwind(look);
        looked.unwrap_or_else(|_| {
            looking.eyes = (self.parts.eyes)();
            Err(Error::new(Kind::Internal, "a detector panicked"))
        })
    }

    fn account(&self) {
        self.parts.metrics.frame_queue_depth.set(i64::try_from(self.ring.depth()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests;
