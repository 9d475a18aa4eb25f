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
        let mut out = Vec::new();
        out.boxed(b"ftyp", |out| match self.video {
            Some(_) => out.bytes(b"isom\0\0\0\0isomiso2mp41mp42"),
            None => out.bytes(b"M4A \0\0\0\0isomiso2mp42M4A "),
        });
        let mut moov = Vec::new();
        self.put(&mut moov, data_at)?;
        out.boxed(b"moov", |out| out.bytes(&moov));
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
