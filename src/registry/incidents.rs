//! Incidents in the database: how they are kept, found, edited and let go of.

use std::{
    collections::{BTreeMap, HashSet},
    str::FromStr,
};

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};

use super::sqlite::failed;
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::Result,
    ids::DeviceId,
    incident::{Incident, IncidentKind, Severity},
    storage::retention::PLAUSIBLE,
};

/// An hour. Longer incidents, which are few, have an index of their own (its rule in `schema.rs` says the same number),
/// so that those that reach into a span are found without looking at all that went before.
const LONG_90K: i64 = 3600 * TICKS_PER_SECOND;
/// After which an incident that is over is let go of, and how many are kept at most.
const KEPT_90K: i64 = 90 * 24 * 3600 * TICKS_PER_SECOND;
const KEPT_MAX: i64 = 100_000;

/// Which incidents. The default is all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub device: Option<DeviceId>,
    /// Of these devices alone: those that whoever asks may see.
    pub only: Option<Vec<DeviceId>>,
    pub kind: Option<IncidentKind>,
    pub open: Option<bool>,
    /// Some part of it at or after this.
    pub from: Option<Utc90k>,
    /// It began before this.
    pub to: Option<Utc90k>,
    pub acknowledged: Option<bool>,
    pub discarded: Option<bool>,
    /// Those that follow this one in the order of the list.
    pub after: Option<Cursor>,
    pub limit: usize,
}

/// A place in the list, newest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub start: Utc90k,
    pub id: String,
}

impl Cursor {
    fn of(incident: &Incident) -> Self {
        Self { start: incident.start, id: incident.id.clone() }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.start.0, self.id)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (start, id) = text.split_once('.').ok_or(())?;
        let is_id = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(is_id) {
            return Err(());
        }
        Ok(Self { start: Utc90k(start.parse().map_err(|_| ())?), id: id.to_owned() })
    }
}

/// Of an incident's id: a device's name, a time and a kind.
pub const ID_MAX: usize = 128;

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub incidents: Vec<Incident>,
    pub next: Option<Cursor>,
}

/// What a person says of an incident; what is None stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    pub acknowledged: Option<bool>,
    pub discarded: Option<bool>,
    pub comment: Option<String>,
}

impl Filter {
    /// The rule that the queries below follow.
    pub fn matches(&self, incident: &Incident) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        let reaches = |from| incident.start >= from || incident.end.is_none_or(|end| end > from);
        is(self.device.as_ref(), &incident.device)
            && self.only.as_ref().is_none_or(|only| only.contains(&incident.device))
            && is(self.kind.as_ref(), &incident.kind)
            && is(self.open.as_ref(), &incident.is_open())
            && is(self.acknowledged.as_ref(), &incident.acknowledged)
            && is(self.discarded.as_ref(), &incident.discarded)
            && self.to.is_none_or(|to| incident.start < to)
            && self.from.is_none_or(reaches)
            && self.after.as_ref().is_none_or(|after| Cursor::of(incident) < *after)
    }
}

/// What the database and what waits to be written to it hold together, newest first.
pub fn list(connection: &Connection, filter: &Filter, waiting: &[Incident]) -> Result<Page> {
    let newer: HashSet<&str> = waiting.iter().map(|incident| incident.id.as_str()).collect();
    let mut found = select(connection, filter, filter.limit + 1 + waiting.len())?;
    found.retain(|incident| !newer.contains(incident.id.as_str()));
    for incident in waiting {
        let incident = with_people(connection, incident)?;
        if filter.matches(&incident) {
            found.push(incident);
        }
    }
    found.sort_by_cached_key(|incident| std::cmp::Reverse(Cursor::of(incident)));
    let more = found.len() > filter.limit;
    found.truncate(filter.limit);
    let next = found.last().filter(|_| more).map(Cursor::of);
    Ok(Page { incidents: found, next })
}

/// The same of one.
pub fn one(connection: &Connection, id: &str, waiting: Option<&Incident>) -> Result<Option<Incident>> {
    match waiting {
        Some(waiting) => with_people(connection, waiting).map(Some),
        None => get(connection, id),
    }
}

const COLUMNS: &str = "id, host, device, kind, start_90k, end_90k, last_bad_90k, severity, evidence, acknowledged, \
                       discarded, comment";

fn select(connection: &Connection, filter: &Filter, limit: usize) -> Result<Vec<Incident>> {
    let (mut rules, mut values) = (Vec::new(), Vec::new());
    let mut equals = |column: &str, value: Option<Value>| {
        if let Some(value) = value {
            rules.push(format!("{column} = ?"));
            values.push(value);
        }
    };
    equals("device", filter.device.as_ref().map(|device| device.to_string().into()));
    equals("kind", filter.kind.map(|kind| kind.name().to_owned().into()));
    if let Some(only) = &filter.only {
        rules.push(format!("device IN ({})", vec!["?"; only.len()].join(", ")));
        values.extend(only.iter().map(|device| device.to_string().into()));
    }
    // Said as numbers: only so does SQLite see that the index of those few fits.
    for (column, wanted) in [("acknowledged", filter.acknowledged), ("discarded", filter.discarded)] {
        rules.extend(wanted.map(|wanted| format!("{column} = {}", u8::from(wanted))));
    }
    if let Some(open) = filter.open {
        rules.push(if open { "end_90k IS NULL" } else { "end_90k IS NOT NULL" }.into());
    }
    if let Some(to) = filter.to {
        rules.push("start_90k < ?".into());
        values.push(to.0.into());
    }
    if let Some(after) = &filter.after {
        rules.push("(start_90k, id) < (?, ?)".into());
        values.extend([after.start.0.into(), after.id.clone().into()]);
    }
    let Some(from) = filter.from else { return rows(connection, &rules, values, limit) };
    let near = from + -LONG_90K;
    let mut young = (rules.clone(), values.clone());
    young.0.push("start_90k >= ? AND (start_90k >= ? OR end_90k IS NULL OR end_90k > ?)".into());
    young.1.extend([near.0.into(), from.0.into(), from.0.into()]);
    let mut found = rows(connection, &young.0, young.1, limit)?;
    if found.len() < limit {
        // All of these began before all of those.
        rules.push(
            "start_90k < ? AND (end_90k IS NULL OR end_90k - start_90k > 324000000) \
             AND (end_90k IS NULL OR end_90k > ?)"
                .into(),
        );
        values.extend([near.0.into(), from.0.into()]);
        let left = limit - found.len();
        found.extend(rows(connection, &rules, values, left)?);
    }
    Ok(found)
}

fn rows(connection: &Connection, rules: &[String], mut values: Vec<Value>, limit: usize) -> Result<Vec<Incident>> {
    let rules = if rules.is_empty() { "TRUE".into() } else { rules.join(" AND ") };
    let text = format!("SELECT {COLUMNS} FROM incident WHERE {rules} ORDER BY start_90k DESC, id DESC LIMIT ?");
    values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
    let doing = failed("reading incidents");
    let mut statement = connection.prepare_cached(&text).map_err(&doing)?;
    let found = statement.query_map(params_from_iter(values), incident).map_err(&doing)?;
    // A row that makes no sense, as a damaged page can, hides no other.
    let told = found.filter_map(Result::transpose).collect::<rusqlite::Result<_>>();
    told.map_err(doing)
}

/// None: a row to be left out.
fn incident(row: &Row<'_>) -> rusqlite::Result<Option<Incident>> {
    let (device, kind, severity): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(7)?);
    let severity = Severity::ALL.into_iter().find(|known| known.name() == severity);
    let (Ok(device), Some(kind), Some(severity)) = (device.parse(), IncidentKind::parse(&kind), severity) else {
        return Ok(None);
    };
    let evidence: String = row.get(8)?;
    Ok(Some(Incident {
        id: row.get(0)?,
        host: row.get(1)?,
        device,
        kind,
        start: Utc90k(row.get(4)?),
        end: row.get::<_, Option<i64>>(5)?.map(Utc90k),
        last_bad: Utc90k(row.get(6)?),
        severity,
        evidence: serde_json::from_str(&evidence).unwrap_or_default(),
        acknowledged: row.get(9)?,
        discarded: row.get(10)?,
        comment: row.get(11)?,
    }))
}

/// What the database will hold once `waiting` is written.
fn with_people(connection: &Connection, waiting: &Incident) -> Result<Incident> {
    let doing = failed("reading an incident");
    let mut statement =
        connection.prepare_cached("SELECT closed_by IS NULL FROM incident WHERE id = ?").map_err(&doing)?;
    let is_ours: Option<bool> = statement.query_row([&waiting.id], |row| row.get(0)).optional().map_err(doing)?;
    let written = if is_ours.is_some() { get(connection, &waiting.id)? } else { None };
    Ok(match (written, is_ours) {
        (Some(written), Some(false)) => written,
        (Some(Incident { acknowledged, discarded, comment, .. }), _) => {
            Incident { acknowledged, discarded, comment, ..waiting.clone() }
        }
        (None, _) => waiting.clone(),
    })
}

pub fn get(connection: &Connection, id: &str) -> Result<Option<Incident>> {
    Ok(rows(connection, &["id = ?".into()], vec![id.to_owned().into()], 1)?.pop())
}

/// Inserts or updates, and writes nothing when nothing changed. What people said stays, and what they closed is closed.
pub fn save(connection: &Connection, it: &Incident) -> Result<()> {
    let doing = failed("writing an incident");
    let evidence = serde_json::to_string(&it.evidence).unwrap_or_else(|_| "[]".into());
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO incident (id, host, device, kind, start_90k, end_90k, last_bad_90k, severity, evidence, comment)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO UPDATE SET end_90k = ?6, last_bad_90k = ?7, severity = ?8, evidence = ?9
             WHERE closed_by IS NULL AND (end_90k IS NOT ?6 OR last_bad_90k <> ?7 OR severity <> ?8 OR evidence <> ?9)",
        )
        .map_err(&doing)?;
    let written = statement.execute(params![
        it.id,
        it.host,
        it.device.as_str(),
        it.kind.name(),
        it.start.0,
        it.end.map(|end| end.0),
        it.last_bad.0,
        it.severity.name(),
        evidence,
        it.comment,
    ]);
    written.map(|_| ()).map_err(doing)
}

/// Those of `ids` that are there, as they are now.
pub fn edit(connection: &Connection, ids: &[String], edit: &Edit, by: &str, at: Utc90k) -> Result<Vec<Incident>> {
    let doing = failed("editing an incident");
    let mut statement = connection
        .prepare_cached(
            "UPDATE incident SET acknowledged = ifnull(?2, acknowledged), discarded = ifnull(?3, discarded),
                    comment = ifnull(?4, comment), edited_by = ?5, edited_90k = ?6 WHERE id = ?1",
        )
        .map_err(&doing)?;
    let mut changed = Vec::new();
    for id in ids {
        let what = params![id, edit.acknowledged, edit.discarded, edit.comment, by, at.0];
        if statement.execute(what).map_err(&doing)? > 0 {
            changed.extend(get(connection, id)?);
        }
    }
    Ok(changed)
}

/// Deletes at most `most` incidents that are too old or too many, and returns them.
pub fn let_go(connection: &Connection, now: Utc90k, most: usize) -> Result<Vec<Incident>> {
    let doing = failed("letting go of incidents");
    let count: i64 = connection.query_row("SELECT count(*) FROM incident", [], |row| row.get(0)).map_err(&doing)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let oldest = |rule: &str, values: Vec<Value>, limit: i64| -> Result<Vec<Incident>> {
        let text = format!("SELECT {COLUMNS} FROM incident WHERE {rule} ORDER BY start_90k, id LIMIT {limit}");
        let mut statement = connection.prepare(&text).map_err(&doing)?;
        let found = statement.query_map(params_from_iter(values), incident).map_err(&doing)?;
        found.filter_map(Result::transpose).collect::<rusqlite::Result<_>>().map_err(&doing)
    };
    let horizon: Value = (now + -KEPT_90K).0.into();
    // Before a clock was set there is no age.
    let old = vec![horizon.clone(), horizon, PLAUSIBLE.0.into()];
    let mut gone = oldest("start_90k < ? AND end_90k < ? AND end_90k >= ?", old, most)?;
    if gone.is_empty() && count > KEPT_MAX {
        gone = oldest("end_90k IS NOT NULL", Vec::new(), most.min(count - KEPT_MAX))?;
    }
    for incident in &gone {
        connection.execute("DELETE FROM incident WHERE id = ?", [&incident.id]).map_err(&doing)?;
    }
    Ok(gone)
}

/// How many last, by kind.
pub fn open_by_kind(connection: &Connection) -> Result<BTreeMap<&'static str, u64>> {
    let doing = failed("counting incidents");
    let mut statement = connection
        .prepare_cached("SELECT kind, count(*) FROM incident WHERE end_90k IS NULL GROUP BY kind")
        .map_err(&doing)?;
    let counts =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).map_err(&doing)?;
    let mut open = BTreeMap::new();
    for count in counts {
        let (kind, count) = count.map_err(&doing)?;
        if let Some(kind) = IncidentKind::parse(&kind) {
            open.insert(kind.name(), u64::try_from(count).unwrap_or(0));
        }
    }
    Ok(open)
}
