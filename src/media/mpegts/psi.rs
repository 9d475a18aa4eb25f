//! Finds out which PIDs carry which codecs: PAT and PMT (ISO/IEC 13818-1 clause 2.4.4).

use super::packet::{Found, Packets};

const PAT_PID: u16 = 0;
const PAT_TABLE: u8 = 0;
const PMT_TABLE: u8 = 2;

/// One elementary stream of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub pid: u16,
    pub kind: StreamKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamKind {
    H264,
    H265,
    Aac,
    Mpa,
    /// Pictures or sound in a form we do not take, by name.
    Other(String),
    /// SAMPLE-AES.
    Encrypted,
    /// Neither picture nor sound: subtitles, splice marks, metadata.
    Data,
}

impl StreamKind {
    pub fn is_video(&self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }

    pub fn is_audio(&self) -> bool {
        matches!(self, Self::Aac | Self::Mpa)
    }

    pub fn name(&self) -> Option<&str> {
        match self {
            Self::H264 => Some("H.264 video"),
            Self::H265 => Some("H.265 video"),
            Self::Aac => Some("AAC audio"),
            Self::Mpa => Some("MPEG audio"),
            Self::Other(name) => Some(name),
            Self::Encrypted => Some("encrypted stream"),
            Self::Data => None,
        }
    }
}

/// Every program whose map was found, in the order of the PAT. Reads up to the last map only: in files as FFmpeg writes
/// them that is the first few packets, but a map in the middle of a file counts for all of it.
pub fn programs(ts: &[u8]) -> Vec<Vec<Stream>> {
    let mut pat = Sections::default();
    // (PID of the map, its sections, its streams); None until the PAT was read.
    let mut maps: Vec<(u16, Sections, Option<Vec<Stream>>)> = Vec::new();
    for found in Packets::new(ts) {
        let Found::Packet(packet) = found else { continue };
        if packet.scrambled || packet.payload.is_empty() {
            continue;
        }
        if packet.pid == PAT_PID && maps.is_empty() {
            for section in pat.push(packet.unit_start, packet.payload) {
                maps.extend(parse_pat(&section).into_iter().map(|pid| (pid, Sections::default(), None)));
            }
            continue;
        }
        for (pid, sections, streams) in &mut maps {
            if *pid == packet.pid && streams.is_none() {
                *streams = sections.push(packet.unit_start, packet.payload).iter().find_map(|map| parse_pmt(map));
            }
        }
        if !maps.is_empty() && maps.iter().all(|(_, _, streams)| streams.is_some()) {
            break;
        }
    }
    maps.into_iter().filter_map(|(_, _, streams)| streams).collect()
}

/// Puts the sections of one PID together from packet payloads.
#[derive(Default)]
struct Sections {
    pending: Vec<u8>,
}

impl Sections {
    /// Longest section with its header: section_length has 12 bits.
    const BYTES_MAX: usize = 4096 + 3;

    /// Takes a payload and gives the sections it completes, each with a right CRC, from table_id up to the CRC.
    fn push(&mut self, unit_start: bool, payload: &[u8]) -> Vec<Vec<u8>> {
        let mut done = Vec::new();
        if unit_start {
            // pointer_field: so many bytes still belong to the section before.
            let Some((&pointer, rest)) = payload.split_first() else { return done };
            let Some((before, after)) = rest.split_at_checked(usize::from(pointer)) else { return done };
            if !self.pending.is_empty() {
                self.pending.extend_from_slice(before);
                self.take_complete(&mut done);
            }
            self.pending.clear();
            self.pending.extend_from_slice(after);
        } else if !self.pending.is_empty() && self.pending.len() < Self::BYTES_MAX {
            self.pending.extend_from_slice(payload);
        }
        self.take_complete(&mut done);
        done
    }

    fn take_complete(&mut self, done: &mut Vec<Vec<u8>>) {
        const STUFFING: u8 = 0xff;
        while let &[table, high, low, ..] = self.pending.as_slice() {
            if table == STUFFING {
                self.pending.clear();
                return;
            }
            let total = 3 + (usize::from(high & 0x0f) << 8 | usize::from(low));
            if self.pending.len() < total {
                return;
            }
            let rest = self.pending.split_off(total);
            let mut section = std::mem::replace(&mut self.pending, rest);
            if section.len() > 12 && crc32(&section) == 0 {
                section.truncate(total - 4);
                done.push(section);
            }
        }
    }
}

/// CRC-32/MPEG-2 (annex A). Over a section with its own CRC it is 0.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
        }
    }
    crc
}

/// PIDs of the program maps (clause 2.4.4.3).
fn parse_pat(section: &[u8]) -> Vec<u16> {
    if section.first() != Some(&PAT_TABLE) {
        return Vec::new();
    }
    let entries = section.get(8..).unwrap_or_default().chunks_exact(4);
    entries
        .filter_map(|entry| match *entry {
            [0, 0, ..] => None, // the network PID
            [_, _, high, low] => Some(u16::from(high & 0x1f) << 8 | u16::from(low)),
            _ => None,
        })
        .collect()
}

/// Streams of a program (clause 2.4.4.8).
fn parse_pmt(section: &[u8]) -> Option<Vec<Stream>> {
    if section.first() != Some(&PMT_TABLE) {
        return None;
    }
    let program_info_bytes = length12(section.get(10..12)?);
    let mut rest = section.get(12 + program_info_bytes..)?;
    let mut streams = Vec::new();
    while let [stream_type, high, low, length_high, length_low, tail @ ..] = rest {
        let (descriptors, next) = tail.split_at_checked(length12(&[*length_high, *length_low]))?;
        let pid = u16::from(high & 0x1f) << 8 | u16::from(*low);
        streams.push(Stream { pid, kind: kind(*stream_type, descriptors) });
        rest = next;
    }
    Some(streams)
}

fn length12(bytes: &[u8]) -> usize {
    match *bytes {
        [high, low] => usize::from(high & 0x0f) << 8 | usize::from(low),
        _ => 0,
    }
}

/// Names a stream by stream_type (table 2-34 and ATSC, DVB, HLS assignments) and, where that says "private", by its
/// descriptors.
fn kind(stream_type: u8, descriptors: &[u8]) -> StreamKind {
    let other = |name: &str| StreamKind::Other(name.into());
    match stream_type {
        0x01 => other("MPEG-1 video"),
        0x02 => other("MPEG-2 video"),
        0x03 | 0x04 => StreamKind::Mpa,
        0x0f => StreamKind::Aac,
        0x10 => other("MPEG-4 part 2 video"),
        0x11 => other("AAC audio in LATM"),
        0x1b => StreamKind::H264,
        0x21 => other("JPEG 2000 video"),
        0x24 => StreamKind::H265,
        0x33 => other("H.266 video"),
        0x42 => other("AVS video"),
        0x81 => other("AC-3 audio"),
        0x82 => other("DTS audio"),
        0x87 => other("E-AC-3 audio"),
        0xea => other("VC-1 video"),
        0xdb | 0xcf | 0xc1 | 0xc2 => StreamKind::Encrypted,
        0x05 | 0x06 | 0x80..=0xff => private_kind(descriptors).unwrap_or(StreamKind::Data),
        0x0b..=0x0e | 0x15..=0x1a => StreamKind::Data,
        _ => StreamKind::Other(format!("stream type 0x{stream_type:02x}")),
    }
}

/// What descriptors of a private stream say (ETSI EN 300 468 table 12; registration formats of SMPTE RA).
fn private_kind(descriptors: &[u8]) -> Option<StreamKind> {
    const REGISTRATION: u8 = 0x05;
    let other = |name: &str| Some(StreamKind::Other(name.into()));
    let mut rest = descriptors;
    while let [tag, length, tail @ ..] = rest {
        let (body, next) = tail.split_at_checked(usize::from(*length))?;
        let known = match (*tag, body) {
            (REGISTRATION, [b'H', b'E', b'V', b'C', ..]) => Some(StreamKind::H265),
            (REGISTRATION, [b'A', b'C', b'-', b'3', ..]) | (0x6a, _) => other("AC-3 audio"),
            (REGISTRATION, [b'E', b'A', b'C', b'3', ..]) | (0x7a, _) => other("E-AC-3 audio"),
            (REGISTRATION, [b'D', b'T', b'S', b'1'..=b'3', ..]) | (0x7b, _) => other("DTS audio"),
            (REGISTRATION, [b'O', b'p', b'u', b's', ..]) => other("Opus audio"),
            (REGISTRATION, [b'B', b'S', b'S', b'D', ..]) => other("SMPTE 302M audio"),
            (REGISTRATION, [b'A', b'V', b'0', b'1', ..]) => other("AV1 video"),
            _ => None,
        };
        if known.is_some() {
            return known;
        }
        rest = next;
    }
    None
}
