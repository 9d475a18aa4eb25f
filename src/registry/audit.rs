//! Who changed what, when, and what it was before: written in the transaction of the change itself.

use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::Value;

use super::sqlite::failed;
use crate::{clock::Utc90k, error::Result};

/// Entries that are kept; the oldest go.
const KEPT_MAX: i64 = 100_000;

/// One change. What is in it is shown to people: without secrets, neither passwords nor what they hash to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    pub who: String,
    /// `camera_added`, `user_changed`, `signed_in`, …
    pub action: &'static str,
    /// The camera, area, setting, user or token; where somebody signed in from. Empty: none in particular.
    pub subject: String,
    /// Null: there was none.
    pub before: Value,
    /// Null: there is none any more.
    pub after: Value,
}

/// An entry that was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Written {
    pub id: u64,
    /// RFC 3339.
    pub at: String,
    pub who: String,
    pub action: String,
    pub subject: String,
    pub before: Value,
    pub after: Value,
}

/// Its number, which never comes again in this database: also the revision of what was changed.
pub fn write(connection: &Connection, at: Utc90k, entry: &Entry) -> Result<u64> {
    let doing = failed("writing down who changed what");
    let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO audit (at_90k, who, action, subject, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .map_err(&doing)?;
    let (before, after) = (text(&entry.before), text(&entry.after));
    statement.execute(params![at.0, entry.who, entry.action, entry.subject, before, after]).map_err(&doing)?;
    let id = connection.last_insert_rowid();
    connection.execute("DELETE FROM audit WHERE id <= ?", [id - KEPT_MAX]).map_err(doing)?;
    Ok(u64::try_from(id).unwrap_or(0))
}

/// Newest first, those before entry `before`.
pub fn list(connection: &Connection, before: Option<u64>, limit: usize) -> Result<Vec<Written>> {
    let doing = failed("reading who changed what");
    let mut statement = connection
        .prepare_cached(
            "SELECT id, at_90k, who, action, subject, before, after FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?",
        )
        .map_err(&doing)?;
    let before = before.and_then(|id| i64::try_from(id).ok()).unwrap_or(i64::MAX);
    let found = statement.query_map(params![before, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let value = |at: usize| -> rusqlite::Result<Value> {
            let text: Option<String> = row.get(at)?;
            Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
        };
        Ok(Written {
            id: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            at: Utc90k(row.get(1)?).rfc3339(),
            who: row.get(2)?,
            action: row.get(3)?,
            subject: row.get(4)?,
            before: value(5)?,
            after: value(6)?,
        })
    });
    found.map_err(&doing)?.collect::<rusqlite::Result<_>>().map_err(&doing)
}

/// Of the newest; 0 without any.
pub fn newest(connection: &Connection) -> Result<u64> {
    let newest: Option<i64> = connection
        .query_row("SELECT max(id) FROM audit", [], |row| row.get(0))
        .map_err(failed("reading who changed what"))?;
    Ok(newest.and_then(|id| u64::try_from(id).ok()).unwrap_or(0))
}
