//! What people changed of the settings, as rows: one a section.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use super::{
    audit::{self, Entry},
    sqlite::{self, failed},
};
use crate::{
    clock::Utc90k,
    config::{Changes, Section},
    error::Result,
};

/// All of it, as of a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    pub changes: Changes,
    /// Of the newest change; 0 when there was none.
    pub revision: u64,
    /// Sections that cannot be read, and why: the file's hold.
    pub unreadable: Vec<(String, String)>,
}

pub(super) fn load(connection: &Connection) -> Result<Changed> {
    let doing = failed("reading settings");
    let mut statement =
        connection.prepare_cached("SELECT name, json, revision FROM setting ORDER BY name").map_err(&doing)?;
    let mut rows = statement.query([]).map_err(&doing)?;
    let mut changed = Changed::default();
    while let Some(row) = rows.next().map_err(&doing)? {
        let Ok(name) = row.get::<_, String>(0) else { continue };
        let revision = row.get::<_, i64>(2).unwrap_or_default();
        changed.revision = changed.revision.max(u64::try_from(revision).unwrap_or(0));
        // A row that makes no sense hides no other.
        let read = match row.get::<_, String>(1) {
            Ok(text) => Section::restored(&name, &text).unwrap_or_else(|| Err("there is no such section".into())),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(section) => changed.changes.set(section),
            Err(why) => changed.unreadable.push((name, why)),
        }
    }
    Ok(changed)
}

/// What a database says, for whoever asks beside the daemon; nothing when there is none that can be read.
pub fn changed(database: &Path) -> Changed {
    let open = || sqlite::open_read(database).map_err(failed("opening the database"));
    if database.exists() { open().and_then(|found| load(&found)).unwrap_or_default() } else { Changed::default() }
}

pub(super) fn change(connection: &Connection, section: &Section, by: &str, at: Utc90k) -> Result<()> {
    let known = load(connection)?;
    let before = known.changes.sections().into_iter().find(|before| before.name() == section.name());
    let before = before.map_or(Value::Null, |before| before.shown());
    let entry = Entry {
        who: by.to_owned(),
        action: "settings_changed",
        subject: section.name().to_owned(),
        before,
        after: section.shown(),
    };
    // No number comes again, also where another file took the place of the database.
    let revision = audit::write(connection, at, &entry)?.max(known.revision + 1);
    put(connection, section, revision)
}

/// As it was known before another file took the place of the database.
pub(super) fn reinstate(connection: &Connection, known: &Changed) -> Result<()> {
    let readable = |section: &Section| known.unreadable.iter().all(|(name, _)| name != section.name());
    let sections = known.changes.sections();
    for section in sections.iter().filter(|section| known.revision > 0 && readable(section)) {
        put(connection, section, known.revision)?;
    }
    Ok(())
}

fn put(connection: &Connection, section: &Section, revision: u64) -> Result<()> {
    let sql = "INSERT INTO setting (name, json, revision) VALUES (?1, ?2, ?3)
               ON CONFLICT (name) DO UPDATE SET json = ?2, revision = ?3";
    let values = (section.name(), section.stored().to_string(), revision.cast_signed());
    let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
    done.map(drop).map_err(failed("writing down settings"))
}
