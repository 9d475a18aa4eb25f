//! `/api/viewer/…`: who watches, and who did; what is heard of viewers stays in RAM but for one batch a minute.
//!
//! Live playlists count by themselves. Of the past only sessions tell, which the page keeps while it shows some.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    State, WebDevice, WebState, client, fresh,
    incidents::{fields, invalid, text, unknown},
    time::Asked,
};
use crate::{
    access::Caller,
    clock::{Clock, Mono, TICKS_PER_SECOND},
    error::{Error, Kind, Result},
    ids::DeviceId,
    registry::{
        Registry,
        viewers::{Viewing, Watched},
    },
    telemetry::{DeviceLabel, Metrics},
};

pub mod entries;
mod sessions;

use sessions::{Client, EXPIRY, Now, Sessions};

/// How often a page should say that it is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// One transaction in so long, however many watch.
const BATCH_EVERY: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_secs(1);
/// Viewers beyond are served and not counted.
const PLACES: usize = 4096;
const ID_CHARS: usize = 32;
const SESSION_CHARS_MAX: usize = 64;
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// The sessions and their way to the database.
pub struct Viewers {
    clock: Clock,
    metrics: Arc<Metrics>,
    sessions: Mutex<Sessions>,
    batched: Mutex<Mono>,
    /// Devices that somebody watched: at most those there are.
    seen: Mutex<BTreeSet<DeviceId>>,
}

impl Viewers {
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        let batched = Mutex::new(clock.mono());
        Self { clock, metrics, sessions: Mutex::new(Sessions::new(PLACES)), batched, seen: Mutex::default() }
    }

    /// A live playlist was asked for: somebody watches. Whose heartbeat it is, the query may tell.
    pub(super) fn playlist(&self, request: &HttpRequest, state: &WebState, device: &WebDevice) -> Result<()> {
        let session = request.query_string().split('&').find_map(|pair| pair.strip_prefix("session="));
        let is_id =
            |text: &str| text.len() == ID_CHARS && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        if session.is_some_and(|session| !is_id(session)) {
            return Err(invalid("session", "must be as `/api/viewer/start` named it"));
        }
        // Who asks for the head alone watches nothing.
        if request.method() == Method::GET {
            let (client, now) = (client_of(request, state), self.now());
            self.lock().playlist(session, &device.id, &client, now);
        }
        Ok(())
    }

    /// The device that the session watches; None for one that is over, never was, or watches what `sees` says is not
    /// for whoever asks.
    pub(super) fn beat(&self, id: &str, sees: impl Fn(&DeviceId) -> bool) -> Option<DeviceId> {
        let now = self.now();
        let mut sessions = self.lock();
        sessions.device(id, now).filter(|device| sees(device))?;
        sessions.beat(id, now)
    }

    /// How many watch what `sees` says may be told of.
    pub(super) fn count(&self, sees: impl Fn(&DeviceId) -> bool) -> usize {
        let counts = self.lock().counts(self.now());
        counts.iter().filter(|(device, _)| sees(device)).map(|(_, count)| count).sum()
    }

    /// Ends silent sessions, tells metrics, and once a minute gives what is to be written down.
    pub fn tick(&self) -> Vec<Viewing> {
        let now = self.now();
        let mut sessions = self.lock();
        sessions.expire(now);
        let metrics = &self.metrics.serving;
        for device in sessions.take_began() {
            metrics.viewer_sessions.get_or_create_owned(&label(&device)).inc();
        }
        let counts = sessions.counts(now);
        let (refused, forgotten) = (&metrics.viewer_refused, &metrics.viewer_forgotten);
        refused.inc_by(sessions.refused.saturating_sub(refused.get()));
        forgotten.inc_by(sessions.forgotten.saturating_sub(forgotten.get()));
        let mut batched = self.batched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = now.mono.since(*batched) >= BATCH_EVERY;
        let rows = if is_due { sessions.batch() } else { Vec::new() };
        drop(sessions);
        if is_due {
            *batched = now.mono;
        }
        self.tell(&counts);
        rows
    }

    /// The disk did not take them: with the next batch.
    pub fn put_back(&self, rows: Vec<Viewing>) {
        self.lock().put_back(rows);
    }

    /// The daemon stops: all sessions are over. The registry writes them with what else waits.
    pub fn finish(&self, registry: &Registry) {
        let mut sessions = self.lock();
        sessions.end_all();
        let rows = sessions.batch();
        if !rows.is_empty() {
            // A registry that takes nothing now has told so.
            let _ = registry.viewed_last(rows);
        }
    }

    /// Ticks on the current runtime until the server is gone.
    pub(super) async fn run(viewers: Weak<Self>, registry: Arc<Registry>) {
        let mut rounds = tokio::time::interval(TICK);
        loop {
            rounds.tick().await;
            let Some(viewers) = viewers.upgrade() else { return };
            let rows = viewers.tick();
            if !rows.is_empty() && registry.viewed(rows.clone()).await.is_err() {
                viewers.put_back(rows);
            }
        }
    }

    /// Also those that nobody watches any more.
    fn tell(&self, counts: &BTreeMap<DeviceId, usize>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(counts.keys().cloned());
        for device in &*seen {
            let count = counts.get(device).copied().unwrap_or(0);
            let gauge = self.metrics.serving.viewers.get_or_create_owned(&label(device));
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn now(&self) -> Now {
        Now { wall: self.clock.wall(), mono: self.clock.mono() }
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn label(device: &DeviceId) -> DeviceLabel {
    DeviceLabel { device: device.to_string() }
}

/// `POST /api/viewer/start` `{device}`
pub async fn start(request: HttpRequest, state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let device = only(&body, "device")?;
    // Whether there is one that they may not see is not for them either.
    if !device.parse().is_ok_and(|id| state.sees(&caller, &id)) {
        return Err(Error::new(Kind::Forbidden, "not for you to see"));
    }
    let device = state.device(&device)?;
    let (id, client) = (random_id()?, client_of(&request, &state));
    let started = state.viewers.lock().start(id.clone(), &device.id, &client, state.viewers.now());
    let number = started.map_err(|sessions::Full| Error::new(Kind::Unavailable, "too many watch to count another"))?;
    let body = json!({
        "session": id,
        "number": number,
        "device": device.id,
        "heartbeat_seconds": HEARTBEAT.as_secs(),
        "expires_seconds": EXPIRY.as_secs(),
    });
    Ok(fresh(HttpResponse::Ok(), body))
}

/// `POST /api/viewer/heartbeat` `{session}`; 404 tells a page to start anew.
pub async fn heartbeat(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let id = only(&body, "session")?;
    let device = state.viewers.beat(&id, |device| state.sees(&caller, device)).ok_or_else(over)?;
    Ok(fresh(HttpResponse::Ok(), json!({"device": device, "expires_seconds": EXPIRY.as_secs()})))
}

/// `POST /api/viewer/stop` `{session}`
pub async fn stop(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let id = only(&body, "session")?;
    let (mut sessions, now) = (state.viewers.lock(), state.viewers.now());
    sessions.device(&id, now).filter(|device| state.sees(&caller, device)).ok_or_else(over)?;
    let viewing = sessions.stop(&id, now).ok_or_else(over)?;
    Ok(fresh(HttpResponse::Ok(), told(&viewing)))
}

/// `GET /api/viewer/active?device`
pub async fn active(state: State, caller: Caller, query: web::Query<OfDevice>) -> Result<HttpResponse> {
    let is_asked = asked(&state, &caller, query.device.as_deref())?;
    let (sessions, now) = (state.viewers.lock(), state.viewers.now());
    let told: Vec<_> = sessions.active(now).into_iter().filter(|it| is_asked(&it.device)).map(told).collect();
    let mut counts = sessions.counts(now);
    counts.retain(|device, _| is_asked(device));
    let body = json!({"viewers": told.len(), "devices": counts, "sessions": told});
    Ok(fresh(HttpResponse::Ok(), body))
}

/// `GET /api/viewer/stats?device`
pub async fn stats(state: State, caller: Caller, query: web::Query<OfDevice>) -> Result<HttpResponse> {
    let is_asked = asked(&state, &caller, query.device.as_deref())?;
    let sessions = state.viewers.lock();
    let mut counts = sessions.counts(state.viewers.now());
    counts.retain(|device, _| is_asked(device));
    let body = json!({
        "viewers": counts.values().sum::<usize>(),
        "viewers_max": PLACES,
        "devices": counts,
        "refused": sessions.refused,
        "waiting": sessions.waiting(),
        "forgotten": sessions.forgotten,
    });
    Ok(fresh(HttpResponse::Ok(), body))
}

#[derive(Debug, Deserialize)]
pub struct OfDevice {
    device: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Query {
    device: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
    before: Option<String>,
}

/// `GET /api/viewer/history?device&from&to&limit&before`: as of the last batch, at most a minute ago.
pub async fn history(state: State, caller: Caller, query: web::Query<Query>) -> Result<HttpResponse> {
    let asked = Asked { start: ("from", query.from.as_deref()), end: ("to", query.to.as_deref()), duration: None };
    let (from, to) = asked.ends(state.clock.wall())?;
    let limit = query.limit.as_deref().map(|text| whole("limit", text, 1, PAGE_MAX as i64)).transpose()?;
    let filter = Watched {
        device: query.device.as_deref().map(named).transpose()?,
        only: state.only(&caller),
        from,
        to,
        before: query.before.as_deref().map(|text| whole("before", text, 0, i64::MAX)).transpose()?,
        limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE),
    };
    let found = state.registry.watched(filter).await?;
    let next = found.sessions.last().filter(|_| found.has_more).map(|last| last.number);
    let totals = found.totals.iter().map(|it| {
        let watched = it.watched_90k / TICKS_PER_SECOND;
        json!({"device": it.device, "sessions": it.sessions, "watched_seconds": watched, "last": it.last.rfc3339()})
    });
    let body = json!({
        "totals": totals.collect::<Vec<_>>(),
        "sessions": found.sessions.iter().map(told).collect::<Vec<_>>(),
        "next": next,
    });
    Ok(fresh(HttpResponse::Ok(), body))
}

/// Never the session's id: who knows it can end it.
fn told(viewing: &Viewing) -> Value {
    json!({
        "number": viewing.number,
        "device": viewing.device,
        "client": viewing.client,
        "agent": viewing.agent,
        "began": viewing.began.rfc3339(),
        "last": viewing.last.rfc3339(),
        "watched_seconds": (viewing.last - viewing.began) / TICKS_PER_SECOND,
        "ended": viewing.ended,
    })
}

fn named(text: &str) -> Result<DeviceId> {
    text.parse().map_err(|_| invalid("device", "is no name of a device"))
}

/// Tells the devices that are asked about and that the caller may see.
fn asked(state: &WebState, caller: &Caller, device: Option<&str>) -> Result<impl Fn(&DeviceId) -> bool> {
    let (device, only) = (device.map(named).transpose()?, state.only(caller));
    Ok(move |id: &DeviceId| {
        device.as_ref().is_none_or(|device| device == id) && only.as_ref().is_none_or(|only| only.contains(id))
    })
}

fn over() -> Error {
    Error::new(Kind::NotFound, "that session is over, or never was: start another")
}

/// The text of the one field that a body has.
fn only(body: &Value, wanted: &str) -> Result<String> {
    let fields = fields(body)?;
    if let Some(other) = fields.keys().find(|name| *name != wanted) {
        return Err(unknown(other));
    }
    let value = fields.get(wanted).ok_or_else(|| invalid(wanted, "must be told"))?;
    text(wanted, value, SESSION_CHARS_MAX)
}

fn whole(name: &str, text: &str, low: i64, high: i64) -> Result<i64> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_digits && (low..=high).contains(number));
    number.ok_or_else(|| invalid(name, &format!("must be {low} to {high}")))
}

fn client_of(request: &HttpRequest, state: &WebState) -> Client {
    let address = client::Client::of(request.head(), &state.settings.server).address;
    Client { address, agent: client::agent(request.headers()) }
}

/// 128 random bits in hex: whoever knows a session may end it.
pub(super) fn random_id() -> Result<String> {
    let mut bits = [0_u8; 16];
    let drawn = rustix::rand::getrandom(&mut bits, rustix::rand::GetRandomFlags::empty());
    let is_whole = drawn.is_ok_and(|count| count == bits.len());
    is_whole
        .then(|| format!("{:032x}", u128::from_be_bytes(bits)))
        .ok_or_else(|| Error::new(Kind::Internal, "the kernel gives no random numbers"))
}
