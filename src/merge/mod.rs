//! Segments in hot become crash-safe chunks on disk: write once, one append and one fdatasync a minute (design §5).
//!
//! ```text
//! hot ─▶ merger_actor (when) ─▶ job (on the volume's commit thread) ─▶ chunk
//!                                 demux ─▶ timeline (anchor, lay) ─▶ append, mark, fdatasync ─▶ index
//!                                 seal ─▶ handover ─▶ ring
//! ```
//! What a commit must not lose lives in the device's [`cell`], so a restarted actor goes on where the last one was.

pub mod cell;
pub mod chunk;
pub mod committer;
pub mod epoch;
pub mod handover;
mod job;
pub mod lay;
pub mod merger_actor;
pub mod plan;
pub mod recover;
mod span;
mod start;
pub mod timeline;

pub use cell::{MergeCell, MergeStatus};
pub use committer::Committer;
pub use epoch::EpochSource;
pub use merger_actor::{CommitNow, MergerActor, MergerParts, SegmentArrived};

#[cfg(test)]
mod tests;
