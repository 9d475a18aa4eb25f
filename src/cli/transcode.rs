//! `capstan transcode …`: through the running daemon, which alone may change chunks; `stats` reads the database without.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Common, say};
use crate::{
    config::Settings,
    error::{Error, Kind, Result},
    registry::transcode::{Totals, inspect},
    storage::layout::{ColdLayout, HotLayout},
    web::{
        checks::bytes,
        control::{Request, ask},
    },
};

/// A rollback may wait for a slow card.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Subcommand)]
pub enum Action {
    /// Encode old footage anew from now on
    Enable(Common),
    /// No more after the file in work, also after a restart
    Disable(Common),
    /// What was saved, what is in work, and what holds it
    Stats(Common),
    /// Take the kept original of a file back
    Rollback(OneFile),
    /// Encode one file anew, whatever its age and the time of day
    File(OneFile),
    /// Look now for all that qualify
    All(All),
}

#[derive(Args)]
pub struct OneFile {
    #[command(flatten)]
    common: Common,
    /// The chunk's file: absolute, or relative to the archive's root
    path: PathBuf,
}

#[derive(Args)]
pub struct All {
    #[command(flatten)]
    common: Common,
    /// Whatever the age and the time of day; never without room, never unverified
    #[arg(long)]
    force: bool,
}

impl Action {
    pub(super) fn common(&self) -> &Common {
        match self {
            Self::Enable(common) | Self::Disable(common) | Self::Stats(common) => common,
            Self::Rollback(one) | Self::File(one) => &one.common,
            Self::All(all) => &all.common,
        }
    }

    fn request(&self) -> Request {
        match self {
            Self::Enable(_) => Request::TranscodeEnable,
            Self::Disable(_) => Request::TranscodeDisable,
            Self::Stats(_) => Request::TranscodeStats,
            Self::Rollback(one) => Request::TranscodeRollback { file: one.path.clone() },
            Self::File(one) => Request::TranscodeFile { file: one.path.clone() },
            Self::All(all) => Request::TranscodeAll { force: all.force },
        }
    }
}

pub fn run(settings: &Settings, action: &Action) -> Result<ExitCode> {
    let socket = HotLayout::new(&settings.storage.hot).control_socket();
    match (ask(&socket, &action.request(), LIMIT)?, action) {
        (Some(told), Action::Rollback(_)) => {
            say(format_args!("{} is as recorded again ({})", text(&told, "file"), bytes(number(&told, "bytes"))));
        }
        (Some(told), Action::File(_)) => {
            say(format_args!("queued as number {}; held by: {}", number(&told, "queued"), text(&told, "gate")));
        }
        (Some(told), Action::All(_)) => say(format_args!("it looks now; held by: {}", text(&told, "gate"))),
        (Some(told), _) => show(&told),
        (None, Action::Stats(_)) => {
            let database = ColdLayout::new(&settings.storage.root).database();
            if !database.exists() {
                return Err(Error::new(Kind::NotFound, "no daemon answers, and there is no database yet"));
            }
            say("no daemon answers; from the database:");
            show_totals(&inspect(&database)?);
        }
        (None, _) => {
            let message = format!("no daemon answers at {}: start it, only it may do this", socket.display());
            return Err(Error::new(Kind::Unavailable, message));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(told: &Value) {
    let status = told.get("status").unwrap_or(&Value::Null);
    let more = status.get("detail").and_then(Value::as_str).map(|it| format!(" ({it})")).unwrap_or_default();
    say(format_args!("state        {}, held by: {}{more}", text(status, "state"), text(status, "gate")));
    if status.get("enabled") == Some(&Value::Bool(false)) && text(status, "state") != "disabled" {
        say("             disabled once what is in work is finished");
    }
    if let Some(current) = status.get("current").filter(|current| current.is_object()) {
        let share = current.get("progress").and_then(Value::as_f64).unwrap_or(0.0) * 100.0;
        let speed = current.get("speed").and_then(Value::as_f64).unwrap_or(0.0);
        say(format_args!("in work      {}: {share:.0} %, {speed:.1} × as fast as it plays", text(current, "file")));
    }
    if let Some(next) = status.get("next_run").and_then(Value::as_str) {
        say(format_args!("next look    {next}"));
    }
    let kept = status.get("originals").unwrap_or(&Value::Null);
    say(format_args!("originals    {}, {}", number(kept, "count"), bytes(number(kept, "bytes"))));
    let (before, after) = (number(told, "total_original"), number(told, "total_transcoded"));
    show_numbers(number(told, "files_transcoded"), number(told, "files_failed"), before, after);
    let errors = told.get("errors").and_then(Value::as_object).into_iter().flatten();
    errors.for_each(|(reason, times)| say(format_args!("  {reason:<10} {times}")));
    if let Some(last) = told.get("last_transcoded").and_then(Value::as_str) {
        say(format_args!("last         {last}"));
    }
    if let Some(warning) = told.get("warning").and_then(Value::as_str) {
        say(format_args!("warning: {warning}"));
    }
}

fn show_totals(totals: &Totals) {
    if totals.disabled {
        say("state        disabled");
    }
    let (before, after) = (totals.total_original, totals.total_transcoded);
    show_numbers(totals.files_transcoded, totals.files_failed(), before, after);
    totals.errors.iter().for_each(|(reason, times)| say(format_args!("  {reason:<10} {times}")));
}

fn show_numbers(files: u64, failed: u64, before: u64, after: u64) {
    let saved = before.saturating_sub(after);
    let percent = saved as f64 * 100.0 / before.max(1) as f64;
    say(format_args!("transcoded   {files} files: {} became {}", bytes(before), bytes(after)));
    say(format_args!("saved        {} ({percent:.1} %)", bytes(saved)));
    say(format_args!("failed       {failed}"));
}

fn text<'a>(told: &'a Value, name: &str) -> &'a str {
    told.get(name).and_then(Value::as_str).unwrap_or("?")
}

fn number(told: &Value, name: &str) -> u64 {
    told.get(name).and_then(Value::as_u64).unwrap_or(0)
}
