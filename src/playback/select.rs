//! Which chunks hold a span, in order and without overlap, and what is missing between them. Pure.

use std::sync::Arc;

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    storage::index::{ChunkEntry, Hole},
};

/// Missing footage up to this long is a seam, not a gap: a chunk counts its own holes by the same measure.
pub const GAP_90K: i64 = TICKS_PER_SECOND / 2;

/// What there is for a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub from: Utc90k,
    pub to: Utc90k,
    /// In order, without overlap. A chunk can occur twice, when a younger one lies inside it.
    pub parts: Vec<Part>,
}

/// A stretch of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub chunk: Arc<ChunkEntry>,
    /// Within both the chunk and the span asked for.
    pub from: Utc90k,
    pub to: Utc90k,
}

/// `chunks`: a snapshot of the index, sorted by start. An empty or reversed span holds nothing.
///
/// Where chunks overlap (the clock was set back, a part was transcoded) the one that starts later is shown, and of two
/// that start together the younger generation.
pub fn select(chunks: &[Arc<ChunkEntry>], from: Utc90k, to: Utc90k) -> Selection {
    let mut out = Selection { from, to, parts: Vec::new() };
    for chunk in chunks.iter().take_while(|chunk| chunk.start < to) {
        let (from, to) = (chunk.start.max(from), chunk.end.min(to));
        if from < to {
            out.lay(Part { chunk: Arc::clone(chunk), from, to });
        }
    }
    out
}

impl Selection {
    /// Between, before and after the parts, more than [`GAP_90K`] each. What chunks lack inside shows once they are
    /// [split](Self::split).
    pub fn gaps(&self) -> Vec<Hole> {
        let ends = std::iter::once(self.from).chain(self.parts.iter().map(|part| part.to));
        let starts = self.parts.iter().map(|part| part.from).chain(std::iter::once(self.to));
        ends.zip(starts)
            .filter(|(end, start)| *start - *end > GAP_90K)
            .map(|(start, end)| Hole { start, end })
            .collect()
    }

    /// The same with parts cut at the holes inside their chunks, as far as `holes_of` knows them.
    pub fn split<'a>(&'a self, holes_of: impl Fn(&'a ChunkEntry) -> &'a [Hole]) -> Self {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let mut rest = part.clone();
            for hole in holes_of(&part.chunk).iter().filter(|hole| hole.start < part.to && hole.end > part.from) {
                if hole.start > rest.from {
                    parts.push(Part { to: hole.start, ..rest.clone() });
                }
                rest.from = hole.end;
            }
            if rest.from < rest.to {
                parts.push(rest);
            }
        }
        Self { parts, ..*self }
    }

    /// Puts a part over those that were laid before it.
    fn lay(&mut self, part: Part) {
        let mut behind = Vec::new();
        while let Some(last) = self.parts.pop_if(|last| last.to > part.from) {
            if last.to > part.to {
                behind.push(Part { from: last.from.max(part.to), ..last.clone() });
            }
            if last.from < part.from {
                self.parts.push(Part { to: part.from, ..last });
                break;
            }
        }
        self.parts.push(part);
        self.parts.extend(behind.into_iter().rev());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::storage::{index::Place, layout::ChunkKey};

    fn chunk(start: i64, end: i64, generation: u32) -> Arc<ChunkEntry> {
        Arc::new(ChunkEntry {
            key: ChunkKey { start_ms: start * 1000, generation },
            place: Place::Temp,
            start: Utc90k::from_seconds(start),
            end: Utc90k::from_seconds(end),
            bytes: 1,
            codecs: "".into(),
            gaps: 0,
            holes: None,
            sealed: true,
            original: false,
        })
    }

    fn sorted(spans: &[(i64, i64)]) -> Vec<Arc<ChunkEntry>> {
        let mut chunks: Vec<_> = (0..).zip(spans).map(|(number, &(start, end))| chunk(start, end, number)).collect();
        chunks.sort_by_key(|chunk| (chunk.start, chunk.key));
        chunks
    }

    /// Number of the chunk, from, to.
    type Shown = (u32, i64, i64);

    /// Parts and gaps, in seconds.
    fn shown(selection: &Selection) -> (Vec<Shown>, Vec<(i64, i64)>) {
        let parts = selection.parts.iter();
        let parts =
            parts.map(|part| (part.chunk.key.generation, part.from.as_seconds(), part.to.as_seconds())).collect();
        let gaps = selection.gaps().iter().map(|gap| (gap.start.as_seconds(), gap.end.as_seconds())).collect();
        (parts, gaps)
    }

    #[test]
    fn chunks_of_a_span_in_order_with_what_is_missing() {
        let check = |spans: &[(i64, i64)], (from, to): (i64, i64), parts: &[(u32, i64, i64)], gaps: &[(i64, i64)]| {
            let selection = select(&sorted(spans), Utc90k::from_seconds(from), Utc90k::from_seconds(to));
            assert_eq!(shown(&selection), (parts.to_vec(), gaps.to_vec()), "{spans:?} {from}..{to}");
        };
        let day = [(0, 600), (600, 1200), (1300, 1800)];
        check(&day, (10, 20), &[(0, 10, 20)], &[]);
        check(&day, (590, 1310), &[(0, 590, 600), (1, 600, 1200), (2, 1300, 1310)], &[(1200, 1300)]);
        check(&day, (1200, 1300), &[], &[(1200, 1300)]);
        check(&day, (1790, 1900), &[(2, 1790, 1800)], &[(1800, 1900)]);
        check(&day, (20, 20), &[], &[]);
        check(&day, (20, 10), &[], &[]);
        // The clock was set back: the younger chunk lies inside the older one, which goes on after it.
        check(&[(0, 600), (100, 200)], (0, 600), &[(0, 0, 100), (1, 100, 200), (0, 200, 600)], &[]);
        check(
            &[(0, 600), (100, 200), (150, 300)],
            (0, 400),
            &[(0, 0, 100), (1, 100, 150), (2, 150, 300), (0, 300, 400)],
            &[],
        );
        // Of two that start together the younger generation.
        check(&[(0, 600), (0, 500)], (0, 600), &[(1, 0, 500), (0, 500, 600)], &[]);
    }

    #[test]
    fn a_seam_is_no_gap() {
        let mut chunks = sorted(&[(0, 10), (10, 20)]);
        let late = |by: i64| ChunkEntry { start: Utc90k::from_seconds(10) + by, ..chunks[1].as_ref().clone() };
        for (by, expected) in [(GAP_90K, 0), (GAP_90K + 1, 1)] {
            let pair = [Arc::clone(&chunks[0]), Arc::new(late(by))];
            assert_eq!(select(&pair, Utc90k(0), Utc90k::from_seconds(20)).gaps().len(), expected, "{by}");
        }
        chunks.truncate(1);
        assert!(select(&chunks, Utc90k(0), Utc90k::from_seconds(10) + GAP_90K).gaps().is_empty());
    }

    #[test]
    fn holes_inside_chunks_become_gaps_where_the_span_touches_them() {
        let check = |(from, to): (i64, i64), parts: &[(u32, i64, i64)], gaps: &[(i64, i64)]| {
            let selection = select(&sorted(&[(0, 600)]), Utc90k::from_seconds(from), Utc90k::from_seconds(to));
            let hole = |(start, end)| Hole { start: Utc90k::from_seconds(start), end: Utc90k::from_seconds(end) };
            let holes = [(100, 200), (300, 301)].map(hole);
            assert_eq!(shown(&selection.split(|_| &holes)), (parts.to_vec(), gaps.to_vec()), "{from}..{to}");
        };
        check((0, 600), &[(0, 0, 100), (0, 200, 300), (0, 301, 600)], &[(100, 200), (300, 301)]);
        check((150, 250), &[(0, 200, 250)], &[(150, 200)]);
        check((50, 150), &[(0, 50, 100)], &[(100, 150)]);
        check((120, 180), &[], &[(120, 180)]);
        check((200, 300), &[(0, 200, 300)], &[]);
    }

    proptest! {
        /// Whatever lies over whatever: every second of the span is shown by the chunk that covers it and starts last.
        #[test]
        fn every_moment_is_shown_once_by_the_chunk_that_starts_last(
            spans in proptest::collection::vec((0i64..60, 0i64..30), 0..9),
            from in 0i64..60,
            len in 0i64..60,
        ) {
            let spans: Vec<_> = spans.into_iter().map(|(start, len)| (start, start + len)).collect();
            let selection = select(&sorted(&spans), Utc90k::from_seconds(from), Utc90k::from_seconds(from + len));
            let (parts, gaps) = shown(&selection);
            for second in from..from + len {
                let covering = spans.iter().zip(0u32..).filter(|((start, end), _)| (*start..*end).contains(&second));
                let expected = covering.max_by_key(|((start, _), number)| (*start, *number)).map(|(_, number)| number);
                let found: Vec<_> = parts.iter().filter(|(_, from, to)| (*from..*to).contains(&second)).collect();
                prop_assert_eq!(found.first().map(|part| part.0), expected, "second {} of {:?}", second, spans);
                prop_assert!(found.len() <= 1);
                prop_assert_eq!(found.is_empty(), gaps.iter().any(|(from, to)| (*from..*to).contains(&second)));
            }
        }
    }
}
