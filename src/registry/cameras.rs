//! Cameras and areas that people entered: as rows, and with the settings as one snapshot that is read without waiting.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    audit::{self, Entry},
    settings::{self, Changed},
    sqlite::failed,
};
use crate::{
    clock::Utc90k,
    config::{Camera, Section},
    error::{Error, Kind, Result},
    ids::DeviceId,
};

/// A camera as it was entered, with its passwords.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub camera: Camera,
    /// Another one after each change.
    pub revision: u64,
    pub created: Utc90k,
    pub changed: Utc90k,
}

/// All that was entered, as of a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    /// In the order in which they were made.
    pub cameras: Vec<Stored>,
    /// Areas that somebody made, whether or not a camera is in them.
    pub areas: Vec<String>,
    /// What is said above the settings file.
    pub settings: Changed,
    /// The newest change in it.
    pub newest: u64,
    /// False until the database was read.
    pub is_known: bool,
}

impl Roster {
    pub fn camera(&self, id: &DeviceId) -> Option<&Stored> {
        self.cameras.iter().find(|stored| stored.camera.id == *id)
    }
}

/// What one order changes, all or nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Made or changed.
    Put(Box<Camera>),
    /// As it was, revision included: the change could not be carried out.
    Restore(Box<Stored>),
    Delete(DeviceId),
    AddArea(String),
    DeleteArea(String),
    /// Instead of the settings file's.
    Setting(Box<Section>),
}

pub fn load(connection: &Connection) -> Result<Roster> {
    let doing = failed("reading cameras");
    let mut statement = connection
        .prepare_cached("SELECT json, revision, created_90k, changed_90k FROM camera ORDER BY created_90k, id")
        .map_err(&doing)?;
    let rows = statement.query_map([], |row| {
        let (json, revision): (String, i64) = (row.get(0)?, row.get(1)?);
        // A row that makes no sense hides no other.
        Ok(serde_json::from_str(&json).ok().map(|camera| Stored {
            camera,
            revision: u64::try_from(revision).unwrap_or(0),
            created: Utc90k(row.get(2).unwrap_or_default()),
            changed: Utc90k(row.get(3).unwrap_or_default()),
        }))
    });
    let cameras = rows.map_err(&doing)?.filter_map(rusqlite::Result::transpose).collect::<rusqlite::Result<_>>();
    let mut statement = connection.prepare_cached("SELECT name FROM area ORDER BY name").map_err(&doing)?;
    let areas = statement.query_map([], |row| row.get(0)).map_err(&doing)?.collect::<rusqlite::Result<_>>();
    Ok(Roster {
        cameras: cameras.map_err(&doing)?,
        areas: areas.map_err(&doing)?,
        settings: settings::load(connection)?,
        newest: audit::newest(connection)?,
        is_known: true,
    })
}

/// Carries out `changes` in order and writes down who asked for them.
pub fn apply(connection: &Connection, changes: &[Change], by: &str, at: Utc90k) -> Result<()> {
    for change in changes {
        match change {
            Change::Put(camera) => put(connection, camera, by, at)?,
            Change::Restore(stored) => {
                let id = stored.camera.id.as_str();
                tell(connection, by, at, "camera_change_undone", id, Value::Null, json!(stored.camera.shown()))?;
                restore(connection, stored)?;
            }
            Change::Delete(id) => delete(connection, id, by, at)?,
            Change::AddArea(name) => {
                let made = execute(
                    connection,
                    "INSERT OR IGNORE INTO area (name, created_90k) VALUES (?1, ?2)",
                    &[name, &at.0],
                )?;
                if made == 0 {
                    return Err(Error::new(Kind::Conflict, "there is an area of that name"));
                }
                tell(connection, by, at, "area_added", name, Value::Null, json!({"name": name}))?;
            }
            Change::DeleteArea(name) => {
                if execute(connection, "DELETE FROM area WHERE name = ?", &[name])? > 0 {
                    tell(connection, by, at, "area_removed", name, json!({"name": name}), Value::Null)?;
                }
            }
            Change::Setting(section) => settings::change(connection, section, by, at)?,
        }
    }
    Ok(())
}

/// Makes the tables say what `known` does: another file took the place of the one that held it.
pub fn reinstate(connection: &Connection, known: &Roster) -> Result<()> {
    execute(connection, "DELETE FROM camera", &[])?;
    known.cameras.iter().try_for_each(|stored| restore(connection, stored))?;
    execute(connection, "DELETE FROM area", &[])?;
    for name in &known.areas {
        execute(connection, "INSERT INTO area (name, created_90k) VALUES (?, 0)", &[name])?;
    }
    settings::reinstate(connection, &known.settings)
}

fn put(connection: &Connection, camera: &Camera, by: &str, at: Utc90k) -> Result<()> {
    let before = get(connection, &camera.id)?;
    let action = if before.is_some() { "camera_changed" } else { "camera_added" };
    let shown = before.as_ref().map(|stored| json!(stored.camera.shown())).unwrap_or_default();
    let number = tell(connection, by, at, action, camera.id.as_str(), shown, json!(camera.shown()))?;
    let revision = number.max(before.as_ref().map_or(0, |stored| stored.revision + 1));
    let created = before.map_or(at, |stored| stored.created);
    restore(connection, &Stored { camera: camera.clone(), revision, created, changed: at })
}

fn restore(connection: &Connection, stored: &Stored) -> Result<()> {
    let json = serde_json::to_string(&stored.camera).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let (id, revision) = (stored.camera.id.as_str(), stored.revision.cast_signed());
    execute(
        connection,
        "INSERT INTO camera (id, json, revision, created_90k, changed_90k) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET json = ?2, revision = ?3, changed_90k = ?5",
        &[&id, &json, &revision, &stored.created.0, &stored.changed.0],
    )
    .map(drop)
}

fn delete(connection: &Connection, id: &DeviceId, by: &str, at: Utc90k) -> Result<()> {
    let Some(before) = get(connection, id)? else { return Ok(()) };
    tell(connection, by, at, "camera_removed", id.as_str(), json!(before.camera.shown()), Value::Null)?;
    execute(connection, "DELETE FROM camera WHERE id = ?", &[&id.as_str()]).map(drop)
}

fn get(connection: &Connection, id: &DeviceId) -> Result<Option<Stored>> {
    Ok(load(connection)?.cameras.into_iter().find(|stored| stored.camera.id == *id))
}

fn tell(
    connection: &Connection,
    by: &str,
    at: Utc90k,
    action: &'static str,
    subject: &str,
    before: Value,
    after: Value,
) -> Result<u64> {
    audit::write(connection, at, &Entry { who: by.to_owned(), action, subject: subject.to_owned(), before, after })
}

fn execute(connection: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<usize> {
    let doing = failed("writing down cameras");
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map_err(doing)
}

/// Whether a database lacks what is known from the one before it.
pub fn differs(found: &Roster, known: &Roster) -> bool {
    known.is_known && params_of(found) != params_of(known)
}

fn params_of(roster: &Roster) -> (&[Stored], &[String], &crate::config::Changes) {
    (&roster.cameras, &roster.areas, &roster.settings.changes)
}

impl super::Registry {
    /// What was entered, as of now; [`Roster::is_known`] tells whether the database was read.
    pub fn roster(&self) -> std::sync::Arc<Roster> {
        self.shared.roster.load_full()
    }

    /// Waits until the database was read: call it on a thread that may.
    pub fn wait_roster(&self) -> Result<std::sync::Arc<Roster>> {
        self.shared.inbox.wait_opened(super::OPENING_LIMIT);
        let roster = self.roster();
        let why = || self.status().error.unwrap_or_else(|| "the database does not answer".into());
        if roster.is_known { Ok(roster) } else { Err(Error::new(Kind::Unavailable, why())) }
    }

    /// The same from a database that can be read and not written.
    pub async fn read_roster(&self) -> Result<Roster> {
        self.read(load).await
    }

    /// Durable when this answers. [`Self::roster`] knows of it then.
    pub async fn enter(&self, changes: Vec<Change>, by: &str) -> Result<()> {
        let (at, by) = (self.shared.parts.clock.wall(), by.to_owned());
        self.write(move |connection| apply(connection, &changes, &by, at)).await
    }

    /// Newest first.
    pub async fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<audit::Written>> {
        self.read(move |connection| audit::list(connection, before, limit)).await
    }
}
