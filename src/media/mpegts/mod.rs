//! MPEG transport stream in, access units and audio frames out (ISO/IEC 13818-1).
//!
//! ```text
//! bytes ── packet ──▶ packets ── pes ──▶ units ── video, audio ──▶ Segment
//!             └── psi ──▶ which PIDs
//! ```
//! Payload bytes are copied once; pictures are not read behind their first slice header. Whatever the bytes are, the
//! result is a [`Segment`] or a [`TsError`], never a panic: the fuzz target `ts_demux` looks for one.

use thiserror::Error;

use super::{Faults, Segment, VideoCodec};
use audio::Framing;
use packet::{Found, Packet, Packets};
use pes::Pes;
use psi::{Stream, StreamKind};

mod audio;
mod packet;
mod pes;
mod psi;
mod span;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod time;
mod video;

pub use packet::PACKET_BYTES;
pub use span::{Span, span};
pub use time::Reference;

/// Why a file gives no segment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TsError {
    #[error("the file is empty")]
    Empty,
    #[error("not an MPEG transport stream: no packets of 188 bytes")]
    NotTs,
    #[error("no program: the stream carries no PAT and PMT")]
    NoProgram,
    #[error("the stream is encrypted")]
    Encrypted,
    #[error("{what} cannot be recorded; H.264, H.265, AAC, MP2 and MP3 can")]
    Unsupported { what: String },
    #[error("tables but not one whole picture or audio frame")]
    NoMedia,
}

/// Takes a transport stream apart. Times continue from `near_90k` (the last known time of the run) beyond 33 bits;
/// without it the first time seen stands as it is.
///
/// The first program with H.264 or H.265 counts, else the first with AAC or MPEG audio; of it the first stream of each
/// kind. Tracks announced but absent are left out. Damage is skipped and counted in [`Segment::faults`].
pub fn demux(ts: &[u8], near_90k: Option<i64>) -> Result<Segment, TsError> {
    if ts.is_empty() {
        return Err(TsError::Empty);
    }
    let chosen = choose(ts)?;
    let mut video = chosen.video.as_ref().map(|stream| Track::new(stream.pid));
    let mut audio = chosen.audio.as_ref().map(|stream| Track::new(stream.pid));
    if let Some(video) = &mut video {
        // Nearly all of a segment is video: one allocation.
        video.pes.es.reserve(ts.len());
    }
    let mut faults = Faults::default();
    let mut packets = Packets::new(ts);
    for found in packets.by_ref() {
        let pid = match &found {
            Found::Packet(packet) => packet.pid,
            Found::Damaged { pid } => *pid,
        };
        let track = match (&mut video, &mut audio) {
            (Some(track), _) if track.pid == pid => track,
            (_, Some(track)) if track.pid == pid => track,
            _ => {
                faults.bad_packets += u64::from(matches!(found, Found::Damaged { .. }));
                continue;
            }
        };
        match found {
            Found::Packet(packet) => track.push(&packet, &mut faults),
            Found::Damaged { .. } => track.damaged(&mut faults),
        }
    }
    faults.sync_bytes_lost = packets.sync_bytes_lost;

    let scrambled = video.iter().chain(&audio).any(|track| track.scrambled || track.pes.scrambled);
    let mut segment = Segment { skipped: chosen.skipped, ..Segment::default() };
    let mut reference = Reference::near(near_90k);
    if let (Some(track), Some(stream)) = (video, chosen.video) {
        let codec = if stream.kind == StreamKind::H265 { VideoCodec::H265 } else { VideoCodec::H264 };
        segment.video = video::track(codec, track.end(&mut faults), &mut reference, &mut faults);
    }
    if let (Some(track), Some(stream)) = (audio, chosen.audio) {
        let framing = if stream.kind == StreamKind::Aac { Framing::Adts } else { Framing::Mpa };
        let pes = track.end(&mut faults);
        let refused = audio::refusal(framing, &pes);
        segment.audio = audio::tracks(framing, pes, &mut reference, &mut faults);
        if let Some(what) = refused.filter(|_| segment.audio.is_empty()) {
            segment.skipped.push(what.into());
        }
    }
    segment.faults = faults;
    if segment.video.is_some() || !segment.audio.is_empty() {
        Ok(segment)
    } else if scrambled {
        Err(TsError::Encrypted)
    } else if segment.skipped.is_empty() {
        Err(TsError::NoMedia)
    } else {
        Err(TsError::Unsupported { what: segment.skipped.join(" and ") })
    }
}

/// The streams of the program to record.
struct Chosen {
    video: Option<Stream>,
    audio: Option<Stream>,
    skipped: Vec<String>,
}

fn choose(ts: &[u8]) -> Result<Chosen, TsError> {
    let programs = psi::programs(ts);
    let has = |wanted: fn(&StreamKind) -> bool| {
        programs.iter().position(|streams| streams.iter().any(|stream| wanted(&stream.kind)))
    };
    let Some(program) = has(StreamKind::is_video).or_else(|| has(StreamKind::is_audio)) else {
        return Err(refusal(ts, &programs));
    };
    let mut chosen = Chosen { video: None, audio: None, skipped: Vec::new() };
    for stream in programs.into_iter().nth(program).unwrap_or_default() {
        if stream.kind.is_video() && chosen.video.is_none() {
            chosen.video = Some(stream);
        } else if stream.kind.is_audio() && chosen.audio.is_none() {
            chosen.audio = Some(stream);
        } else {
            chosen.skipped.extend(stream.kind.name().map(str::to_owned));
        }
    }
    Ok(chosen)
}

/// Says what there is instead of something usable.
fn refusal(ts: &[u8], programs: &[Vec<Stream>]) -> TsError {
    let streams = || programs.iter().flatten();
    if streams().any(|stream| stream.kind == StreamKind::Encrypted) {
        return TsError::Encrypted;
    }
    let names: Vec<&str> = streams().filter_map(|stream| stream.kind.name()).collect();
    if !names.is_empty() {
        return TsError::Unsupported { what: names.join(" and ") };
    }
    if !programs.is_empty() {
        return TsError::NoMedia;
    }
    let mut packets = Packets::new(ts);
    let count = packets.by_ref().filter(|found| matches!(found, Found::Packet(_))).count();
    // Chance alone finds a few packets in noise.
    if count * PACKET_BYTES < packets.sync_bytes_lost as usize { TsError::NotTs } else { TsError::NoProgram }
}

/// One PID on its way from packets to units.
struct Track<'a> {
    pid: u16,
    pes: Pes,
    /// Counter and payload of the packet before: a repeat of both is one packet sent twice (clause 2.4.3.3).
    last: Option<(u8, &'a [u8])>,
    scrambled: bool,
}

impl<'a> Track<'a> {
    fn new(pid: u16) -> Self {
        Self { pid, pes: Pes::default(), last: None, scrambled: false }
    }

    fn push(&mut self, packet: &Packet<'a>, faults: &mut Faults) {
        if packet.payload.is_empty() {
            return;
        }
        if packet.scrambled {
            self.scrambled = true;
            return self.damaged(faults);
        }
        let expected = self.last.map(|(counter, _)| (counter + 1) & 0x0f);
        if self.last == Some((packet.counter, packet.payload)) {
            return;
        }
        self.last = Some((packet.counter, packet.payload));
        if expected.is_some_and(|expected| expected != packet.counter) && !packet.discontinuity {
            faults.discontinuities += 1;
            // At a unit's start the lost packets may all be of units that are not here at all; whether the one before
            // is whole is told by its length, and without a length it is given the benefit of the doubt.
            if !packet.unit_start {
                self.pes.lost();
            }
        }
        if packet.unit_start {
            self.pes.start(packet.payload);
        } else {
            self.pes.push(packet.payload);
        }
    }

    fn damaged(&mut self, faults: &mut Faults) {
        faults.bad_packets += 1;
        self.pes.lost();
        // Its counter is unknown; the next packet must not be counted as a second fault.
        self.last = None;
    }

    fn end(mut self, faults: &mut Faults) -> Pes {
        self.pes.finish();
        faults.broken_units += self.pes.broken;
        self.pes
    }
}
