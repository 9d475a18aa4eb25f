//! `mvhd` and one `trak` box around a sample table: of a sealed chunk, and of a movie made while it is read.

use crate::{
    clock::TICKS_PER_SECOND,
    media::mp4::{bytes::Put, table::TrackTable},
};

/// One line of an edit list (ISO/IEC 14496-12 §8.6.6). The movie's time scale is 90 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    pub duration_90k: u64,
    /// Where it begins in the track's media, in ticks of the track; None shows nothing meanwhile.
    pub media_time: Option<u64>,
}

pub(crate) struct Trak<'a> {
    pub id: u32,
    /// Ticks a second of the track.
    pub timescale: u32,
    /// Seconds since 1904.
    pub created: u64,
    pub table: &'a TrackTable,
    /// Width and height in pixels; None for sound.
    pub size: Option<[u16; 2]>,
    /// None when media time is movie time.
    pub edits: &'a [Edit],
    /// Added to all offsets of the table.
    pub data_at: u64,
}

pub(crate) fn put_mvhd(out: &mut Vec<u8>, created: u64, duration_90k: u64, next_track: u32) {
    out.full(b"mvhd", 1, 0, |out| {
        out.u64(created);
        out.u64(created);
        out.u32(TICKS_PER_SECOND as u32);
        out.u64(duration_90k);
        out.u32(0x0001_0000); // rate 1
        out.u16(0x0100); // volume 1
        out.zeros(10);
        put_unit_matrix(out);
        out.zeros(24);
        out.u32(next_track);
    });
}

impl Trak<'_> {
    /// `put_entries` writes `entries` sample entries.
    pub fn put(&self, out: &mut Vec<u8>, entries: u32, put_entries: impl FnOnce(&mut Vec<u8>)) {
        out.boxed(b"trak", |out| {
            out.full(b"tkhd", 1, 3, |out| {
                out.u64(self.created);
                out.u64(self.created);
                out.u32(self.id);
                out.u32(0);
                out.u64(self.duration_90k());
                out.zeros(8);
                out.u16(0);
                out.u16(u16::from(self.size.is_some())); // alternate group; one of each kind
                out.u16(if self.size.is_some() { 0 } else { 0x0100 });
                out.u16(0);
                put_unit_matrix(out);
                self.size.unwrap_or_default().into_iter().for_each(|side| out.u32(u32::from(side) << 16));
            });
            self.put_edits(out);
            out.boxed(b"mdia", |out| {
                out.full(b"mdhd", 1, 0, |out| {
                    out.u64(self.created);
                    out.u64(self.created);
                    out.u32(self.timescale);
                    out.u64(self.table.end().saturating_sub(self.table.start()));
                    out.u16(0x55C4); // "und"
                    out.u16(0);
                });
                out.full(b"hdlr", 0, 0, |out| {
                    out.u32(0);
                    out.bytes(if self.size.is_some() { b"vide" } else { b"soun" });
                    out.zeros(12);
                    out.bytes(if self.size.is_some() { b"video\0" } else { b"sound\0" });
                });
                out.boxed(b"minf", |out| {
                    match self.size {
                        Some(_) => out.full(b"vmhd", 0, 1, |out| out.zeros(8)),
                        None => out.full(b"smhd", 0, 0, |out| out.zeros(4)),
                    }
                    out.boxed(b"dinf", |out| {
                        out.full(b"dref", 0, 0, |out| {
                            out.u32(1);
                            out.full(b"url ", 0, 1, |_| {});
                        });
                    });
                    out.boxed(b"stbl", |out| {
                        out.full(b"stsd", 0, 0, |out| {
                            out.u32(entries);
                            put_entries(out);
                        });
                        self.table.put(out, self.size.is_some(), self.data_at);
                    });
                });
            });
        });
    }

    fn duration_90k(&self) -> u64 {
        match self.edits {
            [] => to_90k(self.table.shown_until(), self.timescale),
            edits => edits.iter().map(|edit| edit.duration_90k).sum(),
        }
    }

    fn put_edits(&self, out: &mut Vec<u8>) {
        if self.edits.is_empty() {
            return;
        }
        out.boxed(b"edts", |out| {
            out.full(b"elst", 1, 0, |out| {
                out.u32(self.edits.len() as u32);
                for edit in self.edits {
                    out.u64(edit.duration_90k);
                    // A media time of -1 marks the empty edit.
                    out.u64(edit.media_time.unwrap_or(u64::MAX));
                    out.u32(0x0001_0000);
                }
            });
        });
    }
}

/// Rounded up, so that no last sample falls out of its edit.
pub(crate) fn to_90k(ticks: u64, timescale: u32) -> u64 {
    ticks.saturating_mul(TICKS_PER_SECOND as u64).div_ceil(u64::from(timescale.max(1)))
}

fn put_unit_matrix(out: &mut Vec<u8>) {
    [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000].into_iter().for_each(|value| out.u32(value));
}

/// Seconds since 1904, as MP4 counts, of milliseconds since 1970.
pub(crate) fn created(start_ms: i64) -> u64 {
    u64::try_from(start_ms.div_euclid(1000).saturating_add(2_082_844_800)).unwrap_or(0)
}
