//! The tables, as steps that only ever get longer: each database is brought up to the newest.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use crate::error::{Error, Kind, Result};

/// Times are 90 kHz ticks since 1970, as everywhere. Each index holds what filters ask for, so that a filter that finds
/// little reads narrow entries and not the rows.
const STEPS: [&str; 6] =
    [INCIDENTS, super::pins::TABLE, super::transcode::TABLES, CAMERAS, ACCESS, super::viewers::TABLE];

const INCIDENTS: &str = "CREATE TABLE incident (
         id TEXT NOT NULL PRIMARY KEY,
         host TEXT NOT NULL,
         device TEXT NOT NULL,
         kind TEXT NOT NULL,
         start_90k INTEGER NOT NULL,
         end_90k INTEGER,
         last_bad_90k INTEGER NOT NULL,
         severity TEXT NOT NULL,
         evidence TEXT NOT NULL,
         -- Said by people from here on; what watches writes none of it.
         closed_by TEXT,
         acknowledged INTEGER NOT NULL DEFAULT 0,
         discarded INTEGER NOT NULL DEFAULT 0,
         comment TEXT NOT NULL DEFAULT '',
         edited_by TEXT,
         edited_90k INTEGER
     ) STRICT;
     CREATE INDEX incident_by_start ON incident (start_90k, id, acknowledged, discarded);
     CREATE INDEX incident_by_device ON incident (device, start_90k, id, kind, acknowledged, discarded);
     CREATE INDEX incident_by_kind ON incident (kind, start_90k, id, acknowledged, discarded);
     CREATE INDEX incident_acknowledged ON incident (start_90k, id) WHERE acknowledged = 1;
     CREATE INDEX incident_discarded ON incident (start_90k, id) WHERE discarded = 1;
     CREATE INDEX incident_open ON incident (start_90k, id, device, kind) WHERE end_90k IS NULL;
     CREATE INDEX incident_long ON incident (start_90k, id) WHERE end_90k IS NULL OR end_90k - start_90k > 324000000;
     CREATE TABLE maintenance (
         device TEXT NOT NULL PRIMARY KEY,
         from_90k INTEGER NOT NULL,
         until_90k INTEGER NOT NULL,
         why TEXT NOT NULL,
         set_by TEXT NOT NULL
     ) STRICT;";

/// What people enter. The number of an entry of `audit` is the revision of what it changed, and is never given again.
const CAMERAS: &str = "CREATE TABLE camera (
         id TEXT NOT NULL PRIMARY KEY,
         json TEXT NOT NULL,
         revision INTEGER NOT NULL,
         created_90k INTEGER NOT NULL,
         changed_90k INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE area (
         name TEXT NOT NULL PRIMARY KEY,
         created_90k INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE setting (
         name TEXT NOT NULL PRIMARY KEY,
         json TEXT NOT NULL,
         revision INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE audit (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         at_90k INTEGER NOT NULL,
         who TEXT NOT NULL,
         action TEXT NOT NULL,
         subject TEXT NOT NULL,
         before TEXT,
         after TEXT
     ) STRICT;
     CREATE INDEX audit_by_subject ON audit (subject, id);";

/// Who may do what. Of passwords, sessions and tokens only what they hash to: whoever reads a copy of the file cannot
/// sign in with it.
const ACCESS: &str = "CREATE TABLE user (
         name TEXT NOT NULL PRIMARY KEY,
         role TEXT NOT NULL,
         -- Lists as JSON; both empty: everything.
         areas TEXT NOT NULL,
         cameras TEXT NOT NULL,
         password TEXT NOT NULL,
         created_90k INTEGER NOT NULL,
         changed_90k INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE session (
         hash BLOB NOT NULL PRIMARY KEY,
         user TEXT NOT NULL REFERENCES user (name) ON DELETE CASCADE,
         created_90k INTEGER NOT NULL,
         expires_90k INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX session_by_user ON session (user);
     CREATE TABLE token (
         id TEXT NOT NULL PRIMARY KEY,
         hash BLOB NOT NULL UNIQUE,
         user TEXT NOT NULL REFERENCES user (name) ON DELETE CASCADE,
         name TEXT NOT NULL,
         scope TEXT NOT NULL,
         created_90k INTEGER NOT NULL,
         expires_90k INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX token_by_user ON token (user);
     CREATE TABLE secret (
         name TEXT NOT NULL PRIMARY KEY,
         value BLOB NOT NULL
     ) STRICT;";

/// What a database of this version says of itself.
pub const VERSION: u32 = STEPS.len() as u32;

/// Brings the database up to [`VERSION`], whole steps at a time.
pub fn migrate(connection: &mut Connection) -> Result<()> {
    let kind = |error: &rusqlite_migration::Error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => super::sqlite::kind(err),
        _ => Kind::Internal,
    };
    Migrations::from_iter(STEPS.map(M::up))
        .to_latest(connection)
        .map_err(|error| Error::new(kind(&error), format!("bringing the database up to date: {error}")))
}
