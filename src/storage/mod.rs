//! storage
pub mod layout;
