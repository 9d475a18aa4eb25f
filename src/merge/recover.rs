//! Makes whole again, at start, what a power cut or a kill left in `temp`.

use std::{path::PathBuf, sync::Arc};

use crate::{
    error::Result,
    ids::DeviceId,
    media::mp4::MarkInfo,
    merge::chunk::{ChunkWriter, SealedChunk},
    storage::volume::Volume,
};

/// What became of one file in `temp`.
pub enum Recovered {
    /// Whole up to its last mark; may be continued or sealed.
    Open(Box<ChunkWriter>),
    /// Only its rename is missing.
    Sealed(SealedChunk),
    /// Held no whole fragment.
    Deleted(PathBuf),
    /// Not one of ours, or beyond reading: set aside for a person.
    Quarantined { path: PathBuf, why: String },
}

/// Every file of a device's `temp`, oldest first.
///
/// `hot_has_after(mark)` tells whether segments after that mark (None: any) still wait in hot. If so they will be merged
/// again and unmarked fragments are cut; if not (a power cut took them) whole unmarked fragments are kept.
pub fn recover(
    _volume: &Arc<Volume>,
    _device: &DeviceId,
    _hot_has_after: &dyn Fn(Option<&MarkInfo>) -> bool,
) -> Result<Vec<Recovered>> {
    Ok(Vec::new())
}
