//! `X.transcoded`: what was done to a chunk, beside it, as JSON.

use std::{io::Read, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    storage::{
        ChunkEntry, ColdDir,
        layout::{ChunkKey, Companion},
    },
};

/// A marker is a few hundred bytes; more is none of ours.
const BYTES_MAX: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Marker {
    /// Names within the folder.
    pub file: String,
    pub original: String,
    pub original_bytes: u64,
    pub bytes: u64,
    /// Percent.
    pub savings: f64,
    pub encoder: String,
    /// Of sampled pictures, where they were compared.
    pub ssim: Option<f64>,
    /// Of the successor.
    pub generation: u32,
    /// The successor's stable name: `{start_ms}-{generation}.mp4`.
    pub chunk: String,
    /// RFC 3339.
    pub transcoded: String,
    /// When the original goes, by the retention clock; RFC 3339.
    pub delete_after: String,
}

impl Marker {
    /// `chunk` is where both lie.
    pub fn new(chunk: &Path, source: &ChunkEntry, successor: &ChunkEntry, now: Utc90k, delete_after: Utc90k) -> Self {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let saved = source.bytes.saturating_sub(successor.bytes) as f64 * 100.0 / source.bytes.max(1) as f64;
        Self {
            file: name(chunk),
            original: name(&Companion::Original.beside(chunk)),
            original_bytes: source.bytes,
            bytes: successor.bytes,
            savings: (saved * 10.0).round() / 10.0,
            encoder: String::new(),
            ssim: None,
            generation: successor.key.generation,
            chunk: successor.key.file_name(),
            transcoded: now.rfc3339(),
            delete_after: delete_after.rfc3339(),
        }
    }

    /// None when the text is none.
    pub fn key(&self) -> Option<ChunkKey> {
        ChunkKey::parse(&self.chunk)
    }

    /// None for a text that is no moment: then the original stays.
    pub fn delete_after(&self) -> Option<Utc90k> {
        let at: jiff::Timestamp = self.delete_after.parse().ok()?;
        Some(Utc90k::from_ms(at.as_millisecond()))
    }

    /// [`Kind::Corrupt`] for one that cannot be read as such.
    pub fn read(volume: &ColdDir, path: &Path) -> Result<Self> {
        let mut text = String::new();
        let file = volume.open_read(path)?;
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(|error| Error::io("reading", path, error))?;
        serde_json::from_str(&text).map_err(|error| Error::new(Kind::Corrupt, error.to_string()).at(path.display()))
    }

    pub fn write(&self, volume: &ColdDir, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        volume.write_atomic(path, format!("{text}\n").as_bytes())
    }
}
