//! The head of a plain MP4 whose media lies elsewhere: `ftyp`, `moov` and the header of the one `mdat`.
//!
//! A reader gets it before slices of chunks; offsets of the tables count from the first byte after it.

use crate::media::{
    AudioConfig, VideoConfig,
    mp4::{
        bytes::Put,
        fragment::{AUDIO_TRACK, VIDEO_TRACK},
        table::TrackTable,
        tracks::{put_audio_entry, put_video_entry},
        trak::{Trak, created, put_mvhd},
    },
};

pub use super::trak::Edit;

/// `mdat` always with a 64-bit length: the head has one length, whatever follows.
const MDAT_HEADER: usize = 16;

/// One track of a movie.
#[derive(Clone, Debug, Default)]
pub struct MovieTrack<C> {
    pub table: TrackTable,
    /// Ticks a second.
    pub timescale: u32,
    /// One sample entry each, numbered from 1 as in [`TrackTable::switch_entry`].
    pub configs: Vec<C>,
    pub edits: Vec<Edit>,
}

#[derive(Clone, Debug, Default)]
pub struct Movie {
    /// UTC of movie time 0, milliseconds.
    pub start_ms: i64,
    pub video: Option<MovieTrack<VideoConfig>>,
    pub audio: Option<MovieTrack<AudioConfig>>,
}

impl Movie {
    /// The bytes before `media_len` bytes of media. None when parameter sets make no decoder record.
    pub fn head(&self, media_len: u64) -> Option<Vec<u8>> {
        // Offsets count from the end of the head, whose length depends on the width of the offsets: 4 bytes or 8. A
        // longer head never makes them narrower, so the second round settles it.
        let mut len = 0;
        for _ in 0..3 {
            let head = self.head_at(len, media_len)?;
            if head.len() as u64 == len {
                return Some(head);
            }
            len = head.len() as u64;
        }
        None
    }

    fn head_at(&self, data_at: u64, media_len: u64) -> Option<Vec<u8>> {
        // The second round knows: a head of an hour is more than a megabyte, and is kept while it is sent.
        let mut out = Vec::with_capacity(usize::try_from(data_at).unwrap_or_default());
        out.boxed(b"ftyp", |out| match self.video {
            Some(_) => out.bytes(b"isom\0\0\0\0isomiso2mp41mp42"),
            None => out.bytes(b"M4A \0\0\0\0isomiso2mp42M4A "),
        });
        let mut built = None;
        out.boxed(b"moov", |out| built = self.put(out, data_at));
        built?;
        out.u32(1);
        out.bytes(b"mdat");
        out.u64(media_len.saturating_add(MDAT_HEADER as u64));
        Some(out)
    }

    fn put(&self, out: &mut Vec<u8>, data_at: u64) -> Option<()> {
        let created = created(self.start_ms);
        let length = |edits: &[Edit]| edits.iter().map(|edit| edit.duration_90k).sum::<u64>();
        let [video, audio] =
            [self.video.as_ref().map(|track| &track.edits), self.audio.as_ref().map(|track| &track.edits)];
        let duration_90k = video.into_iter().chain(audio).map(|edits| length(edits)).max()?;
        put_mvhd(out, created, duration_90k, AUDIO_TRACK + 1);
        if let Some(MovieTrack { table, timescale, configs, edits }) = &self.video {
            let first = configs.first()?;
            let records: Vec<_> = configs.iter().map(VideoConfig::decoder_record).collect::<Option<_>>()?;
            let size = Some([first.width, first.height]);
            let trak = Trak { id: VIDEO_TRACK, timescale: *timescale, created, table, size, edits, data_at };
            trak.put(out, configs.len() as u32, |out| {
                configs.iter().zip(&records).for_each(|(config, record)| put_video_entry(out, config, record));
            });
        }
        if let Some(MovieTrack { table, timescale, configs, edits }) = &self.audio {
            let trak = Trak { id: AUDIO_TRACK, timescale: *timescale, created, table, size: None, edits, data_at };
            trak.put(out, configs.len() as u32, |out| {
                configs.iter().for_each(|config| put_audio_entry(out, config));
            });
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{
        AudioCodec,
        mp4::{
            bytes::Get,
            table::{Run, Sample},
        },
    };

    fn movie(offset: u64) -> Movie {
        let config = |specific: u8| AudioConfig {
            codec: AudioCodec::Aac,
            sample_rate: 48_000,
            channels: 1,
            samples_per_frame: 1024,
            specific: vec![specific, 0x88],
        };
        let mut table = TrackTable::default();
        let sample = Sample { size: 10, duration: 1024, cts: 0, sync: true };
        for (entry, base) in [(1, 0), (2, 2048), (2, 4096), (1, 6144)] {
            table.switch_entry(entry);
            table.push(&Run { base, offset: offset + base, samples: vec![sample; 2] });
        }
        let edits =
            vec![Edit { duration_90k: 90, media_time: None }, Edit { duration_90k: 15_000, media_time: Some(100) }];
        let configs = vec![config(0x11), config(0x12)];
        Movie { start_ms: 0, video: None, audio: Some(MovieTrack { table, timescale: 48_000, configs, edits }) }
    }

    fn words(payload: Get<'_>) -> Vec<u32> {
        payload.0.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().expect("four bytes"))).collect()
    }

    #[test]
    fn offsets_count_from_the_start_of_the_file_and_entries_change_between_runs() {
        let head = movie(0).head(80).expect("a head");
        let (mdat, tail) = head.split_at(head.len() - 16).1.split_at(8);
        assert_eq!((mdat, tail), (&b"\0\0\0\x01mdat"[..], &96u64.to_be_bytes()[..]));
        let trak = Get(&head).descend(&[b"moov", b"trak"]).expect("a track");
        let stbl = trak.descend(&[b"mdia", b"minf", b"stbl"]).expect("tables");
        let first = head.len() as u32;
        let offsets = words(stbl.child(b"stco").expect("offsets"));
        assert_eq!(offsets, [0, 4, first, first + 2048, first + 4096, first + 6144]);
        // First chunk, samples, entry.
        let chunks = words(stbl.child(b"stsc").expect("chunks"));
        assert_eq!(chunks, [0, 3, 1, 2, 1, 2, 2, 2, 4, 2, 1]);
        assert_eq!(words(stbl.child(b"stsd").expect("entries")).get(1), Some(&2));
        let edits = words(trak.descend(&[b"edts", b"elst"]).expect("edits"));
        assert_eq!(edits[1..], [2, 0, 90, u32::MAX, u32::MAX, 1 << 16, 0, 15_000, 0, 100, 1 << 16]);
        let mvhd = words(Get(&head).descend(&[b"moov", b"mvhd"]).expect("a header"));
        assert_eq!(mvhd.get(7), Some(&15_090));
    }

    /// The head itself may be what lifts an offset over 4 GiB.
    #[test]
    fn offsets_beyond_4_gib_are_wide() {
        let narrow_len = movie(0).head(1).expect("a head").len() as u64;
        for (offset, is_wide) in [
            (u64::from(u32::MAX) - narrow_len - 6144, false),
            (u64::from(u32::MAX) - narrow_len - 6143, true),
            (1 << 33, true),
        ] {
            let head = movie(offset).head(1).expect("a head");
            let stbl = Get(&head).descend(&[b"moov", b"trak", b"mdia", b"minf", b"stbl"]).expect("tables");
            assert_eq!(stbl.child(b"co64").is_some(), is_wide, "{offset}");
            assert_eq!(stbl.child(b"stco").is_none(), is_wide, "{offset}");
            if let Some(offsets) = stbl.child(b"co64") {
                let first = offset + head.len() as u64;
                assert_eq!(words(offsets)[2..4], [(first >> 32) as u32, first as u32]);
            }
        }
    }
}
