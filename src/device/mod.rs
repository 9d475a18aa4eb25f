//! One recorded device: what outlives its actors, the actor that runs its stages, and its status.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{
    archive::ArchiverActor,
    capture::{CaptureParts, CaptureStatus, FfmpegActor},
    clock::Clock,
    config::Camera,
    ids::DeviceId,
    merge::merger_actor::{MergerActor, MergerParts},
    storage::{DeviceIndex, HotDevice, Volume},
    supervisor::Slot,
    telemetry::DeviceMetrics,
};

mod actor;
mod status;

pub use actor::{DeviceActor, spec};
pub use status::{DeviceState, Reading, Status};

/// What outlives the actors of one device (design §3): FFmpeg and its pipes, the open chunk, the books of hot, the
/// index. A successor of an actor finds here what its predecessor left, and adopts it.
pub struct Device {
    pub id: DeviceId,
    pub camera: Arc<Camera>,
    pub clock: Clock,
    pub log: slog::Logger,
    pub metrics: DeviceMetrics,
    pub hot: Arc<HotDevice>,
    pub index: Arc<DeviceIndex>,
    pub volume: Arc<Volume>,
    /// FFmpeg and what it needs to be started.
    pub capture: Arc<CaptureParts>,
    pub capture_status: Arc<ArcSwap<CaptureStatus>>,
    /// The open chunk and what it needs to grow.
    pub merge: Arc<MergerParts>,
    pub status: ArcSwap<Status>,
    pub ffmpeg: Slot<FfmpegActor>,
    pub merger: Slot<MergerActor>,
    pub archiver: Slot<ArchiverActor>,
}
