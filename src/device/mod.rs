//! One recorded device: what outlives its actors, the actor that runs its stages, and its status.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{
    archive::ArchiverActor,
    capture::{Capabilities, CaptureStatus, FfmpegActor, ProcessCell},
    clock::Clock,
    config::{Camera, Settings},
    ids::DeviceId,
    merge::{Committer, EpochSource, MergeCell, MergerActor},
    storage::{DeviceIndex, HotDevice, HotLayout, Volume},
    supervisor::Slot,
    telemetry::DeviceMetrics,
};

mod actor;
mod status;

pub use actor::{DeviceActor, STOP_LIMIT, spec};
pub use status::{DeviceState, Reading, Status};

/// Deletes old footage to make room for so many bytes; blocks, so for the commit thread only.
pub type Evict = Arc<dyn Fn(u64) + Send + Sync>;

/// What outlives the actors of one device (design §3): FFmpeg and its pipes, the open chunk, the books of hot, the
/// index. A successor of an actor finds here what its predecessor left, and adopts it.
pub struct Device {
    pub id: DeviceId,
    pub camera: Arc<Camera>,
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub log: slog::Logger,
    pub metrics: DeviceMetrics,
    pub hot_layout: HotLayout,
    pub hot: Arc<HotDevice>,
    pub index: Arc<DeviceIndex>,
    pub volume: Arc<Volume>,
    pub committer: Committer,
    pub epochs: Arc<EpochSource>,
    pub evict: Evict,
    pub capabilities: Arc<Capabilities>,
    pub process: Arc<ProcessCell>,
    pub merge: Arc<MergeCell>,
    pub capture: Arc<ArcSwap<CaptureStatus>>,
    pub status: ArcSwap<Status>,
    /// Position among the devices and their number: commits are spread over the minute by it.
    pub stagger: (usize, usize),
    pub ffmpeg: Slot<FfmpegActor>,
    pub merger: Slot<MergerActor>,
    pub archiver: Slot<ArchiverActor>,
}
