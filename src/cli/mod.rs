//! The command line: what can be asked, and what each exit code means.
//!
//! ```text
//! 0 ok   1 unhealthy, refused or failed   2 wrong usage   78 wrong configuration (EX_CONFIG: systemd does not retry)
//! ```

use std::{
    fmt::Display,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{self, Settings},
    error::{Error, Kind, Result},
};

mod archive;
mod check;
mod clip;
mod doctor;
mod fetch;
mod hot;
mod output;
mod pinned;
mod user;

const UNHEALTHY: u8 = 1;
const BAD_CONFIGURATION: u8 = 78;

/// Read when `--config` is not given and it exists; the defaults otherwise.
const USUAL_CONFIG: &str = "/etc/capstan/capstan.toml";

#[derive(Parser)]
#[command(name = "capstan", version, about = "Records many video devices with one disk write per media byte.")]
#[command(propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Record, serve, and keep doing so
    Serve(Common),
    /// Validate the settings and print them as they take effect
    Check(Common),
    /// Judge the host: one line per check, exit code 1 when any fails
    Doctor(Common),
    /// The RAM side
    Hot {
        #[command(subcommand)]
        action: HotAction,
    },
    /// The recorded chunks
    Archive {
        #[command(subcommand)]
        action: ArchiveAction,
    },
    /// Who may sign in
    User {
        #[command(subcommand)]
        action: user::Action,
    },
    /// Save a span of a device as one MP4
    Clip(clip::Wish),
}

#[derive(Args)]
struct Common {
    /// Settings file [default: /etc/capstan/capstan.toml when it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum HotAction {
    /// Make the tmpfs (idempotent) and print its line for /etc/fstab
    Setup(hot::Setup),
    /// Show how full it is
    Status(Common),
}

#[derive(Subcommand)]
enum ArchiveAction {
    /// List the chunks
    List(archive::Which),
    /// Read every chunk through; exit code 1 when one is damaged
    Verify(archive::Which),
    /// Recover and seal what a crash left open, set aside what cannot be read
    Repair(archive::Which),
}

/// How a daemon runs until it is told to stop; an error is one of starting.
pub type Serve = fn(Settings, Option<&Path>) -> Result<()>;

/// Parses the command line, does what it says, and says how it went.
pub fn main(serve: Serve) -> ExitCode {
    match Cli::parse().command.run(serve) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            // A setting is at fault, not the moment: trying again would not help.
            ExitCode::from(if error.kind == Kind::Invalid { BAD_CONFIGURATION } else { UNHEALTHY })
        }
    }
}

impl Command {
    fn run(self, serve: Serve) -> Result<ExitCode> {
        let config = match &self {
            Self::Serve(common) | Self::Check(common) | Self::Doctor(common) => common,
            Self::Hot { action: HotAction::Status(common) } => common,
            Self::Hot { action: HotAction::Setup(setup) } => &setup.common,
            Self::Archive { action } => action.common(),
            Self::User { action } => action.common(),
            Self::Clip(wish) => &wish.common,
        };
        let path = config_path(config.config.as_deref());
        let settings = match config::load(path.as_deref()) {
            Ok(settings) => settings,
            Err(problems) => {
                problems.iter().for_each(complain);
                return Ok(ExitCode::from(BAD_CONFIGURATION));
            }
        };
        match self {
            Self::Serve(_) => serve(settings, path.as_deref()).map(|()| ExitCode::SUCCESS),
            Self::Check(_) => check::run(settings),
            Self::Doctor(_) => doctor::run(&settings),
            Self::Hot { action: HotAction::Setup(setup) } => hot::setup(&settings, &setup),
            Self::Hot { action: HotAction::Status(_) } => hot::status(&settings),
            Self::Archive { action: ArchiveAction::List(which) } => archive::list(&settings, &which),
            Self::Archive { action: ArchiveAction::Verify(which) } => archive::verify(&settings, &which),
            Self::Archive { action: ArchiveAction::Repair(which) } => archive::repair(&settings, &which),
            Self::User { action } => user::run(&settings, action),
            Self::Clip(wish) => clip::run(settings, wish),
        }
    }
}

impl ArchiveAction {
    fn common(&self) -> &Common {
        match self {
            Self::List(which) | Self::Verify(which) | Self::Repair(which) => &which.common,
        }
    }
}

/// A named file must exist; the usual one may be missing.
fn config_path(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(USUAL_CONFIG)).filter(|usual| usual.exists()),
    }
}

/// To stdout. A reader that went away (`| head`) is no failure.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn complain(line: &impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "capstan: {line}");
}

fn unhealthy_unless(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::from(UNHEALTHY) }
}

fn bad_answer(error: &serde_json::Error) -> Error {
    Error::new(Kind::Internal, format!("the daemon's answer cannot be read (is it another version?): {error}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_of_the_contract_parse() {
        Cli::command().debug_assert();
        for line in [
            "serve",
            "serve --config x.toml",
            "check --config x.toml",
            "doctor",
            "hot setup",
            "hot status",
            "archive list",
            "user list",
            "user add lena --role operator --area Hall --camera lobby --camera gate",
            "user passwd lena --config x.toml",
            "user token lena --scope operate --days 30 --name recorder",
            "archive verify lobby",
            "archive repair --config x.toml lobby",
            "clip lobby --start 1700000000 --end 2023-11-14T22:13:30Z -o x.mp4",
            "clip lobby --start 1700000000.5 --end 1700000001 --output x.mp4 --preset pi_optimized --gap skip",
        ] {
            let words = ["capstan"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        for line in [
            "",
            "fly",
            "serve --confg x",
            "archive list ../x",
            "user add lena --role root",
            "user token lena --scope all",
            "user token lena --days 0",
            "clip lobby --start 1700000000 --end 1700000001",
            "clip lobby --start yesterday --end 1700000001 -o x.mp4",
            "clip ../x --start 1700000000 --end 1700000001 -o x.mp4",
            "clip lobby --start 1700000000 --end 1700000001 -o x.mp4 --preset ultra",
        ] {
            let words = ["capstan"].into_iter().chain(line.split(' '));
            assert_eq!(Cli::try_parse_from(words).err().map(|error| error.exit_code()), Some(2), "{line}");
        }
    }
}
