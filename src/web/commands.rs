//! What the running daemon answers to the command line.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    State,
    archive::Archive,
    checks::judge,
    control::{Handler, Request},
    facts, host,
};
use crate::{error::Result, ids::DeviceId, storage::layout::HotLayout, supervisor::Injector};

/// For [`super::control::ControlServer`]. Each call has a thread of its own and may wait for the disk.
pub fn handler(state: State, injector: Injector) -> Handler {
    Arc::new(move |request| answer(&state, &injector, &request))
}

fn answer(state: &State, injector: &Injector, request: &Request) -> Result<Value> {
    if let Some((work, device)) = request.archive() {
        let hot = HotLayout::new(&state.settings.storage.hot);
        let index = |device: &DeviceId| state.device(device.as_str()).ok().map(|device| Arc::clone(&device.index));
        let archive = Archive { volume: &state.volume, hot: &hot, index: &index };
        return Ok(json!(archive.run(work, device)?));
    }
    if let Some(answered) = state.answer_of_pins(request) {
        return answered;
    }
    if let Some(answered) = state.answer_of_transcoder(request) {
        return answered;
    }
    match request {
        Request::Health => Ok(json!(judge(&facts::gather(state)))),
        Request::Inject { actor, poison } => injector.inject(actor, *poison).map(|()| json!(null)),
        _ => Ok(host::state_body(state)),
    }
}
