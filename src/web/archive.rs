//! What `capstan archive list|verify|repair` does with the files, inside the daemon or, under the root's lock, without.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    archive::siblings::mend,
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::DeviceId,
    media::{
        mp4::{MarkInfo, pack},
        verdicts,
    },
    merge::recover::{Recovered, recover, repair_file, verify_file},
    storage::{
        ChunkEntry, DeviceIndex, Place, Scanned, Volume,
        inventory::{SetAside, devices, look, quarantine, scan_device, scan_library},
        layout::{ChunkKey, HotKind, HotLayout, LibraryHour, RingSlot, Shelf, Sibling, parse_hot_name},
        siblings,
    },
};

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveRow {
    pub device: DeviceId,
    /// Relative to the root; of the library's own volume: from its root on.
    pub path: PathBuf,
    pub state: RowState,
    /// RFC 3339; None where the file does not tell.
    #[serde(default)]
    pub start: Option<String>,
    #[serde(default)]
    pub end: Option<String>,
    pub bytes: u64,
    /// Of the stills and verdicts beside it.
    #[serde(default)]
    pub bytes_beside: u64,
    #[serde(default)]
    pub codecs: String,
    #[serde(default)]
    pub gaps: u32,
    /// What is wrong with it; only a verification reads the whole file.
    #[serde(default)]
    pub problems: Vec<String>,
    /// What a repair did.
    #[serde(default)]
    pub done: Option<String>,
    /// Where it lies, and its path there; None for what is no listed chunk.
    #[serde(skip)]
    at: Option<(Place, PathBuf)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// Finished, in its place of the ring.
    Sealed,
    /// The daemon appends to it, or is about to move it into the ring.
    Open,
    /// Left by a daemon that was killed; the next start continues or seals it.
    Unfinished,
    /// In a chunk's place but not listed as one.
    Damaged,
}

/// The archive as one process holds it.
pub struct Archive<'a> {
    pub volume: &'a Arc<Volume>,
    /// To know what still waits in hot for an unfinished chunk.
    pub hot: &'a HotLayout,
    /// The index of a device that this process records; None for all others.
    pub index: &'a dyn Fn(&DeviceId) -> Option<Arc<DeviceIndex>>,
}

/// What to do with the files of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    List,
    Verify,
    Repair,
}

impl Archive<'_> {
    /// Works through one device, or through all that have a folder on the volume.
    pub fn run(&self, work: Work, device: Option<&DeviceId>) -> Result<Vec<ArchiveRow>> {
        let devices = match device {
            Some(device) if (self.index)(device).is_none() && !devices(self.volume)?.contains(device) => {
                return Err(Error::new(Kind::NotFound, format!("the archive has no device {device}")));
            }
            Some(device) => vec![device.clone()],
            None => devices(self.volume)?,
        };
        let mut rows = Vec::new();
        for device in &devices {
            rows.extend(match work {
                Work::List => self.list(device)?,
                Work::Verify => self.verify(device)?,
                Work::Repair => self.repair(device)?,
            });
        }
        Ok(rows)
    }

    /// One 4 KiB read per file.
    fn list(&self, device: &DeviceId) -> Result<Vec<ArchiveRow>> {
        let mut scanned = scan_device(self.volume, device)?;
        self.add_library(device, &mut scanned)?;
        let mut rows: Vec<ArchiveRow> = scanned.chunks.iter().map(|chunk| self.row(device, chunk)).collect();
        let index = (self.index)(device);
        for key in scanned.in_temp {
            rows.push(match &index {
                // In the index it may have moved into the ring since the scan: listed there, or not yet; it is whole in
                // any case. Not in it: a chunk without a commit, or one that awaits recovery. The recorder's own, both.
                Some(index) => match index.get(&key) {
                    Some(chunk) => self.row(device, &chunk),
                    None => self.in_temp(device, key, RowState::Open),
                },
                None => self.in_temp(device, key, RowState::Unfinished),
            });
        }
        rows.extend(
            scanned
                .set_aside
                .into_iter()
                .map(|bad| ArchiveRow { problems: vec![bad.why], ..self.bare(device, bad.path, RowState::Damaged) }),
        );
        rows.sort_by(|a, b| (&a.start, &a.path).cmp(&(&b.start, &b.path)));
        rows.dedup_by(|a, b| a.path == b.path);
        Ok(rows)
    }

    /// At home, and on a volume of its own when that is there.
    fn add_library(&self, device: &DeviceId, scanned: &mut Scanned) -> Result<()> {
        let home = scan_library(self.volume, device, Shelf::Home)?;
        scanned.chunks.extend(home.chunks);
        scanned.set_aside.extend(home.set_aside);
        if let Some(away) = self.volume.library().filter(|away| away.is_ok()) {
            let away_root = away.root();
            let away = scan_library(away, device, Shelf::Away)?;
            scanned.chunks.extend(away.chunks);
            let from_root = |bad: SetAside| SetAside { path: away_root.join(&bad.path), ..bad };
            scanned.set_aside.extend(away.set_aside.into_iter().map(from_root));
        }
        Ok(())
    }

    /// The same after reading every byte of what nobody appends to.
    fn verify(&self, device: &DeviceId) -> Result<Vec<ArchiveRow>> {
        let mut rows = self.list(device)?;
        for row in rows.iter_mut().filter(|row| matches!(row.state, RowState::Sealed | RowState::Unfinished)) {
            let (place, path) = row.at.clone().unwrap_or((Place::Temp, row.path.clone()));
            match verify_file(self.volume.of(place), &path) {
                Ok(verdict) => {
                    row.problems = verdict.problems;
                    let foreign = verdict.meta.as_ref().filter(|meta| meta.device != *device);
                    row.problems.extend(foreign.map(|meta| format!("belongs to device {}", meta.device)));
                    if let Some(start) = row.at.as_ref().and(verdict.meta.as_ref().map(|meta| meta.start)) {
                        row.problems.extend(beside_problems(self.volume, device, start.as_ms(), place));
                    }
                }
                // The cleaner was faster.
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => row.problems.push(error.to_string()),
            }
        }
        Ok(rows)
    }

    /// Verifies, then mends: damaged chunks are rebuilt in place from what is whole, or set aside when nothing is;
    /// unfinished ones are sealed. Rows without `done` were left alone.
    fn repair(&self, device: &DeviceId) -> Result<Vec<ArchiveRow>> {
        let mut rows = self.verify(device)?;
        for row in &mut rows {
            if row.state == RowState::Damaged || (row.state == RowState::Sealed && !row.problems.is_empty()) {
                row.done = Some(match row.at.as_ref().map(|at| at.0) {
                    Some(Place::Library(_, Shelf::Away)) => "left alone: it lies on the library's own volume".into(),
                    _ if row.path.is_absolute() => "left alone: it lies on the library's own volume".into(),
                    place => self.mend(device, &row.path, place),
                });
            }
        }
        if rows.iter().any(|row| row.state == RowState::Unfinished) {
            self.finish(device, &mut rows)?;
        }
        Ok(rows)
    }

    fn mend(&self, device: &DeviceId, path: &Path, place: Option<Place>) -> String {
        let index = (self.index)(device);
        match repair_file(self.volume, device, path) {
            Ok(Recovered::Sealed(chunk)) => {
                let place = place.or_else(|| place_of(path));
                if let (Some(index), Some(place)) = (&index, place) {
                    index.put(chunk.entry(place));
                }
                match place.map(|place| self.mend_beside(device, chunk.key(), place)) {
                    Some(Err(error)) => format!("repaired, but not what lies beside it: {error}"),
                    _ => "repaired".into(),
                }
            }
            Ok(Recovered::Deleted(_)) => {
                unlist(index.as_deref(), path);
                "deleted: it held no whole fragment".into()
            }
            Ok(Recovered::Quarantined { path: new, .. }) => {
                unlist(index.as_deref(), path);
                format!("set aside at {}", new.display())
            }
            Ok(Recovered::Open(_)) => "recovered".into(),
            Err(error) if error.kind == Kind::Corrupt => {
                // From the cleaner and the hand-over, which may be about to use the same place.
                let _ring = index.as_ref().map(|index| index.hold_ring());
                let bad = SetAside { path: path.to_owned(), why: error.message, corrupt: true };
                unlist(index.as_deref(), path);
                match quarantine(self.volume, device, &[bad]) {
                    Ok(moved) => match moved.first() {
                        Some(new) => format!("set aside at {}", new.display()),
                        None => "left alone".into(),
                    },
                    Err(error) => format!("cannot be set aside: {error}"),
                }
            }
            Err(error) => format!("cannot be repaired: {error}"),
        }
    }

    fn mend_beside(&self, device: &DeviceId, key: ChunkKey, place: Place) -> Result<()> {
        let index = (self.index)(device);
        let _ring = index.as_ref().map(|index| index.hold_ring());
        mend(self.volume, device, key, place)
    }

    /// Seals what a killed daemon left. The next start moves it into the ring.
    fn finish(&self, device: &DeviceId, rows: &mut [ArchiveRow]) -> Result<()> {
        let waiting = self.waiting(device);
        let still_in_hot = |mark: Option<&MarkInfo>| waiting.iter().any(|key| mark.is_none_or(|mark| *key > mark.last));
        for outcome in recover(self.volume, device, &still_in_hot)? {
            let (path, done) = match outcome {
                Ok(Recovered::Open(writer)) => {
                    let path = writer.path().clone();
                    (path, writer.seal().map_or_else(|error| format!("cannot be sealed: {error}"), |_| "sealed".into()))
                }
                Ok(Recovered::Sealed(chunk)) => (chunk.path, "sealed".into()),
                Ok(Recovered::Deleted(path)) => (path, "deleted: it held no whole fragment".into()),
                Ok(Recovered::Quarantined { path, why }) => (path.clone(), format!("set aside: {why}")),
                Err(error) => (error.path.clone().unwrap_or_default().into(), format!("cannot be read: {error}")),
            };
            // Set aside, it has another path; outcomes come in the order of the rows.
            let unfinished = |row: &&mut ArchiveRow| row.state == RowState::Unfinished && row.done.is_none();
            let row = match rows.iter().position(|row| row.path == path) {
                Some(at) => rows.get_mut(at),
                None => rows.iter_mut().find(unfinished),
            };
            if let Some(row) = row {
                row.done = Some(done);
            }
        }
        Ok(())
    }

    fn waiting(&self, device: &DeviceId) -> Vec<crate::ids::SegmentKey> {
        let entries = fs::read_dir(self.hot.folder(device, HotKind::Segment)).into_iter().flatten().flatten();
        entries.filter_map(|entry| parse_hot_name(HotKind::Segment, entry.file_name().to_str()?)).collect()
    }

    fn row(&self, device: &DeviceId, chunk: &ChunkEntry) -> ArchiveRow {
        let state = if chunk.place.is_settled() { RowState::Sealed } else { RowState::Open };
        let path = chunk.path(self.volume.layout(), device);
        let path = match chunk.place {
            Place::Library(_, Shelf::Away) => self.volume.of(chunk.place).root().join(path),
            _ => path,
        };
        ArchiveRow {
            start: Some(chunk.start.rfc3339()),
            end: Some(chunk.end.rfc3339()),
            bytes: chunk.bytes,
            bytes_beside: siblings::bytes(self.volume, device, chunk),
            at: Some((chunk.place, chunk.path(self.volume.layout(), device))),
            codecs: chunk.codecs.to_string(),
            gaps: chunk.gaps,
            ..self.bare(device, path, state)
        }
    }

    fn in_temp(&self, device: &DeviceId, key: ChunkKey, state: RowState) -> ArchiveRow {
        let path = self.volume.layout().open_chunk(device, key);
        let (meta, _) = look(self.volume, &path).unwrap_or_default();
        let sealed = meta.as_ref().and_then(|meta| meta.sealed);
        ArchiveRow {
            start: Some(Utc90k::from_ms(key.start_ms).rfc3339()),
            end: sealed.map(|sealed| sealed.end.rfc3339()),
            gaps: sealed.map_or(0, |sealed| sealed.gaps),
            codecs: meta.map(|meta| meta.codecs).unwrap_or_default(),
            ..self.bare(device, path, state)
        }
    }

    fn bare(&self, device: &DeviceId, path: PathBuf, state: RowState) -> ArchiveRow {
        ArchiveRow {
            bytes: self.volume.metadata(&path).map_or(0, |meta| meta.bytes),
            device: device.clone(),
            path,
            state,
            bytes_beside: 0,
            start: None,
            end: None,
            codecs: String::new(),
            gaps: 0,
            problems: Vec::new(),
            done: None,
            at: None,
        }
    }
}

/// What is wrong with the stills and verdicts beside a finished chunk. Readers take what is whole all the same.
fn beside_problems(volume: &Volume, device: &DeviceId, start_ms: i64, place: Place) -> Vec<String> {
    let mut problems = Vec::new();
    let key = ChunkKey { start_ms, generation: 0 };
    let read = |sibling| {
        let path = siblings::path(volume, device, sibling, key, place);
        let file = volume.of(place).open_read(&path).ok().filter(|_| place.is_settled())?;
        file.metadata().ok().map(|meta| (file, meta.len()))
    };
    if let Some((file, len)) = read(Sibling::Previews)
        && !pack::check(&file, len).is_ok_and(|pack| pack.is_some_and(|pack| pack.is_sealed))
    {
        problems.push("its preview stills are damaged".into());
    }
    if let Some((file, len)) = read(Sibling::Metadata)
        && !verdicts::scan(&file, len, &mut |_| ControlFlow::Continue(())).is_ok_and(|it| it.len == len)
    {
        problems.push("its metadata is cut".into());
    }
    problems
}

/// By the path of a damaged file, which tells no more.
fn place_of(path: &Path) -> Option<Place> {
    let name = path.file_name()?.to_str()?;
    match library_hour(path) {
        Some(hour) => RingSlot::parse(&hour.hour.to_string(), name).map(|slot| Place::Library(slot, Shelf::Home)),
        None => RingSlot::parse(path.parent()?.file_name()?.to_str()?, name).map(Place::Ring),
    }
}

/// In which hour of the library a file lies, by its path.
fn library_hour(path: &Path) -> Option<LibraryHour> {
    let folder = path.parent()?;
    LibraryHour::parse(folder.parent()?.file_name()?.to_str()?, folder.file_name()?.to_str()?)
}

/// What is gone must not be offered: takes the chunk of that path out of the index.
fn unlist(index: Option<&DeviceIndex>, path: &Path) {
    let Some(index) = index else { return };
    let listed = match place_of(path) {
        Some(Place::Ring(slot)) => index.at_slot(slot),
        Some(Place::Library(slot, _)) => library_hour(path).and_then(|hour| index.in_hour(hour, slot)),
        _ => None,
    };
    if let Some(chunk) = listed.filter(|chunk| !matches!(chunk.place, Place::Library(_, Shelf::Away))) {
        index.remove(&chunk.key);
    }
}
