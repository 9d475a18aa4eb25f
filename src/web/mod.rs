//! HTTP: the one route table, what handlers may see, and how every reply is counted and guarded.
//!
//! Handlers read published snapshots and never wait on an actor; files on the disk are read by [`reader::Readers`].

use std::sync::{Arc, atomic::AtomicBool};

use actix_web::{
    Error as HttpError, HttpResponse, Route,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    guard,
    http::header::{self, HeaderValue},
    middleware::{Compress, Next},
    web,
};
use arc_swap::ArcSwap;
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use crate::{
    clock::{Clock, Utc90k},
    config::{Camera, Settings},
    error::{Error, Kind, Result},
    ids::DeviceId,
    keep::cleaner::CleanerStatus,
    playback::TableCache,
    storage::{DeviceIndex, HotDevice, Volume},
    supervisor::{Load, StateBoard},
    telemetry::{DeviceMetrics, Metrics, RequestLabel},
};

pub mod archive;
pub mod checks;
mod chunks;
mod clips;
mod commands;
pub mod control;
pub mod encodes;
mod error;
pub mod facts;
mod footage;
mod host;
mod hours;
mod live;
mod manifest;
mod playlists;
mod range;
pub mod reader;
mod restart;
mod server;
mod slices;
mod stills;
mod time;
mod timeline;
mod ui;

#[cfg(test)]
mod tests;

pub use clips::{Form, address};
pub use commands::handler;
pub use live::HotCache;
pub use server::{bind, serve};
pub use stills::Stills;
pub use time::moment;

/// What handlers read: snapshots and handles, nothing that could make them wait.
pub struct WebState {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    /// In the order of the configuration; replaced as a whole when devices come and go.
    pub devices: Arc<ArcSwap<Vec<Arc<WebDevice>>>>,
    pub volume: Arc<Volume>,
    pub board: StateBoard,
    /// Down while starting and stopping.
    pub ready: Arc<AtomicBool>,
    /// First line of `ffmpeg -version`, or why there is none. Called on a thread that may block.
    pub ffmpeg: Arc<dyn Fn() -> checks::Verdict + Send + Sync>,
    pub load: Arc<ArcSwap<Load>>,
    /// Called on an HTTP worker: a snapshot only.
    pub cleaner: Arc<dyn Fn() -> Arc<CleanerStatus> + Send + Sync>,
    pub readers: reader::Readers,
    pub hot_cache: HotCache,
    pub tables: TableCache,
    pub stills: Stills,
    pub encodes: encodes::Encodes,
}

/// One device as readers see it.
pub struct WebDevice {
    pub id: DeviceId,
    pub camera: Arc<Camera>,
    pub hot: Arc<HotDevice>,
    pub index: Arc<DeviceIndex>,
    pub metrics: DeviceMetrics,
    /// Called on an HTTP worker: a snapshot only.
    pub status: Arc<dyn Fn() -> DeviceStatus + Send + Sync>,
    /// Puts what waits in hot on the disk now; resolves when it is durable.
    pub commit: Arc<dyn Fn() -> LocalBoxFuture<'static, Result<()>> + Send + Sync>,
}

/// How a device does, in the words of the contract.
#[derive(Clone, Debug, Default)]
pub struct DeviceStatus {
    /// `starting online degraded offline failed disabled`.
    pub status: &'static str,
    pub since: Option<Utc90k>,
    /// Why it is not online: `refused`, `unauthorised`, …
    pub reason: Option<String>,
    /// What the recorder tells about itself: pid, run, restarts, last exit, frames per second.
    pub recorder: Map<String, Value>,
}

type State = web::Data<WebState>;

impl WebState {
    fn device(&self, id: &str) -> Result<Arc<WebDevice>> {
        self.devices.load().iter().find(|device| device.id.as_str() == id).cloned().ok_or_else(|| {
            let shown: String = id.chars().take(crate::ids::DEVICE_ID_MAX).collect();
            Error::new(Kind::NotFound, format!("there is no device {shown:?}"))
        })
    }
}

/// One address.
struct Entry {
    path: &'static str,
    handler: fn() -> Route,
    /// Only what does not change is worth the CPU.
    compress: bool,
    /// For anything but the handler's methods.
    refuse: fn() -> Route,
}

/// Answers GET and HEAD.
const fn entry(path: &'static str, handler: fn() -> Route) -> Entry {
    Entry { path, handler, compress: false, refuse: || web::to(error::only_reads) }
}

/// Answers POST.
const fn action(path: &'static str, handler: fn() -> Route) -> Entry {
    Entry { refuse: || web::to(error::only_posts), ..entry(path, handler) }
}

/// Every route there is. The path is also the label in `/metrics`.
const ROUTES: &[Entry] = &[
    Entry { compress: true, ..entry("/", || read().to(ui::index)) },
    Entry { compress: true, ..entry("/assets/{name}", || read().to(ui::asset)) },
    entry("/healthz", || read().to(host::healthz)),
    entry("/readyz", || read().to(host::readyz)),
    entry("/metrics", || read().to(host::metrics)),
    entry("/api/host/state", || read().to(host::state)),
    entry("/api/host/health", || read().to(host::health)),
    entry("/api/host/screenshot/{device}", || read().to(stills::screenshot)),
    action("/api/host/restart-video/{device}", || web::post().to(restart::create)),
    entry("/api/host/segments/{device}/{hour}", || read().to(playlists::segments)),
    entry("/api/host/clip/{device}.mp4", || read().to(clips::span)),
    entry("/api/host/clip-jobs/{id}.mp4", || read().to(encodes::result)),
    entry("/api/host/clip-jobs/{id}", || read().to(encodes::job)),
    entry("/api/host/playlist/{device}.m3u8", || read().to(playlists::span)),
    entry("/api/host/timeline/{device}", || read().to(timeline::timeline)),
    entry("/host/stream/{device}/segments/output.m3u8", || read().to(live::playlist)),
    entry("/host/stream/{device}/segments/segment_{key}.ts", || read().to(live::segment)),
    entry("/host/stream/{device}/segments/archive_manifest.json", || read().to(manifest::archive)),
    entry("/host/stream/{device}/segments/{hour}/archive.m3u8", || read().to(playlists::hour)),
    entry("/host/stream/{device}/segments/{hour}/archive_hour_{again}.mp4", || read().to(clips::hour)),
    entry("/host/stream/{device}/audio/{hour}/audio_10s_{piece}.m4a", || read().to(clips::sound)),
    entry("/host/stream/{device}/segments/{hour}/chunk_10min_{index}.mp4", || read().to(chunks::ring)),
    entry("/host/stream/{device}/chunks/{key}.mp4", || read().to(chunks::stable)),
];

fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn routes(config: &mut web::ServiceConfig) {
    for entry in ROUTES {
        let resource = web::resource(entry.path).route((entry.handler)()).route((entry.refuse)());
        if entry.compress {
            config.service(resource.wrap(Compress::default()));
        } else {
            config.service(resource);
        }
    }
    config.app_data(
        web::QueryConfig::default()
            .error_handler(|error, _| Error::new(Kind::Invalid, format!("the query cannot be read: {error}")).into()),
    );
    config.default_service(web::to(error::no_such_route));
}

/// Around every request: counts it, times it, and sets the headers that keep browsers from guessing.
async fn observe(
    state: State,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> std::result::Result<ServiceResponse<impl MessageBody>, HttpError> {
    let started = state.clock.mono();
    let mut response = next.call(request).await?;
    let pattern = response.request().match_pattern();
    let route = ROUTES.iter().map(|entry| entry.path).find(|path| pattern.as_deref() == Some(path)).unwrap_or("other");
    let label = RequestLabel { route, status: response.status().as_u16() };
    state.metrics.http_requests.get_or_create_owned(&label).inc();
    state.metrics.http_request_seconds.observe(state.clock.mono().since(started).as_secs_f64());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// For JSON that must never be kept.
fn fresh(mut reply: actix_web::HttpResponseBuilder, body: impl serde::Serialize) -> HttpResponse {
    reply.insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}
