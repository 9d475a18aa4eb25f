//! The index against a plain map, and what it keeps of a long history.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::storage::layout::ColdLayout;

fn entry(start_s: i64, bytes: u64) -> ChunkEntry {
    ChunkEntry {
        key: ChunkKey { start_ms: start_s * 1000, generation: 0 },
        place: Place::Temp,
        start: Utc90k::from_seconds(start_s),
        end: Utc90k::from_seconds(start_s + 10),
        bytes,
        codecs: "avc1.64001f".into(),
        gaps: 0,
        holes: None,
        sealed: false,
        original: false,
    }
}

#[test]
fn snapshots_are_sorted_and_keys_are_unique() {
    let index = DeviceIndex::new("cam".parse().unwrap());
    let before = index.snapshot();
    for (start, bytes) in [(20, 1), (0, 2), (10, 3), (20, 4)] {
        index.put(entry(start, bytes));
    }
    assert!(!index.put_if_absent(entry(10, 9)) && index.put_if_absent(entry(5, 0)));
    index.remove(&ChunkKey { start_ms: 5000, generation: 0 });
    let list: Vec<_> = index.snapshot().iter().map(|chunk| (chunk.start.as_seconds(), chunk.bytes)).collect();
    assert_eq!(list, [(0, 2), (10, 3), (20, 4)]);
    assert!(before.is_empty(), "a snapshot does not change under its reader");
    assert_eq!(index.bytes(), 9);
}

#[test]
fn a_chunk_moves_to_its_slot_and_goes() {
    let index = DeviceIndex::new("cam".parse().unwrap());
    let slot = RingSlot { hour: 0, index: 0, copy: 1 };
    index.put(entry(0, 1));
    assert_eq!(index.at_slot(slot), None);
    index.put(ChunkEntry { place: Place::Ring(slot), sealed: true, ..entry(0, 2) });
    let chunk = index.at_slot(slot).unwrap();
    let path = chunk.path(&ColdLayout::new(""), index.device());
    assert_eq!(path.to_str(), Some("cam/segments/0/chunk_10min_0.mp4"));
    assert_eq!(index.remove(&chunk.key), Some(chunk.clone()));
    assert_eq!((index.get(&chunk.key), index.remove(&chunk.key)), (None, None));
}

/// What somebody does to an index. Chunks start at these seconds.
#[derive(Clone, Debug)]
enum Step {
    Put(i64, i64, u32),
    PutAbsent(Vec<(i64, i64)>),
    Remove(i64, u32),
    Learn(i64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let batch = proptest::collection::vec((0i64..60, 1i64..20), 0..12);
    prop_oneof![
        (0i64..60, 1i64..20, 0u32..3).prop_map(|(start, len, generation)| Step::Put(start, len, generation)),
        batch.prop_map(Step::PutAbsent),
        (0i64..60, 0u32..3).prop_map(|(start, generation)| Step::Remove(start, generation)),
        (0i64..60, 1u64..20).prop_map(|(start, bytes)| Step::Learn(start, bytes)),
    ]
}

/// As many bytes as seconds, so that a replaced chunk is another one.
fn lasting(start_s: i64, len_s: i64, generation: u32) -> ChunkEntry {
    ChunkEntry {
        key: ChunkKey { start_ms: start_s * 1000, generation },
        end: Utc90k::from_seconds(start_s + len_s),
        codecs: if start_s < 30 { "avc1".into() } else { "hvc1".into() },
        gaps: 1,
        ..entry(start_s, len_s as u64)
    }
}

fn hole(start_s: i64) -> Arc<[Hole]> {
    let start = Utc90k::from_seconds(start_s);
    [Hole { start, end: start + 90_000 }].into()
}

proptest! {
    /// Whatever is done in whatever order, the index is what a plain map would be, and finds in it what a walk would.
    #[test]
    fn an_index_is_a_map_of_chunks(
        steps in proptest::collection::vec(step(), 0..40),
        from in 0i64..80,
        len in 0i64..30,
    ) {
        let (index, mut model) = (DeviceIndex::new("cam".parse().unwrap()), BTreeMap::new());
        for step in steps {
            match step {
                Step::Put(start, len, generation) => {
                    let entry = lasting(start, len, generation);
                    index.put(entry.clone());
                    model.insert(entry.key, entry);
                }
                Step::PutAbsent(batch) => {
                    let before = model.len();
                    let batch: Vec<_> = batch.into_iter().map(|(start, len)| lasting(start, len, 0)).collect();
                    for entry in batch.clone() {
                        model.entry(entry.key).or_insert(entry);
                    }
                    prop_assert_eq!(index.put_absent(batch), model.len() - before);
                }
                Step::Remove(start, generation) => {
                    let key = ChunkKey { start_ms: start * 1000, generation };
                    prop_assert_eq!(index.remove(&key).map(|chunk| chunk.as_ref().clone()), model.remove(&key));
                }
                Step::Learn(start, bytes) => {
                    let key = ChunkKey { start_ms: start * 1000, generation: 0 };
                    index.learn(vec![Learned { key, bytes, holes: hole(start) }]);
                    if let Some(entry) = model.get_mut(&key).filter(|entry| entry.bytes == bytes) {
                        entry.holes = Some(hole(start));
                    }
                }
            }
            let chunks = index.snapshot();
            prop_assert!(chunks.iter().map(|chunk| chunk.as_ref()).eq(model.values()), "{chunks:?}\n{model:?}");
        }
        let chunks = index.snapshot();
        prop_assert_eq!(chunks.newest().map(|chunk| chunk.end), model.values().map(|entry| entry.end).max());
        prop_assert_eq!(index.bytes(), model.values().map(|entry| entry.bytes).sum::<u64>());
        prop_assert!(model.keys().all(|key| index.get(key).is_some_and(|chunk| chunk.key == *key)));
        let (from, to) = (Utc90k::from_seconds(from), Utc90k::from_seconds(from + len));
        let around = chunks.around(from, to);
        let within = |chunk: &&Arc<ChunkEntry>| chunk.start < to && chunk.end > from;
        prop_assert!(chunks.iter().filter(within).eq(around.iter().filter(within)), "{from}..{to} of {chunks:?}");
    }
}

#[test]
fn a_span_of_a_long_history_is_found_without_the_rest_of_it() {
    let index = DeviceIndex::new("cam".parse().unwrap());
    index.put_absent((0..4320).map(|number| lasting(number * 600, 600, 0)).collect());
    let chunks = index.snapshot();
    let around = |from: i64, to: i64| chunks.around(Utc90k::from_seconds(from), Utc90k::from_seconds(to)).len();
    assert_eq!([around(600_000, 600_001), around(599_999, 600_001), around(0, 10_000_000)], [1, 2, 4320]);
    assert_eq!([around(-10, 0), around(5_000_000, 5_000_001), around(700, 600)], [0, 0, 0]);
    let texts: std::collections::HashSet<_> = chunks.iter().map(|chunk| Arc::as_ptr(&chunk.codecs)).collect();
    assert_eq!(texts.len(), 2, "one text per codec, not per chunk");
}

#[test]
fn holes_of_the_oldest_go_when_there_are_too_many() {
    let index = DeviceIndex::new("cam".parse().unwrap());
    let many: Arc<[Hole]> = vec![hole(0)[0]; HOLES_MAX / 2].into();
    for start in [0, 10, 20] {
        index.put(ChunkEntry { gaps: many.len() as u32, holes: Some(Arc::clone(&many)), ..entry(start, 1) });
    }
    let chunks = index.snapshot();
    assert_eq!(chunks.iter().map(|chunk| chunk.holes().is_some()).collect::<Vec<_>>(), [false, true, true]);
    assert!(!chunks.has_room_for_holes());
    index.remove(&ChunkKey { start_ms: 20_000, generation: 0 });
    assert!(index.snapshot().has_room_for_holes());
}
