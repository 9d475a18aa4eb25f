//! media/mpa
