//! The only wiring: from settings to a running daemon, and back to nothing in order.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::web;
use slog::{Logger, error, info, warn};

use crate::{
    clock::Clock,
    config::Settings,
    error::{Error, Kind, Result},
    limits::{self, WorkGroup},
    storage::{Volume, check_hot, lock_hot},
    supervisor::{Ground, Injector, StateBoard, Supervisor, Timing, shutdown::Shutdown, systemd::Systemd, watched},
    telemetry::{Metrics, logging::Logging},
    web::{
        Tls, bind, facts,
        fleet::{Fleet as _, Order},
    },
};

mod building;
mod commands;
mod fleet;
mod host;
mod in_force;
mod indexing;
mod levers;
mod reload;
mod transcoding;
mod yard;

use host::Host;

/// From the first signal to `_exit(75)`: what is not committed by then waits in hot for the next start.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// For a job of the transcoder to take away what it wrote.
const TRANSCODER_LIMIT: Duration = Duration::from_secs(1);
/// For the users to be read, before it is ready without them.
const USERS_LIMIT: Duration = Duration::from_secs(15);
/// For the log's last lines; stderr may be blocked for ever.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);
/// Without a sign of life of the root for so long, systemd's watchdog is no longer fed.
const ROOT_LIMIT: Duration = Duration::from_secs(10);

/// Tables of hours are megabytes for milliseconds, on any of the reader threads. glibc would keep the most that each had
/// at once: 50 clips made together left 100 MB, with this 60. Pieces and pictures stay below it.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets one number of the allocator, before there is another thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
    }
}

/// Records and serves until told to stop. An error is one of starting: nothing was recorded then.
pub fn run(settings: Settings, config: Option<&Path>) -> Result<()> {
    give_memory_back();
    let clock = Clock::system();
    let metrics = Arc::new(Metrics::new());
    let logging = Logging::start(clock.clone(), metrics.log_lines_dropped.clone());
    let log = logging.log.clone();
    watched::install_panic_hook(log.clone());
    info!(log, "capstan starts"; "version" => env!("CARGO_PKG_VERSION"),
        "config" => config.map(|path| path.display().to_string()), "cameras" => settings.camera.len());
    let system = actix_rt::System::new();
    let outcome = system.block_on(serve(Start {
        settings: Arc::new(settings),
        file: config.map(Path::to_owned),
        clock,
        metrics,
        log: log.clone(),
    }));
    match &outcome {
        Ok(()) => info!(log, "capstan stopped"),
        Err(error) => error!(log, "capstan cannot start"; "error" => %error),
    }
    logging.flush(FLUSH_LIMIT);
    // Dropping the runtime would wait for threads that a stalled disk holds; the process ends right after this.
    std::mem::forget(system);
    outcome
}

/// What everything is built from.
#[derive(Clone)]
struct Start {
    settings: Arc<Settings>,
    /// Where they came from.
    file: Option<PathBuf>,
    clock: Clock,
    metrics: Arc<Metrics>,
    log: Logger,
}

async fn serve(start: Start) -> Result<()> {
    let settings = start.settings.clone();
    let (hot, quotas) = (&settings.storage.hot, facts::quota_bytes(&settings));
    // Refusals first, before anything is started that would have to be stopped again.
    check_hot(hot, quotas)?;
    let volume = Volume::open(&settings.storage, &start.clock)?;
    // Held to the end: two daemons in one hot would commit and delete each other's segments.
    let _hot = lock_hot(hot)?;
    let tls = Tls::load(&settings.server)?;
    let listener = bind(settings.server.listen)?;
    // With port 0 the kernel has chosen one.
    let address = listener.local_addr().unwrap_or(settings.server.listen);
    let open_files = limits::raise_open_files();
    let children = own_limits(&start.log)?;
    let mut shutdown = Shutdown::listen(start.log.clone(), STOP_LIMIT)?;
    let supervisor = Supervisor::start(Ground {
        clock: start.clock.clone(),
        log: start.log.clone(),
        metrics: start.metrics.clone(),
        board: StateBoard::new(),
        injector: Injector::from_env(),
        timing: Timing::default(),
    })?;

    let host = Host::build(&start, volume, children, tls.clone())?;
    host.start(&supervisor)?;
    let ready = Arc::new(AtomicBool::new(false));
    let state = web::Data::new(host.web_state(&supervisor, &ready)?);
    let control = commands::listen(&start, &state, &supervisor)?;
    let config = tls.as_ref().map(Tls::config).transpose()?;
    let server = serve_http(&state, listener, config, open_files)?;
    let http = server.handle();
    let mut serving = actix_rt::spawn(server);

    let systemd = Systemd::new(start.log.clone());
    let root = supervisor.clone();
    systemd.ping_while(move || root.is_alive(ROOT_LIMIT));
    systemd.ready();
    let scheme = if tls.is_some() { "https" } else { "http" };
    info!(start.log, "capstan records"; "address" => format!("{scheme}://{address}"));
    if !host.access.is_on() && !settings.server.listen.ip().is_loopback() {
        warn!(start.log, "whoever reaches this address may everything: auth.enabled is false"; "address" => %address);
    }
    get_ready(&host, &ready);

    let stop = shutdown.clone();
    loop {
        tokio::select! {
            () = stop.asked() => break,
            () = shutdown.next_reload() => {
                // What came of it is in the log.
                if let Err(error) = host.fleet.order(Order::Reload, "SIGHUP") {
                    warn!(start.log, "settings are not read now"; "error" => %error);
                }
            }
            ended = &mut serving => {
                error!(start.log, "the HTTP server ended, recording goes on"; "outcome" => format!("{ended:?}"));
                stop.asked().await;
                break;
            }
        }
    }
    host.ending.begin();
    ready.store(false, Ordering::Relaxed);
    systemd.stopping();
    host.fleet.end();
    drop(control);
    state.feed.end();
    // It has nothing that a later run would miss; the recorders stop meanwhile, and the disk is theirs.
    host.transcoder.abandon();
    let transcoder = host.transcoder.clone();
    let abandoned = actix_rt::task::spawn_blocking(move || transcoder.wait_ended(TRANSCODER_LIMIT));
    let (.., abandoned) = futures_util::future::join3(http.stop(true), supervisor.stop(), abandoned).await;
    if !abandoned.unwrap_or(false) {
        warn!(start.log, "transcoder has not ended, what it wrote is deleted at the next start");
    }
    host.notifier.stop(&start.log);
    state.viewers.finish(&state.registry);
    host.finish(&start.log);
    Ok(())
}

/// Ready is who records and can be signed in to. A database that does not open keeps nobody waiting for long: the
/// recording does not need it.
fn get_ready(host: &Host, ready: &Arc<AtomicBool>) {
    let (access, ready, stopping) = (host.access.clone(), ready.clone(), host.ending.clone());
    let limit = if access.is_on() { USERS_LIMIT } else { Duration::ZERO };
    let known = actix_rt::spawn(async move { access.open().await });
    actix_rt::spawn(async move {
        let _ = tokio::time::timeout(limit, known).await;
        if !stopping.has_begun() {
            ready.store(true, Ordering::Relaxed);
        }
    });
}

fn serve_http(
    state: &web::Data<crate::web::WebState>,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    open_files: u64,
) -> Result<actix_web::dev::Server> {
    crate::web::serve(state.clone(), listener, tls, open_files)
        .map_err(|error| Error::io("starting the HTTP server", "", error))
}

/// Splits the control group that systemd delegated, when the unit asks for limits of the daemon's own.
fn own_limits(log: &Logger) -> Result<WorkGroup> {
    let wanted = limits::Limits::from_environment(|name| std::env::var(name).ok())?;
    if wanted.is_empty() {
        return Ok(WorkGroup::default());
    }
    let text = std::fs::read_to_string("/proc/self/cgroup")
        .map_err(|error| Error::io("reading the own control group", "/proc/self/cgroup", error))?;
    let group = limits::own_group(Path::new("/sys/fs/cgroup"), &text);
    let split = group.ok_or_else(|| Error::new(Kind::Unavailable, "no cgroup v2 here"));
    match split.and_then(|group| limits::split(&group, wanted)) {
        Ok((children, missing)) => {
            if !missing.is_empty() {
                warn!(log, "limits not offered by this kernel"; "missing" => missing.join(","));
            }
            Ok(children)
        }
        // Recording without limits beats not recording.
        Err(error) => {
            warn!(log, "daemon runs without limits of its own"; "error" => %error);
            Ok(WorkGroup::default())
        }
    }
}
