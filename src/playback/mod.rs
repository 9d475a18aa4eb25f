//! Derives on read: what somebody asks for is computed from the chunks as they lie, and no file is written.
//!
//! [`select`] says which chunks hold a span, [`cache`] gives the [`FragmentTable`] of each, [`timeline`] tells what there
//! is, [`playlist`] lists them for players, [`clip`] makes one file of them, [`still`] finds what makes one picture,
//! [`previews`] and [`verdicts`] read what lies beside the chunks, of which [`heatmap`] and [`mosaic`] make a glance.
//! Everything here blocks or is pure: `web` decides on which thread it runs.

pub mod cache;
pub mod clip;
pub mod files;
pub mod fragments;
pub mod fronts;
mod glyphs;
pub mod heatmap;
mod lay;
pub mod mosaic;
pub mod playlist;
pub mod previews;
pub mod select;
pub mod still;
pub mod timeline;
mod track;
pub mod verdicts;
pub mod virtual_mp4;

pub use crate::storage::index::Hole;
pub use cache::{TableCache, open};
pub use clip::ClipCache;
pub use files::Files;
pub use fragments::{FragmentRef, FragmentTable};
pub use fronts::Fronts;
pub use previews::PreviewCache;
pub use select::{Part, Selection, select};
pub use track::{RunRef, SampleRef, Track};
