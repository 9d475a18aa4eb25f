//! The HTTP server's limits: who may connect, for how long, and how a reader that stalls is let go.

use std::{
    any::Any,
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    dev::{Extensions, Server},
    middleware::from_fn,
    web,
};

use super::{State, error::bad_json, observe, routes};
use crate::error::{Error, Kind, Result};

/// How long sent bytes may stay unacknowledged, or a full window closed: actix-web has no write timeout, and a viewer
/// that sleeps would hold its connection and buffers for ever.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// To send the head of a request; slower is an attack or a broken line.
const REQUEST_HEAD: Duration = Duration::from_secs(10);
/// Replies under way at shutdown; live players reconnect by themselves.
const SHUTDOWN_SECONDS: u64 = 3;

/// Opens the port; the message names the address and what to do when it is taken.
pub fn bind(listen: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(listen).map_err(|error| {
        let kind = if error.kind() == io::ErrorKind::AddrInUse { Kind::Conflict } else { Kind::Io };
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => ": another program listens there; stop it or change the setting",
            io::ErrorKind::PermissionDenied => ": ports below 1024 need a capability or another port",
            io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
            _ => "",
        };
        Error::new(kind, format!("cannot listen on {listen}: {error}{hint}")).at("server.listen")
    })
}

/// The server on `listener`, not yet awaited. It handles no signals: the caller stops it by its handle.
pub fn serve(state: State, listener: TcpListener) -> io::Result<Server> {
    let (server, limits) = (state.settings.server.clone(), state.settings.limits.clone());
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let workers = if server.workers == 0 { cores.min(4) } else { server.workers };
    let body_bytes = usize::try_from(limits.body_bytes.0).unwrap_or(usize::MAX);
    Ok(HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(body_bytes))
            .app_data(web::JsonConfig::default().limit(body_bytes).error_handler(bad_json))
            .wrap(from_fn(observe))
            .configure(routes)
    })
    .workers(workers)
    .keep_alive(Duration::from_secs(server.keep_alive_seconds))
    .client_request_timeout(REQUEST_HEAD)
    .max_connections(limits.connections_per_worker)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals()
    .on_connect(let_go_of_stalled)
    .listen(listener)?
    .run())
}

fn let_go_of_stalled(connection: &dyn Any, _: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<actix_rt::net::TcpStream>() {
        let limit = u32::try_from(TCP_USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        // A kernel that refuses serves all the same; only stalled viewers stay longer.
        let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, limit);
        let _ = stream.set_nodelay(true);
    }
}
