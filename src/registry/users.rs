//! Users, their sessions and tokens in the database. All of it is read once; whoever asks later is answered from RAM.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sqlite::failed;
use crate::{
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::DeviceId,
};

/// More than any host has; bounds what is held in RAM.
pub const USERS_MAX: i64 = 500;
pub const TOKENS_MAX: i64 = 1000;
/// Of one user; the one that would end first goes.
pub const SESSIONS_MAX: i64 = 32;

/// What somebody may do; each may all that those before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Judge incidents, announce maintenance, pin, share.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// What a token that may do as much is called.
    pub fn scope(self) -> &'static str {
        match self {
            Self::Viewer => "read",
            Self::Operator => "operate",
            Self::Admin => "admin",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    pub fn of_scope(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.scope() == name)
    }
}

/// Which devices; without any area and camera, all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rights {
    pub areas: Vec<String>,
    pub cameras: Vec<DeviceId>,
}

impl Rights {
    pub fn is_all(&self) -> bool {
        self.areas.is_empty() && self.cameras.is_empty()
    }

    /// `area` is empty for a camera without one, which no area gives.
    pub fn cover(&self, device: &str, area: &str) -> bool {
        self.is_all()
            || self.cameras.iter().any(|camera| camera.as_str() == device)
            || (!area.is_empty() && self.areas.iter().any(|one| one == area))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub name: String,
    pub role: Role,
    pub rights: Rights,
    /// What the password hashes to, in PHC form.
    pub password: String,
    pub created: Utc90k,
    pub changed: Utc90k,
}

impl User {
    /// Without what the password hashes to.
    pub fn told(&self) -> Value {
        json!({"name": self.name, "role": self.role, "areas": self.rights.areas, "cameras": self.rights.cameras,
            "created": self.created.rfc3339(), "changed": self.changed.rfc3339()})
    }
}

/// SHA-256 of a secret of 256 random bits: there is nothing to guess that a slow hash would protect.
pub type Hash = [u8; 32];

#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub hash: Hash,
    pub user: String,
    pub created: Utc90k,
    pub expires: Utc90k,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub id: String,
    pub hash: Hash,
    pub user: String,
    /// What people call it.
    pub name: String,
    /// At most this, and at most what its user may.
    pub scope: Role,
    pub created: Utc90k,
    pub expires: Utc90k,
}

impl Token {
    /// Without what it hashes to.
    pub fn told(&self) -> Value {
        json!({"id": self.id, "name": self.name, "user": self.user, "scope": self.scope.scope(),
            "created": self.created.rfc3339(), "expires": self.expires.rfc3339()})
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Everything {
    pub users: Vec<User>,
    pub sessions: Vec<Session>,
    pub tokens: Vec<Token>,
    /// What links are signed with; None in a database that never had one.
    pub link_secret: Option<Hash>,
}

pub fn load(connection: &Connection) -> Result<Everything> {
    Ok(Everything {
        users: rows(
            connection,
            "SELECT name, role, areas, cameras, password, created_90k, changed_90k FROM user",
            user,
        )?,
        sessions: rows(connection, "SELECT hash, user, created_90k, expires_90k FROM session", session)?,
        tokens: rows(connection, "SELECT id, hash, user, name, scope, created_90k, expires_90k FROM token", token)?,
        link_secret: rows(connection, "SELECT value FROM secret WHERE name = 'links'", |row| row.get(0).map(Some))?
            .pop(),
    })
}

/// A row that makes no sense, as a damaged page can, lets nobody in and keeps nobody else out.
fn rows<T>(
    connection: &Connection,
    text: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> Result<Vec<T>> {
    let doing = failed("reading users");
    let mut statement = connection.prepare_cached(text).map_err(&doing)?;
    let found = statement.query_map([], read).map_err(&doing)?;
    found.filter_map(Result::transpose).collect::<rusqlite::Result<_>>().map_err(doing)
}

fn user(row: &Row<'_>) -> rusqlite::Result<Option<User>> {
    let (role, areas, cameras): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let (role, areas, cameras) = (Role::parse(&role), serde_json::from_str(&areas), serde_json::from_str(&cameras));
    // Rights that cannot be read must not become all rights.
    let (Some(role), Ok(areas), Ok(cameras)) = (role, areas, cameras) else { return Ok(None) };
    Ok(Some(User {
        name: row.get(0)?,
        role,
        rights: Rights { areas, cameras },
        password: row.get(4)?,
        created: Utc90k(row.get(5)?),
        changed: Utc90k(row.get(6)?),
    }))
}

fn session(row: &Row<'_>) -> rusqlite::Result<Option<Session>> {
    let (created, expires) = (Utc90k(row.get(2)?), Utc90k(row.get(3)?));
    Ok(Some(Session { hash: row.get(0)?, user: row.get(1)?, created, expires }))
}

fn token(row: &Row<'_>) -> rusqlite::Result<Option<Token>> {
    let scope: String = row.get(4)?;
    let Some(scope) = Role::of_scope(&scope) else { return Ok(None) };
    let (created, expires) = (Utc90k(row.get(5)?), Utc90k(row.get(6)?));
    Ok(Some(Token {
        id: row.get(0)?,
        hash: row.get(1)?,
        user: row.get(2)?,
        name: row.get(3)?,
        scope,
        created,
        expires,
    }))
}

/// [`Kind::Conflict`] when there is one of that name.
pub fn add_user(connection: &Connection, it: &User) -> Result<()> {
    let doing = failed("writing a user");
    if count(connection, "SELECT count(*) FROM user", [])? >= USERS_MAX {
        return Err(Error::new(Kind::Conflict, format!("there are {USERS_MAX} users already")));
    }
    let (areas, cameras) = (json!(it.rights.areas).to_string(), json!(it.rights.cameras).to_string());
    let added = connection.execute(
        "INSERT INTO user (name, role, areas, cameras, password, created_90k, changed_90k)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        params![it.name, it.role.name(), areas, cameras, it.password, it.created.0, it.changed.0],
    );
    match added.map_err(doing)? {
        0 => Err(Error::new(Kind::Conflict, format!("there is a user {:?} already", it.name))),
        _ => Ok(()),
    }
}

/// Of a host on which nobody could sign in. False when there is somebody.
pub fn add_first_user(connection: &Connection, it: &User) -> Result<bool> {
    if count(connection, "SELECT count(*) FROM user", [])? > 0 {
        return Ok(false);
    }
    add_user(connection, it).map(|()| true)
}

/// Role, rights and password; with `sign_out` the sessions end too. [`Kind::Conflict`] when no admin would be left.
pub fn change_user(connection: &Connection, it: &User, sign_out: bool) -> Result<()> {
    let doing = failed("writing a user");
    let had_admin = admins(connection)? > 0;
    let (areas, cameras) = (json!(it.rights.areas).to_string(), json!(it.rights.cameras).to_string());
    let changed = connection
        .execute(
            "UPDATE user SET role = ?2, areas = ?3, cameras = ?4, password = ?5, changed_90k = ?6 WHERE name = ?1",
            params![it.name, it.role.name(), areas, cameras, it.password, it.changed.0],
        )
        .map_err(&doing)?;
    if changed == 0 {
        return Err(unknown(&it.name));
    }
    if sign_out {
        connection.execute("DELETE FROM session WHERE user = ?", [&it.name]).map_err(&doing)?;
    }
    an_admin_is_left(connection, had_admin)
}

/// With their sessions and tokens. [`Kind::Conflict`] when no admin would be left.
pub fn remove_user(connection: &Connection, name: &str) -> Result<()> {
    let had_admin = admins(connection)? > 0;
    if connection.execute("DELETE FROM user WHERE name = ?", [name]).map_err(failed("removing a user"))? == 0 {
        return Err(unknown(name));
    }
    an_admin_is_left(connection, had_admin)
}

/// Where there was none, as with access control off, nobody is kept from anything.
fn an_admin_is_left(connection: &Connection, had_admin: bool) -> Result<()> {
    if had_admin && admins(connection)? == 0 {
        return Err(Error::new(Kind::Conflict, "the last admin stays: nobody could change anything any more"));
    }
    Ok(())
}

fn admins(connection: &Connection) -> Result<i64> {
    count(connection, "SELECT count(*) FROM user WHERE role = 'admin'", [])
}

/// Also lets go of those that are over, and of the oldest of a user who has too many. Tells which are gone.
pub fn add_session(connection: &Connection, it: &Session) -> Result<Vec<Hash>> {
    let doing = failed("writing a session");
    let insert =
        "INSERT INTO session (hash, user, created_90k, expires_90k) SELECT ?1, name, ?3, ?4 FROM user WHERE name = ?2";
    let added = connection.execute(insert, params![it.hash, it.user, it.created.0, it.expires.0]).map_err(&doing)?;
    if added == 0 {
        return Err(unknown(&it.user));
    }
    let mut statement = connection
        .prepare_cached(
            "DELETE FROM session WHERE expires_90k <= ?2 OR hash IN (SELECT hash FROM session WHERE user = ?1
             ORDER BY expires_90k DESC, created_90k DESC LIMIT -1 OFFSET ?3) RETURNING hash",
        )
        .map_err(&doing)?;
    let gone = statement.query_map(params![it.user, it.created.0, SESSIONS_MAX], |row| row.get(0)).map_err(&doing)?;
    gone.collect::<rusqlite::Result<_>>().map_err(doing)
}

pub fn extend_session(connection: &Connection, hash: &Hash, expires: Utc90k) -> Result<()> {
    let done = connection.execute("UPDATE session SET expires_90k = ? WHERE hash = ?", params![expires.0, hash]);
    done.map(drop).map_err(failed("writing a session"))
}

pub fn remove_session(connection: &Connection, hash: &Hash) -> Result<()> {
    let done = connection.execute("DELETE FROM session WHERE hash = ?", [hash]);
    done.map(drop).map_err(failed("ending a session"))
}

pub fn add_token(connection: &Connection, it: &Token) -> Result<()> {
    let doing = failed("writing a token");
    connection.execute("DELETE FROM token WHERE expires_90k <= ?", [it.created.0]).map_err(&doing)?;
    if count(connection, "SELECT count(*) FROM token", [])? >= TOKENS_MAX {
        return Err(Error::new(Kind::Conflict, format!("there are {TOKENS_MAX} tokens already")));
    }
    let insert = "INSERT INTO token (id, hash, user, name, scope, created_90k, expires_90k)
                  SELECT ?1, ?2, name, ?4, ?5, ?6, ?7 FROM user WHERE name = ?3";
    let values = params![it.id, it.hash, it.user, it.name, it.scope.scope(), it.created.0, it.expires.0];
    match connection.execute(insert, values).map_err(doing)? {
        0 => Err(unknown(&it.user)),
        _ => Ok(()),
    }
}

pub fn remove_token(connection: &Connection, id: &str) -> Result<()> {
    match connection.execute("DELETE FROM token WHERE id = ?", [id]).map_err(failed("removing a token"))? {
        0 => Err(Error::new(Kind::NotFound, "there is no such token")),
        _ => Ok(()),
    }
}

/// The one that links are signed with: `fresh` where there is none yet, or where all links are to end.
pub fn link_secret(connection: &Connection, fresh: Hash, replace: bool) -> Result<Hash> {
    let doing = failed("writing the secret of links");
    let text = match replace {
        true => {
            "INSERT INTO secret (name, value) VALUES ('links', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        }
        false => "INSERT INTO secret (name, value) VALUES ('links', ?) ON CONFLICT DO NOTHING",
    };
    connection.execute(text, [fresh]).map_err(&doing)?;
    let kept = connection.query_row("SELECT value FROM secret WHERE name = 'links'", [], |row| row.get(0)).optional();
    Ok(kept.map_err(doing)?.unwrap_or(fresh))
}

fn count(connection: &Connection, text: &str, values: impl rusqlite::Params) -> Result<i64> {
    connection.query_row(text, values, |row| row.get(0)).map_err(failed("counting users"))
}

fn unknown(name: &str) -> Error {
    let shown: String = name.chars().take(64).collect();
    Error::new(Kind::NotFound, format!("there is no user {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_name_areas_and_cameras() {
        let check = |areas: &[&str], cameras: &[&str], device: &str, area: &str, expected: bool| {
            let rights = Rights {
                areas: areas.iter().map(|&area| area.to_owned()).collect(),
                cameras: cameras.iter().map(|id| id.parse().unwrap()).collect(),
            };
            assert_eq!(rights.cover(device, area), expected, "{areas:?} {cameras:?} {device} {area}");
        };
        check(&[], &[], "lobby", "", true);
        check(&[], &[], "lobby", "Hall", true);
        check(&["Hall"], &[], "lobby", "Hall", true);
        check(&["Hall"], &[], "lobby", "Yard", false);
        check(&["Hall"], &[], "lobby", "", false);
        check(&[""], &[], "lobby", "", false);
        check(&[], &["lobby"], "lobby", "Yard", true);
        check(&[], &["lobby"], "lobby-2", "Yard", false);
        check(&["Hall"], &["gate"], "gate", "Yard", true);
        check(&["hall"], &[], "lobby", "Hall", false);
    }

    #[test]
    fn roles_and_scopes_have_names() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
            assert_eq!(Role::of_scope(role.scope()), Some(role));
        }
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        assert_eq!((Role::parse("root"), Role::of_scope("viewer")), (None, None));
    }
}
