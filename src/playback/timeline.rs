//! What there is of a device between two moments, and what is missing, as lists for people and programs. Pure.

use crate::{
    clock::Utc90k,
    playback::{
        fragments::Hole,
        select::{GAP_90K, Selection},
    },
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
    pub codec: String,
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
            _ => out.coverage.push(Stretch { start: part.from, end: part.to, codec: part.chunk.codecs.clone() }),
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
    use std::sync::Arc;

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
            sealed: true,
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
}
