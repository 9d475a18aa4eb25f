//! Lays a segment's samples into the open chunk: decode times, durations, fragment cuts, silence for missing sound.
//!
//! Presentation time is exact (run time + offset − chunk start); everything that has to give, gives in decode time.

use std::ops::Range;

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    ids::SegmentKey,
    media::{AudioConfig, AudioTrack, VideoCodec, VideoTrack, aac, mp4::OutSample},
};

/// A fragment may last this long without a key frame: what a reader must fetch, and a writer hold, at most.
const FRAGMENT_90K: i64 = 10 * TICKS_PER_SECOND;
/// A longer pause is a gap: told by a jump of decode time, not by a sample that stands still.
const GAP_90K: i64 = TICKS_PER_SECOND / 2;
/// 30 fps: the guess when one lonely picture has to last for some time.
const FRAME_90K: i64 = 3000;

/// One GOP, or a part of one, ready for the chunk writer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    pub video: Option<PlannedRun>,
    pub audio: Option<PlannedRun>,
}

/// Consecutive samples of one track, in ticks of the track since the chunk's start.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRun {
    pub base: u64,
    pub samples: Vec<OutSample>,
}

impl PlannedRun {
    pub fn end(&self) -> u64 {
        self.base + self.samples.iter().map(|sample| u64::from(sample.duration)).sum::<u64>()
    }
}

/// A segment with its place in time: wall = run time + offset.
#[derive(Clone, Debug)]
pub struct Piece {
    pub key: SegmentKey,
    pub offset_90k: i64,
    pub video: Option<VideoTrack>,
    pub audio: Option<AudioTrack>,
}

/// How far the tracks of the open chunk have come.
#[derive(Clone, Debug)]
pub struct Lanes {
    pub start: Utc90k,
    pub video: Option<VideoCodec>,
    pub audio: Option<AudioConfig>,
    /// Added to every decode time, so that the first picture's is not negative although B-frames precede it.
    shift_90k: i64,
    /// End of the last picture, in decode time and as shown.
    video_end_90k: Option<i64>,
    shown_end_90k: Option<i64>,
    /// End of the last sound, in its own ticks.
    audio_end: Option<i64>,
    /// Duration of the last ordinary picture.
    frame_90k: Option<i64>,
}

impl Lanes {
    pub fn new(start: Utc90k, video: Option<VideoCodec>, audio: Option<AudioConfig>) -> Self {
        let (shift_90k, video_end_90k, shown_end_90k, audio_end, frame_90k) = (0, None, None, None, None);
        Self { start, video, audio, shift_90k, video_end_90k, shown_end_90k, audio_end, frame_90k }
    }

    /// Goes on behind samples that are in the file already: the ends of both tracks, in their own ticks.
    pub fn resume(mut self, video_end_90k: Option<u64>, audio_end: Option<u64>) -> Self {
        self.video_end_90k = video_end_90k.and_then(|end| i64::try_from(end).ok());
        self.shown_end_90k = self.video_end_90k;
        self.audio_end = audio_end.and_then(|end| i64::try_from(end).ok());
        self
    }

    /// Ends of what is laid, as shown: video, audio.
    pub fn ends(&self) -> [Option<Utc90k>; 2] {
        let rate = self.audio.as_ref().map_or(1, rate);
        let audio = self.audio_end.map(|end| self.start + rescale(end, TICKS_PER_SECOND, rate));
        [self.shown_end_90k.map(|end| self.start + end), audio]
    }

    /// Whether samples of these kinds belong into this chunk. A missing track is no reason to part: pictures may pause,
    /// and missing sound becomes silence.
    pub fn takes(&self, video: Option<VideoCodec>, audio: &[AudioTrack]) -> bool {
        let sound = match &self.audio {
            Some(config) => audio.is_empty() || audio.iter().any(|track| track.config == *config),
            None => audio.is_empty(),
        };
        sound && video.is_none_or(|codec| self.video == Some(codec))
    }

    /// Fragments of `piece` in order. `next_dts_90k` is the run time of the picture behind it, which tells how long
    /// the last one lasts; without it the duration is guessed from the one before.
    pub fn lay(&mut self, piece: &mut Piece, next_dts_90k: Option<i64>) -> Vec<Planned> {
        let to_chunk = piece.offset_90k.saturating_sub(self.start.0);
        let video = match &piece.video {
            Some(track) if !track.samples.is_empty() => self.lay_video(track, to_chunk, next_dts_90k),
            _ => Vec::new(),
        };
        let shown = video.first().map(|first| first.shown_90k).zip(self.shown_end_90k);
        let sound = match self.audio.clone() {
            Some(config) => self.lay_audio(&config, &mut piece.audio, to_chunk, shown),
            None => Vec::new(),
        };
        let rate = self.audio.as_ref().map_or(1, rate);
        if video.is_empty() { alone(sound, rate) } else { together(video, sound, rate) }
    }

    fn lay_video(&mut self, track: &VideoTrack, to_chunk: i64, next_dts_90k: Option<i64>) -> Vec<VideoPart> {
        let samples = &track.samples;
        let natural = |dts_90k: i64, shift_90k| dts_90k.saturating_add(to_chunk).saturating_add(shift_90k);
        let first_dts = samples.first().map_or(0, |sample| sample.dts_90k);
        let floor = self.video_end_90k.unwrap_or(0);
        let short_by = floor.saturating_sub(natural(first_dts, self.shift_90k));
        let first_lasts = samples.get(1).map_or(FRAME_90K, |second| second.dts_90k.saturating_sub(first_dts));
        // A little late because the last duration was guessed: this one gets shorter. More: all decode later.
        if short_by > 0 && (self.video_end_90k.is_none() || short_by >= first_lasts) {
            self.shift_90k += short_by;
        }
        let mut at = floor;
        let times: Vec<i64> = samples
            .iter()
            .map(|sample| {
                let time = natural(sample.dts_90k, self.shift_90k).max(at);
                at = time + 1;
                time
            })
            .collect();
        let next = next_dts_90k.map(|dts| natural(dts, self.shift_90k));

        let mut parts: Vec<VideoPart> = Vec::new();
        let (mut part_start, mut after_gap) = (0, true);
        for (i, (sample, time)) in samples.iter().zip(&times).enumerate() {
            let shown = sample.pts_90k.saturating_add(to_chunk);
            let lasts = times.get(i + 1).copied().or(next).map(|next| next - time);
            let gap = lasts.is_some_and(|lasts| self.is_gap(lasts));
            let duration = match lasts {
                Some(lasts) if lasts > 0 && !gap => lasts,
                _ => self.frame_90k.unwrap_or(FRAME_90K),
            };
            self.frame_90k = Some(duration);
            let out = OutSample {
                duration: u32::try_from(duration).unwrap_or(u32::MAX),
                cts: i32::try_from(shown - time).unwrap_or(0),
                sync: sample.sync,
                data: sample.data.clone(),
            };
            let cut = after_gap || sample.sync || time - part_start >= FRAGMENT_90K;
            match parts.last_mut() {
                Some(part) if !cut => part.run.samples.push(out),
                _ => {
                    part_start = *time;
                    let base = u64::try_from(*time).unwrap_or(0);
                    parts.push(VideoPart { shown_90k: shown, run: PlannedRun { base, samples: vec![out] } });
                }
            }
            after_gap = gap;
            self.video_end_90k = Some(time + duration);
            self.shown_end_90k = self.shown_end_90k.max(Some(shown + duration));
        }
        parts
    }

    /// More than half a second, and unlike what this device does anyway (1 picture a second is a rate, not a gap).
    fn is_gap(&self, lasts_90k: i64) -> bool {
        lasts_90k > GAP_90K && self.frame_90k.is_some_and(|frame| lasts_90k > 3 * frame)
    }

    /// Times of all sound of a segment, silence put where the picture runs and sound does not: hls.js stalls at holes.
    /// `shown` is the segment's picture, from and until.
    fn lay_audio(
        &mut self,
        config: &AudioConfig,
        track: &mut Option<AudioTrack>,
        to_chunk: i64,
        shown: Option<(i64, i64)>,
    ) -> Vec<Timed> {
        let (rate, frame) = (rate(config), i64::from(config.samples_per_frame.max(1)));
        let ticks = |time_90k: i64| rescale(time_90k, rate, TICKS_PER_SECOND);
        let shown = shown.map(|(from, until)| (ticks(from), ticks(until)));
        let silence = aac::silent_frame(config).filter(|_| shown.is_some()).map(|bytes| {
            let track =
                track.get_or_insert_with(|| AudioTrack { config: config.clone(), samples: Vec::new(), es: Vec::new() });
            let from = track.es.len();
            track.es.extend_from_slice(bytes);
            from..track.es.len()
        });
        let half_second = rate / 2;
        let mut line = SoundLine { frame, silence, end: self.audio_end, list: Vec::new() };
        for sample in track.iter().flat_map(|track| &track.samples) {
            let at = ticks(sample.pts_90k.saturating_add(to_chunk));
            let end = match (line.end, shown) {
                (Some(end), _) => end,
                (None, Some((from, _))) if at - from > half_second => from.max(0),
                (None, _) => at.max(0),
            };
            if at < end - frame / 2 {
                continue;
            }
            if let Some((from, until)) = shown
                && at - end >= frame
            {
                line.fill(if from - end > half_second { from } else { end }, at.min(until));
            }
            // Below 2 ms it is rounding: whole frames follow each other without a seam.
            let end = line.end.unwrap_or(end);
            let time = if (at - end).abs() <= rate / 500 { end } else { at };
            line.push(time, sample.data.clone());
        }
        if let Some((from, until)) = shown {
            let end = line.end.unwrap_or(from.max(0));
            if until - end > half_second {
                line.fill(if from - end > half_second { from } else { end }, until);
            }
        }
        self.audio_end = line.end;
        line.finish(half_second)
    }
}

struct VideoPart {
    /// When its first picture is shown.
    shown_90k: i64,
    run: PlannedRun,
}

/// A sound frame at its time.
struct Timed {
    at: i64,
    duration: i64,
    data: Range<usize>,
}

/// Sound frames of one segment, one behind the other.
struct SoundLine {
    frame: i64,
    silence: Option<Range<usize>>,
    /// End of the last frame, of this segment or what was before.
    end: Option<i64>,
    list: Vec<Timed>,
}

impl SoundLine {
    /// The next frame may shorten the one before down to one tick, but not one that is written already.
    fn earliest(&self) -> i64 {
        match (self.list.last(), self.end) {
            (Some(last), _) => last.at + 1,
            (None, Some(end)) => end,
            (None, None) => 0,
        }
    }

    fn push(&mut self, at: i64, data: Range<usize>) {
        let at = at.max(self.earliest());
        self.list.push(Timed { at, duration: self.frame, data });
        self.end = Some(at + self.frame);
    }

    /// Whole silent frames from `from` while they end by `until`.
    fn fill(&mut self, from: i64, until: i64) {
        let Some(silence) = self.silence.clone() else { return };
        let mut at = from;
        while at + self.frame <= until {
            self.push(at, silence.clone());
            at += self.frame;
        }
    }

    /// Each frame lasts until the next, unless that is a gap.
    fn finish(mut self, gap: i64) -> Vec<Timed> {
        for i in 1..self.list.len() {
            if let [before, after] = &mut self.list[i - 1..=i]
                && after.at - before.at <= gap
            {
                before.duration = after.at - before.at;
            }
        }
        self.list
    }
}

/// Sound goes with the pictures it is heard with.
fn together(video: Vec<VideoPart>, sound: Vec<Timed>, rate: i64) -> Vec<Planned> {
    let mut sound = sound.into_iter().peekable();
    let mut starts: Vec<i64> =
        video.iter().skip(1).map(|part| rescale(part.shown_90k, rate, TICKS_PER_SECOND)).collect();
    starts.push(i64::MAX);
    let mut planned = Vec::with_capacity(video.len());
    for (part, until) in video.into_iter().zip(starts) {
        let mut audio = None;
        while let Some(timed) = sound.next_if(|timed| timed.at < until) {
            add(&mut audio, timed);
        }
        planned.push(Planned { video: Some(part.run), audio });
    }
    planned
}

/// Sound without pictures: cut at gaps and at the length of a fragment.
fn alone(sound: Vec<Timed>, rate: i64) -> Vec<Planned> {
    let longest = rescale(FRAGMENT_90K, rate, TICKS_PER_SECOND);
    let mut planned: Vec<Planned> = Vec::new();
    for timed in sound {
        match planned.last_mut().map(|last| &mut last.audio) {
            Some(Some(run)) if run.end() as i64 == timed.at && timed.at - (run.base as i64) < longest => {
                run.samples.push(out_sample(timed));
            }
            _ => {
                let mut audio = None;
                add(&mut audio, timed);
                planned.push(Planned { video: None, audio });
            }
        }
    }
    planned
}

fn add(run: &mut Option<PlannedRun>, timed: Timed) {
    let at = u64::try_from(timed.at).unwrap_or(0);
    let run = run.get_or_insert_with(|| PlannedRun { base: at, samples: Vec::new() });
    // A hole that nothing can fill (no silence for this codec): the frame before it stands until it is over.
    let hole = at.saturating_sub(run.end());
    if let Some(last) = run.samples.last_mut() {
        last.duration = last.duration.saturating_add(u32::try_from(hole).unwrap_or(0));
    }
    run.samples.push(out_sample(timed));
}

fn out_sample(timed: Timed) -> OutSample {
    OutSample { duration: u32::try_from(timed.duration).unwrap_or(1), cts: 0, sync: true, data: timed.data }
}

fn rate(config: &AudioConfig) -> i64 {
    i64::from(config.sample_rate.max(1))
}

/// `value × to ÷ from`, rounded to the nearest.
fn rescale(value: i64, to: i64, from: i64) -> i64 {
    let exact = i128::from(value) * i128::from(to);
    i64::try_from((exact + i128::from(from / 2)).div_euclid(i128::from(from.max(1)))).unwrap_or(i64::MAX)
}
