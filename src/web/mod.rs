//! HTTP: what handlers may see, and how every reply is counted and guarded.
//!
//! Handlers read published snapshots and never wait on an actor; files on the disk are read by [`reader::Readers`].

use std::sync::{Arc, atomic::AtomicBool};

use actix_web::{
    Error as HttpError, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderValue},
    middleware::Next,
    web,
};
use arc_swap::ArcSwap;
use serde_json::{Map, Value};

use crate::{
    access::Access,
    archive::Siblings,
    clock::{Clock, Utc90k},
    config::{Camera, Settings},
    error::{Error, Kind, Result},
    frames::Latest,
    ids::DeviceId,
    keep::{CleanerStatus, KeepLimits, Outlook},
    playback::{ClipCache, Fronts, PreviewCache, TableCache},
    registry::Registry,
    storage::{DeviceIndex, HotDevice, Volume},
    supervisor::{History, Load, StateBoard},
    telemetry::{DeviceMetrics, Metrics, RequestLabel},
    transcode::Runner,
};

mod access_routes;
mod active;
pub mod archive;
mod areas;
mod audit;
mod auth;
mod cache;
pub mod cameras;
pub mod checks;
mod chunks;
mod client;
mod clip_jobs;
mod clips;
mod commands;
pub mod control;
pub mod encodes;
mod error;
pub mod events;
pub mod facts;
pub mod fleet;
mod footage;
mod guard;
mod heatmap;
mod history;
mod host;
mod hours;
mod incidents;
mod latest;
mod limiter;
mod live;
mod maintenance;
mod manifest;
mod manual;
mod metadata;
mod mosaics;
mod need;
mod openapi;
pub mod pins;
mod playlists;
mod quiet;
mod range;
pub mod reader;
pub mod recode;
mod restart;
mod route;
mod routes;
mod routes_of_cameras;
mod routes_of_keeping;
mod server;
mod settings;
mod shape;
mod shapes;
mod shapes_of_cameras;
mod share;
mod sights;
mod site;
mod slices;
mod stills;
mod strips;
pub mod tail;
mod thumbnails;
mod time;
mod timeline;
mod tls;
mod transcode;
mod ui;
mod users;
mod viewers;

#[cfg(test)]
mod tests;

pub use cache::Replies;
pub use clips::{ANY_PLAYER, Form, address, to_the_tick};
pub use commands::handler;
pub use heatmap::Heatmap;
pub use limiter::Limiter;
pub use live::HotCache;
use route::routes;
use routes::ROUTES;
pub use server::{bind, serve};
pub use sights::Sights;
pub use stills::Stills;
pub use time::{any_moment, moment};
pub use tls::Tls;
pub use viewers::Viewers;

/// What handlers read: snapshots and handles, nothing that could make them wait.
pub struct WebState {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    /// In the order of the configuration; replaced as a whole when devices come and go.
    pub devices: Arc<ArcSwap<Vec<Arc<WebDevice>>>>,
    /// What is configured, and who changes it.
    pub fleet: Arc<dyn fleet::Fleet>,
    pub volume: Arc<Volume>,
    pub board: StateBoard,
    /// Down while starting and stopping.
    pub ready: Arc<AtomicBool>,
    /// First line of `ffmpeg -version`, or why there is none. Called on a thread that may block.
    pub ffmpeg: Arc<dyn Fn() -> checks::Verdict + Send + Sync>,
    pub load: Arc<ArcSwap<Load>>,
    pub history: Arc<History>,
    /// Called on an HTTP worker: a snapshot only.
    pub cleaner: Arc<dyn Fn() -> Arc<CleanerStatus> + Send + Sync>,
    pub transcoder: Arc<Runner>,
    pub registry: Arc<Registry>,
    pub access: Arc<Access>,
    /// How each webhook does. Called on an HTTP worker: a snapshot only.
    pub webhooks: Arc<dyn Fn() -> Value + Send + Sync>,
    /// Sends the webhook of that id one delivery, and tells the answer's status. Called on a thread that may block.
    pub try_webhook: TryWebhook,
    /// What the cleaner would do by other limits. Called on a thread that may take its time.
    pub outlook: Look,
    pub readers: reader::Readers,
    pub hot_cache: HotCache,
    pub tables: TableCache,
    pub clips: ClipCache,
    pub fronts: Fronts,
    pub stills: Stills,
    pub sights: Sights,
    pub previews: PreviewCache,
    pub heatmap: Heatmap,
    pub encodes: encodes::Encodes,
    pub feed: events::Feed,
    pub viewers: Arc<Viewers>,
    pub replies: Replies,
    pub limiter: Limiter,
}

pub type TryWebhook = Arc<dyn Fn(&str) -> Result<u16> + Send + Sync>;
pub type Look = Arc<dyn Fn(&KeepLimits) -> Result<Outlook> + Send + Sync>;

/// One device as readers see it.
pub struct WebDevice {
    pub id: DeviceId,
    pub camera: Arc<Camera>,
    pub hot: Arc<HotDevice>,
    pub index: Arc<DeviceIndex>,
    pub siblings: Arc<Siblings>,
    pub metrics: DeviceMetrics,
    /// What was seen last.
    pub latest: Arc<Latest>,
    /// Called on an HTTP worker: a snapshot only.
    pub status: Arc<dyn Fn() -> DeviceStatus + Send + Sync>,
    /// What the recorder tells about itself: pid, run, restarts, last exit, frames per second. Likewise.
    pub recorder: Arc<dyn Fn() -> Map<String, Value> + Send + Sync>,
    pub tail: tail::Tail,
}

/// How a device does, in the words of the contract.
#[derive(Clone, Debug, Default, Hash)]
pub struct DeviceStatus {
    /// `starting online degraded offline failed disabled`.
    pub status: &'static str,
    pub since: Option<Utc90k>,
    /// Why it is not online, as a word: `refused`, `unauthorized`, `hot_full`, …
    pub kind: Option<&'static str>,
    /// The same for people.
    pub reason: Option<String>,
}

type State = web::Data<WebState>;

impl WebState {
    /// The settings as they hold now; [`Self::settings`] are those of the start.
    pub fn in_force(&self) -> Arc<Settings> {
        self.fleet.cameras().settings.clone()
    }

    fn device(&self, id: &str) -> Result<Arc<WebDevice>> {
        self.devices.load().iter().find(|device| device.id.as_str() == id).cloned().ok_or_else(|| {
            let shown: String = id.chars().take(crate::ids::DEVICE_ID_MAX).collect();
            Error::new(Kind::NotFound, format!("there is no device {shown:?}"))
        })
    }
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
    let secure = client::Client::of(response.request().head(), &state.settings.server).is_secure;
    let label = RequestLabel { route, status: response.status().as_u16() };
    state.metrics.http_requests.get_or_create_owned(&label).inc();
    state.metrics.http_request_seconds.observe(state.clock.mono().since(started).as_secs_f64());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    Ok(response)
}

/// For JSON that must never be kept.
fn fresh(mut reply: actix_web::HttpResponseBuilder, body: impl serde::Serialize) -> HttpResponse {
    reply.insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}
