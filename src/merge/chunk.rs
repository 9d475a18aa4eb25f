//! Appends samples to the open chunk; the only writer of cold media.
//!
//! Order is always: write → fdatasync the file → fsync its folder → publish. After a failed write or sync the writer is
//! poisoned: the file stays as it is, its earlier commits readable, and recovery seals it; the caller opens a new part.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use crate::media::mp4::{ChunkMeta, Fragment, MarkInfo, OutSample, SealedMeta, TrackRun};
use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::DeviceId,
    media::{
        AudioConfig, VideoConfig,
        mp4::{
            fragment::Encoded,
            head::Head,
            mark::{MARK_LEN, Mark, sum_up},
            scan::{self, Piece},
            seal,
            table::{Run, Tables, TablesSnapshot},
            tracks::Tracks,
        },
    },
    merge::handover::entry,
    storage::{ChunkEntry, Place, index::Hole, layout::ChunkKey, volume::Volume},
};

/// What a chunk is before its first sample.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkSpec {
    pub device: DeviceId,
    /// Time 0 of both tracks.
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
    /// Media time this commit appended (video, or audio without video), gaps not counted.
    pub media_90k: i64,
    /// End of the last sample.
    pub end: Utc90k,
}

/// A chunk that awaits its rename into the ring.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedChunk {
    pub meta: Box<ChunkMeta>,
    /// The same as in `meta.sealed`.
    pub sealed: SealedMeta,
    /// Relative to the volume: still where it grew.
    pub path: PathBuf,
    /// Length of the file.
    pub bytes: u64,
    /// Where its gaps are; None when it was found sealed, and they were not looked for.
    pub holes: Option<Arc<[Hole]>>,
    /// Bytes that sealing wrote; 0 when it was found sealed.
    pub written_bytes: u64,
}

impl SealedChunk {
    pub fn key(&self) -> ChunkKey {
        ChunkKey { start_ms: self.meta.start.as_ms(), generation: self.meta.generation }
    }

    /// As the index lists it.
    pub fn entry(&self, place: Place) -> ChunkEntry {
        ChunkEntry { holes: self.holes.clone(), ..entry(&self.meta, place, self.bytes) }
    }
}

/// The open chunk of a device.
pub struct ChunkWriter {
    volume: Arc<Volume>,
    /// [`Volume::mounts`] when the file was opened: a handle of an earlier mount writes to a disk that is gone.
    mounts: u64,
    file: File,
    path: PathBuf,
    spec: ChunkSpec,
    head: Head,
    tables: Tables,
    sequence: u32,
    /// Reused from fragment to fragment: memory stays at the largest.
    buffer: Encoded,
    committed: Point,
    batch: Batch,
    folder_is_synced: bool,
    is_poisoned: bool,
}

/// The state after a commit, to which [`ChunkWriter::rollback`] returns.
struct Point {
    /// Bytes readers may see; 0 before the first commit.
    published_len: u64,
    /// Where the next batch begins.
    len: u64,
    tables: TablesSnapshot,
    sequence: u32,
    end: Utc90k,
    mark: Option<Mark>,
}

/// What was appended since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Batch {
    bytes: u64,
    crc: u32,
    fragments: u32,
    samples: u64,
    media_bytes: u64,
    media_90k: i64,
}

impl std::fmt::Debug for ChunkWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkWriter({} {})", self.spec.device, self.spec.key().file_name())
    }
}

/// What recovery found in a file, for a writer to go on with.
pub(super) struct Found {
    pub file: File,
    pub path: PathBuf,
    pub head: Head,
    pub tables: Tables,
    pub sequence: u32,
    pub mark: Option<Mark>,
    /// End of the last mark.
    pub len: u64,
}

impl ChunkWriter {
    /// Makes `ROOT/<device>/segments/temp/<start_ms>-<generation>.mp4`; nothing is synced before the first commit.
    ///
    /// `Conflict` when the chunk is there already, `Invalid` when its tracks make no MP4.
    pub fn create(volume: Arc<Volume>, spec: ChunkSpec) -> Result<Self> {
        let path = volume.layout().open_chunk(&spec.device, spec.key());
        volume.mkdir_all(&volume.layout().temp(&spec.device))?;
        Self::create_at(volume, spec, path)
    }

    /// The same at `path`, in a folder that is there: for what recovery must not find.
    pub fn create_at(volume: Arc<Volume>, spec: ChunkSpec, path: PathBuf) -> Result<Self> {
        let tracks = Tracks { video: spec.video.clone(), audio: spec.audio.clone() };
        let head = Head::new(&spec.device, spec.start, spec.generation, tracks, spec.fps)?;
        let mounts = volume.mounts();
        let file = volume.create_new(&path)?;
        if let Err(error) = volume.write_at(&file, &path, &head.image, 0) {
            // Without its head it is nothing; best effort, recovery removes it too.
            let _ = volume.unlink(&path);
            return Err(error);
        }
        let start = spec.start;
        let data_offset = head.meta.data_offset;
        Ok(Self {
            committed: Point {
                published_len: 0,
                len: data_offset,
                tables: TablesSnapshot::default(),
                sequence: 0,
                end: start,
                mark: None,
            },
            volume,
            mounts,
            file,
            path,
            spec,
            head,
            tables: Tables::default(),
            sequence: 0,
            buffer: Encoded::default(),
            batch: Batch::default(),
            folder_is_synced: false,
            is_poisoned: false,
        })
    }

    /// Goes on with a file that recovery made whole and synced.
    pub(super) fn resume(volume: Arc<Volume>, found: Found) -> Self {
        let Found { file, path, head, tables, sequence, mark, len } = found;
        let spec = ChunkSpec {
            device: head.meta.device.clone(),
            start: head.meta.start,
            generation: head.meta.generation,
            video: head.tracks.video.clone(),
            audio: head.tracks.audio.clone(),
            fps: 0.0,
        };
        Self {
            committed: Point {
                published_len: len,
                len,
                tables: tables.snapshot(),
                sequence,
                end: head.end(&tables),
                mark,
            },
            mounts: volume.mounts(),
            volume,
            file,
            path,
            spec,
            head,
            tables,
            sequence,
            buffer: Encoded::default(),
            batch: Batch::default(),
            folder_is_synced: true,
            is_poisoned: false,
        }
    }

    /// Writes one fragment behind the last; readers see it after the next [`Self::commit`].
    ///
    /// `Invalid` and `Corrupt` blame the fragment (empty, times that run backwards, a sample without NAL units): nothing
    /// was written and the writer goes on; `Full` leaves it usable too, after a [`Self::rollback`]. Any other kind
    /// poisons it.
    pub fn append(&mut self, fragment: &Fragment<'_>) -> Result<()> {
        self.check_usable()?;
        let sequence = self.sequence + 1;
        let is_foreign = (fragment.video.is_some() && self.spec.video.is_none())
            || (fragment.audio.is_some() && self.spec.audio.is_none());
        if is_foreign {
            return Err(self.error(Kind::Invalid, "samples of a track the chunk does not have"));
        }
        self.buffer.encode(sequence, fragment).map_err(|error| error.at(self.path.display()))?;
        let at = self.committed.len + self.batch.bytes;
        self.buffer.place(at);
        self.tables.check(&self.buffer.video, &self.buffer.audio).map_err(|error| error.at(self.path.display()))?;
        if let Err(error) = self.volume.write_at(&self.file, &self.path, &self.buffer.bytes, at) {
            return Err(self.failed(error));
        }
        let Encoded { bytes, video, audio, media_bytes, checksum } = &self.buffer;
        self.tables.push(video, audio, self.spec.video.is_some(), self.head.tracks.audio_rate());
        self.sequence = sequence;
        self.batch.bytes += bytes.len() as u64;
        self.batch.crc = sum_up(self.batch.crc, *checksum);
        self.batch.fragments += 1;
        self.batch.samples += (video.samples.len() + audio.samples.len()) as u64;
        self.batch.media_bytes += media_bytes;
        self.batch.media_90k += self.media_90k(video, audio);
        Ok(())
    }

    /// Ends what was appended with a mark, syncs, re-reads it, publishes it. Without anything appended the mark alone
    /// says that segments up to `info.last` held nothing.
    pub fn commit(&mut self, info: MarkInfo) -> Result<Committed> {
        self.check_usable()?;
        let mark = self.next_mark(info);
        let mark_at = self.committed.len + self.batch.bytes;
        if let Err(error) = self.volume.write_at(&self.file, &self.path, &mark.encode(), mark_at) {
            return Err(self.failed(error));
        }
        let len = mark_at + MARK_LEN;
        if let Err(error) = self.sync().and_then(|()| self.reread(self.committed.len, len)) {
            self.is_poisoned = true;
            // The same segments are about to go to a new part: if the disk still can, they leave this one, so that
            // recovery does not find them twice.
            let _ = self.file.set_len(self.committed.len);
            return Err(error);
        }
        Ok(self.publish(mark, len))
    }

    /// Forgets what was appended since the last commit, for instance when a job failed half way.
    pub fn rollback(&mut self) -> Result<()> {
        self.check_usable()?;
        self.tables.restore(&self.committed.tables);
        self.sequence = self.committed.sequence;
        self.batch = Batch::default();
        // Also when nothing was counted: a write may have failed half way.
        let cut = self.file.set_len(self.committed.len);
        cut.map_err(|source| {
            self.is_poisoned = true;
            Error::io("cutting back to the last commit", &self.path, source)
        })
    }

    /// Makes the file an ordinary MP4, in place. On an error it stays the growing file it was: recovery seals it.
    ///
    /// `Conflict` when something is appended but not committed, `Invalid` when it holds no sample.
    pub fn seal(self) -> Result<SealedChunk> {
        self.check_usable()?;
        if self.batch != Batch::default() {
            return Err(self.error(Kind::Conflict, "uncommitted fragments"));
        }
        let sealed = SealedMeta {
            end: self.committed.end,
            gaps: self.tables.gaps(),
            last_mark: self.committed.mark.map(|mark| mark.info),
        };
        let plan = seal::plan(&self.head, &self.tables, sealed, self.committed.len)
            .map_err(|error| error.at(self.path.display()))?;
        for (offset, bytes) in &plan.before {
            self.volume.write_at(&self.file, &self.path, bytes, *offset)?;
        }
        self.volume.sync_data(&self.file, &self.path)?;
        let (offset, bytes) = plan.flip;
        self.volume.write_at(&self.file, &self.path, &bytes, offset)?;
        self.volume.sync_data(&self.file, &self.path)?;
        let holes = Some(self.holes());
        let meta = Box::new(ChunkMeta { sealed: Some(sealed), ..self.head.meta });
        let written_bytes = plan.before.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>() + bytes.len() as u64;
        Ok(SealedChunk { meta, sealed, path: self.path, bytes: plan.len, holes, written_bytes })
    }

    /// Removes the file, for a chunk that never got a sample.
    pub fn discard(self) -> Result<()> {
        self.volume.unlink(&self.path)
    }

    pub fn spec(&self) -> &ChunkSpec {
        &self.spec
    }

    pub fn key(&self) -> ChunkKey {
        self.spec.key()
    }

    /// Relative to the volume.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// What the head of the file says.
    pub fn meta(&self) -> &ChunkMeta {
        &self.head.meta
    }

    /// Bytes of the file that readers may see; 0 before the first commit.
    pub fn published_len(&self) -> u64 {
        self.committed.published_len
    }

    /// End of the last committed sample; the start when there is none.
    pub fn end(&self) -> Utc90k {
        self.committed.end
    }

    /// Decode times after the last appended sample, in ticks of the tracks: what the next run must not precede.
    pub fn next_decode_times(&self) -> [u64; 2] {
        [self.tables.video.end(), self.tables.audio.end()]
    }

    /// What the last commit promised; None before the first.
    pub fn last_mark(&self) -> Option<MarkInfo> {
        self.committed.mark.map(|mark| mark.info)
    }

    /// Bytes appended since the last commit.
    pub fn uncommitted_bytes(&self) -> u64 {
        self.batch.bytes
    }

    /// Holes of more than 500 ms so far.
    pub fn gaps(&self) -> u32 {
        self.tables.gaps()
    }

    /// Where they are: what readers of the file will find.
    pub fn holes(&self) -> Arc<[Hole]> {
        let rate = if self.spec.video.is_some() { 90_000 } else { self.head.tracks.audio_rate() };
        let wall = |ticks: u64| {
            let ticks_90k = u128::from(ticks) * 90_000 / u128::from(rate.max(1));
            self.spec.start + i64::try_from(ticks_90k).unwrap_or(i64::MAX)
        };
        self.tables.holes.iter().map(|hole| Hole { start: wall(hole.start), end: wall(hole.end) }).collect()
    }

    /// RFC 6381.
    pub fn codecs(&self) -> &str {
        &self.head.meta.codecs
    }

    /// True after a failed write or sync, or a new mount: nothing more goes into this file.
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned || self.mounts != self.volume.mounts()
    }

    /// A full disk refuses a write and is as it was before; after any other failure nothing may be assumed.
    fn failed(&mut self, error: Error) -> Error {
        self.is_poisoned |= error.kind != Kind::Full;
        error
    }

    fn next_mark(&self, info: MarkInfo) -> Mark {
        let commit = self.committed.mark.map_or(0, |mark| mark.commit) + 1;
        Mark { commit, info, batch_len: self.batch.bytes, batch_crc: self.batch.crc }
    }

    fn sync(&mut self) -> Result<()> {
        self.volume.sync_data(&self.file, &self.path)?;
        if !self.folder_is_synced {
            self.volume.fsync_dir(self.path.parent().unwrap_or(Path::new("")))?;
            self.folder_is_synced = true;
        }
        Ok(())
    }

    fn publish(&mut self, mark: Mark, len: u64) -> Committed {
        let batch = std::mem::take(&mut self.batch);
        let end = self.head.end(&self.tables);
        self.committed = Point {
            published_len: len,
            len,
            tables: self.tables.snapshot(),
            sequence: self.sequence,
            end,
            mark: Some(mark),
        };
        Committed {
            published_len: len,
            written_bytes: batch.bytes + MARK_LEN,
            media_bytes: batch.media_bytes,
            media_90k: batch.media_90k,
            end,
        }
    }

    /// What readers will find must be what was appended: counts and bytes, from the file.
    fn reread(&self, from: u64, to: u64) -> Result<()> {
        let pieces = scan::shallow(&self.file, from, to)
            .map_err(|source| Error::io("reading back the commit", &self.path, source))?;
        let mut found = Batch { media_90k: self.batch.media_90k, ..Batch::default() };
        let mut marks = 0;
        for piece in &pieces {
            match piece {
                Piece::Fragment(fragment) => {
                    found.bytes += fragment.len;
                    found.crc = sum_up(found.crc, fragment.checksum);
                    found.fragments += 1;
                    found.samples += fragment.runs().map(|run| run.samples.len() as u64).sum::<u64>();
                    found.media_bytes += fragment.media_bytes();
                }
                Piece::Mark { .. } => marks += 1,
                Piece::Free(_) | Piece::Damage(_) => marks = 2,
            }
        }
        if found == self.batch && marks == 1 {
            return Ok(());
        }
        Err(self.error(Kind::Corrupt, "the commit does not read back as it was written"))
    }

    fn media_90k(&self, video: &Run, audio: &Run) -> i64 {
        if self.spec.video.is_some() {
            return i64::try_from(video.end() - video.base).unwrap_or(0);
        }
        let ticks = u128::from(audio.end() - audio.base) * 90_000 / u128::from(self.head.tracks.audio_rate());
        i64::try_from(ticks).unwrap_or(0)
    }

    fn check_usable(&self) -> Result<()> {
        if self.is_poisoned {
            return Err(self.error(Kind::Io, "an earlier write failed; a new part is needed"));
        }
        if self.mounts != self.volume.mounts() {
            return Err(self.error(Kind::Io, "the volume was mounted anew; a new part is needed"));
        }
        Ok(())
    }

    fn error(&self, kind: Kind, message: &str) -> Error {
        Error::new(kind, message).at(self.path.display())
    }
}
