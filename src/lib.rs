//! The map of Capstan, in the order data flows.
//!
//! A source becomes segments in RAM ([`capture`]), segments become crash-safe chunks on disk ([`merge`]), files are
//! kept, compacted and let go ([`archive`], [`keep`], [`transcode`], [`storage`]), pictures are watched ([`frames`], [`incident`]), what they show
//! and what people say of it is written down ([`registry`]), and people and programs read all of it, or what is derived
//! from it ([`playback`], [`web`]). [`device`] runs one such line per camera, [`supervisor`] restarts what fails, [`app`]
//! wires everything. Leaves that know nobody: [`media`], [`clock`], [`error`], [`events`], [`ids`], [`limits`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout))]

pub mod access;
pub mod app;
pub mod archive;
pub mod capture;
pub mod cli;
pub mod clock;
pub mod config;
pub mod device;
pub mod error;
pub mod events;
pub mod frames;
pub mod ids;
pub mod incident;
pub mod keep;
pub mod limits;
pub mod media;
pub mod merge;
pub mod notify;
pub mod playback;
pub mod registry;
pub mod storage;
pub mod supervisor;
pub mod telemetry;
pub mod transcode;
pub mod web;
