//! One clip: the chunks of a span looked up, their tables read, the span cut, the files opened, and a name for the bytes.

use std::{fmt::Write as _, fs::File, num::NonZeroU64, ops::Range, sync::Arc};

use moka::sync::Cache;

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    media::{VideoCodec, mp4::head::DATA_OFFSETS},
    playback::{
        FragmentTable, TableCache, Track, open,
        select::{GAP_90K, Part, Selection, select},
        virtual_mp4::{Cut, Source, Turn, VirtualMp4, cut},
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
        Self { movies: Cache::builder().max_capacity(16 << 20).weigher(weigh).build() }
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
    selection: Selection,
    windows: Vec<Range<Utc90k>>,
}

/// A clip taken apart where the codec of its pictures changes: no decoder goes on over such a seam.
#[derive(Debug)]
pub struct Apart {
    /// In order, each of one codec.
    pub pictures: Vec<Placed>,
    /// All of it: sound does not change with the pictures.
    pub sound: Option<Placed>,
    /// Pixels of the first pictures.
    pub size: (u16, u16),
}

/// A clip that is a part of another one.
#[derive(Debug)]
pub struct Placed {
    pub clip: Clip,
    /// Movie time of the whole at which it begins.
    pub at_90k: i64,
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

    /// Blocks: for reader threads. `Gone` when a chunk is deleted meanwhile.
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
        // Before the tables are read: a file that is gone must not be told of as if it were there.
        let files = keys.iter().map(|key| open(volume, index, *key).map(|(_, file)| Arc::new(file)).map_err(gone));
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
                let Some(movie) = cut_out(&selection, &tables, &windows, &wish)? else { return Ok(Made::Nothing) };
                let movie = Arc::new(movie);
                clips.movies.insert(key, Arc::clone(&movie));
                movie
            }
        };
        let device = index.device().clone();
        Ok(Made::Clip(Box::new(Self { device, wish, movie, files, keys, selection, windows })))
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

    /// Whether its pictures are of several codecs, which no player takes in one file.
    pub fn is_mixed(&self) -> bool {
        self.movie.turns.len() > 1
    }

    /// Whether there is a picture that is no H.264.
    pub fn has_others_than_h264(&self) -> bool {
        self.movie.turns.iter().any(|turn| turn.codec != VideoCodec::H264)
    }

    /// Spans whose pictures are of one codec each, in order; together they are that of the clip.
    pub fn stretches(&self) -> Vec<(VideoCodec, Range<Utc90k>)> {
        let turns = &self.movie.turns;
        let begin = |turn: &Turn| self.windows.get(turn.source).map_or(self.wish.span.end, |window| window.start);
        let starts =
            turns.iter().enumerate().map(|(at, turn)| if at == 0 { self.wish.span.start } else { begin(turn) });
        let ends = turns.iter().skip(1).map(begin).chain([self.wish.span.end]);
        turns.iter().zip(starts.zip(ends)).map(|(turn, (start, end))| (turn.codec, start..end)).collect()
    }

    /// The same as clips of one codec each, and the sound of all of it. Blocks: for reader threads.
    pub fn apart(&self) -> Result<Apart> {
        let read = |(part, file): (&Part, &Arc<File>)| FragmentTable::read(&**file, part.chunk.bytes).map(Arc::new);
        let tables = self.selection.parts.iter().zip(&self.files).map(read).collect::<Result<Vec<_>>>()?;
        let last = self.windows.len();
        let turns = &self.movie.turns;
        let ends = turns.iter().skip(1).map(|turn| turn.source).chain([last]);
        let mut pictures = Vec::with_capacity(turns.len());
        for (number, (turn, end)) in turns.iter().zip(ends).enumerate() {
            let first = if number == 0 { 0 } else { turn.source };
            let Some(windows) = self.windows.get(first..end) else { continue };
            let reach = windows.iter().map(|window| window.end).max().unwrap_or(self.wish.span.end);
            let start = if number == 0 { self.wish.span.start } else { windows.first().map_or(reach, |it| it.start) };
            let span = start..if end == last { self.wish.span.end } else { reach };
            let part = self.part(first..end, windows.to_vec(), &tables, Cut { span, ..self.wish.clone() })?;
            let at_90k = |clip: &Self| clip.movie.start - self.movie.start + turn.moved_90k;
            pictures.extend(part.map(|clip| Placed { at_90k: at_90k(&clip).max(0), clip }));
        }
        let heard = Cut { span: self.movie.start..self.wish.span.end, sound_only: true, ..self.wish.clone() };
        // From the first picture, as in the whole.
        let windows = self.windows.iter().map(|window| window.start.max(self.movie.start)..window.end).collect();
        let sound = self.part(0..last, windows, &tables, heard)?.map(|clip| {
            let at_90k = clip.movie.start - self.movie.start + self.movie.sound_moved_90k;
            Placed { at_90k: at_90k.max(0), clip }
        });
        let first = turns.first().and_then(|turn| tables.get(turn.source)?.tracks.video.as_ref());
        let size = first.map_or((0, 0), |config| (config.width, config.height));
        Ok(Apart { pictures, sound, size })
    }

    /// A clip of some of the sources.
    fn part(
        &self,
        which: Range<usize>,
        windows: Vec<Range<Utc90k>>,
        tables: &[Arc<FragmentTable>],
        wish: Cut,
    ) -> Result<Option<Self>> {
        let parts = self.selection.parts.get(which.clone()).unwrap_or_default().to_vec();
        let selection = Selection { from: wish.span.start, to: wish.span.end, parts };
        let movie = cut_out(&selection, tables.get(which.clone()).unwrap_or_default(), &windows, &wish)?;
        Ok(movie.map(|movie| Self {
            device: self.device.clone(),
            wish,
            movie: Arc::new(movie),
            files: self.files.get(which.clone()).unwrap_or_default().to_vec(),
            keys: self.keys.get(which).unwrap_or_default().to_vec(),
            selection,
            windows,
        }))
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
        for (codec, span) in self.stretches() {
            let _ = writeln!(out, "{:<8} {} to {}", codec.name(), span.start, span.end);
        }
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
    windows: &[Range<Utc90k>],
    wish: &Cut,
) -> Result<Option<VirtualMp4>> {
    let holes_of = |chunk: &ChunkEntry| {
        let mut parts = selection.parts.iter().zip(tables);
        let table = parts.find(|(part, _)| part.chunk.key == chunk.key).map(|(_, table)| table);
        table.map_or(&[][..], |table| &table.holes)
    };
    let gaps = selection.split(holes_of).gaps();
    let sources = tables.iter().zip(windows).map(|(table, window)| Source { table, window: window.clone() });
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
