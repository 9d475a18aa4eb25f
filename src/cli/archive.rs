//! `capstan archive list|verify|repair`: through the running daemon, or under the root's lock when none runs.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{Common, bad_answer, say, unhealthy_unless};
use crate::{
    clock::Clock,
    config::Settings,
    error::{Error, Kind, Result},
    ids::DeviceId,
    storage::{Volume, layout::HotLayout},
    web::{
        archive::{Archive, ArchiveRow, RowState},
        checks::bytes,
        control::{Request, ask},
    },
};

#[derive(Args)]
pub struct Which {
    #[command(flatten)]
    pub common: Common,
    /// One device; all when none is named
    pub device: Option<DeviceId>,
}

/// A day of 64 devices is read in hours, from a card.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

pub fn list(settings: &Settings, which: &Which) -> Result<ExitCode> {
    let device = which.device.clone();
    let rows = rows(settings, &Request::ArchiveList { device })?;
    show(&rows);
    Ok(ExitCode::SUCCESS)
}

pub fn verify(settings: &Settings, which: &Which) -> Result<ExitCode> {
    let device = which.device.clone();
    let rows = rows(settings, &Request::ArchiveVerify { device })?;
    show(&rows);
    let damaged = rows.iter().filter(|row| !row.problems.is_empty()).count();
    say(format_args!("{damaged} of {} files have problems", rows.len()));
    Ok(unhealthy_unless(damaged == 0))
}

pub fn repair(settings: &Settings, which: &Which) -> Result<ExitCode> {
    let device = which.device.clone();
    let rows = rows(settings, &Request::ArchiveRepair { device })?;
    let touched: Vec<ArchiveRow> = rows.iter().filter(|row| row.done.is_some()).cloned().collect();
    show(&touched);
    let left = rows.iter().filter(|row| !row.problems.is_empty() && row.done.is_none()).count();
    say(format_args!("{} of {} files were touched", touched.len(), rows.len()));
    Ok(unhealthy_unless(left == 0 && !touched.iter().any(failed)))
}

fn failed(row: &ArchiveRow) -> bool {
    row.done.as_ref().is_some_and(|done| done.starts_with("cannot"))
}

/// The daemon's answer, or our own work on a root that nobody else holds.
fn rows(settings: &Settings, request: &Request) -> Result<Vec<ArchiveRow>> {
    let hot = HotLayout::new(&settings.storage.hot);
    if let Some(answer) = ask(&hot.control_socket(), request, LIMIT)? {
        return serde_json::from_value(answer).map_err(|error| bad_answer(&error));
    }
    let root = &settings.storage.root;
    if !root.is_dir() {
        return Err(Error::new(Kind::NotFound, "the archive's root is not there").at(root.display()));
    }
    let volume = Volume::open(&settings.storage, &Clock::system())?;
    let archive = Archive { volume: &volume, hot: &hot, index: &|_| None };
    match request.archive() {
        Some((work, device)) => archive.run(work, device),
        None => Ok(Vec::new()),
    }
}

fn show(rows: &[ArchiveRow]) {
    for row in rows {
        let state = match row.state {
            RowState::Sealed => "sealed",
            RowState::Open => "open",
            RowState::Unfinished => "unfinished",
            RowState::Damaged => "damaged",
        };
        let unknown = "-".to_owned();
        say(format_args!(
            "{}  {}  {}  {:>9}  {state:<10}  {}{}",
            row.path.display(),
            row.start.as_ref().unwrap_or(&unknown),
            row.end.as_ref().unwrap_or(&unknown),
            bytes(row.bytes),
            row.codecs,
            if row.gaps > 0 { format!("  {} gaps", row.gaps) } else { String::new() },
        ));
        row.problems.iter().for_each(|problem| say(format_args!("    {problem}")));
        row.done.iter().for_each(|done| say(format_args!("    → {done}")));
    }
}
