//! What one minute of a device came to, and the strip of worst states over many minutes. Blocks where it reads.

use std::{collections::HashSet, ops::ControlFlow, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Result},
    media::{mp4::pack::STILL_BYTES_MAX, verdicts::FrameLine},
    playback::{
        previews::{self, PreviewCache},
        verdicts,
    },
    storage::{ChunkEntry, DeviceIndex, Volume, layout::ChunkKey},
};

/// How a device did, in the words of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Ok,
    Ko,
    Unknown,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Ko => "ko",
            Self::Unknown => "unknown",
        }
    }
}

/// Verdicts of one kind, counted; unknown ones count for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub bad: u32,
    pub good: u32,
}

impl Tally {
    fn push(&mut self, is_bad: Option<bool>) {
        match is_bad {
            Some(true) => self.bad += 1,
            Some(false) => self.good += 1,
            None => {}
        }
    }

    /// Bad when one was.
    pub fn worst(self) -> Option<bool> {
        (self.bad + self.good > 0).then_some(self.bad > 0)
    }

    /// Of those known; above 0 as soon as one was bad.
    pub fn bad_percent(self) -> u32 {
        let known = u64::from(self.bad) + u64::from(self.good);
        let percent = (u64::from(self.bad) * 100).checked_div(known).unwrap_or(0);
        u32::try_from(percent).unwrap_or(100).max(u32::from(self.bad > 0))
    }
}

/// A mean that is fed one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn push(&mut self, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            (self.sum, self.count) = (self.sum + value, self.count + 1);
        }
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// What was seen and heard in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub frames: u32,
    pub black: Tally,
    pub freeze: Tally,
    pub silence: Tally,
    volume_db: Mean,
    volume_percent: Mean,
    /// On the disk, in order, with the chunk beside which each lies.
    pub stills: Vec<(Utc90k, ChunkKey)>,
}

impl Seen {
    pub fn push(&mut self, line: &FrameLine) {
        self.frames += 1;
        self.black.push(line.black);
        self.freeze.push(line.freeze);
        self.silence.push(line.audio.map(|audio| !audio));
        self.volume_db.push(line.mean_volume_db.map(f64::from));
        self.volume_percent.push(line.volume_percentage.map(f64::from));
    }

    /// Somebody could say something of a picture or of the sound.
    pub fn is_judged(&self) -> bool {
        [self.black, self.freeze, self.silence].iter().any(|tally| tally.worst().is_some())
    }

    /// To a tenth.
    pub fn mean_volume_db(&self) -> Option<f64> {
        self.volume_db.value().map(|db| (db * 10.0).round() / 10.0)
    }

    pub fn volume_percentage(&self) -> Option<u8> {
        self.volume_percent.value().map(|percent| percent.round().clamp(0.0, 100.0) as u8)
    }
}

/// Where a minute is looked for.
pub struct Minute {
    pub from: Utc90k,
    pub to: Utc90k,
    /// Stills count from here on: where they are rarer than one in a minute, the one before stands.
    pub stills_from: Utc90k,
    /// [Around](previews::around) the minute.
    pub chunks: Vec<Arc<ChunkEntry>>,
}

/// Everything known of a minute. `waiting`: what was not on the disk before this was called.
pub fn look(
    volume: &Volume,
    index: &DeviceIndex,
    cache: &PreviewCache,
    minute: &Minute,
    waiting: Vec<FrameLine>,
) -> Result<Seen> {
    let mut seen = Seen::default();
    // Written meanwhile, a line is there twice and counted once.
    let mut counted: HashSet<(Utc90k, u64)> = HashSet::new();
    for line in &waiting {
        if counted.insert((line.at(), line.frame)) {
            seen.push(line);
        }
    }
    // Frames come in order but for a clock that was set back, and that is no matter for a glance.
    let behind = minute.to + crate::storage::siblings::SLACK_90K;
    for chunk in &minute.chunks {
        let mut each = |line: FrameLine| {
            let at = line.at();
            if at >= behind {
                return ControlFlow::Break(());
            }
            if (minute.from..minute.to).contains(&at) && !counted.contains(&(at, line.frame)) {
                seen.push(&line);
            }
            ControlFlow::Continue(())
        };
        verdicts::lines(volume, index, chunk.key, minute.from, &mut each)?;
        let list = cache.list(volume, index, chunk)?;
        let within = list.iter().map(|still| still.at).filter(|at| (minute.stills_from..minute.to).contains(at));
        seen.stills.extend(within.map(|at| (at, chunk.key)));
    }
    seen.stills.sort_unstable_by_key(|(at, _)| *at);
    Ok(seen)
}

/// The still of that moment beside `key`; None when it went meanwhile.
pub fn still(volume: &Volume, index: &DeviceIndex, key: ChunkKey, at: Utc90k) -> Result<Option<Bytes>> {
    let Some((file, pack)) = previews::open(volume, index, key)? else { return Ok(None) };
    let Some(still) = pack.stills.iter().find(|still| still.at == at) else { return Ok(None) };
    let bytes = usize::try_from(still.bytes).unwrap_or(usize::MAX).min(STILL_BYTES_MAX);
    let mut jpeg = vec![0; bytes];
    file.read_exact_at(&mut jpeg, still.offset).map_err(|source| Error::io("reading", key.file_name(), source))?;
    Ok(Some(jpeg.into()))
}

/// One column of a strip; the later is the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// No footage, or nobody knows.
    Unknown,
    Ok,
    Silence,
    Freeze,
    Black,
    SignalLost,
}

impl Cell {
    pub fn letter(self) -> char {
        match self {
            Self::Unknown => '.',
            Self::Ok => 'o',
            Self::Silence => 's',
            Self::Freeze => 'f',
            Self::Black => 'b',
            Self::SignalLost => 'x',
        }
    }
}

/// The columns that one strip has in common with all others: steps of time, anchored to 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    pub first: Utc90k,
    pub step_90k: i64,
    pub count: usize,
}

impl Columns {
    /// All that [from, to) touches.
    pub fn of(from: Utc90k, to: Utc90k, step_seconds: u32) -> Self {
        let step_90k = i64::from(step_seconds.max(1)) * TICKS_PER_SECOND;
        let (first, behind) = (from.0.div_euclid(step_90k), (to.0 - 1).div_euclid(step_90k) + 1);
        let count = usize::try_from(behind - first).unwrap_or(0);
        Self { first: Utc90k(first * step_90k), step_90k, count }
    }

    pub fn starts(self) -> impl Iterator<Item = Utc90k> {
        (0..self.count as i64).map(move |column| self.first + column * self.step_90k)
    }

    pub fn end(self) -> Utc90k {
        self.first + self.count as i64 * self.step_90k
    }
}

/// The worst of a device in each column.
#[derive(Clone, Debug)]
pub struct Strip {
    columns: Columns,
    cells: Vec<Cell>,
}

impl Strip {
    pub fn new(columns: Columns) -> Self {
        Self { columns, cells: vec![Cell::Unknown; columns.count] }
    }

    /// Something lasted from `from` until `to`; of no length, it still was.
    pub fn mark(&mut self, from: Utc90k, to: Utc90k, cell: Cell) {
        let Columns { first, step_90k, count } = self.columns;
        let column = |ticks: i64| usize::try_from(ticks.div_euclid(step_90k).max(0)).unwrap_or(0).min(count);
        let last = to.0.max(from.0.saturating_add(1)) - 1;
        if last < first.0 {
            return;
        }
        let (from, behind) = (column(from.0 - first.0), (column(last - first.0) + 1).min(count));
        for told in self.cells.get_mut(from..behind).unwrap_or_default() {
            *told = (*told).max(cell);
        }
    }

    /// The footage of a chunk, as far as its holes are known.
    pub fn covered(&mut self, chunk: &ChunkEntry) {
        let mut from = chunk.start;
        for hole in chunk.holes().unwrap_or_default() {
            if hole.start > from {
                self.mark(from, hole.start, Cell::Ok);
            }
            from = from.max(hole.end);
        }
        if chunk.end > from {
            self.mark(from, chunk.end, Cell::Ok);
        }
    }

    /// One letter for each column. Without knowing what incidents there were nothing is well.
    pub fn text(&self, incidents_known: bool) -> String {
        let told = |cell: &Cell| if *cell == Cell::Ok && !incidents_known { Cell::Unknown } else { *cell };
        self.cells.iter().map(|cell| told(cell).letter()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Place, index::Hole, layout::ChunkKey};

    const MINUTE: i64 = 60 * TICKS_PER_SECOND;

    #[test]
    fn a_minute_is_as_bad_as_its_worst_frame_and_unknown_proves_nothing() {
        let line = |number: i64, black: Option<bool>, audio: Option<bool>, db: Option<f32>| FrameLine {
            black,
            audio,
            mean_volume_db: db,
            ..FrameLine::new(Utc90k::from_ms(number * 1000), 1)
        };
        let mut seen = Seen::default();
        assert!(!seen.is_judged());
        seen.push(&line(0, None, None, None));
        assert_eq!((seen.is_judged(), seen.black.worst(), seen.mean_volume_db()), (false, None, None));
        (0..299).for_each(|number| seen.push(&line(number, Some(false), None, Some(-20.0))));
        assert_eq!((seen.is_judged(), seen.black.worst(), seen.black.bad_percent()), (true, Some(false), 0));
        seen.push(&line(300, Some(true), Some(false), Some(f32::NEG_INFINITY)));
        assert_eq!((seen.black.worst(), seen.black.bad_percent()), (Some(true), 1), "seldom is not never");
        assert_eq!((seen.silence.worst(), seen.silence.bad_percent()), (Some(true), 100));
        assert_eq!((seen.freeze.worst(), seen.frames, seen.mean_volume_db()), (None, 301, Some(-20.0)));
    }

    #[test]
    fn columns_are_those_that_the_span_touches() {
        let check = |from: i64, to: i64, step: u32, expected: (i64, usize)| {
            let columns = Columns::of(Utc90k(from), Utc90k(to), step);
            assert_eq!((columns.first.0 / MINUTE, columns.count), expected, "{from}..{to}");
            assert_eq!(columns.starts().count(), columns.count);
        };
        check(0, MINUTE, 60, (0, 1));
        check(1, MINUTE + 1, 60, (0, 2));
        check(5 * MINUTE, 1445 * MINUTE, 60, (5, 1440));
        check(5 * MINUTE, 1445 * MINUTE, 3600, (0, 25));
        check(-1, 1, 60, (-1, 2));
    }

    #[test]
    fn the_worst_of_each_column_wins() {
        let columns = Columns::of(Utc90k(10 * MINUTE), Utc90k(20 * MINUTE), 60);
        let check = |marks: &[(i64, i64, Cell)], expected: &str| {
            let mut strip = Strip::new(columns);
            for &(from, to, cell) in marks {
                strip.mark(Utc90k(from), Utc90k(to), cell);
            }
            assert_eq!(strip.text(true), expected, "{marks:?}");
            assert_eq!(strip.text(false), expected.replace('o', "."), "{marks:?}");
        };
        check(&[], "..........");
        check(&[(0, 100 * MINUTE, Cell::Ok)], "oooooooooo");
        check(&[(0, 10 * MINUTE, Cell::Ok), (20 * MINUTE, 30 * MINUTE, Cell::Ok)], "..........");
        check(&[(11 * MINUTE, 13 * MINUTE, Cell::Ok), (12 * MINUTE + 5, 12 * MINUTE + 6, Cell::Freeze)], ".of.......");
        check(&[(12 * MINUTE, 12 * MINUTE, Cell::Black)], "..b.......");
        check(&[(19 * MINUTE, 99 * MINUTE, Cell::SignalLost), (0, 99 * MINUTE, Cell::Silence)], "sssssssssx");
        check(&[(i64::MIN / 2, i64::MAX / 2, Cell::Black), (0, 99 * MINUTE, Cell::Freeze)], "bbbbbbbbbb");
        check(&[(15 * MINUTE, 14 * MINUTE, Cell::Ok)], ".....o....");
    }

    #[test]
    fn a_hole_in_a_chunk_is_no_footage() {
        let at = |minute: i64| Utc90k(minute * MINUTE);
        let chunk = ChunkEntry {
            key: ChunkKey { start_ms: 600_000, generation: 0 },
            place: Place::Temp,
            start: at(10),
            end: at(20),
            bytes: 1,
            codecs: "".into(),
            gaps: 2,
            holes: Some([Hole { start: at(12), end: at(14) }, Hole { start: at(18), end: at(20) }].into()),
            sealed: true,
            original: false,
        };
        let told = |chunk: &ChunkEntry| {
            let mut strip = Strip::new(Columns::of(at(10), at(20), 60));
            strip.covered(chunk);
            strip.text(true)
        };
        assert_eq!(told(&chunk), "oo..oooo..");
        assert_eq!(told(&ChunkEntry { holes: None, ..chunk }), "oooooooooo");
    }
}
