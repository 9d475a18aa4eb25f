//! MPEG audio layers II and III ("MP2", "MP3"): frame headers.
//!
//! ISO/IEC 11172-3:1993 clause 2.4.1.3 (MPEG-1) and ISO/IEC 13818-3:1998 clause 2.4.1.3 (MPEG-2 half rates).

use super::{AudioCodec, AudioConfig};

/// kb/s by bitrate_index 1–14; 0 (free format) and 15 (forbidden) are refused.
const V1_LAYER2: [u16; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const V1_LAYER3: [u16; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const V2_LAYER23: [u16; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const V1_RATES: [u32; 3] = [44100, 48000, 32000];

/// One frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpaHeader {
    /// 2 or 3.
    pub layer: u8,
    /// MPEG-1; else the half rates of MPEG-2 or the quarter rates of "MPEG-2.5".
    pub version1: bool,
    pub sample_rate: u32,
    pub channels: u8,
    /// Whole frame, header included.
    pub frame_bytes: usize,
}

impl MpaHeader {
    pub const BYTES: usize = 4;

    /// None where no usable frame starts; layer I and free format are not used in transport streams and refused.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[b0, b1, b2, b3, ..] = bytes else { return None };
        if b0 != 0xff || b1 & 0xe0 != 0xe0 {
            return None;
        }
        // Version bits: 3 MPEG-1, 2 MPEG-2, 0 MPEG-2.5, 1 reserved. They set how far the rate is halved.
        let version1 = b1 >> 3 & 3 == 3;
        let halvings = match b1 >> 3 & 3 {
            3 => 0,
            2 => 1,
            0 => 2,
            _ => return None,
        };
        let layer = match b1 >> 1 & 3 {
            2 => 2,
            1 => 3,
            _ => return None,
        };
        let table = match (version1, layer) {
            (true, 2) => &V1_LAYER2,
            (true, _) => &V1_LAYER3,
            _ => &V2_LAYER23,
        };
        let kilobits = *table.get(usize::from(b2 >> 4).checked_sub(1)?)?;
        let sample_rate = V1_RATES.get(usize::from(b2 >> 2 & 3))? >> halvings;
        let channels = if b3 >> 6 == 3 { 1 } else { 2 };
        let header = Self { layer, version1, sample_rate, channels, frame_bytes: 0 };
        let bits = u32::from(kilobits) * 1000 * (header.samples_per_frame() / 8);
        Some(Self { frame_bytes: (bits / sample_rate + u32::from(b2 >> 1 & 1)) as usize, ..header })
    }

    /// PCM samples per channel of one frame.
    pub fn samples_per_frame(&self) -> u32 {
        if self.layer == 3 && !self.version1 { 576 } else { 1152 }
    }

    pub fn config(&self) -> AudioConfig {
        AudioConfig {
            codec: AudioCodec::Mpa,
            sample_rate: self.sample_rate,
            channels: self.channels,
            samples_per_frame: self.samples_per_frame(),
            specific: Vec::new(),
        }
    }
}

/// objectTypeIndication for `esds` (ISO/IEC 14496-1 table 5): 0x6B MPEG-1 audio, 0x69 MPEG-2 audio at half rates.
pub fn object_type_indication(config: &AudioConfig) -> u8 {
    if config.sample_rate >= 32000 { 0x6b } else { 0x69 }
}

/// `mp4a.6b` or `mp4a.69` (RFC 6381 clause 3.3).
pub fn codec_string(config: &AudioConfig) -> String {
    format!("mp4a.{:02x}", object_type_indication(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_length_and_rate() {
        let check = |bytes: [u8; 4], layer, sample_rate, channels, frame_bytes, samples: u32| {
            let header = MpaHeader::parse(&bytes).unwrap();
            let found = (header.layer, header.sample_rate, header.channels, header.frame_bytes);
            assert_eq!(found, (layer, sample_rate, channels, frame_bytes), "{bytes:02x?}");
            assert_eq!(header.samples_per_frame(), samples, "{bytes:02x?}");
        };
        // Layer II, 48 kHz, 192 kb/s stereo: 144 × 192000 / 48000.
        check([0xff, 0xfd, 0xa4, 0x00], 2, 48000, 2, 576, 1152);
        // Layer III, 44.1 kHz, 128 kb/s: 417 bytes, 418 with padding.
        check([0xff, 0xfb, 0x90, 0x00], 3, 44100, 2, 417, 1152);
        check([0xff, 0xfb, 0x92, 0xc0], 3, 44100, 1, 418, 1152);
        // MPEG-2 layer III, 22.05 kHz, 64 kb/s: half the samples.
        check([0xff, 0xf3, 0x80, 0x00], 3, 22050, 2, 208, 576);
        // MPEG-2.5 layer III, 8 kHz, 8 kb/s.
        check([0xff, 0xe3, 0x18, 0xc0], 3, 8000, 1, 72, 576);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [
            [0xff, 0xff, 0x90, 0x00], // layer I
            [0xff, 0xf9, 0x90, 0x00], // layer 0: ADTS
            [0xff, 0xeb, 0x90, 0x00], // reserved version
            [0xff, 0xfb, 0x00, 0x00], // free format
            [0xff, 0xfb, 0xf0, 0x00], // forbidden bitrate
            [0xff, 0xfb, 0x9c, 0x00], // reserved rate
            [0xfe, 0xfb, 0x90, 0x00], // no sync
        ] {
            assert_eq!(MpaHeader::parse(&bytes), None, "{bytes:02x?}");
        }
        assert_eq!(MpaHeader::parse(&[0xff, 0xfb, 0x90]), None);
    }
}
