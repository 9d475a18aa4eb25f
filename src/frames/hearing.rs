//! What was heard around a picture: the decoded sound of a run, put on the run's time.
//!
//! Raw samples carry no time, but FFmpeg fills and trims them (`aresample=async`), so sample `n` of a run is the sound of
//! run time `n` / 16 000 s; measured within 0.1 s. Sound that stops leaves no samples: then nothing is known.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Sound,
    loudness::{Loudness, WINDOW_90K, sound},
};
use crate::{clock::TICKS_PER_SECOND, config::Detect, ids::Epoch};

/// 16 kHz mono s16le.
const BYTES_PER_SECOND: usize = 32_000;
/// 4 s: twice what sound may be late. When nobody listens for longer, the oldest goes.
const PCM_BYTES_MAX: usize = 4 * BYTES_PER_SECOND;
/// 10 s, so that frames that waited are still judged by the sound of their own time.
const LEVELS_MAX: usize = 100;
/// In a second, which is what a verdict is about.
const LEVELS_HEARD: usize = 10;
/// Sound that ends this much before a picture has stopped or come apart from it.
const LATE_MAX_90K: i64 = 2 * TICKS_PER_SECOND;

/// One device's: FFmpeg's pipe is read into it, whoever looks at a frame asks it.
#[derive(Default)]
pub struct Hearing {
    /// Held for a copy of some kB only, by the thread that drains the pipes of all devices.
    pcm: Mutex<Pcm>,
    ears: Mutex<Ears>,
}

#[derive(Default)]
struct Pcm {
    epoch: Epoch,
    bytes: VecDeque<u8>,
    /// Of the run, before `bytes`.
    gone: u64,
}

#[derive(Default)]
struct Ears {
    epoch: Epoch,
    loudness: Loudness,
    /// Byte of the run at which `loudness` began, and the one it wants next.
    from: u64,
    next: u64,
    /// `(end in run time, dB)`.
    levels: VecDeque<(i64, f32)>,
}

impl Hearing {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of a run. Never waits for whoever listens.
    pub fn hear(&self, epoch: Epoch, bytes: &[u8]) {
        let mut pcm = lock(&self.pcm);
        if pcm.epoch != epoch {
            *pcm = Pcm { epoch, ..Pcm::default() };
        }
        pcm.bytes.extend(bytes);
        let surplus = pcm.bytes.len().saturating_sub(PCM_BYTES_MAX);
        pcm.bytes.drain(..surplus);
        pcm.gone += surplus as u64;
    }

    /// What the second before that run time sounded like; unknown when there is no sound of that time.
    pub fn around(&self, epoch: Epoch, run_90k: i64, detect: &Detect) -> Sound {
        let mut ears = lock(&self.ears);
        ears.listen(&self.pcm);
        if ears.epoch != epoch {
            return Sound::default();
        }
        let heard = ears.levels.iter().rev().skip_while(|(end, _)| *end > run_90k + WINDOW_90K);
        let heard: Vec<_> = heard.take(LEVELS_HEARD).copied().collect();
        let Some((newest, _)) = heard.first().filter(|(end, _)| run_90k - end <= LATE_MAX_90K) else {
            return Sound::default();
        };
        let second = heard.iter().take_while(|(end, _)| newest - end < TICKS_PER_SECOND);
        let mut levels: Vec<f32> = second.map(|(_, db)| *db).collect();
        levels.reverse();
        let mut sound = sound(&levels, detect);
        sound.before_90k += run_90k - newest;
        sound
    }
}

impl Ears {
    fn listen(&mut self, pcm: &Mutex<Pcm>) {
        let (epoch, from, bytes) = {
            let mut pcm = lock(pcm);
            let from = pcm.gone;
            pcm.gone += pcm.bytes.len() as u64;
            (pcm.epoch, from, std::mem::take(&mut pcm.bytes))
        };
        if bytes.is_empty() {
            return;
        }
        if epoch != self.epoch {
            *self = Self { epoch, ..Self::default() };
        }
        if from != self.next {
            // A hole: windows are counted anew from behind it.
            (self.loudness, self.from) = (Loudness::new(), from);
        }
        self.next = from + bytes.len() as u64;
        let (start, levels) = (self.from, &mut self.levels);
        let begin_90k = (start as i64).saturating_mul(TICKS_PER_SECOND) / BYTES_PER_SECOND as i64;
        let (a, b) = bytes.as_slices();
        for piece in [a, b] {
            self.loudness.push(piece, &mut |level| {
                let end = begin_90k + (level.window as i64 + 1).saturating_mul(WINDOW_90K);
                if levels.len() == LEVELS_MAX {
                    levels.pop_front();
                }
                levels.push_back((end, level.rms_db));
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Epoch = Epoch(3);
    const S: i64 = TICKS_PER_SECOND;

    /// Tenths of a second of a square wave (loud) or of nothing.
    fn pcm(tenths: usize, loud: bool) -> Vec<u8> {
        let value: i16 = if loud { 8000 } else { 0 };
        (0..tenths * 1600).flat_map(|n| (if n % 32 < 16 { value } else { -value }).to_le_bytes()).collect()
    }

    fn silent(hearing: &Hearing, run_90k: i64) -> Option<bool> {
        hearing.around(RUN, run_90k, &Detect::default()).silent
    }

    #[test]
    fn the_second_before_a_picture_is_what_counts() {
        let hearing = Hearing::new();
        hearing.hear(RUN, &pcm(20, true));
        hearing.hear(RUN, &pcm(20, false));
        assert_eq!(silent(&hearing, 2 * S), Some(false));
        assert_eq!(silent(&hearing, 23 * S / 10), Some(false), "the last half second begins loud");
        assert_eq!(silent(&hearing, 5 * S / 2), Some(true), "and is all silent");
        assert_eq!(silent(&hearing, 4 * S), Some(true));
        assert_eq!(silent(&hearing, S), Some(false), "a frame that waited is judged by the sound of its time");
        let began = |run_90k: i64| run_90k - hearing.around(RUN, run_90k, &Detect::default()).before_90k;
        assert_eq!(began(5 * S / 2), 21 * S / 10, "silent for as long as is judged");
        assert_eq!(began(2 * S), 2 * S, "one window alone ends a silence");
        assert_eq!(began(4 * S), 7 * S / 2, "later, too");
        assert_eq!(began(9 * S / 2), 7 * S / 2, "also when a picture comes before its sound");
    }

    #[test]
    fn no_sound_is_unknown_and_not_silent() {
        let hearing = Hearing::new();
        assert_eq!(silent(&hearing, 0), None);
        hearing.hear(RUN, &pcm(10, true));
        assert_eq!(silent(&hearing, 3 * S), Some(false), "it may be late");
        assert_eq!(silent(&hearing, 3 * S + 1), None, "it has stopped");
        assert_eq!(hearing.around(Epoch(4), S, &Detect::default()), Sound::default(), "of another run");
        hearing.hear(Epoch(4), &pcm(10, false));
        assert_eq!(silent(&hearing, S), None);
    }

    #[test]
    fn what_nobody_listened_to_is_forgotten_and_times_stay() {
        let hearing = Hearing::new();
        hearing.hear(RUN, &pcm(3, true));
        assert_eq!(silent(&hearing, 0), Some(false), "listened to so far");
        hearing.hear(RUN, &pcm(97, true));
        hearing.hear(RUN, &pcm(10, false));
        assert_eq!(lock(&hearing.pcm).bytes.len(), PCM_BYTES_MAX);
        assert_eq!(silent(&hearing, 10 * S), Some(false));
        assert_eq!(silent(&hearing, 11 * S), Some(true));
    }

    #[test]
    fn any_split_of_the_bytes_is_the_same_sound() {
        let (whole, split) = (Hearing::new(), Hearing::new());
        let bytes = pcm(15, true);
        whole.hear(RUN, &bytes);
        for piece in bytes.chunks(777) {
            split.hear(RUN, piece);
            silent(&split, S);
        }
        assert_eq!(whole.around(RUN, 3 * S / 2, &Detect::default()), split.around(RUN, 3 * S / 2, &Detect::default()));
    }
}
