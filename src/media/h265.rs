//! media/h265
