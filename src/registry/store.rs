//! The database's file: looked through before it is used, set aside when damaged, restored from its copy, copied daily.

use std::{os::unix::fs::FileExt, path::Path};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};
use rustix::fs::Mode;
use slog::{info, warn};

use super::{
    RegistryParts,
    schema::{VERSION, migrate},
    sqlite::{self, failed},
};
use crate::{
    clock::TICKS_PER_SECOND,
    error::{Error, Kind, Result},
    storage::Volume,
};

/// Its owner's alone: it will hold secrets.
const MODE: Mode = Mode::from_raw_mode(0o600);
const DAY_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;
/// Pages copied at a time, and bytes.
const COPY_PAGES: i32 = 256;
const COPY_BYTES: usize = 64 << 10;
/// Damaged databases that are kept for somebody to look at; then the oldest goes.
const ASIDE_MAX: usize = 4;

/// The database, whole and of this version. `replaced` is told when another file took its place.
///
/// [`Kind::Conflict`]: a newer Capstan made it; nothing was touched.
pub fn open(parts: &RegistryParts, mut replaced: impl FnMut()) -> Result<Connection> {
    let (volume, path) = (&parts.volume, parts.volume.layout().database());
    let bytes = match volume.metadata(&path) {
        Ok(found) => found.bytes,
        Err(error) if error.kind == Kind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if bytes == 0 {
        // Never written to, or cut to nothing.
        replaced();
        make(parts)?;
    }
    for _ in 0..2 {
        match open_whole(volume) {
            Err(error) if error.kind == Kind::Corrupt => {
                replaced();
                set_aside(parts, &error)?;
                make(parts)?;
            }
            done => return done,
        }
    }
    open_whole(volume)
}

/// What `doctor` finds without a daemon. Touches nothing; None when there is no database.
pub fn inspect(database: &Path) -> Option<std::result::Result<String, String>> {
    if !database.exists() {
        return None;
    }
    let shown = database.display();
    Some(match sqlite::open_alone(database).map_err(failed("opening it")).and_then(|found| check(&found)) {
        Ok(version) if version > VERSION => Err(format!("{shown} {}", newer(version))),
        Ok(_) => Ok(format!("{shown} is whole")),
        Err(error) => Err(format!("{shown}: {}", error.message)),
    })
}

/// Whether this is the refusal of a database that a newer Capstan made.
pub fn is_newer(error: &Error) -> bool {
    error.kind == Kind::Conflict
}

/// Copies it when the copy is a day old and anything changed since.
pub fn backup(parts: &RegistryParts, connection: &Connection) -> Result<()> {
    if !backup_is_due(parts) {
        return Ok(());
    }
    let done = copy(parts, connection);
    if done.is_err() {
        // On a full disk half a copy takes the space that recording needs.
        let _ = parts.volume.unlink(&parts.volume.layout().database_copy());
    }
    done
}

fn copy(parts: &RegistryParts, connection: &Connection) -> Result<()> {
    let (volume, layout) = (&parts.volume, parts.volume.layout());
    let (aside, place) = (layout.database_copy(), layout.database_backup());
    create(volume, &aside)?;
    let doing = failed("copying the database");
    let mut copy = sqlite::open(&volume.root().join(&aside)).map_err(&doing)?;
    // What is half a copy after a power cut is not one: it needs no journal, and one flush at its end.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(&doing)?;
    let running = Backup::new(connection, &mut copy).map_err(&doing)?;
    loop {
        match running.step(COPY_PAGES).map_err(&doing)? {
            StepResult::Done => break,
            StepResult::More => {}
            _ => return Err(Error::new(Kind::Unavailable, "the database is busy, it is copied later")),
        }
    }
    drop(running);
    drop(copy);
    publish(volume, &aside, &place)?;
    info!(parts.log, "database copied"; "path" => place.display().to_string());
    Ok(())
}

/// When the copy was made, RFC 3339.
pub fn last_backup(parts: &RegistryParts) -> Option<String> {
    let found = parts.volume.metadata(&parts.volume.layout().database_backup()).ok()?;
    Some(parts.clock.of_file(found.modified).rfc3339())
}

/// The bytes of the database and its log.
pub fn bytes(volume: &Volume) -> u64 {
    let path = volume.layout().database();
    let log = volume.layout().database_log(&path);
    [path, log].iter().filter_map(|path| volume.metadata(path).ok()).map(|found| found.bytes).sum()
}

fn backup_is_due(parts: &RegistryParts) -> bool {
    let (volume, layout) = (&parts.volume, parts.volume.layout());
    let (path, modified) = (layout.database(), |path: &Path| volume.metadata(path).ok().map(|found| found.modified));
    let Some(copied) = modified(&layout.database_backup()) else { return true };
    let changed = [modified(&path), modified(&layout.database_log(&path))].into_iter().flatten().max();
    let age = parts.clock.wall() - parts.clock.of_file(copied);
    // A copy from the future: the clock was set back, and its age is not known.
    changed.is_some_and(|changed| changed > copied) && !(0..DAY_90K).contains(&age)
}

fn open_whole(volume: &Volume) -> Result<Connection> {
    let path = volume.root().join(volume.layout().database());
    // First without touching anything: a newer database may have a log that only newer programs understand.
    if let Ok(version) = sqlite::open_alone(&path).and_then(|alone| sqlite::version(&alone))
        && version > VERSION
    {
        return Err(Error::new(Kind::Conflict, newer(version)).at(path.display()));
    }
    let doing = failed("opening the database");
    let mut connection = sqlite::open(&path).map_err(&doing)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(&doing)?;
    let version = check(&connection)?;
    if version > VERSION {
        return Err(Error::new(Kind::Conflict, newer(version)).at(path.display()));
    }
    if version < VERSION {
        migrate(&mut connection)?;
    }
    Ok(connection)
}

/// The version of a whole database; [`Kind::Corrupt`] for any other.
fn check(connection: &Connection) -> Result<u32> {
    let doing = failed("looking through the database");
    let told: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(&doing)?;
    if told != "ok" {
        return Err(Error::new(Kind::Corrupt, format!("the database is damaged: {told}")));
    }
    sqlite::version(connection).map_err(doing)
}

fn newer(version: u32) -> String {
    format!(
        "was made by a newer Capstan (schema {version}, this one knows {VERSION}): run that one, or move the file away"
    )
}

/// The copy when it is whole, else an empty file.
fn make(parts: &RegistryParts) -> Result<()> {
    let (volume, layout) = (&parts.volume, parts.volume.layout());
    let (path, copy) = (layout.database(), layout.database_backup());
    let log = layout.database_log(&path);
    if volume.exists(&log) {
        // Of another file: it must not be played onto this one.
        volume.rename(&log, &layout.database_log(&layout.database_aside(parts.clock.wall().as_ms())))?;
    }
    let whole = volume.exists(&copy)
        && sqlite::open_alone(&volume.root().join(&copy))
            .map_err(failed("opening the copy of the database"))
            .and_then(|copy| check(&copy))
            .is_ok();
    let aside = layout.database_copy();
    create(volume, &aside)?;
    if whole {
        copy_file(volume, &copy, &aside)?;
        warn!(parts.log, "database restored from its copy"; "made" => last_backup(parts));
    }
    publish(volume, &aside, &path)
}

/// A damaged database and its log go to names of their own. SQLite rebuilds the other file beside it.
fn set_aside(parts: &RegistryParts, why: &Error) -> Result<()> {
    let (volume, layout) = (&parts.volume, parts.volume.layout());
    let (path, aside) = (layout.database(), layout.database_aside(parts.clock.wall().as_ms()));
    warn!(parts.log, "database is damaged and set aside"; "why" => &why.message, "path" => aside.display().to_string());
    parts.metrics.db_set_aside.inc();
    volume.rename(&path, &aside)?;
    let log = layout.database_log(&path);
    if volume.exists(&log) {
        volume.rename(&log, &layout.database_log(&aside))?;
    }
    volume.fsync_dir(Path::new(""))?;
    forget_oldest(volume)
}

/// Keeps a card that damages every database from filling with them.
fn forget_oldest(volume: &Volume) -> Result<()> {
    let marks = volume.layout().database_aside(0);
    let mark = marks.to_string_lossy().trim_end_matches('0').to_owned();
    let names = volume.read_dir(Path::new(""))?.into_iter().map(|entry| entry.name.to_string_lossy().into_owned());
    let mut found: Vec<_> = names.filter(|name| name.starts_with(&mark) && !name.ends_with("-wal")).collect();
    found.sort();
    for name in found.iter().rev().skip(ASIDE_MAX) {
        let path = Path::new(name);
        let log = volume.layout().database_log(path);
        if volume.exists(&log) {
            volume.unlink(&log)?;
        }
        volume.unlink(path)?;
    }
    Ok(())
}

/// An empty file of this name, whatever was there.
fn create(volume: &Volume, path: &Path) -> Result<()> {
    if volume.exists(path) {
        volume.unlink(path)?;
    }
    let file = volume.create_new(path)?;
    rustix::fs::fchmod(&file, MODE).map_err(|error| Error::io("protecting", volume.root().join(path), error.into()))
}

/// Write aside, fsync, rename, fsync: a power cut leaves the old or the new one.
fn publish(volume: &Volume, aside: &Path, place: &Path) -> Result<()> {
    let file = volume.open_rw(aside)?;
    volume.sync_data(&file, aside)?;
    volume.rename(aside, place)?;
    volume.fsync_dir(Path::new(""))
}

fn copy_file(volume: &Volume, from: &Path, to: &Path) -> Result<()> {
    let (source, target) = (volume.open_read(from)?, volume.open_rw(to)?);
    let (mut piece, mut at) = (vec![0; COPY_BYTES], 0_u64);
    loop {
        let had =
            source.read_at(&mut piece, at).map_err(|error| Error::io("reading", volume.root().join(from), error))?;
        let Some(bytes) = piece.get(..had).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        volume.write_at(&target, to, bytes, at)?;
        at += had as u64;
    }
}
