//! Tells from the two ends of a file which time it covers, so that the live playlist need not read all of it.

use super::{
    audio::{self, Framing},
    choose,
    packet::{Found, Packets},
    pes::{Pes, Unit},
    psi::StreamKind,
    time::Reference,
    video,
};
use crate::media::{Faults, VideoCodec, track::DEFAULT_FRAME_90K};

/// The time a file covers, by its video, else by its audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First picture shown; 33 bits as in the file.
    pub first_pts_90k: i64,
    /// Last picture shown plus one frame; beyond 33 bits when the clock wraps inside.
    pub end_pts_90k: i64,
    /// The first picture can be decoded on its own; always so for audio.
    pub starts_with_sync: bool,
}

/// Reads the times out of the first and the last bytes of a file (64 KiB each is plenty up to 20 Mb/s; the whole file
/// twice is always right). None when no program or no time is found there: ask again with more.
pub fn span(head: &[u8], tail: &[u8]) -> Option<Span> {
    let chosen = choose(head).ok()?;
    let stream = chosen.video.or(chosen.audio)?;
    let head = collect(head, stream.pid);
    let tail = collect(tail, stream.pid);
    let mut reference = Reference::near(None);
    let head_times = times(&head, &mut reference);
    let first_pts_90k = head_times.iter().copied().min()?;
    let (codec, framing) = match stream.kind {
        StreamKind::H264 => (VideoCodec::H264, None),
        StreamKind::H265 => (VideoCodec::H265, None),
        StreamKind::Aac => (VideoCodec::H264, Some(Framing::Adts)),
        _ => (VideoCodec::H264, Some(Framing::Mpa)),
    };
    if let Some(framing) = framing {
        let tracks = audio::tracks(framing, tail, &mut reference, &mut Faults::default());
        let (_, end_pts_90k) = tracks.last()?.span_90k()?;
        return Some(Span { first_pts_90k, end_pts_90k, starts_with_sync: true });
    }
    let tail_times = times(&tail, &mut reference);
    let frame = frame_90k(&tail_times).or_else(|| frame_90k(&head_times)).unwrap_or(DEFAULT_FRAME_90K);
    Some(Span {
        first_pts_90k,
        end_pts_90k: tail_times.iter().max()?.saturating_add(frame),
        starts_with_sync: starts_with_sync(&head, codec),
    })
}

fn times(pes: &Pes, reference: &mut Reference) -> Vec<i64> {
    pes.units.iter().filter_map(|unit| unit.pts).map(|pts| reference.unwrap(pts)).collect()
}

fn collect(ts: &[u8], pid: u16) -> Pes {
    let mut pes = Pes::default();
    for found in Packets::new(ts) {
        let Found::Packet(packet) = found else { continue };
        if packet.pid != pid || packet.scrambled {
            continue;
        }
        if packet.unit_start {
            pes.start(packet.payload);
        } else {
            pes.push(packet.payload);
        }
    }
    pes.finish();
    pes
}

fn starts_with_sync(pes: &Pes, codec: VideoCodec) -> bool {
    let first = |unit: &Unit| pes.es.get(unit.start..unit.end).and_then(|bytes| video::is_sync(codec, bytes));
    pes.units.iter().find_map(first).unwrap_or(false)
}

/// The usual step between presentation times, blind to reordering: the lower median, because a picture whose neighbour
/// lies beyond the cut makes a step too long, never too short.
fn frame_90k(times: &[i64]) -> Option<i64> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let mut steps: Vec<i64> = sorted.iter().zip(sorted.iter().skip(1)).map(|(a, b)| b - a).filter(|s| *s > 0).collect();
    let middle = steps.len().checked_sub(1)? / 2;
    Some(*steps.select_nth_unstable(middle).1)
}
