//! Lets footage go: what left the window, and the oldest before the disk is full. Watches volume and hot on the way.

pub mod cleaner;
pub mod cleaner_actor;
pub mod plan;

pub use cleaner::{Cleaned, Cleaner, CleanerParts, CleanerStatus, Gate, KeepLimits, KeptDevice, LoadReading};
pub use cleaner_actor::CleanerActor;
