//! Keeps footage as long as it is wanted and no longer: moves what left the window into the library, deletes what is due,
//! and the oldest before a disk is full. Watches the volumes and hot on the way.

mod ages;
mod away;
pub mod cleaner;
pub mod cleaner_actor;
mod forecast;
mod ledger;
mod limits;
mod outlook;
pub mod plan;
mod status;

pub use ages::{Ages, Now};
pub use away::{Away, AwayParts};
pub use cleaner::{Cleaned, Cleaner, CleanerParts};
pub use cleaner_actor::CleanerActor;
pub use forecast::Forecast;
pub use ledger::{KeptDevice, Ledger, LedgerParts, PinsNow};
pub use limits::{Gate, KeepLimits, LoadReading};
pub use outlook::{Free, Outlook};
pub use status::{AwayStatus, CleanerStatus};
