//! `capstan camera list|add|remove|enable|disable`: through the running daemon, or in the database when none runs.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Common, say};
use crate::{
    clock::Clock,
    config::{Camera, Settings},
    error::{Error, Kind, Result},
    events::Events,
    ids::DeviceId,
    registry::{Change, Registry, RegistryParts, Stored},
    storage::{Retention, Volume, layout::HotLayout},
    telemetry::Metrics,
    web::{
        cameras::told,
        control::{Request, ask},
        fleet::{Listed, Origin, invalid},
    },
};

/// Removing waits for the last commit, starting for the disk.
const LIMIT: Duration = Duration::from_secs(60);
/// Of a description that is read from a file.
const DESCRIPTION_BYTES_MAX: u64 = 16 << 10;
/// Who did it, in the audit log.
const BY: &str = "command line";

#[derive(Subcommand)]
pub enum Action {
    /// What is configured, in the file and in the database
    List(Which),
    /// One more; a running daemon records it at once
    Add(New),
    /// It goes, its footage stays until it expires
    Remove(Named),
    /// It records again
    Enable(Named),
    /// It stops recording
    Disable(Named),
}

#[derive(Args)]
pub struct Which {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct Named {
    #[command(flatten)]
    common: Common,
    id: DeviceId,
}

#[derive(Args)]
pub struct New {
    #[command(flatten)]
    common: Common,
    id: DeviceId,
    /// rtsp:// or http:// address, /dev/video0, a file, or "test"; an address with a password is safer in --from
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    source: Option<String>,
    /// TOML as below `[[camera]]`, from a file or - (standard input)
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    area: Option<String>,
    /// low, sd, hd or copy
    #[arg(long)]
    quality: Option<String>,
    /// Write it down only
    #[arg(long)]
    disabled: bool,
}

impl Action {
    pub fn common(&self) -> &Common {
        match self {
            Self::List(which) => &which.common,
            Self::Add(new) => &new.common,
            Self::Remove(named) | Self::Enable(named) | Self::Disable(named) => &named.common,
        }
    }
}

pub fn run(settings: &Settings, action: Action) -> Result<ExitCode> {
    let request = match action {
        Action::List(_) => Request::CameraList,
        Action::Add(new) => Request::CameraAdd { camera: describe(new)? },
        Action::Remove(named) => Request::CameraRemove { id: named.id },
        Action::Enable(named) => Request::CameraEnable { id: named.id, enabled: true },
        Action::Disable(named) => Request::CameraEnable { id: named.id, enabled: false },
    };
    let socket = HotLayout::new(&settings.storage.hot).control_socket();
    let answer = match ask(&socket, &request, LIMIT)? {
        Some(answer) => answer,
        None => alone(settings, request)?,
    };
    match answer.as_array() {
        Some(cameras) => cameras.iter().for_each(show),
        None => show(&answer),
    }
    Ok(ExitCode::SUCCESS)
}

fn show(camera: &Value) {
    if camera.is_null() {
        return say("done");
    }
    let text = |name: &str| camera[name].as_str().unwrap_or("");
    let state = if camera["enabled"] == json!(true) { "enabled" } else { "disabled" };
    let kind = camera["source"]["kind"].as_str().unwrap_or("");
    let place = ["url", "path", "dir", "display"].iter().find_map(|name| camera["source"][*name].as_str());
    say(format_args!(
        "{:<24} {:<4} {state:<8} {:<16} {:<24} {kind} {}",
        text("id"),
        text("origin"),
        text("area"),
        text("name"),
        place.unwrap_or("")
    ));
    if let Some(why) = camera["refused"].as_str() {
        say(format_args!("    not running: {why}"));
    }
}

/// JSON of the shape of `[[camera]]`.
fn describe(new: New) -> Result<Value> {
    let mut camera = match &new.from {
        Some(file) => described(file)?,
        None => Map::from_iter([("source".to_owned(), source(new.source.as_deref().unwrap_or_default()))]),
    };
    camera.insert("id".into(), json!(new.id));
    for (name, value) in [("name", new.name), ("area", new.area), ("quality", new.quality)] {
        if let Some(value) = value {
            camera.insert(name.into(), value.into());
        }
    }
    if new.disabled {
        camera.insert("enabled".into(), false.into());
    }
    Ok(camera.into())
}

fn described(file: &Path) -> Result<Map<String, Value>> {
    let mut text = String::new();
    let failed = |error| Error::io("reading the description", file, error);
    let read = match file == Path::new("-") {
        true => std::io::stdin().take(DESCRIPTION_BYTES_MAX).read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|file| file.take(DESCRIPTION_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(failed)?;
    // Not what it says: it may be an address with a password.
    let wrong = || Error::new(Kind::Invalid, "is no TOML of a camera").at(file.display());
    toml::from_str(&text).map_err(|_| wrong())
}

fn source(text: &str) -> Value {
    match text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
        Some("rtsp" | "rtsps") => json!({"kind": "rtsp", "url": text}),
        Some(_) => json!({"kind": "http", "url": text}),
        None if text == "test" => json!({"kind": "test"}),
        None if text.starts_with("/dev/") => json!({"kind": "v4l2", "path": text}),
        None => json!({"kind": "file", "path": text}),
    }
}

/// The same on a root that no daemon holds.
fn alone(settings: &Settings, request: Request) -> Result<Value> {
    let clock = Clock::system();
    let root = &settings.storage.root;
    if !root.is_dir() {
        return Err(Error::new(Kind::NotFound, "the archive's root is not there").at(root.display()));
    }
    let volume = Volume::open(&settings.storage, &clock)?;
    let metrics = Arc::new(Metrics::new());
    let registry = Registry::start(RegistryParts {
        retention: Retention::load(&volume, clock.clone()),
        volume,
        events: Events::counted(clock.clone(), &metrics),
        clock,
        metrics,
        log: slog::Logger::root(slog::Discard, slog::o!()),
    })?;
    let outcome = enter(settings, &registry, request);
    registry.finish();
    outcome
}

fn enter(settings: &Settings, registry: &Registry, request: Request) -> Result<Value> {
    let roster = registry.wait_roster()?;
    let in_file = |id: &DeviceId| settings.camera(id).is_some();
    let mine = |id: &DeviceId| -> Result<Stored> {
        if in_file(id) {
            return Err(Error::new(Kind::Forbidden, "this camera is in the settings file: change it there").at(id));
        }
        roster.camera(id).cloned().ok_or_else(|| Error::new(Kind::NotFound, "there is no such camera").at(id))
    };
    let change = match request {
        Request::CameraAdd { camera } => {
            let mut camera = Camera::read(&camera, settings).map_err(|problems| invalid(&problems))?;
            camera.reveal(None).map_err(|problem| invalid(&[problem]))?;
            if in_file(&camera.id) || roster.camera(&camera.id).is_some() {
                return Err(Error::new(Kind::Conflict, "there is a camera of that id").at(&camera.id));
            }
            Change::Put(Box::new(camera))
        }
        Request::CameraRemove { id } => Change::Delete(mine(&id)?.camera.id),
        Request::CameraEnable { id, enabled } => Change::Put(Box::new(Camera { enabled, ..mine(&id)?.camera })),
        _ => {
            let file = settings.camera.iter().map(|camera| listed(camera, Origin::File));
            let stored = roster.cameras.iter().filter(|stored| !in_file(&stored.camera.id));
            let stored = stored.map(|stored| listed(&stored.camera, Origin::Api));
            return Ok(file.chain(stored).map(|listed| told(&listed)).collect());
        }
    };
    let id = match &change {
        Change::Put(camera) => Some(camera.id.clone()),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| Error::io("waiting for the database", "", error))?;
    runtime.block_on(registry.enter(vec![change], BY))?;
    let now = registry.roster();
    let found = id.and_then(|id| now.camera(&id).cloned());
    Ok(found.map(|stored| told(&listed(&stored.camera, Origin::Api))).unwrap_or_default())
}

fn listed(camera: &Camera, origin: Origin) -> Listed {
    Listed {
        camera: Arc::new(camera.clone()),
        origin,
        revision: None,
        created: None,
        changed: None,
        shadows: false,
        refused: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_form() {
        let check = |text: &str, kind: &str| assert_eq!(source(text)["kind"], kind, "{text}");
        check("rtsp://h/live", "rtsp");
        check("RTSPS://h/live", "rtsp");
        check("https://h/a.m3u8", "http");
        check("ftp://h", "http");
        check("test", "test");
        check("/dev/video0", "v4l2");
        check("/srv/a.mp4", "file");
    }
}
