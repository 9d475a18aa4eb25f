//! What there is of a device between two moments, and what is missing, as lists for people and programs. Pure.

use std::sync::Arc;

use crate::{
    clock::Utc90k,
    playback::select::{GAP_90K, Selection},
    storage::index::Hole,
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// In order. A new one begins after a gap and where the codec changes.
    pub coverage: Vec<Stretch>,
    pub gaps: Vec<Gap>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub start: Utc90k,
    pub end: Utc90k,
    /// RFC 6381, comma separated.
    pub codec: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub start: Utc90k,
    pub end: Utc90k,
    pub reason: Reason,
}

/// Why there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Before the oldest footage that is kept.
    NotKept,
    /// Nothing was recorded, or it was lost before it was committed.
    NotRecorded,
    /// Recorded, and in RAM until the next commit.
    NotCommitted,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::NotKept => "not_kept",
            Self::NotRecorded => "not_recorded",
            Self::NotCommitted => "not_committed",
        }
    }
}

/// Where the footage of a device ends on both sides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edges {
    /// Start of the oldest chunk.
    pub oldest: Option<Utc90k>,
    /// Start of what waits in RAM.
    pub waiting: Option<Utc90k>,
}

/// `selection`: [split](Selection::split) as far as holes are to be told. Gaps up to `resolution_90k` are left out and
/// the footage around them counts as one stretch; below [`GAP_90K`] there are none.
pub fn timeline(selection: &Selection, edges: Edges, resolution_90k: i64) -> Timeline {
    let least = resolution_90k.max(GAP_90K);
    let mut out = Timeline::default();
    for part in &selection.parts {
        match out.coverage.last_mut() {
            Some(last) if part.from - last.end <= least && last.codec == part.chunk.codecs => last.end = part.to,
            _ => out.coverage.push(Stretch { start: part.from, end: part.to, codec: Arc::clone(&part.chunk.codecs) }),
        }
    }
    for gap in selection.gaps().into_iter().filter(|gap| gap.end - gap.start > least) {
        out.gaps.extend(explain(gap, edges).into_iter().flatten());
    }
    out
}

/// A gap between known chunks has one reason; behind the newest it can be cut where RAM begins.
fn explain(gap: Hole, edges: Edges) -> [Option<Gap>; 2] {
    let because = |start, end, reason| Some(Gap { start, end, reason });
    if edges.oldest.is_some_and(|oldest| gap.end <= oldest) {
        return [because(gap.start, gap.end, Reason::NotKept), None];
    }
    match edges.waiting.filter(|waiting| *waiting < gap.end) {
        // Commits move on while one looks; what is a seam between disk and RAM is not told.
        Some(waiting) if waiting - gap.start <= GAP_90K => [None, because(gap.start, gap.end, Reason::NotCommitted)],
        Some(waiting) => {
            [because(gap.start, waiting, Reason::NotRecorded), because(waiting, gap.end, Reason::NotCommitted)]
        }
        None => [because(gap.start, gap.end, Reason::NotRecorded), None],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        playback::select::select,
        storage::{ChunkEntry, index::Place, layout::ChunkKey},
    };

    fn chunk((start, end, codec): (i64, i64, &str)) -> Arc<ChunkEntry> {
        Arc::new(ChunkEntry {
            key: ChunkKey { start_ms: start * 1000, generation: 0 },
            place: Place::Temp,
            start: Utc90k::from_seconds(start),
            end: Utc90k::from_seconds(end),
            bytes: 1,
            codecs: codec.into(),
            gaps: 0,
            holes: None,
            sealed: true,
            original: false,
        })
    }

    #[test]
    fn coverage_and_gaps_with_their_reasons() {
        let chunks = [(100, 200, "a"), (200, 300, "a"), (302, 400, "b"), (500, 600, "b")].map(chunk);
        let check = |(from, to, resolution): (i64, i64, i64), coverage: &str, gaps: &str| {
            let selection = select(&chunks, Utc90k::from_seconds(from), Utc90k::from_seconds(to));
            let edges = Edges { oldest: Some(chunks[0].start), waiting: Some(Utc90k::from_seconds(700)) };
            let found = timeline(&selection, edges, resolution * 90_000);
            let line =
                |start: Utc90k, end: Utc90k, what: &str| format!("{}-{} {what}", start.as_seconds(), end.as_seconds());
            let covered: Vec<_> = found.coverage.iter().map(|it| line(it.start, it.end, &it.codec)).collect();
            let missing: Vec<_> = found.gaps.iter().map(|it| line(it.start, it.end, it.reason.name())).collect();
            assert_eq!((covered.join(", ").as_str(), missing.join(", ").as_str()), (coverage, gaps), "{from}..{to}");
        };
        check((100, 600, 0), "100-300 a, 302-400 b, 500-600 b", "300-302 not_recorded, 400-500 not_recorded");
        check((100, 600, 2), "100-300 a, 302-400 b, 500-600 b", "400-500 not_recorded");
        check((100, 600, 100), "100-300 a, 302-600 b", "");
        check((0, 150, 0), "100-150 a", "0-100 not_kept");
        check((550, 800, 0), "550-600 b", "600-700 not_recorded, 700-800 not_committed");
        check((700, 800, 0), "", "700-800 not_committed");
        check((0, 50, 0), "", "0-50 not_kept");
        check((410, 420, 0), "", "410-420 not_recorded");
    }

    /// Which chunk shows a tenth of a second, looked up the slow way: of those that cover it the one that starts last.
    fn shown_by(chunks: &[Arc<ChunkEntry>], tenth: i64) -> Option<&ChunkEntry> {
        let covers = |start: Utc90k, end: Utc90k| (start.0..end.0).contains(&(tenth * 9000));
        let chunk = chunks.iter().rfind(|chunk| covers(chunk.start, chunk.end))?;
        let is_missing = chunk.holes().unwrap_or_default().iter().any(|hole| covers(hole.start, hole.end));
        (!is_missing).then_some(chunk)
    }

    proptest! {
        /// Chunks over each other with holes in them, cut anywhere: every tenth of a second is covered by what shows it
        /// and, where nothing does, lies in a gap or in a stretch that bridges what is too short to be one.
        #[test]
        fn every_moment_is_told_as_it_is(
            spans in proptest::collection::vec((0i64..400, 1i64..120, 0usize..2, 0i64..120, 1i64..60), 0..8),
            (from, len, resolution) in (0i64..400, 1i64..200, 0i64..20),
        ) {
            let tenths = |count: i64| Utc90k(count * 9000);
            let mut chunks: Vec<_> = (0..).zip(&spans).map(|(number, &(start, len, codec, hole_at, hole_len))| {
                let hole = Hole { start: tenths(start + hole_at), end: tenths((start + hole_at + hole_len).min(start + len)) };
                // A hole lies between samples, and is counted when it lasts for more than half a second.
                let holes: Vec<_> = Some(hole).filter(|hole| hole_at > 0 && hole.end - hole.start > GAP_90K && hole.end < tenths(start + len)).into_iter().collect();
                Arc::new(ChunkEntry {
                    key: ChunkKey { start_ms: start * 100, generation: number },
                    start: tenths(start),
                    end: tenths(start + len),
                    codecs: ["a", "b"][codec].into(),
                    gaps: holes.len() as u32,
                    holes: Some(holes.into()),
                    ..chunk((0, 1, "")).as_ref().clone()
                })
            }).collect();
            chunks.sort_by_key(|chunk| (chunk.start, chunk.key));
            let selection = select(&chunks, tenths(from), tenths(from + len));
            let selection = selection.split(|chunk| chunk.holes().unwrap_or_default());
            let told = timeline(&selection, Edges::default(), resolution * 9000);
            let least = (resolution * 9000).max(GAP_90K);
            for tenth in from..from + len {
                let at = tenths(tenth);
                let codec = told.coverage.iter().find(|it| it.start <= at && at < it.end).map(|it| &*it.codec);
                let is_gap = told.gaps.iter().any(|it| it.start <= at && at < it.end);
                match shown_by(&chunks, tenth) {
                    Some(chunk) => prop_assert_eq!((codec, is_gap), (Some(&*chunk.codecs), false), "{}", tenth),
                    None if codec.is_some() => prop_assert!(!is_gap, "{} is both", tenth),
                    None => {
                        let is_shown = |tenth: &i64| shown_by(&chunks, *tenth).is_some();
                        let end = (tenth..from + len).find(is_shown).unwrap_or(from + len);
                        let start = (from..tenth).rev().find(is_shown).map_or(from, |last| last + 1);
                        prop_assert_eq!(is_gap, (end - start) * 9000 > least, "{} in {}..{}", tenth, start, end);
                    }
                }
            }
            prop_assert!(told.gaps.iter().all(|gap| gap.end - gap.start > least));
            prop_assert!(told.coverage.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
