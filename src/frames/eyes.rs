//! All that is asked of one device's pictures, frame by frame, in order.

use super::{
    black::Darkness,
    freeze::{Stillness, Watch},
    luma::Picture,
    slate,
};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    config,
    error::Result,
};

/// A slate is believed when it stood so long: menus and titles come and go.
const SLATE_90K: i64 = 3 * TICKS_PER_SECOND;

/// One per device: holds the last frames' luma and the learned noise floor; at most 3 MB.
#[derive(Default)]
pub struct Eyes {
    darkness: Darkness,
    watch: Watch,
    /// Since when the picture stands still.
    still_since: Option<Utc90k>,
    spare: Picture,
}

/// `None` is unknown: too little was seen yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    pub black: Option<bool>,
    /// Dark pixels in the rows that are looked at, 0 to 100.
    pub black_percent: Option<f32>,
    pub freeze: Option<bool>,
    /// When it is frozen: the first picture that looked like this one. A verdict takes more than one.
    pub still_since: Option<Utc90k>,
    /// Pixels that moved more than noise does, 0 to 100.
    pub freeze_diff: Option<f32>,
    /// Flat, still for 3 s and not black.
    pub no_signal: Option<bool>,
}

impl Eyes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Another run began: what was seen before says nothing about it.
    pub fn reset(&mut self) {
        self.darkness.reset();
        self.watch.reset();
        self.still_since = None;
    }

    /// `at`: media time. A JPEG that cannot be decoded is `Corrupt`, one that no device of ours makes (too large,
    /// CMYK) is `Invalid`; the memory stays as it was.
    pub fn look(&mut self, at: Utc90k, jpeg: &[u8], detect: &config::Detect) -> Result<Seen> {
        let mut picture = std::mem::take(&mut self.spare);
        match picture.decode(at, jpeg) {
            Ok(()) => Ok(self.look_at(picture, detect)),
            Err(error) => {
                self.spare = picture;
                Err(error)
            }
        }
    }

    /// The same of a picture that is decoded.
    pub fn look_at(&mut self, picture: Picture, detect: &config::Detect) -> Seen {
        let at = picture.at;
        let dark = self.darkness.look(&picture, detect);
        let long_still = self.still_since.is_some_and(|since| at - since >= SLATE_90K);
        let slate = long_still && !dark.black && slate::is_flat(&picture);
        let (Stillness { freeze, since, percent }, spare) = self.watch.look(picture, detect);
        self.spare = spare;
        self.still_since = since;
        Seen {
            black: Some(dark.black),
            black_percent: Some(dark.percent),
            freeze,
            still_since: since,
            freeze_diff: percent,
            no_signal: freeze.map(|still| still && slate),
        }
    }
}
