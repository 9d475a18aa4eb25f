//! One segment by itself: when its samples are shown, what cannot be decoded, where its time base jumps.

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    media::{AudioSample, Segment, VideoTrack},
    merge::lay::Lanes,
};

/// PTS that falls by more was reset; media that would overlap the chunk by more needs a part of its own.
pub const BACKWARD_90K: i64 = TICKS_PER_SECOND;
/// Sound this far from the pictures of its own segment is a broken time stamp, not sound.
const STRAY_90K: i64 = 5 * TICKS_PER_SECOND;
/// Sound may start this much before the first decodable picture; more of it belongs to pictures nobody can see.
const LEAD_SOUND_90K: i64 = TICKS_PER_SECOND / 2;

/// When a segment's samples are shown, in run time.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub first_90k: i64,
    /// Of the pictures, or of the sound where there are none: the moment the segment was complete.
    pub end_90k: i64,
    video_90k: Option<i64>,
    audio_90k: Option<i64>,
}

impl Span {
    /// None without samples.
    pub fn of(segment: &Segment) -> Option<Self> {
        let pictures = segment.video.iter().flat_map(|track| &track.samples).map(|sample| sample.pts_90k);
        let sound = || segment.audio.iter().flat_map(|track| &track.samples).map(|sample| sample.pts_90k);
        let video_90k = pictures.clone().min();
        let audio_90k = sound().min();
        let first_90k = video_90k.into_iter().chain(audio_90k).min()?;
        let end_90k = match pictures.max() {
            Some(last) => last.saturating_add(frame_90k(segment)),
            None => {
                let config = &segment.audio.last()?.config;
                let frame = i64::from(config.samples_per_frame) * TICKS_PER_SECOND;
                sound().max()?.saturating_add(frame / i64::from(config.sample_rate.max(1)))
            }
        };
        Some(Self { first_90k, end_90k, video_90k, audio_90k })
    }

    /// Ticks by which the segment begins before what is laid ends, the worse track; negative for a gap.
    pub fn overlap(&self, chunk: &Lanes, offset_90k: i64) -> i64 {
        let [video_end, audio_end] = chunk.ends();
        let over = |end: Option<Utc90k>, first: Option<i64>| {
            end.zip(first).map(|(end, first)| end.0.saturating_sub(first.saturating_add(offset_90k)))
        };
        // Silence may have been put where late sound belongs: with pictures, theirs is the time that counts.
        over(video_end, self.video_90k).or_else(|| over(audio_end, self.audio_90k)).unwrap_or(i64::MIN)
    }
}

/// Mean distance of the pictures; 30 fps where one cannot tell.
fn frame_90k(segment: &Segment) -> i64 {
    let samples = segment.video.as_ref().map_or(&[][..], |track| &track.samples);
    match (samples.first(), samples.last()) {
        (Some(first), Some(last)) if samples.len() > 1 => {
            let steps = i64::try_from(samples.len() - 1).unwrap_or(1);
            (last.dts_90k.saturating_sub(first.dts_90k) / steps).clamp(1, TICKS_PER_SECOND)
        }
        _ => 3000,
    }
}

/// Pictures a second; 0 without pictures.
pub fn fps(segment: &Segment) -> f64 {
    if segment.video.is_some() { TICKS_PER_SECOND as f64 / frame_90k(segment) as f64 } else { 0.0 }
}

/// Removes what lies before the first key frame; how many pictures that were.
pub fn drop_lead_in(segment: &mut Segment) -> u64 {
    let Some(track) = &mut segment.video else { return 0 };
    let lead_in = track.samples.iter().position(|sample| sample.sync).unwrap_or(track.samples.len());
    if lead_in == 0 {
        return 0;
    }
    track.samples.drain(..lead_in);
    match track.samples.first().map(|sample| sample.pts_90k - LEAD_SOUND_90K) {
        Some(from) => segment.audio.iter_mut().for_each(|track| track.samples.retain(|sample| sample.pts_90k >= from)),
        None => segment.audio.clear(),
    }
    segment.audio.retain(|track| !track.samples.is_empty());
    lead_in as u64
}

/// Removes sound that has nothing to do with the segment's pictures.
fn drop_strays(segment: &mut Segment) {
    let pictures = segment.video.iter().flat_map(|track| &track.samples).map(|sample| sample.pts_90k);
    let Some((first, last)) = pictures.clone().min().zip(pictures.max()) else { return };
    let near = first.saturating_sub(STRAY_90K)..=last.saturating_add(STRAY_90K);
    for track in &mut segment.audio {
        track.samples.retain(|sample| near.contains(&sample.pts_90k));
    }
    segment.audio.retain(|track| !track.samples.is_empty());
}

/// Cuts where a time base was reset inside a segment, so that each part can be tied to the wall clock by itself.
/// Tracks without samples are left out.
pub fn split_at_resets(mut segment: Segment) -> Vec<Segment> {
    segment.video = segment.video.filter(|track| !track.samples.is_empty());
    segment.audio.retain(|track| !track.samples.is_empty());
    let fell = |before: i64, after: i64| after < before.saturating_sub(BACKWARD_90K);
    let video_at = segment.video.as_ref().and_then(|track| {
        track.samples.windows(2).position(|pair| matches!(pair, [a, b] if fell(a.dts_90k, b.dts_90k)))
    });
    let audio_at = |samples: &[AudioSample]| {
        samples.windows(2).position(|pair| matches!(pair, [a, b] if fell(a.pts_90k, b.pts_90k)))
    };
    let sound_falls = segment.audio.iter().any(|track| audio_at(&track.samples).is_some());
    // Sound that jumps while pictures run is a fault of the sound alone.
    if video_at.is_none() && (segment.video.is_some() || !sound_falls) {
        drop_strays(&mut segment);
        return vec![segment];
    }
    let mut rest = Segment::default();
    if let (Some(track), Some(at)) = (&mut segment.video, video_at) {
        let samples = track.samples.split_off(at + 1);
        rest.video = Some(VideoTrack { config: track.config.clone(), samples, es: track.es.clone() });
    }
    for track in &mut segment.audio {
        if let Some(at) = audio_at(&track.samples) {
            let mut after = track.clone();
            after.samples = track.samples.split_off(at + 1);
            rest.audio.push(after);
        }
    }
    drop_strays(&mut segment);
    // Each round leaves at least one sample behind, so this ends.
    let mut parts = vec![segment];
    parts.extend(split_at_resets(rest));
    parts
}
