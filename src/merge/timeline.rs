//! Puts demuxed segments on the wall clock and into chunks: pure, one device, no clock and no disk of its own.
//!
//! ```text
//! segments ─▶ where in wall time? ─▶ which chunk? ─▶ which fragments? ─▶ Output
//!             (anchor)               (here)          (lay)
//! ```
//! A segment is never divided between chunks: the boundary is the first segment that starts with a key frame at or
//! behind the UTC grid line.

use crate::{
    clock::{
        TICKS_PER_SECOND, Utc90k,
        anchor::{Anchor, Step, Steps},
    },
    ids::SegmentKey,
    media::{AudioConfig, Segment, VideoCodec, VideoConfig, mp4::MarkInfo},
    merge::{
        lay::{Lanes, Piece, Planned},
        span::{BACKWARD_90K, Span, drop_lead_in, fps, split_at_resets},
    },
};

/// Pictures of one run may overlap this much at a seam: the rounding of a variable frame rate, not a jump.
const SEAM_90K: i64 = TICKS_PER_SECOND / 10;

/// A demuxed segment and what hot knows of it.
#[derive(Clone, Debug)]
pub struct Input {
    pub key: SegmentKey,
    pub arrived: Utc90k,
    /// ≤ 0: how much less delay the run's next waiting segments had; the first one comes late. Used at a run's start.
    pub lead_90k: i64,
    pub segment: Segment,
}

/// What to do to the chunk, in this order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Finish the open chunk, when there is one, and begin another.
    Open(Opening),
    Append(Laid),
}

/// Why a chunk begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// None was open.
    First,
    /// The UTC grid line has passed.
    Grid,
    /// Another codec or audio configuration.
    Codec,
    /// The wall clock stepped.
    Step,
    /// Its time lies before the end of the open chunk.
    Overlap,
}

#[derive(Clone, Debug)]
pub struct Opening {
    pub why: Why,
    pub start: Utc90k,
    pub video: Option<VideoConfig>,
    pub audio: Option<AudioConfig>,
    pub fps: f64,
}

/// A segment as fragments; their samples point into `video_es` and `audio_es`.
#[derive(Clone, Debug)]
pub struct Laid {
    pub fragments: Vec<Planned>,
    pub video_es: Vec<u8>,
    pub audio_es: Vec<u8>,
    /// What a commit behind these fragments promises.
    pub mark: MarkInfo,
}

/// See the module. Cloned at each commit, so that a failed job leaves no trace.
#[derive(Clone, Debug)]
pub struct Timeline {
    grid_90k: i64,
    run: Option<Run>,
    chunk: Option<Lanes>,
    steps: Steps,
    /// Placed, and laid when the segment behind it tells how long its last picture lasts.
    pending: Option<Piece>,
    /// Pictures dropped because none before them could be decoded.
    pub undecodable: u64,
}

/// One FFmpeg's stretch of segments.
#[derive(Clone, Debug)]
struct Run {
    last: SegmentKey,
    anchor: Anchor,
    /// Run time where the last segment ended.
    end_90k: i64,
    last_dts_90k: [Option<i64>; 2],
    /// As last seen: parameter sets may come once, sound may pause.
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
}

impl Timeline {
    pub fn new(chunk_seconds: u32) -> Self {
        let grid_90k = i64::from(chunk_seconds.max(1)) * TICKS_PER_SECOND;
        Self { grid_90k, run: None, chunk: None, steps: Steps::default(), pending: None, undecodable: 0 }
    }

    /// Goes on in a chunk found on disk, behind its last mark.
    pub fn resume(&mut self, lanes: Lanes, mark: &MarkInfo) {
        (self.chunk, self.pending) = (Some(lanes), None);
        if self.run.as_ref().is_some_and(|run| run.last >= mark.last) {
            // Only the file failed: what is known of the run is as fresh as the mark, and more.
            return;
        }
        let end_90k = mark.last_dts_90k.iter().flatten().copied().max().unwrap_or(0);
        let mut run = Run::new(mark.last, mark.offset_90k, end_90k);
        run.last_dts_90k = mark.last_dts_90k;
        self.run = Some(run);
    }

    /// The wall clock stepped among the segments to come.
    pub fn step(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Forgets the open chunk: it was sealed, or its file takes no more.
    pub fn close(&mut self) {
        self.chunk = None;
        self.pending = None;
    }

    pub fn chunk_start(&self) -> Option<Utc90k> {
        self.chunk.as_ref().map(|chunk| chunk.start)
    }

    /// The reference against which the segment's 33-bit times are unwrapped; None at a run's start.
    pub fn near_90k(&self, key: SegmentKey) -> Option<i64> {
        self.run.as_ref().filter(|run| run.last.epoch == key.epoch).map(|run| run.end_90k)
    }

    /// The grid line behind the open chunk: from there on it should be sealed.
    pub fn chunk_until(&self) -> Option<Utc90k> {
        self.chunk.as_ref().map(|chunk| Utc90k((slot(chunk.start, self.grid_90k) + 1) * self.grid_90k))
    }

    /// The last segment that was placed, and the offset in use: wall = run time + offset.
    pub fn tied(&self) -> Option<(SegmentKey, i64)> {
        self.run.as_ref().map(|run| (run.last, run.anchor.offset_90k()))
    }

    /// Takes the next segment, in order of keys. `taken` tells chunk starts (UTC ms) that exist already.
    pub fn push(&mut self, input: Input, taken: &dyn Fn(i64) -> bool) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Input { key, arrived, lead_90k, segment } = input;
        for part in split_at_resets(segment) {
            let next = self.follows(key, &part);
            outputs.extend(self.finish(next).map(Output::Append));
            let (opening, piece) = self.place(key, arrived, lead_90k, part, taken);
            outputs.extend(opening.map(Output::Open));
            self.pending = piece;
        }
        outputs
    }

    /// Lays what waits, before a commit.
    pub fn flush(&mut self) -> Option<Laid> {
        self.finish(None)
    }

    /// Run time of the segment's first picture when it directly follows the pending segment's.
    fn follows(&self, key: SegmentKey, segment: &Segment) -> Option<i64> {
        let run = self.run.as_ref()?;
        let next = SegmentKey { epoch: run.last.epoch, number: run.last.number.checked_add(1)? };
        let first = segment.video.as_ref()?.samples.first()?.dts_90k;
        (key == next && run.last_dts_90k[0].is_some_and(|last| first > last)).then_some(first)
    }

    fn finish(&mut self, next_dts_90k: Option<i64>) -> Option<Laid> {
        let mut piece = self.pending.take()?;
        let chunk = self.chunk.as_mut()?;
        let last_video = piece.video.as_ref().and_then(|track| track.samples.last()).map(|sample| sample.dts_90k);
        let last_audio = piece.audio.as_ref().and_then(|track| track.samples.last()).map(|sample| sample.pts_90k);
        let mark = MarkInfo { last: piece.key, last_dts_90k: [last_video, last_audio], offset_90k: piece.offset_90k };
        let fragments = chunk.lay(&mut piece, next_dts_90k);
        let video_es = piece.video.map(|track| track.es).unwrap_or_default();
        let audio_es = piece.audio.map(|track| track.es).unwrap_or_default();
        (!fragments.is_empty()).then_some(Laid { fragments, video_es, audio_es, mark })
    }

    fn place(
        &mut self,
        key: SegmentKey,
        arrived: Utc90k,
        lead_90k: i64,
        mut segment: Segment,
        taken: &dyn Fn(i64) -> bool,
    ) -> (Option<Opening>, Option<Piece>) {
        // Behind a hole as at a run's start, pictures before the first key frame cannot be decoded.
        if !self.run.as_ref().is_some_and(|run| run.continues_with(key)) {
            self.undecodable += drop_lead_in(&mut segment);
        }
        let Some(span) = Span::of(&segment) else { return (None, None) };
        let seam = self.anchor(key, arrived, lead_90k, span);
        let Some(run) = self.run.as_mut() else { return (None, None) };
        run.learn(key, &segment, span);
        let why = self.why_open(&segment, span, seam);
        if let Some(why) = why {
            if self.can_open(&segment, why) {
                let opening = self.open(why, &segment, span, taken);
                return (Some(opening), self.piece(key, segment));
            }
            if why != Why::Grid {
                self.undecodable += drop_lead_in(&mut segment);
                let Some(span) = Span::of(&segment).filter(|_| self.can_open(&segment, why)) else {
                    return (None, None);
                };
                let opening = self.open(why, &segment, span, taken);
                return (Some(opening), self.piece(key, segment));
            }
        }
        self.join(span, seam);
        (None, self.piece(key, segment))
    }

    /// Follows the segment with the run's anchor.
    fn anchor(&mut self, key: SegmentKey, arrived: Utc90k, lead_90k: i64, span: Span) -> Seam {
        let told = self.steps.relabel(key, arrived);
        let relabelled = told != arrived;
        let candidate = told.0.saturating_sub(span.end_90k);
        let run = match &mut self.run {
            Some(run) if run.last.epoch == key.epoch => run,
            _ => {
                self.steps.start_run(key, relabelled);
                self.run = Some(Run::new(key, candidate.saturating_add(lead_90k.min(0)), span.end_90k));
                return Seam::Moved;
            }
        };
        let reset = span.first_90k < run.end_90k.saturating_sub(BACKWARD_90K);
        let delta = self.steps.explain(key, relabelled, candidate.saturating_sub(run.anchor.offset_90k()));
        if reset {
            run.anchor.restart(candidate);
            return if delta == 0 { Seam::Moved } else { Seam::Stepped };
        }
        if delta != 0 {
            run.anchor.restart(run.anchor.offset_90k().saturating_add(delta));
            run.anchor.observe(candidate);
            return Seam::Stepped;
        }
        if run.anchor.observe(candidate) {
            run.anchor.adopt(run.anchor.estimate_90k());
            return Seam::Moved;
        }
        Seam::Same
    }

    fn why_open(&self, segment: &Segment, span: Span, seam: Seam) -> Option<Why> {
        let (Some(run), Some(chunk)) = (&self.run, &self.chunk) else { return Some(Why::First) };
        let codec = run.codec(segment).filter(|_| segment.video.is_some());
        if seam == Seam::Stepped {
            Some(Why::Step)
        } else if !chunk.takes(codec, &segment.audio) {
            Some(Why::Codec)
        } else if span.overlap(chunk, run.anchor.offset_90k()) > BACKWARD_90K {
            Some(Why::Overlap)
        } else {
            // The label a new chunk would get decides, or corrected drift would put it into the slot just left.
            let label = Utc90k(span.first_90k) + run.anchor.estimate_90k();
            (slot(label, self.grid_90k) > slot(chunk.start, self.grid_90k)).then_some(Why::Grid)
        }
    }

    /// A chunk begins with a picture that decodes, and at the grid line not with a mere pause of the pictures.
    fn can_open(&self, segment: &Segment, why: Why) -> bool {
        let config = self.run.as_ref().and_then(|run| run.video.as_ref());
        match &segment.video {
            Some(track) => config.is_some() && track.samples.first().is_some_and(|sample| sample.sync),
            None => why != Why::Grid || config.is_none(),
        }
    }

    fn open(&mut self, why: Why, segment: &Segment, span: Span, taken: &dyn Fn(i64) -> bool) -> Opening {
        let mut start = Utc90k(span.first_90k);
        let (mut video, mut audio) = (None, segment.audio.first().map(|track| track.config.clone()));
        if let Some(run) = &mut self.run {
            run.anchor.adopt(run.anchor.estimate_90k());
            start = start + run.anchor.offset_90k();
            video = run.video.clone().filter(|_| segment.video.is_some());
            audio = audio.or_else(|| run.audio.clone());
        }
        // Two parts may begin in one millisecond when the clock is set back: the file name must differ.
        while taken(start.as_ms()) {
            start = start + -90;
        }
        self.chunk = Some(Lanes::new(start, video.as_ref().map(|video| video.codec), audio.clone()));
        Opening { why, start, video, audio, fps: fps(segment) }
    }

    /// Goes on in the open chunk; where the seam moved back a little, the segment waits for the chunk's end.
    fn join(&mut self, span: Span, seam: Seam) {
        let (Some(run), Some(chunk)) = (&mut self.run, &self.chunk) else { return };
        let overlap = span.overlap(chunk, run.anchor.offset_90k());
        let tolerated = if seam == Seam::Same { SEAM_90K } else { 0 };
        if overlap > tolerated {
            run.anchor.adopt(run.anchor.offset_90k().saturating_add(overlap));
        }
    }

    /// Of several audio configurations in one segment, the one that the chunk holds is kept.
    fn piece(&self, key: SegmentKey, segment: Segment) -> Option<Piece> {
        let wanted = self.chunk.as_ref()?.audio.as_ref();
        let audio = segment.audio.into_iter().find(|track| Some(&track.config) == wanted);
        let offset_90k = self.run.as_ref()?.anchor.offset_90k();
        Some(Piece { key, offset_90k, video: segment.video, audio })
    }
}

/// How a segment meets the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seam {
    /// Same run, same offset: PTS alone decides.
    Same,
    /// Another run, or another offset.
    Moved,
    /// The wall clock stepped in between.
    Stepped,
}

impl Run {
    fn new(first: SegmentKey, offset_90k: i64, end_90k: i64) -> Self {
        let anchor = Anchor::new(offset_90k);
        Self { last: first, anchor, end_90k, last_dts_90k: [None, None], video: None, audio: None }
    }

    /// Same run, same segment (its second part) or the very next.
    fn continues_with(&self, key: SegmentKey) -> bool {
        key.epoch == self.last.epoch && key.number.checked_sub(self.last.number).is_some_and(|ahead| ahead <= 1)
    }

    fn codec(&self, segment: &Segment) -> Option<VideoCodec> {
        let own = segment.video.as_ref().and_then(|track| track.config.as_ref());
        own.or(self.video.as_ref()).map(|config| config.codec)
    }

    fn learn(&mut self, key: SegmentKey, segment: &Segment, span: Span) {
        (self.last, self.end_90k) = (key, span.end_90k);
        let video = segment.video.as_ref();
        self.last_dts_90k = [
            video.and_then(|track| track.samples.last()).map(|sample| sample.dts_90k),
            segment.audio.iter().rev().find_map(|track| track.samples.last()).map(|sample| sample.pts_90k),
        ];
        if let Some(config) = video.and_then(|track| track.config.as_ref()) {
            self.video = Some(config.clone());
        }
        if let Some(track) = segment.audio.last() {
            self.audio = Some(track.config.clone());
        }
    }
}

/// Number of the grid interval since 1970. Chunks divide an hour, so this grid is the UTC hour's.
fn slot(time: Utc90k, grid_90k: i64) -> i64 {
    time.0.div_euclid(grid_90k)
}

#[cfg(test)]
mod tests;
