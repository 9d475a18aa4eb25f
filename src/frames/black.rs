//! Is a picture black? Decided by the picture alone, unless something plays in it.

use super::luma::{BLOCK, Picture};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    config::Detect,
};

/// Captured as full range when it was not, TV black arrives as 16: a picture with nothing in it may be this much
/// lighter than `black_luma` (10) and is still black.
const FLAT_ALLOWANCE: u8 = 8;
/// Nothing in it: nine tenths of its blocks are this near to each other, in sixteenths of a level.
const FLAT_SPREAD_X16: i16 = 32;
/// A scene shot in the dark may have nearly all pixels at or below `black_luma`, but it has shapes there. Noise has
/// none: over the 64 pixels of a block it cancels.
const SHAPES_SPREAD_X16: i16 = 64;

/// Where less than this of the pixels is light, there is nothing that could move.
const RESIDUE_SHARE: f32 = 0.003;
/// Credits, or a lamp that passes through the night: so many of the blocks changed lately. The digits of a clock that a
/// camera burns in are fewer.
const LIVELY_SHARE: f32 = 0.02;
const LATELY_90K: i64 = 2 * TICKS_PER_SECOND;
/// A block changed when it is this far from what it was, in sixteenths of a level; noise cancels in 64 pixels.
const CHANGE_X16: i16 = 48;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Black {
    pub black: bool,
    /// Dark pixels in the rows that are looked at, 0 to 100.
    pub percent: f32,
}

/// What moves in a picture that is nearly all dark.
#[derive(Default)]
pub struct Darkness {
    /// Per block: its mean when it last changed, and when that was.
    blocks: Vec<(i16, Option<Utc90k>)>,
}

impl Darkness {
    pub fn reset(&mut self) {
        self.blocks.clear();
    }

    /// Black, and nothing plays in it.
    pub fn look(&mut self, picture: &Picture, detect: &Detect) -> Black {
        let mut seen = black(picture, detect);
        if !seen.black {
            self.reset();
        } else if seen.percent < 100.0 * (1.0 - RESIDUE_SHARE) {
            seen.black = !self.plays(picture, detect);
        }
        seen
    }

    fn plays(&mut self, picture: &Picture, detect: &Detect) -> bool {
        let rows = rows(picture, detect);
        let wide = picture.blocks_wide();
        let means = picture.means_x16.get(rows.start / BLOCK * wide..rows.end / BLOCK * wide).unwrap_or_default();
        if self.blocks.len() != means.len() {
            self.blocks = means.iter().map(|mean| (*mean, None)).collect();
        }
        let mut lively = 0;
        for ((was, changed), &mean) in self.blocks.iter_mut().zip(means) {
            if (mean - *was).abs() > CHANGE_X16 {
                (*was, *changed) = (mean, Some(picture.at));
            }
            lively += usize::from(changed.is_some_and(|at| picture.at - at < LATELY_90K));
        }
        lively as f32 > means.len() as f32 * LIVELY_SHARE
    }
}

fn rows(picture: &Picture, detect: &Detect) -> std::ops::Range<usize> {
    let [first, end] = detect.black_rows.map(|percent| picture.height * usize::from(percent.min(100)) / 100);
    first..end.clamp((first + 1).min(picture.height), picture.height)
}

pub fn black(picture: &Picture, detect: &Detect) -> Black {
    let rows = rows(picture, detect);
    let seen = &picture.luma[rows.start * picture.width..rows.end * picture.width];
    let share = |limit: u8| {
        let dark: u32 = seen.chunks(240).map(|some| u32::from(up_to(some, limit))).sum();
        dark as f32 / seen.len().max(1) as f32
    };
    let dark = share(detect.black_luma);
    let spread = || spread_x16(picture, rows.start.div_ceil(BLOCK), rows.end / BLOCK);
    let limit = detect.black_luma.saturating_add(FLAT_ALLOWANCE);
    let black = if dark > detect.black_share {
        spread() <= SHAPES_SPREAD_X16
    } else {
        // Noise lifts half of the pixels over the limit; smoothed, it does not.
        mean_is_below(picture, limit)
            && share(limit.saturating_add(FLAT_ALLOWANCE)) > detect.black_share
            && spread() <= FLAT_SPREAD_X16
    };
    Black { black, percent: dark * 100.0 }
}

/// At most 255 pixels, so that the count stays as narrow as the pixels and the loop as wide as the machine.
fn up_to(some: &[u8], limit: u8) -> u8 {
    some.iter().map(|&luma| u8::from(luma <= limit)).sum()
}

/// The middle of all blocks.
fn mean_is_below(picture: &Picture, limit: u8) -> bool {
    let limit_x16 = i16::from(limit) * 16;
    let below = picture.means_x16.iter().filter(|mean| **mean <= limit_x16).count();
    below * 2 > picture.means_x16.len()
}

/// From the darkest tenth to the lightest: a logo or a clock is in neither.
fn spread_x16(picture: &Picture, first: usize, end: usize) -> i16 {
    let wide = picture.blocks_wide();
    let mut means = picture.means_x16.get(first * wide..end * wide).unwrap_or_default().to_vec();
    if means.len() < 10 {
        return 0;
    }
    let tenth = means.len() / 10;
    let (low, high) = (tenth, means.len() - 1 - tenth);
    let dark = *means.select_nth_unstable(low).1;
    *means.select_nth_unstable(high).1 - dark
}
