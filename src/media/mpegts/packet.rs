//! Cuts a byte stream into 188-byte TS packets (ISO/IEC 13818-1 clause 2.4.3) and finds the cadence again when lost.

use memchr::memchr;

pub const PACKET_BYTES: usize = 188;
const SYNC_BYTE: u8 = 0x47;

/// One packet's header and payload.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub pid: u16,
    /// payload_unit_start_indicator: a PES packet or section starts here.
    pub unit_start: bool,
    pub scrambled: bool,
    /// discontinuity_indicator: a jump of the counter is announced.
    pub discontinuity: bool,
    pub counter: u8,
    /// Empty when the packet carries an adaptation field only.
    pub payload: &'a [u8],
}

/// What [`Packets`] comes across.
pub enum Found<'a> {
    Packet(Packet<'a>),
    /// A damaged packet of this PID: transport_error_indicator, an impossible header, or cut off by the end.
    Damaged {
        pid: u16,
    },
}

/// Iterator over the packets of a stream.
pub struct Packets<'a> {
    ts: &'a [u8],
    at: usize,
    pub sync_bytes_lost: u64,
}

impl<'a> Packets<'a> {
    pub fn new(ts: &'a [u8]) -> Self {
        Self { ts, at: 0, sync_bytes_lost: 0 }
    }

    fn is_sync(&self, at: usize) -> bool {
        // Behind the end nothing contradicts.
        self.ts.get(at).is_none_or(|byte| *byte == SYNC_BYTE)
    }

    /// Moves to the next sync byte that two more confirm as far as the stream reaches.
    fn resync(&mut self) {
        let from = self.at;
        while let Some(ahead) = self.ts.get(self.at..).and_then(|rest| memchr(SYNC_BYTE, rest)) {
            self.at += ahead;
            if self.is_sync(self.at + PACKET_BYTES) && self.is_sync(self.at + 2 * PACKET_BYTES) {
                self.sync_bytes_lost += (self.at - from) as u64;
                return;
            }
            self.at += 1;
        }
        self.at = self.ts.len();
        self.sync_bytes_lost += (self.at - from) as u64;
    }

    /// The end of the stream is not the end of a packet.
    fn cut_off(&mut self) -> Option<Found<'a>> {
        let rest = self.ts.get(self.at..)?;
        self.at = self.ts.len();
        self.sync_bytes_lost += rest.len() as u64;
        match rest {
            [SYNC_BYTE, high, low, ..] => Some(Found::Damaged { pid: pid(*high, *low) }),
            _ => None,
        }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        loop {
            let Some(bytes) = self.ts.get(self.at..).and_then(|rest| rest.first_chunk::<PACKET_BYTES>()) else {
                return self.cut_off();
            };
            let next = self.at + PACKET_BYTES;
            // A lone wrong byte where the next packet should start is that packet's damage; when the one after next is
            // not where it should be either, bytes are missing or too many in this one.
            if bytes[0] != SYNC_BYTE || !(self.is_sync(next) || self.is_sync(next + PACKET_BYTES)) {
                if bytes[0] == SYNC_BYTE {
                    self.at += 1;
                    self.sync_bytes_lost += 1;
                }
                self.resync();
                continue;
            }
            self.at = next;
            return Some(parse(bytes));
        }
    }
}

fn pid(high: u8, low: u8) -> u16 {
    u16::from(high & 0x1f) << 8 | u16::from(low)
}

fn parse(bytes: &[u8; PACKET_BYTES]) -> Found<'_> {
    let pid = pid(bytes[1], bytes[2]);
    let transport_error = bytes[1] & 0x80 != 0;
    let (has_adaptation, has_payload) = (bytes[3] & 0x20 != 0, bytes[3] & 0x10 != 0);
    let mut payload_at = 4;
    let mut discontinuity = false;
    if has_adaptation {
        let length = usize::from(bytes[4]);
        payload_at = 5 + length;
        discontinuity = length > 0 && bytes[5] & 0x80 != 0;
    }
    let payload = if has_payload { bytes.get(payload_at..) } else { Some(&bytes[PACKET_BYTES..]) };
    match payload {
        Some(payload) if !transport_error && (has_adaptation || has_payload) => Found::Packet(Packet {
            pid,
            unit_start: bytes[1] & 0x40 != 0,
            scrambled: bytes[3] & 0xc0 != 0,
            discontinuity,
            counter: bytes[3] & 0x0f,
            payload,
        }),
        _ => Found::Damaged { pid },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of `pid` whose payload is all `fill`.
    fn packet(pid: u16, counter: u8, fill: u8) -> Vec<u8> {
        let mut bytes = vec![fill; PACKET_BYTES];
        bytes[..4].copy_from_slice(&[SYNC_BYTE, (pid >> 8) as u8, pid as u8, 0x10 | counter]);
        bytes
    }

    fn check(ts: &[u8], pids: &[u16], lost: u64, damaged: usize) {
        let mut packets = Packets::new(ts);
        let (mut found, mut bad) = (Vec::new(), 0);
        for item in packets.by_ref() {
            match item {
                Found::Packet(packet) => found.push(packet.pid),
                Found::Damaged { .. } => bad += 1,
            }
        }
        assert_eq!((found.as_slice(), packets.sync_bytes_lost, bad), (pids, lost, damaged));
    }

    #[test]
    fn cadence_is_kept_and_found_again() {
        let three = [packet(1, 0, 0), packet(2, 0, 0), packet(3, 0, 0)];
        check(&three.concat(), &[1, 2, 3], 0, 0);
        check(&[], &[], 0, 0);
        check(&[0; 1000], &[], 1000, 0);
        let [one, two, last] = &three;
        let with_garbage = [&[1, 2, 3][..], one, two, last, &[9; 100], one].concat();
        // The packet before the garbage is not to be trusted: bytes may be missing in it as well.
        check(&with_garbage, &[1, 2, 1], 3 + 188 + 100, 0);
        let mut flipped = three.concat();
        flipped[188] = 0;
        check(&flipped, &[1, 3], 188, 0);
        let mut cut = three.concat();
        cut.truncate(400);
        check(&cut, &[1, 2], 24, 1);
    }

    #[test]
    fn sync_bytes_inside_payloads_mislead_nobody() {
        let full_of_47 = [packet(1, 0, 0x47), packet(2, 0, 0x47), packet(3, 0, 0x47), packet(4, 0, 0)].concat();
        check(&full_of_47, &[1, 2, 3, 4], 0, 0);
    }

    #[test]
    fn damaged_headers_are_named() {
        let mut error = packet(5, 0, 0);
        error[1] |= 0x80;
        check(&error, &[], 0, 1);
        let mut reserved = packet(5, 0, 0);
        reserved[3] = 0;
        check(&reserved, &[], 0, 1);
        let mut long_adaptation = packet(5, 0, 0);
        (long_adaptation[3], long_adaptation[4]) = (0x30, 184);
        check(&long_adaptation, &[], 0, 1);
        long_adaptation[4] = 183;
        check(&long_adaptation, &[5], 0, 0);
    }
}
