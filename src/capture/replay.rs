//! A source without FFmpeg: prepared files are put into hot on the clock's beat, at any speed. For tests and scale.
//!
//! A folder is played round and round as one run: at each start over, times inside the segments go on where they
//! ended, as those of a camera would.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{
    clock::{Clock, Mono, ticks_90k},
    config::ReplaySource,
    error::{Error, Kind, Result},
    ids::{DeviceId, Epoch, SegmentKey},
    media::mpegts,
    storage::layout::{HotKind, HotLayout},
};

use super::{
    PICTURE_TICKS_PER_SECOND, TS_OFFSET_90K,
    process::{ChildExit, Order, ProcessCell, Progress, Running},
};

/// How often the thread looks at the clock: a fiftieth of a segment at real-time speed.
const BEAT: Duration = Duration::from_millis(20);
/// Files dropped per look and device, so that a clock that jumps a year ahead floods nothing.
const BURST_MAX: u64 = 200;
/// When a segment's own times cannot be read.
const SEGMENT_90K: i64 = 90_000;
/// MPEG-TS (ISO/IEC 13818-1) counts PTS, DTS and the PCR base in 33 bits.
const WRAP_90K: i64 = 1 << 33;

/// Begins a run of the prepared files.
pub(super) fn start(
    source: &ReplaySource,
    device: &DeviceId,
    layout: &HotLayout,
    clock: &Clock,
    cell: &ProcessCell,
    epoch: Epoch,
) -> Result<Arc<Running>> {
    let mut tracks: Vec<_> =
        HotKind::ALL.into_iter().map(|kind| Track::read(kind, source, device, layout)).collect::<Result<_>>()?;
    let Some((lap_90k, first)) = tracks.first().and_then(|track| Some((track.lap_90k, track.files.first()?))) else {
        return Err(Error::new(Kind::NotFound, "no segments/*.ts to replay").at(source.dir.display()));
    };
    // Names of pictures count the time of the run that the segments carry.
    let begin_90k = (first.pts_90k.unwrap_or(TS_OFFSET_90K) - TS_OFFSET_90K).max(0);
    tracks.iter_mut().skip(1).for_each(|track| track.spread(lap_90k, begin_90k));
    cell.occupy(epoch, |running, orders| {
        let playing =
            Playing { running, orders, tracks, clock: clock.clone(), began: clock.mono(), speed: source.speed };
        let players = players()?;
        players.lock().unwrap_or_else(PoisonError::into_inner).push(playing);
        Ok(())
    })
}

type Players = Arc<Mutex<Vec<Playing>>>;

/// One thread for all replays; it is never ended, and sleeps when there is nothing to play.
fn players() -> Result<Players> {
    static PLAYERS: OnceLock<Players> = OnceLock::new();
    if let Some(players) = PLAYERS.get() {
        return Ok(Arc::clone(players));
    }
    let mut first = false;
    let players = Arc::clone(PLAYERS.get_or_init(|| {
        first = true;
        Players::default()
    }));
    if first {
        let playing = Arc::clone(&players);
        let play = move || {
            loop {
                std::thread::sleep(BEAT);
                playing.lock().unwrap_or_else(PoisonError::into_inner).retain_mut(Playing::beat);
            }
        };
        let started = std::thread::Builder::new().name("capstan-replay".into()).spawn(play);
        started.map_err(|error| Error::io("starting the replay thread", "capstan-replay", error))?;
    }
    Ok(players)
}

/// One run.
struct Playing {
    running: Arc<Running>,
    orders: mpsc::Receiver<Order>,
    tracks: Vec<Track>,
    clock: Clock,
    began: Mono,
    speed: f64,
}

/// One kind of file of one run.
struct Track {
    kind: HotKind,
    files: Vec<Prepared>,
    /// Of the whole folder once through.
    lap_90k: i64,
    /// Run time at which the first lap begins.
    begin_90k: i64,
    /// Files dropped so far, over all laps.
    dropped: u64,
    target: PathBuf,
    names: Names,
}

#[derive(Clone)]
struct Names {
    device: DeviceId,
    layout: HotLayout,
}

struct Prepared {
    path: PathBuf,
    /// When it is whole, from the start of the lap.
    due_90k: i64,
    /// Of a segment: its first time.
    pts_90k: Option<i64>,
}

impl Track {
    fn read(kind: HotKind, source: &ReplaySource, device: &DeviceId, layout: &HotLayout) -> Result<Self> {
        let folder = source.dir.join(kind.folder());
        let suffix = if kind == HotKind::Segment { "ts" } else { "jpg" };
        let mut paths: Vec<_> = match fs::read_dir(&folder) {
            Ok(entries) => entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|found| found == suffix))
                .collect(),
            Err(error) if kind == HotKind::Segment => {
                return Err(Error::io("reading the files to replay", folder, error));
            }
            Err(_) => Vec::new(),
        };
        paths.sort();
        let mut due_90k = 0;
        let files = paths.into_iter().map(|path| {
            let (pts_90k, length) = if kind == HotKind::Segment { times_90k(&path) } else { (None, 0) };
            due_90k += length;
            Prepared { path, due_90k, pts_90k }
        });
        let files: Vec<_> = files.collect();
        let lap_90k = due_90k.max(1);
        let names = Names { device: device.clone(), layout: layout.clone() };
        Ok(Self { kind, files, lap_90k, begin_90k: 0, dropped: 0, target: layout.folder(device, kind), names })
    }

    /// Pictures come evenly over a lap of the segments.
    fn spread(&mut self, lap_90k: i64, begin_90k: i64) {
        let count = i64::try_from(self.files.len()).unwrap_or(i64::MAX).max(1);
        (self.lap_90k, self.begin_90k) = (lap_90k, begin_90k);
        for (place, file) in (1..).zip(&mut self.files) {
            file.due_90k = lap_90k.saturating_mul(place) / count;
        }
    }

    /// Drops what is due at `played_90k`. True while all went well.
    fn drop_due(&mut self, epoch: Epoch, played_90k: i64) -> std::io::Result<u64> {
        let mut bytes = 0;
        for _ in 0..BURST_MAX {
            let laps = i64::try_from(self.dropped / self.files.len().max(1) as u64).unwrap_or(i64::MAX);
            let Some(file) = self.files.get((self.dropped % self.files.len().max(1) as u64) as usize) else { break };
            let lap_start = laps.saturating_mul(self.lap_90k);
            if lap_start.saturating_add(file.due_90k) > played_90k {
                break;
            }
            let mut content = fs::read(&file.path)?;
            let number = match self.kind {
                HotKind::Segment => {
                    if laps > 0 {
                        shift_times(&mut content, lap_start);
                    }
                    self.dropped
                }
                HotKind::Picture(_) => {
                    let at = self.begin_90k.saturating_add(lap_start).saturating_add(file.due_90k);
                    let at = at.saturating_mul(PICTURE_TICKS_PER_SECOND) / 90_000;
                    u64::try_from(at).unwrap_or(0)
                }
            };
            let name = self.names.layout.file(&self.names.device, self.kind, SegmentKey { epoch, number });
            // As FFmpeg does it: whole or not there.
            let temporary = self.target.join("replay.tmp");
            fs::write(&temporary, &content)?;
            fs::rename(&temporary, name)?;
            bytes += content.len() as u64;
            self.dropped += 1;
        }
        Ok(bytes)
    }
}

impl Playing {
    /// False when it has ended.
    fn beat(&mut self) -> bool {
        match self.orders.try_recv() {
            Err(mpsc::error::TryRecvError::Empty) => {}
            Ok(_) | Err(mpsc::error::TryRecvError::Disconnected) => {
                self.running.finish(ChildExit { code: Some(0), ..ChildExit::default() });
                return false;
            }
        }
        let played = self.clock.mono().since(self.began).mul_f64(self.speed);
        let played_90k = ticks_90k(played);
        let mut progress = self.running.progress();
        for track in &mut self.tracks {
            match track.drop_due(self.running.epoch, played_90k) {
                Ok(bytes) => progress.bytes += bytes,
                Err(error) => {
                    let words = vec![format!("{}: {error}", track.target.display())];
                    self.running.finish(ChildExit { code: Some(1), words, ..ChildExit::default() });
                    return false;
                }
            }
        }
        progress.out_time_us = i64::try_from(played.as_micros()).unwrap_or(i64::MAX);
        self.running.report(Progress { fps: 0.0, ..progress });
        true
    }
}

/// The first time in it, and the length up to the last; [`SEGMENT_90K`] when it has none.
fn times_90k(path: &Path) -> (Option<i64>, i64) {
    let span = fs::read(path).ok().and_then(|content| mpegts::span(&content, &content));
    let length = span.as_ref().map(|span| span.end_pts_90k - span.first_pts_90k);
    let length = length.filter(|length| (1..=60 * SEGMENT_90K).contains(length));
    (span.map(|span| span.first_pts_90k), length.unwrap_or(SEGMENT_90K))
}

/// Adds `by_90k` to every PCR, PTS and DTS of a transport stream, in place. Anything that is not what it seems is left
/// as it is: a replay of broken streams must replay them broken.
pub(super) fn shift_times(ts: &mut [u8], by_90k: i64) {
    for packet in ts.chunks_exact_mut(188) {
        let [0x47, flags, _, control, ..] = *packet else { continue };
        let mut payload = 4;
        if control & 0x20 != 0 {
            let length = usize::from(packet[4]);
            if length >= 7 && packet[5] & 0x10 != 0 {
                shift_pcr(&mut packet[6..12], by_90k);
            }
            payload += 1 + length;
        }
        let starts = flags & 0x40 != 0 && control & 0x10 != 0;
        let Some(pes) = packet.get_mut(payload..).filter(|pes| starts && pes.starts_with(&[0, 0, 1])) else { continue };
        // Stream ids with the long PES header: video, audio and private_stream_1.
        if pes.len() < 19 || !matches!(pes[3], 0xbd | 0xc0..=0xef | 0xfd) || pes[6] & 0xc0 != 0x80 {
            continue;
        }
        let times = pes[7] >> 6;
        if times & 2 != 0 {
            shift_stamp(&mut pes[9..14], by_90k);
        }
        if times == 3 {
            shift_stamp(&mut pes[14..19], by_90k);
        }
    }
}

/// 33 bits of base, then 6 reserved and 9 of extension, which stay.
fn shift_pcr(field: &mut [u8], by_90k: i64) {
    let [a, b, c, d, e, _] = *field else { return };
    let base = i64::from(u32::from_be_bytes([a, b, c, d])) << 1 | i64::from(e >> 7);
    let base = (base + by_90k).rem_euclid(WRAP_90K);
    field[..4].copy_from_slice(&((base >> 1) as u32).to_be_bytes());
    field[4] = (e & 0x7f) | ((base & 1) as u8) << 7;
}

/// 4 bits of marker, then 3 + 15 + 15 bits, each followed by a one.
fn shift_stamp(field: &mut [u8], by_90k: i64) {
    let [a, b, c, d, e] = *field else { return };
    let (a, b, c, d, e) = (i64::from(a), i64::from(b), i64::from(c), i64::from(d), i64::from(e));
    let time = (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1;
    let time = (time + by_90k).rem_euclid(WRAP_90K);
    let bytes = [a & 0xf0 | time >> 30 << 1 | 1, time >> 22, time >> 15 << 1 | 1, time >> 7, time << 1 | 1];
    for (place, byte) in field.iter_mut().zip(bytes) {
        *place = byte as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PES header of video with PTS and DTS, and a PCR; times as ISO/IEC 13818-1 2.4.3.5 and 2.4.3.7 lay them out.
    fn packet(time_90k: i64) -> Vec<u8> {
        let mut packet = vec![0x47, 0x41, 0x00, 0x30, 7, 0x10, 0, 0, 0, 0, 0x7e, 0xab];
        packet.extend([0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1]);
        packet.resize(188, 0xff);
        shift_times(&mut packet, time_90k);
        packet
    }

    fn stamp(bytes: &[u8]) -> i64 {
        let [a, b, c, d, e] = bytes.try_into().unwrap();
        let bits = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        ((bits >> 33 & 7) << 30 | (bits >> 17 & 0x7fff) << 15 | (bits >> 1 & 0x7fff)) as i64
    }

    #[test]
    fn times_move_together_and_wrap() {
        let check = |by: i64, expected: i64| {
            let moved = packet(by);
            let pcr = i64::from(u32::from_be_bytes([moved[6], moved[7], moved[8], moved[9]])) << 1
                | i64::from(moved[10] >> 7);
            assert_eq!((pcr, stamp(&moved[21..26]), stamp(&moved[26..31])), (expected, expected, expected), "{by}");
            // Markers, reserved bits and the extension of the PCR are as before.
            assert_eq!((moved[10] & 0x7f, moved[11], moved[21] >> 4, moved[26] >> 4), (0x7e, 0xab, 3, 1));
            assert!([21, 23, 25, 26, 28, 30].iter().all(|i| moved[*i] & 1 == 1));
        };
        check(0, 0);
        check(90_000, 90_000);
        check((1 << 33) - 1, (1 << 33) - 1);
        check((1 << 33) + 5, 5);
        check(0x1_2345_6789, 0x1_2345_6789);
    }

    #[test]
    fn what_is_no_transport_stream_stays_as_it_is() {
        for bytes in [vec![0; 400], vec![0x47; 376], vec![0x47, 0x40]] {
            let mut moved = bytes.clone();
            shift_times(&mut moved, 12_345);
            if bytes.first() != Some(&0x47) || bytes.len() < 188 {
                assert_eq!(moved, bytes);
            }
        }
    }
}
