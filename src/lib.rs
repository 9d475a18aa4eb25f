//! The map of Capstan, in the order data flows.
//!
//! A source becomes segments in RAM ([`capture`]), segments become crash-safe chunks on disk ([`merge`]), files are
//! kept and let go ([`archive`], [`keep`], [`storage`]), and people and programs read them, or what is derived from
//! them ([`playback`], [`web`]). [`device`] runs one such line per camera, [`supervisor`] restarts what fails, [`app`]
//! wires everything. Leaves that know nobody: [`media`], [`clock`], [`error`], [`ids`], [`limits`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout))]

pub mod app;
pub mod archive;
pub mod capture;
pub mod cli;
pub mod clock;
pub mod config;
pub mod device;
pub mod error;
pub mod ids;
pub mod keep;
pub mod limits;
pub mod media;
pub mod merge;
pub mod playback;
pub mod storage;
pub mod supervisor;
pub mod telemetry;
pub mod web;
