//! media/aac
