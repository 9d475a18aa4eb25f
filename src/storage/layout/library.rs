//! The names of what left the ring, and of what a transcoded chunk leaves beside itself.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{ColdLayout, RingSlot, Sibling, parse_digits};
use crate::{clock::Utc90k, ids::DeviceId};

/// Which volume a library lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shelf {
    /// The archive's own: chunks come to it by rename.
    Home,
    /// `[storage] library_root`, a disk of its own: chunks come to it as verified copies.
    Away,
}

/// One hour of the library: a UTC day and an hour of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LibraryHour {
    pub day: jiff::civil::Date,
    pub hour: u8,
}

impl LibraryHour {
    /// The hour in which `start` lies.
    pub fn of(start: Utc90k) -> Self {
        let at = jiff::Timestamp::from_millisecond(start.as_ms()).unwrap_or_default();
        let at = at.to_zoned(jiff::tz::TimeZone::UTC);
        Self { day: at.date(), hour: at.hour().unsigned_abs() }
    }

    /// Its first moment.
    pub fn start(self) -> Utc90k {
        let midnight = self.day.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |at| at.timestamp().as_second());
        Utc90k::from_seconds(midnight + i64::from(self.hour) * 3600)
    }

    /// Parses `(YYYY-MM-DD, HH)`.
    pub fn parse(day: &str, hour: &str) -> Option<Self> {
        let parsed = Self { day: day.parse().ok()?, hour: u8::try_from(parse_digits(hour)?).ok()? };
        (parsed.hour < 24 && parsed.names() == (day.into(), hour.into())).then_some(parsed)
    }

    fn names(self) -> (String, String) {
        (self.day.to_string(), format!("{:02}", self.hour))
    }
}

impl ColdLayout {
    pub fn library(&self, device: &DeviceId) -> PathBuf {
        self.device(device).join("library")
    }

    pub fn library_day(&self, device: &DeviceId, day: jiff::civil::Date) -> PathBuf {
        self.library(device).join(day.to_string())
    }

    pub fn library_hour(&self, device: &DeviceId, hour: LibraryHour) -> PathBuf {
        let (day, hour) = hour.names();
        self.library(device).join(day).join(hour)
    }

    /// The slot's hour is that of `start`, as everywhere.
    pub fn library_chunk(&self, device: &DeviceId, start: Utc90k, slot: RingSlot) -> PathBuf {
        self.library_hour(device, LibraryHour::of(start)).join(slot.file_name())
    }

    /// In one folder with its chunk, so named like beside the open one: `chunk_10min_3.previews.mp4`.
    pub fn library_sibling(&self, device: &DeviceId, start: Utc90k, sibling: Sibling, slot: RingSlot) -> PathBuf {
        let [suffix, _] = sibling.suffixes();
        self.library_hour(device, LibraryHour::of(start)).join(slot.file_name().replace(".mp4", suffix))
    }
}

impl Sibling {
    /// What kind lies beside which chunk in an hour of the library: `(kind, chunk_10min_3.mp4)`.
    pub fn parse_library(name: &str) -> Option<(Self, String)> {
        let of = |sibling: Self| {
            let [suffix, _] = sibling.suffixes();
            Some((sibling, format!("{}.mp4", name.strip_suffix(suffix)?)))
        };
        Self::ALL.into_iter().find_map(of)
    }

    /// The same in an hour of the ring, whose siblings have folders of their own.
    pub fn parse_ring(self, name: &str) -> Option<String> {
        let [_, suffix] = self.suffixes();
        Some(format!("{}.mp4", name.strip_suffix(suffix)?))
    }
}

/// `X.mp4.copy`: on its way to another volume, worth nothing until it is renamed.
pub fn copying(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(COPYING);
    path.with_file_name(name)
}

pub fn is_copying(name: &str) -> bool {
    name.ends_with(COPYING)
}

const COPYING: &str = ".copy";

/// A day of the library by the name of its folder.
pub fn parse_day(name: &str) -> Option<jiff::civil::Date> {
    name.parse().ok().filter(|day: &jiff::civil::Date| day.to_string() == name)
}

/// What the transcoder leaves beside `X.mp4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Companion {
    /// `X.mp4.new`: the successor, not verified yet.
    Successor,
    /// `X.mp4.original`: as recorded, kept for some days.
    Original,
    /// `X.transcoded`: what was done, as JSON.
    Marker,
}

impl Companion {
    pub const ALL: [Self; 3] = [Self::Successor, Self::Original, Self::Marker];

    fn suffix(self) -> &'static str {
        match self {
            Self::Successor => ".mp4.new",
            Self::Original => ".mp4.original",
            Self::Marker => ".transcoded",
        }
    }

    /// Beside a chunk's file.
    pub fn beside(self, chunk: &Path) -> PathBuf {
        let mut name = OsString::from(chunk.file_stem().unwrap_or_default());
        name.push(self.suffix());
        chunk.with_file_name(name)
    }

    /// What kind it is, and the name of its chunk.
    pub fn parse(name: &str) -> Option<(Self, String)> {
        Self::ALL.into_iter().find_map(|kind| Some((kind, format!("{}.mp4", name.strip_suffix(kind.suffix())?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_filed_by_utc_day_and_hour() {
        let (cam, layout) = ("cam".parse().unwrap(), ColdLayout::new(""));
        // 2026-11-20T03:50:00Z.
        let start = Utc90k::from_seconds(1_795_146_600);
        let slot = RingSlot::of(start, 600).with_copy(2);
        let chunk = layout.library_chunk(&cam, start, slot);
        assert_eq!(chunk.to_str(), Some("cam/library/2026-11-20/03/chunk_10min_5-2.mp4"));
        let previews = layout.library_sibling(&cam, start, Sibling::Previews, slot);
        assert_eq!(previews.to_str(), Some("cam/library/2026-11-20/03/chunk_10min_5-2.previews.mp4"));
        let chunk_name = || Some("chunk_10min_5-2.mp4".to_owned());
        assert_eq!(
            Sibling::parse_library("chunk_10min_5-2.previews.mp4"),
            chunk_name().map(|it| (Sibling::Previews, it))
        );
        assert_eq!(Sibling::parse_library("chunk_10min_5-2.mp4"), None);
        assert_eq!(Sibling::Metadata.parse_ring("chunk_10min_5-2.jsonl"), chunk_name());
        assert!(is_copying(copying(&chunk).to_str().unwrap()) && !is_copying(chunk.to_str().unwrap()));
        assert_eq!(parse_day("2026-11-20"), Some(LibraryHour::of(start).day));
        assert_eq!(parse_day("2026-11-2"), None);
        assert_eq!(LibraryHour::parse("2026-11-20", "03"), Some(LibraryHour::of(start)));
        assert_eq!(LibraryHour::of(start).start(), Utc90k::from_seconds(1_795_143_600));
        for (day, hour) in
            [("2026-11-20", "3"), ("2026-11-20", "24"), ("2026-11-31", "03"), ("20261120", "03"), ("", "")]
        {
            assert_eq!(LibraryHour::parse(day, hour), None, "{day}/{hour}");
        }
    }

    #[test]
    fn companions_lie_beside_their_chunk() {
        for (kind, name) in [
            (Companion::Successor, "chunk_10min_3.mp4.new"),
            (Companion::Original, "chunk_10min_3.mp4.original"),
            (Companion::Marker, "chunk_10min_3.transcoded"),
        ] {
            let beside = kind.beside(Path::new("cam/segments/5/chunk_10min_3.mp4"));
            assert_eq!(beside.to_str(), Some(format!("cam/segments/5/{name}").as_str()));
            assert_eq!(Companion::parse(name), Some((kind, "chunk_10min_3.mp4".into())));
            assert_eq!(RingSlot::parse("5", name), None, "never taken for a chunk");
        }
        assert_eq!(Companion::parse("chunk_10min_3.mp4"), None);
    }
}
