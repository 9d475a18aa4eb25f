//! What a power cut leaves: every prefix, sectors of zeros, tails of zeros. Everything up to the last mark is kept.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use capstan::{
    media::mp4::{
        head::Head,
        salvage::{Tail, salvage},
        scan::{self, Piece},
    },
    merge::{
        chunk::ChunkWriter,
        recover::{Recovered, look, recover, repair_file, verify_file},
    },
    storage::layout::ChunkKey,
};

use crate::support::{Media, Place, Random, decode, device, encode, rounds, small};

const SECTOR: u64 = 512;

/// A recorded chunk: its bytes, and where its fragments and marks end.
struct Recording {
    place: Place,
    media: Media,
    path: PathBuf,
    bytes: Vec<u8>,
    data_offset: u64,
    fragment_ends: Vec<u64>,
    mark_ends: Vec<u64>,
}

impl Recording {
    fn new(media: Media, per_commit: usize) -> Self {
        let place = Place::new();
        let writer = media.record(&place, per_commit);
        let path = writer.path().clone();
        let data_offset = writer.meta().data_offset;
        drop(writer);
        let bytes = std::fs::read(place.absolute(&path)).unwrap();
        let pieces = scan::deep(&bytes, data_offset, bytes.len() as u64).unwrap();
        let ends = |is_mark: bool| {
            let chosen = pieces.iter().filter(|piece| matches!(piece, Piece::Mark { .. }) == is_mark);
            chosen.map(|piece| piece.range().end).collect()
        };
        let (fragment_ends, mark_ends) = (ends(false), ends(true));
        Self { place, media, path, bytes, data_offset, fragment_ends, mark_ends }
    }

    fn file(&self) -> PathBuf {
        self.place.absolute(&self.path)
    }

    /// Puts a damaged file in place and recovers it.
    fn recover(&self, damaged: &[u8], hot_has_more: bool) -> Recovered {
        std::fs::write(self.file(), damaged).unwrap();
        let key = ChunkKey::parse(self.path.file_name().unwrap().to_str().unwrap()).unwrap();
        let seen = look(&self.place.volume, &device(), key).unwrap();
        assert!(std::fs::read(self.file()).unwrap() == damaged, "looking changes nothing");
        let mut recovered = recover(&self.place.volume, &device(), &|_| hot_has_more).unwrap();
        assert_eq!(recovered.len(), 1);
        let recovered = recovered.pop().unwrap().unwrap();
        // Who only looks sees what recovery keeps when nothing but marks counts.
        if hot_has_more {
            let kept = match &recovered {
                Recovered::Open(writer) => Some(writer.published_len()),
                Recovered::Sealed(chunk) => Some(chunk.bytes),
                Recovered::Deleted(_) | Recovered::Quarantined { .. } => None,
            };
            assert_eq!(seen.map(|chunk| chunk.bytes), kept);
        }
        recovered
    }

    /// Fragments that end at or before `len`.
    fn fragments_before(&self, len: u64) -> usize {
        self.fragment_ends.iter().filter(|end| **end <= len).count()
    }

    /// Where each fragment lies.
    fn fragments(&self) -> impl Iterator<Item = Range<usize>> {
        self.fragment_ends.iter().map(|end| {
            let seams = self.fragment_ends.iter().chain(&self.mark_ends).filter(|seam| *seam < end);
            let start = seams.max().copied().unwrap_or(self.data_offset);
            start as usize..*end as usize
        })
    }

    fn last_mark_before(&self, len: u64) -> u64 {
        self.mark_ends.iter().rev().find(|end| **end <= len).copied().unwrap_or(self.data_offset)
    }
}

fn open(recovered: Recovered) -> ChunkWriter {
    match recovered {
        Recovered::Open(writer) => *writer,
        other => panic!("must be open: {other:?}"),
    }
}

/// Fragments in a file that FFmpeg-like players walk to: from D to the end, without damage.
fn playable_fragments(file: &Path, data_offset: u64) -> usize {
    let bytes = std::fs::read(file).unwrap();
    let pieces = scan::deep(&bytes, data_offset, bytes.len() as u64).unwrap();
    let damage = pieces.iter().find(|piece| matches!(piece, Piece::Damage(_)));
    assert_eq!(damage, None);
    pieces.iter().filter(|piece| matches!(piece, Piece::Fragment(_))).count()
}

/// Every prefix, as data: what is kept ends at the last mark, or at the last whole fragment when nobody else has it.
#[test]
fn every_prefix_keeps_what_was_committed() {
    let recording = Recording::new(small(6, true), 2);
    let bytes = &recording.bytes;
    let head = Head::read(bytes).unwrap().unwrap();
    for len in recording.data_offset..=bytes.len() as u64 {
        let pieces = scan::deep(bytes, recording.data_offset, len).unwrap();
        let mut covered_to = recording.data_offset;
        for piece in &pieces {
            assert_eq!(piece.range().start, covered_to, "no byte is forgotten");
            covered_to = piece.range().end;
        }
        assert_eq!(covered_to, len);
        let cut = salvage(&pieces, &head.tracks, recording.data_offset, Tail::Cut);
        assert_eq!(cut.len, recording.last_mark_before(len));
        assert_eq!(cut.fragments as usize, recording.fragments_before(cut.len), "prefix {len}");
        assert_eq!(cut.covers, []);
        let kept = salvage(&pieces, &head.tracks, recording.data_offset, Tail::Keep);
        assert_eq!(kept.fragments as usize, recording.fragments_before(len), "prefix {len}");
        assert_eq!(kept.needs_mark, kept.fragments > cut.fragments);
    }
}

/// Prefixes as files, at every seam and its neighbours: recovery is repeatable, goes on, and seals.
#[test]
fn prefixes_recover_go_on_and_seal() {
    let recording = Recording::new(small(6, true), 2);
    let seams = recording.fragment_ends.iter().chain(&recording.mark_ends);
    let mut lens: Vec<u64> = seams.flat_map(|end| [end - 1, *end, end + 1]).collect();
    lens.extend([0, 31, 500, 1536, 4095, 4096, recording.data_offset, recording.data_offset + 7]);
    lens.retain(|len| *len <= recording.bytes.len() as u64);
    for len in lens {
        for hot_has_more in [true, false] {
            let prefix = &recording.bytes[..len as usize];
            let kept_len = if hot_has_more { recording.last_mark_before(len) } else { len };
            let kept = recording.fragments_before(kept_len);
            let recovered = recording.recover(prefix, hot_has_more);
            if kept == 0 {
                assert!(matches!(recovered, Recovered::Deleted(_)), "prefix {len}: {recovered:?}");
                assert!(!recording.file().exists());
                continue;
            }
            let first = open(recovered);
            let (published, mark) = (first.published_len(), first.last_mark());
            drop(first);
            let once = std::fs::read(recording.file()).unwrap();
            let mut writer = open(recording.recover(&once, hot_has_more));
            assert_eq!((writer.published_len(), writer.last_mark()), (published, mark), "prefix {len}: twice is once");
            assert!(std::fs::read(recording.file()).unwrap() == once);
            assert_eq!(playable_fragments(&recording.file(), recording.data_offset), kept);

            for gop in &recording.media.gops[kept..] {
                writer.append(&gop.as_fragment()).unwrap();
            }
            writer.commit(crate::support::mark(99)).unwrap();
            let sealed = writer.seal().unwrap();
            let verdict = verify_file(&recording.place.volume, &sealed.path).unwrap();
            assert_eq!(verdict.problems, Vec::<String>::new(), "prefix {len}");
            assert_eq!(verdict.samples, recording.media.samples() as u64, "nothing lost, nothing doubled");
            assert_eq!(sealed.sealed.last_mark, Some(crate::support::mark(99)));
        }
    }
}

/// A sector of zeros anywhere, the head included: what is lost is what it hit, and never what another commit holds.
#[test]
fn a_zeroed_sector_costs_only_what_it_hits() {
    let recording = Recording::new(small(40, true), 10);
    let (head_len, end) = (4096, recording.bytes.len() as u64);
    let data = (recording.data_offset..end).step_by(SECTOR as usize);
    for at in (0..head_len).step_by(SECTOR as usize).chain(data) {
        let mut damaged = recording.bytes.clone();
        let hit = at..(at + SECTOR).min(end);
        damaged[hit.start as usize..hit.end as usize].fill(0);
        let touched = recording.fragments().filter(|range| damaged[range.clone()] != recording.bytes[range.clone()]);
        let touched = touched.count();
        let writer = open(recording.recover(&damaged, false));
        let kept = playable_fragments(&recording.file(), recording.data_offset);
        assert_eq!(kept, 40 - touched, "sector at {at}");
        if hit.end <= *recording.mark_ends.iter().rev().nth(1).unwrap() {
            assert_eq!(writer.published_len(), end, "sector at {at}: later commits stay");
            assert_eq!(writer.last_mark(), Some(crate::support::mark(4)));
        }
        let sealed = writer.seal().unwrap();
        let verdict = verify_file(&recording.place.volume, &sealed.path).unwrap();
        assert_eq!(verdict.problems, Vec::<String>::new(), "sector at {at}");
    }
}

/// While hot still has the segments, a batch that is not proven whole is merged again rather than patched.
#[test]
fn a_torn_last_batch_is_cut_when_hot_has_it() {
    let recording = Recording::new(small(6, true), 2);
    let before = recording.mark_ends[1];
    let head = Head::read(&recording.bytes).unwrap().unwrap();
    for at in before..recording.bytes.len() as u64 {
        let mut damaged = recording.bytes.clone();
        damaged[at as usize] ^= 0x55;
        let pieces = scan::deep(&damaged, recording.data_offset, damaged.len() as u64).unwrap();
        let cut = salvage(&pieces, &head.tracks, recording.data_offset, Tail::Cut);
        assert_eq!((cut.len, cut.mark.unwrap().info), (before, crate::support::mark(2)), "byte {at}");
        if at % 97 == 0 {
            let writer = open(recording.recover(&damaged, true));
            assert_eq!((writer.published_len(), writer.last_mark()), (before, Some(crate::support::mark(2))));
        }
    }
}

/// Delayed allocation may leave a length with zeros behind it.
#[test]
fn zero_filled_tails_are_cut() {
    let recording = Recording::new(small(6, true), 2);
    for (kept, zeros) in [(0, 0), (0, 900_000), (3, 512), (5, 1), (5, 7), (5, 8), (5, 100_000)] {
        let len = if kept == 0 { 0 } else { recording.fragment_ends[kept - 1] };
        let mut damaged = recording.bytes[..len as usize].to_vec();
        damaged.resize(len as usize + zeros, 0);
        let recovered = recording.recover(&damaged, false);
        if kept == 0 {
            assert!(matches!(recovered, Recovered::Deleted(_)), "{zeros}");
        } else {
            drop(open(recovered));
            assert_eq!(playable_fragments(&recording.file(), recording.data_offset), kept, "{zeros}");
        }
    }
}

/// Real media, random faults, several at once: always recovered, always whole afterwards, and FFmpeg decodes it all.
#[test]
fn random_damage_leaves_files_that_decode() {
    let folder = tempfile::tempdir().unwrap();
    let media = encode(
        folder.path(),
        "-f lavfi -i testsrc2=size=320x180:rate=30:duration=9 -f lavfi -i sine=duration=9 \
         -c:v libx264 -preset ultrafast -tune zerolatency -g 30 -pix_fmt yuv420p -c:a aac",
    );
    let recording = Recording::new(media, 3);
    for round in 0..rounds(12) {
        let mut random = Random(round);
        let mut damaged = recording.bytes.clone();
        let data_len = damaged.len() as u64 - recording.data_offset;
        let cut = recording.data_offset + random.below(data_len);
        if random.below(2) == 0 {
            damaged.truncate(cut as usize);
        } else if random.below(2) == 0 {
            damaged[cut as usize..].fill(0);
        }
        for _ in 0..random.below(4) {
            let at = random.below(damaged.len() as u64 / SECTOR) * SECTOR;
            damaged[at as usize..][..SECTOR as usize].fill(0);
        }
        let hot_has_more = random.below(2) == 0;
        let writer = match recording.recover(&damaged, hot_has_more) {
            Recovered::Open(writer) => writer,
            Recovered::Deleted(_) => continue,
            other => panic!("round {round}: {other:?}"),
        };
        let sealed = writer.seal().unwrap();
        let verdict = verify_file(&recording.place.volume, &sealed.path).unwrap();
        assert_eq!(verdict.problems, Vec::<String>::new(), "round {round}");
        let frames = decode(&recording.file());
        assert_eq!(frames[0] % 30, 0, "round {round}: whole GOPs only");
    }
}

/// Both halves of a seal, torn at every write: it is the growing file or the sealed one, never anything between.
#[test]
fn a_torn_seal_is_the_growing_file() {
    let recording = Recording::new(small(6, true), 2);
    let writer = open(recording.recover(&recording.bytes, true));
    let published = writer.published_len();
    let sealed_path = recording.place.absolute(&writer.seal().unwrap().path);
    let sealed = std::fs::read(&sealed_path).unwrap();
    for keep in 0..12u64 {
        let mut random = Random(keep);
        let mut torn = sealed.clone();
        // Sector 0 is written twice: before the flip it has the sealed identity below a moov that is still `moov`.
        torn[32..40].copy_from_slice(&recording.bytes[32..40]);
        for sector in 0..recording.data_offset / SECTOR {
            if random.below(2) == 0 {
                let at = (sector * SECTOR) as usize;
                torn[at..at + 512].copy_from_slice(&recording.bytes[at..at + 512]);
            }
        }
        let writer = open(recording.recover(&torn, true));
        assert_eq!(writer.published_len(), published);
        writer.seal().unwrap();
        assert!(std::fs::read(&sealed_path).unwrap() == sealed, "the same file in the end");
    }
    assert!(matches!(recording.recover(&sealed, true), Recovered::Sealed(_)), "only its rename is missing");
}

/// A sealed chunk that a sick card damaged: repair keeps what is whole and makes the table fit it.
#[test]
fn a_damaged_sealed_chunk_is_repaired_in_place() {
    let recording = Recording::new(small(40, true), 10);
    let writer = open(recording.recover(&recording.bytes, true));
    let path = writer.seal().unwrap().path;
    let sealed = std::fs::read(recording.file()).unwrap();
    let whole = verify_file(&recording.place.volume, &path).unwrap();
    assert_eq!((whole.problems.len(), whole.fragments, whole.good_marks), (0, 40, 4));
    for (at, fragments) in [(recording.fragment_ends[3] + 200, 38..40), (0, 40..41), (4096, 40..41), (6000, 40..41)] {
        let mut damaged = sealed.clone();
        damaged[at as usize..][..512].fill(0);
        std::fs::write(recording.file(), &damaged).unwrap();
        assert!(!verify_file(&recording.place.volume, &path).unwrap().is_whole(), "{at}");
        let repaired = repair_file(&recording.place.volume, &device(), &path).unwrap();
        assert!(matches!(repaired, Recovered::Sealed(_)), "{at}: {repaired:?}");
        let verdict = verify_file(&recording.place.volume, &path).unwrap();
        assert_eq!(verdict.problems, Vec::<String>::new(), "{at}");
        assert!(fragments.contains(&verdict.fragments), "{at}: {}", verdict.fragments);
    }
    assert!(matches!(repair_file(&recording.place.volume, &device(), &path).unwrap(), Recovered::Sealed(_)));
}

/// One strange file does not stop the others, and is not thrown away.
#[test]
fn strangers_are_set_aside() {
    let recording = Recording::new(small(2, false), 2);
    let temp = recording.file().parent().unwrap().to_owned();
    let mut headless = recording.bytes.clone();
    headless[..4096].fill(0);
    std::fs::write(temp.join("1000-0.mp4"), &headless).unwrap();
    std::fs::write(temp.join("2000-0.mp4"), &recording.bytes).unwrap();
    std::fs::write(temp.join("preview.jsonl"), b"a sibling").unwrap();
    let mut kinds: Vec<String> = Vec::new();
    for recovered in recover(&recording.place.volume, &device(), &|_| true).unwrap() {
        kinds.push(match recovered.unwrap() {
            Recovered::Quarantined { why, .. } => why,
            Recovered::Open(writer) => writer.key().file_name(),
            other => panic!("{other:?}"),
        });
    }
    let name = recording.media.spec.key().file_name();
    assert_eq!(kinds, ["its head is lost".to_owned(), format!("holds cam {name}"), name]);
    assert!(temp.join("preview.jsonl").exists() && !temp.join("1000-0.mp4").exists());
    assert_eq!(recover(&recording.place.volume, &device(), &|_| true).unwrap().len(), 1);
    let nobody = recover(&recording.place.volume, &"none".parse().unwrap(), &|_| true).unwrap();
    assert_eq!(nobody.len(), 0);
}
