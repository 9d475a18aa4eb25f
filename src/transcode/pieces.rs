//! Cuts FFmpeg's transport stream into GOPs while it comes, so that one of them is all that is ever in RAM.

use crate::capture::command::TRANSCODE_PID;

use super::{Failure, Reason};

const PACKET_BYTES: usize = 188;
/// 10 s of 50 Mb/s: no GOP of footage that was worth recording is larger.
const PIECE_BYTES_MAX: usize = 64 << 20;

/// Collects packets until the next key frame begins.
#[derive(Default)]
pub struct Cutter {
    /// The tables before the first picture: each piece begins with them, so that it can be taken apart by itself.
    tables: Vec<u8>,
    piece: Vec<u8>,
    /// The beginning of a packet.
    rest: Vec<u8>,
    has_picture: bool,
}

impl Cutter {
    /// Calls `take` with each piece that `bytes` complete: the tables and one GOP.
    pub fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut rest = std::mem::take(&mut self.rest);
        let mut bytes = bytes;
        if !rest.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(PACKET_BYTES - rest.len()));
            rest.extend_from_slice(head);
            bytes = tail;
            if rest.len() < PACKET_BYTES {
                self.rest = rest;
                return Ok(());
            }
            self.packet(&rest, take)?;
        }
        let mut packets = bytes.chunks_exact(PACKET_BYTES);
        for packet in packets.by_ref() {
            self.packet(packet, take)?;
        }
        self.rest = packets.remainder().to_vec();
        Ok(())
    }

    /// The last piece.
    pub fn finish(self, take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        if !self.rest.is_empty() {
            return Err(Failure::new(Reason::Encoder, "what ffmpeg printed ends inside a packet"));
        }
        if self.has_picture { take(&self.piece) } else { Ok(()) }
    }

    fn packet(&mut self, packet: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let &[0x47, high, low, control, ref rest @ ..] = packet else {
            return Err(Failure::new(Reason::Encoder, "what ffmpeg printed is no transport stream"));
        };
        if u16::from(high & 0x1f) << 8 | u16::from(low) != TRANSCODE_PID {
            // Repeated later on, of no use again.
            if !self.has_picture {
                self.tables.extend_from_slice(packet);
            }
            return Ok(());
        }
        // random_access_indicator of the adaptation field, where a unit starts.
        let is_key = high & 0x40 != 0
            && control & 0x20 != 0
            && matches!(rest, [length, flags, ..] if *length > 0 && flags & 0x40 != 0);
        if is_key && self.has_picture {
            take(&self.piece)?;
            self.has_picture = false;
        }
        if !self.has_picture {
            self.piece.clear();
            self.piece.extend_from_slice(&self.tables);
            self.has_picture = true;
        }
        self.piece.extend_from_slice(packet);
        if self.piece.len() > PIECE_BYTES_MAX {
            return Err(Failure::new(Reason::Encoder, "no key frame for too long"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pid: u16, is_key: bool, mark: u8) -> Vec<u8> {
        let mut packet = vec![mark; PACKET_BYTES];
        let start = if is_key { 0x40 } else { 0 };
        packet[..6].copy_from_slice(&[
            0x47,
            start | (pid >> 8) as u8,
            pid as u8,
            0x30,
            1,
            if is_key { 0x40 } else { 0 },
        ]);
        packet
    }

    #[test]
    fn each_piece_is_the_tables_and_one_gop_however_the_bytes_come() {
        let (pat, pmt) = (packet(0, false, 1), packet(0x1000, false, 2));
        let (key, other, key2, last) = (
            packet(TRANSCODE_PID, true, 3),
            packet(TRANSCODE_PID, false, 4),
            packet(TRANSCODE_PID, true, 5),
            packet(TRANSCODE_PID, false, 6),
        );
        let stream = [&pat, &pmt, &key, &other, &pat, &pmt, &key2, &last].map(Vec::as_slice).concat();
        let expected = vec![
            [&pat, &pmt, &key, &other].map(Vec::as_slice).concat(),
            [&pat, &pmt, &key2, &last].map(Vec::as_slice).concat(),
        ];
        for step in [1, 7, 187, 188, 189, 400, stream.len()] {
            let mut pieces = Vec::new();
            let mut take = |piece: &[u8]| {
                pieces.push(piece.to_vec());
                Ok(())
            };
            let mut cutter = Cutter::default();
            for bytes in stream.chunks(step) {
                cutter.push(bytes, &mut take).unwrap();
            }
            cutter.finish(&mut take).unwrap();
            assert_eq!(pieces, expected, "{step}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let mut take = |_: &[u8]| Ok(());
        let push = |bytes: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>| {
            let mut cutter = Cutter::default();
            cutter.push(bytes, take).and_then(|()| cutter.finish(take)).map_err(|failure| failure.reason)
        };
        assert_eq!(push(&[], &mut take), Ok(()));
        assert_eq!(push(&[7; 188], &mut take), Err(Reason::Encoder));
        assert_eq!(push(&packet(TRANSCODE_PID, true, 0)[..100], &mut take), Err(Reason::Encoder));
    }
}
