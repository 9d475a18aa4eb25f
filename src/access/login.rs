//! Signing in and out.

use std::sync::Arc;

use super::{
    Access, Caller, Entry, Error, IpAddr, Kind, Live, REFUSED_EVERY, REFUSED_MAX, Result, Session, User, UserChange,
    Via, audit, info, secret, sleep, users, warn,
};
use crate::telemetry::LoginOutcome;

/// A session that has just begun.
pub struct Opened {
    /// For the cookie; told this once.
    pub secret: String,
    pub caller: Caller,
}

impl Access {
    /// [`Kind::Unauthorized`] says neither whether there is such a user nor, by the time it takes.
    pub async fn login(self: &Arc<Self>, name: &str, password: String, from: IpAddr) -> Result<Opened> {
        let outcome = self.try_login(name, password, from).await;
        let counted = match outcome.as_ref().map_err(|error| error.kind) {
            Ok(_) => LoginOutcome::Ok,
            Err(Kind::Unauthorized) => LoginOutcome::Refused,
            Err(Kind::TooMany) => LoginOutcome::Throttled,
            Err(_) => LoginOutcome::Busy,
        };
        self.parts.metrics.logins(counted).inc();
        outcome
    }

    async fn try_login(self: &Arc<Self>, name: &str, password: String, from: IpAddr) -> Result<Opened> {
        let user = self.prove(name, password, from).await?;
        self.begin(&user, from).await
    }

    /// Their own password, by whoever is signed in with it: all their sessions end, and another begins.
    pub async fn change_own_password(
        self: &Arc<Self>,
        caller: &Caller,
        password: String,
        new: String,
        from: IpAddr,
    ) -> Result<Opened> {
        if !matches!(caller.via, Via::Session(_)) {
            return Err(Error::new(Kind::Forbidden, "only who signed in with a password can change it"));
        }
        let wrong = |error: Error| match error.kind {
            // The session holds: they are known, and 401 would sign them out.
            Kind::Unauthorized => Error::new(Kind::Invalid, "is wrong").at("password"),
            _ => error,
        };
        self.prove(caller.name(), password, from).await.map_err(wrong)?;
        let change = UserChange { password: Some(new), ..UserChange::default() };
        let changed = self.change_user(caller, caller.name(), change).await;
        changed.map_err(|error| if error.kind == Kind::Invalid { error.at("new_password") } else { error })?;
        let user = self.user(caller.name()).ok_or_else(|| Error::new(Kind::Unauthorized, "the user is gone"))?;
        self.begin(&user, from).await
    }

    /// Of this name with this password. [`Kind::Unauthorized`] otherwise, after as long.
    async fn prove(self: &Arc<Self>, name: &str, password: String, from: IpAddr) -> Result<Arc<User>> {
        self.known()?;
        self.throttle().attempt(name, from, self.parts.clock.mono())?;
        let user = self.user(name);
        let looked = self.hasher.verify(user.as_ref().map(|user| user.password.clone()), password).await;
        let Ok(is_right) = looked else {
            self.throttle().forgive(name, from);
            return Err(looked.err().unwrap_or_else(|| Error::new(Kind::Internal, "signing in")));
        };
        // Meanwhile they may have been removed, or given another password.
        let user = user.filter(|before| is_right && self.user(name).is_some_and(|now| now.password == before.password));
        let Some(user) = user else {
            self.refused(name, from);
            return Err(Error::new(Kind::Unauthorized, "the name or the password is wrong"));
        };
        self.throttle().forgive(name, from);
        Ok(user)
    }

    async fn begin(&self, user: &User, from: IpAddr) -> Result<Opened> {
        let (said, now) = (secret::fresh("")?, self.now());
        let hash = secret::hash(&said);
        let session = Session { hash, user: user.name.clone(), created: now, expires: now + self.session_90k() };
        let entry = self.entry(&user.name, "signed_in", from, None, None);
        let live = Live::of(&session);
        let written = self
            .parts
            .registry
            .write(move |connection| {
                audit::write(connection, now, &entry)?;
                users::add_session(connection, &session)
            })
            .await;
        let is_in = {
            let mut book = self.book_mut();
            match written {
                Ok(gone) => gone.iter().for_each(|hash| drop(book.sessions.remove(hash))),
                Err(error) => {
                    warn!(self.parts.log, "session ends with this run: the database does not take it"; "error" => %error);
                    book.sessions.retain(|_, live| !live.is_over(now));
                    book.forget_oldest_of(&user.name);
                }
            }
            // Whoever took the account away, or its password, meant this session too.
            let stays = book.users.get(&user.name).is_some_and(|now| now.password == user.password);
            if stays {
                book.sessions.insert(hash, live);
            }
            stays
        };
        if !is_in {
            drop(self.parts.registry.post(move |connection| users::remove_session(connection, &hash)));
            return Err(Error::new(Kind::Unauthorized, "the name or the password is wrong"));
        }
        info!(self.parts.log, "signed in"; "user" => &user.name, "from" => %from);
        let caller = Caller::new(Via::Session(hash), &user.name, Some(user.role), user.rights.clone(), &said);
        Ok(Opened { secret: said, caller })
    }

    /// Ends the session; also while the database does not take it.
    pub async fn logout(&self, caller: &Caller) -> Result<()> {
        let Via::Session(hash) = caller.via else { return Ok(()) };
        self.book_mut().sessions.remove(&hash);
        self.changed();
        info!(self.parts.log, "signed out"; "user" => caller.name());
        let (now, entry) = (self.now(), self.entry(caller.name(), "signed_out", "", None, None));
        self.parts
            .registry
            .write(move |connection| {
                audit::write(connection, now, &entry)?;
                users::remove_session(connection, &hash)
            })
            .await
    }

    fn user(&self, name: &str) -> Option<Arc<User>> {
        self.book().users.get(name).cloned()
    }

    /// Names that are nobody's are not written down: people type passwords there.
    fn refused(self: &Arc<Self>, name: &str, from: IpAddr) {
        let shown = if self.user(name).is_some() { name } else { "(unknown)" };
        warn!(self.parts.log, "refused to sign in"; "user" => shown, "from" => %from);
        let entry = self.entry(shown, "refused_to_sign_in", from, None, None);
        let is_first = {
            let mut refused = self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            refused.push((entry, self.now()));
            if refused.len() > REFUSED_MAX {
                refused.remove(0);
            }
            refused.len() == 1
        };
        if is_first {
            let access = self.clone();
            tokio::spawn(async move {
                sleep(REFUSED_EVERY).await;
                access.write_refused().await;
            });
        }
    }

    pub(super) async fn write_refused(&self) {
        let all: Vec<(Entry, _)> =
            std::mem::take(&mut *self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let count = all.len();
        let written = self.parts.registry.write(move |connection| {
            all.iter().try_for_each(|(entry, at)| audit::write(connection, *at, entry).map(drop))
        });
        if let Err(error) = written.await {
            warn!(self.parts.log, "refused attempts to sign in are in the log alone"; "count" => count, "error" => %error);
        }
    }
}

impl super::Book {
    /// What the database does for sessions that it takes.
    fn forget_oldest_of(&mut self, user: &str) {
        let of_user = |live: &&Live| live.user == user;
        while i64::try_from(self.sessions.values().filter(of_user).count()).unwrap_or(i64::MAX) >= users::SESSIONS_MAX {
            let mine = self.sessions.iter().filter(|(_, live)| live.user == user);
            let oldest = mine.min_by_key(|(_, live)| live.expires_90k.load(std::sync::atomic::Ordering::Relaxed));
            let Some(oldest) = oldest.map(|(hash, _)| *hash) else { return };
            self.sessions.remove(&oldest);
        }
    }
}
