//! Listens for the command line of a running daemon, on the control socket in hot.

use actix_web::web;

use super::Start;
use crate::{
    error::Result,
    storage::HotLayout,
    web::{WebState, control::ControlServer, handler},
};

pub(super) fn listen(start: &Start, state: &web::Data<WebState>) -> Result<ControlServer> {
    let socket = HotLayout::new(&start.settings.storage.hot).control_socket();
    ControlServer::start(&socket, handler(state.clone()), start.log.clone())
}
