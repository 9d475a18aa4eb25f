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
mod camera;
mod check;
mod clip;
mod doctor;
mod fetch;
mod hot;
mod output;
mod pinned;
mod pins;
mod transcode;
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
    /// What is recorded
    Camera {
        #[command(subcommand)]
        action: camera::Action,
    },
    /// The recorded chunks
    Archive {
        #[command(subcommand)]
        action: ArchiveAction,
    },
    /// Old footage encoded anew
    Transcode {
        #[command(subcommand)]
        action: transcode::Action,
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
    /// Keep a range, whatever is deleted around it
    Pin(pins::Wish),
    /// Take a pin back by its number
    Unpin(pins::Number),
    /// List the pins
    Pins(archive::Which),
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
            Self::Transcode { action } => action.common(),
            Self::Camera { action } => action.common(),
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
            Self::Check(_) => check::run(&settings),
            Self::Doctor(_) => doctor::run(&settings),
            Self::Hot { action: HotAction::Setup(setup) } => hot::setup(&settings, &setup),
            Self::Hot { action: HotAction::Status(_) } => hot::status(&settings),
            Self::Camera { action } => camera::run(&settings, action),
            Self::Archive { action: ArchiveAction::List(which) } => archive::list(&settings, &which),
            Self::Archive { action: ArchiveAction::Verify(which) } => archive::verify(&settings, &which),
            Self::Archive { action: ArchiveAction::Repair(which) } => archive::repair(&settings, &which),
            Self::Archive { action: ArchiveAction::Pin(wish) } => pins::pin(&settings, &wish),
            Self::Archive { action: ArchiveAction::Unpin(number) } => pins::unpin(&settings, &number),
            Self::Archive { action: ArchiveAction::Pins(which) } => pins::list(&settings, &which),
            Self::Transcode { action } => transcode::run(&settings, &action),
            Self::User { action } => user::run(&settings, action),
            Self::Clip(wish) => clip::run(settings, wish),
        }
    }
}

impl ArchiveAction {
    fn common(&self) -> &Common {
        match self {
            Self::List(which) | Self::Verify(which) | Self::Repair(which) | Self::Pins(which) => &which.common,
            Self::Pin(wish) => &wish.common,
            Self::Unpin(number) => &number.common,
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
            "camera list",
            "camera add lobby rtsp://h/live --name Lobby --area Ground --quality copy --disabled",
            "camera add lobby --from -",
            "camera remove lobby --config x.toml",
            "camera enable lobby",
            "camera disable lobby",
            "archive list",
            "user list",
            "user add lena --role operator --area Hall --camera lobby --camera gate",
            "user passwd lena --config x.toml",
            "user token lena --scope operate --days 30 --name recorder",
            "archive verify lobby",
            "archive repair --config x.toml lobby",
            "archive pin lobby --start 1700000000 --end 2023-11-14T22:13:30Z --why theft",
            "archive pin lobby --start 1700000000 --end 1700000001 --until 2030-01-01T00:00:00Z --original --why x",
            "archive unpin 7",
            "archive pins",
            "archive pins lobby",
            "transcode enable",
            "transcode disable --config x.toml",
            "transcode stats",
            "transcode rollback cam/segments/3/chunk_10min_2.mp4",
            "transcode file /archive/cam/library/2026-11-20/03/chunk_10min_5.mp4",
            "transcode all",
            "transcode all --force",
            "clip lobby --start 1700000000 --end 2023-11-14T22:13:30Z -o x.mp4",
            "clip lobby --start 1700000000.5 --end 1700000001 --output x.mp4 --preset pi_optimized --gap skip",
            "clip lobby --start 1700000000 --end 1700000001 -o x.mp4 --codec h264",
        ] {
            let words = ["capstan"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        for line in [
            "",
            "fly",
            "serve --confg x",
            "archive list ../x",
            "transcode",
            "transcode file",
            "transcode all x.mp4",
            "archive pin lobby --start 1700000000 --end 1700000001",
            "archive pin lobby --start yesterday --end 1700000001 --why x",
            "archive unpin seven",
            "camera add lobby",
            "camera add ../x test",
            "camera add lobby test --from x",
            "camera remove",
            "user add lena --role root",
            "user token lena --scope all",
            "user token lena --days 0",
            "clip lobby --start 1700000000 --end 1700000001",
            "clip lobby --start yesterday --end 1700000001 -o x.mp4",
            "clip ../x --start 1700000000 --end 1700000001 -o x.mp4",
            "clip lobby --start 1700000000 --end 1700000001 -o x.mp4 --preset ultra",
            "clip lobby --start 1700000000 --end 1700000001 -o x.mp4 --codec h265",
        ] {
            let words = ["capstan"].into_iter().chain(line.split(' '));
            assert_eq!(Cli::try_parse_from(words).err().map(|error| error.exit_code()), Some(2), "{line}");
        }
    }
}
