//! The commit mark: a `free` box that says "everything before me is whole, up to this segment".

use crate::ids::SegmentKey;

/// What a commit promises to have on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkInfo {
    /// The last segment of which all samples are in the file; it and all before it need not be merged again.
    pub last: SegmentKey,
    /// Video, audio: decode time of the last sample, run time, unwrapped; None for an absent track.
    pub last_dts_90k: [Option<i64>; 2],
    /// Wall clock = run time + offset.
    pub offset_90k: i64,
}
