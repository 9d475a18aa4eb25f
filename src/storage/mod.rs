//! storage
pub mod layout;
pub mod volume;
