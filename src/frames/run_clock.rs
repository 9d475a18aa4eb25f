//! When a picture was taken: ties the run time in its name to the wall clock, as the merger labels the recording.
//!
//! One offset a run ties pictures, sound and segments. The merger's is the one that counts, for it is what the footage
//! is labelled with; until its first job has told it, and between jobs, the same arithmetic runs here on each segment as
//! it arrives.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    capture::{PICTURE_TICKS_PER_SECOND, TS_OFFSET_90K},
    clock::{
        Clock, Mono, TICKS_PER_SECOND, Utc90k,
        anchor::{Anchor, StepWatch, Steps},
    },
    ids::{Epoch, SegmentKey},
    media::mpegts::Reference,
    storage::HotSegment,
};

/// A time base that falls by more was reset.
const BACKWARD_90K: i64 = TICKS_PER_SECOND;
/// While an estimate improves, times of pictures stand still rather than fall; by more they fall with the clock.
const HOLD_90K: i64 = TICKS_PER_SECOND;

/// One device's; outlives its actors.
pub struct RunClock {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    run: Option<Run>,
    steps: Steps,
    watch: StepWatch,
    stepped: Option<Mono>,
}

struct Run {
    epoch: Epoch,
    /// None before its first segment.
    anchor: Option<Anchor>,
    /// The merger has told an offset: it stands until it is proven wrong.
    merged: bool,
    /// By the pictures alone, until there is a segment.
    provisional_90k: i64,
    /// Where the last segment ended, unwrapped.
    end_90k: Option<i64>,
    /// The last picture's time.
    last: Option<Utc90k>,
}

impl RunClock {
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// A segment arrived.
    pub fn segment(&self, segment: &HotSegment) {
        let mut state = self.state();
        if let Some(step) = state.watch.look(&self.clock, segment.key) {
            state.steps.push(step);
            state.stepped = Some(self.clock.mono());
        }
        let Some((first, end)) = segment.pts_90k else { return };
        let State { run, steps, .. } = &mut *state;
        let Some(run) = Run::of(run, segment.key.epoch) else { return };
        let mut times = Reference::near(run.end_90k);
        let (first, end) = (times.unwrap(first.cast_unsigned()), times.unwrap(end.cast_unsigned()));
        let told = steps.relabel(segment.key, segment.arrived);
        let relabelled = told != segment.arrived;
        let candidate = told.0.saturating_sub(end);
        let before = run.end_90k.replace(end);
        let Some(anchor) = &mut run.anchor else {
            steps.start_run(segment.key, relabelled);
            run.anchor = Some(Anchor::new(candidate));
            return;
        };
        let delta = steps.explain(segment.key, relabelled, candidate.saturating_sub(anchor.offset_90k()));
        if before.is_some_and(|before| first < before.saturating_sub(BACKWARD_90K)) {
            anchor.restart(candidate);
            run.merged = false;
        } else if delta != 0 {
            anchor.restart(anchor.offset_90k().saturating_add(delta));
            anchor.observe(candidate);
        } else if anchor.observe(candidate) || !run.merged {
            anchor.adopt(anchor.estimate_90k());
        }
    }

    /// The merger's offset for the run of that segment, of a job that began then. A step of the clock that was noticed
    /// since is not in it: the next job's will have it.
    pub fn merged(&self, key: SegmentKey, offset_90k: i64, began: Mono) {
        let mut state = self.state();
        if state.stepped.is_some_and(|at| at >= began) {
            return;
        }
        let Some(run) = Run::of(&mut state.run, key.epoch) else { return };
        run.anchor.get_or_insert_with(|| Anchor::new(offset_90k)).adopt(offset_90k);
        run.merged = true;
    }

    /// When the picture of that name was taken, which arrived then.
    pub fn picture(&self, key: SegmentKey, arrived: Utc90k) -> Utc90k {
        let mut state = self.state();
        // Of a run that is over: its time is nobody's any more.
        let Some(run) = Run::of(&mut state.run, key.epoch) else { return arrived };
        let pts_90k = run_time_90k(key).saturating_add(TS_OFFSET_90K);
        run.provisional_90k = run.provisional_90k.min(arrived.0.saturating_sub(pts_90k));
        let offset_90k = run.anchor.as_ref().map_or(run.provisional_90k, Anchor::offset_90k);
        let mut at = Utc90k(pts_90k) + offset_90k;
        if let Some(last) = run.last.filter(|last| at <= *last && *last - at < HOLD_90K) {
            at = last + 1;
        }
        run.last = Some(at);
        at
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// The run of that epoch; None when a later one has begun.
    fn of(run: &mut Option<Self>, epoch: Epoch) -> Option<&mut Self> {
        match run {
            Some(known) if known.epoch > epoch => return None,
            Some(known) if known.epoch == epoch => {}
            _ => {
                let (anchor, end_90k, last) = (None, None, None);
                *run = Some(Self { epoch, anchor, merged: false, provisional_90k: i64::MAX, end_90k, last });
            }
        }
        run.as_mut()
    }
}

/// Of a picture's name, from the start of its run.
pub fn run_time_90k(key: SegmentKey) -> i64 {
    let number = i64::try_from(key.number).unwrap_or(i64::MAX);
    number.saturating_mul(TICKS_PER_SECOND / PICTURE_TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    const S: i64 = TICKS_PER_SECOND;
    const START: Utc90k = Utc90k::from_seconds(1_790_000_000);

    fn key(epoch: u32, number: u64) -> SegmentKey {
        SegmentKey { epoch: Epoch(epoch), number }
    }

    /// A camera that began at [`START`]; its files take `delay_ms`.
    struct Camera {
        manual: ManualClock,
        clock: RunClock,
        epoch: u32,
        began: Utc90k,
        second: u64,
    }

    impl Camera {
        fn new() -> Self {
            let manual = ManualClock::at(START);
            let clock = RunClock::new(manual.clock());
            Self { manual, clock, epoch: 1, began: START, second: 0 }
        }

        fn wall(&self) -> Utc90k {
            self.manual.clock().wall()
        }

        /// A second passes and its segment comes `delay_ms` late; then a picture of the last moment.
        fn second(&mut self, delay_ms: i64) -> Utc90k {
            self.manual.advance(Duration::from_secs(1));
            let end = (self.second as i64 + 1) * S + TS_OFFSET_90K;
            self.clock.segment(&HotSegment {
                key: key(self.epoch, self.second),
                bytes: 1,
                arrived: self.wall() + delay_ms * 90,
                duration_90k: S,
                pts_90k: Some(((end - S) % (1 << 33), end % (1 << 33))),
                starts_with_sync: true,
            });
            self.second += 1;
            self.picture()
        }

        /// Of now, 50 ms later in its place.
        fn picture(&self) -> Utc90k {
            let number = self.second * PICTURE_TICKS_PER_SECOND as u64;
            self.clock.picture(key(self.epoch, number), self.wall() + 50 * 90)
        }

        /// How late the picture is labelled, in ms.
        fn late_ms(&self, at: Utc90k) -> i64 {
            (at - (self.began + self.second as i64 * S)) / 90
        }
    }

    #[test]
    fn the_least_delay_counts_until_the_merger_tells() {
        let mut camera = Camera::new();
        assert_eq!(camera.late_ms(camera.picture()), 50, "by its own arrival");
        let check = |camera: &mut Camera, delay_ms, expected_ms| {
            let at = camera.second(delay_ms);
            assert_eq!(camera.late_ms(at), expected_ms);
        };
        check(&mut camera, 200, 200);
        check(&mut camera, 80, 80);
        check(&mut camera, 300, 80);
        let offset_90k = START.0 - TS_OFFSET_90K + 60 * 90;
        camera.clock.merged(key(1, 2), offset_90k, camera.manual.clock().mono());
        check(&mut camera, 20, 60);
        check(&mut camera, 300, 60);
    }

    #[test]
    fn times_of_a_run_do_not_fall_while_the_estimate_improves() {
        let mut camera = Camera::new();
        let first = camera.second(400);
        let end = camera.second as i64 * S + TS_OFFSET_90K;
        camera.clock.merged(key(1, 0), camera.wall().0 - end, camera.manual.clock().mono());
        let second = camera.clock.picture(key(1, 120), camera.wall());
        assert_eq!(second - first, 1);
        assert_eq!(camera.clock.picture(key(1, 180), camera.wall()) - first, (800 - 400) * 90);
    }

    #[test]
    fn a_stepped_clock_moves_pictures_with_the_segment_that_shows_it() {
        for step in [3600 * S, -3600 * S] {
            let mut camera = Camera::new();
            camera.second(100);
            camera.second(100);
            camera.manual.step_wall(camera.wall() + step);
            let at = camera.second(100);
            assert_eq!(camera.late_ms(at), 100 + step / 90);
            let began = Mono::ZERO;
            camera.clock.merged(key(1, 1), START.0 - TS_OFFSET_90K, began);
            let at = camera.second(100);
            assert_eq!(camera.late_ms(at), 100 + step / 90, "a job from before the step knows nothing of it");
        }
    }

    #[test]
    fn a_new_run_begins_anew_and_an_old_one_says_nothing_more() {
        let mut camera = Camera::new();
        camera.second(100);
        (camera.epoch, camera.began, camera.second) = (2, camera.wall(), 0);
        assert_eq!(camera.late_ms(camera.picture()), 50);
        camera.clock.merged(key(1, 0), 0, camera.manual.clock().mono());
        let at = camera.second(70);
        assert_eq!(camera.late_ms(at), 70);
        let arrived = camera.wall();
        assert_eq!(camera.clock.picture(key(1, 500), arrived), arrived);
    }

    #[test]
    fn times_go_on_where_the_33_bits_of_the_segments_wrap() {
        let mut camera = Camera::new();
        camera.second = (1 << 33) / S as u64 - 3;
        camera.began = START + -(camera.second as i64 * S);
        for _ in 0..6 {
            let at = camera.second(100);
            assert_eq!(camera.late_ms(at), 100);
        }
    }
}
