//! One clip: the chunks of a span looked up, their tables read, the span cut, the files opened, and a name for the bytes.

use std::{fmt::Write as _, fs::File, num::NonZeroU64, ops::Range, sync::Arc};

use moka::sync::Cache;

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    media::mp4::head::DATA_OFFSETS,
    playback::{
        Files, FragmentTable, TableCache, Track,
        select::{GAP_90K, Part, Selection, select},
        virtual_mp4::{Cut, Source, VirtualMp4, cut},
    },
    storage::{ChunkEntry, DeviceIndex, Volume, index::Chunks, layout::ChunkKey},
};

/// Tracks of a segment end apart by less than this.
const TRACKS_APART_90K: i64 = 2 * TICKS_PER_SECOND;

/// What comes of asking for a clip.
#[derive(Debug)]
pub enum Made {
    Clip(Box<Clip>),
    /// Nothing lies in the span.
    Nothing,
    /// The span reaches beyond what is committed: a clip of it would be another one a minute later. Ask with this end.
    Until(Utc90k),
}

/// Clips made lately, so that the ranges of one address cost one cut (6 ms for an hour). Cheap to clone; when full, clips
/// not asked for lately go.
#[derive(Clone)]
pub struct ClipCache {
    movies: Cache<Key, Arc<VirtualMp4>>,
    /// Of the chunks that clips are sent from.
    pub files: Files,
}

/// The stretches of chunks stand for their footage: bytes of a chunk never change, and a span is settled before it is cut.
type Key = (DeviceId, Cut, Vec<(ChunkKey, Range<Utc90k>)>);

impl Default for ClipCache {
    /// 16 MiB: a dozen hours.
    fn default() -> Self {
        let weigh = |(_, _, parts): &Key, movie: &Arc<VirtualMp4>| {
            let bytes = movie.head.len() + 64 * (movie.pieces.len() + parts.len()) + 256;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self { movies: Cache::builder().max_capacity(16 << 20).weigher(weigh).build(), files: Files::default() }
    }
}

/// A clip ready to be sent: its bytes are the head, then the pieces.
#[derive(Debug)]
pub struct Clip {
    pub device: DeviceId,
    pub wish: Cut,
    pub movie: Arc<VirtualMp4>,
    /// Of each source; open, so that what is sent stays readable when a chunk moves or is deleted meanwhile.
    files: Vec<Arc<File>>,
    keys: Vec<ChunkKey>,
}

impl Clip {
    /// The chunks whose tables [`Self::make`] would read one by one: who reads them beforehand reads them together.
    pub fn lacks(index: &DeviceIndex, (tables, clips): (&TableCache, &ClipCache), wish: &Cut) -> Vec<Arc<ChunkEntry>> {
        let selection = selection(&index.snapshot(), wish);
        if clips.movies.contains_key(&name(index.device(), wish, &selection, &windows(&selection))) {
            return Vec::new();
        }
        let chunks = selection.parts.into_iter().map(|part| part.chunk);
        chunks.filter(|chunk| tables.get(index.device(), chunk).is_none()).collect()
    }

    /// Blocks: for reader threads. `Gone` when a chunk is deleted meanwhile, `Unavailable` when too many are being read.
    pub fn make(volume: &Volume, index: &DeviceIndex, caches: (&TableCache, &ClipCache), wish: Cut) -> Result<Made> {
        let (tables, clips) = caches;
        let chunks = index.snapshot();
        let Some(newest) = chunks.newest().filter(|newest| newest.end > wish.span.start) else {
            return Ok(Made::Nothing);
        };
        if newest.end + -TRACKS_APART_90K < wish.span.end {
            let settled = settled_until(tables.read(volume, index, newest).map_err(gone)?.as_ref());
            if settled <= wish.span.start {
                return Ok(Made::Nothing);
            } else if settled < wish.span.end {
                return Ok(Made::Until(settled));
            }
        }
        let selection = selection(&chunks, &wish);
        let keys: Vec<ChunkKey> = selection.parts.iter().map(|part| part.chunk.key).collect();
        clips.files.fit(keys.len())?;
        // Before the tables are read: a file that is gone must not be told of as if it were there.
        let files = keys.iter().map(|key| clips.files.open(volume, index, *key).map_err(gone));
        let files = files.collect::<Result<Vec<_>>>()?;
        let windows = windows(&selection);
        let key = name(index.device(), &wish, &selection, &windows);
        let movie = match clips.movies.get(&key) {
            Some(movie) => movie,
            None => {
                // All at once, so that a disk works on them together while the first is taken apart.
                for (part, file) in selection.parts.iter().zip(&files) {
                    if tables.get(index.device(), &part.chunk).is_none() {
                        fetch(file);
                    }
                }
                let read = |part: &Part| tables.read(volume, index, &part.chunk).map_err(gone);
                let tables = selection.parts.iter().map(read).collect::<Result<Vec<_>>>()?;
                let Some(movie) = cut_out(&selection, &tables, windows, &wish)? else { return Ok(Made::Nothing) };
                let movie = Arc::new(movie);
                clips.movies.insert(key, Arc::clone(&movie));
                movie
            }
        };
        let device = index.device().clone();
        Ok(Made::Clip(Box::new(Self { device, wish, movie, files, keys })))
    }

    /// Where the bytes behind the head come from, in order.
    pub fn slices(&self) -> impl Iterator<Item = (&Arc<File>, Range<u64>)> {
        let pieces = self.movie.pieces.iter();
        pieces.filter_map(|piece| Some((self.files.get(piece.source)?, piece.range.clone())))
    }

    /// Bytes of the whole file.
    pub fn len(&self) -> u64 {
        self.movie.head.len() as u64 + self.movie.media_len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many chunks it is made of.
    pub fn chunks(&self) -> usize {
        self.keys.len()
    }

    /// Strong and with quotes: two clips of one tag have the same bytes. The chunks' bytes never change, so their names
    /// and ranges stand for them.
    pub fn etag(&self) -> String {
        let mut places = String::new();
        for piece in &self.movie.pieces {
            let key = self.keys.get(piece.source).map_or_else(String::new, |key| key.file_name());
            let _ = write!(places, "{key}:{}-{};", piece.range.start, piece.range.end);
        }
        let sums = [crc32c::crc32c(&self.movie.head), crc32c::crc32c(places.as_bytes())];
        format!("\"{}-{}-{}-{:08x}{:08x}\"", self.device, self.movie.start.as_ms(), self.len(), sums[0], sums[1])
    }

    /// What the file is called when somebody keeps it: `lobby_2026-11-20T03-50-00Z.mp4`.
    pub fn file_name(&self) -> String {
        let moment = self.movie.start.rfc3339();
        let seconds = moment.split('.').next().unwrap_or(&moment).replace(':', "-");
        format!("{}_{seconds}Z.{}", self.device, if self.wish.sound_only { "m4a" } else { "mp4" })
    }

    /// The slice table as text, for debugging.
    pub fn explain(&self) -> String {
        let Cut { span, gaps, sound_only } = &self.wish;
        let [pictures, sounds] = self.movie.frames;
        let mut out = format!(
            "device   {}\nspan     {} to {}\ngaps     {gaps:?}\nsound    {}\nstart    {}\nframes   {pictures} pictures, {sounds} of sound\nbytes    {}\netag     {}\n\n",
            self.device,
            span.start,
            span.end,
            if *sound_only { "only" } else { "too" },
            self.movie.start,
            self.len(),
            self.etag(),
        );
        let head = self.movie.head.len() as u64;
        let _ = writeln!(out, "{:>14} {:>12}  from", "at", "bytes");
        let _ = writeln!(out, "{:>14} {:>12}  head", 0, head);
        for piece in &self.movie.pieces {
            let key = self.keys.get(piece.source).map_or_else(String::new, |key| key.file_name());
            let bytes = piece.range.end - piece.range.start;
            let _ = writeln!(out, "{:>14} {bytes:>12}  {key} at {}", head + piece.at, piece.range.start);
        }
        out
    }
}

fn selection(chunks: &Chunks, wish: &Cut) -> Selection {
    let Range { start, end } = wish.span;
    select(chunks.around(start, end), start, end)
}

fn name(device: &DeviceId, wish: &Cut, selection: &Selection, windows: &[Range<Utc90k>]) -> Key {
    let keys = selection.parts.iter().map(|part| part.chunk.key);
    (device.clone(), wish.clone(), keys.zip(windows.iter().cloned()).collect())
}

/// `tables` and `windows` are those of the selection's parts.
fn cut_out(
    selection: &Selection,
    tables: &[Arc<FragmentTable>],
    windows: Vec<Range<Utc90k>>,
    wish: &Cut,
) -> Result<Option<VirtualMp4>> {
    let holes_of = |chunk: &ChunkEntry| {
        let mut parts = selection.parts.iter().zip(tables);
        let table = parts.find(|(part, _)| part.chunk.key == chunk.key).map(|(_, table)| table);
        table.map_or(&[][..], |table| &table.holes)
    };
    let gaps = selection.split(holes_of).gaps();
    let sources = tables.iter().zip(windows).map(|(table, window)| Source { table, window });
    cut(&sources.collect::<Vec<_>>(), &gaps, wish)
}

/// Until when nothing will be added: of picture and sound one ends before the other, and goes on in the next commit.
/// Where they are far apart one has ended for good.
pub fn settled_until(table: &FragmentTable) -> Utc90k {
    let end = |track: &Track| track.runs().last().map(|run| table.wall(track, run.shown().end));
    let [video, audio] = [end(&table.video), end(&table.audio)];
    let latest = video.max(audio).unwrap_or(table.meta.start);
    let near = [video, audio].into_iter().flatten().filter(|end| latest - *end <= TRACKS_APART_90K);
    near.min().unwrap_or(latest)
}

/// A chunk that ends a little after the next one starts (labels are corrected by drift at chunk starts) is shown to its
/// end: what overlaps there is only labels, not footage.
fn windows(selection: &Selection) -> Vec<Range<Utc90k>> {
    let reach = |part: &Part| {
        let end = part.chunk.end.min(selection.to);
        if end - part.to <= GAP_90K { end } else { part.to }
    };
    selection.parts.iter().map(|part| part.from..reach(part)).collect()
}

/// Tells the kernel that head, table and first fragment of a chunk will be read. A wish: where it is not heard, reading
/// waits for each in turn.
fn fetch(file: &File) {
    /// Where fragments begin in footage of up to 30 fps, and the first of them; what more others have is read as usual.
    const BYTES: Option<NonZeroU64> = NonZeroU64::new(DATA_OFFSETS[0] + (8 << 10));
    let _ = rustix::fs::fadvise(file, 0, BYTES, rustix::fs::Advice::WillNeed);
}

/// The index knew the chunk a moment ago.
fn gone(error: Error) -> Error {
    match error.kind {
        Kind::NotFound => Error::new(Kind::Gone, "a chunk of this span was deleted just now; ask again"),
        _ => error,
    }
}
