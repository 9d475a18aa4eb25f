//! The HTTP server's limits: who may connect, for how long, and how a reader that stalls is let go.

use std::{
    any::Any,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    App, HttpServer,
    dev::{Extensions, Server},
    middleware::from_fn,
    web,
};

use super::{
    State, Viewers,
    error::bad_json,
    observe,
    quiet::{self, Connections},
    routes, site,
};
use crate::{
    config::ENABLED_MAX,
    error::{Error, Kind, Result},
};

/// How long sent bytes may stay unacknowledged, or a full window closed: actix-web has no write timeout, and a viewer
/// that sleeps would hold its connection and buffers for ever.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// To send the head of a request; slower is an attack or a broken line.
const REQUEST_HEAD: Duration = Duration::from_secs(10);
/// Beyond keep-alive, until a connection to which nothing is sent is ended: longer than any reply takes to begin.
const QUIET: Duration = Duration::from_secs(30);
/// Replies under way at shutdown; live players reconnect by themselves.
const SHUTDOWN_SECONDS: u64 = 3;

/// Descriptors without any device or viewer: runtimes, signals, pipes, readers' and command lines' files; 60 measured.
const FILES_OF_THE_DAEMON: u64 = 160;
/// FFmpeg's pipes and pidfd, the open chunk, the files of a commit: 6 measured; more while a child is replaced.
const FILES_PER_DEVICE: u64 = 16;
/// Served however few descriptors there are.
const CONNECTIONS_MIN: usize = 8;
/// The longest clip of usual chunks, two hours of ten minutes, and both ends.
const FILES_OF_CLIPS_MIN: usize = 14;

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
///
/// `open_files` is the limit of the process: viewers get what recording leaves.
pub fn serve(
    state: State,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    open_files: u64,
) -> io::Result<Server> {
    let (server, limits) = (state.settings.server.clone(), state.settings.limits.clone());
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let workers = if server.workers == 0 { cores.min(4) } else { server.workers };
    let recording = FILES_OF_THE_DAEMON + FILES_PER_DEVICE * devices(state.settings.camera.len(), open_files);
    let files = open_files.saturating_sub(recording);
    let connections = connections(limits.connections_per_worker, workers, files);
    state.clips.files.allow(files_of_clips(files));
    let body_bytes = usize::try_from(limits.body_bytes.0).unwrap_or(usize::MAX);
    let keep_alive = Duration::from_secs(server.keep_alive_seconds);
    let places = Arc::<Connections>::default();
    actix_rt::spawn(quiet::watch(Arc::downgrade(&places), keep_alive + QUIET));
    actix_rt::spawn(Viewers::run(Arc::downgrade(&state.viewers), Arc::clone(&state.registry)));
    let http = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(body_bytes))
            .app_data(web::JsonConfig::default().limit(body_bytes).error_handler(bad_json))
            .wrap(from_fn(site::refuse_others))
            .wrap(from_fn(observe))
            .configure(routes)
    })
    .workers(workers)
    .keep_alive(keep_alive)
    .client_request_timeout(REQUEST_HEAD)
    .max_connections(connections)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals()
    .on_connect(move |connection, data| on_connect(&places, connection, data));
    let http = match tls {
        Some(tls) => http.listen_rustls_0_23(listener, tls)?,
        None => http.listen(listener)?,
    };
    Ok(http.run())
}

/// Those that record now, and those that may be added while we run, for which at most a quarter of all is set aside.
fn devices(configured: usize, open_files: u64) -> u64 {
    (ENABLED_MAX as u64).min(open_files / 4 / FILES_PER_DEVICE).max(configured as u64)
}

/// Connections per worker: as many as wished, and no more than three quarters of `files` descriptors allow all workers
/// together. A connection holds three: itself, our handle of it and the chunk it reads. Those beyond wait in the kernel,
/// where they cost none.
fn connections(wished: usize, workers: usize, files: u64) -> usize {
    let affordable = usize::try_from(files).unwrap_or(usize::MAX) / 4 / workers.max(1);
    wished.min(affordable.max(CONNECTIONS_MIN))
}

/// The last quarter: a clip holds all chunks that it is sent from, so that none goes under its reader.
fn files_of_clips(files: u64) -> usize {
    (usize::try_from(files).unwrap_or(usize::MAX) / 4).max(FILES_OF_CLIPS_MIN)
}

fn on_connect(places: &Arc<Connections>, connection: &dyn Any, data: &mut Extensions) {
    let plain = connection.downcast_ref::<actix_rt::net::TcpStream>();
    let secure = || Some(connection.downcast_ref::<TlsStream<actix_rt::net::TcpStream>>()?.get_ref().0);
    if let Some(stream) = plain.or_else(secure) {
        let limit = u32::try_from(TCP_USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        // A kernel that refuses serves all the same; only stalled viewers stay longer.
        let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, limit);
        let _ = stream.set_nodelay(true);
        if let Some(place) = places.add(stream) {
            data.insert(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_reader_that_stalls_is_let_go_by_the_kernel() {
        let listener = actix_rt::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _reader = actix_rt::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        on_connect(&Arc::default(), &stream, &mut Extensions::new());
        assert_eq!(rustix::net::sockopt::tcp_user_timeout(&stream).unwrap(), 30_000);
        assert!(stream.nodelay().unwrap());
    }

    /// What the limit does to a reader that is there and takes nothing; here it is short.
    #[test]
    fn the_kernel_ends_a_connection_whose_reader_takes_nothing() {
        use std::io::Write as _;

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _reader = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        rustix::net::sockopt::set_tcp_user_timeout(&stream, 1000).unwrap();
        // Which would be told as another error.
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let error = loop {
            if let Err(error) = stream.write_all(&[0; 1 << 16]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn viewers_get_the_descriptors_that_recording_leaves() {
        let check = |wished, workers, files, expected| assert_eq!(connections(wished, workers, files), expected);
        check(1024, 2, 65_000, 1024);
        check(1024, 2, 600, 75);
        check(1024, 4, 600, 37);
        check(10, 2, 600, 10);
        check(1024, 2, 0, CONNECTIONS_MIN);
        check(4, 2, 0, 4);
        let files = [0, 100, 600, 65_000].map(files_of_clips);
        assert_eq!(files, [FILES_OF_CLIPS_MIN, 25, 150, 16_250]);
    }
}
