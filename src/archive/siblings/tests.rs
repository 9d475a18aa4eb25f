//! With real pictures and a real disk: what lies beside a chunk after commits, failures, kills.

use std::{path::PathBuf, process::Command};

use super::*;
use crate::{
    clock::{Clock, Mono},
    config,
    frames::Sound,
    ids::SegmentKey,
    media::{mp4::pack, verdicts},
    storage::{ChunkEntry, Effect, Op, layout::RingSlot},
    telemetry::Metrics,
};

/// 2026-11-20T04:00:00Z.
const HOUR: Utc90k = Utc90k::from_seconds(1_795_147_200);
const KEY: ChunkKey = ChunkKey { start_ms: 1_795_147_200_000, generation: 0 };

struct Bench {
    folder: tempfile::TempDir,
    siblings: Arc<Siblings>,
    witness: Witness,
}

impl Bench {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(folder: tempfile::TempDir) -> Self {
        let storage = config::Storage { root: folder.path().to_owned(), ..config::Storage::default() };
        let volume = Volume::open(&storage, &Clock::system()).unwrap();
        let id: DeviceId = "cam".parse().unwrap();
        volume.mkdir_all(&volume.layout().temp(&id)).unwrap();
        let metrics = Metrics::new().device(&id);
        let log = Logger::root(slog::Discard, slog::o!());
        let siblings = Siblings::new(volume, Arc::new(DeviceIndex::new(id)), 10, metrics, log);
        Self { folder, witness: siblings.witness(), siblings }
    }

    /// The daemon is killed and started again.
    fn restart(self) -> Self {
        let Self { folder, siblings, witness } = self;
        drop((witness, siblings));
        Self::at(folder)
    }

    /// A frame so many milliseconds after the hour.
    fn see(&self, ms: i64, is_good: bool) {
        let at = HOUR + ms * 90;
        let sound =
            Sound { silent: Some(false), mean_volume_db: Some(-20.0), volume_percentage: Some(67), ..Sound::default() };
        let black = is_good.then_some(false);
        let seen = Observation { at, black, freeze: black, sound, ..Observation::default() };
        let jpeg = if is_good { picture((ms / 1000) as u8) } else { Bytes::from_static(b"torn") };
        (self.witness)(&seen, &Frame { key: SegmentKey::default(), at, seen: Mono::ZERO, jpeg });
    }

    fn committed(&self, end_ms: i64) {
        self.siblings.committed(KEY, HOUR, HOUR + end_ms * 90);
    }

    fn complete(&self, end_ms: i64) {
        self.siblings.complete(KEY, HOUR, HOUR + end_ms * 90);
    }

    /// The chunk itself, in `temp`.
    fn chunk(&self) -> PathBuf {
        let chunk = self.folder.path().join(self.siblings.volume.layout().open_chunk(&self.siblings.device, KEY));
        std::fs::write(&chunk, b"growing").unwrap();
        chunk
    }

    fn in_ring(&self) -> RingSlot {
        let slot = RingSlot::of(HOUR, 600);
        let (start, end) = (HOUR, HOUR + 600 * 90_000);
        let place = Place::Ring(slot);
        let codecs = "".into();
        let (gaps, holes) = (0, None);
        let entry =
            ChunkEntry { key: KEY, place, start, end, bytes: 1, codecs, gaps, holes, sealed: true, original: false };
        self.siblings.index.put(entry);
        slot
    }

    fn path(&self, sibling: Sibling, place: Place) -> PathBuf {
        self.folder.path().join(siblings::path(&self.siblings.volume, &self.siblings.device, sibling, KEY, place))
    }

    /// Milliseconds after the hour of every still and every line.
    fn read(&self, place: Place) -> (Vec<i64>, Vec<i64>) {
        let bytes = std::fs::read(self.path(Sibling::Previews, place)).unwrap_or_default();
        let pack = pack::check(&bytes, bytes.len() as u64).unwrap();
        let stills = pack.map(|pack| pack.stills).unwrap_or_default();
        let text = std::fs::read(self.path(Sibling::Metadata, place)).unwrap_or_default();
        let mut lines = Vec::new();
        let mut each = |line: FrameLine| {
            lines.push((line.at() - HOUR) / 90);
            std::ops::ControlFlow::Continue(())
        };
        assert_eq!(verdicts::scan(&text, text.len() as u64, &mut each).unwrap().len, text.len() as u64);
        (stills.iter().map(|still| (still.at - HOUR) / 90).collect(), lines)
    }
}

/// 64×36 pixels, another shade for each number.
fn picture(shade: u8) -> Bytes {
    let pixels: Vec<u8> = (0..64 * 36).map(|at| (at as u8).wrapping_add(shade.wrapping_mul(7))).collect();
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
    encoder.encode(&pixels, 64, 36, jpeg_encoder::ColorType::Luma).unwrap();
    jpeg.into()
}

#[test]
fn each_slot_of_the_grid_gives_its_first_good_picture() {
    let bench = Bench::new();
    for frame in 0..175 {
        // The grid is anchored to UTC, whenever pictures begin; those of the first second of slot 2 are torn.
        let ms = 4000 + frame * 200;
        bench.see(ms, !(20_000..21_000).contains(&ms));
        if frame % 50 == 49 {
            bench.committed(ms - 300);
        }
    }
    assert!(bench.siblings.stills_waiting(HOUR, HOUR + 60 * 90_000).is_empty());
    assert!(!bench.siblings.lines_waiting(HOUR, HOUR + 60 * 90_000).is_empty());
    bench.complete(39_000);
    let slot = bench.in_ring();
    bench.siblings.settle(KEY);
    let (stills, lines) = bench.read(Place::Ring(slot));
    assert_eq!(stills, [4000, 10_000, 21_000, 30_000]);
    assert_eq!(lines, (0..175).map(|frame| 4000 + frame * 200).collect::<Vec<_>>());
    assert_eq!(bench.read(Place::Temp), (vec![], vec![]), "moved, not copied");

    let metrics = &bench.siblings.metrics;
    let on_disk = Sibling::ALL.map(|it| std::fs::metadata(bench.path(it, Place::Ring(slot))).unwrap().len());
    assert_eq!(metrics.written_bytes(), on_disk.iter().sum::<u64>(), "every byte was written once");
    assert_eq!((metrics.sibling_failures.get(), metrics.sibling_drops.get()), (0, 0));
}

/// FFmpeg sees an ordinary MP4 with an MJPEG track, whose pictures stand at their times.
#[test]
fn a_finished_pack_plays() {
    let bench = Bench::new();
    for second in 0..60 {
        bench.see(second * 1000 + 3500, true);
    }
    bench.complete(600_000);
    let pack = bench.path(Sibling::Previews, Place::Temp);
    let told = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(["-v", "error"]).args(arguments).arg(&pack).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let streams = ["-show_entries", "stream=codec_name,codec_type,width,height", "-of", "csv=p=0"];
    assert_eq!(told("ffprobe", &streams).trim(), "mjpeg,video,64,36");
    let times = told("ffprobe", &["-show_entries", "packet=pts_time", "-of", "csv=p=0"]);
    let times: Vec<f64> = times.lines().map(|line| line.trim_matches(',').parse().unwrap()).collect();
    assert_eq!(times, [3.5, 10.5, 20.5, 30.5, 40.5, 50.5, 60.5]);
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(&pack)
        .args(["-fps_mode", "passthrough", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    assert!(decoded.stderr.is_empty(), "{}", String::from_utf8_lossy(&decoded.stderr));
    let text = String::from_utf8(decoded.stdout).unwrap();
    let mut hashes: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 7, "each picture is another");
}

#[test]
fn killed_anywhere_it_goes_on_after_the_last_whole_still_and_line() {
    for torn in [0, 1, 60, 140, 500, 900, 1400] {
        let mut bench = Bench::new();
        for second in 0..40 {
            bench.see(second * 1000, true);
        }
        bench.committed(40_000);
        for sibling in Sibling::ALL {
            let file = std::fs::File::options().write(true).open(bench.path(sibling, Place::Temp)).unwrap();
            file.set_len(file.metadata().unwrap().len() - torn).unwrap();
        }
        bench = bench.restart();
        let chunk = bench.chunk();
        bench.siblings.recover();
        for second in 40..60 {
            bench.see(second * 1000, true);
        }
        bench.complete(60_000);
        let (stills, lines) = bench.read(Place::Temp);
        assert!(stills.ends_with(&[40_000, 50_000]) && stills.starts_with(&[0]), "{torn}: {stills:?}");
        assert!(lines.len() >= 50 && lines.ends_with(&(40..60).map(|second| second * 1000).collect::<Vec<_>>()));
        let bytes = std::fs::read(bench.path(Sibling::Previews, Place::Temp)).unwrap();
        assert!(pack::read(&bytes, bytes.len() as u64).unwrap().unwrap().is_sealed);
        // Killed between sealing and the move: the next start finds the chunk in the ring.
        bench = bench.restart();
        std::fs::remove_file(chunk).unwrap();
        let slot = bench.in_ring();
        bench.siblings.recover();
        assert_eq!(bench.read(Place::Ring(slot)), (stills, lines));
    }
}

#[test]
fn what_lost_its_chunk_goes_and_a_strangers_file_is_replaced() {
    let mut bench = Bench::new();
    bench.see(0, true);
    bench.committed(1000);
    // Its chunk is there, though not in the index yet.
    let chunk = bench.chunk();
    bench.siblings.recover();
    assert_eq!(bench.read(Place::Temp), (vec![0], vec![0]));
    std::fs::remove_file(chunk).unwrap();
    bench.siblings.recover();
    assert_eq!(bench.read(Place::Temp), (vec![], vec![]));

    std::fs::write(bench.path(Sibling::Previews, Place::Temp), b"no pack").unwrap();
    bench = bench.restart();
    bench.see(2000, true);
    bench.committed(3000);
    assert_eq!(bench.read(Place::Temp), (vec![2000], vec![2000]));
    std::fs::write(bench.path(Sibling::Previews, Place::Temp), b"no pack").unwrap();
    bench.complete(3000);
    assert_eq!(bench.read(Place::Temp).0, Vec::<i64>::new());
}

/// A failure costs what was to be written then, is counted, and ends when the disk is well again.
#[test]
fn a_disk_that_refuses_costs_what_waited() {
    let bench = Bench::new();
    let fail = |op, errno| bench.siblings.volume.faults().arm(op, 0, u32::MAX, Effect::Fail(errno));
    bench.see(0, true);
    bench.committed(1000);
    fail(Op::Write, libc::ENOSPC);
    bench.see(10_000, true);
    bench.committed(11_000);
    bench.siblings.volume.faults().clear();
    bench.see(20_000, true);
    bench.committed(21_000);
    let metrics = &bench.siblings.metrics;
    assert_eq!((metrics.sibling_failures.get(), metrics.sibling_drops.get()), (2, 2));
    assert_eq!(bench.read(Place::Temp), (vec![0, 20_000], vec![0, 20_000]));
    fail(Op::SyncFile, libc::EIO);
    bench.complete(30_000);
    assert_eq!(metrics.sibling_failures.get(), 4);
    bench.siblings.volume.faults().clear();
    bench.complete(30_000);
    assert_eq!(bench.read(Place::Temp), (vec![0, 20_000], vec![0, 20_000]));
}

#[test]
fn what_waits_is_bounded_and_stays_with_its_own_chunk() {
    let bench = Bench::new();
    (0..10_000).for_each(|frame| bench.see(frame * 200, false));
    let kept = bench.siblings.lines_waiting(HOUR, HOUR + 10_000 * 90_000).len() as u64;
    assert_eq!(kept + bench.siblings.metrics.sibling_drops.get(), 10_000);
    assert!((1000..4000).contains(&kept), "{kept}");
    // What was taken after the chunk's end is the next one's; so is what comes late, up to a minute.
    let bench = Bench::new();
    for ms in [-61_000, -59_000, 500, 10_500] {
        bench.see(ms, true);
    }
    bench.committed(10_000);
    assert_eq!(bench.read(Place::Temp).1, [-59_000, 500]);
}
