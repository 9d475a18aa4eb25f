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
use crate::{
    access::Caller,
    error::{Error, Result},
    ids::DeviceId,
    storage::layout::HotLayout,
    supervisor::Injector,
};

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
    match request {
        Request::Health => Ok(json!(judge(&facts::gather(state)))),
        Request::User { command } => wait(state.access.command(command.clone())),
        Request::Pass => state.access.pass().map(|pass| json!(pass)),
        Request::Inject { actor, poison } => injector.inject(actor, *poison).map(|()| json!(null)),
        _ => Ok(host::state_body(state, &Caller::local())),
    }
}

/// On the caller's own thread, which may wait.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_err(|error| Error::io("starting a runtime", "", error))?.block_on(work)
}
