//! Holds a sealed successor against its source before anything is swapped: time by time, sound byte by byte, and decoded
//! to the last picture.

use std::{fs::File, ops::Range};

use crate::{
    capture::command,
    error::Error,
    media::{
        VideoCodec,
        mp4::{read_full, verify::verify as verify_bytes},
    },
    merge::chunk::SealedChunk,
    playback::{FragmentTable, SampleRef, Track},
};

use super::{
    Failure, Job, Options, Reason,
    child::{Keeper, judge},
    job::bytes_allowed,
    source::{Plan, Source, Watched, blame, used_bytes},
};

/// Places where pictures are compared: what one scene hides, another shows.
const SAMPLES: usize = 5;
/// Sound compared at once.
const SOUND_BYTES: usize = 64 << 10;

/// The mean SSIM of sampled pictures, where that is asked for.
pub fn verify(
    job: &Job,
    source: &Source,
    sealed: &SealedChunk,
    options: &Options,
    keeper: &Keeper<'_>,
) -> Result<Option<f64>, Failure> {
    let file = job.volume.open_read(&sealed.path).map_err(blame_disk)?;
    let bytes = Watched { file: &file, control: keeper.control };
    let whole = verify_bytes(&bytes, sealed.bytes);
    if keeper.control.is_cancelled() {
        return Err(Failure::cancelled());
    }
    let whole = whole.map_err(|error| blame_disk(Error::io("reading back", &sealed.path, error)))?;
    if let Some(problem) = whole.problems.first() {
        return Err(Failure::new(Reason::Disk, format!("it does not read back as written: {problem}")));
    }
    let table = FragmentTable::read(&file, sealed.bytes).map_err(blame_disk)?;
    let plan = Plan::of(&table.video).map_err(|failure| Failure { reason: Reason::Frames, ..failure })?;
    same_structure(source, &table, &plan)?;
    same_times(&source.plan, &plan)?;
    same_sound(source, &table, &file, keeper)?;
    saves(source, used_bytes(&table.meta, sealed.bytes), options.min_savings_percent)?;
    decodes(&file, plan.shown.len(), options, keeper)?;
    if options.verify_quality { looks_alike(source, &file, options, keeper).map(Some) } else { Ok(None) }
}

fn blame_disk(error: Error) -> Failure {
    Failure { reason: Reason::Disk, ..blame(error) }
}

fn same_structure(source: &Source, table: &FragmentTable, plan: &Plan) -> Result<(), Failure> {
    let differ = |what: String| Err(Failure::new(Reason::Structure, what));
    let (old, new) = (&source.table, table);
    let Some((was, is)) = old.tracks.video.as_ref().zip(new.tracks.video.as_ref()) else {
        return differ("it has no pictures".into());
    };
    if is.codec != VideoCodec::H265 || !new.meta.codecs.starts_with("hvc1.") {
        return differ(format!("its codec is {}", new.meta.codecs));
    }
    if (was.width, was.height) != (is.width, is.height) {
        return differ(format!("its pictures are {}×{}", is.width, is.height));
    }
    if old.tracks.audio != new.tracks.audio {
        return Err(Failure::new(Reason::Audio, "the kind of sound differs"));
    }
    let (was, is) = (&old.meta, &new.meta);
    if (&was.device, was.start, was.generation + 1) != (&is.device, is.start, is.generation) {
        return differ("it is not the successor of this chunk".into());
    }
    let Some((was, is)) = was.sealed.zip(is.sealed) else { return differ("it is not sealed".into()) };
    if (was.end - is.end).abs() > source.plan.frame_90k {
        return differ(format!("it ends at {}, the source at {}", is.end, was.end));
    }
    let within = |a: i64, b: i64| (a - b).abs() <= source.plan.frame_90k;
    let same_holes = old.holes.len() == new.holes.len()
        && old.holes.iter().zip(new.holes.iter()).all(|(a, b)| a.end == b.end && within(a.start.0, b.start.0));
    if !same_holes || was.gaps != is.gaps {
        return differ("its gaps are others".into());
    }
    if plan.frame_90k != source.plan.frame_90k {
        return differ("its frame rate is another".into());
    }
    Ok(())
}

fn same_times(old: &Plan, new: &Plan) -> Result<(), Failure> {
    let differ = |what: String| Err(Failure::new(Reason::Frames, what));
    if old.shown.len() != new.shown.len() {
        return differ(format!("{} pictures, the source has {}", new.shown.len(), old.shown.len()));
    }
    match old.shown.iter().zip(&new.shown).position(|(a, b)| a != b) {
        Some(at) => differ(format!("picture {at} is shown at another time")),
        None => Ok(()),
    }
}

fn same_sound(source: &Source, table: &FragmentTable, file: &File, keeper: &Keeper<'_>) -> Result<(), Failure> {
    let differ = |what: String| Err(Failure::new(Reason::Audio, what));
    let (old, new) = (&source.table.audio, &table.audio);
    if old.len() != new.len() {
        return differ(format!("{} packets of sound, the source has {}", new.len(), old.len()));
    }
    let told = |sample: &SampleRef| (sample.dts, sample.size, sample.duration, sample.cts);
    if let Some(at) = old.samples().zip(new.samples()).position(|(a, b)| told(&a) != told(&b)) {
        return differ(format!("packet {at} of sound is another, or at another time"));
    }
    let (mut one, mut other) = (Bytes::new(old, &source.file), Bytes::new(new, file));
    loop {
        if keeper.control.is_cancelled() {
            return Err(Failure::cancelled());
        }
        match (one.next()?, other.next()?) {
            (None, None) => return Ok(()),
            (a, b) if a != b => return differ("the bytes of the sound differ".into()),
            _ => {}
        }
    }
}

/// The bytes of all samples of a track, one behind the other, in equal pieces wherever they lie.
struct Bytes<'a> {
    runs: Box<dyn Iterator<Item = Range<u64>> + 'a>,
    at: Range<u64>,
    file: &'a File,
}

impl<'a> Bytes<'a> {
    fn new(track: &'a Track, file: &'a File) -> Self {
        Self { runs: Box::new(track.runs().map(|run| run.bytes())), at: 0..0, file }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut out = Vec::with_capacity(SOUND_BYTES);
        while out.len() < SOUND_BYTES {
            if self.at.is_empty() {
                let Some(next) = self.runs.next() else { break };
                self.at = next;
            }
            let from = out.len();
            let count = (SOUND_BYTES - from).min(usize::try_from(self.at.end - self.at.start).unwrap_or(SOUND_BYTES));
            out.resize(from + count, 0);
            let into = out.get_mut(from..).unwrap_or_default();
            let read = read_full(self.file, into, self.at.start);
            let read = read.map_err(|error| blame_disk(Error::io("reading the sound", "", error)))?;
            if read < count {
                return Err(Failure::new(Reason::Audio, "the sound is cut short"));
            }
            self.at.start += count as u64;
        }
        Ok((!out.is_empty()).then_some(out))
    }
}

fn saves(source: &Source, bytes: u64, min_savings_percent: f64) -> Result<(), Failure> {
    let before = source.used_bytes();
    if bytes <= bytes_allowed(before, min_savings_percent) {
        return Ok(());
    }
    let saved = 100.0 * (1.0 - bytes as f64 / before.max(1) as f64);
    Err(Failure::new(Reason::Savings, format!("{bytes} bytes after {before}: {saved:.1} % saved")))
}

/// Sound is the source's to the byte: were it broken, it was before.
fn decodes(file: &File, pictures: usize, options: &Options, keeper: &Keeper<'_>) -> Result<(), Failure> {
    let command = command::decode_all(&options.ffmpeg, options.thread_count());
    let mut lines = Lines::default();
    let mut decoded = 0;
    let exit = keeper.run(command, handle(file)?, None, &mut |bytes, _| {
        lines.push(bytes, &mut |line| {
            if let Some(count) = line.strip_prefix("frame=").and_then(|count| count.trim().parse().ok()) {
                decoded = count;
            }
        });
        Ok(())
    })?;
    judge(&exit, false).map_err(|failure| match failure.reason {
        Reason::Encoder => Failure { reason: Reason::Decode, ..failure },
        _ => failure,
    })?;
    if decoded != pictures {
        return Err(Failure::new(Reason::Decode, format!("{decoded} pictures decode, of {pictures}")));
    }
    Ok(())
}

/// Mean SSIM of a second each at some places.
fn looks_alike(source: &Source, file: &File, options: &Options, keeper: &Keeper<'_>) -> Result<f64, Failure> {
    let shown = &source.plan.shown;
    let places = SAMPLES.min(source.seconds().ceil() as usize).max(1);
    let mut found = Vec::new();
    for place in 0..places {
        let Some(at) = shown.get((2 * place + 1) * shown.len() / (2 * places)) else { continue };
        let command = command::ssim(&options.ffmpeg, options.thread_count(), at * 100 / 9);
        let mut lines = Lines::default();
        let exit = keeper.run(command, source.handle()?, Some(handle(file)?), &mut |bytes, _| {
            lines.push(bytes, &mut |line| found.extend(similarity(line)));
            Ok(())
        })?;
        judge(&exit, false).map_err(|failure| match failure.reason {
            Reason::Encoder => Failure { reason: Reason::Quality, ..failure },
            _ => failure,
        })?;
    }
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    // Not a number, when nothing was compared.
    if mean >= options.ssim_min {
        return Ok(mean);
    }
    let message = format!("SSIM {mean:.4} of {} pictures, {:.4} is asked for", found.len(), options.ssim_min);
    Err(Failure::new(Reason::Quality, message))
}

/// Of `n:1 Y:0.98 U:0.99 V:0.99 All:0.985 (18.4)`.
fn similarity(line: &str) -> Option<f64> {
    line.split_whitespace().find_map(|word| word.strip_prefix("All:"))?.parse().ok()
}

fn handle(file: &File) -> Result<File, Failure> {
    file.try_clone().map_err(|error| blame_disk(Error::io("opening again", "", error)))
}

/// Puts lines together from pieces.
#[derive(Default)]
struct Lines {
    rest: String,
}

impl Lines {
    /// A line without an end is no line of FFmpeg's.
    const BYTES_MAX: usize = 4096;

    fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(&str)) {
        self.rest.push_str(&String::from_utf8_lossy(bytes));
        while let Some((line, rest)) = self.rest.split_once('\n') {
            take(line);
            self.rest = rest.to_owned();
        }
        if self.rest.len() > Self::BYTES_MAX {
            self.rest.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_whatever_the_pieces() {
        let text = b"frame=12\nfps=3.0\nprogress=end\n";
        for step in 1..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            text.chunks(step).for_each(|piece| lines.push(piece, &mut |line| found.push(line.to_owned())));
            assert_eq!(found, ["frame=12", "fps=3.0", "progress=end"], "{step}");
        }
    }

    #[test]
    fn similarity_is_read() {
        assert_eq!(similarity("n:1 Y:0.98 U:0.99 V:0.99 All:0.985213 (18.4)"), Some(0.985_213));
        assert_eq!(similarity("n:1 Y:0.98"), None);
    }

    #[test]
    fn times_are_compared_to_the_tick() {
        let plan = |shown: &[i64]| Plan { shown: shown.to_vec(), ..Plan::default() };
        assert_eq!(same_times(&plan(&[0, 3000]), &plan(&[0, 3000])), Ok(()));
        for other in [&[0, 3001][..], &[0], &[0, 3000, 6000]] {
            let found = same_times(&plan(&[0, 3000]), &plan(other)).err().map(|failure| failure.reason);
            assert_eq!(found, Some(Reason::Frames), "{other:?}");
        }
    }
}
