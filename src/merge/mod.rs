//! merge
pub mod chunk;
pub mod recover;
