//! `capstan check`: the settings as they take effect, those changed in the page included, without secrets, so that the
//! output may be shown around.

use std::process::ExitCode;

use super::{complain, say};
use crate::{
    config::Settings,
    error::{Error, Kind, Result},
    registry::changed,
    storage::layout::ColdLayout,
};

/// The settings are valid already: loading them said so.
pub fn run(file: &Settings) -> Result<ExitCode> {
    let (mut settings, changed) = in_force(file);
    if !changed.is_empty() {
        complain(&format!("note: changed in the page, above the file: {}", changed.join(", ")));
    }
    for webhook in &mut settings.notify.webhook {
        *webhook = webhook.hidden();
    }
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

/// With what was changed while a daemon ran, and the names of it.
pub(super) fn in_force(file: &Settings) -> (Settings, Vec<String>) {
    let changes = changed(&ColdLayout::new(&file.storage.root).database()).changes;
    let (changes, _) = changes.fitting(file);
    let mut names = Vec::new();
    for section in changes.sections() {
        let stored = section.stored();
        names.extend(stored.as_object().into_iter().flatten().map(|(field, _)| format!("{}.{field}", section.name())));
    }
    (changes.over(file), names)
}
