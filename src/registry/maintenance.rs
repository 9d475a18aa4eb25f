//! Devices that somebody works on: their incidents are not told until then.

use rusqlite::{Connection, params};

use super::sqlite::failed;
use crate::{
    clock::Utc90k,
    error::Result,
    ids::DeviceId,
    incident::{Incident, MUTED},
};

/// One device's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    pub device: DeviceId,
    pub from: Utc90k,
    /// It ends by itself.
    pub until: Utc90k,
    pub why: String,
}

/// All of a moment, to be read without waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    upkeep: Vec<Upkeep>,
    /// False until the database was read: nobody is in any as far as is known.
    pub is_known: bool,
}

impl Maintenance {
    /// What the device is in at that moment.
    pub fn of(&self, device: &DeviceId, at: Utc90k) -> Option<&Upkeep> {
        self.upkeep.iter().find(|it| it.device == *device && it.from <= at && at < it.until)
    }

    pub fn covers(&self, device: &DeviceId, at: Utc90k) -> bool {
        self.of(device, at).is_some()
    }

    /// Whether this state of an incident is not to be told: it began meanwhile, or would go on.
    pub fn hides(&self, incident: &Incident, now: Utc90k) -> bool {
        self.covers(&incident.device, incident.start) || (incident.is_open() && self.covers(&incident.device, now))
    }
}

pub fn load(connection: &Connection) -> Result<Maintenance> {
    let doing = failed("reading maintenance");
    let mut statement =
        connection.prepare_cached("SELECT device, from_90k, until_90k, why FROM maintenance").map_err(&doing)?;
    let found = statement.query_map([], |row| {
        Ok(row.get::<_, String>(0)?.parse().ok().map(|device| (device, row.get(1), row.get(2), row.get(3))))
    });
    let mut upkeep = Vec::new();
    for row in found.map_err(&doing)? {
        if let Some((device, from, until, why)) = row.map_err(&doing)? {
            let (from, until) = (from.map(Utc90k).map_err(&doing)?, until.map(Utc90k).map_err(&doing)?);
            upkeep.push(Upkeep { device, from, until, why: why.map_err(&doing)? });
        }
    }
    Ok(Maintenance { upkeep, is_known: true })
}

/// Ends the incidents that last. Maintenance that runs is given a new end; what is over is forgotten.
pub fn begin(connection: &Connection, it: &Upkeep, by: &str) -> Result<()> {
    let doing = failed("beginning maintenance");
    let device = it.device.as_str();
    connection.execute("DELETE FROM maintenance WHERE until_90k <= ?", [it.from.0]).map_err(&doing)?;
    connection
        .execute(
            "INSERT INTO maintenance (device, from_90k, until_90k, why, set_by) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (device) DO UPDATE SET from_90k = min(from_90k, ?2), until_90k = ?3, why = ?4, set_by = ?5",
            params![device, it.from.0, it.until.0, it.why, by],
        )
        .map_err(&doing)?;
    let ended = connection.execute(
        "UPDATE incident SET end_90k = max(start_90k, ?2), closed_by = 'maintenance',
                comment = CASE comment WHEN '' THEN ?3 ELSE comment END
         WHERE device = ?1 AND end_90k IS NULL",
        params![device, it.from.0, MUTED],
    );
    ended.map(drop).map_err(&doing)
}

/// False when there was none.
pub fn end(connection: &Connection, device: &DeviceId) -> Result<bool> {
    let gone = connection.execute("DELETE FROM maintenance WHERE device = ?", [device.as_str()]);
    gone.map(|rows| rows > 0).map_err(failed("ending maintenance"))
}
