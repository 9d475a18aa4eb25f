//! `capstan user add|passwd|token|list`: through the running daemon, or under the root's lock when none runs.

use std::{
    io::{BufRead, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::Value;
use slog::{Discard, Logger, o};

use super::{Common, say};
use crate::{
    access::{Access, AccessParts, Command},
    clock::Clock,
    config::{Auth, Settings},
    error::{Error, Kind, Result},
    events::Events,
    ids::DeviceId,
    registry::{Registry, RegistryParts, users::Role},
    storage::{Retention, Volume, layout::HotLayout},
    telemetry::Metrics,
    web::control::{Request, ask},
};

/// The daemon hashes a password behind others, and writes to a slow card.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Subcommand)]
pub enum Action {
    /// Another user; asks for the password, makes one where none is said
    Add(Add),
    /// Another password for a user, whose sessions end
    Passwd(Passwd),
    /// A token for a program, told once
    Token(Token),
    /// Users and tokens
    List(Common),
}

#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    common: Common,
    /// Letters, digits, '.', '_', '@' and '-'
    name: String,
    /// viewer, operator or admin
    #[arg(long, default_value = "viewer", value_parser = role)]
    role: Role,
    /// Only cameras of this area; may be said again [default: all]
    #[arg(long = "area", value_name = "AREA")]
    areas: Vec<String>,
    /// Also, or only, this camera; may be said again
    #[arg(long = "camera", value_name = "ID")]
    cameras: Vec<DeviceId>,
}

#[derive(Args)]
pub struct Passwd {
    #[command(flatten)]
    common: Common,
    name: String,
}

#[derive(Args)]
pub struct Token {
    #[command(flatten)]
    common: Common,
    /// Whose rights it has
    user: String,
    /// What it is for
    #[arg(long, default_value = "token")]
    name: String,
    /// read, operate or admin
    #[arg(long, default_value = "read", value_parser = ["read", "operate", "admin"])]
    scope: String,
    /// Until it expires
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

fn role(text: &str) -> std::result::Result<Role, String> {
    Role::parse(text).ok_or_else(|| "must be viewer, operator or admin".into())
}

impl Action {
    pub fn common(&self) -> &Common {
        match self {
            Self::Add(add) => &add.common,
            Self::Passwd(passwd) => &passwd.common,
            Self::Token(token) => &token.common,
            Self::List(common) => common,
        }
    }
}

pub fn run(settings: &Settings, action: Action) -> Result<ExitCode> {
    match action {
        Action::Add(Add { name, role, areas, cameras, .. }) => {
            let password = password(&name)?;
            let told = done(settings, Command::Add { name, password, role, areas, cameras })?;
            say(format_args!("{} may sign in", text(&told, "name")));
            tell_password(&told);
        }
        Action::Passwd(Passwd { name, .. }) => {
            let password = password(&name)?;
            let told = done(settings, Command::Passwd { name, password })?;
            say(format_args!("{} has another password", text(&told, "name")));
            tell_password(&told);
        }
        Action::Token(Token { user, name, scope, days, .. }) => {
            let told = done(settings, Command::Token { user, name, scope, days })?;
            // Alone, so that a script can take it.
            say(text(&told, "token"));
        }
        Action::List(_) => list(&done(settings, Command::List)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(told: &Value) {
    let all = |name: &str| told.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for user in all("users") {
        let list = |name: &str| {
            let items = user.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        };
        let (areas, cameras) = (list("areas"), list("cameras"));
        let sees = match (areas.is_empty(), cameras.is_empty()) {
            (true, true) => "all cameras".to_owned(),
            (false, true) => format!("areas {areas}"),
            (true, false) => format!("cameras {cameras}"),
            (false, false) => format!("areas {areas} and cameras {cameras}"),
        };
        say(format_args!("{:<20}  {:<8}  {sees}", text(&user, "name"), text(&user, "role")));
    }
    for token in all("tokens") {
        let (id, name, user) = (text(&token, "id"), text(&token, "name"), text(&token, "user"));
        say(format_args!("token {id}  {name} of {user}, {}, until {}", text(&token, "scope"), text(&token, "expires")));
    }
}

fn tell_password(told: &Value) {
    if told.get("password").is_some() {
        say(format_args!("password: {}", text(told, "password")));
    }
}

fn text<'a>(told: &'a Value, name: &str) -> &'a str {
    told.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Asked twice on a terminal, without showing it; else a line of the input. None, for an empty one: make one.
fn password(name: &str) -> Result<Option<String>> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Ok(Some(line(&input)?).filter(|line| !line.is_empty()));
    }
    let first = hidden(&format!("Password for {name} (empty: make one): "))?;
    if first.is_empty() {
        return Ok(None);
    }
    if first != hidden("Once more: ")? {
        return Err(Error::new(Kind::Conflict, "the two passwords differ"));
    }
    Ok(Some(first))
}

fn hidden(prompt: &str) -> Result<String> {
    let failed = |error: rustix::io::Errno| Error::io("hiding the password", "", error.into());
    let input = std::io::stdin();
    let shown = tcgetattr(&input).map_err(failed)?;
    let mut quiet = shown.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "{prompt}").and_then(|()| out.flush());
    tcsetattr(&input, OptionalActions::Flush, &quiet).map_err(failed)?;
    let read = line(&input);
    let restored = tcsetattr(&input, OptionalActions::Flush, &shown).map_err(failed);
    let _ = writeln!(out);
    restored.and(read)
}

fn line(input: &std::io::Stdin) -> Result<String> {
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(|error| Error::io("reading the password", "stdin", error))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn done(settings: &Settings, command: Command) -> Result<Value> {
    let socket = HotLayout::new(&settings.storage.hot).control_socket();
    let request = Request::User { command: command.clone() };
    match ask(&socket, &request, LIMIT)? {
        Some(told) => Ok(told),
        // Never `Invalid`, which would be told as a fault of the settings.
        None => alone(settings, command).map_err(|error| match error.kind {
            Kind::Invalid => Error::new(Kind::Conflict, error.to_string()),
            _ => error,
        }),
    }
}

/// No daemon runs: the database itself, while the lock keeps one from starting.
fn alone(settings: &Settings, command: Command) -> Result<Value> {
    let root = &settings.storage.root;
    if !root.is_dir() {
        return Err(Error::new(Kind::NotFound, "the archive's root is not there").at(root.display()));
    }
    let (clock, log) = (Clock::system(), Logger::root(Discard, o!()));
    let volume = Volume::open(&settings.storage, &clock)?;
    let metrics = Arc::new(Metrics::new());
    let registry = Registry::start(RegistryParts {
        retention: Retention::load(&volume, clock.clone()),
        volume,
        clock: clock.clone(),
        metrics: metrics.clone(),
        events: Events::new(clock.clone()),
        log: log.clone(),
    })?;
    // The first user may be one that is added here: then nobody needs a password from a log.
    let auth = Auth { enabled: false, ..settings.auth.clone() };
    let access = Access::start(AccessParts { auth, registry: registry.clone(), clock, metrics, log })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| Error::io("starting a runtime", "", error))?;
    let told = runtime.block_on(async {
        tokio::time::timeout(LIMIT, access.open())
            .await
            .map_err(|_| Error::new(Kind::Unavailable, "the database does not open"))?;
        access.command(command).await
    });
    registry.finish();
    told
}
