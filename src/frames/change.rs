//! Did something move between two pictures, more than noise does?

use super::{floor::NoiseFloor, luma::Picture};
use crate::config::Detect;

/// Least change of a pixel's neighbourhood that is motion, and what is added per level of noise. Frozen pictures,
/// encoded at 200 kb/s to 1 Mb/s with noise of several strengths, stay below 1.2 × noise + 9 in twelve connected
/// pixels; a pan of two pixels per second at 720p exceeds it in a second.
const SMOOTH: [f32; 2] = [9.0, 1.2];
/// The same of single pixels: digits and cursors are too fine for their neighbourhood. Measured: 2.3 × noise + 12.
const SINGLE: [f32; 2] = [13.0, 2.5];
/// `ignore_small_motion`: that part of the pixels must change by more than 10 (design §7).
const SMALL_SHARE: f32 = 0.008;
const SMALL_LEVEL: f32 = 10.0;
/// A fade or a flicker changes all blocks a little and the same way, before any pixel changes enough: that many more
/// blocks lighter than darker (or the reverse), by more than two and a half levels.
const COARSE_SHARE: f32 = 0.3;
const COARSE_X16: i16 = 40;
/// A codec that is short of bits changes single pixels all over a noisy picture, and now and then a whole transform
/// block of 4×4. Where this part of the picture is speckled so, twice as many pixels are asked of what moves.
const SPECKLED_SHARE: f32 = 0.003;
/// Width of what is compared at once; most stretches of a still picture end there.
const STRETCH: usize = 32;

pub struct Limits<'a> {
    pub floor: &'a NoiseFloor,
    pub detect: &'a Detect,
}

/// Room for the runs of two rows; kept from picture to picture.
#[derive(Default)]
pub struct Scratch {
    runs: Vec<Run>,
    parent: Vec<u32>,
    pixels: Vec<u32>,
}

/// Pixels side by side that changed, `from..end`, in one row.
#[derive(Clone, Copy)]
struct Run {
    from: u32,
    end: u32,
    group: u32,
}

impl Limits<'_> {
    pub fn moved(&self, now: &Picture, before: &Picture, scratch: &mut Scratch) -> bool {
        if self.detect.ignore_small_motion {
            return self.share(now, before, SMALL_LEVEL) >= SMALL_SHARE;
        }
        coarse(now, before) || self.connected(now, before, scratch)
    }

    /// Pixels whose neighbourhood changed, 0 to 100.
    pub fn percent(&self, now: &Picture, before: &Picture) -> f32 {
        self.share(now, before, SMOOTH[0]) * 100.0
    }

    fn share(&self, now: &Picture, before: &Picture, least: f32) -> f32 {
        let limit = rounded(least.max(SMOOTH[0] + SMOOTH[1] * self.floor.lowest()));
        let pairs = now.smooth.chunks(240).zip(before.smooth.chunks(240));
        let count: u32 = pairs.map(|(now, before)| u32::from(count_over(now, before, limit))).sum();
        count as f32 / now.smooth.len().max(1) as f32
    }

    /// Are there groups of at least `freeze_min_pixels` changed pixels that touch, also by their corners? Where single
    /// ones changed all over the picture, up to twice as many are asked for.
    fn connected(&self, now: &Picture, before: &Picture, scratch: &mut Scratch) -> bool {
        let least = self.detect.freeze_min_pixels;
        let lowest = self.floor.lowest();
        let quick = [rounded(SMOOTH[0] + SMOOTH[1] * lowest), rounded(SINGLE[0] + SINGLE[1] * lowest)];
        scratch.runs.clear();
        scratch.parent.clear();
        scratch.pixels.clear();
        let mut above = 0..0;
        for y in 0..now.height {
            let row = y * now.width..(y + 1) * now.width;
            let rows = Rows {
                luma: [&now.luma[row.clone()], &before.luma[row.clone()]],
                smooth: [&now.smooth[row.clone()], &before.smooth[row]],
            };
            let first = scratch.runs.len();
            for from in (0..now.width).step_by(STRETCH) {
                let end = (from + STRETCH).min(now.width);
                if !rows.any_over(from, end, quick) {
                    continue;
                }
                for x in from..end {
                    if rows.changed(x, self.floor) {
                        scratch.mark(first, x as u32);
                    }
                }
            }
            if scratch.join(above, first, least.saturating_mul(2)) {
                return true;
            }
            above = first..scratch.runs.len();
        }
        let (grouped, scattered) = scratch.sizes(least);
        let speckled = scattered as f32 / (now.luma.len().max(1) as f32 * SPECKLED_SHARE);
        grouped >= least && grouped as f32 >= least as f32 * (1.0 + speckled.min(1.0))
    }
}

/// One row of two pictures.
struct Rows<'a> {
    luma: [&'a [u8]; 2],
    smooth: [&'a [u8]; 2],
}

impl Rows<'_> {
    fn any_over(&self, from: usize, end: usize, [smooth, single]: [u8; 2]) -> bool {
        let over = |[a, b]: [&[u8]; 2], limit: u8| {
            a[from..end].iter().zip(&b[from..end]).fold(0, |most: u8, (&a, &b)| most.max(a.abs_diff(b))) > limit
        };
        over(self.smooth, smooth) || over(self.luma, single)
    }

    fn changed(&self, x: usize, floor: &NoiseFloor) -> bool {
        let apart = |[a, b]: [&[u8]; 2]| f32::from(a[x].abs_diff(b[x]));
        // The same band that the noise was learned in.
        let noise = floor.level(self.smooth[0][x]);
        let (single, smooth) = (apart(self.luma), apart(self.smooth));
        let limit = SMOOTH[0] + SMOOTH[1] * noise;
        single > SINGLE[0] + SINGLE[1] * noise || (smooth > limit && single > limit)
    }
}

impl Scratch {
    fn mark(&mut self, first_of_row: usize, x: u32) {
        if self.runs.len() > first_of_row
            && let Some(run) = self.runs.last_mut()
            && run.end == x
        {
            run.end = x + 1;
        } else {
            self.runs.push(Run { from: x, end: x + 1, group: 0 });
        }
    }

    /// Gives the runs of a row their groups; true when one of them has `least` pixels.
    fn join(&mut self, above: std::ops::Range<usize>, first: usize, least: u32) -> bool {
        let mut candidate = above.start;
        for at in first..self.runs.len() {
            let Run { from, end, .. } = self.runs[at];
            let mut group = self.parent.len() as u32;
            self.parent.push(group);
            self.pixels.push(end - from);
            while candidate < above.end && self.runs[candidate].end < from {
                candidate += 1;
            }
            // Touching by a corner counts: one pixel to either side.
            let mut other = candidate;
            while other < above.end && self.runs[other].from <= end {
                group = self.unite(group, self.runs[other].group);
                other += 1;
            }
            self.runs[at].group = group;
            if self.pixels[self.root(group) as usize] >= least {
                return true;
            }
        }
        false
    }

    /// Pixels in groups of at least `least`, and those in smaller ones.
    fn sizes(&self, least: u32) -> (u32, u32) {
        let roots = self.parent.iter().zip(0..).filter(|(parent, group)| *parent == group);
        let sizes = roots.filter_map(|(_, group)| self.pixels.get(group as usize));
        sizes.fold(
            (0, 0),
            |(grouped, scattered), &size| {
                if size >= least { (grouped + size, scattered) } else { (grouped, scattered + size) }
            },
        )
    }

    fn root(&self, mut group: u32) -> u32 {
        while self.parent[group as usize] != group {
            group = self.parent[group as usize];
        }
        group
    }

    fn unite(&mut self, a: u32, b: u32) -> u32 {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            self.parent[b as usize] = a;
            self.pixels[a as usize] += self.pixels[b as usize];
        }
        a
    }
}

/// All blocks a little lighter, or a little darker.
fn coarse(now: &Picture, before: &Picture) -> bool {
    let (mut lighter, mut darker) = (0_u32, 0_u32);
    for (&now, &before) in now.means_x16.iter().zip(&before.means_x16) {
        lighter += u32::from(now - before > COARSE_X16);
        darker += u32::from(before - now > COARSE_X16);
    }
    lighter.abs_diff(darker) as f32 > now.means_x16.len() as f32 * COARSE_SHARE
}

/// At most 255 pixels: the count stays as narrow as they are, so the loop is as wide as the machine.
fn count_over(now: &[u8], before: &[u8], limit: u8) -> u8 {
    now.iter().zip(before).map(|(&a, &b)| u8::from(a.abs_diff(b) > limit)).sum()
}

fn rounded(limit: f32) -> u8 {
    limit.clamp(0.0, 255.0) as u8
}
