//! Chunks as a whole: they play while they grow and when sealed, and no damage costs more than what was not committed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod clips;
mod failing_disk;
mod footage;
mod mixed;
#[path = "../../fuzz/shared/mp4_folded.rs"]
mod mp4_folded;
mod playing;
mod seeds;
mod stills;
mod support;
mod tables;
mod torn;
