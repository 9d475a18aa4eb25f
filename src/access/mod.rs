//! Who may do what: users and their passwords, sessions, tokens and links, looked up in RAM and kept in the database.
//!
//! Reading a request costs one SHA-256 and one look into a map. What changes is on the disk before it is answered,
//! except a session: on a broken disk people must be able to sign in and see that it is broken.

mod caller;
mod commands;
mod login;
mod password;
mod people;
mod secret;
mod share;
mod throttle;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use slog::{Logger, info, warn};
use tokio::{sync::watch, time::sleep};

use crate::{
    clock::{Clock, Mono, TICKS_PER_SECOND, Utc90k},
    config::Auth,
    error::{Error, Kind, Result},
    registry::{
        Registry,
        audit::{self, Entry},
        users::{self, Hash, Rights, Role, Session, Token, User},
    },
    telemetry::Metrics,
};

use caller::Via;
pub use caller::{Caller, Standing};
pub use commands::Command;
pub use login::Opened;
use password::Hasher;
pub use people::{NewToken, NewUser, UserChange};
pub use secret::random;
pub use secret::same;
pub use share::Share;
use throttle::Throttle;

/// Between two tries to read the users of a database that does not open.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Of the pass that the command line of this host asks for: the longest that a clip may be encoded.
const PASS: Duration = Duration::from_secs(24 * 3600);
const PASSES_MAX: usize = 64;
/// A session is written down again when it is used so long after the last time, or an eighth of its length.
const EXTEND_90K: i64 = 3600 * TICKS_PER_SECOND;
/// Failed attempts to sign in that wait to be written down; then the oldest go. Each has its line in the log.
const REFUSED_MAX: usize = 256;
/// They are collected for so long: a flood of them must not be a flood of writes.
const REFUSED_EVERY: Duration = Duration::from_secs(10);
/// The first user's name.
const FIRST: &str = "admin";

pub struct AccessParts {
    pub auth: Auth,
    pub registry: Arc<Registry>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub log: Logger,
}

/// The one handle.
pub struct Access {
    parts: AccessParts,
    hasher: Hasher,
    throttle: Mutex<Throttle>,
    book: RwLock<Book>,
    /// One change of users and tokens at a time: each is made of what the one before left.
    edits: tokio::sync::Mutex<()>,
    /// Counts changes of users, sessions and tokens; 0 until they were read.
    changes: watch::Sender<u64>,
    refused: Mutex<Vec<(Entry, Utc90k)>>,
}

#[derive(Default)]
struct Book {
    users: HashMap<String, Arc<User>>,
    sessions: HashMap<Hash, Live>,
    tokens: HashMap<Hash, Token>,
    passes: HashMap<Hash, Mono>,
    link_secret: Hash,
}

struct Live {
    user: String,
    expires_90k: AtomicI64,
    /// The expiry that the database knows.
    written_90k: AtomicI64,
}

impl Live {
    fn of(session: &Session) -> Self {
        let expires = session.expires.0;
        Self { user: session.user.clone(), expires_90k: expires.into(), written_90k: expires.into() }
    }

    fn is_over(&self, now: Utc90k) -> bool {
        self.expires_90k.load(Ordering::Relaxed) <= now.0
    }
}

impl Access {
    pub fn start(parts: AccessParts) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            parts,
            hasher: Hasher::start()?,
            throttle: Mutex::default(),
            book: RwLock::default(),
            edits: tokio::sync::Mutex::default(),
            changes: watch::Sender::new(0),
            refused: Mutex::default(),
        }))
    }

    pub fn is_on(&self) -> bool {
        self.parts.auth.enabled
    }

    /// Changes whenever somebody may have lost a right.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns once the users are known: tries for as long as the database does not open. Makes the first one where there
    /// is none and somebody has to sign in.
    pub async fn open(&self) {
        let mut pause = RETRY;
        let mut told = false;
        while let Err(error) = self.read().await {
            // While it is looked through at start there is nothing to tell yet.
            if !told && pause > Duration::from_secs(2) {
                warn!(self.parts.log, "users are not known, nobody can sign in"; "error" => %error);
                told = true;
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(RETRY_MAX);
        }
        if told {
            info!(self.parts.log, "users are known");
        }
        self.changed();
    }

    /// Reads everything; makes the first user where there is none, and tells their password, once.
    async fn read(&self) -> Result<()> {
        let registry = &self.parts.registry;
        let mut all = registry.read(users::load).await?;
        if all.users.is_empty() && self.is_on() {
            all.users.extend(self.make_first_user().await?);
        }
        let link_secret = match all.link_secret {
            Some(secret) => secret,
            None => {
                let fresh = secret::random()?;
                registry.write(move |connection| users::link_secret(connection, fresh, false)).await?
            }
        };
        let now = self.now();
        let mut book = self.book_mut();
        book.users = all.users.into_iter().map(|user| (user.name.clone(), Arc::new(user))).collect();
        let sessions = all.sessions.iter().filter(|session| session.expires > now);
        book.sessions = sessions.map(|session| (session.hash, Live::of(session))).collect();
        book.tokens = all.tokens.into_iter().map(|token| (token.hash, token)).collect();
        book.link_secret = link_secret;
        Ok(())
    }

    async fn make_first_user(&self) -> Result<Option<User>> {
        let password = secret::password()?;
        let now = self.now();
        let user = User {
            name: FIRST.into(),
            role: Role::Admin,
            rights: Rights::default(),
            password: self.hasher.hash(password.clone()).await?,
            created: now,
            changed: now,
        };
        let (first, entry) = (user.clone(), self.entry("local", "user_added", "admin", None, Some(user.told())));
        let is_first = self
            .parts
            .registry
            .write(move |connection| {
                let is_first = users::add_first_user(connection, &first)?;
                if is_first {
                    audit::write(connection, now, &entry)?;
                }
                Ok(is_first)
            })
            .await?;
        if is_first {
            // The one line that holds a password. Once it is on the disk: before that it might never be good.
            info!(self.parts.log, "admin password: {}", password);
        }
        Ok(is_first.then_some(user))
    }

    fn is_open(&self) -> bool {
        *self.changes.borrow() > 0
    }

    /// [`Kind::Unavailable`] until the users were read.
    pub fn known(&self) -> Result<()> {
        if self.is_open() { Ok(()) } else { Err(Error::new(Kind::Unavailable, "users are not known yet")) }
    }

    /// Whoever says nothing.
    pub fn nobody(&self) -> Caller {
        Caller::nobody()
    }

    /// Whether everybody may see a device of that area live.
    pub fn is_public(&self, area: &str) -> bool {
        let auth = &self.parts.auth;
        auth.public_view && !area.is_empty() && auth.public_areas.iter().any(|public| public == area)
    }

    /// By the cookie. Using a session makes it last.
    pub fn session(&self, said: &str) -> Option<Caller> {
        let (hash, now) = (secret::hash(said), self.now());
        let book = self.book();
        let live = book.sessions.get(&hash).filter(|live| !live.is_over(now))?;
        let user = book.users.get(&live.user)?;
        let expires = now + self.session_90k();
        live.expires_90k.fetch_max(expires.0, Ordering::Relaxed);
        let every = EXTEND_90K.min(self.session_90k() / 8);
        let written = live.written_90k.load(Ordering::Relaxed);
        let is_due = expires.0 - written > every;
        if is_due && live.written_90k.compare_exchange(written, expires.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            // On a failing disk it lasts in RAM; at the next start it may be over earlier.
            drop(self.parts.registry.post(move |connection| users::extend_session(connection, &hash, expires)));
        }
        Some(Caller::new(Via::Session(hash), &user.name, Some(user.role), user.rights.clone(), said))
    }

    /// By `Authorization: Bearer`: an API token, or the pass of this host's command line.
    pub fn token(&self, said: &str) -> Option<Caller> {
        self.by_token(secret::hash(said))
    }

    fn by_token(&self, hash: Hash) -> Option<Caller> {
        let book = self.book();
        if book.passes.get(&hash).is_some_and(|until| *until > self.parts.clock.mono()) {
            return Some(Caller::local());
        }
        let token = book.tokens.get(&hash).filter(|token| token.expires > self.now())?;
        let user = book.users.get(&token.user)?;
        let role = token.scope.min(user.role);
        let name = format!("{} ({})", user.name, token.name);
        Some(Caller::new(Via::Token(hash), &name, Some(role), user.rights.clone(), ""))
    }

    /// By `?share=`.
    pub fn link(&self, said: &str) -> Option<Caller> {
        let share = Share::read(said, &self.book().link_secret, self.now())?;
        Some(Caller::new(Via::Link(Arc::new(share)), "link", None, Rights::default(), said))
    }

    /// The same caller as of now; None when they may no longer what they might.
    pub fn again(&self, caller: &Caller) -> Option<Caller> {
        match &caller.via {
            Via::Off | Via::Local | Via::Nobody => Some(caller.clone()),
            Via::Token(hash) => self.by_token(*hash),
            Via::Link(share) => (share.expires > self.now()).then(|| caller.clone()),
            Via::Session(hash) => {
                let book = self.book();
                let live = book.sessions.get(hash).filter(|live| !live.is_over(self.now()))?;
                let user = book.users.get(&live.user)?;
                Some(Caller::new(caller.via.clone(), &user.name, Some(user.role), user.rights.clone(), ""))
            }
        }
    }

    /// A token of this run alone, for the command line of this host.
    pub fn pass(&self) -> Result<String> {
        let (said, now) = (secret::fresh("cap_")?, self.parts.clock.mono());
        let mut book = self.book_mut();
        book.passes.retain(|_, until| *until > now);
        if book.passes.len() >= PASSES_MAX
            && let Some(oldest) = book.passes.iter().min_by_key(|(_, until)| **until).map(|(hash, _)| *hash)
        {
            book.passes.remove(&oldest);
        }
        book.passes.insert(secret::hash(&said), now + PASS);
        Ok(said)
    }

    pub fn sign(&self, share: &Share) -> String {
        share.sign(&self.book().link_secret)
    }

    fn session_90k(&self) -> i64 {
        i64::from(self.parts.auth.session_hours) * 3600 * TICKS_PER_SECOND
    }

    fn now(&self) -> Utc90k {
        self.parts.clock.wall()
    }

    fn entry(
        &self,
        who: &str,
        action: &'static str,
        subject: impl ToString,
        before: Option<serde_json::Value>,
        after: Option<serde_json::Value>,
    ) -> Entry {
        Entry {
            who: who.to_owned(),
            action,
            subject: subject.to_string(),
            before: before.unwrap_or_default(),
            after: after.unwrap_or_default(),
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn book(&self) -> std::sync::RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn book_mut(&self) -> std::sync::RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
