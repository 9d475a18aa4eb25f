//! One picture of the past: which samples a decoder needs to show it, and those samples as a decoder takes them. Pure.

use std::ops::Range;

use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    media::VideoConfig,
    playback::{FragmentTable, SampleRef, select::GAP_90K},
};

/// Bytes read for one picture: 10 s at 50 Mb/s, more than any camera makes between two key frames.
const BYTES_MAX: u64 = 64 << 20;

/// What makes one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    pub config: VideoConfig,
    /// From a key frame on, in decoding order, ranges of the chunk's file.
    pub bytes: Vec<Range<u64>>,
    /// Which picture of these it is, in display order.
    pub picture: u32,
    /// When it was shown.
    pub shown: Utc90k,
}

/// The key frame at or before `at`; with `exact` the picture that is shown at that moment.
///
/// None when the chunk has none: no video, `at` lies before its first picture, or more than 500 ms behind the last one
/// before a hole. `Unavailable` when it is too far from a key frame.
pub fn shot(table: &FragmentTable, at: Utc90k, exact: bool) -> Result<Option<Shot>> {
    let Some(config) = &table.tracks.video else { return Ok(None) };
    let wall = |sample: &SampleRef| table.wall(&table.video, sample.pts());
    let is_shown = |sample: &SampleRef| wall(sample) <= at;
    // Newest first: the fragment that holds the moment is looked at, and mostly none before it.
    let mut behind: Vec<Vec<SampleRef>> = Vec::new();
    let mut is_first = true;
    for fragment in table.fragments().rev() {
        let Some(run) = fragment.video.filter(|_| fragment.start <= at) else { continue };
        if std::mem::take(&mut is_first) && at - fragment.end > GAP_90K {
            return Ok(None);
        }
        let samples: Vec<SampleRef> = run.samples().collect();
        let Some(key) = samples.iter().rposition(|sample| sample.sync && is_shown(sample)) else {
            behind.push(samples);
            continue;
        };
        let newer = behind.into_iter().rev().flatten();
        let mut fed: Vec<SampleRef> = samples.into_iter().skip(key).chain(newer).collect();
        // Pictures that follow a key frame but are shown before it (H.265 CRA) need what came before: a decoder that
        // begins here leaves them out, and so must the count. Nothing after them refers to them.
        let first_shown = fed.first().map_or(0, SampleRef::pts);
        fed.retain(|sample| sample.pts() >= first_shown);
        let target = if exact { target(&fed, is_shown) } else { 0 };
        let fed = fed.get(..=target).unwrap_or_default();
        let Some(last) = fed.last() else { return Ok(None) };
        let before = fed.iter().filter(|sample| sample.pts() < last.pts()).count();
        return Ok(Some(Shot {
            config: config.clone(),
            bytes: ranges(fed)?,
            picture: u32::try_from(before).unwrap_or(u32::MAX),
            shown: wall(last),
        }));
    }
    Ok(None)
}

/// Which of these is on the screen: the latest of those that are shown already.
fn target(samples: &[SampleRef], is_shown: impl Fn(&SampleRef) -> bool) -> usize {
    let shown = samples.iter().enumerate().filter(|(_, sample)| is_shown(sample));
    shown.max_by_key(|(_, sample)| sample.pts()).map_or(0, |(place, _)| place)
}

/// Samples that lie side by side become one range.
fn ranges(samples: &[SampleRef]) -> Result<Vec<Range<u64>>> {
    let mut out: Vec<Range<u64>> = Vec::new();
    for sample in samples {
        let end = sample.offset + u64::from(sample.size);
        match out.last_mut() {
            Some(last) if last.end == sample.offset => last.end = end,
            _ => out.push(sample.offset..end),
        }
    }
    if out.iter().map(|range| range.end - range.start).sum::<u64>() > BYTES_MAX {
        return Err(Error::new(Kind::Unavailable, "the picture is too far from a key frame; ask without exact"));
    }
    Ok(out)
}

/// The elementary stream that a decoder takes: parameter sets, then `samples` with start codes in place of the 4-byte
/// lengths. `Corrupt` when the lengths do not add up.
pub fn elementary_stream(config: &VideoConfig, samples: &[u8]) -> Result<Vec<u8>> {
    const START_CODE: [u8; 4] = [0, 0, 0, 1];
    let sets: usize = config.parameter_sets.iter().map(|set| set.len() + START_CODE.len()).sum();
    let mut out = Vec::with_capacity(sets + samples.len());
    for set in &config.parameter_sets {
        out.extend_from_slice(&START_CODE);
        out.extend_from_slice(set);
    }
    let mut rest = samples;
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let unit = behind.split_at_checked(u32::from_be_bytes(*len) as usize);
        let (unit, next) = unit.ok_or_else(|| Error::new(Kind::Corrupt, "a NAL unit leaves its sample"))?;
        out.extend_from_slice(&START_CODE);
        out.extend_from_slice(unit);
        rest = next;
    }
    if !rest.is_empty() {
        return Err(Error::new(Kind::Corrupt, "bytes behind the last NAL unit"));
    }
    Ok(out)
}
