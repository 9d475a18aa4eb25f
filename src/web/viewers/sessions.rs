//! Who watches now: sessions that end when nothing was heard of them, and what of them is to be written down. Pure.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    mem,
    net::IpAddr,
    time::Duration,
};

use crate::{
    clock::{Mono, Utc90k},
    ids::DeviceId,
    registry::viewers::Viewing,
    web::client::shortened,
};

/// Three lost heartbeats: a count is never older than this.
pub const EXPIRY: Duration = Duration::from_secs(15);
/// Sessions that wait for a disk that takes none: then the oldest are forgotten.
const WAITING_MAX: usize = 20_000;

/// One moment by both clocks: waits by the one, labels by the other.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub wall: Utc90k,
    pub mono: Mono,
}

/// Who a session is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Whole, to know it again; only its network is told.
    pub address: IpAddr,
    pub agent: String,
}

/// There is no place for another session.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

#[derive(Debug)]
struct Session {
    viewing: Viewing,
    /// None: nobody began it, a player just asks.
    id: Option<String>,
    client: u64,
    heard: Mono,
    /// Not as it was written down last.
    is_news: bool,
}

/// All of them. Whatever is asked of one that is silent for [`EXPIRY`] finds none.
pub struct Sessions {
    places: usize,
    open: HashMap<i64, Session>,
    by_id: HashMap<String, i64>,
    /// The newest of each client and device, by the hash of both.
    by_client: HashMap<u64, i64>,
    hasher: RandomState,
    number: i64,
    /// Over, or refused by the disk: by number, oldest first.
    waiting: BTreeMap<i64, Viewing>,
    /// Devices of sessions that began since somebody counted.
    began: VecDeque<DeviceId>,
    pub refused: u64,
    pub forgotten: u64,
}

impl Sessions {
    pub fn new(places: usize) -> Self {
        Self {
            places,
            open: HashMap::new(),
            by_id: HashMap::new(),
            by_client: HashMap::new(),
            hasher: RandomState::new(),
            number: 0,
            waiting: BTreeMap::new(),
            began: VecDeque::new(),
            refused: 0,
            forgotten: 0,
        }
    }

    /// A session by the wish of its client; `id` is what it will be known by. Its number.
    pub fn start(&mut self, id: String, device: &DeviceId, client: &Client, now: Now) -> Result<i64, Full> {
        // What the same player began by just asking goes on under the name it has now.
        let known = self.hash(device, client);
        if let Some(number) = self.by_client.get(&known).copied()
            && let Some(session) = self.alive(number, now).filter(|session| session.id.is_none())
        {
            session.id = Some(id.clone());
            session.hear(now);
            self.by_id.insert(id, number);
            return Ok(number);
        }
        self.begin(Some(id), device, client, now)
    }

    /// What it watches, without a beat.
    pub fn device(&self, id: &str, now: Now) -> Option<&DeviceId> {
        let session = self.open.get(self.by_id.get(id)?)?;
        session.is_alive(now).then_some(&session.viewing.device)
    }

    /// The device it watches; None for one that is over or never was.
    pub fn beat(&mut self, id: &str, now: Now) -> Option<DeviceId> {
        let number = *self.by_id.get(id)?;
        let session = self.alive(number, now)?;
        session.hear(now);
        Some(session.viewing.device.clone())
    }

    /// A player asked for the live playlist. It is a beat of the session it names, or of its client's, or begins one.
    pub fn playlist(&mut self, id: Option<&str>, device: &DeviceId, client: &Client, now: Now) {
        if let Some(id) = id
            && self.beat(id, now).is_some_and(|watched| watched == *device)
        {
            return;
        }
        let number = self.by_client.get(&self.hash(device, client)).copied();
        match number.and_then(|number| self.alive(number, now)) {
            Some(session) => session.hear(now),
            // Counted there; the picture is theirs all the same.
            None => drop(self.begin(None, device, client, now)),
        }
    }

    /// What it was, as it is told last; None as in [`Self::beat`].
    pub fn stop(&mut self, id: &str, now: Now) -> Option<Viewing> {
        let number = *self.by_id.get(id)?;
        self.alive(number, now)?.hear(now);
        self.end(number)
    }

    /// Ends those that are silent.
    pub fn expire(&mut self, now: Now) {
        let silent: Vec<_> = self.open.iter().filter(|(_, it)| !it.is_alive(now)).map(|(number, _)| *number).collect();
        silent.into_iter().for_each(|number| drop(self.end(number)));
    }

    /// At the end of the daemon.
    pub fn end_all(&mut self) {
        let all: Vec<_> = self.open.keys().copied().collect();
        all.into_iter().for_each(|number| drop(self.end(number)));
    }

    /// Oldest first.
    pub fn active(&self, now: Now) -> Vec<&Viewing> {
        let mut all: Vec<_> = self.open.values().filter(|it| it.is_alive(now)).map(|it| &it.viewing).collect();
        all.sort_by_key(|viewing| viewing.number);
        all
    }

    /// How many watch each device that somebody watches.
    pub fn counts(&self, now: Now) -> BTreeMap<DeviceId, usize> {
        let mut counts = BTreeMap::new();
        for session in self.open.values().filter(|it| it.is_alive(now)) {
            *counts.entry(session.viewing.device.clone()).or_default() += 1;
        }
        counts
    }

    /// What changed since the last call, for one transaction.
    pub fn batch(&mut self) -> Vec<Viewing> {
        let mut rows = mem::take(&mut self.waiting);
        for session in self.open.values_mut() {
            if mem::take(&mut session.is_news) {
                rows.insert(session.viewing.number, session.viewing.clone());
            }
        }
        rows.into_values().collect()
    }

    /// The disk did not take them. What is known by now of the same sessions is newer.
    pub fn put_back(&mut self, rows: Vec<Viewing>) {
        for row in rows {
            self.waiting.entry(row.number).or_insert(row);
        }
        self.bound();
    }

    /// How many wait to be written down, those that last apart.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Devices of sessions that began since the last call.
    pub fn take_began(&mut self) -> VecDeque<DeviceId> {
        mem::take(&mut self.began)
    }

    fn begin(&mut self, id: Option<String>, device: &DeviceId, client: &Client, now: Now) -> Result<i64, Full> {
        if self.open.len() >= self.places {
            self.expire(now);
        }
        if self.open.len() >= self.places {
            self.refused += 1;
            return Err(Full);
        }
        // Microseconds since 1970: numbers grow over restarts.
        self.number = (now.wall.as_ms().saturating_mul(1000)).max(self.number + 1);
        let number = self.number;
        let known = self.hash(device, client);
        self.by_client.insert(known, number);
        if let Some(id) = &id {
            self.by_id.insert(id.clone(), number);
        }
        let viewing = Viewing {
            number,
            device: device.clone(),
            client: shortened(client.address),
            agent: client.agent.clone(),
            began: now.wall,
            last: now.wall,
            ended: false,
        };
        self.open.insert(number, Session { viewing, id, client: known, heard: now.mono, is_news: true });
        if self.began.len() < self.places {
            self.began.push_back(device.clone());
        }
        Ok(number)
    }

    fn alive(&mut self, number: i64, now: Now) -> Option<&mut Session> {
        self.open.get_mut(&number).filter(|session| session.is_alive(now))
    }

    fn end(&mut self, number: i64) -> Option<Viewing> {
        let Session { mut viewing, id, client, .. } = self.open.remove(&number)?;
        if let Some(id) = id {
            self.by_id.remove(&id);
        }
        if self.by_client.get(&client) == Some(&number) {
            self.by_client.remove(&client);
        }
        viewing.ended = true;
        self.waiting.insert(number, viewing.clone());
        self.bound();
        Some(viewing)
    }

    fn bound(&mut self) {
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
            self.forgotten += 1;
        }
    }

    fn hash(&self, device: &DeviceId, client: &Client) -> u64 {
        self.hasher.hash_one((device, client.address, &client.agent))
    }
}

impl Session {
    fn is_alive(&self, now: Now) -> bool {
        now.mono.since(self.heard) < EXPIRY
    }

    fn hear(&mut self, now: Now) {
        self.heard = now.mono;
        // A wall clock that was set back ends no session before it began.
        self.viewing.last = now.wall.max(self.viewing.last);
        self.is_news = true;
    }
}

#[cfg(test)]
mod tests;
