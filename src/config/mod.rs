//! The settings: one struct per section, every default in one place, every rule checked before anything starts.
//!
//! `conf/capstan.toml` shows every option with its default (a test keeps it equal). Unknown keys are refused: a typo
//! must not silently become a default.

use std::{collections::HashSet, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::ids::DeviceId;

mod camera;
mod changed;
mod detect;
mod load;
mod net;
mod receiver;
mod secret;
mod size;
mod source;
mod transcode;
mod validate;

pub use camera::{CAMERAS_MAX, ENABLED_MAX};
pub use changed::{ArchiveOverride, Changes, NotifyOverride, Section, TranscodeOverride};
pub use detect::{Analysis, Captures, Detect, DetectOverride, Notify, Webhook};
pub use load::{Problem, load, parse};
pub use net::Network;
pub use receiver::{Receiver, receivers};
pub use secret::redact;
pub use size::{Bytes, PictureSize};
pub use source::{
    FileSource, HttpSource, ReplaySource, RtspSource, RtspTransport, ScreenSource, Source, TestSource, V4l2Source,
};
pub use transcode::{RunWindows, Transcode};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub server: Server,
    pub storage: Storage,
    pub ffmpeg: Ffmpeg,
    pub hot: Hot,
    pub capture: Capture,
    pub archive: Archive,
    pub analysis: Analysis,
    pub detect: Detect,
    pub notify: Notify,
    pub cleaner: Cleaner,
    pub transcode: Transcode,
    pub cache: Cache,
    pub auth: Auth,
    pub limits: Limits,
    pub camera: Vec<Camera>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub listen: SocketAddr,
    /// Worker threads of the HTTP server; 0 = one per core, at most 4.
    pub workers: usize,
    pub keep_alive_seconds: u64,
    /// What this host is called in incidents and events; the kernel's name of it when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// How people reach this host from outside, `https://cams.example`; links are made of it. The scheme decides whether
    /// cookies are for TLS alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Pages of these origins may read with GET, without cookies.
    pub cors_origins: Vec<String>,
    /// PEM: the certificate with its chain, and its key. Without both it is plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
}

impl Server {
    pub fn has_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// As set, or as the kernel tells now.
    pub fn host_name(&self) -> String {
        let kernel = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.host_name.clone().unwrap_or_else(kernel)
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 0,
            keep_alive_seconds: 75,
            host_name: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            tls_cert: None,
            tls_key: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// The archive: an ext4 or other durable file system.
    pub root: PathBuf,
    /// The RAM side: must be tmpfs.
    pub hot: PathBuf,
    /// When set, `root/volume.json` must hold this id and `root` must be a mount of its own.
    pub volume_id: Option<String>,
    /// When true, `root` must be a mount of its own.
    pub require_mount: bool,
    /// Where the library moves on to: a disk or share of its own, which may be absent at times. On the archive's own
    /// volume when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library_root: Option<PathBuf>,
    /// `file` and `replay` sources must lie below one of these; empty = anywhere the daemon may read.
    pub source_dirs: Vec<PathBuf>,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            root: "/var/lib/capstan".into(),
            hot: "/run/capstan".into(),
            volume_id: None,
            require_mount: false,
            library_root: None,
            source_dirs: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ffmpeg {
    pub path: PathBuf,
    pub ffprobe_path: PathBuf,
}

impl Default for Ffmpeg {
    fn default() -> Self {
        Self { path: "ffmpeg".into(), ffprobe_path: "ffprobe".into() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hot {
    /// Committed segments kept for live viewing; uncommitted ones are bounded by `device_bytes` alone.
    pub segments: u32,
    /// Committed segments older than this many seconds leave the live window; 0 = count alone decides.
    pub segment_max_age: u32,
    pub captures: u32,
    pub thumbnails: u32,
    /// All hot bytes of one device; the sum over devices must fit the tmpfs.
    pub device_bytes: Bytes,
}

impl Default for Hot {
    fn default() -> Self {
        Self { segments: 150, segment_max_age: 0, captures: 300, thumbnails: 100, device_bytes: Bytes(200 << 20) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    /// Full-size JPEGs per second; 0 = none.
    pub captures_fps: f64,
    pub thumbnails_fps: f64,
    pub thumbnail_size: PictureSize,
    pub key_frames_only: KeyFramesOnly,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            captures_fps: 5.0,
            thumbnails_fps: 5.0,
            thumbnail_size: PictureSize { width: 320, height: 180 },
            key_frames_only: KeyFramesOnly::Auto,
        }
    }
}

/// Whether pictures of copied streams are decoded from key frames only (cheap) or from every frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyFramesOnly {
    /// Yes for copied streams, no where we encode anyway.
    #[default]
    Auto,
    Yes,
    No,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Archive {
    /// How often each device's waiting segments are appended to its open chunk: the loss window of a power cut.
    pub commit_seconds: u32,
    /// Length of a chunk on the UTC grid; must divide an hour.
    pub chunk_seconds: u32,
    /// Age at which the ring lets go of footage, in hours (1–24).
    pub window_hours: u32,
    /// Days for which the library keeps what left the ring; 0: no library, footage is deleted then.
    pub retention_days: f64,
    /// Bytes of footage of all devices together; 0 = as the disk allows.
    pub max_bytes: Bytes,
    /// The same of each device.
    pub device_max_bytes: Bytes,
    /// Free space to keep on the archive's file system, and on the library's: the cleaner evicts oldest footage before it is touched.
    pub min_free_bytes: Bytes,
    /// Seconds between two stills of the preview pack; 0 = no previews.
    pub preview_interval_seconds: u32,
    /// Which full-size pictures reach the disk.
    pub captures: Captures,
    /// How long `captures = "all"` keeps them, in hours.
    pub captures_hours: u32,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            commit_seconds: 60,
            chunk_seconds: 600,
            window_hours: 24,
            retention_days: 0.0,
            max_bytes: Bytes(0),
            device_max_bytes: Bytes(0),
            min_free_bytes: Bytes(512 << 20),
            preview_interval_seconds: 10,
            captures: Captures::Incidents,
            captures_hours: 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cleaner {
    pub interval_seconds: u32,
    /// Percent of the whole machine above which expiry waits (never when space is short).
    pub max_cpu_percent: f32,
    /// Percent of time in iowait above which expiry waits.
    pub max_io_wait: f32,
}

impl Default for Cleaner {
    fn default() -> Self {
        Self { interval_seconds: 60, max_cpu_percent: 90.0, max_io_wait: 40.0 }
    }
}

/// Replies that are given again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// How long one may be given again at most; 0 = never.
    pub ttl_seconds: u32,
    /// Replies that are kept, of 16 MiB together.
    pub capacity: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { ttl_seconds: 30, capacity: 100 }
    }
}

impl Cache {
    pub fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds.into())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// False: whoever reaches the port may everything.
    pub enabled: bool,
    /// Everybody sees the live pictures of `public_areas`, and nothing that is past.
    pub public_view: bool,
    pub public_areas: Vec<String>,
    /// A session ends when it was not used for so long.
    pub session_hours: u32,
    pub metrics: MetricsFor,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            enabled: true,
            public_view: false,
            public_areas: Vec::new(),
            session_hours: 168,
            metrics: MetricsFor::Loopback,
        }
    }
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsFor {
    /// Whoever asks from this machine, and those who see all cameras.
    #[default]
    Loopback,
    /// Those alone.
    Token,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open HTTP connections per worker; more wait in the kernel's backlog. Fewer where the process may not open that
    /// many files.
    pub connections_per_worker: usize,
    /// Largest request body.
    pub body_bytes: Bytes,
    /// Longest clip made of one request; longer spans play as a playlist.
    pub clip_seconds: u64,
    /// Clips that wait to be encoded anew; one is at a time.
    pub encode_queue: usize,
    /// Encoded clips kept in hot, of what the devices' quotas leave.
    pub encode_bytes: Bytes,
    /// Longest time one may take.
    pub encode_seconds: u64,
    /// Who may listen to `/api/events` at the same time; each holds a connection.
    pub event_listeners: usize,
    /// Requests a second from one address for what is known; five seconds' worth may come at once. 0 = no limit, as
    /// for the next two.
    pub state_per_second: u32,
    /// For what is made of footage: clips, stills, mosaics.
    pub heavy_per_second: u32,
    /// That change something.
    pub writes_per_second: u32,
    /// Of what is made of footage, in work at the same time for all; more are told to come again.
    pub heavy_at_once: usize,
    /// Whether the host itself is held to the limits a second.
    pub loopback: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_worker: 1024,
            body_bytes: Bytes(256 << 10),
            clip_seconds: 2 * 3600,
            encode_queue: 4,
            encode_bytes: Bytes(64 << 20),
            encode_seconds: 1800,
            event_listeners: 64,
            state_per_second: 100,
            heavy_per_second: 20,
            writes_per_second: 20,
            heavy_at_once: 64,
            loopback: false,
        }
    }
}

/// Size and rate of what is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// 320×180, 150 kb/s.
    Low,
    /// 640×360, 350 kb/s.
    #[default]
    Sd,
    /// 1280×720, 1.5 Mb/s; up to 1920×1080 at 2 Mb/s with `size`.
    Hd,
    /// The source's own bytes where the codec allows it.
    Copy,
}

/// Whether to record sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audio {
    /// When the source has it.
    #[default]
    Auto,
    Off,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    pub id: DeviceId,
    /// What people call it; the id when empty.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub area: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub quality: Quality,
    /// Encoded size; the tier's when absent. Only with `hd`, up to 1920×1080.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PictureSize>,
    /// Frames per second to encode; the source's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<u32>,
    #[serde(default)]
    pub audio: Audio,
    pub source: Source,
    #[serde(default)]
    pub live: Live,
    /// Overrides of `[detect]` for this camera.
    #[serde(default)]
    pub detect: DetectOverride,
}

/// Overrides of `[hot]` for one camera.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Live {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<u32>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
}

fn yes() -> bool {
    true
}

impl Camera {
    pub fn display_name(&self) -> &str {
        if self.name.is_empty() { self.id.as_str() } else { &self.name }
    }
}

impl Settings {
    pub fn camera(&self, id: &DeviceId) -> Option<&Camera> {
        self.camera.iter().find(|camera| camera.id == *id)
    }

    fn duplicate_ids(&self) -> impl Iterator<Item = (usize, &DeviceId)> {
        let mut seen = HashSet::new();
        self.camera
            .iter()
            .enumerate()
            .filter_map(move |(i, camera)| (!seen.insert(&camera.id)).then_some((i, &camera.id)))
    }
}
