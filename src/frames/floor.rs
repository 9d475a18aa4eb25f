//! How much a picture changes when nothing in it does: noise of sensors, cables and codecs, per band of brightness.
//!
//! Learned from the fine part of the difference between two frames, what is left when the mean of the neighbours is
//! taken away: noise lives there; fades, flicker and slow motion do not, so they are never learned as noise. The
//! middle value of all pixels of a band counts, so a thing that moves in a part of the picture does not either.

use super::luma::Picture;

const BANDS: usize = 8;
/// Every how many rows and columns a pixel is asked: 4800 of 57600 are plenty for a middle value.
const ROW_STEP: usize = 3;
const COLUMN_STEP: usize = 4;
/// Fewer pixels of a band say nothing about it; then the picture as a whole speaks.
const SAMPLES_MIN: u32 = 150;
/// The loudest noise believed. Above it lie changes that a person sees as motion.
const LEVEL_MAX: f32 = 10.0;
/// From one frame to the next the floor rises by no more than this (a cut is not noise) and falls to no less than this
/// part of itself (a frame that was sent twice has no noise, the next one has).
const RISE: f32 = 2.0;
const FALL: f32 = 0.8;
const VALUES: usize = 32;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NoiseFloor {
    levels: [f32; BANDS],
    known: bool,
}

impl NoiseFloor {
    /// The middle of the fine changes at a brightness.
    pub fn level(&self, luma: u8) -> f32 {
        self.levels[band(luma)]
    }

    pub fn lowest(&self) -> f32 {
        self.levels.iter().copied().fold(LEVEL_MAX, f32::min)
    }

    pub fn learn(&mut self, picture: &Picture, before: &Picture) {
        let mut counts = [[0_u32; VALUES]; BANDS];
        for y in (0..picture.height).step_by(ROW_STEP) {
            let row = y * picture.width..(y + 1) * picture.width;
            let pixels = picture.luma[row.clone()].iter().zip(&before.luma[row.clone()]);
            let smooth = picture.smooth[row.clone()].iter().zip(&before.smooth[row]);
            for ((&now, &was), (&mean, &mean_was)) in pixels.zip(smooth).step_by(COLUMN_STEP) {
                let fine = (i16::from(now) - i16::from(was)) - (i16::from(mean) - i16::from(mean_was));
                counts[band(mean)][usize::from(fine.unsigned_abs()).min(VALUES - 1)] += 1;
            }
        }
        let mut all = [0; VALUES];
        for (value, sum) in all.iter_mut().enumerate() {
            *sum = counts.iter().map(|band| band[value]).sum();
        }
        for (level, counts) in self.levels.iter_mut().zip(&counts) {
            let enough = counts.iter().sum::<u32>() >= SAMPLES_MIN;
            let found = middle(if enough { counts } else { &all }).min(LEVEL_MAX);
            *level = if self.known { found.clamp(*level * FALL, *level + RISE) } else { found };
        }
        self.known = true;
    }
}

fn band(luma: u8) -> usize {
    usize::from(luma) * BANDS / 256
}

/// The median, with fractions: a value counts as spread over the unit that was rounded to it.
fn middle(counts: &[u32; VALUES]) -> f32 {
    let half = counts.iter().sum::<u32>() as f32 / 2.0;
    let mut below = 0.0;
    for (value, &count) in counts.iter().enumerate() {
        let count = count as f32;
        if count > 0.0 && below + count >= half {
            return (value as f32 - 0.5 + (half - below) / count).max(0.0);
        }
        below += count;
    }
    0.0
}
