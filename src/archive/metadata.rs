//! Appends lines of verdicts to the file beside a chunk and finishes it; the only writer of such files.

use std::{fs::File, ops::ControlFlow, path::Path};

use super::{preview::cut, waiting::Item};
use crate::{
    error::{Error, Kind, Result},
    media::verdicts::{FrameLine, scan},
    storage::Volume,
};

/// Appends `lines` at `len`; without one the file is looked at first and cut after its last whole line. Returns the next
/// length and the bytes written. Nothing is synced.
pub fn append(volume: &Volume, path: &Path, len: Option<u64>, lines: &[Item<FrameLine>]) -> Result<(u64, u64)> {
    let (file, len) = match len {
        Some(len) => (volume.open_rw(path)?, len),
        None => match whole(volume, path) {
            Err(error) if error.kind == Kind::NotFound => (volume.create_new(path)?, 0),
            found => found?,
        },
    };
    let text: String = lines.iter().map(|line| line.value.encode()).collect();
    volume.write_at(&file, path, text.as_bytes(), len)?;
    Ok((len + text.len() as u64, text.len() as u64))
}

/// Makes it end at a whole line, durably.
pub fn complete(volume: &Volume, path: &Path) -> Result<()> {
    match whole(volume, path) {
        Ok((file, _)) => volume.sync_data(&file, path),
        Err(error) if error.kind == Kind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn whole(volume: &Volume, path: &Path) -> Result<(File, u64)> {
    let file = volume.open_rw(path)?;
    let reading = |source| Error::io("reading", path, source);
    let len = file.metadata().map_err(reading)?.len();
    let scanned = scan(&file, len, &mut |_| ControlFlow::Continue(())).map_err(reading)?;
    cut(volume, &file, path, scanned.len)?;
    Ok((file, scanned.len))
}
