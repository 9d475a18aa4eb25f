//! The fragments and samples of one chunk: from the tables of a sealed one, from the moof boxes of a growing one. Both
//! tell the same, so that what is derived does not change when a chunk is sealed.

use std::{io, ops::Range, sync::Arc};

use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    media::mp4::{
        ChunkMeta, ReadAt,
        head::Head,
        samples::{SealedRuns, sealed_runs},
        scan::{self, FragmentInfo, Piece},
        seal,
        table::Run,
        tracks::Tracks,
    },
    playback::track::{RunRef, Track},
    storage::index::Hole,
};

/// Everything needed to cut a chunk without reading it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentTable {
    /// `meta.sealed` depends on the moment of reading.
    pub meta: ChunkMeta,
    /// Decoder configurations.
    pub tracks: Tracks,
    /// Offset and length of the init segment (`EXT-X-MAP`): valid before and after sealing.
    pub init: (u64, u64),
    /// Empty when the chunk has none.
    pub video: Track,
    pub audio: Track,
    fragments: Vec<Packed>,
    /// In order: more than 500 ms missing in the video, or in the audio of a chunk without video.
    pub holes: Arc<[Hole]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Packed {
    bytes: Range<u64>,
    /// Index of its run in each track.
    video: Option<u32>,
    audio: Option<u32>,
    start: Utc90k,
    end: Utc90k,
    is_after_hole: bool,
}

/// One `moof` with its `mdat`: a GOP, or 10 s of one.
#[derive(Clone, Debug)]
pub struct FragmentRef<'a> {
    pub index: usize,
    /// In the file. Begins where the fragment before ends, so commit marks (`free` boxes) may come first: consecutive
    /// fragments make one byte range.
    pub bytes: Range<u64>,
    pub video: Option<RunRef<'a>>,
    pub audio: Option<RunRef<'a>>,
    /// When it is shown, by the video if it has any.
    pub start: Utc90k,
    pub end: Utc90k,
    /// A hole of more than 500 ms lies before it, in the same chunk.
    pub is_after_hole: bool,
}

impl FragmentTable {
    /// Reads the table of a chunk of which the first `len` bytes are published; nothing beyond is looked at.
    ///
    /// `Corrupt` when it is no chunk of ours. Blocks for as long as the disk does.
    pub fn read<R: ReadAt + ?Sized>(source: &R, len: u64) -> Result<Self> {
        let failed = |error| Error::io("reading a chunk's table", "", error);
        let head = Head::read(source).map_err(failed)?;
        let head = head.ok_or_else(|| Error::new(Kind::Corrupt, "not a chunk, or its head is lost"))?;
        if head.meta.sealed.is_some()
            && let Some(layout) = seal::layout(source, &head, len).map_err(failed)?
            && let Some(table) = Self::from_tables(source, &head, &layout.moov, layout.media_end).map_err(failed)?
        {
            return Ok(table);
        }
        Self::from_scan(source, &head, len).map_err(failed)
    }

    /// All fragments, in file order.
    pub fn fragments(&self) -> impl ExactSizeIterator<Item = FragmentRef<'_>> + DoubleEndedIterator {
        self.fragments.iter().enumerate().map(|(index, packed)| self.view(index, packed))
    }

    pub fn fragment(&self, index: usize) -> Option<FragmentRef<'_>> {
        self.fragments.get(index).map(|packed| self.view(index, packed))
    }

    /// Fragments of which something is shown in `from..to`.
    pub fn within(&self, from: Utc90k, to: Utc90k) -> impl Iterator<Item = FragmentRef<'_>> {
        self.fragments().filter(move |fragment| fragment.start < to && fragment.end > from)
    }

    /// The moment of a presentation time of `track`.
    pub fn wall(&self, track: &Track, ticks: i64) -> Utc90k {
        self.meta.start + track.to_90k(ticks)
    }

    /// Bytes of memory.
    pub fn weight(&self) -> usize {
        let fixed = size_of::<Self>() + 1024; // parameter sets and the like
        fixed
            + self.video.weight()
            + self.audio.weight()
            + size_of::<Packed>() * self.fragments.len()
            + size_of::<Hole>() * self.holes.len()
    }

    fn view<'a>(&'a self, index: usize, packed: &'a Packed) -> FragmentRef<'a> {
        let run = |track: &'a Track, index: Option<u32>| index.and_then(|index| track.run(index as usize));
        FragmentRef {
            index,
            bytes: packed.bytes.clone(),
            video: run(&self.video, packed.video),
            audio: run(&self.audio, packed.audio),
            start: packed.start,
            end: packed.end,
            is_after_hole: packed.is_after_hole,
        }
    }

    /// None when the tables do not fit together.
    fn from_tables<R: ReadAt + ?Sized>(
        source: &R,
        head: &Head,
        moov: &[u8],
        media_end: u64,
    ) -> io::Result<Option<Self>> {
        let Some(mut runs) = sealed_runs(moov) else { return Ok(None) };
        let Some(places) = places(&runs, head.meta.data_offset, media_end) else { return Ok(None) };
        let moof = |place: &Place| first_fragment(source, &place.bytes);
        // What the tables cannot tell: where their times begin, and by how much composition offsets are shifted.
        for (is_video, list) in [(true, &mut runs.video), (false, &mut runs.audio)] {
            let Some(place) = places.iter().find(|place| if is_video { place.video } else { place.audio }) else {
                continue;
            };
            let Some(told) = moof(place)? else { return Ok(None) };
            let told = if is_video { told.video } else { told.audio };
            if told.is_none_or(|told| !rebase(list, &told)) {
                return Ok(None);
            }
        }
        let mut builder = Builder::new(head);
        let (mut video, mut audio) = (runs.video.iter(), runs.audio.iter());
        for place in &places {
            let video = if place.video { video.next() } else { None };
            let audio = if place.audio { audio.next() } else { None };
            if !builder.push(place.bytes.end, video, audio) {
                return Ok(None);
            }
        }
        // The table stretches the last sample before a hole. The longest are the likeliest; the head says how many.
        let mut owns: Vec<u32> =
            runs.video.iter().map(|run| run.samples.last().map_or(0, |last| last.duration)).collect();
        let mut left = head.meta.sealed.map_or(0, |sealed| sealed.gaps);
        let mut longest: Vec<usize> = (0..owns.len().saturating_sub(1)).collect();
        longest.sort_by_key(|index| std::cmp::Reverse(owns.get(*index).copied()));
        let places: Vec<&Place> = places.iter().filter(|place| place.video).collect();
        for index in longest {
            let Some((own, place)) = owns.get_mut(index).zip(places.get(index)) else { break };
            if left == 0 || *own <= builder.table.video.rate() / 2 {
                break;
            }
            let told = moof(place)?.and_then(|told| told.video?.samples.last().copied());
            let Some(told) = told else { return Ok(None) };
            left -= u32::from(u64::from(*own) > u64::from(told.duration) + u64::from(builder.table.video.rate() / 2));
            *own = told.duration;
        }
        Ok(Some(builder.finish(&owns)))
    }

    fn from_scan<R: ReadAt + ?Sized>(source: &R, head: &Head, len: u64) -> io::Result<Self> {
        let mut builder = Builder::new(head);
        let mut owns = Vec::new();
        for piece in scan::shallow(source, head.meta.data_offset, len)? {
            let Piece::Fragment(fragment) = piece else { continue };
            if builder.push(fragment.end(), fragment.video.as_ref(), fragment.audio.as_ref())
                && let Some(run) = &fragment.video
            {
                owns.push(run.samples.last().map_or(0, |last| last.duration));
            }
        }
        Ok(builder.finish(&owns))
    }
}

/// Where a fragment lies, and which tracks it has.
struct Place {
    bytes: Range<u64>,
    video: bool,
    audio: bool,
}

/// Pairs the runs of both tracks: those of one fragment lie side by side, video first. None unless all lie in order
/// between `from` and `to`.
fn places(runs: &SealedRuns, from: u64, to: u64) -> Option<Vec<Place>> {
    let mut out = Vec::new();
    let (mut video, mut audio) = (runs.video.iter().peekable(), runs.audio.iter().peekable());
    let mut at = from;
    loop {
        let video_first = match (video.peek(), audio.peek()) {
            (None, None) => return Some(out),
            (Some(video), Some(audio)) => video.offset < audio.offset,
            (video, _) => video.is_some(),
        };
        let first = if video_first { video.next() } else { audio.next() }?;
        let mut end = first.offset.checked_add(first.bytes())?;
        let pair = if video_first { audio.next_if(|audio| audio.offset == end) } else { None };
        end = pair.map_or(Some(end), |audio| end.checked_add(audio.bytes()))?;
        if first.offset < at || end > to {
            return None;
        }
        out.push(Place { bytes: at..end, video: video_first, audio: !video_first || pair.is_some() });
        at = end;
    }
}

/// The first fragment in a range, as its moof tells it.
fn first_fragment<R: ReadAt + ?Sized>(source: &R, bytes: &Range<u64>) -> io::Result<Option<FragmentInfo>> {
    let pieces = scan::shallow(source, bytes.start, bytes.end)?;
    Ok(pieces.into_iter().find_map(|piece| match piece {
        Piece::Fragment(fragment) => Some(fragment),
        _ => None,
    }))
}

/// Gives the runs of a sealed table the times of the fragments; `told` is the first. False when it is another one.
fn rebase(runs: &mut [Run], told: &Run) -> bool {
    let Some(first) = runs.first() else { return false };
    let shift = first.samples.first().zip(told.samples.first()).map(|(table, told)| table.cts.wrapping_sub(told.cts));
    let (Some(shift), true) = (shift, first.offset == told.offset && first.samples.len() == told.samples.len()) else {
        return false;
    };
    for run in runs {
        run.base = run.base.saturating_add(told.base);
        run.samples.iter_mut().for_each(|sample| sample.cts = sample.cts.wrapping_sub(shift));
    }
    true
}

struct Builder {
    table: FragmentTable,
    /// End of the last fragment.
    at: u64,
}

impl Builder {
    fn new(head: &Head) -> Self {
        let table = FragmentTable {
            meta: head.meta.clone(),
            tracks: head.tracks.clone(),
            init: head.init_range(),
            video: Track::new(90_000, false),
            audio: Track::new(head.tracks.audio_rate(), true),
            fragments: Vec::new(),
            holes: Arc::new([]),
        };
        Self { table, at: head.meta.data_offset }
    }

    /// False, and nothing added, when a run does not follow those before.
    fn push(&mut self, end: u64, video: Option<&Run>, audio: Option<&Run>) -> bool {
        let table = &mut self.table;
        let follows =
            video.is_none_or(|run| table.video.follows(run)) && audio.is_none_or(|run| table.audio.follows(run));
        if !follows || (video.is_none() && audio.is_none()) {
            return false;
        }
        let zero = table.meta.start;
        table.fragments.push(Packed {
            bytes: self.at..end,
            video: video.and_then(|run| table.video.push(run)),
            audio: audio.and_then(|run| table.audio.push(run)),
            start: zero,
            end: zero,
            is_after_hole: false,
        });
        self.at = end;
        true
    }

    /// `owns`: what the last video sample of each run lasts by itself.
    fn finish(mut self, owns: &[u32]) -> FragmentTable {
        let table = &mut self.table;
        for (index, own) in owns.iter().enumerate() {
            table.video.join(index, *own);
        }
        let count = table.audio.runs().len();
        for index in 0..count {
            table.audio.join(index, table.meta.samples_per_frame.max(1));
        }
        // Where there is video it alone tells holes, as the count in the head does.
        let has_video = table.tracks.video.is_some();
        let (mut hole_from, mut holes) = (None, Vec::new());
        for index in 0..table.fragments.len() {
            let Some(view) = table.fragment(index) else { break };
            let told = if has_video { view.video } else { view.audio };
            let (track, run) = match (view.video, view.audio) {
                (Some(run), _) => (&table.video, run),
                (None, Some(run)) => (&table.audio, run),
                (None, None) => continue,
            };
            let shown = run.shown();
            let (start, end) = (table.wall(track, shown.start), table.wall(track, shown.end));
            let hole = told.and_then(|_| hole_from.take()).map(|from| Hole { start: from, end: start });
            if told.is_some_and(|run| run.is_before_hole()) {
                hole_from = Some(end);
            }
            holes.extend(hole);
            if let Some(packed) = table.fragments.get_mut(index) {
                (packed.start, packed.end, packed.is_after_hole) = (start, end, hole.is_some());
            }
        }
        table.holes = holes.into();
        self.table
    }
}
