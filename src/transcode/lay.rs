//! Lays encoded GOPs into the successor: each picture at the source's time, each sound where and as it was.

use std::{collections::VecDeque, fs::File, ops::Range};

use crate::{
    clock::TICKS_PER_SECOND,
    error::Error,
    media::{
        VideoTrack,
        mp4::{Fragment, OutSample, TrackRun, read_full},
    },
    playback::{FragmentTable, SampleRef, Track},
};

use super::{
    Failure, Reason,
    source::{Plan, blame},
};

/// Sound so close to pictures goes with them, as when it was recorded.
const NEAR_90K: i64 = TICKS_PER_SECOND / 2;
/// Sound by itself is cut after so long.
const SOUND_SECONDS: u64 = 10;

/// Consecutive samples with their bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub base: u64,
    pub samples: Vec<OutSample>,
    pub es: Vec<u8>,
}

impl Run {
    fn as_run(&self) -> TrackRun<'_> {
        TrackRun { base: self.base, samples: &self.samples, es: &self.es }
    }

    fn end(&self) -> u64 {
        self.base + self.samples.iter().map(|sample| u64::from(sample.duration)).sum::<u64>()
    }

    /// A fragment of sound alone.
    pub fn alone(&self) -> Fragment<'_> {
        Fragment { video: None, audio: Some(self.as_run()) }
    }
}

/// One GOP with its sound, and sound that stands alone before and after it.
#[derive(Debug, Default)]
pub struct Laid {
    pub before: Vec<Run>,
    pub video: Timed,
    pub sound: Option<Run>,
    pub after: Vec<Run>,
}

impl Laid {
    /// `es`: of the pictures.
    pub fn fragment<'a>(&'a self, es: &'a [u8]) -> Fragment<'a> {
        let video = TrackRun { base: self.video.base, samples: &self.video.samples, es };
        Fragment { video: Some(video), audio: self.sound.as_ref().map(Run::as_run) }
    }
}

/// The pictures of a GOP at their times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timed {
    pub base: u64,
    pub samples: Vec<OutSample>,
}

/// How far the successor is.
pub struct Layer<'a> {
    pictures: Pictures<'a>,
    sound: Sound<'a>,
}

impl<'a> Layer<'a> {
    pub fn new(plan: &'a Plan, table: &'a FragmentTable, file: &'a File) -> Self {
        Self { pictures: Pictures::new(plan), sound: Sound::new(&table.audio, file) }
    }

    pub fn lay(&mut self, gop: &VideoTrack) -> Result<Laid, Failure> {
        let place = self.pictures.take(gop)?;
        let before = self.sound.until(Some(place.from - NEAR_90K))?;
        let mut after = self.sound.until(Some(place.sound_until))?.into_iter();
        Ok(Laid { before, video: place.video, sound: after.next(), after: after.collect() })
    }

    /// Sound behind the last picture. `Frames` when pictures are missing.
    pub fn finish(&mut self) -> Result<Vec<Run>, Failure> {
        let missing = self.pictures.plan.shown.len() - self.pictures.at;
        if missing > 0 {
            return Err(Failure::new(Reason::Frames, format!("{missing} pictures are missing at the end")));
        }
        self.sound.until(None)
    }

    /// Pictures laid so far.
    pub fn pictures(&self) -> usize {
        self.pictures.at
    }
}

struct Pictures<'a> {
    plan: &'a Plan,
    /// Index of the next one.
    at: usize,
    /// Of the stretch it is in.
    stretch: usize,
    /// From the source's time to that of the encoder's output; told by the first GOP.
    offset_90k: Option<i64>,
}

struct Place {
    video: Timed,
    from: i64,
    sound_until: i64,
}

impl<'a> Pictures<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self { plan, at: 0, stretch: 0, offset_90k: None }
    }

    fn take(&mut self, gop: &VideoTrack) -> Result<Place, Failure> {
        let count = gop.samples.len();
        let mut order: Vec<i64> = gop.samples.iter().map(|sample| sample.pts_90k).collect();
        order.sort_unstable();
        let Some(shown) = self.plan.shown.get(self.at..self.at + count).filter(|shown| !shown.is_empty()) else {
            return Err(Failure::new(Reason::Frames, "more pictures than the source has"));
        };
        let (from, offset_90k) = match (shown.first(), order.first()) {
            (Some(shown), Some(found)) => (*shown, *self.offset_90k.get_or_insert(found - shown)),
            _ => return Err(Failure::new(Reason::Frames, "a GOP without pictures")),
        };
        let strays = order.iter().zip(shown).position(|(found, shown)| found - offset_90k != *shown);
        if let Some(at) = strays {
            let message = format!("picture {} of the source is missing, or is shown at another time", self.at + at);
            return Err(Failure::new(Reason::Frames, message));
        }
        if !gop.samples.first().is_some_and(|first| first.sync) {
            return Err(Failure::new(Reason::Structure, "a GOP without a key frame"));
        }
        let until = self.at + count;
        let Some(stretch) = self.plan.stretches.get(self.stretch).filter(|stretch| stretch.until >= until) else {
            return Err(Failure::new(Reason::Structure, "no key frame after a gap"));
        };
        let is_last = stretch.until == until;
        let next = self.plan.shown.get(until).copied();
        let end = next.filter(|_| !is_last).unwrap_or(stretch.end_90k);
        let sound_until = match next {
            Some(next) if is_last => (end + NEAR_90K).min(next - NEAR_90K).max(end),
            Some(next) => next,
            None => end + NEAR_90K,
        };
        let pts: Vec<i64> = gop.samples.iter().map(|sample| sample.pts_90k - offset_90k).collect();
        let times = decode_times(shown, &pts, end, is_last);
        let samples = gop.samples.iter().zip(pts).zip(times.iter().zip(times.iter().skip(1)));
        let samples = samples.map(|((sample, pts), (at, next))| OutSample {
            duration: u32::try_from(next - at).unwrap_or(u32::MAX),
            cts: i32::try_from(pts - at).unwrap_or(0),
            sync: sample.sync,
            data: sample.data.clone(),
        });
        let video = Timed { base: u64::try_from(from).unwrap_or(0), samples: samples.collect() };
        self.at = until;
        self.stretch += usize::from(is_last);
        Ok(Place { video, from, sound_until })
    }
}

/// When each picture of a GOP is decoded, and the end. The n-th is decoded when the n-th is shown: what an encoder would
/// say reaches back over the gap before a GOP, and the jump of decode time is what tells of the gap. Where the pictures end,
/// none may seem to last longer than the last one does.
fn decode_times(shown: &[i64], pts: &[i64], end: i64, is_last: bool) -> Vec<i64> {
    let mut times = Vec::with_capacity(shown.len() + 1);
    times.extend_from_slice(shown);
    times.push(end);
    if is_last {
        for (at, pts) in pts.iter().enumerate() {
            let latest = times.get(at).map(|time| time + (end - pts).max(1));
            if let Some((next, latest)) = times.get_mut(at + 1).zip(latest) {
                *next = (*next).min(latest);
            }
        }
    }
    times
}

/// The source's sound, read run by run.
struct Sound<'a> {
    track: &'a Track,
    file: &'a File,
    run: usize,
    /// Of the run that was read last.
    samples: VecDeque<SampleRef>,
    bytes: Vec<u8>,
    bytes_at: u64,
}

impl<'a> Sound<'a> {
    fn new(track: &'a Track, file: &'a File) -> Self {
        Self { track, file, run: 0, samples: VecDeque::new(), bytes: Vec::new(), bytes_at: 0 }
    }

    /// What begins before `until_90k`, cut at holes and into pieces that a reader can hold.
    fn until(&mut self, until_90k: Option<i64>) -> Result<Vec<Run>, Failure> {
        let rate = u64::from(self.track.rate());
        let until = until_90k.map(|until| u64::try_from(until.max(0)).unwrap_or(0).saturating_mul(rate) / 90_000);
        let mut out: Vec<Run> = Vec::new();
        while let Some(sample) = self.next(until)? {
            let bytes = self.bytes.get(self.range(&sample)).unwrap_or_default();
            let follows = |run: &&mut Run| run.end() == sample.dts && sample.dts - run.base < SOUND_SECONDS * rate;
            if out.last_mut().filter(|run| follows(run)).is_none() {
                out.push(Run { base: sample.dts, ..Run::default() });
            }
            if let Some(run) = out.last_mut() {
                let from = run.es.len();
                run.es.extend_from_slice(bytes);
                let data = from..run.es.len();
                run.samples.push(OutSample { duration: sample.duration, cts: 0, sync: true, data });
            }
        }
        Ok(out)
    }

    fn next(&mut self, until: Option<u64>) -> Result<Option<SampleRef>, Failure> {
        while self.samples.is_empty() {
            let Some(run) = self.track.run(self.run) else { return Ok(None) };
            self.run += 1;
            let range = run.bytes();
            self.bytes_at = range.start;
            self.bytes.resize(usize::try_from(range.end - range.start).unwrap_or(usize::MAX), 0);
            let read = read_full(self.file, &mut self.bytes, range.start);
            let read = read.map_err(|error| blame(Error::io("reading the sound", "", error)))?;
            if read < self.bytes.len() {
                return Err(Failure::new(Reason::Source, "it is shorter than its table says"));
            }
            self.samples.extend(run.samples());
        }
        let is_due = self.samples.front().is_some_and(|next| until.is_none_or(|until| next.dts < until));
        Ok(if is_due { self.samples.pop_front() } else { None })
    }

    fn range(&self, sample: &SampleRef) -> Range<usize> {
        let from = usize::try_from(sample.offset.saturating_sub(self.bytes_at)).unwrap_or(usize::MAX);
        from..from.saturating_add(sample.size as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::source::Stretch, *};
    use crate::media::VideoSample;

    fn gop(pts: &[i64]) -> VideoTrack {
        let samples = pts.iter().enumerate().map(|(index, &pts_90k)| VideoSample {
            pts_90k,
            dts_90k: 0,
            sync: index == 0,
            data: index..index + 1,
        });
        VideoTrack { samples: samples.collect(), ..VideoTrack::default() }
    }

    fn plan(shown: &[i64], stretches: &[(usize, i64)]) -> Plan {
        let stretches = stretches.iter().map(|&(until, end_90k)| Stretch { until, end_90k }).collect();
        Plan { shown: shown.to_vec(), stretches, ..Plan::default() }
    }

    /// Decode time, duration, offset of each.
    fn times(video: &Timed) -> Vec<(u64, u32, i32)> {
        let mut at = video.base;
        let each = video.samples.iter().map(|sample| {
            let told = (at, sample.duration, sample.cts);
            at += u64::from(sample.duration);
            told
        });
        each.collect()
    }

    #[test]
    fn pictures_stand_where_they_did_and_gaps_are_jumps() {
        // The encoder's times are 7 ticks later; its B-frames come after what they need.
        let plan = plan(&[100, 200, 300, 350, 100_000, 100_100], &[(4, 450), (6, 100_200)]);
        let mut pictures = Pictures::new(&plan);
        let first = pictures.take(&gop(&[107, 357, 207, 307])).unwrap();
        assert_eq!(times(&first.video), [(100, 100, 0), (200, 100, 150), (300, 50, -100), (350, 100, -50)]);
        assert_eq!((first.from, first.sound_until), (100, 450 + NEAR_90K));
        let second = pictures.take(&gop(&[100_007, 100_107])).unwrap();
        assert_eq!(times(&second.video), [(100_000, 100, 0), (100_100, 100, 0)]);
        assert_eq!(second.sound_until, 100_200 + NEAR_90K);
    }

    #[test]
    fn what_is_not_the_source_is_refused() {
        let plan = plan(&[0, 100, 200, 90_000], &[(3, 300), (4, 90_100)]);
        let check = |pts: &[i64], reason| {
            let found = Pictures::new(&plan).take(&gop(pts)).err().map(|failure| failure.reason);
            assert_eq!(found, Some(reason), "{pts:?}");
        };
        check(&[0, 100, 201], Reason::Frames);
        check(&[0, 200], Reason::Frames);
        check(&[0, 0], Reason::Frames);
        check(&[], Reason::Frames);
        check(&[0, 100, 200, 90_000, 90_100], Reason::Frames);
        check(&[0, 100, 200, 90_000], Reason::Structure);
        let mut headless = gop(&[0, 100]);
        headless.samples[0].sync = false;
        let found = Pictures::new(&plan).take(&headless).err().map(|failure| failure.reason);
        assert_eq!(found, Some(Reason::Structure));
    }

    proptest::proptest! {
        /// Whatever the rate and the order, decode times only grow and nothing ends after the end.
        #[test]
        fn decode_times_grow_and_end_with_the_pictures(
            steps in proptest::collection::vec(1i64..5000, 1..20),
            own in 1i64..5000,
            seed: u64,
        ) {
            let mut at = 0;
            let shown: Vec<i64> = steps.iter().map(|step| { at += step; at }).collect();
            let end = at + own;
            let mut pts = shown.clone();
            for index in (2..pts.len()).rev() {
                pts.swap(index, 1 + (seed as usize).wrapping_mul(index) % index);
            }
            let times = decode_times(&shown, &pts, end, true);
            proptest::prop_assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
            for (pts, pair) in pts.iter().zip(times.windows(2)) {
                proptest::prop_assert!(pts + pair[1] - pair[0] <= end);
            }
            proptest::prop_assert_eq!(times[0], shown[0]);
        }
    }
}
