//! What the pictures and the sound of a device show, frame by frame.
//!
//! ```text
//! watcher ─▶ ring ─▶ pool: eyes, hearing ─▶ Observation ─▶ witnesses (latest, …)
//!    └ notice ─▶ FrameQueueActor ┘
//! ```
//! Nothing here can hold up the recording: the watcher leaves a frame and goes on, the ring lets the oldest go, and
//! FFmpeg's sound is read whether anyone listens or not.

pub mod black;
mod change;
pub mod eyes;
mod floor;
mod frame_queue_actor;
mod freeze;
mod hearing;
mod latest;
pub mod loudness;
pub mod luma;
pub mod observation;
mod pool;
mod queue;
mod ring;
mod run_clock;
mod slate;
#[cfg(test)]
mod tests;
mod thresholds;

pub use eyes::{Eyes, Seen};
pub use frame_queue_actor::{FrameArrived, FrameQueueActor};
pub use hearing::Hearing;
pub use latest::{Latest, Told};
pub use loudness::{Level, Loudness, sound};
pub use observation::{Frame, Observation, Sound, Witness};
pub use pool::Pool;
pub use queue::{FrameParts, FrameQueue, Look, MakeEyes};
pub use run_clock::RunClock;
pub use thresholds::Thresholds;
