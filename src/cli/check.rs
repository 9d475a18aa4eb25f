//! `capstan check`: the settings as they take effect, without secrets, so that the output may be shown around.

use std::process::ExitCode;

use super::{complain, say};
use crate::{
    config::Settings,
    error::{Error, Kind, Result},
};

/// The settings are valid already: loading them said so.
pub fn run(mut settings: Settings) -> Result<ExitCode> {
    for camera in &mut settings.camera {
        *camera = camera.shown();
    }
    if let Some(why) = settings.transcode.never(&settings.archive) {
        complain(&format!("note: {why}"));
    }
    let text = toml::to_string(&settings).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    say(text);
    Ok(ExitCode::SUCCESS)
}
