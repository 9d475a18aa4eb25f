//! Chunks as a whole: they play while they grow and when sealed, and no damage costs more than what was not committed.

mod failing_disk;
mod playing;
mod support;
mod torn;
