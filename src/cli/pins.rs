//! `capstan archive pin|unpin|pins`: through the running daemon, or in the database under the root's lock.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::{Common, archive::Which, bad_answer, say};
use crate::{
    clock::Clock,
    config::Settings,
    error::{Error, Kind, Result},
    events::Events,
    ids::DeviceId,
    registry::{Registry, RegistryParts},
    storage::{Retention, Volume, layout::HotLayout},
    telemetry::Metrics,
    web::{
        any_moment,
        control::{Request, ask},
        pins::{ToldPin, answer},
    },
};

/// The database of a card that is busy.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct Wish {
    #[command(flatten)]
    pub common: Common,
    /// Whose footage; it need not be configured any more
    device: DeviceId,
    /// RFC 3339 (2026-11-20T03:50:00Z) or seconds since 1970
    #[arg(long, value_name = "T", value_parser = time)]
    start: String,
    /// The same
    #[arg(long, value_name = "T", value_parser = time)]
    end: String,
    /// When the pin ends by itself [default: never]
    #[arg(long, value_name = "T", value_parser = time)]
    until: Option<String>,
    /// The very bytes as recorded: they are not encoded anew either
    #[arg(long)]
    original: bool,
    /// For whoever wonders later
    #[arg(long, value_name = "TEXT")]
    why: String,
}

#[derive(Args)]
pub struct Number {
    #[command(flatten)]
    pub common: Common,
    /// As `archive pins` tells it
    id: i64,
}

fn time(text: &str) -> std::result::Result<String, String> {
    any_moment("time", text).map(|_| text.to_owned()).map_err(|error| error.message)
}

pub fn pin(settings: &Settings, wish: &Wish) -> Result<ExitCode> {
    let Wish { device, start, end, until, original, why, .. } = wish;
    let body = json!({
        "device": device, "start": start, "end": end, "until": until, "original": original, "why": why,
    });
    let pin = answered(settings, &Request::Pin { wish: body })?;
    show(&serde_json::from_value(pin).map_err(|error| bad_answer(&error))?);
    Ok(ExitCode::SUCCESS)
}

pub fn unpin(settings: &Settings, number: &Number) -> Result<ExitCode> {
    answered(settings, &Request::Unpin { id: number.id })?;
    say(format_args!("pin {} is taken back", number.id));
    Ok(ExitCode::SUCCESS)
}

pub fn list(settings: &Settings, which: &Which) -> Result<ExitCode> {
    let pins = answered(settings, &Request::Pins { device: which.device.clone() })?;
    let pins: Vec<ToldPin> = serde_json::from_value(pins).map_err(|error| bad_answer(&error))?;
    pins.iter().for_each(show);
    Ok(ExitCode::SUCCESS)
}

/// By the daemon, or by the database that nobody else holds.
fn answered(settings: &Settings, request: &Request) -> Result<Value> {
    let socket = HotLayout::new(&settings.storage.hot).control_socket();
    if let Some(answer) = ask(&socket, request, LIMIT)? {
        return Ok(answer);
    }
    let root = &settings.storage.root;
    if !root.is_dir() {
        return Err(Error::new(Kind::NotFound, "the archive's root is not there").at(root.display()));
    }
    let clock = Clock::system();
    let volume = Volume::open(&settings.storage, &clock)?;
    let registry = Registry::start(RegistryParts {
        volume: Arc::clone(&volume),
        retention: Retention::load(&volume, clock.clone()),
        clock: clock.clone(),
        metrics: Arc::new(Metrics::new()),
        events: Events::new(clock.clone()),
        log: slog::Logger::root(slog::Discard, slog::o!()),
    })?;
    registry.wait_opened();
    let is_camera = |device: &DeviceId| settings.camera.iter().any(|camera| camera.id == *device);
    let done = answer(&registry, &volume, clock.wall(), &is_camera, request);
    registry.finish();
    done.unwrap_or_else(|| Err(Error::new(Kind::Internal, "not about pins"))).map_err(as_refused)
}

/// Never `Invalid`: that would be told as a fault of the settings.
fn as_refused(error: Error) -> Error {
    match error.kind {
        Kind::Invalid => Error::new(Kind::Conflict, error.to_string()),
        _ => error,
    }
}

fn show(pin: &ToldPin) {
    let until = pin.until.as_ref().map_or_else(|| "for ever".into(), |until| format!("until {until}"));
    let original = if pin.original { ", as recorded" } else { "" };
    let ended = if pin.active { "" } else { " (ended)" };
    say(format_args!(
        "{:>5}  {}  {}  {}  {until}{ended}{original}  {}: {}",
        pin.id, pin.device, pin.start, pin.end, pin.by, pin.why
    ));
}
