//! Ranges that somebody said must stay, in their table. Who deletes, moves or encodes anew reads the published snapshot.

use rusqlite::{Connection, Row, params};

use super::sqlite::{failed, savepoint};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    storage::{Pin, Pins},
};

/// A number is never given twice: whoever takes back a pin that is gone must not hit another.
pub const TABLE: &str = "CREATE TABLE pin (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         device TEXT NOT NULL,
         start_90k INTEGER NOT NULL,
         end_90k INTEGER NOT NULL,
         until_90k INTEGER,
         original INTEGER NOT NULL,
         why TEXT NOT NULL,
         pinned_by TEXT NOT NULL,
         created_90k INTEGER NOT NULL
     ) STRICT;";

/// Of all devices together: each chunk that may go is held against those of its device.
pub const PINS_MAX: usize = 1000;
/// One that ended by itself is still told of for a week, so that people see why footage went.
const TOLD_90K: i64 = 7 * 24 * 3600 * TICKS_PER_SECOND;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub device: DeviceId,
    pub start: Utc90k,
    pub end: Utc90k,
    pub until: Option<Utc90k>,
    pub original: bool,
    pub why: String,
}

pub fn load(connection: &Connection) -> Result<Pins> {
    let doing = failed("reading pins");
    let text = "SELECT id, device, start_90k, end_90k, until_90k, original, why, pinned_by, created_90k FROM pin";
    let mut statement = connection.prepare_cached(text).map_err(&doing)?;
    let found = statement.query_map([], pin).map_err(&doing)?;
    let mut list = Vec::new();
    for pin in found {
        list.extend(pin.map_err(&doing)?);
    }
    Ok(Pins::new(list))
}

/// None where the device's name is none, which only a hand in the database can cause.
fn pin(row: &Row<'_>) -> rusqlite::Result<Option<Pin>> {
    let Ok(device) = row.get::<_, String>(1)?.parse() else { return Ok(None) };
    Ok(Some(Pin {
        id: row.get(0)?,
        device,
        start: Utc90k(row.get(2)?),
        end: Utc90k(row.get(3)?),
        until: row.get::<_, Option<i64>>(4)?.map(Utc90k),
        original: row.get(5)?,
        why: row.get(6)?,
        by: row.get(7)?,
        created: Utc90k(row.get(8)?),
    }))
}

/// [`Kind::Conflict`] when there are [`PINS_MAX`].
pub fn add(connection: &Connection, wish: Wish, by: &str, now: Utc90k) -> Result<Pin> {
    let doing = failed("pinning");
    let count: i64 = connection.query_row("SELECT count(*) FROM pin", [], |row| row.get(0)).map_err(&doing)?;
    if count >= PINS_MAX as i64 {
        return Err(Error::new(Kind::Conflict, format!("there are {PINS_MAX} pins already; take some back")));
    }
    let Wish { device, start, end, until, original, why } = wish;
    let mut pin = Pin { id: 0, device, start, end, until, original, why, by: by.to_owned(), created: now };
    insert(connection, &pin, None)?;
    pin.id = connection.last_insert_rowid();
    Ok(pin)
}

fn insert(connection: &Connection, pin: &Pin, id: Option<i64>) -> Result<()> {
    let until = pin.until.map(|until| until.0);
    let values =
        params![id, pin.device.as_str(), pin.start.0, pin.end.0, until, pin.original, pin.why, pin.by, pin.created.0];
    let done = connection.execute("INSERT INTO pin VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values);
    done.map(drop).map_err(failed("pinning"))
}

/// False when there is none of that number.
pub fn remove(connection: &Connection, id: i64) -> Result<bool> {
    let gone = connection.execute("DELETE FROM pin WHERE id = ?", [id]);
    gone.map(|rows| rows > 0).map_err(failed("unpinning"))
}

/// Forgets those that ended a week ago; how many.
pub fn let_go(connection: &Connection, now: Utc90k) -> Result<usize> {
    connection.execute("DELETE FROM pin WHERE until_90k <= ?", [now.0 - TOLD_90K]).map_err(failed("forgetting pins"))
}

/// Another file took the place of a damaged database while we ran: what is known in RAM is newer than any copy.
pub fn put_back(connection: &Connection, pins: &Pins) -> Result<()> {
    savepoint(connection, |connection| {
        connection.execute("DELETE FROM pin", []).map_err(failed("restoring pins"))?;
        pins.list().iter().try_for_each(|pin| insert(connection, pin, Some(pin.id)))
    })
}
