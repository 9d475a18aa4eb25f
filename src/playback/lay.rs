//! Lays samples of several chunks one behind the other on one movie's timeline: tables, sample entries, edit lists.

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::Result,
    media::{
        AudioConfig, VideoConfig,
        mp4::{
            movie::{Edit, Movie, MovieTrack},
            table::{Run, Sample},
        },
    },
    playback::{fragments::FragmentTable, virtual_mp4::Part},
};

const VIDEO_RATE: u32 = TICKS_PER_SECOND as u32;

/// Media time is wall time since `origin`, less what is skipped, plus what had to be pushed.
pub(super) struct Layer {
    origin: Utc90k,
    video: Track<VideoConfig>,
    audio: Track<AudioConfig>,
    /// Footage whose labels overlap (the clock was set back) follows what is there; both tracks move together.
    pushed_90k: i64,
    /// Of the fragment laid last: media time less wall time since `origin`.
    moved_90k: i64,
}

/// A part of a run and where it lies behind the head.
type Placed<'a, 'p> = Option<(&'p Part<'a>, u64)>;

impl Layer {
    /// `sources`: all that will be laid; the first with sound decides the time scale of sound.
    pub fn new(origin: Utc90k, sources: &[&FragmentTable]) -> Self {
        let rate = sources.iter().find(|table| table.tracks.audio.is_some()).map_or(1, |table| table.audio.rate());
        Self { origin, video: Track::new(VIDEO_RATE), audio: Track::new(rate), pushed_90k: 0, moved_90k: 0 }
    }

    /// By how much what was laid last comes later in the movie than on the wall.
    pub fn moved_90k(&self) -> i64 {
        self.moved_90k
    }

    /// One fragment. Fragments come in the order of time; `skipped_90k` only grows.
    pub fn lay(&mut self, table: &FragmentTable, video: Placed, audio: Placed, skipped_90k: i64) -> Result<()> {
        let rest_90k = table.meta.start - self.origin;
        self.moved_90k = self.pushed_90k - skipped_90k;
        let runs = |layer: &Self| {
            let at_90k = rest_90k + layer.moved_90k;
            [
                video.map(|(part, offset)| layer.video.run(part, offset, VIDEO_RATE, at_90k)),
                audio.map(|(part, offset)| layer.audio.run(part, offset, table.audio.rate(), at_90k)),
            ]
        };
        let [v, a] = runs(self);
        let late_90k = self.video.overlap_90k(v.as_ref()).max(self.audio.overlap_90k(a.as_ref()));
        self.pushed_90k += late_90k;
        self.moved_90k += late_90k;
        let [v, a] = if late_90k > 0 { runs(self) } else { [v, a] };
        if let (Some(run), Some(config)) = (v, &table.tracks.video) {
            self.video.push(run, config)?;
        }
        if let (Some(run), Some(config)) = (a, &table.tracks.audio) {
            self.audio.push(run, config)?;
        }
        Ok(())
    }

    /// `start`: moment of movie time 0. `first_picture`: moment of the picture shown first.
    pub fn finish(mut self, start: Utc90k, end: Utc90k, first_picture: Option<Utc90k>) -> Result<Movie> {
        let zero_90k = start - self.origin;
        let end_90k = end - self.origin + self.moved_90k;
        let seen_90k = first_picture.map_or(zero_90k, |first| first - self.origin);
        Ok(Movie {
            start_ms: start.as_ms(),
            video: self.video.finish(zero_90k, seen_90k, end_90k)?,
            audio: self.audio.finish(zero_90k, zero_90k, end_90k)?,
        })
    }
}

struct Track<C> {
    movie: MovieTrack<C>,
    /// Sample entry in force, counted from 1; 0 before the first.
    entry: usize,
    /// Held back, because the very last sample gets another duration.
    last: Option<Run>,
    usual: u32,
}

impl<C: Clone + PartialEq> Track<C> {
    fn new(timescale: u32) -> Self {
        let movie = MovieTrack { table: Default::default(), timescale, configs: Vec::new(), edits: Vec::new() };
        Self { movie, entry: 0, last: None, usual: 0 }
    }

    /// `part` in media time, `at_90k` being that of its chunk's start. Rounded once a run, so that its samples keep
    /// their distances.
    fn run(&self, part: &Part<'_>, offset: u64, rate: u32, at_90k: i64) -> Run {
        let scale = self.movie.timescale;
        let base = i128::from(rescale(part.base, rate, scale)) + rounded(at_90k, scale);
        let duration = |dts: u64, duration: u32| match rate == scale {
            true => duration,
            false => {
                let end = rescale(dts.saturating_add(u64::from(duration)), rate, scale);
                u32::try_from(end.saturating_sub(rescale(dts, rate, scale))).unwrap_or(u32::MAX)
            }
        };
        let samples = part.samples().map(|sample| Sample {
            size: sample.size,
            duration: duration(sample.dts, sample.duration),
            cts: sample.cts,
            sync: sample.sync,
        });
        Run { base: u64::try_from(base).unwrap_or(0), offset, samples: samples.collect() }
    }

    /// By how much `run` must come later to follow what is there.
    fn overlap_90k(&self, run: Option<&Run>) -> i64 {
        let (Some(last), Some(run)) = (&self.last, run) else { return 0 };
        let last_duration = last.samples.last().map_or(0, |sample| u64::from(sample.duration));
        if run.base > last.end().saturating_sub(last_duration) {
            return 0;
        }
        let late = u128::from(last.end().saturating_sub(run.base));
        let late_90k = (late * TICKS_PER_SECOND as u128).div_ceil(u128::from(self.movie.timescale));
        i64::try_from(late_90k).unwrap_or(i64::MAX)
    }

    fn push(&mut self, run: Run, config: &C) -> Result<()> {
        self.flush()?;
        let known = self.movie.configs.iter().position(|known| known == config);
        let entry = 1 + known.unwrap_or_else(|| {
            self.movie.configs.push(config.clone());
            self.movie.configs.len() - 1
        });
        if entry != self.entry {
            self.entry = entry;
            self.movie.table.switch_entry(u32::try_from(entry).unwrap_or(u32::MAX));
        }
        self.last = Some(run);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Some(run) = self.last.take() else { return Ok(()) };
        self.movie.table.check(&run)?;
        self.movie.table.push(&run);
        if let [first, _, ..] = run.samples.as_slice() {
            self.usual = first.duration;
        }
        Ok(())
    }

    /// None without samples. `seen_90k`: when the first sample that counts is shown.
    fn finish(&mut self, zero_90k: i64, seen_90k: i64, end_90k: i64) -> Result<Option<MovieTrack<C>>> {
        // How long the very last sample lasts depends on what follows it: guessed while its chunk grows, known later.
        // What came before it does not change.
        if let Some(run) = &mut self.last {
            let usual = match run.samples.as_slice() {
                [.., before, _] => before.duration,
                _ => self.usual,
            };
            if let Some(last) = run.samples.last_mut().filter(|_| usual > 0) {
                last.duration = usual;
            }
        }
        self.flush()?;
        let table = &self.movie.table;
        if table.is_empty() {
            return Ok(None);
        }
        let scale = self.movie.timescale;
        let to_ticks = |ticks_90k: i64| u64::try_from(rounded(ticks_90k, scale)).unwrap_or(0);
        let to_90k = |ticks: u64| i64::try_from(rescale_up(ticks, scale, VIDEO_RATE)).unwrap_or(i64::MAX);
        // Sound may begin behind the first picture, pictures may begin behind a gap.
        let from = to_ticks(seen_90k).max(table.first_shown());
        let from_90k = seen_90k.max(to_90k(table.first_shown()));
        let until_90k = end_90k.min(to_90k(table.shown_until()));
        let wait_90k = u64::try_from(from_90k - zero_90k).unwrap_or(0);
        let media_time = (from + u64::from(table.cts_shift())).saturating_sub(table.start());
        let shown = Edit {
            duration_90k: u64::try_from(until_90k.saturating_sub(from_90k)).unwrap_or(0),
            media_time: Some(media_time),
        };
        // A tick is rounding.
        let wait = (wait_90k > 1).then_some(Edit { duration_90k: wait_90k, media_time: None });
        self.movie.edits = wait.into_iter().chain([shown]).collect();
        Ok(Some(MovieTrack {
            table: std::mem::take(&mut self.movie.table),
            timescale: scale,
            configs: std::mem::take(&mut self.movie.configs),
            edits: std::mem::take(&mut self.movie.edits),
        }))
    }
}

fn rescale(ticks: u64, from: u32, to: u32) -> u64 {
    if from == to {
        return ticks;
    }
    let scaled = u128::from(ticks) * u128::from(to) / u128::from(from.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

fn rescale_up(ticks: u64, from: u32, to: u32) -> u64 {
    let scaled = (u128::from(ticks) * u128::from(to)).div_ceil(u128::from(from.max(1)));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// 90 kHz ticks in ticks of `scale`, to the nearest.
fn rounded(ticks_90k: i64, scale: u32) -> i128 {
    (i128::from(ticks_90k) * i128::from(scale) + i128::from(TICKS_PER_SECOND) / 2)
        .div_euclid(i128::from(TICKS_PER_SECOND))
}
