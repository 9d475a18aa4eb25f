//! What became of transcoding, over restarts: the switch, the totals, what was written today, the inputs that failed.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use rusqlite::{Connection, params};
use serde::Serialize;

use super::sqlite::{self, failed};
use crate::{clock::Utc90k, error::Result, ids::DeviceId, storage::layout::ChunkKey};

/// Numbers by name, and the inputs that failed.
pub const TABLES: &str = "CREATE TABLE transcode_state (
         name TEXT NOT NULL PRIMARY KEY,
         value INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE transcode_failure (
         device TEXT NOT NULL,
         start_ms INTEGER NOT NULL,
         generation INTEGER NOT NULL,
         bytes INTEGER NOT NULL,
         reason TEXT NOT NULL,
         is_final INTEGER NOT NULL,
         attempts INTEGER NOT NULL,
         message TEXT NOT NULL,
         at_90k INTEGER NOT NULL,
         PRIMARY KEY (device, start_ms, generation)
     ) STRICT;";

const DISABLED: &str = "disabled";
const FILES: &str = "files_transcoded";
const ORIGINAL: &str = "total_original";
const TRANSCODED: &str = "total_transcoded";
const LAST: &str = "last_90k";
const DAY: &str = "written_day";
const WRITTEN: &str = "written_bytes";
const ROLLED_BACK: &str = "rolled_back";
/// `error.savings`
const ERROR: &str = "error.";

/// Since the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Somebody said so; stays over restarts.
    pub disabled: bool,
    pub files_transcoded: u64,
    /// Bytes of what was recorded, and of what it became.
    pub total_original: u64,
    pub total_transcoded: u64,
    pub last: Option<i64>,
    /// Days since 1970, UTC, and what was written on that day.
    pub written_day: i64,
    pub written_bytes: u64,
    pub rolled_back: u64,
    pub errors: BTreeMap<String, u64>,
}

impl Totals {
    pub fn files_failed(&self) -> u64 {
        self.errors.values().sum()
    }

    pub fn space_saved(&self) -> u64 {
        self.total_original.saturating_sub(self.total_transcoded)
    }

    /// Percent; None before the first.
    pub fn savings_percent(&self) -> Option<f64> {
        (self.total_original > 0).then(|| self.space_saved() as f64 * 100.0 / self.total_original as f64)
    }

    /// What was written on that day, in the ledger of the day.
    pub fn write(&mut self, day: i64, bytes: u64) {
        if self.written_day != day {
            (self.written_day, self.written_bytes) = (day, 0);
        }
        self.written_bytes = self.written_bytes.saturating_add(bytes);
    }

    pub fn written_on(&self, day: i64) -> u64 {
        if self.written_day == day { self.written_bytes } else { 0 }
    }
}

/// An input that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedInput {
    /// A file of another size is another input.
    pub bytes: u64,
    /// It will fail again.
    pub is_final: bool,
    pub attempts: u32,
}

/// The same, to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub device: DeviceId,
    pub key: ChunkKey,
    pub input: FailedInput,
    pub reason: &'static str,
    pub message: String,
    pub at: Utc90k,
}

/// Everything that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub totals: Totals,
    pub failures: HashMap<(DeviceId, ChunkKey), FailedInput>,
}

pub fn load(connection: &Connection) -> Result<Known> {
    let doing = failed("reading what was transcoded");
    let mut known = Known { totals: totals(connection)?, ..Known::default() };
    let mut statement = connection
        .prepare_cached("SELECT device, start_ms, generation, bytes, is_final, attempts FROM transcode_failure")
        .map_err(&doing)?;
    let rows = statement.query_map([], |row| {
        let key = ChunkKey { start_ms: row.get(1)?, generation: row.get(2)? };
        let input = FailedInput { bytes: unsigned(row.get(3)?), is_final: row.get(4)?, attempts: row.get(5)? };
        Ok((row.get::<_, String>(0)?, key, input))
    });
    for row in rows.map_err(&doing)? {
        let (device, key, input) = row.map_err(&doing)?;
        // A name that is none belongs to no chunk.
        if let Ok(device) = device.parse() {
            known.failures.insert((device, key), input);
        }
    }
    Ok(known)
}

fn totals(connection: &Connection) -> Result<Totals> {
    let doing = failed("reading what was transcoded");
    let mut statement = connection.prepare_cached("SELECT name, value FROM transcode_state").map_err(&doing)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    let mut totals = Totals::default();
    for row in rows.map_err(&doing)? {
        let (name, value) = row.map_err(&doing)?;
        let count = unsigned(value);
        match name.as_str() {
            DISABLED => totals.disabled = value != 0,
            FILES => totals.files_transcoded = count,
            ORIGINAL => totals.total_original = count,
            TRANSCODED => totals.total_transcoded = count,
            LAST => totals.last = Some(value),
            DAY => totals.written_day = value,
            WRITTEN => totals.written_bytes = count,
            ROLLED_BACK => totals.rolled_back = count,
            name => {
                if let Some(reason) = name.strip_prefix(ERROR) {
                    totals.errors.insert(reason.to_owned(), count);
                }
            }
        }
    }
    Ok(totals)
}

/// The totals as they are now; `disabled` apart, which only [`set_disabled`] changes.
pub fn save_totals(connection: &Connection, totals: &Totals) -> Result<()> {
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let named = [
        (FILES, count(totals.files_transcoded)),
        (ORIGINAL, count(totals.total_original)),
        (TRANSCODED, count(totals.total_transcoded)),
        (DAY, totals.written_day),
        (WRITTEN, count(totals.written_bytes)),
        (ROLLED_BACK, count(totals.rolled_back)),
    ];
    let last = totals.last.map(|last| (LAST, last));
    for (name, value) in named.into_iter().chain(last) {
        put(connection, name, value)?;
    }
    totals.errors.iter().try_for_each(|(reason, times)| put(connection, &format!("{ERROR}{reason}"), count(*times)))
}

pub fn set_disabled(connection: &Connection, disabled: bool) -> Result<()> {
    put(connection, DISABLED, disabled.into())
}

fn put(connection: &Connection, name: &str, value: i64) -> Result<()> {
    let sql = "INSERT INTO transcode_state (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    connection.execute(sql, params![name, value]).map(drop).map_err(failed("writing what was transcoded"))
}

pub fn save_failure(connection: &Connection, failure: &Failure) -> Result<()> {
    let (key, input) = (failure.key, failure.input);
    let done = connection.execute(
        "INSERT OR REPLACE INTO transcode_failure
         (device, start_ms, generation, bytes, reason, is_final, attempts, message, at_90k)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            failure.device.as_str(),
            key.start_ms,
            key.generation,
            i64::try_from(input.bytes).unwrap_or(i64::MAX),
            failure.reason,
            input.is_final,
            input.attempts,
            failure.message,
            failure.at.0,
        ],
    );
    done.map(drop).map_err(failed("writing a failure down"))
}

/// Those whose chunks are gone.
pub fn forget(connection: &Connection, gone: &[(DeviceId, ChunkKey)]) -> Result<()> {
    let sql = "DELETE FROM transcode_failure WHERE device = ?1 AND start_ms = ?2 AND generation = ?3";
    for (device, key) in gone {
        let named = params![device.as_str(), key.start_ms, key.generation];
        connection.execute(sql, named).map_err(failed("forgetting failures"))?;
    }
    Ok(())
}

/// What a database tells while no daemon runs. Touches nothing.
pub fn inspect(database: &Path) -> Result<Totals> {
    let connection = sqlite::open_alone(database).map_err(failed("opening the database"))?;
    totals(&connection)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::schema::migrate;

    fn failure(start_ms: i64, bytes: u64) -> Failure {
        Failure {
            device: "cam".parse().unwrap(),
            key: ChunkKey { start_ms, generation: 2 },
            input: FailedInput { bytes, is_final: true, attempts: 1 },
            reason: "savings",
            message: "it saves 3 %".into(),
            at: Utc90k::from_seconds(7),
        }
    }

    #[test]
    fn what_was_written_is_what_is_known() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(load(&connection).unwrap(), Known::default());

        let mut totals = Totals {
            files_transcoded: 3,
            total_original: 1000,
            total_transcoded: 600,
            last: Some(-5),
            rolled_back: 1,
            errors: BTreeMap::from([("savings".into(), 2), ("time".into(), 1)]),
            ..Totals::default()
        };
        totals.write(20_000, 600);
        save_totals(&connection, &totals).unwrap();
        set_disabled(&connection, true).unwrap();
        save_totals(&connection, &totals).unwrap();
        for bytes in [100, 200] {
            save_failure(&connection, &failure(1, bytes)).unwrap();
        }
        save_failure(&connection, &failure(2, 300)).unwrap();
        forget(&connection, &[(failure(2, 0).device, failure(2, 0).key)]).unwrap();
        let known = load(&connection).unwrap();
        assert_eq!(known.totals, Totals { disabled: true, ..totals.clone() }, "saving totals leaves the switch alone");
        assert_eq!(known.failures, HashMap::from([((failure(1, 0).device, failure(1, 0).key), failure(1, 200).input)]));
        assert_eq!((known.totals.files_failed(), known.totals.space_saved()), (3, 400));
        assert_eq!((known.totals.savings_percent(), Totals::default().savings_percent()), (Some(40.0), None));
    }

    #[test]
    fn what_is_written_is_counted_by_the_day() {
        let mut totals = Totals::default();
        totals.write(5, 10);
        totals.write(5, 7);
        assert_eq!((totals.written_on(5), totals.written_on(6)), (17, 0));
        totals.write(6, 1);
        assert_eq!((totals.written_on(5), totals.written_on(6)), (0, 1));
    }
}
