//! One recorded device: what outlives its actors, the actor that runs its stages, and its status.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::{
    archive::{ArchiverActor, Siblings},
    capture::{CaptureParts, CaptureStatus, FfmpegActor},
    clock::Clock,
    config::Camera,
    events::Events,
    frames::{FrameQueue, FrameQueueActor, Latest},
    ids::DeviceId,
    incident::Tracker,
    merge::merger_actor::{MergerActor, MergerParts},
    storage::{DeviceIndex, HotDevice, Volume},
    supervisor::Slot,
    telemetry::DeviceMetrics,
};

mod actor;
mod doorbell;
mod losses;
mod status;

pub use actor::{DeviceActor, spec};
pub use doorbell::Doorbell;
pub use losses::Losses;
pub use status::{DeviceState, Reading, Status};

/// What outlives the actors of one device (design §3): FFmpeg and its pipes, the open chunk, the books of hot, the
/// index, the frames that wait. A successor of an actor finds here what its predecessor left, and adopts it.
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
    /// Stills and verdicts on their way beside the chunks.
    pub siblings: Arc<Siblings>,
    /// The frames that wait for a look; None when watching is off.
    pub watching: Option<Arc<FrameQueue>>,
    /// What was seen last.
    pub latest: Arc<Latest>,
    /// What is wrong with what is seen.
    pub tracker: Arc<Tracker>,
    pub status: ArcSwap<Status>,
    pub events: Events,
    pub losses: Mutex<Losses>,
    pub ffmpeg: Slot<FfmpegActor>,
    pub frames: Slot<FrameQueueActor>,
    pub merger: Slot<MergerActor>,
    pub archiver: Slot<ArchiverActor>,
}
