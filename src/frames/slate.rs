//! The picture that a capture card shows when nothing is plugged in: one flat colour or flat bars, perhaps with a line
//! of text. Only what stands still for long is asked.

use super::luma::{BLOCK, Picture};

/// A block is flat when its pixels are this near to each other; JPEG adds a little around text.
const BLOCK_SPREAD: u8 = 8;
/// That part of the blocks is flat: text and the edges of bars take the rest.
const FLAT_SHARE: f32 = 0.85;
/// One colour with a line of text. A menu has a colour more.
const ONE_SHARE: f32 = 0.85;
/// Or bars: so many levels, none of them a mere edge.
const BARS: std::ops::RangeInclusive<usize> = 6..=9;
const BAR_SHARE: f32 = 0.04;
/// Flat blocks this near are of one level.
const LEVEL_SPREAD_X16: i16 = 64;
pub fn is_flat(picture: &Picture) -> bool {
    let wide = picture.blocks_wide();
    let mut levels = Vec::new();
    for (y, rows) in picture.luma.chunks_exact(picture.width * BLOCK).enumerate() {
        for x in 0..wide {
            let blocks = rows.chunks_exact(picture.width).map(|row| &row[x * BLOCK..(x + 1) * BLOCK]);
            let (low, high) = blocks.fold((255, 0), |(low, high): (u8, u8), row| {
                row.iter().fold((low, high), |(low, high), &luma| (low.min(luma), high.max(luma)))
            });
            if high - low <= BLOCK_SPREAD {
                levels.extend(picture.means_x16.get(y * wide + x));
            }
        }
    }
    let all = picture.means_x16.len().max(1) as f32;
    if (levels.len() as f32) < all * FLAT_SHARE {
        return false;
    }
    levels.sort_unstable();
    let mut groups: Vec<usize> = Vec::new();
    let mut start = i16::MIN;
    for level in levels {
        match groups.last_mut() {
            Some(count) if level - start <= LEVEL_SPREAD_X16 => *count += 1,
            _ => {
                groups.push(1);
                start = level;
            }
        }
    }
    let at_least = |share: f32| groups.iter().filter(|count| **count as f32 >= all * share).count();
    at_least(ONE_SHARE) > 0 || BARS.contains(&at_least(BAR_SHARE))
}
