//! Turns old H.264 chunks into HEVC when the machine is idle: one at a time, verified before anything is swapped.

mod candidates;
mod child;
pub mod control;
pub mod encoder;
pub mod gate;
pub mod heal;
mod job;
mod lay;
mod ledger;
pub mod marker;
pub mod options;
mod pieces;
mod power;
mod requests;
mod runner;
mod schedule;
mod source;
mod status;
mod steering;
pub mod swap;
mod telling;
mod transcoder_actor;
mod tuning;
mod upkeep;
mod verify;
mod work;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use crate::{
    ids::DeviceId,
    storage::{ChunkEntry, Volume},
};

pub use encoder::{Encoders, Working};
pub use job::Transcoder;
pub use options::{Codec, Limits, Options};
pub use requests::{Accepted, RolledBack};
pub use runner::{Runner, RunnerParts};
pub use schedule::Schedule;
pub use status::{State, Stats, TranscoderStatus};
pub use transcoder_actor::TranscoderActor;

/// One chunk to encode anew.
#[derive(Clone, Debug)]
pub struct Job {
    pub device: DeviceId,
    /// The volume on which the chunk lies.
    pub volume: Arc<Volume>,
    pub source: Arc<ChunkEntry>,
    /// `X.mp4.new`, relative to the volume.
    pub successor: PathBuf,
}

/// A verified, sealed, durable successor; nothing was swapped yet.
#[derive(Clone, Debug)]
pub struct Made {
    /// As the index will list it: the next generation, in the place of its source.
    pub entry: ChunkEntry,
    /// FFmpeg's name of it.
    pub encoder: &'static str,
    /// Of sampled pictures, where that was asked for.
    pub ssim: Option<f64>,
}

/// Why a chunk stays as it is. The name is also the label in metrics and stats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It cannot be read or decoded: left alone, told once.
    Source,
    /// FFmpeg failed, or no encoder works here.
    Encoder,
    /// It took longer than its length allows, or was held back for too long.
    Time,
    /// Duration, size of the picture, or codec are not those of the source.
    Structure,
    /// Pictures are missing or too many, or stand at other times.
    Frames,
    /// Sound is not the same, packet by packet.
    Audio,
    /// The result does not decode without an error.
    Decode,
    /// Not enough smaller.
    Savings,
    /// SSIM below the floor.
    Quality,
    /// No space for it.
    Full,
    /// The disk failed.
    Disk,
    /// Somebody stopped it, or the source went meanwhile: no fault of the chunk's, it may be tried again.
    Cancelled,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Encoder => "encoder",
            Self::Time => "time",
            Self::Structure => "structure",
            Self::Frames => "frames",
            Self::Audio => "audio",
            Self::Decode => "decode",
            Self::Savings => "savings",
            Self::Quality => "quality",
            Self::Full => "full",
            Self::Disk => "disk",
            Self::Cancelled => "cancelled",
        }
    }

    /// The same input will fail in the same way: not tried again.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Full | Self::Disk | Self::Cancelled | Self::Time)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// For people.
    pub message: String,
}

/// What makes a [`Made`] of a [`Job`], on the calling thread, which may wait for hours. Leaves no `successor` behind when
/// it fails.
pub trait Encode: Send + Sync {
    fn run(&self, job: &Job, control: &dyn Steer) -> Result<Made, Failure>;
    /// Or why no job would get far here. May block while it is tried out.
    fn ready(&self) -> Result<(), String>;
}

/// How the one who runs a job is told to rest or to stop, and tells how far it is.
pub trait Steer: Send + Sync {
    /// The process group that encodes began, or ended (None): from now on it can be paused.
    fn encodes(&self, group: Option<i32>);
    /// The share of the chunk that is encoded, 0 to 1, and how many seconds of footage a second takes.
    fn tell(&self, share: f64, speed: f64);
    /// So many bytes more went to the disk, whatever becomes of them.
    fn wrote(&self, bytes: u64);
    /// Whether to give up.
    fn is_cancelled(&self) -> bool;
}

impl Failure {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    fn cancelled() -> Self {
        Self::new(Reason::Cancelled, "stopped")
    }
}
