//! The transcoder on real files and a real database, with an encoder that does as it is told.

mod library;
mod rig;
mod runner;
mod swap;
