//! What the running daemon answers to the command line.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    State,
    archive::Archive,
    cameras,
    checks::judge,
    control::{Handler, Request},
    facts,
    fleet::Order,
    host,
};
use crate::{
    access::Caller,
    error::{Error, Kind, Result},
    ids::DeviceId,
    storage::layout::HotLayout,
    supervisor::Injector,
};

/// Who did it, in the audit log.
const BY: &str = "command line";

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
        Request::CameraList => Ok(state.fleet.cameras().cameras.iter().map(cameras::told).collect()),
        Request::CameraAdd { camera } => {
            let camera = cameras::read(state, camera, None)?;
            let id = camera.id.clone();
            changed(state, Order::Add(Box::new(camera)), Some(&id))
        }
        Request::CameraRemove { id } => changed(state, Order::Remove(id.clone(), None), None),
        Request::CameraEnable { id, enabled } => changed(state, Order::Enable(id.clone(), *enabled), Some(id)),
        Request::Reload => changed(state, Order::Reload, None),
        Request::User { command } => wait(state.access.command(command.clone())),
        Request::Pass => state.access.pass().map(|pass| json!(pass)),
        Request::Inject { actor, poison } => injector.inject(actor, *poison).map(|()| json!(null)),
        _ => Ok(host::state_body(state, &Caller::local())),
    }
}

/// What came of the order: its report, or the camera as it is now.
fn changed(state: &State, order: Order, id: Option<&DeviceId>) -> Result<Value> {
    let ended = |_| Error::new(Kind::Unavailable, "the daemon is about to end");
    let report = state.fleet.order(order, BY)?.blocking_recv().map_err(ended)??;
    if let Some(report) = report {
        return Ok(json!(report));
    }
    let now = state.fleet.cameras();
    Ok(id.and_then(|id| now.get(id.as_str())).map(cameras::told).unwrap_or_default())
}

/// On the caller's own thread, which may wait.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.map_err(|error| Error::io("starting a runtime", "", error))?.block_on(work)
}
