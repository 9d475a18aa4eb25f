//! Numbers for lists that grow at their end while they lose chunks at their front: a player goes by them (RFC 8216 §6.2.2).

use std::sync::Arc;

use moka::{ops::compute::Op, sync::Cache};

use crate::{clock::Utc90k, ids::DeviceId, storage::layout::ChunkKey};

/// What one part of a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: ChunkKey,
    /// Of its first entry: a chunk can be in a list twice.
    pub start: Utc90k,
    pub entries: u32,
    /// Where decoding starts anew: at its first entry, and after each gap inside.
    pub discontinuities: u32,
}

/// What was listed once before the first entry and is gone: EXT-X-MEDIA-SEQUENCE and EXT-X-DISCONTINUITY-SEQUENCE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    pub entries: u64,
    pub discontinuities: u64,
}

/// Names a list: the same span of the same device.
type Name = (DeviceId, Utc90k, Utc90k);

/// What growing lists have shown so far. Cheap to clone. When full, lists not asked for lately go, and count from 0 again,
/// as all do after a restart: a player that meets this starts the list anew.
#[derive(Clone)]
pub struct Fronts {
    lists: Cache<Name, Arc<[Listed]>>,
}

impl Default for Fronts {
    /// 4 MiB: four hundred lists of two days.
    fn default() -> Self {
        let weigh = |_: &Name, shown: &Arc<[Listed]>| u32::try_from(size_of_val(&**shown) + 128).unwrap_or(u32::MAX);
        Self { lists: Cache::builder().max_capacity(4 << 20).weigher(weigh).build() }
    }
}

impl Fronts {
    /// What has gone before `listed`, which is shown now and remembered while the list grows.
    pub fn before(&self, name: Name, listed: &[Listed], grows: bool) -> Before {
        let mut before = Before::default();
        self.lists.entry(name).and_compute_with(|known| {
            if known.is_none() && !grows {
                return Op::Nop;
            }
            let mut shown = known.map_or_else(Vec::new, |known| known.into_value().to_vec());
            before = add(&mut shown, listed);
            Op::Put(shown.into())
        });
        before
    }
}

/// Adds what is new to everything that was ever shown, in order; what comes before the first part that is shown now.
fn add(shown: &mut Vec<Listed>, listed: &[Listed]) -> Before {
    let order = |part: &Listed| (part.start, part.key);
    for part in listed {
        match shown.binary_search_by_key(&order(part), order) {
            // An answer that was begun before another one may tell less of a growing chunk.
            Ok(at) => {
                if let Some(known) = shown.get_mut(at).filter(|known| known.entries < part.entries) {
                    *known = *part;
                }
            }
            Err(at) => shown.insert(at, *part),
        }
    }
    let gone = shown.iter().take_while(|part| listed.first().is_none_or(|first| order(part) < order(first)));
    gone.fold(Before::default(), |before, part| Before {
        entries: before.entries + u64::from(part.entries),
        discontinuities: before.discontinuities + u64::from(part.discontinuities),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: i64, entries: u32, discontinuities: u32) -> Listed {
        let key = ChunkKey { start_ms: number * 600_000, generation: 0 };
        Listed { key, start: Utc90k::from_ms(key.start_ms), entries, discontinuities }
    }

    #[test]
    fn what_goes_at_the_front_is_counted_once_and_for_ever() {
        let fronts = Fronts::default();
        let name = |device: &str| (device.parse().unwrap(), Utc90k(0), Utc90k(1));
        let check = |listed: &[Listed], entries: u64, discontinuities: u64| {
            assert_eq!(fronts.before(name("cam"), listed, true), Before { entries, discontinuities }, "{listed:?}");
        };
        let [a, b, c, d] = [part(0, 100, 1), part(1, 90, 3), part(2, 80, 1), part(3, 70, 1)];
        check(&[a, part(1, 10, 1)], 0, 0);
        check(&[a, b], 0, 0);
        check(&[b, c], 100, 1);
        // An answer that was begun earlier.
        check(&[a, part(1, 20, 1)], 0, 0);
        check(&[c, d], 190, 4);
        // All that was listed is gone at once.
        check(&[part(7, 5, 1)], 340, 6);
        assert_eq!(fronts.before(name("other"), &[b, c], true), Before::default());
        // The closed list goes on counting; one that was never open begins at 0 and is not remembered.
        assert_eq!(fronts.before(name("cam"), &[part(7, 9, 1), part(8, 1, 1)], false).entries, 340);
        assert_eq!(fronts.before(name("closed"), &[a], false), Before::default());
        fronts.lists.run_pending_tasks();
        assert_eq!(fronts.lists.entry_count(), 2);
    }
}
