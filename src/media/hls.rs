//! media/hls
