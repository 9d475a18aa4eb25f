//! Puts a verified successor in the place of its source, and takes it back: X.mp4 is there at every instant, whole.
//!
//! Order: `.new` is durable → `X.mp4` is linked to `.original`, flushed → the marker is written, flushed → `.new` is
//! renamed over `X.mp4`, flushed → published. What a cut leaves of it is healed at start ([`super::heal`]).

use std::path::{Path, PathBuf};

use super::{
    Made,
    heal::{self, Keeping},
    marker::Marker,
};
use crate::{
    error::{Error, Kind, Result},
    merge::handover::key_of,
    storage::{ChunkEntry, DeviceIndex, Volume, inventory, layout::Companion},
};

/// Bytes copied at a time, where nothing but a copy helps.
const COPY_BYTES: usize = 256 << 10;

/// A chunk's file and what may lie beside it.
pub(super) struct Files<'a> {
    pub volume: &'a Volume,
    /// Relative to the volume.
    pub chunk: PathBuf,
}

impl<'a> Files<'a> {
    pub fn new(volume: &'a Volume, chunk: PathBuf) -> Self {
        Self { volume, chunk }
    }

    pub fn path(&self, kind: Companion) -> PathBuf {
        kind.beside(&self.chunk)
    }

    /// As [`crate::storage::ColdDir::write_atomic`] names it.
    pub fn half_marker(&self) -> PathBuf {
        let mut name = self.path(Companion::Marker).into_os_string();
        name.push(".tmp");
        name.into()
    }

    pub fn folder(&self) -> &Path {
        self.chunk.parent().unwrap_or(Path::new(""))
    }

    fn delete(&self, kind: Companion) -> Result<()> {
        match self.volume.unlink(&self.path(kind)) {
            Err(error) if error.kind == Kind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// Where and how.
#[derive(Clone, Copy)]
pub struct Swap<'a> {
    /// The archive's, which knows the library's.
    pub volume: &'a Volume,
    pub index: &'a DeviceIndex,
    pub keeping: Keeping,
}

impl Swap<'_> {
    /// [`Kind::Conflict`]: the source went, moved or changed meanwhile. Whatever fails, the source is where it was, or
    /// its successor is, and nothing else is left behind that the disk would let us take away.
    pub fn swap(&self, source: &ChunkEntry, made: &Made) -> Result<()> {
        let files = self.files(source);
        let _place = self.index.hold_at(source.place);
        let done = self.is_still_there(&files, source).and_then(|()| self.steps(&files, source, made));
        if done.is_err() {
            self.settle(&files, source, made);
        }
        done
    }

    /// Takes a successor away again that may not come in its place.
    pub fn give_up(&self, source: &ChunkEntry, why: &str) -> Result<()> {
        self.files(source).delete(Companion::Successor)?;
        Err(Error::new(Kind::Conflict, why))
    }

    /// Everything that was not kept long enough yet is not touched; whether the original went.
    pub fn expire(&self, original: &ChunkEntry, now: crate::clock::Utc90k) -> Result<bool> {
        let files = self.files_of(original);
        let _place = self.index.hold_at(original.place);
        let still = self.index.originals().get(&original.key).is_some_and(|it| it.place == original.place);
        if !still {
            return Ok(false);
        }
        match Marker::read(files.volume, &files.path(Companion::Marker)) {
            Ok(marker) if marker.delete_after().is_some_and(|at| at <= now) => {}
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Corrupt) => {
                heal::remark(&files, self.keeping)?;
                return Ok(false);
            }
            Ok(_) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.forget(&files, original).map(|()| true)
    }

    /// Unpublish, then unlink; the marker last, so that what a cut leaves of it is told from a swap half done.
    fn forget(&self, files: &Files<'_>, original: &ChunkEntry) -> Result<()> {
        let taken = self.index.remove_original(&original.key);
        if let Err(error) = files.delete(Companion::Original) {
            if let Some(taken) = taken {
                self.index.put_original(taken.as_ref().clone());
            }
            return Err(error);
        }
        files.delete(Companion::Marker)
    }

    /// Takes the kept original back. `listed` is what is there now. Returns the original as it is listed from now on.
    pub fn roll_back(&self, listed: &ChunkEntry) -> Result<ChunkEntry> {
        let files = self.files(listed);
        let _place = self.index.hold_at(listed.place);
        self.is_still_there(&files, listed)?;
        let originals = self.index.originals();
        let kept = originals.iter().rev().find(|it| {
            it.key.start_ms == listed.key.start_ms
                && it.place == listed.place
                && it.key.generation < listed.key.generation
        });
        let none = || Error::new(Kind::NotFound, "no original of it is kept").at(files.chunk.display());
        let kept = kept.ok_or_else(none)?;
        let path = files.path(Companion::Original);
        match inventory::look(files.volume, &path)? {
            (Some(meta), _) if meta.sealed.is_some() && key_of(&meta) == kept.key => {}
            _ => return Err(Error::new(Kind::Corrupt, "the kept original cannot be read").at(path.display())),
        }
        // Under a third name first: the address of the original answers all the while.
        let aside = files.path(Companion::Successor);
        files.delete(Companion::Successor)?;
        let linked = files.volume.link(&path, &aside).is_ok();
        let restored = ChunkEntry { original: false, ..kept.as_ref().clone() };
        self.index.replace(&listed.key, kept.as_ref().clone(), false);
        let from = if linked { &aside } else { &path };
        let done = files.volume.rename(from, &files.chunk).and_then(|()| files.volume.fsync_dir(files.folder()));
        if let Err(error) = done {
            let _ = files.delete(Companion::Successor);
            let now = inventory::look(files.volume, &files.chunk);
            let is_back = matches!(now, Ok((Some(meta), _)) if key_of(&meta) == kept.key);
            self.index.replace(&kept.key, if is_back { restored } else { listed.clone() }, false);
            return Err(error);
        }
        self.index.replace(&kept.key, restored.clone(), false);
        self.index.remove_original(&kept.key);
        // What stays of these is healed at start.
        files.delete(Companion::Original).and_then(|()| files.delete(Companion::Marker))?;
        Ok(restored)
    }

    fn files(&self, entry: &ChunkEntry) -> Files<'_> {
        let path = entry.path(self.volume.layout(), self.index.device());
        Files::new(self.volume.of(entry.place), path)
    }

    fn files_of(&self, original: &ChunkEntry) -> Files<'_> {
        self.files(&ChunkEntry { original: false, ..original.clone() })
    }

    fn is_still_there(&self, files: &Files<'_>, source: &ChunkEntry) -> Result<()> {
        let gone = || Error::new(Kind::Conflict, "it went, moved or changed meanwhile").at(files.chunk.display());
        let listed = self.index.snapshot().get(&source.key).cloned().ok_or_else(gone)?;
        let same = listed.place == source.place && listed.bytes == source.bytes && listed.sealed && !listed.original;
        match files.volume.metadata(&files.chunk) {
            Ok(meta) if same && meta.bytes == source.bytes => Ok(()),
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Err(gone()),
        }
    }

    fn steps(&self, files: &Files<'_>, source: &ChunkEntry, made: &Made) -> Result<()> {
        let (volume, folder) = (files.volume, files.folder());
        let (successor, original) = (files.path(Companion::Successor), files.path(Companion::Original));
        // Its name; its bytes are.
        volume.fsync_dir(folder)?;
        files.delete(Companion::Original)?;
        let linked = match volume.link(&files.chunk, &original) {
            Ok(()) => volume.fsync_dir(folder).map(|()| true)?,
            Err(error) if is_unsupported(&error) => false,
            Err(error) => return Err(error),
        };
        if let Some(delete_after) = self.keeping.delete_after {
            let marker = Marker::new(&files.chunk, source, &made.entry, self.keeping.now, delete_after);
            let marker = Marker { encoder: made.encoder.to_owned(), ssim: made.ssim, ..marker };
            marker.write(volume, &files.path(Companion::Marker))?;
        }
        if linked || !self.exchange(files)? {
            // From here on the source's own address leads to the original: X may be either.
            self.index.put(ChunkEntry { original: true, ..source.clone() });
            volume.rename(&successor, &files.chunk)?;
        }
        volume.fsync_dir(folder)?;
        self.index.replace(&source.key, made.entry.clone(), true);
        if self.keeping.delete_after.is_none() {
            self.forget(files, source)?;
        }
        Ok(())
    }

    /// Where there are no links. False when names cannot be exchanged either, and the original is a copy.
    fn exchange(&self, files: &Files<'_>) -> Result<bool> {
        let (volume, successor) = (files.volume, files.path(Companion::Successor));
        match volume.exchange(&successor, &files.chunk) {
            Ok(()) => {}
            Err(error) if is_unsupported(&error) => return self.copy(files).map(|()| false),
            Err(error) => return Err(error),
        }
        volume.fsync_dir(files.folder())?;
        volume.rename(&successor, &files.path(Companion::Original))?;
        Ok(true)
    }

    fn copy(&self, files: &Files<'_>) -> Result<()> {
        use std::os::unix::fs::FileExt;
        let (volume, original) = (files.volume, files.path(Companion::Original));
        let (source, target) = (volume.open_read(&files.chunk)?, volume.create_new(&original)?);
        let (mut piece, mut at) = (vec![0; COPY_BYTES], 0);
        loop {
            let reading = |error| Error::io("reading", &files.chunk, error);
            let had = source.read_at(&mut piece, at).map_err(reading)?;
            let Some(bytes) = piece.get(..had).filter(|bytes| !bytes.is_empty()) else { break };
            volume.write_at(&target, &original, bytes, at)?;
            at += had as u64;
        }
        volume.sync_data(&target, &original)?;
        volume.fsync_dir(files.folder())
    }

    /// After a step that failed: what can be healed now is, and the index tells what lies there.
    fn settle(&self, files: &Files<'_>, source: &ChunkEntry, made: &Made) {
        let _ = heal::one(files, self.index, self.keeping);
        // A source that was deleted leaves a successor that nobody asked for.
        let _ = files.delete(Companion::Successor);
        let listed = self.index.snapshot().get(&source.key).cloned();
        // Not where the cleaner moved it meanwhile.
        let is_listed = listed.is_some_and(|listed| listed.place == source.place);
        match inventory::look(files.volume, &files.chunk) {
            Ok((Some(meta), _)) if key_of(&meta) == made.entry.key => {
                let kept = files.volume.exists(&files.path(Companion::Original));
                self.index.replace(&source.key, made.entry.clone(), kept);
            }
            _ if is_listed && self.index.snapshot().get(&made.entry.key).is_none() => self.index.put(source.clone()),
            _ => {}
        }
    }
}

/// The file system has no such operation, as FAT and some network disks.
fn is_unsupported(error: &Error) -> bool {
    const ERRNOS: [i32; 6] = [libc::EPERM, libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::EMLINK, libc::ENOTTY];
    error.os().and_then(std::io::Error::raw_os_error).is_some_and(|errno| ERRNOS.contains(&errno))
}
