//! Moves cut short at every step, with real files.
