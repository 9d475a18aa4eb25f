//! Writes transport streams for tests, right or wrong as asked.

use std::collections::BTreeMap;

use super::psi::crc32;

pub const MAP_PID: u16 = 0x1000;
pub const VIDEO_PID: u16 = 0x100;
pub const AUDIO_PID: u16 = 0x101;

/// Parameter sets of a 1920×1080 30 fps stream, as x264 wrote them.
pub const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
    0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
];
pub const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// A stream in the making. Continuity counters are right unless [`Self::skip_counter`] says otherwise.
#[derive(Default)]
pub struct TsBuilder {
    pub ts: Vec<u8>,
    counters: BTreeMap<u16, u8>,
}

/// What a PES packet says of itself.
#[derive(Clone, Copy, Default)]
pub struct Times {
    pub pts: Option<u64>,
    pub dts: Option<u64>,
}

impl Times {
    pub fn pts(pts: u64) -> Self {
        Self { pts: Some(pts), dts: None }
    }
}

impl TsBuilder {
    /// PAT and PMT of one program with H.264 and ADTS AAC.
    pub fn av() -> Self {
        let mut builder = Self::default();
        builder.tables(&[(VIDEO_PID, 0x1b), (AUDIO_PID, 0x0f)]);
        builder
    }

    /// PAT and PMT of one program.
    pub fn tables(&mut self, streams: &[(u16, u8)]) -> &mut Self {
        let pat = [0, 1, 0xe0 | (MAP_PID >> 8) as u8, MAP_PID as u8];
        self.section(0, 0, &pat);
        let mut map = vec![0xe1, 0, 0xf0, 0];
        for (pid, stream_type) in streams {
            map.extend([*stream_type, 0xe0 | (pid >> 8) as u8, *pid as u8, 0xf0, 0]);
        }
        self.section(MAP_PID, 2, &map)
    }

    /// A section with a right CRC, cut into packets.
    pub fn section(&mut self, pid: u16, table: u8, body: &[u8]) -> &mut Self {
        let length = body.len() + 9;
        let mut section = vec![table, 0xb0 | (length >> 8) as u8, length as u8, 0, 1, 0xc1, 0, 0];
        section.extend_from_slice(body);
        let crc = crc32(&section);
        section.extend(crc.to_be_bytes());
        let payload = [&[0], section.as_slice()].concat();
        for (i, part) in payload.chunks(184).enumerate() {
            let mut padded = part.to_vec();
            padded.resize(184, 0xff);
            self.packet(pid, i == 0, &padded);
        }
        self
    }

    /// A PES packet; `bounded` writes its length.
    pub fn pes(&mut self, pid: u16, times: Times, body: &[u8], bounded: bool) -> &mut Self {
        let pes = pes_bytes(times, body, bounded);
        self.payload(pid, &pes)
    }

    /// Cuts `payload` into packets, the first one marked as a start; the last is stuffed.
    pub fn payload(&mut self, pid: u16, payload: &[u8]) -> &mut Self {
        for (i, part) in payload.chunks(184).enumerate() {
            self.packet(pid, i == 0, part);
        }
        self
    }

    /// One packet with at most 184 bytes, the rest an adaptation field.
    pub fn packet(&mut self, pid: u16, start: bool, payload: &[u8]) -> &mut Self {
        let counter = self.counters.entry(pid).or_default();
        let stuffing = 184 - payload.len();
        let control = if stuffing == 0 { 0x10 } else { 0x30 };
        self.ts.extend([0x47, u8::from(start) << 6 | (pid >> 8) as u8, pid as u8, control | *counter]);
        *counter = (*counter + 1) & 15;
        match stuffing {
            0 => {}
            1 => self.ts.push(0),
            _ => {
                self.ts.extend([stuffing as u8 - 1, 0]);
                self.ts.resize(self.ts.len() + stuffing - 2, 0xff);
            }
        }
        self.ts.extend_from_slice(payload);
        self
    }

    /// As if a packet had been lost.
    pub fn skip_counter(&mut self, pid: u16) -> &mut Self {
        let counter = self.counters.entry(pid).or_default();
        *counter = (*counter + 1) & 15;
        self
    }

    /// The last packet written, for damaging it.
    pub fn last(&mut self) -> &mut [u8] {
        let at = self.ts.len() - 188;
        &mut self.ts[at..]
    }
}

pub fn pes_bytes(times: Times, body: &[u8], bounded: bool) -> Vec<u8> {
    let mut fields = Vec::new();
    if let Some(pts) = times.pts {
        fields.extend(time_bytes(if times.dts.is_some() { 3 } else { 2 }, pts));
    }
    if let Some(dts) = times.dts {
        fields.extend(time_bytes(1, dts));
    }
    let length = if bounded { 3 + fields.len() + body.len() } else { 0 };
    let flags = u8::from(times.pts.is_some()) << 7 | u8::from(times.dts.is_some()) << 6;
    let mut pes = vec![0, 0, 1, 0xe0, (length >> 8) as u8, length as u8, 0x80, flags, fields.len() as u8];
    pes.extend(fields);
    pes.extend_from_slice(body);
    pes
}

fn time_bytes(prefix: u8, time: u64) -> [u8; 5] {
    [
        prefix << 4 | (time >> 29) as u8 & 0x0e | 1,
        (time >> 22) as u8,
        (time >> 14) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]
}

/// An access unit: a delimiter, parameter sets when it is a key picture, and a slice filled with `fill`.
pub fn picture(key: bool, slice_bytes: usize, fill: u8) -> Vec<u8> {
    let mut unit = vec![0, 0, 0, 1, 0x09, 0xf0];
    for set in [SPS, PPS].into_iter().filter(|_| key) {
        unit.extend([0, 0, 0, 1]);
        unit.extend_from_slice(set);
    }
    unit.extend([0, 0, 1, if key { 0x65 } else { 0x41 }]);
    unit.resize(unit.len() + slice_bytes, fill.max(2));
    unit
}

/// An ADTS frame of LC stereo with `body_bytes` of 0x55.
pub fn adts(rate_index: u8, channel_config: u8, body_bytes: usize) -> Vec<u8> {
    let total = body_bytes + 7;
    let mut frame = vec![
        0xff,
        0xf1,
        1 << 6 | rate_index << 2 | channel_config >> 2,
        channel_config << 6 | (total >> 11) as u8,
        (total >> 3) as u8,
        (total << 5) as u8 | 0x1f,
        0xfc,
    ];
    frame.resize(total, 0x55);
    frame
}
