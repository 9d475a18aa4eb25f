//! The boxes of a `moov` that describe tracks, for the init moov (empty tables) and the sealed one, and their reading
//! back, so that a recovered chunk knows its codecs.

use crate::{
    clock::TICKS_PER_SECOND,
    media::{
        AudioCodec, AudioConfig, VideoCodec, VideoConfig,
        mp4::{
            bytes::{Get, Put},
            fragment::{AUDIO_TRACK, SYNC_FLAGS, VIDEO_TRACK},
            table::{Tables, TrackTable},
            trak::{Edit, Trak, created, put_mvhd, to_90k},
        },
        mpa,
    },
};

/// What a chunk holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracks {
    pub video: Option<VideoConfig>,
    pub audio: Option<AudioConfig>,
}

impl Tracks {
    /// RFC 6381, comma separated, video first.
    pub fn codecs(&self) -> String {
        let video = self.video.as_ref().map(VideoConfig::codec_string);
        let audio = self.audio.as_ref().map(AudioConfig::codec_string);
        video.into_iter().chain(audio).collect::<Vec<_>>().join(",")
    }

    /// Ticks a second of the audio track; 1 without audio.
    pub fn audio_rate(&self) -> u32 {
        self.audio.as_ref().map_or(1, |audio| audio.sample_rate.max(1))
    }

    /// `mvhd`, the tracks, and `mvex` for the init moov. None when the parameter sets make no decoder record.
    ///
    /// `start_ms`: UTC of the chunk's start, for creation times. `tables` None makes the init moov.
    pub(crate) fn put(&self, out: &mut Vec<u8>, start_ms: i64, tables: Option<&Tables>) -> Option<()> {
        let empty = Tables::default();
        let tables_or_empty = tables.unwrap_or(&empty);
        let duration_90k = self.duration_90k(tables_or_empty);
        let created = created(start_ms);
        put_mvhd(out, created, duration_90k, AUDIO_TRACK + 1);
        if let Some(video) = &self.video {
            let record = video.decoder_record()?;
            let (table, timescale) = (&tables_or_empty.video, TICKS_PER_SECOND as u32);
            let (size, edits) = (Some([video.width, video.height]), &edits(table, timescale));
            let trak = Trak { id: VIDEO_TRACK, timescale, created, table, size, edits, data_at: 0 };
            trak.put(out, 1, |out| put_video_entry(out, video, &record));
        }
        if let Some(audio) = &self.audio {
            let (table, timescale) = (&tables_or_empty.audio, self.audio_rate());
            let edits = &edits(table, timescale);
            let trak = Trak { id: AUDIO_TRACK, timescale, created, table, size: None, edits, data_at: 0 };
            trak.put(out, 1, |out| put_audio_entry(out, audio));
        }
        if tables.is_none() {
            out.boxed(b"mvex", |out| {
                let ids = [self.video.as_ref().map(|_| VIDEO_TRACK), self.audio.as_ref().map(|_| AUDIO_TRACK)];
                for id in ids.into_iter().flatten() {
                    out.full(b"trex", 0, 0, |out| {
                        [id, 1, 0, 0, SYNC_FLAGS].into_iter().for_each(|value| out.u32(value))
                    });
                }
            });
        }
        Some(())
    }

    fn duration_90k(&self, tables: &Tables) -> u64 {
        let audio = tables.audio.shown_until().saturating_mul(TICKS_PER_SECOND as u64) / u64::from(self.audio_rate());
        tables.video.shown_until().max(audio)
    }

    /// What [`Self::put`] wrote into a moov with this payload. None when it is not of our making.
    pub(crate) fn get(moov: Get<'_>, samples_per_frame: u32) -> Option<Self> {
        let mut out = Self::default();
        let mut at = moov;
        while let Some((kind, trak)) = at.next_box() {
            if &kind != b"trak" {
                continue;
            }
            let mut stsd = trak.descend(&[b"mdia", b"minf", b"stbl", b"stsd"])?;
            stsd.take(8)?;
            let (kind, entry) = stsd.next_box()?;
            match &kind {
                b"avc1" => out.video = Some(get_video_entry(entry, VideoCodec::H264)?),
                b"hvc1" => out.video = Some(get_video_entry(entry, VideoCodec::H265)?),
                b"mp4a" => {
                    let mut mdhd = trak.descend(&[b"mdia", b"mdhd"])?;
                    mdhd.take(20)?;
                    out.audio = Some(get_audio_entry(entry, mdhd.u32()?, samples_per_frame)?);
                }
                _ => return None,
            }
        }
        Some(out)
    }
}

/// Media time stays wall time - start: a track that is shown later than the chunk starts waits with an empty edit. The
/// second edit begins at the sample shown first, wherever shifted composition offsets put it: FFmpeg 5.1 complains
/// of an edit that begins before any sample.
pub(crate) fn edits(table: &TrackTable, timescale: u32) -> Vec<Edit> {
    let first_shown = table.first_shown();
    let wait_90k = to_90k(first_shown, timescale);
    let media_time = (first_shown + u64::from(table.cts_shift())).saturating_sub(table.start());
    if wait_90k == 0 && media_time == 0 {
        return Vec::new();
    }
    let length_90k = to_90k(table.shown_until(), timescale).saturating_sub(wait_90k);
    let wait = (wait_90k > 0).then_some(Edit { duration_90k: wait_90k, media_time: None });
    wait.into_iter().chain([Edit { duration_90k: length_90k, media_time: Some(media_time) }]).collect()
}

/// ISO/IEC 14496-12 §12.1.3 and 14496-15 §5.3.4, §8.4.1.
pub(crate) fn put_video_entry(out: &mut Vec<u8>, video: &VideoConfig, record: &[u8]) {
    let (entry, config) = match video.codec {
        VideoCodec::H264 => (b"avc1", b"avcC"),
        VideoCodec::H265 => (b"hvc1", b"hvcC"),
    };
    out.boxed(entry, |out| {
        out.zeros(6);
        out.u16(1);
        out.zeros(16);
        out.u16(video.width);
        out.u16(video.height);
        out.u32(0x0048_0000); // 72 dpi
        out.u32(0x0048_0000);
        out.u32(0);
        out.u16(1); // frames per sample
        out.zeros(32);
        out.u16(24); // depth
        out.u16(0xFFFF);
        out.boxed(config, |out| out.bytes(record));
    });
}

fn get_video_entry(mut entry: Get<'_>, codec: VideoCodec) -> Option<VideoConfig> {
    entry.take(24)?;
    let (width, height) = (entry.u16()?, entry.u16()?);
    entry.take(50)?;
    let parameter_sets = match codec {
        VideoCodec::H264 => avcc_sets(entry.child(b"avcC")?)?,
        VideoCodec::H265 => hvcc_sets(entry.child(b"hvcC")?)?,
    };
    Some(VideoConfig { codec, width, height, parameter_sets })
}

fn avcc_sets(mut record: Get<'_>) -> Option<Vec<Vec<u8>>> {
    record.take(5)?;
    let mut out = Vec::new();
    for mask in [0x1F, 0xFF] {
        let count = record.u8()? & mask;
        get_sets(&mut record, u16::from(count), &mut out)?;
    }
    Some(out)
}

fn hvcc_sets(mut record: Get<'_>) -> Option<Vec<Vec<u8>>> {
    record.take(22)?;
    let mut out = Vec::new();
    for _ in 0..record.u8()? {
        record.u8()?;
        let count = record.u16()?;
        get_sets(&mut record, count, &mut out)?;
    }
    Some(out)
}

fn get_sets(record: &mut Get<'_>, count: u16, out: &mut Vec<Vec<u8>>) -> Option<()> {
    for _ in 0..count {
        let len = usize::from(record.u16()?);
        out.push(record.take(len)?.to_vec());
    }
    Some(())
}

/// ISO/IEC 14496-14 §5.6, with the descriptors of ISO/IEC 14496-1 §7.2.6.
pub(crate) fn put_audio_entry(out: &mut Vec<u8>, audio: &AudioConfig) {
    out.boxed(b"mp4a", |out| {
        out.zeros(6);
        out.u16(1);
        out.zeros(8);
        out.u16(u16::from(audio.channels));
        out.u16(16);
        out.zeros(4);
        // 16.16 holds no rate above 65535: then 0, and the time scale tells.
        out.u32(u16::try_from(audio.sample_rate).map_or(0, |rate| u32::from(rate) << 16));
        out.full(b"esds", 0, 0, |out| {
            let specific = audio.specific.get(..audio.specific.len().min(64)).unwrap_or_default();
            let specific_len = if specific.is_empty() { 0 } else { 2 + specific.len() };
            put_descriptor(out, 3, 3 + 2 + 13 + specific_len + 3);
            out.u16(AUDIO_TRACK as u16);
            out.u8(0);
            put_descriptor(out, 4, 13 + specific_len);
            out.u8(match audio.codec {
                AudioCodec::Aac => 0x40,
                AudioCodec::Mpa => mpa::object_type_indication(audio),
            });
            out.u8(0x15); // audio stream
            out.zeros(3); // buffer size and bit rates: unknown
            out.u32(0);
            out.u32(0);
            if !specific.is_empty() {
                put_descriptor(out, 5, specific.len());
                out.bytes(specific);
            }
            put_descriptor(out, 6, 1);
            out.u8(2);
        });
    });
}

/// Lengths here stay below 128, so one length byte does.
pub(crate) fn put_descriptor(out: &mut Vec<u8>, tag: u8, len: usize) {
    out.u8(tag);
    out.u8(len as u8);
}

fn get_audio_entry(mut entry: Get<'_>, sample_rate: u32, samples_per_frame: u32) -> Option<AudioConfig> {
    entry.take(16)?;
    let channels = u8::try_from(entry.u16()?).ok()?;
    entry.take(10)?;
    let mut esds = entry.child(b"esds")?;
    esds.take(4 + 2 + 3 + 2)?;
    let object_type = esds.u8()?;
    esds.take(12)?;
    let specific = match esds.u8()? {
        5 => {
            let len = usize::from(esds.u8()?);
            esds.take(len)?.to_vec()
        }
        _ => Vec::new(),
    };
    let codec = if object_type == 0x40 { AudioCodec::Aac } else { AudioCodec::Mpa };
    Some(AudioConfig { codec, sample_rate, channels, samples_per_frame, specific })
}
