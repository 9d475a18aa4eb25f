//! One picture of many stills: a grid of tiles, each with a border that says how its device did and the name below. Pure.

use bytes::Bytes;
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::{glyphs, heatmap::Status};
use crate::error::{Error, Kind, Result};

/// Pictures beyond these are not shown: 11 rows of 6.
pub const TILES_MAX: usize = 64;
/// Larger stills are refused by their header: no thumbnail that the settings allow is.
const WIDTH_MAX: usize = 1920;
const HEIGHT_MAX: usize = 1080;
/// As for the detectors: more scans only keep a thread busy.
const SCANS_MAX: usize = 16;
const BORDER: usize = 4;
/// Glyphs are 5×7, drawn twice as large, and apart by one of their own pixels.
const GLYPH_SCALE: usize = 2;
const LETTER_WIDTH: usize = (glyphs::WIDTH + 1) * GLYPH_SCALE;
const LABEL_HEIGHT: usize = (glyphs::HEIGHT + 3) * GLYPH_SCALE;
/// Below it blocks begin to show around the letters.
const QUALITY: u8 = 80;

type Colour = [u8; 3];
const BACK: Colour = [24, 24, 27];
const INK: Colour = [228, 228, 231];
const FAINT: Colour = [113, 113, 122];

/// One device's place.
#[derive(Clone, Debug)]
pub struct Tile {
    pub label: String,
    pub status: Status,
    /// None, or what is no picture: a placeholder stands for it.
    pub still: Option<Bytes>,
}

/// A JPEG of all tiles, in order; of none, one placeholder.
pub fn compose(tiles: &[Tile]) -> Result<Vec<u8>> {
    let tiles = tiles.get(..TILES_MAX).unwrap_or(tiles);
    let (across, down) = grid(tiles.len());
    let (wide, high) = picture_size(across);
    let (tile_wide, tile_high) = (wide + 2 * BORDER, high + LABEL_HEIGHT + 2 * BORDER);
    let mut canvas = Canvas::new(across * tile_wide, down * tile_high);
    let mut resizer = Resizer::new();
    for (place, tile) in tiles.iter().enumerate() {
        let (x, y) = (place % across * tile_wide, place / across * tile_high);
        canvas.fill([x, y, tile_wide, tile_high], border(tile.status));
        let (x, y) = (x + BORDER, y + BORDER);
        canvas.fill([x, y, wide, high + LABEL_HEIGHT], BACK);
        match tile.still.as_deref().and_then(|jpeg| fitted(jpeg, [wide, high], &mut resizer)) {
            Some(picture) => {
                canvas.put(x + (wide - picture.width) / 2, y + (high - picture.height) / 2, &picture);
            }
            None => canvas.write_centred([x, y, wide, high], "NO PICTURE", FAINT),
        }
        canvas.write(x + GLYPH_SCALE, y + high + 3 * GLYPH_SCALE / 2, wide - GLYPH_SCALE, &tile.label, INK);
    }
    if tiles.is_empty() {
        canvas.write_centred([0, 0, tile_wide, tile_high], "NO DEVICE", FAINT);
    }
    canvas.jpeg()
}

/// Columns and rows.
pub fn grid(tiles: usize) -> (usize, usize) {
    match tiles {
        0..=1 => (1, 1),
        2 => (2, 1),
        3..=4 => (2, 2),
        5..=6 => (3, 2),
        7..=9 => (3, 3),
        more => (6, more.div_ceil(6)),
    }
}

/// Room for a picture: a thumbnail as it is, and three quarters of it where six stand in a row.
fn picture_size(across: usize) -> (usize, usize) {
    if across > 3 { (240, 135) } else { (320, 180) }
}

fn border(status: Status) -> Colour {
    match status {
        Status::Ok => [34, 160, 84],
        Status::Ko => [220, 38, 38],
        Status::Unknown => [113, 113, 122],
    }
}

/// RGB.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: BACK.repeat(width * height) }
    }

    /// Bytes of a part of a row; none outside.
    fn row(&mut self, x: usize, y: usize, wide: usize) -> &mut [u8] {
        let end = (x + wide).min(self.width);
        let at = |x: usize| (y * self.width + x) * 3;
        let bytes = at(x.min(end))..at(end);
        if y < self.height { self.pixels.get_mut(bytes).unwrap_or_default() } else { &mut [] }
    }

    fn fill(&mut self, [x, y, wide, high]: [usize; 4], colour: Colour) {
        for y in y..y + high {
            self.row(x, y, wide).chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&colour));
        }
    }

    fn put(&mut self, x: usize, y: usize, picture: &Self) {
        for (number, from) in picture.pixels.chunks_exact(picture.width.max(1) * 3).enumerate() {
            let to = self.row(x, y + number, picture.width);
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }

    /// What does not fit is left out, and two dots stand for it.
    fn write(&mut self, x: usize, y: usize, wide: usize, text: &str, colour: Colour) {
        let (fits, letters) = (wide / LETTER_WIDTH, text.chars().count());
        let kept = if letters > fits { fits.saturating_sub(2) } else { letters };
        let dots = if letters > fits { ".." } else { "" };
        for (place, letter) in text.chars().take(kept).chain(dots.chars()).enumerate() {
            self.letter(x + place * LETTER_WIDTH, y, letter, colour);
        }
    }

    fn write_centred(&mut self, [x, y, wide, high]: [usize; 4], text: &str, colour: Colour) {
        let (text_wide, text_high) = (text.chars().count() * LETTER_WIDTH, glyphs::HEIGHT * GLYPH_SCALE);
        let aside = wide.saturating_sub(text_wide) / 2;
        self.write(x + aside, y + high.saturating_sub(text_high) / 2, wide - aside, text, colour);
    }

    fn letter(&mut self, x: usize, y: usize, letter: char, colour: Colour) {
        for (row, bits) in glyphs::of(letter).into_iter().enumerate() {
            for column in (0..glyphs::WIDTH).filter(|column| bits >> (glyphs::WIDTH - 1 - column) & 1 == 1) {
                let (x, y) = (x + column * GLYPH_SCALE, y + row * GLYPH_SCALE);
                self.fill([x, y, GLYPH_SCALE, GLYPH_SCALE], colour);
            }
        }
    }

    fn jpeg(&self) -> Result<Vec<u8>> {
        let failed = |what: String| Error::new(Kind::Internal, format!("the mosaic cannot be written: {what}"));
        let side = |pixels: usize| u16::try_from(pixels).map_err(|error| failed(error.to_string()));
        let mut jpeg = Vec::with_capacity(self.pixels.len() / 10);
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, QUALITY);
        let encoded = encoder.encode(&self.pixels, side(self.width)?, side(self.height)?, jpeg_encoder::ColorType::Rgb);
        encoded.map_err(|error| failed(error.to_string()))?;
        Ok(jpeg)
    }
}

/// As large as fits, its ratio kept. None for what is no picture.
fn fitted(jpeg: &[u8], [wide, high]: [usize; 2], resizer: &mut Resizer) -> Option<Canvas> {
    let picture = decode(jpeg)?;
    let (from_wide, from_high) = (picture.width, picture.height);
    // The side that fills its room decides.
    let size = if from_wide * high >= from_high * wide {
        [wide, (from_high * wide / from_wide).max(1)]
    } else {
        [(from_wide * high / from_high).max(1), high]
    };
    if size == [from_wide, from_high] {
        return Some(picture);
    }
    let [width, height] = size.map(|pixels| u32::try_from(pixels).unwrap_or(u32::MAX));
    let of = |pixels: usize| u32::try_from(pixels).ok();
    let source = ImageRef::new(of(from_wide)?, of(from_high)?, &picture.pixels, PixelType::U8x3).ok()?;
    let mut resized = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    resizer.resize(&source, &mut resized, &options).ok()?;
    Some(Canvas { width: size[0], height: size[1], pixels: resized.into_vec() })
}

fn decode(jpeg: &[u8]) -> Option<Canvas> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .jpeg_set_max_scans(SCANS_MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().ok()?;
    let (width, height) = decoder.dimensions()?;
    let is_plain = matches!(decoder.input_colorspace(), Some(ColorSpace::YCbCr | ColorSpace::Luma));
    if !is_plain || !(1..=WIDTH_MAX).contains(&width) || !(1..=HEIGHT_MAX).contains(&height) {
        return None;
    }
    let mut pixels = vec![0; width * height * 3];
    decoder.decode_into(&mut pixels).ok()?;
    Some(Canvas { width, height, pixels })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(width: u16, height: u16, colour: Colour) -> Bytes {
        let mut out = Vec::new();
        let pixels = colour.repeat(usize::from(width) * usize::from(height));
        let encoder = jpeg_encoder::Encoder::new(&mut out, 95);
        encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        out.into()
    }

    fn tile(label: &str, status: Status, still: Option<Bytes>) -> Tile {
        Tile { label: label.into(), status, still }
    }

    /// Within what JPEG loses.
    fn is_near(canvas: &Canvas, x: usize, y: usize, colour: Colour) -> bool {
        let at = (y * canvas.width + x) * 3;
        canvas.pixels[at..at + 3].iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 24)
    }

    #[test]
    fn grids_of_the_contract() {
        let shapes = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13, 16, 64].map(grid);
        let expected = [(1, 1), (1, 1), (2, 1), (2, 2), (2, 2), (3, 2), (3, 2), (3, 3), (3, 3), (6, 2), (6, 2), (6, 3)];
        assert_eq!(shapes[..12], expected);
        assert_eq!(shapes[12..], [(6, 3), (6, 11)]);
    }

    #[test]
    fn borders_pictures_and_placeholders_are_where_they_belong() {
        let blue = [20, 40, 200];
        let tiles = [
            tile("a", Status::Ok, Some(jpeg(320, 180, blue))),
            tile("b", Status::Ko, Some(jpeg(90, 180, blue))),
            tile("c", Status::Unknown, None),
            tile("d", Status::Ok, Some(Bytes::from_static(b"no picture"))),
        ];
        let canvas = decode(&compose(&tiles).unwrap()).unwrap();
        let (wide, high) = (320 + 2 * BORDER, 180 + LABEL_HEIGHT + 2 * BORDER);
        assert_eq!((canvas.width, canvas.height), (2 * wide, 2 * high));
        assert!(is_near(&canvas, 1, 100, border(Status::Ok)));
        assert!(is_near(&canvas, wide * 2 - 2, 100, border(Status::Ko)));
        assert!(is_near(&canvas, 1, high + 100, border(Status::Unknown)));
        assert!(is_near(&canvas, 100, 90, blue) && is_near(&canvas, 12, 90, blue), "fills its room");
        // Half as wide as high: 90 pixels in the middle, nothing beside them.
        assert!(is_near(&canvas, wide + BORDER + 160, 90, blue));
        assert!(is_near(&canvas, wide + BORDER + 60, 90, BACK) && is_near(&canvas, wide + BORDER + 260, 90, BACK));
        assert!(is_near(&canvas, 20, high + 20, BACK) && is_near(&canvas, wide + 20, high + 20, BACK));
    }

    #[test]
    fn the_same_tiles_make_the_same_bytes_and_no_set_an_empty_one() {
        let tiles = vec![tile("Küche, links", Status::Ok, None); 100];
        assert_eq!(compose(&tiles).unwrap(), compose(&tiles[..TILES_MAX]).unwrap());
        let empty = decode(&compose(&[]).unwrap()).unwrap();
        assert_eq!((empty.width, empty.height), (328, 180 + LABEL_HEIGHT + 2 * BORDER));
        assert_eq!(compose(&[]).unwrap(), compose(&[]).unwrap());
        assert_ne!(compose(&tiles[..1]).unwrap(), compose(&[]).unwrap());
    }

    #[test]
    fn names_of_any_length_stay_in_their_tile() {
        for label in ["", "x", &"W".repeat(500), "日本語 😀", "a\u{0}\n\u{202e}b"] {
            for count in [1, 7, 10] {
                compose(&vec![tile(label, Status::Ko, None); count]).unwrap();
            }
        }
    }

    /// Odd sizes, and what only pretends to be a picture.
    #[test]
    fn whatever_is_no_thumbnail_becomes_a_placeholder() {
        let whole = jpeg(320, 180, [9, 9, 9]);
        let mut resizer = Resizer::new();
        let mut size = |jpeg: &[u8]| fitted(jpeg, [240, 135], &mut resizer).map(|it| [it.width, it.height]);
        assert_eq!(size(&whole), Some([240, 135]));
        assert_eq!(size(&jpeg(1, 1, [9, 9, 9])), Some([135, 135]));
        assert_eq!(size(&jpeg(1920, 2, [9, 9, 9])), Some([240, 1]));
        assert_eq!(size(&jpeg(2, 1080, [9, 9, 9])), Some([1, 135]));
        assert_eq!(size(&jpeg(1921, 16, [9, 9, 9])), None);
        assert_eq!(size(b""), None);
        assert_eq!(size(&whole[..10]), None);
        let mut grey = Vec::new();
        jpeg_encoder::Encoder::new(&mut grey, 50).encode(&[100; 256], 16, 16, jpeg_encoder::ColorType::Luma).unwrap();
        assert_eq!(size(&grey), Some([135, 135]));
        let mut cmyk = Vec::new();
        jpeg_encoder::Encoder::new(&mut cmyk, 50).encode(&[100; 1024], 16, 16, jpeg_encoder::ColorType::Cmyk).unwrap();
        assert_eq!(size(&cmyk), None);
        for cut in 0..whole.len() {
            size(&whole[..cut]);
        }
    }
}
