//! Answers the command line of a running daemon, over the control socket.

use std::sync::Arc;

use actix_web::web;
use serde_json::json;

use super::{Start, host::Host};
use crate::{
    error::{Error, Kind, Result},
    storage::HotLayout,
    supervisor::Supervisor,
    web::{
        WebState, checks,
        control::{ControlServer, Handler, Request},
        facts, state_body,
    },
};

pub(super) fn listen(
    start: &Start,
    host: &Host,
    state: &web::Data<WebState>,
    supervisor: &Supervisor,
) -> Result<ControlServer> {
    let (state, supervisor) = (state.clone(), supervisor.clone());
    let _ = host;
    let handler: Handler = Arc::new(move |request| match request {
        Request::Health => Ok(json!(checks::judge(&facts::gather(&state)))),
        Request::State => Ok(state_body(&state)),
        _ => Err(Error::new(Kind::Unavailable, format!("not yet ({})", supervisor.names().len()))),
    });
    ControlServer::start(&HotLayout::new(&start.settings.storage.hot).control_socket(), handler, start.log.clone())
}
