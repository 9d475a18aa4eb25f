//! How loud it is: levels per 100 ms of PCM (s16le, 16 kHz, mono), and what the levels of a second say.

use super::Sound;
use crate::{clock::TICKS_PER_SECOND, config::Detect};

pub const SAMPLES_PER_SECOND: u64 = 16_000;
/// 100 ms.
pub const WINDOW_SAMPLES: u64 = SAMPLES_PER_SECOND / 10;
pub const WINDOW_90K: i64 = TICKS_PER_SECOND / 10;
/// What digital silence is said to have; one step of 16 bits is −90.3.
pub const FLOOR_DB: f32 = -100.0;
/// Silence is judged by the last half second: 0.3 s without sound are none, a crackle ends it for no longer than
/// `close_after_seconds`.
const JUDGED_WINDOWS: usize = 5;
/// The lower end of `volume_percentage`.
const PERCENT_FLOOR_DB: f32 = -60.0;

/// Cuts PCM into windows. Holds no samples, only their sum.
#[derive(Clone, Debug, Default)]
pub struct Loudness {
    window: u64,
    samples: u64,
    squares: u64,
    /// The first byte of a sample whose second one has not come.
    half: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Number of the 100 ms since the first sample.
    pub window: u64,
    /// Of full scale (a square wave at 0 dB), not below [`FLOOR_DB`].
    pub rms_db: f32,
}

impl Loudness {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes, however they are split, and tells one level per whole 100 ms.
    pub fn push(&mut self, pcm: &[u8], each: &mut dyn FnMut(Level)) {
        let mut rest = pcm;
        if let (Some(low), Some((&high, after))) = (self.half, rest.split_first()) {
            self.half = None;
            rest = after;
            self.add(&[low, high], each);
        }
        let whole = rest.len() & !1;
        self.add(&rest[..whole], each);
        if let Some(&low) = rest.get(whole) {
            self.half = Some(low);
        }
    }

    fn add(&mut self, mut pcm: &[u8], each: &mut dyn FnMut(Level)) {
        while !pcm.is_empty() {
            let wanted = (WINDOW_SAMPLES - self.samples) as usize * 2;
            let (now, later) = pcm.split_at(wanted.min(pcm.len()));
            let samples = now.as_chunks::<2>().0.iter().map(|pair| i64::from(i16::from_le_bytes(*pair)));
            self.squares += samples.map(|sample| (sample * sample) as u64).sum::<u64>();
            self.samples += now.len() as u64 / 2;
            if self.samples == WINDOW_SAMPLES {
                each(Level { window: self.window, rms_db: decibels(self.squares) });
                self.window += 1;
                (self.samples, self.squares) = (0, 0);
            }
            pcm = later;
        }
    }
}

fn decibels(squares: u64) -> f32 {
    let mean = squares as f64 / WINDOW_SAMPLES as f64 / (32_768.0 * 32_768.0);
    power_db(mean)
}

fn power_db(power: f64) -> f32 {
    ((10.0 * power.log10()) as f32).max(FLOOR_DB)
}

/// What the levels of the last second say, oldest first. None = unknown.
pub fn sound(levels: &[f32], detect: &Detect) -> Sound {
    let mean = |levels: &[f32]| {
        let power: f64 = levels.iter().map(|db| 10_f64.powf(f64::from(*db) / 10.0)).sum();
        power_db(power / levels.len() as f64)
    };
    if levels.is_empty() {
        return Sound::default();
    }
    let latest = &levels[levels.len().saturating_sub(JUDGED_WINDOWS)..];
    let mean_db = mean(levels);
    let silent = mean(latest) < detect.silence_db;
    let part = (mean_db - PERCENT_FLOOR_DB) / -PERCENT_FLOOR_DB;
    Sound {
        // Fewer windows than are judged by: not silent for sure, but not known to be silent either.
        silent: if silent && latest.len() < JUDGED_WINDOWS { None } else { Some(silent) },
        mean_volume_db: Some(mean_db),
        volume_percentage: Some((part * 100.0).round().clamp(0.0, 100.0) as u8),
        // All that was judged is silent, but the newest window alone ends a silence.
        before_90k: if silent { JUDGED_WINDOWS as i64 * WINDOW_90K } else { WINDOW_90K },
    }
}
