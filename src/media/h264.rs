//! media/h264
