//! What a source is and shows, for a person who has not saved it yet: one bounded look with the recorder's own options.

use std::time::Duration;

use bytes::Bytes;

use super::{
    command,
    source::{Reason, SourceProbe, reason},
    spawner::{Look, Spawner},
};
use crate::{
    clock::Clock,
    config::{Camera, Settings, Source},
};

/// For all of it. A camera that takes longer to show itself is recorded all the same, after some tries.
const LIMIT: Duration = Duration::from_secs(5);
/// What is left for the picture when the streams took nearly all of it.
const PICTURE_LIMIT_MIN: Duration = Duration::from_millis(500);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// None: nothing could be told of it.
    pub streams: Option<SourceProbe>,
    pub jpeg: Option<Bytes>,
    /// Why there is no picture.
    pub reason: Option<Reason>,
    /// The last words of FFmpeg, without credentials.
    pub words: Vec<String>,
}

/// Opens the camera's source. Takes five seconds and a half at most.
pub async fn sight(camera: &Camera, settings: &Settings, spawner: &Spawner, clock: &Clock) -> Sight {
    let began = clock.mono();
    let kind = camera.source.kind();
    if let Source::Replay(replay) = &camera.source {
        let is_there = replay.dir.is_dir();
        return Sight { reason: (!is_there).then_some(Reason::NotFound), ..Sight::default() };
    }
    let failed = |reason, words| Sight { reason: Some(reason), words, ..Sight::default() };
    let command = match command::look_source(&camera.source, settings) {
        Ok(command) => command,
        Err(error) => return failed(Reason::NotFound, vec![error.to_string()]),
    };
    let streams = match spawner.look(command, LIMIT).await {
        Look::Done { code: Some(0), output, words } => match SourceProbe::parse(&output) {
            Some(streams) => streams,
            None => return failed(Reason::NoFrames, words),
        },
        Look::Done { words, .. } => return failed(reason(&words, kind).unwrap_or(Reason::Lost), words),
        Look::NotStarted(why) => return failed(Reason::MissingFfmpeg, vec![why]),
        Look::TooLong(words) => return failed(Reason::NoFrames, words),
    };
    let left = LIMIT.saturating_sub(clock.mono().since(began)).max(PICTURE_LIMIT_MIN);
    let shown = match command::sight(camera, settings, &streams) {
        Ok(command) => spawner.convert(command, Bytes::new(), left).await,
        Err(error) => Err(error),
    };
    match shown {
        Ok(jpeg) => Sight { streams: Some(streams), jpeg: Some(jpeg), ..Sight::default() },
        Err(error) => {
            let words = vec![error.message];
            Sight { streams: Some(streams), jpeg: None, reason: reason(&words, kind).or(Some(Reason::NoFrames)), words }
        }
    }
}
