//! Who watched what, in its table: rows come a batch a minute, and go after 90 days.

use rusqlite::{Connection, Row, params, params_from_iter, types::Value};
use serde_json::json;

use super::{Registry, sqlite::failed};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::Result,
    ids::DeviceId,
};

/// The second index holds all that totals ask for, so that a quarter of a year is summed without reading rows.
pub const TABLE: &str = "CREATE TABLE viewing (
         number INTEGER PRIMARY KEY,
         device TEXT NOT NULL,
         client TEXT NOT NULL,
         agent TEXT NOT NULL,
         began_90k INTEGER NOT NULL,
         last_90k INTEGER NOT NULL,
         ended INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX viewing_by_device ON viewing (device, began_90k, last_90k);
     CREATE INDEX viewing_by_number ON viewing (device, number);
     CREATE INDEX viewing_by_last ON viewing (last_90k);";

const KEPT_90K: i64 = 90 * 24 * 3600 * TICKS_PER_SECOND;
/// Rows let go of at a time: milliseconds of the writing thread. The next hour takes the next ones.
const LET_GO: i64 = 20_000;

/// One session as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewing {
    /// Never given twice.
    pub number: i64,
    pub device: DeviceId,
    /// Shortened: which network, not which machine.
    pub client: String,
    pub agent: String,
    pub began: Utc90k,
    /// When it was last heard of.
    pub last: Utc90k,
    pub ended: bool,
}

/// Which sessions of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    pub device: Option<DeviceId>,
    /// Of these devices alone: those that whoever asks may see.
    pub only: Option<Vec<DeviceId>>,
    pub from: Option<Utc90k>,
    pub to: Option<Utc90k>,
    /// The page that follows the session of this number.
    pub before: Option<i64>,
    pub limit: usize,
}

/// One camera's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    pub device: String,
    pub sessions: i64,
    pub watched_90k: i64,
    pub last: Utc90k,
}

/// Newest first, and the sums over all pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub sessions: Vec<Viewing>,
    pub has_more: bool,
    pub totals: Vec<Total>,
}

impl Registry {
    /// One transaction for all of them. A session that was written before gets its newer end.
    pub async fn viewed(&self, rows: Vec<Viewing>) -> Result<()> {
        self.write(move |connection| save(connection, &rows)).await
    }

    /// On an orderly stop: [`Self::finish`] writes them with what else waits.
    pub fn viewed_last(&self, rows: Vec<Viewing>) -> Result<()> {
        self.shared.inbox.ask(move |connection| save(connection, &rows), |_| ())
    }

    pub async fn watched(&self, filter: Watched) -> Result<History> {
        self.read(move |connection| history(connection, &filter)).await
    }
}

fn save(connection: &Connection, rows: &[Viewing]) -> Result<()> {
    let doing = failed("writing down viewers");
    // Batches may come in another order when the disk refused one.
    let text = "INSERT INTO viewing VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (number) DO UPDATE
                SET last_90k = max(last_90k, ?6), ended = max(ended, ?7)";
    let mut statement = connection.prepare_cached(text).map_err(&doing)?;
    for it in rows {
        let values = params![it.number, it.device.as_str(), it.client, it.agent, it.began.0, it.last.0, it.ended];
        statement.execute(values).map_err(&doing)?;
    }
    Ok(())
}

/// Forgets what is older than 90 days; how many.
pub fn let_go(connection: &Connection, now: Utc90k) -> Result<usize> {
    let text = "DELETE FROM viewing WHERE number IN (SELECT number FROM viewing WHERE last_90k < ? LIMIT ?)";
    connection.execute(text, [now.0 - KEPT_90K, LET_GO]).map_err(failed("forgetting viewers"))
}

fn history(connection: &Connection, filter: &Watched) -> Result<History> {
    let doing = failed("reading viewers");
    // Each rule only where it is wanted: only so does SQLite take the index of a device.
    let (mut rules, mut values) = (vec!["TRUE"], Vec::<Value>::new());
    let mut rule = |text, value: Option<Value>| {
        if let Some(value) = value {
            rules.push(text);
            values.push(value);
        }
    };
    rule("device = ?", filter.device.as_ref().map(|device| device.to_string().into()));
    let only = filter.only.as_ref().map(|only| json!(only).to_string().into());
    rule("device IN (SELECT value FROM json_each(?))", only);
    rule("last_90k >= ?", filter.from.map(|from| from.0.into()));
    rule("began_90k < ?", filter.to.map(|to| to.0.into()));
    let which = rules.join(" AND ");
    let text = format!(
        "SELECT device, count(*), sum(max(last_90k - began_90k, 0)), max(last_90k) FROM viewing
         WHERE {which} GROUP BY device ORDER BY device"
    );
    let mut statement = connection.prepare_cached(&text).map_err(&doing)?;
    let sums = statement.query_map(params_from_iter(&values), |row| {
        let (device, sessions, watched_90k) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Total { device, sessions, watched_90k, last: Utc90k(row.get(3)?) })
    });
    let totals = sums.map_err(&doing)?.collect::<rusqlite::Result<_>>().map_err(&doing)?;

    let before = if filter.before.is_some() { "number < ?" } else { "TRUE" };
    values.extend(filter.before.map(Value::from));
    values.push(i64::try_from(filter.limit).unwrap_or(i64::MAX - 1).saturating_add(1).into());
    let text = format!(
        "SELECT number, device, client, agent, began_90k, last_90k, ended FROM viewing
         WHERE {which} AND {before} ORDER BY number DESC LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&text).map_err(&doing)?;
    let found = statement.query_map(params_from_iter(&values), viewing).map_err(&doing)?;
    let mut sessions = Vec::new();
    for row in found {
        sessions.extend(row.map_err(&doing)?);
    }
    let has_more = sessions.len() > filter.limit;
    sessions.truncate(filter.limit);
    Ok(History { sessions, has_more, totals })
}

/// None where the device's name is none, which only a hand in the database can cause.
fn viewing(row: &Row<'_>) -> rusqlite::Result<Option<Viewing>> {
    let Ok(device) = row.get::<_, String>(1)?.parse() else { return Ok(None) };
    Ok(Some(Viewing {
        number: row.get(0)?,
        device,
        client: row.get(2)?,
        agent: row.get(3)?,
        began: Utc90k(row.get(4)?),
        last: Utc90k(row.get(5)?),
        ended: row.get(6)?,
    }))
}
