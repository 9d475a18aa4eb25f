//! Listens for the command line of a running daemon, on the control socket in hot.

use actix_web::web;

use super::Start;
use crate::{
    error::Result,
    storage::HotLayout,
    supervisor::Supervisor,
    web::{WebState, control::ControlServer, handler},
};

pub(super) fn listen(start: &Start, state: &web::Data<WebState>, supervisor: &Supervisor) -> Result<ControlServer> {
    let socket = HotLayout::new(&start.settings.storage.hot).control_socket();
    ControlServer::start(&socket, handler(state.clone(), supervisor.injector().clone()), start.log.clone())
}
