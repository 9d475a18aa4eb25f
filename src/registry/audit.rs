//! Who changed what, and when: written in the transaction of the change itself.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::sqlite::failed;
use crate::{clock::Utc90k, error::Result};

/// Entries that are kept; then the oldest go. Some 200 bytes each.
const KEPT_MAX: i64 = 100_000;

/// One change. Never holds a secret: neither a password nor what one hashes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub who: String,
    /// `user_added lena`, `signed_in`, …
    pub what: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

pub fn write(connection: &Connection, entry: &Entry, at: Utc90k) -> Result<()> {
    let doing = failed("writing to the audit log");
    let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
    connection
        .execute(
            "INSERT INTO audit (who, what, before, after, when_90k) VALUES (?, ?, ?, ?, ?)",
            params![entry.who, entry.what, text(&entry.before), text(&entry.after), at.0],
        )
        .map_err(&doing)?;
    let oldest = connection.last_insert_rowid() - KEPT_MAX;
    connection.execute("DELETE FROM audit WHERE id <= ?", [oldest]).map(drop).map_err(doing)
}
