//! One commit of one device, on the volume's commit thread: read, demux, lay, append, mark, sync, publish.
//!
//! Either everything up to a mark is durable and told so, or the segments wait again as if nothing had happened.

use std::{panic::catch_unwind, sync::Arc};

use rustix::io::Errno;

use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::SegmentKey,
    media::mpegts,
    merge::{
        cell::{Claim, Core},
        chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, SealedChunk, TrackRun},
        lay::PlannedRun,
        merger_actor::MergerParts,
        plan::{Due, lead_90k},
        start,
        timeline::{Input, Laid, Opening, Output, Timeline},
    },
    storage::{ChunkEntry, HotSegment, Place, layout::ChunkKey},
    telemetry::{LossReason, Written},
};

/// Head of a new chunk: one file system block.
const HEAD_BYTES: u64 = 4096;
/// Asked for beyond what waits: boxes, the sealed table, directories.
const SPARE_BYTES: u64 = 8 << 20;

/// Runs one job and reports how it went, to the cell and to whoever waits.
pub(super) fn run(parts: &MergerParts, mut claim: Claim, due: Due) -> Result<()> {
    let began = parts.clock.mono();
    let (core, steps) = claim.work();
    for step in steps {
        slog::warn!(parts.log, "the wall clock stepped"; "seconds" => step.delta_90k as f64 / 90_000.0);
        core.timeline.step(step);
    }
    let done = work(parts, core, due);
    let newest = done.as_ref().ok().copied().flatten();
    if let Some((key, offset_90k)) = core.timeline.tied() {
        (parts.tied)(key, offset_90k, began);
    }
    newest.inspect(|key| claim.saw(*key));
    let error = done.as_ref().err().map(ToString::to_string);
    if error.is_some() {
        parts.metrics.commit_failures.inc();
    } else if newest.is_some() {
        parts.metrics.commit_seconds.observe(parts.clock.mono().since(began).as_secs_f64());
    }
    let failing = parts.cell.status().error.clone();
    match (&error, failing) {
        (Some(error), None) => slog::error!(parts.log, "commits fail, segments wait in hot"; "error" => error),
        (None, Some(_)) => slog::info!(parts.log, "commits succeed again"),
        _ => {}
    }
    claim.end(&parts.clock, newest.is_some(), error);
    done.map(|_| ())
}

/// The newest segment that was taken.
fn work(parts: &MergerParts, core: &mut Core, due: Due) -> Result<Option<SegmentKey>> {
    let checked = if parts.volume.is_ok() { Ok(()) } else { parts.volume.check() };
    if core.mounts != parts.volume.mounts() {
        // Every handle belongs to a mount that is gone (or this is the first job): look at the files.
        *core = Core { timeline: core.timeline.clone(), ..Core::new(parts.settings.archive.chunk_seconds) };
        core.timeline.close();
        core.mounts = parts.volume.mounts();
    }
    // Only now: an open file would keep a file system alive that was unmounted to be mended.
    checked?;
    if !core.recovered {
        start::recover_device(parts, core)?;
    }
    start::hand_over_waiting(parts, core);
    if due == Due::Start {
        return Ok(None);
    }
    let taken = Taken::new(parts);
    let newest = taken.segments.last().map(|segment| segment.key);
    let need = taken.segments.iter().map(|segment| segment.bytes).sum::<u64>().saturating_add(SPARE_BYTES);
    if !taken.segments.is_empty() && parts.volume.space().is_ok_and(|space| space.free_bytes < need) {
        (parts.evict)(need);
    }
    let before = core.timeline.clone();
    let mut batch = Batch { parts, core, taken, mark: None, opened: false };
    let done = batch.merge(due);
    if let Err(error) = &done {
        batch.undo(before);
        if error.kind == Kind::Full {
            (parts.evict)(need);
        }
    }
    done.map(|()| newest)
}

/// Segments claimed from hot. What is not committed when it is dropped, by an error or a panic, waits again.
struct Taken<'a> {
    parts: &'a MergerParts,
    segments: Vec<HotSegment>,
    /// Not committed yet.
    left: Vec<SegmentKey>,
}

impl<'a> Taken<'a> {
    fn new(parts: &'a MergerParts) -> Self {
        let segments = parts.hot.claim(usize::MAX);
        let left = segments.iter().map(|segment| segment.key).collect();
        Self { parts, segments, left }
    }

    /// Segments up to this one are durable, or held nothing.
    fn committed(&mut self, upto: SegmentKey) {
        let count = self.left.partition_point(|key| *key <= upto);
        let done: Vec<SegmentKey> = self.left.drain(..count).collect();
        self.parts.hot.mark_committed(&done);
    }

    fn lost(&mut self, key: SegmentKey, reason: LossReason) {
        self.left.retain(|left| *left != key);
        self.parts.hot.lost(&[key], reason);
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.parts.hot.release(&self.left);
    }
}

struct Batch<'a> {
    parts: &'a MergerParts,
    core: &'a mut Core,
    taken: Taken<'a>,
    /// What the next commit promises; None when nothing was appended since the last.
    mark: Option<MarkInfo>,
    /// The open file was made by this job.
    opened: bool,
}

impl Batch<'_> {
    fn merge(&mut self, due: Due) -> Result<()> {
        let segments = std::mem::take(&mut self.taken.segments);
        let newest = segments.last().map(|segment| segment.key);
        for (i, segment) in segments.iter().enumerate() {
            let Some(input) = self.read(segment, segments.get(i..).unwrap_or_default())? else { continue };
            let (index, volume, device) = (&self.parts.index, &self.parts.volume, &self.parts.device);
            let is_taken = |start_ms| {
                let key = ChunkKey { start_ms, generation: 0 };
                index.get(&key).is_some() || volume.exists(&volume.layout().open_chunk(device, key))
            };
            for output in self.core.timeline.push(input, &is_taken) {
                match output {
                    Output::Open(opening) => self.open(opening)?,
                    Output::Append(laid) => self.append(&laid)?,
                }
            }
        }
        if let Some(laid) = self.core.timeline.flush() {
            self.append(&laid)?;
        }
        self.commit()?;
        // Segments without a single usable sample are done as well.
        newest.inspect(|newest| self.taken.committed(*newest));
        let over = self.core.timeline.chunk_until().is_some_and(|until| self.parts.clock.wall() >= until);
        if due == Due::Last || (due == Due::Idle && newest.is_none() && over) {
            self.core.timeline.close();
            self.finish()?;
        }
        Ok(())
    }

    /// A segment's bytes, demuxed; None when they cannot be recorded.
    fn read(&mut self, segment: &HotSegment, from_here: &[HotSegment]) -> Result<Option<Input>> {
        let key = segment.key;
        let name = || format!("{}/{}", key.epoch, key.number);
        let bytes = match std::fs::read(self.parts.hot.segment_path(key)) {
            Ok(bytes) => bytes,
            // The file is there and we are at fault: it waits for the next job.
            Err(error) if is_shortage(&error) => {
                return Err(Error::io("reading a segment", self.parts.hot.segment_path(key), error));
            }
            Err(error) => {
                // Hot tells whether it was shed or taken away by somebody else.
                slog::debug!(self.parts.log, "segment vanished"; "segment" => name(), "error" => %error);
                self.taken.lost(key, LossReason::vanished);
                return Ok(None);
            }
        };
        let near_90k = self.core.timeline.near_90k(key);
        // A defect in the demuxer may cost the segment that shows it, never the device: that would meet it for ever.
        let demuxed = catch_unwind(|| mpegts::demux(&bytes, near_90k).map_err(|error| error.to_string()))
            .unwrap_or_else(|_| Err("the demuxer panicked".to_owned()));
        match demuxed {
            Ok(segment_data) => {
                self.parts.metrics.segment_faults.inc_by(segment_data.faults.total());
                self.tell_skipped(&name(), &segment_data.skipped);
                let lead_90k = lead_90k(from_here);
                Ok(Some(Input { key, arrived: segment.arrived, lead_90k, segment: segment_data }))
            }
            Err(error) => {
                slog::warn!(self.parts.log, "segment skipped"; "segment" => name(), "why" => error);
                self.taken.lost(key, LossReason::corrupt);
                Ok(None)
            }
        }
    }

    /// Streams that cannot be recorded beside one that can: named when that changes, counted in every segment.
    fn tell_skipped(&mut self, segment: &str, skipped: &[String]) {
        self.parts.metrics.segment_faults.inc_by(skipped.len() as u64);
        if self.core.skipped == skipped {
            return;
        }
        self.core.skipped = skipped.to_vec();
        if !skipped.is_empty() {
            slog::warn!(self.parts.log, "streams are left out"; "segment" => segment, "streams" => skipped.join(", "));
        }
    }

    /// The chunk before is complete: commit, seal and hand it over, then begin the next.
    fn open(&mut self, opening: Opening) -> Result<()> {
        if self.core.writer.is_some() {
            self.commit()?;
            self.finish()?;
        }
        let Opening { why, start, video, audio, fps } = opening;
        slog::debug!(self.parts.log, "chunk begins"; "start" => %start, "why" => ?why);
        let spec = ChunkSpec { device: self.parts.device.clone(), start, generation: 0, video, audio, fps };
        self.core.writer = Some(ChunkWriter::create(self.parts.volume.clone(), spec)?);
        self.parts.metrics.wrote(Written::Index, HEAD_BYTES);
        self.opened = true;
        Ok(())
    }

    fn append(&mut self, laid: &Laid) -> Result<()> {
        let Some(writer) = &mut self.core.writer else {
            return Err(Error::new(Kind::Internal, "fragments without an open chunk"));
        };
        for planned in &laid.fragments {
            let fragment = Fragment {
                video: planned.video.as_ref().map(|run| track_run(run, &laid.video_es)),
                audio: planned.audio.as_ref().map(|run| track_run(run, &laid.audio_es)),
            };
            match writer.append(&fragment) {
                // The fragment is at fault, not the disk: the others go on.
                Err(error) if matches!(error.kind, Kind::Invalid | Kind::Corrupt) => {
                    self.parts.metrics.segment_faults.inc();
                    slog::warn!(self.parts.log, "fragment skipped"; "why" => %error);
                }
                done => done?,
            }
        }
        self.mark = Some(laid.mark);
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let (Some(mark), Some(writer)) = (self.mark.take(), &mut self.core.writer) else { return Ok(()) };
        if writer.uncommitted_bytes() == 0 {
            self.taken.committed(mark.last);
            return Ok(());
        }
        let committed = writer.commit(mark)?;
        self.opened = false;
        let metrics = &self.parts.metrics;
        metrics.wrote(Written::Media, committed.written_bytes);
        metrics.committed_media(committed.media_bytes);
        metrics.committed_seconds.inc_by(committed.media_90k as f64 / 90_000.0);
        let entry = open_entry(writer, committed.end);
        let before = self.parts.index.get(&entry.key).map_or(entry.start, |before| before.end);
        self.parts.index.put(entry);
        (self.parts.told)(before..committed.end, committed.written_bytes);
        self.taken.committed(mark.last);
        self.parts.beside.committed(writer.key(), writer.spec().start, committed.end);
        Ok(())
    }

    /// Seals the committed chunk and gives it its place.
    fn finish(&mut self) -> Result<()> {
        let Some(writer) = self.core.writer.take() else { return Ok(()) };
        let key = writer.key();
        if writer.last_mark().is_none() {
            return writer.discard();
        }
        match seal(self.parts, writer) {
            Ok(sealed) => {
                self.core.sealed.push(sealed);
                start::hand_over_waiting(self.parts, self.core);
                Ok(())
            }
            Err(error) => {
                slog::warn!(self.parts.log, "chunk is not sealed yet"; "chunk" => key.file_name(), "error" => %error);
                self.core.recovered = false;
                Err(error)
            }
        }
    }

    /// After a failure: the timeline as it was before the job, or as far as that still has a file.
    fn undo(&mut self, before: Timeline) {
        let had = before.chunk_start();
        self.core.timeline = before;
        let Some(mut writer) = self.core.writer.take() else { return self.core.timeline.close() };
        if self.opened {
            // Nothing in it was ever committed, so nothing is lost with it. If it cannot be removed now, recovery will.
            let _ = writer.discard();
            return self.core.timeline.close();
        }
        let same = had == Some(writer.spec().start);
        if same && !writer.is_poisoned() && writer.rollback().is_ok() {
            self.core.writer = Some(writer);
            return;
        }
        slog::warn!(self.parts.log, "chunk takes no more, a part follows"; "chunk" => writer.key().file_name());
        self.core.spent.insert(writer.key(), writer.published_len());
        self.core.recovered = false;
        self.core.timeline.close();
    }
}

/// Of descriptors or memory, for a moment.
fn is_shortage(error: &std::io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    number.is_some_and(|number| [Errno::MFILE, Errno::NFILE, Errno::NOMEM].contains(&number))
}

fn track_run<'a>(run: &'a PlannedRun, es: &'a [u8]) -> TrackRun<'a> {
    TrackRun { base: run.base, samples: &run.samples, es }
}

/// Seals, publishes, counts.
pub(super) fn seal(parts: &MergerParts, writer: ChunkWriter) -> Result<SealedChunk> {
    let sealed = writer.seal()?;
    parts.metrics.wrote(Written::Index, sealed.written_bytes);
    parts.metrics.chunks_sealed.inc();
    parts.index.put(sealed.entry(Place::Temp));
    Ok(sealed)
}

/// The open chunk as readers may see it.
pub(super) fn open_entry(writer: &ChunkWriter, end: Utc90k) -> ChunkEntry {
    ChunkEntry {
        key: writer.key(),
        place: Place::Temp,
        start: writer.spec().start,
        end,
        bytes: writer.published_len(),
        codecs: writer.codecs().into(),
        gaps: writer.gaps(),
        holes: Some(writer.holes()),
        sealed: false,
        original: false,
    }
}

/// A job for the commit thread, with its answer for whoever waits.
pub(super) fn boxed(
    parts: Arc<MergerParts>,
    claim: Claim,
    due: Due,
    reply: Option<tokio::sync::oneshot::Sender<Result<()>>>,
) -> super::committer::Job {
    Box::new(move || {
        let done = run(&parts, claim, due);
        if let Some(reply) = reply {
            // Whoever asked may be gone: the work is done all the same.
            let _ = reply.send(done);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_shortage_is_not_a_lost_segment() {
        let check = |number: Errno, expected| assert_eq!(is_shortage(&io::Error::from(number)), expected, "{number}");
        check(Errno::MFILE, true);
        check(Errno::NFILE, true);
        check(Errno::NOMEM, true);
        check(Errno::NOENT, false);
        check(Errno::IO, false);
        assert!(!is_shortage(&io::ErrorKind::UnexpectedEof.into()));
    }
}
