//! How old footage is at least, whatever became of the wall clock since: by monotonic time where the daemon saw it being
//! recorded. 16 bytes for each chunk of this run of the daemon, none for those before.

use crate::{
    clock::{Mono, TICKS_PER_SECOND, Utc90k, ticks_90k},
    storage::{
        index::{ChunkEntry, Chunks},
        layout::ChunkKey,
        retention::{Moment, PLAUSIBLE},
    },
};

/// What is known of the chunks of one device.
#[derive(Clone, Debug)]
pub struct Ages {
    /// When the daemon first looked, and what time it was then: chunks that were finished by then had the age that
    /// their label said.
    since: Mono,
    began: Utc90k,
    /// Chunks that were first seen while they were written, or whose label says nothing; sorted.
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    start_ms: i64,
    generation: u32,
    /// Rounded up, so that an age is rounded down.
    at_s: u32,
}

impl Seen {
    fn key(self) -> ChunkKey {
        ChunkKey { start_ms: self.start_ms, generation: self.generation }
    }
}

impl Ages {
    pub fn new(moment: Moment, mono: Mono) -> Self {
        Self { since: mono, began: moment.for_ages(), seen: Vec::new() }
    }

    /// Remembers when chunks were first seen. Looks only at those that are written now and those without a true label.
    pub fn note(&mut self, chunks: &Chunks, mono: Mono) {
        let unset = chunks.iter().take_while(|chunk| chunk.start < PLAUSIBLE).filter(|chunk| chunk.end < PLAUSIBLE);
        for chunk in chunks.open().chain(unset) {
            if let Err(at) = self.find(chunk.key) {
                let at_s = u32::try_from(mono.since(Mono::ZERO).as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
                let ChunkKey { start_ms, generation } = chunk.key;
                self.seen.insert(at, Seen { start_ms, generation, at_s });
            }
        }
        if self.seen.len() > 64 + 2 * chunks.len() {
            self.seen.retain(|seen| chunks.get(&seen.key()).is_some());
            self.seen.shrink_to_fit();
        }
    }

    /// The least age that any clock vouches for. The label of footage from an unset clock says nothing.
    pub fn age_90k(&self, chunk: &ChunkEntry, now: Now) -> i64 {
        let label = now.moment.for_ages() - chunk.end;
        let known = match self.find(chunk.key).ok().and_then(|at| self.seen.get(at)) {
            Some(seen) => {
                let up_90k = ticks_90k(now.mono.since(Mono::ZERO));
                (up_90k - i64::from(seen.at_s) * TICKS_PER_SECOND).max(0)
            }
            None => (self.began - chunk.end).max(0) + ticks_90k(now.mono.since(self.since)),
        };
        if chunk.end >= PLAUSIBLE { known.min(label) } else { known }
    }

    fn find(&self, key: ChunkKey) -> Result<usize, usize> {
        // Most questions are about chunks of before.
        match self.seen.first() {
            Some(first) if first.key() <= key => self.seen.binary_search_by_key(&key, |seen| seen.key()),
            _ => Err(0),
        }
    }
}

/// The moment of a plan, by all clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub moment: Moment,
    pub mono: Mono,
}
