//! Searches the verdicts beside chunks: line by line, in bounded memory, one bucket at a time where asked to sum up.

use std::ops::ControlFlow;

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Result},
    media::verdicts::{FrameLine, Scanned, scan_from, seek},
    storage::{
        DeviceIndex, Volume,
        layout::{ChunkKey, Sibling},
        siblings,
    },
};

/// Read of one file: 100,000 frames of 10 minutes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Gives the lines beside a chunk to `each`, as written: all of `from` or later, and some before. None there is no error.
/// Blocks: for reader threads only.
pub fn lines(
    volume: &Volume,
    index: &DeviceIndex,
    key: ChunkKey,
    from: Utc90k,
    each: &mut dyn FnMut(FrameLine) -> ControlFlow<()>,
) -> Result<Scanned> {
    let Some(file) = siblings::open(volume, index, Sibling::Metadata, key)? else { return Ok(Scanned::default()) };
    let reading = |source| Error::io("reading", key.file_name(), source);
    let len = file.metadata().map_err(reading)?.len().min(FILE_BYTES_MAX);
    let start = seek(&file, len, from).map_err(reading)?;
    scan_from(&file, start, len, each).map_err(reading)
}

/// The worst of the frames of each step of time: bad when one of them was, good when none was and one was good, unknown
/// otherwise. Steps are anchored to 1970.
#[derive(Debug)]
pub struct Steps {
    step_90k: i64,
    open: Option<Step>,
}

/// One step, or one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub start: Utc90k,
    /// Frames that it sums up.
    pub frames: u32,
    pub worst: FrameLine,
}

impl Steps {
    /// 0: every frame stands for itself.
    pub fn of_seconds(seconds: u32) -> Self {
        Self { step_90k: i64::from(seconds) * TICKS_PER_SECOND, open: None }
    }

    /// The step before, once a frame of another one comes.
    pub fn push(&mut self, line: FrameLine) -> Option<Step> {
        let at = line.at();
        if self.step_90k == 0 {
            return Some(Step { start: at, frames: 1, worst: line });
        }
        let start = Utc90k(at.0.div_euclid(self.step_90k) * self.step_90k);
        if let Some(open) = self.open.as_mut().filter(|open| open.start == start) {
            open.frames += 1;
            join(&mut open.worst, &line);
            return None;
        }
        self.open.replace(Step { start, frames: 1, worst: line })
    }

    /// The last step.
    pub fn finish(&mut self) -> Option<Step> {
        self.open.take()
    }
}

/// The worse of both into the first.
fn join(worst: &mut FrameLine, line: &FrameLine) {
    // `bad`: the word for it.
    let verdict = |a: Option<bool>, b: Option<bool>, bad: bool| {
        if a == Some(bad) || b == Some(bad) { Some(bad) } else { a.or(b) }
    };
    let pick = |a: Option<f32>, b: Option<f32>, choose: fn(f32, f32) -> f32| match (a, b) {
        (Some(a), Some(b)) => Some(choose(a, b)),
        (a, b) => a.or(b),
    };
    worst.black = verdict(worst.black, line.black, true);
    worst.black_pct = pick(worst.black_pct, line.black_pct, f32::max);
    worst.freeze = verdict(worst.freeze, line.freeze, true);
    worst.freeze_diff = pick(worst.freeze_diff, line.freeze_diff, f32::min);
    worst.audio = verdict(worst.audio, line.audio, false);
    worst.mean_volume_db = pick(worst.mean_volume_db, line.mean_volume_db, f32::min);
    worst.volume_percentage = worst.volume_percentage.into_iter().chain(line.volume_percentage).min();
    worst.no_signal |= line.no_signal;
    worst.skipped = worst.skipped.saturating_add(line.skipped);
}

/// What is asked for; every condition that is given must hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    pub black: Option<bool>,
    pub freeze: Option<bool>,
    pub silence: Option<bool>,
}

impl Filter {
    pub fn takes(&self, line: &FrameLine) -> bool {
        let holds = |wanted: Option<bool>, found: Option<bool>| wanted.is_none() || wanted == found;
        holds(self.black, line.black)
            && holds(self.freeze, line.freeze)
            && holds(self.silence, line.audio.map(|audio| !audio))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ms: i64, black: Option<bool>, audio: Option<bool>, db: f32) -> FrameLine {
        FrameLine { black, audio, mean_volume_db: Some(db), ..FrameLine::new(Utc90k::from_ms(ms), 1) }
    }

    #[test]
    fn a_step_tells_the_worst_of_its_frames() {
        let frames = [
            line(1_000, None, Some(true), -20.0),
            line(1_900, Some(false), Some(false), -70.0),
            line(2_100, Some(true), None, -30.0),
            line(2_200, Some(false), None, -10.0),
            line(9_000, None, None, 0.0),
        ];
        let steps_of = |seconds| {
            let mut steps = Steps::of_seconds(seconds);
            let mut all: Vec<Step> = frames.iter().filter_map(|line| steps.push(line.clone())).collect();
            all.extend(steps.finish());
            let told = |step: &Step| {
                (step.start.as_ms(), step.frames, step.worst.black, step.worst.audio, step.worst.mean_volume_db)
            };
            all.iter().map(told).collect::<Vec<_>>()
        };
        let expected = [
            (1000, 2, Some(false), Some(false), Some(-70.0)),
            (2000, 2, Some(true), None, Some(-30.0)),
            (9000, 1, None, None, Some(0.0)),
        ];
        assert_eq!(steps_of(1), expected);
        assert_eq!(steps_of(10), [(0, 5, Some(true), Some(false), Some(-70.0))]);
        assert_eq!(steps_of(0).len(), 5);
    }

    #[test]
    fn conditions_all_hold_and_unknown_meets_none() {
        let check = |black, silence, line: &FrameLine| Filter { black, silence, freeze: None }.takes(line);
        let bad = line(0, Some(true), Some(false), 0.0);
        assert!(check(None, None, &bad) && check(Some(true), Some(true), &bad));
        assert!(!check(Some(true), Some(false), &bad) && !check(Some(false), None, &bad));
        let unknown = line(0, None, None, 0.0);
        assert!(!check(Some(true), None, &unknown) && !check(Some(false), None, &unknown));
        assert!(!check(None, Some(true), &unknown) && !check(None, Some(false), &unknown));
    }
}
