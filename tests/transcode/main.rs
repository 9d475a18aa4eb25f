//! Old chunks become HEVC by a real FFmpeg, and stay as they are when anything about that is not right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;
mod fakes;
#[path = "../chunk/footage.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod footage;
mod real;
mod rig;
#[path = "../chunk/support.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod support;
