//! Writes the live playlist (RFC 8216).

use std::fmt::Write;

use super::TICKS_PER_SECOND;

/// One line of the live window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSegment {
    /// Relative to the playlist.
    pub uri: String,
    pub duration_90k: i64,
    /// Times or codecs do not continue from the segment before: another run.
    pub discontinuity: bool,
    /// RFC 3339 moment of the first picture.
    pub program_date_time: Option<String>,
}

/// A live media playlist: no end tag, so players come back for more.
///
/// `media_sequence` is the number of the first segment listed and must never fall over the life of the playlist;
/// `discontinuity_sequence` counts the discontinuities that have left it (clauses 4.3.3.2, 4.3.3.3).
pub fn live_playlist(media_sequence: u64, discontinuity_sequence: u64, segments: &[LiveSegment]) -> String {
    let target = target_duration_seconds(segments);
    let mut text = String::with_capacity(128 + segments.len() * 96);
    text.push_str("#EXTM3U\n#EXT-X-VERSION:3\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "#EXT-X-TARGETDURATION:{target}");
    let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{media_sequence}");
    let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}");
    for segment in segments {
        if segment.discontinuity {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if let Some(time) = &segment.program_date_time {
            let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{time}");
        }
        let micros = segment.duration_90k.max(0).saturating_mul(100) / 9;
        let _ = writeln!(text, "#EXTINF:{}.{:06},\n{}", micros / 1_000_000, micros % 1_000_000, segment.uri);
    }
    text
}

/// The longest duration rounded to the nearest second, at least 1 (clause 4.3.3.1).
fn target_duration_seconds(segments: &[LiveSegment]) -> i64 {
    let longest = segments.iter().map(|segment| segment.duration_90k).max().unwrap_or(0);
    (longest.saturating_add(TICKS_PER_SECOND / 2) / TICKS_PER_SECOND).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(number: u32, duration_90k: i64) -> LiveSegment {
        LiveSegment {
            uri: format!("segment_1_{number:09}.ts"),
            duration_90k,
            discontinuity: false,
            program_date_time: None,
        }
    }

    #[test]
    fn golden() {
        let segments = [
            LiveSegment { program_date_time: Some("2026-11-20T03:50:00.125Z".into()), ..segment(7, 90_000) },
            LiveSegment { discontinuity: true, ..segment(8, 93_003) },
        ];
        assert_eq!(
            live_playlist(107, 2, &segments),
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:107\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:2\n#EXT-X-PROGRAM-DATE-TIME:2026-11-20T03:50:00.125Z\n#EXTINF:1.000000,\n\
             segment_1_000000007.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:1.033366,\nsegment_1_000000008.ts\n"
        );
    }

    #[test]
    fn target_duration_is_the_longest_rounded() {
        let check = |durations: &[i64], expected: i64| {
            let segments: Vec<_> = durations.iter().map(|duration| segment(0, *duration)).collect();
            let text = live_playlist(0, 0, &segments);
            assert!(text.contains(&format!("#EXT-X-TARGETDURATION:{expected}\n")), "{durations:?}: {text}");
        };
        check(&[], 1);
        check(&[3_000], 1);
        check(&[90_000, 134_999], 1);
        check(&[90_000, 135_000], 2);
        check(&[900_000, 90_000], 10);
    }

    #[test]
    fn another_parser_reads_it_back() {
        let segments = [segment(1, 90_000), LiveSegment { discontinuity: true, ..segment(2, 180_000) }];
        let text = live_playlist(u64::MAX / 2, 3, &segments);
        let (_, parsed) = m3u8_rs::parse_media_playlist(text.as_bytes()).unwrap();
        assert_eq!((parsed.media_sequence, parsed.discontinuity_sequence), (u64::MAX / 2, 3));
        assert_eq!((parsed.target_duration, parsed.end_list, parsed.segments.len()), (2, false, 2));
        assert!(parsed.segments[1].discontinuity && parsed.segments[1].uri == "segment_1_000000002.ts");
    }
}
