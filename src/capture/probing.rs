//! Makes one run ready: finds out what FFmpeg can do and what the source is, then builds the command.

use std::{sync::Arc, time::Duration};

use crate::{
    config::{Camera, Settings, Source},
    error::Error,
    ids::Epoch,
    storage::layout::HotLayout,
};

use super::{
    command::{self, Attempt, FfmpegCommand},
    encoder::Capabilities,
    source::{Reason, SourceProbe, reason},
    spawner::{Look, Spawner},
};

/// The look needs one connection and about a second of media; a source that takes longer is tried again.
const LOOK_LIMIT: Duration = Duration::from_secs(8);

/// Why a run could not even be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub reason: Reason,
    pub words: Vec<String>,
}

/// What must be known to make a run ready.
pub(super) struct Preparation {
    pub camera: Arc<Camera>,
    pub settings: Arc<Settings>,
    pub caps: Arc<Capabilities>,
    pub spawner: Spawner,
    pub hot: HotLayout,
    pub attempt: Attempt,
    /// From an earlier run; looking again would cost a second of the five that a return may take.
    pub known: Option<Arc<SourceProbe>>,
    pub next_epoch: Arc<dyn Fn() -> Epoch + Send + Sync>,
}

pub(super) struct Prepared {
    pub command: FfmpegCommand,
    pub epoch: Epoch,
    pub probe: Arc<SourceProbe>,
}

impl Preparation {
    pub async fn run(self) -> Result<Prepared, Refusal> {
        let caps = self.caps.get(&self.spawner).await.map_err(|reason| Refusal { reason, words: Vec::new() })?;
        let probe = match self.known.clone() {
            Some(known) => known,
            None => Arc::new(self.look().await?),
        };
        // Asked for last: a number is spent only on a run that is really started.
        let build = |epoch| command::build(&self.camera, &self.settings, &caps, epoch, &self.hot, &probe, self.attempt);
        build(Epoch::default()).map_err(|error| refusal(&error))?;
        let epoch = (self.next_epoch)();
        let command = build(epoch).map_err(|error| refusal(&error))?;
        Ok(Prepared { command, epoch, probe })
    }

    async fn look(&self) -> Result<SourceProbe, Refusal> {
        let source = &self.camera.source;
        if let Source::V4l2(v4l2) = source
            && !v4l2.path.exists()
        {
            let words = vec![format!("{}: No such file or directory", v4l2.path.display())];
            return Err(Refusal { reason: Reason::MissingDevice, words });
        }
        let Some(command) = command::probe_source(source, &self.settings).map_err(|error| refusal(&error))? else {
            return Ok(SourceProbe::default());
        };
        match self.spawner.look(command, LOOK_LIMIT).await {
            Look::Done { code: Some(0), output, words } => {
                SourceProbe::parse(&output).ok_or(Refusal { reason: Reason::NoFrames, words })
            }
            Look::Done { words, .. } => {
                Err(Refusal { reason: reason(&words, source.kind()).unwrap_or(Reason::Lost), words })
            }
            Look::NotStarted(why) => Err(Refusal { reason: Reason::MissingFfmpeg, words: vec![why] }),
            Look::TooLong(words) => Err(Refusal { reason: Reason::NoFrames, words }),
        }
    }
}

fn refusal(error: &Error) -> Refusal {
    Refusal { reason: Reason::Encoder, words: vec![error.to_string()] }
}
