//! Cuts a span out of chunks as an MP4 that exists only while it is read: a head made here, then bytes of the chunks.
//!
//! Pure: fragment tables in, head and byte ranges out. The same footage gives the same bytes, whether its chunks still
//! grow or are sealed.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    media::VideoCodec,
    playback::{
        Hole,
        fragments::{FragmentRef, FragmentTable},
        lay::Layer,
        select::GAP_90K,
        track::{RunRef, SampleRef},
    },
};

/// Bytes between two wanted ranges that are sent along rather than left out: the `moof` of 10 s fits, so that a clip
/// is one slice a chunk and not one a fragment.
const BRIDGE_BYTES: u64 = 8 << 10;

/// What becomes of gaps inside the span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Gaps {
    /// Movie time stays wall time: the last picture stands until the next one.
    #[default]
    Keep,
    /// The movie goes on with the next picture.
    Skip,
}

/// What to cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cut {
    /// Pictures whose time lies in it; sound from the first picture to the end.
    pub span: Range<Utc90k>,
    pub gaps: Gaps,
    /// Leave out the video.
    pub sound_only: bool,
}

/// A chunk, and from when to when it counts.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    pub table: &'a FragmentTable,
    pub window: Range<Utc90k>,
}

/// A stretch of the virtual file that is a stretch of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which of the sources.
    pub source: usize,
    pub range: Range<u64>,
    /// Where it begins behind the head.
    pub at: u64,
}

#[derive(Clone, Debug)]
pub struct VirtualMp4 {
    /// Everything before the first piece.
    pub head: Bytes,
    /// In the order of the virtual file, without holes.
    pub pieces: Vec<Piece>,
    /// Bytes behind the head.
    pub media_len: u64,
    /// Of movie time 0.
    pub start: Utc90k,
    /// Shown pictures and heard frames of sound.
    pub frames: [usize; 2],
    /// Where the pictures begin, and where they go on in another codec.
    pub turns: Vec<Turn>,
    /// By how much the first sound comes later in the movie than on the wall.
    pub sound_moved_90k: i64,
}

/// Pictures of this codec from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub codec: VideoCodec,
    /// Which of the sources is the first.
    pub source: usize,
    /// By how much they come later in the movie than on the wall: what was skipped, or pushed.
    pub moved_90k: i64,
}

/// None when no picture (no sound, where none is wanted or there) lies in the span.
///
/// `sources` are in the order of time; `gaps` are the holes of more than [`GAP_90K`] between and inside them.
pub fn cut(sources: &[Source<'_>], gaps: &[Hole], wish: &Cut) -> Result<Option<VirtualMp4>> {
    let mut chosen: Vec<Chosen> = Vec::with_capacity(sources.len());
    let mut first_picture = None;
    for source in sources {
        let of_this =
            if wish.sound_only { Chosen::default() } else { Chosen::pictures(source, first_picture.is_none()) };
        first_picture = first_picture.or(of_this.first_shown);
        chosen.push(of_this);
    }
    let first_sound = || sources.iter().find_map(first_sound);
    let Some(first) = first_picture.or_else(first_sound) else { return Ok(None) };
    // A span that begins inside a gap begins with nothing, unless gaps are skipped.
    let waits = wish.gaps == Gaps::Keep && first - wish.span.start > GAP_90K;
    let start = if waits { wish.span.start } else { first };
    let mut is_first = true;
    for (chosen, source) in chosen.iter_mut().zip(sources) {
        chosen.add_sound(source, start, &mut is_first);
    }
    let pieces = pieces(&chosen);
    let used = || sources.iter().zip(&chosen).enumerate().filter(|(_, (_, chosen))| !chosen.fragments.is_empty());
    let tables: Vec<_> = used().map(|(_, (source, _))| source.table).collect();
    let Some(origin) = tables.first().map(|table| table.meta.start) else { return Ok(None) };
    let mut layer = Layer::new(origin, &tables);
    let (mut turns, mut sound_moved_90k) = (Vec::<Turn>::new(), None);
    for (index, (source, chosen)) in used() {
        for fragment in &chosen.fragments {
            // Sound may begin a little before the picture: what lies behind the middle of a gap is behind the gap.
            let is_behind = |gap: &&Hole| gap.start >= start && gap.start + (gap.end - gap.start) / 2 <= fragment.start;
            let skipped_90k = match wish.gaps {
                Gaps::Keep => 0,
                Gaps::Skip => gaps.iter().filter(is_behind).map(|gap| gap.end - gap.start).sum(),
            };
            let [video, audio] = [&fragment.video, &fragment.audio].map(|part| {
                let part = part.as_ref()?;
                Some((part, placed(&pieces, index, part.offset)?))
            });
            layer.lay(source.table, video, audio, skipped_90k)?;
            let moved_90k = layer.moved_90k();
            if audio.is_some() {
                sound_moved_90k.get_or_insert(moved_90k);
            }
            if let Some(config) = source.table.tracks.video.as_ref().filter(|_| video.is_some())
                && turns.last().is_none_or(|turn| turn.codec != config.codec)
            {
                turns.push(Turn { codec: config.codec, source: index, moved_90k });
            }
        }
    }
    let media_len = pieces.last().map_or(0, |piece| piece.at + len(&piece.range));
    let movie = layer.finish(start, wish.span.end, first_picture)?;
    let head = movie.head(media_len).ok_or_else(|| Error::new(Kind::Corrupt, "unusable parameter sets"))?;
    let frames = [chosen.iter().map(|chosen| chosen.shown).sum(), chosen.iter().map(|chosen| chosen.heard).sum()];
    let sound_moved_90k = sound_moved_90k.unwrap_or(0);
    Ok(Some(VirtualMp4 { head: head.into(), pieces, media_len, start, frames, turns, sound_moved_90k }))
}

/// Consecutive samples of one run.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    run: RunRef<'a>,
    which: Range<usize>,
    /// Decode time of the first, ticks of the track since the chunk's start.
    pub base: u64,
    /// Where it lies in the chunk.
    pub offset: u64,
    bytes: u64,
}

impl<'a> Part<'a> {
    fn of(run: RunRef<'a>, which: Range<usize>) -> Option<Self> {
        if which == (0..run.len()) {
            let bytes = run.bytes();
            return Some(Self { run, which, base: run.base(), offset: bytes.start, bytes: len(&bytes) });
        }
        let mut samples = run.samples().skip(which.start).take(which.len());
        let first = samples.next()?;
        let bytes = samples.fold(u64::from(first.size), |bytes, sample| bytes + u64::from(sample.size));
        Some(Self { run, which, base: first.dts, offset: first.offset, bytes })
    }

    pub fn samples(&self) -> impl Iterator<Item = SampleRef> + 'a {
        self.run.samples().skip(self.which.start).take(self.which.len())
    }

    fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes
    }
}

/// What of one fragment goes into the file.
#[derive(Debug)]
struct Kept<'a> {
    index: usize,
    start: Utc90k,
    video: Option<Part<'a>>,
    audio: Option<Part<'a>>,
}

impl Kept<'_> {
    fn of(fragment: &FragmentRef<'_>) -> Self {
        Self { index: fragment.index, start: fragment.start, video: None, audio: None }
    }
}

/// What of one chunk goes into the file.
#[derive(Debug, Default)]
struct Chosen<'a> {
    fragments: Vec<Kept<'a>>,
    /// Time of the earliest picture in the span.
    first_shown: Option<Utc90k>,
    shown: usize,
    heard: usize,
}

impl<'a> Chosen<'a> {
    /// Pictures in the window, in decoding order. The first source goes back to the key frame before, which the edit list
    /// hides; in the others nothing could hide it, so they begin with one.
    fn pictures(source: &Source<'a>, is_first: bool) -> Self {
        let Source { table, window } = source;
        let mut out = Self::default();
        // (fragment, sample), in decoding order.
        let (mut key, mut from, mut to) = ((0, 0), None, (0, 0));
        for fragment in table.fragments().take_while(|fragment| fragment.start < window.end) {
            let Some(run) = fragment.video else { continue };
            if run.begins_with_sync() && from.is_none() {
                key = (fragment.index, 0);
            }
            if fragment.end <= window.start {
                continue;
            }
            // All of it, as nearly all fragments of a long clip: no sample need be looked at.
            if from.is_some() && fragment.start >= window.start && fragment.end <= window.end {
                to = (fragment.index, run.len());
                out.shown += run.len();
                out.first_shown = out.first_shown.map(|first| first.min(fragment.start));
                continue;
            }
            for (number, sample) in run.samples().enumerate() {
                let shown = table.wall(&table.video, sample.pts());
                if sample.sync && from.is_none() {
                    key = (fragment.index, number);
                }
                if !window.contains(&shown) || (!is_first && from.is_none() && !sample.sync) {
                    continue;
                }
                from.get_or_insert(key);
                to = (fragment.index, number + 1);
                out.shown += 1;
                out.first_shown = Some(out.first_shown.map_or(shown, |first| first.min(shown)));
            }
        }
        let Some(from) = from else { return out };
        for index in from.0..=to.0 {
            let Some((fragment, run)) = table.fragment(index).and_then(|it| Some((it.clone(), it.video?))) else {
                continue;
            };
            let first = if index == from.0 { from.1 } else { 0 };
            let last = if index == to.0 { to.1 } else { run.len() };
            out.fragments.push(Kept { video: Part::of(run, first..last), ..Kept::of(&fragment) });
        }
        out
    }

    /// Frames of sound heard in the span. Before the very first goes one more, if there is one: a decoder needs it to
    /// begin (AAC frames overlap), and the edit list keeps it from being heard.
    fn add_sound(&mut self, source: &Source<'a>, from: Utc90k, is_first: &mut bool) {
        let table = source.table;
        let span = source.window.start.max(from)..source.window.end;
        let mut before = None;
        for fragment in table.fragments() {
            let Some(run) = fragment.audio else { continue };
            let (mut from, mut to, mut covers_start) = (usize::MAX, 0, false);
            let shown = run.shown();
            let shown = table.wall(&table.audio, shown.start)..table.wall(&table.audio, shown.end);
            if shown.start >= span.end {
                break;
            }
            if shown.end <= span.start {
                before = Some(fragment);
                continue;
            }
            // All of it, as nearly all fragments of a long clip: no sample need be looked at.
            if !*is_first && shown.start > span.start && shown.end < span.end {
                self.heard += run.len();
                self.keep_sound(&fragment, Part::of(run, 0..run.len()));
                continue;
            }
            for (number, sample) in run.samples().enumerate() {
                let [start, end] = [sample.pts(), sample.shown_until()].map(|at| table.wall(&table.audio, at));
                if start < span.end && end > span.start {
                    from = from.min(number);
                    to = number + 1;
                    self.heard += 1;
                    covers_start |= start <= span.start;
                }
            }
            if from >= to {
                continue;
            }
            // Sound that begins later begins with its own first frame.
            if std::mem::take(is_first) && covers_start {
                match (from.checked_sub(1), &before) {
                    (Some(earlier), _) => from = earlier,
                    (None, Some(earlier)) => {
                        let part = earlier.audio.and_then(|run| Part::of(run, run.len().checked_sub(1)?..run.len()));
                        self.keep_sound(earlier, part);
                    }
                    (None, None) => {}
                }
            }
            self.keep_sound(&fragment, Part::of(run, from..to));
        }
    }

    fn keep_sound(&mut self, fragment: &FragmentRef<'a>, part: Option<Part<'a>>) {
        let at = self.fragments.partition_point(|kept| kept.index < fragment.index);
        match self.fragments.get_mut(at).filter(|kept| kept.index == fragment.index) {
            Some(kept) => kept.audio = part,
            None => self.fragments.insert(at, Kept { audio: part, ..Kept::of(fragment) }),
        }
    }
}

/// When sound is first heard in the window.
fn first_sound(source: &Source<'_>) -> Option<Utc90k> {
    let Source { table, window } = source;
    let mut times = table.audio.runs().map(|run| {
        let shown = run.shown();
        table.wall(&table.audio, shown.start)..table.wall(&table.audio, shown.end)
    });
    let shown = times.find(|shown| shown.end > window.start)?;
    Some(shown.start.max(window.start)).filter(|first| *first < window.end)
}

fn len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// The file's ranges in the order of the virtual file.
fn pieces(chosen: &[Chosen<'_>]) -> Vec<Piece> {
    let (mut out, mut at) = (Vec::<Piece>::new(), 0);
    for (source, chosen) in chosen.iter().enumerate() {
        let kept = chosen.fragments.iter().flat_map(|kept| kept.video.iter().chain(&kept.audio));
        let mut ranges: Vec<_> = kept.map(Part::range).collect();
        ranges.sort_by_key(|range| range.start);
        for range in ranges {
            match out.last_mut() {
                Some(last)
                    if last.source == source
                        && range.start >= last.range.end
                        && range.start - last.range.end <= BRIDGE_BYTES =>
                {
                    at += range.end - last.range.end;
                    last.range.end = range.end;
                }
                _ => {
                    let bytes = len(&range);
                    out.push(Piece { source, range, at });
                    at += bytes;
                }
            }
        }
    }
    out
}

/// Where a byte of a source lies behind the head.
fn placed(pieces: &[Piece], source: usize, offset: u64) -> Option<u64> {
    let after = pieces.partition_point(|piece| (piece.source, piece.range.start) <= (source, offset));
    let piece = pieces.get(after.checked_sub(1)?).filter(|piece| piece.source == source)?;
    Some(piece.at + (offset - piece.range.start))
}
