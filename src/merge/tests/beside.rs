//! What lies beside the chunks follows them: through commits, seals, kills, the ring's turn and a sick disk.

use bytes::Bytes;

use super::*;
use crate::{
    clock::Mono,
    frames::{Frame, Observation, Witness},
    media::{
        mp4::pack::{self, Pack},
        verdicts::{self, FrameLine},
    },
    storage::{Effect, Op, Place, layout::Sibling, siblings},
};

fn picture() -> Bytes {
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 50).encode(&[90; 64], 8, 8, jpeg_encoder::ColorType::Luma).unwrap();
    jpeg.into()
}

impl Bench {
    /// Segments arrive one a second, each with five frames on the way; a commit after every third.
    fn watch(&self, epoch: u32, clip: &Clip) {
        let witness: Witness = self.siblings.as_ref().unwrap().witness();
        for (number, ts) in clip.segments.iter().enumerate() {
            for frame in 0..5 {
                let at = self.manual.clock().wall() + frame * 18_000;
                let seen = Observation { at, black: Some(false), ..Observation::default() };
                witness(&seen, &Frame { key: key(epoch, 0), at, seen: Mono::ZERO, jpeg: picture() });
            }
            self.arrive(key(epoch, number as u64), ts);
            if number % 3 == 2 {
                self.commit().unwrap();
            }
        }
        self.commit().unwrap();
    }

    fn read(&self, sibling: Sibling, entry: &ChunkEntry) -> Option<Vec<u8>> {
        let path = siblings::path(self.volume(), &device(), sibling, entry.key, entry.place);
        fs::read(self.cold_folder.path().join(path)).ok()
    }

    fn pack(&self, entry: &ChunkEntry) -> Option<Pack> {
        let bytes = self.read(Sibling::Previews, entry)?;
        pack::check(&bytes, bytes.len() as u64).unwrap()
    }

    fn lines(&self, entry: &ChunkEntry) -> Vec<FrameLine> {
        let (bytes, mut lines) = (self.read(Sibling::Metadata, entry).unwrap_or_default(), Vec::new());
        let mut each = |line| {
            lines.push(line);
            std::ops::ControlFlow::Continue(())
        };
        let scanned = verdicts::scan(&bytes, bytes.len() as u64, &mut each).unwrap();
        assert_eq!((scanned.len, scanned.bad), (bytes.len() as u64, 0));
        lines
    }

    /// Every file below a folder of the device.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let hours = fs::read_dir(self.cold_folder.path().join("cam").join(folder)).into_iter().flatten().flatten();
        hours.flat_map(|hour| fs::read_dir(hour.path()).unwrap().flatten()).map(|file| file.path()).collect()
    }
}

#[test]
fn each_chunk_of_the_ring_has_its_stills_and_verdicts() {
    let mut bench = Bench::new(10, 0);
    bench.watch(1, &Clip::h264_aac(14));
    // Killed with a torn tail beside the open chunk.
    let open = bench.chunks().last().unwrap().clone();
    assert_eq!(open.place, Place::Temp);
    for sibling in Sibling::ALL {
        let path = siblings::path(bench.volume(), &device(), sibling, open.key, open.place);
        let file = fs::File::options().write(true).open(bench.cold_folder.path().join(path)).unwrap();
        file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    }
    bench.restart();
    bench.watch(2, &Clip::h264_aac(18));
    let chunks = bench.chunks();
    let (ring, temp): (Vec<_>, Vec<_>) = chunks.iter().partition(|chunk| matches!(chunk.place, Place::Ring(_)));
    assert_eq!((ring.len(), temp.len()), (3, 1));
    let (mut stills, mut lines) = (0, 0);
    for chunk in &chunks {
        // The open one is younger than its first still.
        let pack = bench.pack(chunk);
        assert_eq!(pack.as_ref().map(|pack| pack.is_sealed), chunk.sealed.then_some(true), "{chunk:?}");
        let count = pack.map_or(0, |pack| pack.stills.len());
        assert!((4..=6).contains(&count) || !chunk.sealed, "one in 2 s: {count}");
        stills += count;
        lines += bench.lines(chunk).len();
        assert!(bench.lines(chunk).iter().all(|line| line.at() < chunk.end));
    }
    // 32 s; the kill took one of each, the last second waits for its commit.
    assert!((13..=16).contains(&stills), "{stills}");
    assert!((150..160).contains(&lines), "{lines}");
    assert_eq!((bench.files("thumbnails").len(), bench.files("metadata").len()), (3, 3));
}

#[test]
fn the_next_day_takes_the_place_of_this_one_beside_the_chunks_too() {
    let bench = Bench::new(10, 0);
    let clip = Clip::h264_aac(14);
    bench.watch(1, &clip);
    let first = bench.chunks()[0].clone();
    assert!(bench.pack(&first).is_some());
    bench.manual.advance(Duration::from_secs(86_400 - 14));
    for (number, ts) in clip.segments.iter().enumerate() {
        bench.arrive(key(2, number as u64), ts);
    }
    bench.commit().unwrap();
    assert!(bench.chunks().iter().all(|chunk| chunk.key != first.key), "its place was taken");
    assert_eq!((bench.pack(&first), bench.lines(&first)), (None, vec![]), "nobody watched that day");
}

/// The chunk does not know of it.
#[test]
fn a_disk_that_refuses_what_lies_beside_does_not_hold_up_the_chunk() {
    let bench = Bench::new(10, 0);
    let clip = Clip::h264_aac(14);
    // Names beside the chunk cannot be made, whoever tries: a folder stands in their way.
    let start = Utc90k::from_seconds(HOUR);
    for offset_ms in 0..3000 {
        let key = crate::storage::layout::ChunkKey { start_ms: start.as_ms() + offset_ms, generation: 0 };
        for sibling in Sibling::ALL {
            let path = bench.volume().layout().open_sibling(&device(), sibling, key);
            fs::create_dir_all(bench.cold_folder.path().join(path)).unwrap();
        }
    }
    bench.watch(1, &clip);
    assert_eq!(bench.all_packets().video.len(), clip.packets().video.len());
    assert!(bench.parts().metrics.sibling_failures.get() > 0);
    assert_eq!(bench.parts().metrics.commit_failures.get(), 0);
    // What is refused at the hand-over stays in temp and finds its chunk at the next start.
    let mut bench = Bench::new(10, 0);
    bench.volume().faults().arm(Op::Rename, 0, u32::MAX, Effect::Fail(libc::EACCES));
    bench.watch(1, &clip);
    bench.volume().faults().clear();
    let first = bench.chunks()[0].clone();
    assert!(matches!(first.place, Place::Ring(_)) && bench.pack(&first).is_none());
    bench.restart();
    bench.job(Due::Start).unwrap();
    let pack = bench.pack(&first).expect("its pack");
    assert!(pack.is_sealed && pack.stills.len() >= 4);
}
