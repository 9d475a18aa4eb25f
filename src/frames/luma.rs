//! One thumbnail as the detectors see it: luma only, the same smoothed, and the means of its blocks.

use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
};

/// The largest thumbnail the settings allow. Larger ones are refused by their header, before a byte is allocated.
pub const WIDTH_MAX: usize = 1920;
pub const HEIGHT_MAX: usize = 1080;
/// Nothing can be said of less than two blocks each way.
const SIDE_MIN: usize = 16;
/// Pictures are averaged down below this, so that the thresholds, all of them measured at 320×180, keep their meaning
/// and a device with large thumbnails does not cost more than others.
const WIDTH_SEEN: usize = 480;
const HEIGHT_SEEN: usize = 360;
/// An honest thumbnail of this size has a few kilobytes; more scans only serve to keep a thread busy.
const SCANS_MAX: usize = 16;
/// Side of a block, as in the JPEG.
pub const BLOCK: usize = 8;

/// A decoded thumbnail. Its buffers are used again for the next one: see [`Picture::decode`].
#[derive(Clone, Debug, Default)]
pub struct Picture {
    pub at: Utc90k,
    pub width: usize,
    pub height: usize,
    /// `width × height`, full range.
    pub luma: Vec<u8>,
    /// Each pixel the mean of the 3×3 around it. What JPEG and sensors add mostly cancels here; what moves does not.
    pub smooth: Vec<u8>,
    /// Means of the whole blocks of 8×8, in sixteenths of a level.
    pub means_x16: Vec<i16>,
    scratch: Vec<u8>,
    sums: Vec<u16>,
}

impl Picture {
    /// Fills itself from a JPEG.
    pub fn decode(&mut self, at: Utc90k, jpeg: &[u8]) -> Result<()> {
        // FFmpeg renames whole files into place, but tmpfs may be full and other sources less careful: what lacks its
        // end would decode to grey or black below the tear.
        let end = jpeg.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if !jpeg[..end].ends_with(&[0xff, 0xd9]) {
            return Err(Error::new(Kind::Corrupt, "the picture has no end"));
        }
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .jpeg_set_max_scans(SCANS_MAX)
            .jpeg_set_out_colorspace(ColorSpace::Luma);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&jpeg[..end]), options);
        decoder.decode_headers().map_err(refused)?;
        let (width, height) = decoder.dimensions().unwrap_or_default();
        if !(SIDE_MIN..=WIDTH_MAX).contains(&width) || !(SIDE_MIN..=HEIGHT_MAX).contains(&height) {
            return Err(Error::new(Kind::Invalid, format!("a picture of {width}×{height} is no thumbnail")));
        }
        if !matches!(decoder.input_colorspace(), Some(ColorSpace::YCbCr | ColorSpace::Luma)) {
            return Err(Error::new(Kind::Invalid, "neither YCbCr nor grey"));
        }
        let shrink = width.div_ceil(WIDTH_SEEN).max(height.div_ceil(HEIGHT_SEEN));
        let decoded = if shrink == 1 { &mut self.luma } else { &mut self.scratch };
        decoded.resize(width * height, 0);
        decoder.decode_into(decoded).map_err(refused)?;
        self.at = at;
        (self.width, self.height) = (width / shrink, height / shrink);
        if shrink > 1 {
            self.average(width, shrink);
        }
        self.derive();
        Ok(())
    }

    /// From luma as it is: what tests and benches draw.
    pub fn from_luma(at: Utc90k, width: usize, height: usize, luma: Vec<u8>) -> Self {
        let mut picture = Self { at, width, height, luma, ..Self::default() };
        picture.luma.resize(width * height, 0);
        picture.derive();
        picture
    }

    pub fn is_like(&self, other: &Self) -> bool {
        (self.width, self.height) == (other.width, other.height)
    }

    pub fn blocks_wide(&self) -> usize {
        self.width / BLOCK
    }

    fn average(&mut self, width_from: usize, by: usize) {
        self.luma.clear();
        let area = (by * by) as u32;
        for y in 0..self.height {
            for x in 0..self.width {
                let rows = (0..by).map(|row| (y * by + row) * width_from + x * by);
                let sum: u32 = rows.flat_map(|at| &self.scratch[at..at + by]).map(|&luma| u32::from(luma)).sum();
                self.luma.push((sum / area) as u8);
            }
        }
    }

    fn derive(&mut self) {
        self.smooth.resize(self.luma.len(), 0);
        self.sums.resize(self.width, 0);
        for y in 0..self.height {
            let row = |y: usize| &self.luma[y * self.width..(y + 1) * self.width];
            let (above, here, below) = (row(y.saturating_sub(1)), row(y), row((y + 1).min(self.height - 1)));
            for (((sum, &a), &b), &c) in self.sums.iter_mut().zip(above).zip(here).zip(below) {
                *sum = u16::from(a) + u16::from(b) + u16::from(c);
            }
            let out = &mut self.smooth[y * self.width..(y + 1) * self.width];
            smooth_row(&self.sums, out);
        }
        self.block_means();
    }

    fn block_means(&mut self) {
        self.means_x16.clear();
        let wide = self.blocks_wide();
        self.sums.resize(wide.max(self.width), 0);
        for rows in self.luma.chunks_exact(self.width * BLOCK) {
            let sums = &mut self.sums[..wide];
            sums.fill(0);
            for row in rows.chunks_exact(self.width) {
                for (sum, block) in sums.iter_mut().zip(row.chunks_exact(BLOCK)) {
                    *sum += block.iter().map(|&luma| u16::from(luma)).sum::<u16>();
                }
            }
            // 64 pixels: a quarter of the sum is the mean in sixteenths.
            self.means_x16.extend(sums.iter().map(|sum| (sum / 4) as i16));
        }
    }
}

/// Means of three neighbouring column sums; the ends repeat. `× 7282 >> 16` divides by nine, exactly enough below 2296.
fn smooth_row(sums: &[u16], out: &mut [u8]) {
    let ninth = |sum: u16| ((u32::from(sum + 4) * 7282) >> 16) as u8;
    let last = sums.len() - 1;
    out[0] = ninth(2 * sums[0] + sums[1]);
    out[last] = ninth(sums[last - 1] + 2 * sums[last]);
    for (mean, near) in out[1..last].iter_mut().zip(sums.windows(3)) {
        *mean = ninth(near[0] + near[1] + near[2]);
    }
}

fn refused(error: DecodeErrors) -> Error {
    let kind = match &error {
        DecodeErrors::Unsupported(_) | DecodeErrors::LargeDimensions(_) => Kind::Invalid,
        _ => Kind::Corrupt,
    };
    Error::new(kind, format!("cannot decode: {error:?}"))
}
