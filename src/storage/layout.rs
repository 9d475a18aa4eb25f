//! Every path of Capstan, built and parsed side by side. Nothing else joins path strings (design §4). Only the name that
//! would be built is parsed: a file by another spelling would be listed where it does not lie.
//!
//! ```text
//! HOT/control.sock                                          the CLI's way in
//! HOT/.encoded/<id>.mp4                                     clips encoded anew
//! HOT/<device>/segments/segment_<epoch>_<number>.ts         waiting or live segments; `live.json` keeps MEDIA-SEQUENCE
//! HOT/<device>/captures/capture_<epoch>_<pts>.jpg           full pictures
//! HOT/<device>/thumbnails/thumbnail_<epoch>_<pts>.jpg       320×180 pictures
//! ROOT/.lock  ROOT/volume.json
//! ROOT/capstan.db  ROOT/capstan.db.bak                     what people enter or decide; `.corrupt-<ms>` was set aside
//! ROOT/retention.json                                      the retention clock; `.probe` tests a disk that failed
//! ROOT/<device>/epoch.json                                  highest run number that may be in use
//! ROOT/<device>/segments/temp/<start_ms>-<generation>.mp4   the open chunk, and parts that await recovery
//! ROOT/<device>/segments/temp/<start_ms>-<generation>.previews.mp4  its preview stills; `.jsonl`: its verdicts
//! ROOT/<device>/segments/<H>/chunk_10min_<i>[-n].mp4        the ring, UTC
//! ROOT/<device>/thumbnails/<H>/chunk_10min_<i>[-n].mp4      preview stills of that chunk
//! ROOT/<device>/metadata/<H>/chunk_10min_<i>[-n].jsonl      verdicts on its frames
//! ROOT/<device>/captures/<H>/<arrival_ms>.jpg               every capture of the last hours, where that is asked for
//! ROOT/<device>/evidence/YYYY-MM-DD/<start_ms>-<kind>-<first|worst|last>.jpg   pictures that prove incidents
//! ROOT/<device>/library/YYYY-MM-DD/HH/…                     chunks once they leave the ring, and what lies beside them
//! LIBRARY_ROOT/<device>/library/YYYY-MM-DD/HH/…             the same on a second volume
//! X.mp4.new  X.mp4.original  X.transcoded                  beside a chunk X.mp4 that is or was encoded anew
//! X.copy                                                    any X on its way to the second volume
//! ```

use std::path::{Path, PathBuf};

use crate::{
    clock::Utc90k,
    ids::{DeviceId, Epoch, SegmentKey},
};

mod evidence;
mod library;
mod sibling;

pub use evidence::{EvidenceKey, Shot};
pub use library::{Companion, LibraryHour, Shelf, copying, is_copying, parse_day};
pub use sibling::Sibling;

/// Pictures FFmpeg writes into hot, by use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureKind {
    Capture,
    Thumbnail,
}

/// The kinds of file in hot, each with its own folder and budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HotKind {
    Segment,
    Picture(PictureKind),
}

impl HotKind {
    pub const ALL: [Self; 3] =
        [Self::Segment, Self::Picture(PictureKind::Capture), Self::Picture(PictureKind::Thumbnail)];

    pub fn folder(self) -> &'static str {
        match self {
            Self::Segment => "segments",
            Self::Picture(PictureKind::Capture) => "captures",
            Self::Picture(PictureKind::Thumbnail) => "thumbnails",
        }
    }

    fn prefix_and_suffix(self) -> (&'static str, &'static str) {
        match self {
            Self::Segment => ("segment_", ".ts"),
            Self::Picture(PictureKind::Capture) => ("capture_", ".jpg"),
            Self::Picture(PictureKind::Thumbnail) => ("thumbnail_", ".jpg"),
        }
    }
}

/// The RAM side.
#[derive(Clone, Debug)]
pub struct HotLayout {
    root: PathBuf,
}

impl HotLayout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn control_socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// Clips that were encoded anew. No device is called that: ids have no dot.
    pub fn encoded(&self) -> PathBuf {
        self.root.join(".encoded")
    }

    pub fn device(&self, device: &DeviceId) -> PathBuf {
        self.root.join(device.as_str())
    }

    pub fn folder(&self, device: &DeviceId, kind: HotKind) -> PathBuf {
        self.device(device).join(kind.folder())
    }

    pub fn file(&self, device: &DeviceId, kind: HotKind, key: SegmentKey) -> PathBuf {
        self.folder(device, kind).join(hot_name(kind, key))
    }

    /// FFmpeg's own playlist, which nobody reads: the live playlist is written by us from what is really there.
    pub fn ffmpeg_playlist(&self, device: &DeviceId) -> PathBuf {
        self.folder(device, HotKind::Segment).join("ffmpeg.m3u8")
    }

    /// Keeps MEDIA-SEQUENCE from falling when the daemon restarts and hot survives.
    pub fn live_state(&self, device: &DeviceId) -> PathBuf {
        self.folder(device, HotKind::Segment).join("live.json")
    }

    /// FFmpeg's last words: bounded, in RAM.
    pub fn ffmpeg_log(&self, device: &DeviceId) -> PathBuf {
        self.device(device).join("ffmpeg.log")
    }
}

/// `segment_7_000000042.ts`. For pictures `number` is the picture's time in the run, as FFmpeg's `-frame_pts` counts it.
pub fn hot_name(kind: HotKind, key: SegmentKey) -> String {
    let (prefix, suffix) = kind.prefix_and_suffix();
    format!("{prefix}{}_{:09}{suffix}", key.epoch, key.number)
}

/// FFmpeg's pattern that yields [`hot_name`] for each number.
pub fn hot_pattern(kind: HotKind, epoch: Epoch) -> String {
    let (prefix, suffix) = kind.prefix_and_suffix();
    format!("{prefix}{epoch}_%09d{suffix}")
}

/// The inverse of [`hot_name`]; None for anything else, so foreign and temporary files are never touched.
pub fn parse_hot_name(kind: HotKind, name: &str) -> Option<SegmentKey> {
    let (prefix, suffix) = kind.prefix_and_suffix();
    let (epoch, number) = name.strip_prefix(prefix)?.strip_suffix(suffix)?.split_once('_')?;
    let key = SegmentKey { epoch: Epoch(parse_digits(epoch)?.try_into().ok()?), number: parse_digits(number)? };
    (hot_name(kind, key) == name).then_some(key)
}

/// Decimal digits only: `parse` alone would take a sign.
fn parse_digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A chunk's name for life: start and generation within its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// UTC milliseconds since 1970 of the first sample.
    pub start_ms: i64,
    /// 0 as recorded; a transcoded successor counts up.
    pub generation: u32,
}

impl ChunkKey {
    /// `1700000000000-0.mp4`, as in the stable address and in `temp/`.
    pub fn file_name(self) -> String {
        format!("{}-{}.mp4", self.start_ms, self.generation)
    }

    pub fn parse(name: &str) -> Option<Self> {
        let (start, generation) = name.strip_suffix(".mp4")?.rsplit_once('-')?;
        let start_ms = match start.strip_prefix('-') {
            Some(digits) => -i64::try_from(parse_digits(digits)?).ok()?,
            None => i64::try_from(parse_digits(start)?).ok()?,
        };
        let key = Self { start_ms, generation: parse_digits(generation)?.try_into().ok()? };
        (key.file_name() == name).then_some(key)
    }
}

/// A place of the ring: which chunk of which UTC hour, and which newcomer (`-2`, `-3`…) when the place was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingSlot {
    /// 0–23, UTC.
    pub hour: u8,
    /// Chunk within the hour: 0–5 with 10-minute chunks, up to 3599 with 1 s chunks.
    pub index: u16,
    /// 1 for the plain name, 2 and up for `-2`, `-3`…
    pub copy: u16,
}

impl RingSlot {
    /// The slot of the chunk that starts at `start`, as copy 1. The boundary grid is anchored to the UTC hour.
    pub fn of(start: Utc90k, chunk_seconds: u32) -> Self {
        let second_of_day = start.as_seconds().rem_euclid(86_400);
        let index = (second_of_day % 3600) / i64::from(chunk_seconds.max(1));
        Self { hour: (second_of_day / 3600) as u8, index: index as u16, copy: 1 }
    }

    pub fn with_copy(self, copy: u16) -> Self {
        Self { copy, ..self }
    }

    /// `chunk_10min_3.mp4`, `chunk_10min_3-2.mp4`.
    pub fn file_name(self) -> String {
        match self.copy {
            0 | 1 => format!("chunk_10min_{}.mp4", self.index),
            copy => format!("chunk_10min_{}-{copy}.mp4", self.index),
        }
    }

    /// Parses `(hour folder, file name)`.
    pub fn parse(hour_folder: &str, name: &str) -> Option<Self> {
        let hour = parse_hour(hour_folder)?;
        let stem = name.strip_prefix("chunk_10min_")?.strip_suffix(".mp4")?;
        let (index, copy) = match stem.split_once('-') {
            Some((index, copy)) => (index, parse_digits(copy).filter(|copy| *copy >= 2)?),
            None => (stem, 1),
        };
        let slot = Self { hour, index: parse_digits(index)?.try_into().ok()?, copy: copy.try_into().ok()? };
        (slot.file_name() == name).then_some(slot)
    }
}

/// The time in the name of a kept capture.
pub fn parse_capture(name: &str) -> Option<Utc90k> {
    let ms = i64::try_from(parse_digits(name.strip_suffix(".jpg")?)?).ok()?;
    (ms <= i64::MAX / 90 && format!("{ms}.jpg") == name).then(|| Utc90k::from_ms(ms))
}

/// The hour of the UTC day.
pub fn hour_of(at: Utc90k) -> u8 {
    (at.as_seconds().rem_euclid(86_400) / 3600) as u8
}

/// `0`…`23` without padding.
pub fn parse_hour(text: &str) -> Option<u8> {
    let hour = parse_digits(text)?;
    (hour < 24 && (text.len() == 1 || !text.starts_with('0'))).then_some(hour as u8)
}

/// The disk side.
#[derive(Clone, Debug)]
pub struct ColdLayout {
    root: PathBuf,
}

impl ColdLayout {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    pub fn volume(&self) -> PathBuf {
        self.root.join("volume.json")
    }

    /// Written and deleted to see whether a disk that failed takes writes again.
    pub fn probe(&self) -> PathBuf {
        self.root.join(".probe")
    }

    /// How far the retention clock has come.
    pub fn retention(&self) -> PathBuf {
        self.root.join("retention.json")
    }

    /// SQLite's; it names `-wal` and `-shm` itself.
    pub fn database(&self) -> PathBuf {
        self.root.join("capstan.db")
    }

    /// A copy of it that was whole when it was made.
    pub fn database_backup(&self) -> PathBuf {
        self.root.join("capstan.db.bak")
    }

    /// A copy under way; worth nothing until it is renamed.
    pub fn database_copy(&self) -> PathBuf {
        self.root.join("capstan.db.tmp")
    }

    /// A damaged database, kept for a person to look at.
    pub fn database_aside(&self, ms: i64) -> PathBuf {
        self.root.join(format!("capstan.db.corrupt-{ms}"))
    }

    /// What SQLite calls the write-ahead log of a database.
    pub fn database_log(&self, database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        name.into()
    }

    pub fn captures_hour(&self, device: &DeviceId, hour: u8) -> PathBuf {
        self.device(device).join("captures").join(hour.to_string())
    }

    pub fn capture(&self, device: &DeviceId, at: Utc90k) -> PathBuf {
        self.captures_hour(device, hour_of(at)).join(format!("{}.jpg", at.as_ms()))
    }

    pub fn evidence(&self, device: &DeviceId, key: &EvidenceKey) -> PathBuf {
        self.device(device).join("evidence").join(key.date()).join(key.file_name())
    }

    pub fn device(&self, device: &DeviceId) -> PathBuf {
        self.root.join(device.as_str())
    }

    pub fn epoch(&self, device: &DeviceId) -> PathBuf {
        self.device(device).join("epoch.json")
    }

    pub fn segments(&self, device: &DeviceId) -> PathBuf {
        self.device(device).join("segments")
    }

    pub fn temp(&self, device: &DeviceId) -> PathBuf {
        self.segments(device).join("temp")
    }

    pub fn open_chunk(&self, device: &DeviceId, key: ChunkKey) -> PathBuf {
        self.temp(device).join(key.file_name())
    }

    /// Files that recovery could not make sense of, kept for a person to look at.
    pub fn quarantine(&self, device: &DeviceId) -> PathBuf {
        self.device(device).join("quarantine")
    }

    pub fn ring_hour(&self, device: &DeviceId, hour: u8) -> PathBuf {
        self.segments(device).join(hour.to_string())
    }

    pub fn ring_chunk(&self, device: &DeviceId, slot: RingSlot) -> PathBuf {
        self.ring_hour(device, slot.hour).join(slot.file_name())
    }

    pub fn open_sibling(&self, device: &DeviceId, sibling: Sibling, key: ChunkKey) -> PathBuf {
        self.temp(device).join(sibling.open_name(key))
    }

    pub fn sibling_hour(&self, device: &DeviceId, sibling: Sibling, hour: u8) -> PathBuf {
        self.device(device).join(sibling.folder()).join(hour.to_string())
    }

    pub fn ring_sibling(&self, device: &DeviceId, sibling: Sibling, slot: RingSlot) -> PathBuf {
        let [_, suffix] = sibling.suffixes();
        self.sibling_hour(device, sibling, slot.hour).join(slot.file_name().replace(".mp4", suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hot_names_round_trip_and_refuse_strangers() {
        let key = SegmentKey { epoch: Epoch(7), number: 42 };
        for kind in HotKind::ALL {
            assert_eq!(parse_hot_name(kind, &hot_name(kind, key)), Some(key));
        }
        assert_eq!(hot_name(HotKind::Segment, key), "segment_7_000000042.ts");
        assert_eq!(hot_pattern(HotKind::Segment, Epoch(7)), "segment_7_%09d.ts");
        let wide = SegmentKey { epoch: Epoch(1), number: 123_456_789_012 };
        assert_eq!(parse_hot_name(HotKind::Segment, &hot_name(HotKind::Segment, wide)), Some(wide));
        for bad in [
            "segment_7_000000042.ts.tmp",
            "segment_7_42.ts",
            "segment_+7_000000042.ts",
            "segment_07_000000042.ts",
            "segment_7_0000000042.ts",
            "segment_7_.ts",
            "output.m3u8",
            "",
        ] {
            assert_eq!(parse_hot_name(HotKind::Segment, bad), None, "{bad}");
        }
    }

    #[test]
    fn ring_slots_follow_utc_hours() {
        let at = |text: &str| Utc90k::from_ms(text.parse::<jiff::Timestamp>().map(|t| t.as_millisecond()).unwrap_or(0));
        let check = |time, seconds, hour, name: &str| {
            let slot = RingSlot::of(at(time), seconds);
            assert_eq!((slot.hour, slot.file_name().as_str()), (hour, name), "{time}");
            assert_eq!(RingSlot::parse(&hour.to_string(), name), Some(slot));
        };
        check("2026-11-20T00:00:00Z", 600, 0, "chunk_10min_0.mp4");
        check("2026-11-20T14:29:59.999Z", 600, 14, "chunk_10min_2.mp4");
        check("2026-11-20T23:59:50Z", 600, 23, "chunk_10min_5.mp4");
        check("2026-11-20T14:00:25Z", 10, 14, "chunk_10min_2.mp4");
        check("1969-12-31T23:59:59Z", 600, 23, "chunk_10min_5.mp4");
        assert_eq!(RingSlot::parse("5", "chunk_10min_1-3.mp4").map(|slot| slot.copy), Some(3));
        for (hour, name) in [
            ("24", "chunk_10min_0.mp4"),
            ("05", "chunk_10min_0.mp4"),
            ("5", "chunk_10min_0-1.mp4"),
            ("5", "chunk_10min_x.mp4"),
            ("5", "chunk_10min_01.mp4"),
            ("5", "chunk_10min_1-02.mp4"),
        ] {
            assert_eq!(RingSlot::parse(hour, name), None, "{hour}/{name}");
        }
    }

    #[test]
    fn chunk_keys_round_trip() {
        for key in [ChunkKey { start_ms: 1_700_000_000_000, generation: 0 }, ChunkKey { start_ms: -5, generation: 3 }] {
            assert_eq!(ChunkKey::parse(&key.file_name()), Some(key));
        }
        for bad in ["", "1.mp4", "a-0.mp4", "1-+0.mp4", "1-0.mp4.tmp", "../1-0.mp4", "01-0.mp4", "1-00.mp4", "-0-0.mp4"]
        {
            assert_eq!(ChunkKey::parse(bad), None, "{bad}");
        }
    }
}
