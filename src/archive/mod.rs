//! Keeps one device's hot files within their budgets, copies captures to the archive where all are asked for, and writes
//! what lies beside its chunks.

pub mod archiver_actor;
pub mod budget;
pub mod captures;
mod metadata;
mod preview;
pub mod siblings;
mod waiting;

pub use archiver_actor::{ArchiverActor, Arrived};
pub use captures::{Captures, CapturesParts, Sources as CaptureSources};
pub use siblings::Siblings;
