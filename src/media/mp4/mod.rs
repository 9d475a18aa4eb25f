//! Our MP4: a file that plays while it grows and becomes an ordinary faststart MP4 by one 8-byte write.
//!
//! ```text
//! 0      ftyp
//! 32     moov  init (identity, tracks, mvex)      at sealing: {size to H, 'free'}
//! 32+I   free  up to D; its payload holds
//!        align16(40+I)  a second copy of ftyp + init moov
//!        H-16           u64 offset, u64 length of that copy
//! H      hole                                     at sealing: full moov, then free up to D-16
//! D-16   hole                                     at sealing: 'mdat' with largesize, to the end
//! D      [moof mdat]* mark …                      one fragment per GOP, summed; a mark after each commit
//! ```
//!
//! Each box is written and read in one place: [`identity`], [`head`] (both moovs), [`tracks`], [`table`], [`fragment`]
//! and `moof`, [`mark`]. [`movie`] is what a reader gets instead of a file, [`pack`]
//! the file of stills beside a chunk. [`scan`] finds out what a file holds after damage, [`seal`] lays out the sealed file.

mod bytes;
pub mod fragment;
pub mod head;
pub mod identity;
pub mod mark;
mod moof;
pub mod movie;
pub mod pack;
pub mod salvage;
pub mod samples;
pub mod scan;
pub mod seal;
pub mod table;
pub mod tracks;
mod trak;
pub mod verify;
mod window;

pub use fragment::{Fragment, OutSample, TrackRun};
pub use identity::{ChunkMeta, HEAD_READ, SealedMeta, head};
pub use mark::MarkInfo;
pub use window::{ReadAt, read_full};
