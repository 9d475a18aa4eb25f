//! Appends samples to the open chunk; the only writer of cold storage.

use std::{path::PathBuf, sync::Arc};

pub use crate::media::mp4::{ChunkMeta, Fragment, MarkInfo, OutSample, TrackRun};
use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::DeviceId,
    media::{AudioConfig, VideoConfig},
    storage::{layout::ChunkKey, volume::Volume},
};

/// What a chunk is before its first sample.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkSpec {
    pub device: DeviceId,
    pub start: Utc90k,
    pub generation: u32,
    pub video: Option<VideoConfig>,
    pub audio: Option<AudioConfig>,
    /// Expected video rate: sizes the reserve for the sealed table. 0 when unknown.
    pub fps: f64,
}

impl ChunkSpec {
    pub fn key(&self) -> ChunkKey {
        ChunkKey { start_ms: self.start.as_ms(), generation: self.generation }
    }
}

/// What one commit put on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Bytes of the file that readers may see.
    pub published_len: u64,
    /// Bytes this commit appended, boxes and mark included.
    pub written_bytes: u64,
    /// Bytes of samples among them.
    pub media_bytes: u64,
    /// Media time this commit appended (video, or audio without video).
    pub media_90k: i64,
    /// End of the last sample.
    pub end: Utc90k,
}

/// A chunk that awaits its rename into the ring.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedChunk {
    pub meta: ChunkMeta,
    /// Relative to the volume: still in `temp`.
    pub path: PathBuf,
    pub bytes: u64,
}

impl SealedChunk {
    pub fn key(&self) -> ChunkKey {
        ChunkKey { start_ms: self.meta.start.as_ms(), generation: self.meta.generation }
    }
}

/// The open chunk of a device.
pub struct ChunkWriter {
    spec: ChunkSpec,
}

impl ChunkWriter {
    /// Makes `ROOT/<device>/segments/temp/<start_ms>-<generation>.mp4`; nothing is synced before the first commit.
    pub fn create(_volume: Arc<Volume>, _spec: ChunkSpec) -> Result<Self> {
        Err(not_yet())
    }

    /// Writes one fragment behind the last; readers see it after the next [`Self::commit`].
    pub fn append(&mut self, _fragment: &Fragment<'_>) -> Result<()> {
        Err(not_yet())
    }

    /// Ends what was appended with a mark, syncs, re-reads it, publishes it.
    pub fn commit(&mut self, _mark: MarkInfo) -> Result<Committed> {
        Err(not_yet())
    }

    /// Forgets what was appended since the last commit.
    pub fn rollback(&mut self) -> Result<()> {
        Err(not_yet())
    }

    /// Makes the file an ordinary MP4, in place, in `temp`. On an error the file stays as it was: recovery seals it.
    pub fn seal(self) -> Result<SealedChunk> {
        Err(not_yet())
    }

    pub fn spec(&self) -> &ChunkSpec {
        &self.spec
    }

    pub fn key(&self) -> ChunkKey {
        self.spec.key()
    }

    /// Relative to the volume.
    pub fn path(&self) -> PathBuf {
        PathBuf::new()
    }

    /// Bytes of the file that readers may see; 0 before the first commit.
    pub fn published_len(&self) -> u64 {
        0
    }

    /// End of the last committed sample; the start when there is none.
    pub fn end(&self) -> Utc90k {
        self.spec.start
    }

    pub fn last_mark(&self) -> Option<MarkInfo> {
        None
    }

    /// Holes of more than 500 ms so far.
    pub fn gaps(&self) -> u32 {
        0
    }

    /// RFC 6381.
    pub fn codecs(&self) -> &str {
        ""
    }

    /// A write or sync failed: nothing more goes into this file. It stays as it is; open a new part.
    pub fn is_poisoned(&self) -> bool {
        false
    }
}

fn not_yet() -> Error {
    Error::new(Kind::Internal, "not built yet")
}
