//! Where footage lies: paths, the RAM side, the archive volume, and the index of its chunks.
//!
//! Files are the truth; everything here that is kept in RAM is rebuilt from them at start.

pub mod cold;
pub mod faults;
pub mod hot;
mod hot_state;
pub mod index;
pub mod inventory;
pub mod layout;
pub mod lease;
pub mod library;
pub mod live;
mod lock;
mod pins;
pub mod retention;
pub mod shed;
pub mod siblings;
#[cfg(test)]
pub(crate) mod test_disk;
pub mod tmpfs;
pub mod transfer;
pub mod volume;

pub use cold::{ColdDir, DirEntry, FileMeta};
pub use faults::{Effect, Faults, Gate, Op};
pub use hot::{Evicted, HotDevice, HotPicture, HotSegment, HotStatus};
pub use index::{ChunkEntry, DeviceIndex, Place};
pub use inventory::Scanned;
pub use layout::{ColdLayout, HotLayout};
pub use lease::Lease;
pub use live::LivePlaylist;
pub use pins::{Pin, Pins};
pub use retention::Retention;
pub use shed::HotLimits;
pub use siblings::Beside;
pub use tmpfs::{HotFacts, check_hot, lock_hot};
pub use volume::Volume;
