//! HLS over the archive: byte ranges of chunks as they lie, so that a player gets any hour without a file being written.
//!
//! RFC 8216 with fragmented MP4. A chunk is a time line of its own: each begins with EXT-X-DISCONTINUITY, its EXT-X-MAP
//! and the wall time. So does what follows a gap, because decode times jump there.

use std::{fmt, ops::Range, sync::Arc};

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    playback::fronts::{Before, Listed},
    storage::layout::ChunkKey,
};

/// An entry ends with the first fragment that brings it to this length: few enough entries for a day, short enough for
/// a quick seek.
const ENTRY_MIN_90K: i64 = 6 * TICKS_PER_SECOND;
/// And before the fragment that would make it longer than this.
const ENTRY_MAX_90K: i64 = 10 * TICKS_PER_SECOND;
/// Told by a list that still grows, whose target must never change (§4.3.3.1): a fragment is cut at 10 s, its last
/// picture may last a little longer.
const OPEN_TARGET_SECONDS: i64 = 11;

/// Consecutive bytes of a chunk that hold one fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// When its first picture is shown, or its first sound heard.
    pub start: Utc90k,
    /// Until the next one begins, if that follows at once.
    pub duration_90k: i64,
    pub bytes: Range<u64>,
    /// Nothing was recorded for more than 500 ms before it.
    pub after_gap: bool,
}

/// What is played of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub key: ChunkKey,
    /// Where it is served.
    pub address: String,
    /// Its init segment.
    pub init: Range<u64>,
    pub pieces: Vec<Piece>,
    /// More may follow the last piece.
    pub grows: bool,
    /// RFC 6381, comma separated.
    pub codecs: Arc<str>,
    /// Of its pictures, pixels.
    pub size: Option<(u16, u16)>,
}

/// A stretch of the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Playlist {
    pub parts: Vec<Part>,
    /// Nothing will be added.
    pub closed: bool,
    /// The moment asked for; where the first entry begins earlier, players start there.
    pub from: Option<Utc90k>,
    /// What was listed earlier and is no longer kept.
    pub before: Before,
    /// Its front moves on with the clock.
    pub slides: bool,
}

/// One entry: pieces that are fetched together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    start: Utc90k,
    duration_90k: i64,
    bytes: Range<u64>,
    after_gap: bool,
}

impl Playlist {
    /// False when there is nothing to play (yet).
    pub fn has_entries(&self) -> bool {
        self.entries().any(|(_, entries)| !entries.is_empty())
    }

    /// The same as a multivariant playlist of one variant at `uri`: a media playlist cannot tell its codecs, and a player
    /// that lacks one should know before it fetches anything.
    pub fn multivariant(&self, uri: &str) -> String {
        let (mut peak, mut bytes, mut duration_90k) = (0, 0, 0);
        let (mut codecs, mut size) = (Vec::new(), (0, 0));
        for (part, entries) in self.entries().filter(|(_, entries)| !entries.is_empty()) {
            for entry in entries {
                let (len, lasts) = (entry.bytes.end - entry.bytes.start, entry.duration_90k.max(1) as u64);
                peak = peak.max(bits_a_second(len, lasts));
                bytes += len;
                duration_90k += lasts;
            }
            for codec in part.codecs.split(',').filter(|codec| !codec.is_empty()) {
                if !codecs.contains(&codec) {
                    codecs.push(codec);
                }
            }
            size = size.max(part.size.unwrap_or_default());
        }
        let average = bits_a_second(bytes, duration_90k.max(1));
        let resolution = if size.0 > 0 { format!(",RESOLUTION={}x{}", size.0, size.1) } else { String::new() };
        let codecs = codecs.join(",");
        format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},\
             CODECS=\"{codecs}\"{resolution}\n{uri}\n"
        )
    }

    /// What of each part is shown.
    pub fn listed(&self) -> Vec<Listed> {
        let shown = self.entries().filter_map(|(part, entries)| {
            let (first, rest) = entries.split_first()?;
            Some(Listed {
                key: part.key,
                start: first.start,
                entries: u32::try_from(entries.len()).unwrap_or(u32::MAX),
                discontinuities: 1 + rest.iter().filter(|entry| entry.after_gap).count() as u32,
            })
        });
        shown.collect()
    }

    fn entries(&self) -> impl Iterator<Item = (&Part, Vec<Entry>)> {
        self.parts.iter().map(|part| (part, entries(part, !self.closed)))
    }
}

/// Groups the pieces. In a list that still grows, an entry that may yet become longer is held back: what was listed once
/// never changes.
fn entries(part: &Part, list_grows: bool) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    let mut full = true;
    for piece in &part.pieces {
        match out.last_mut() {
            Some(last) if !full && !piece.after_gap && last.duration_90k + piece.duration_90k <= ENTRY_MAX_90K => {
                last.duration_90k += piece.duration_90k;
                last.bytes.end = piece.bytes.end;
            }
            _ => out.push(Entry {
                start: piece.start,
                duration_90k: piece.duration_90k,
                bytes: piece.bytes.clone(),
                after_gap: piece.after_gap,
            }),
        }
        full = out.last().is_some_and(|last| last.duration_90k >= ENTRY_MIN_90K);
    }
    if list_grows && part.grows && !full {
        out.pop();
    }
    out
}

impl fmt::Display for Playlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.entries().filter(|(_, entries)| !entries.is_empty()).collect();
        let longest = parts.iter().flat_map(|(_, entries)| entries).map(|entry| rounded(entry.duration_90k)).max();
        let at_least = if self.closed { 1 } else { OPEN_TARGET_SECONDS };
        // Version 7: EXT-X-MAP outside of I-frame lists, and byte ranges.
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:7")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{}", longest.unwrap_or(0).max(at_least))?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{}", self.before.entries)?;
        if self.before.discontinuities > 0 {
            writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.before.discontinuities)?;
        }
        if self.closed {
            writeln!(f, "#EXT-X-PLAYLIST-TYPE:VOD")?;
        } else if !self.slides && self.before.entries == 0 {
            // Of an event nothing may ever go.
            writeln!(f, "#EXT-X-PLAYLIST-TYPE:EVENT")?;
        }
        let first = parts.first().and_then(|(_, entries)| entries.first());
        if let Some((from, first)) = self.from.zip(first)
            && from > first.start
            && from < first.start + first.duration_90k
        {
            writeln!(f, "#EXT-X-START:TIME-OFFSET={},PRECISE=YES", Seconds(from - first.start))?;
        }
        for (number, (part, entries)) in parts.iter().enumerate() {
            for (place, entry) in entries.iter().enumerate() {
                if place == 0 || entry.after_gap {
                    if number > 0 || place > 0 {
                        writeln!(f, "#EXT-X-DISCONTINUITY")?;
                    }
                    if place == 0 {
                        let (len, offset) = (part.init.end - part.init.start, part.init.start);
                        writeln!(f, "#EXT-X-MAP:URI=\"{}\",BYTERANGE=\"{len}@{offset}\"", part.address)?;
                    }
                    writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", entry.start)?;
                }
                let len = entry.bytes.end - entry.bytes.start;
                writeln!(f, "#EXTINF:{},", Seconds(entry.duration_90k))?;
                writeln!(f, "#EXT-X-BYTERANGE:{len}@{}\n{}", entry.bytes.start, part.address)?;
            }
        }
        if self.closed {
            f.write_str("#EXT-X-ENDLIST\n")?;
        }
        Ok(())
    }
}

fn bits_a_second(bytes: u64, duration_90k: u64) -> u64 {
    let bits = u128::from(bytes) * 8 * TICKS_PER_SECOND as u128;
    u64::try_from(bits.div_ceil(u128::from(duration_90k))).unwrap_or(u64::MAX)
}

/// Ticks as seconds with six digits, which tell a tick exactly enough.
struct Seconds(i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.max(0).saturating_mul(100) / 9;
        write!(f, "{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

fn rounded(ticks: i64) -> i64 {
    ticks.saturating_add(TICKS_PER_SECOND / 2) / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of these lengths in tenths of a second; a negative one comes after a gap of 10 s.
    fn part(start_seconds: i64, tenths: &[i64], grows: bool) -> Part {
        let (mut at, mut byte, mut pieces) = (Utc90k::from_seconds(start_seconds), 1000, Vec::new());
        for &tenth in tenths {
            let (after_gap, duration_90k) = (tenth < 0, tenth.abs() * TICKS_PER_SECOND / 10);
            at = at + if after_gap { 10 * TICKS_PER_SECOND } else { 0 };
            pieces.push(Piece { start: at, duration_90k, bytes: byte..byte + 100, after_gap });
            (at, byte) = (at + duration_90k, byte + 100);
        }
        Part {
            key: ChunkKey { start_ms: start_seconds * 1000, generation: 0 },
            address: format!("/chunks/{start_seconds}.mp4"),
            init: 32..132,
            pieces,
            grows,
            codecs: "avc1.64001f,mp4a.40.2".into(),
            size: Some((640, 360)),
        }
    }

    fn lengths(tenths: &[i64], grows: bool) -> Vec<i64> {
        let list = entries(&part(0, tenths, grows), grows);
        list.iter().map(|entry| entry.duration_90k * 10 / TICKS_PER_SECOND).collect()
    }

    #[test]
    fn a_multivariant_list_tells_every_codec_the_largest_picture_and_the_peak() {
        let h265 = Part {
            codecs: "hvc1.1.6.L93.B0,mp4a.40.2".into(),
            size: Some((1280, 720)),
            ..part(100, &[80, -40], false)
        };
        let list = Playlist { parts: vec![part(0, &[100], false), h265], closed: true, ..Playlist::default() };
        let text = list.multivariant("/x.m3u8?start=1");
        let parsed = m3u8_rs::parse_master_playlist_res(text.as_bytes()).unwrap();
        let [variant] = parsed.variants.as_slice() else { panic!("{text}") };
        assert_eq!(variant.codecs.as_deref(), Some("avc1.64001f,mp4a.40.2,hvc1.1.6.L93.B0"));
        // 100 bytes in 4 s; 300 in 22 s.
        assert_eq!((variant.bandwidth, variant.average_bandwidth), (200, Some(110)));
        assert_eq!(variant.resolution.map(|it| (it.width, it.height)), Some((1280, 720)));
        assert_eq!(variant.uri, "/x.m3u8?start=1");
        let sound = Part { codecs: "mp4a.40.2".into(), size: None, ..part(0, &[100], false) };
        let text = Playlist { parts: vec![sound], closed: true, ..Playlist::default() }.multivariant("x");
        assert!(!text.contains("RESOLUTION") && text.contains("CODECS=\"mp4a.40.2\""), "{text}");
    }

    #[test]
    fn entries_are_six_to_ten_seconds() {
        let check = |tenths: &[i64], grows: bool, expected: &[i64]| {
            assert_eq!(lengths(tenths, grows), expected, "{tenths:?}");
        };
        check(&[10; 14], false, &[60, 60, 20]);
        check(&[20; 7], false, &[60, 60, 20]);
        check(&[40; 3], false, &[80, 40]);
        check(&[55; 3], false, &[55, 55, 55]);
        check(&[100, 100, 3], false, &[100, 100, 3]);
        check(&[10, 10, -10, 10], false, &[20, 20]);
        // What may yet become longer is not shown while the list grows.
        check(&[10; 14], true, &[60, 60]);
        check(&[10; 12], true, &[60, 60]);
        check(&[10], true, &[]);
        check(&[100], true, &[100]);
        check(&[10, 10, -10], true, &[20]);
    }

    proptest! {
        #[test]
        fn entries_hold_every_byte_once_and_are_neither_long_nor_broken(
            tenths in proptest::collection::vec(prop_oneof![1i64..105, -50i64..-1], 1..80),
        ) {
            let part = part(0, &tenths, false);
            let list = entries(&part, false);
            prop_assert_eq!(list.first().map(|entry| entry.bytes.start), part.pieces.first().map(|one| one.bytes.start));
            prop_assert_eq!(list.last().map(|entry| entry.bytes.end), part.pieces.last().map(|one| one.bytes.end));
            prop_assert!(list.windows(2).all(|pair| pair[0].bytes.end == pair[1].bytes.start));
            for entry in &list {
                let inside = part.pieces.iter().filter(|one| one.bytes.start >= entry.bytes.start && one.bytes.end <= entry.bytes.end);
                let inside: Vec<_> = inside.collect();
                prop_assert_eq!(entry.duration_90k, inside.iter().map(|one| one.duration_90k).sum::<i64>());
                prop_assert!(inside.iter().skip(1).all(|one| !one.after_gap), "no gap inside an entry");
                prop_assert!(inside.len() == 1 || entry.duration_90k <= ENTRY_MAX_90K);
            }
        }
    }

    #[test]
    fn what_was_listed_once_never_changes() {
        let tenths = [10, 20, 35, 70, 100, 2, -10, 10, -30, 45, 60, 10, 10, 10, 10, 10, 10, 10];
        let text = |count: usize| {
            let parts = vec![part(0, &tenths[..count], true)];
            Playlist { parts, closed: false, ..Playlist::default() }.to_string()
        };
        for count in 1..=tenths.len() {
            let (before, after) = (text(count - 1), text(count));
            assert!(after.starts_with(&before), "{before}\n{after}");
        }
    }

    #[test]
    fn a_closed_list_to_the_letter() {
        let parts = vec![part(0, &[30, 30, 10], false), part(60, &[10, -10], true)];
        let from = Some(Utc90k(TICKS_PER_SECOND / 2));
        let text = Playlist { parts, closed: true, from, ..Playlist::default() }.to_string();
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-START:TIME-OFFSET=0.500000,PRECISE=YES
#EXT-X-MAP:URI=\"/chunks/0.mp4\",BYTERANGE=\"100@32\"
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00.000Z
#EXTINF:6.000000,
#EXT-X-BYTERANGE:200@1000
/chunks/0.mp4
#EXTINF:1.000000,
#EXT-X-BYTERANGE:100@1200
/chunks/0.mp4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI=\"/chunks/60.mp4\",BYTERANGE=\"100@32\"
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:00.000Z
#EXTINF:1.000000,
#EXT-X-BYTERANGE:100@1000
/chunks/60.mp4
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:11.000Z
#EXTINF:1.000000,
#EXT-X-BYTERANGE:100@1100
/chunks/60.mp4
#EXT-X-ENDLIST
";
        assert_eq!(text, expected);
    }

    /// An entry keeps its number, and its count of discontinuities, when what came before it expires under a reader.
    #[test]
    fn numbers_stay_with_their_entries_when_the_front_goes() {
        let fronts = crate::playback::Fronts::default();
        let all = [(0, &[60, -60][..]), (100, &[60, -60, -60]), (200, &[60]), (300, &[60, 60])];
        let read = |kept: std::ops::Range<usize>, closed: bool| {
            let parts = all[kept].iter().map(|(start, tenths)| part(*start, tenths, false)).collect();
            let mut list = Playlist { parts, closed, ..Playlist::default() };
            let name = ("cam".parse().unwrap(), Utc90k(0), Utc90k(1));
            list.before = fronts.before(name, &list.listed(), !closed);
            m3u8_rs::parse_media_playlist_res(list.to_string().as_bytes()).unwrap()
        };
        let numbered = |list: &m3u8_rs::MediaPlaylist| -> Vec<(u64, u64, String)> {
            let mut discontinuities = list.discontinuity_sequence;
            let numbers = (list.media_sequence..).zip(&list.segments);
            let told = numbers.map(|(number, one)| {
                discontinuities += u64::from(one.discontinuity);
                let range = one.byte_range.as_ref().unwrap();
                (number, discontinuities, format!("{} {}", one.uri, range.offset.unwrap()))
            });
            told.collect()
        };
        let whole = numbered(&read(0..4, false));
        let mut seen = numbered(&read(0..2, false));
        for (kept, closed) in [(0..3, false), (1..3, false), (2..4, false), (3..4, true)] {
            let list = read(kept, closed);
            let told = numbered(&list);
            assert!(told.iter().all(|entry| whole.contains(entry)), "{told:?}");
            assert_eq!(list.playlist_type.is_none(), list.media_sequence > 0 && !closed);
            seen.extend(told);
        }
        assert!(whole.iter().all(|entry| seen.contains(entry)));
    }

    #[test]
    fn a_parser_of_others_reads_the_same() {
        let parts = vec![part(0, &[30, 30, 10], false), part(60, &[10; 9], true), part(90, &[], true)];
        let open = Playlist { parts, closed: false, ..Playlist::default() };
        let read = m3u8_rs::parse_media_playlist_res(open.to_string().as_bytes()).unwrap();
        assert!(!read.end_list && read.playlist_type == Some(m3u8_rs::MediaPlaylistType::Event));
        let ranges: Vec<_> = read.segments.iter().map(|one| one.byte_range.clone().unwrap()).collect();
        let found: Vec<_> = ranges.iter().map(|range| (range.offset.unwrap(), range.length)).collect();
        assert_eq!(found, [(1000, 200), (1200, 100), (1000, 600)]);
        assert_eq!(read.segments.iter().map(|one| one.discontinuity).collect::<Vec<_>>(), [false, false, true]);
        assert!(read.segments.iter().all(|one| one.duration <= read.target_duration as f32 + 0.5));
        let map = read.segments[2].map.as_ref().unwrap();
        assert_eq!((map.uri.as_str(), map.byte_range.as_ref().unwrap().offset), ("/chunks/60.mp4", Some(32)));
        assert!(!Playlist { parts: vec![part(90, &[10], true)], closed: false, ..Playlist::default() }.has_entries());
    }
}
