//! HTTP.
pub mod checks;
pub mod control;
pub mod error;
pub mod range;
pub mod reader;
pub mod slices;
