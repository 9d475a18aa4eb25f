//! AAC: ADTS frame headers, the AudioSpecificConfig MP4 needs, and frames that decode to silence.
//!
//! Clauses are of ISO/IEC 14496-3:2019.

use super::{AudioCodec, AudioConfig};

/// Table 1.18, by sampling_frequency_index.
const SAMPLE_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// Decoded length of one AAC-LC frame. SBR and PS double the output rate, not this count at the core rate.
pub const SAMPLES_PER_FRAME: u32 = 1024;

/// Object type 2, low complexity.
const AAC_LC: u8 = 2;

/// One ADTS header (clause 1.A.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHeader {
    /// Object type of the AudioSpecificConfig: 1 main, 2 LC, 3 SSR, 4 LTP.
    pub object_type: u8,
    pub rate_index: u8,
    /// channel_configuration: 1–6 as counted, 7 for 7.1; 0 (layout told in-band) is refused.
    pub channel_config: u8,
    /// 7, or 9 with a CRC.
    pub header_bytes: usize,
    /// Whole frame, header included.
    pub frame_bytes: usize,
}

impl AdtsHeader {
    pub const BYTES: usize = 7;

    /// None where no usable frame starts: wrong sync word, reserved rate, in-band channel layout, a length that cannot
    /// hold the header, or several raw blocks in one frame (they cannot be told apart without their CRC).
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[b0, b1, b2, b3, b4, b5, b6, ..] = bytes else { return None };
        // 12 sync bits, layer 0.
        if b0 != 0xff || b1 & 0xf6 != 0xf0 {
            return None;
        }
        let header = Self {
            object_type: (b2 >> 6) + 1,
            rate_index: b2 >> 2 & 0xf,
            channel_config: (b2 & 1) << 2 | b3 >> 6,
            header_bytes: if b1 & 1 == 1 { 7 } else { 9 },
            frame_bytes: usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5),
        };
        let usable = header.sample_rate().is_some()
            && header.channel_config != 0
            && header.frame_bytes > header.header_bytes
            && b6 & 3 == 0;
        usable.then_some(header)
    }

    /// A frame starts here, but its channels are told by a program_config_element inside (channel_configuration 0).
    pub fn has_in_band_layout(bytes: &[u8]) -> bool {
        matches!(bytes, [0xff, b1, b2, b3, ..] if b1 & 0xf6 == 0xf0 && b2 & 1 == 0 && b3 & 0xc0 == 0)
    }

    pub fn sample_rate(&self) -> Option<u32> {
        SAMPLE_RATES.get(usize::from(self.rate_index)).copied()
    }

    pub fn config(&self) -> AudioConfig {
        AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: self.sample_rate().unwrap_or(0),
            channels: if self.channel_config == 7 { 8 } else { self.channel_config },
            samples_per_frame: SAMPLES_PER_FRAME,
            specific: self.audio_specific_config().to_vec(),
        }
    }

    /// AudioSpecificConfig (clause 1.6.2.1): object type (5 bits), rate index (4), channels (4), GASpecificConfig 000.
    fn audio_specific_config(&self) -> [u8; 2] {
        let bits =
            u16::from(self.object_type) << 11 | u16::from(self.rate_index) << 7 | u16::from(self.channel_config) << 3;
        bits.to_be_bytes()
    }
}

/// A raw AAC-LC frame (no ADTS header) that decodes to 1024 zero samples per channel; for mono and stereo.
///
/// Every channel says `max_sfb = 0`: no spectrum at all, so the same bytes fit every sample rate (clauses 4.4.2.1, 4.4.2.7).
pub fn silent_frame(config: &AudioConfig) -> Option<&'static [u8]> {
    // single_channel_element: id 000, tag 0000, gain, ics_info, no pulse/TNS/gain control, then ID_END 111.
    const MONO: &[u8] = &[0, 0, 0, 0b0000_0111];
    // channel_pair_element: id 001, tag 0000, common_window 0, two such channels, ID_END 111 and one bit to the byte.
    const STEREO: &[u8] = &[0b0010_0000, 0, 0, 0, 0, 0, 0b0000_1110];
    if config.codec != AudioCodec::Aac || object_type(&config.specific) != Some(AAC_LC) {
        return None;
    }
    match config.channels {
        1 => Some(MONO),
        2 => Some(STEREO),
        _ => None,
    }
}

/// `mp4a.40.2` (RFC 6381 clause 3.3): object type indication 0x40 and the audio object type.
pub fn codec_string(specific: &[u8]) -> String {
    format!("mp4a.40.{}", object_type(specific).unwrap_or(AAC_LC))
}

fn object_type(specific: &[u8]) -> Option<u8> {
    specific.first().map(|byte| byte >> 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_everything_mp4_needs() {
        // LC, 48 kHz, stereo, 371 bytes with the header of 7.
        let bytes = [0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f, 0xfc];
        let header = AdtsHeader::parse(&bytes).unwrap();
        assert_eq!((header.header_bytes, header.frame_bytes), (7, 371));
        let config = header.config();
        assert_eq!((config.sample_rate, config.channels, config.samples_per_frame), (48000, 2, 1024));
        assert_eq!(config.specific, [0x11, 0x90]);
        assert_eq!(config.codec_string(), "mp4a.40.2");
        let with_crc = [0xff, 0xf0, 0x4c, 0x80, 0x2e, 0x7f, 0xfc];
        assert_eq!(AdtsHeader::parse(&with_crc).unwrap().header_bytes, 9);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [
            [0xff, 0xe1, 0x4c, 0x80, 0x2e, 0x7f, 0xfc], // 11 sync bits: MPEG audio
            [0xff, 0xf3, 0x4c, 0x80, 0x2e, 0x7f, 0xfc], // layer not 0
            [0xff, 0xf1, 0x7c, 0x80, 0x2e, 0x7f, 0xfc], // reserved rate
            [0xff, 0xf1, 0x4c, 0x00, 0x2e, 0x7f, 0xfc], // layout in-band
            [0xff, 0xf1, 0x4c, 0x80, 0x00, 0xff, 0xfc], // no room for the header
            [0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f, 0xfd], // two raw blocks
        ] {
            assert_eq!(AdtsHeader::parse(&bytes), None, "{bytes:02x?}");
        }
        assert_eq!(AdtsHeader::parse(&[0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f]), None);
    }

    #[test]
    fn silence_is_for_lc_mono_and_stereo() {
        let config = |codec, channels, specific: &[u8]| AudioConfig {
            codec,
            sample_rate: 48000,
            channels,
            samples_per_frame: SAMPLES_PER_FRAME,
            specific: specific.to_vec(),
        };
        assert_eq!(silent_frame(&config(AudioCodec::Aac, 1, &[0x11, 0x88])).map(<[u8]>::len), Some(4));
        assert_eq!(silent_frame(&config(AudioCodec::Aac, 2, &[0x11, 0x90])).map(<[u8]>::len), Some(7));
        assert_eq!(silent_frame(&config(AudioCodec::Aac, 6, &[0x11, 0xb0])), None);
        assert_eq!(silent_frame(&config(AudioCodec::Aac, 2, &[0x09, 0x90])), None, "AAC main");
        assert_eq!(silent_frame(&config(AudioCodec::Mpa, 2, &[])), None);
    }
}
