//! Encodes a clip anew: by one FFmpeg, or stretch by stretch and then joined where the codec of its pictures changes.

use std::{
    any::Any,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::time::timeout;

use super::{
    reader::Readers,
    slices::{Slice, pieces},
};
use crate::{
    capture::{
        Hearer, Input, Progress, Spawner,
        command::{Preset, encode_clip, encode_stretch, join},
    },
    config::Settings,
    error::{Error, Kind, Result},
    playback::clip::{Apart, Clip},
};

/// What encoding needs.
pub struct Tools<'a> {
    pub spawner: &'a Spawner,
    pub readers: &'a Readers,
    pub settings: &'a Settings,
}

/// A place for an encoded stretch; it goes when this is dropped.
pub struct Scratch {
    pub path: PathBuf,
    pub keep: Box<dyn Any + Send>,
}

/// Writes the clip to `output`. `hear` is told of all bytes that lie anywhere for it, those of `scratch` included. Errors
/// are those of [`Spawner::encode`].
pub async fn encode(
    tools: Tools<'_>,
    clip: Clip,
    preset: Preset,
    output: &Path,
    scratch: impl FnMut(usize) -> Result<Scratch>,
    hear: Hearer,
    limit: Duration,
) -> Result<()> {
    if !clip.is_mixed() {
        let command = encode_clip(tools.settings, preset, output);
        return tools.spawner.encode(command, stream(clip, tools.readers), hear, limit).await;
    }
    let apart = tools.readers.run(move || clip.apart()).await;
    let apart = apart.map_err(|busy| Error::new(Kind::Unavailable, busy.to_string()))??;
    let late = |_| Err(Error::new(Kind::Unavailable, format!("encoding took longer than {} s", limit.as_secs())));
    timeout(limit, joined(tools, apart, preset, output, scratch, hear, limit)).await.unwrap_or_else(late)
}

async fn joined(
    tools: Tools<'_>,
    apart: Apart,
    preset: Preset,
    output: &Path,
    mut scratch: impl FnMut(usize) -> Result<Scratch>,
    hear: Hearer,
    limit: Duration,
) -> Result<()> {
    let told = Arc::new(Mutex::new(Told { hear, bytes_before: 0, bytes: 0 }));
    let Apart { pictures, sound, size } = apart;
    let mut stretches = Vec::with_capacity(pictures.len());
    for (number, placed) in pictures.into_iter().enumerate() {
        let place = scratch(number)?;
        let command = encode_stretch(tools.settings, preset, size, placed.at_90k, &place.path);
        let hear = Told::from(&told, placed.at_90k * 100 / 9);
        tools.spawner.encode(command, stream(placed.clip, tools.readers), hear, limit).await?;
        stretches.push(place);
    }
    let paths: Vec<&Path> = stretches.iter().map(|place| place.path.as_path()).collect();
    let command = join(tools.settings, &paths, sound.as_ref().map(|sound| sound.at_90k), output);
    let input = match sound {
        Some(sound) => stream(sound.clip, tools.readers),
        None => futures_util::stream::empty().boxed(),
    };
    // Its time begins anew, and what counts is encoded.
    let hear = Told::from(&told, i64::MAX / 2);
    tools.spawner.encode(command, input, hear, limit).await
}

/// Several runs of FFmpeg told as one.
struct Told {
    hear: Hearer,
    /// Of runs that are over.
    bytes_before: u64,
    /// Of the one at work.
    bytes: u64,
}

impl Told {
    /// For the next run, whose time begins there.
    fn from(told: &Arc<Mutex<Self>>, from_us: i64) -> Hearer {
        {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.bytes_before += std::mem::take(&mut told.bytes);
        }
        let told = Arc::clone(told);
        Box::new(move |progress: Progress| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.bytes = progress.bytes;
            let bytes = told.bytes_before + progress.bytes;
            (told.hear)(Progress {
                bytes,
                out_time_us: progress.out_time_us.max(0).saturating_add(from_us),
                ..progress
            });
        })
    }
}

/// The bytes of a clip, as FFmpeg reads them.
fn stream(clip: Clip, readers: &Readers) -> Input {
    let mut slices = Vec::with_capacity(1 + clip.movie.pieces.len());
    slices.extend(clip.slices().map(|(file, range)| Slice::File(file.clone(), range)));
    slices.insert(0, Slice::Bytes(clip.movie.head.clone()));
    pieces(slices, readers.clone()).boxed()
}
