//! Users and their tokens: listed, made, changed, removed. Each change is on the disk, with its line in the audit log,
//! before it holds in RAM and is answered.

use std::sync::Arc;

use serde_json::Value;

use super::{Access, Caller, Error, Kind, Result, Rights, Role, Token, User, Utc90k, audit, info, secret, users};
use crate::clock::TICKS_PER_SECOND;

const NAME_CHARS_MAX: usize = 64;
const LIST_MAX: usize = 256;
/// Ten years: for longer nobody remembers what it was for.
const TOKEN_90K_MAX: i64 = 3653 * 24 * 3600 * TICKS_PER_SECOND;

#[derive(Clone, Debug)]
pub struct NewUser {
    pub name: String,
    /// One is made where none is said.
    pub password: Option<String>,
    pub role: Role,
    pub rights: Rights,
}

/// What is None stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    pub password: Option<String>,
    pub role: Option<Role>,
    pub areas: Option<Vec<String>>,
    pub cameras: Option<Vec<crate::ids::DeviceId>>,
}

#[derive(Clone, Debug)]
pub struct NewToken {
    pub user: String,
    pub name: String,
    pub scope: Role,
    pub expires: Utc90k,
}

impl Access {
    /// By name.
    pub fn users(&self) -> Vec<Value> {
        let mut all: Vec<_> = self.book().users.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all.iter().map(|user| user.told()).collect()
    }

    pub fn one_user(&self, name: &str) -> Result<Value> {
        self.find(name).map(|user| user.told())
    }

    /// The user, with `password` when one was made for them: told this once.
    pub async fn add_user(&self, by: &Caller, new: NewUser) -> Result<Value> {
        self.known()?;
        let _turn = self.edits.lock().await;
        check_name(&new.name)?;
        check_rights(new.role, &new.rights)?;
        let made = if new.password.is_none() { Some(secret::password()?) } else { None };
        let password = new.password.or_else(|| made.clone()).unwrap_or_default();
        let now = self.now();
        let user = User {
            name: new.name,
            role: new.role,
            rights: new.rights,
            password: self.hasher.hash(password).await?,
            created: now,
            changed: now,
        };
        let (kept, entry) = (user.clone(), self.entry(by.name(), "user_added", &user.name, None, Some(user.told())));
        self.parts
            .registry
            .write(move |connection| {
                users::add_user(connection, &kept)?;
                audit::write(connection, now, &entry).map(drop)
            })
            .await?;
        info!(self.parts.log, "user added"; "user" => &user.name, "role" => user.role.name(), "by" => by.name());
        let mut told = user.told();
        if let Some(made) = made {
            told["password"] = made.into();
        }
        self.book_mut().users.insert(user.name.clone(), Arc::new(user));
        self.changed();
        Ok(told)
    }

    /// Another password ends the user's sessions; other rights hold from the next request on.
    pub async fn change_user(&self, by: &Caller, name: &str, change: UserChange) -> Result<Value> {
        self.known()?;
        let _turn = self.edits.lock().await;
        let before = self.find(name)?;
        let mut user = User::clone(&before);
        if let Some(areas) = change.areas {
            user.rights.areas = areas;
        }
        if let Some(cameras) = change.cameras {
            user.rights.cameras = cameras;
        }
        user.role = change.role.unwrap_or(user.role);
        check_rights(user.role, &user.rights)?;
        let sign_out = change.password.is_some();
        if let Some(password) = change.password {
            user.password = self.hasher.hash(password).await?;
        }
        let now = self.now();
        user.changed = now;
        let action = if sign_out { "password_changed" } else { "user_changed" };
        let (kept, entry) = (user.clone(), self.entry(by.name(), action, name, Some(before.told()), Some(user.told())));
        self.parts
            .registry
            .write(move |connection| {
                users::change_user(connection, &kept, sign_out)?;
                audit::write(connection, now, &entry).map(drop)
            })
            .await?;
        info!(self.parts.log, "user changed"; "user" => name, "role" => user.role.name(), "password" => sign_out,
            "by" => by.name());
        let told = user.told();
        {
            let mut book = self.book_mut();
            if sign_out {
                book.sessions.retain(|_, live| live.user != name);
            }
            book.users.insert(name.to_owned(), Arc::new(user));
        }
        self.changed();
        Ok(told)
    }

    /// With sessions and tokens.
    pub async fn remove_user(&self, by: &Caller, name: &str) -> Result<()> {
        self.known()?;
        let _turn = self.edits.lock().await;
        let before = self.find(name)?;
        let (now, removed) = (self.now(), name.to_owned());
        let entry = self.entry(by.name(), "user_removed", name, Some(before.told()), None);
        self.parts
            .registry
            .write(move |connection| {
                users::remove_user(connection, &removed)?;
                audit::write(connection, now, &entry).map(drop)
            })
            .await?;
        info!(self.parts.log, "user removed"; "user" => name, "by" => by.name());
        {
            let mut book = self.book_mut();
            book.users.remove(name);
            book.sessions.retain(|_, live| live.user != name);
            book.tokens.retain(|_, token| token.user != name);
        }
        self.changed();
        Ok(())
    }

    /// Those that have not expired, newest first.
    pub fn tokens(&self) -> Vec<Value> {
        let now = self.now();
        let mut all: Vec<_> = self.book().tokens.values().filter(|token| token.expires > now).cloned().collect();
        all.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        all.iter().map(Token::told).collect()
    }

    pub fn one_token(&self, id: &str) -> Result<Value> {
        let told = self.tokens().into_iter().find(|token| token["id"] == id);
        told.ok_or_else(|| Error::new(Kind::NotFound, "there is no such token"))
    }

    /// The token with `token`, the secret itself: told this once.
    pub async fn add_token(&self, by: &Caller, new: NewToken) -> Result<Value> {
        self.known()?;
        let _turn = self.edits.lock().await;
        let user = self.find(&new.user).map_err(|error| Error::new(Kind::Invalid, error.message).at("user"))?;
        let now = self.now();
        let lasts = new.expires - now;
        if lasts <= 0 || lasts > TOKEN_90K_MAX {
            return Err(Error::new(Kind::Invalid, "must lie ahead, ten years at most").at("expires"));
        }
        let name = new.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return Err(Error::new(Kind::Invalid, "must be 1 to 64 characters that can be printed").at("name"));
        }
        if new.scope > user.role {
            let most = user.role.scope();
            return Err(Error::new(Kind::Invalid, format!("{} may not more than {most}", user.name)).at("scope"));
        }
        let said = secret::fresh("cap_")?;
        let (hash, id) = (secret::hash(&said), secret::hex(&secret::random::<8>()?));
        let token = Token { id, hash, user: new.user, name, scope: new.scope, created: now, expires: new.expires };
        let (kept, entry) = (token.clone(), self.entry(by.name(), "token_added", &token.id, None, Some(token.told())));
        self.parts
            .registry
            .write(move |connection| {
                users::add_token(connection, &kept)?;
                audit::write(connection, now, &entry).map(drop)
            })
            .await?;
        info!(self.parts.log, "token added"; "token" => &token.id, "user" => &token.user,
            "scope" => token.scope.scope(), "by" => by.name());
        let mut told = token.told();
        told["token"] = said.into();
        let mut book = self.book_mut();
        book.tokens.retain(|_, token| token.expires > now);
        book.tokens.insert(token.hash, token);
        Ok(told)
    }

    pub async fn remove_token(&self, by: &Caller, id: &str) -> Result<()> {
        self.known()?;
        let _turn = self.edits.lock().await;
        let before = self.book().tokens.values().find(|token| token.id == id).cloned();
        let (now, removed) = (self.now(), id.to_owned());
        let before = before.ok_or_else(|| Error::new(Kind::NotFound, "there is no such token"))?;
        let entry = self.entry(by.name(), "token_removed", id, Some(before.told()), None);
        self.parts
            .registry
            .write(move |connection| {
                users::remove_token(connection, &removed)?;
                audit::write(connection, now, &entry).map(drop)
            })
            .await?;
        info!(self.parts.log, "token removed"; "token" => id, "user" => &before.user, "by" => by.name());
        self.book_mut().tokens.remove(&before.hash);
        self.changed();
        Ok(())
    }

    /// All links that were ever signed end.
    pub async fn end_links(&self, by: &Caller) -> Result<()> {
        self.known()?;
        let (fresh, now) = (secret::random()?, self.now());
        let entry = self.entry(by.name(), "links_ended", "", None, None);
        let kept = self.parts.registry.write(move |connection| {
            audit::write(connection, now, &entry)?;
            users::link_secret(connection, fresh, true)
        });
        let kept = kept.await?;
        info!(self.parts.log, "all links ended"; "by" => by.name());
        self.book_mut().link_secret = kept;
        self.changed();
        Ok(())
    }

    /// A link was signed; it is itself not kept.
    pub async fn told_link(&self, by: &Caller, what: Value) -> Result<()> {
        let device = what["device"].as_str().unwrap_or_default().to_owned();
        let (now, entry) = (self.now(), self.entry(by.name(), "link_signed", device, None, Some(what)));
        info!(self.parts.log, "link signed"; "by" => by.name());
        self.parts.registry.write(move |connection| audit::write(connection, now, &entry).map(drop)).await
    }

    fn find(&self, name: &str) -> Result<Arc<User>> {
        let found = self.book().users.get(name).cloned();
        let shown = || name.chars().take(NAME_CHARS_MAX).collect::<String>();
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("there is no user {:?}", shown())))
    }
}

/// Also part of addresses and log lines.
fn check_name(name: &str) -> Result<()> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() <= NAME_CHARS_MAX && name.bytes().all(fine) {
        return Ok(());
    }
    Err(Error::new(Kind::Invalid, "must be 1 to 64 letters, digits, '.', '_', '@' or '-', a letter or digit first")
        .at("name"))
}

fn check_rights(role: Role, rights: &Rights) -> Result<()> {
    if role == Role::Admin && !rights.is_all() {
        return Err(Error::new(Kind::Invalid, "an admin sees everything: give no areas and cameras").at("role"));
    }
    if rights.areas.len() > LIST_MAX || rights.cameras.len() > LIST_MAX {
        return Err(Error::new(Kind::Invalid, format!("at most {LIST_MAX}")).at("areas"));
    }
    let is_area =
        |area: &String| !area.is_empty() && area.chars().count() <= 128 && !area.chars().any(char::is_control);
    if !rights.areas.iter().all(is_area) {
        return Err(Error::new(Kind::Invalid, "must be names of areas").at("areas"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_words() {
        let check = |name: &str, fine: bool| assert_eq!(check_name(name).is_ok(), fine, "{name}");
        check("lena", true);
        check("Lena.B_2@example-host", true);
        check("0", true);
        check(&"x".repeat(64), true);
        check(&"x".repeat(65), false);
        for bad in ["", " ", "a b", "-a", ".a", "../x", "a/b", "a\n", "é", "a\0", "a\"b"] {
            check(bad, false);
        }
    }

    #[test]
    fn an_admin_sees_everything() {
        let rights =
            |areas: &[&str]| Rights { areas: areas.iter().map(|&it| it.into()).collect(), cameras: Vec::new() };
        assert!(check_rights(Role::Admin, &rights(&[])).is_ok());
        assert!(check_rights(Role::Admin, &rights(&["Hall"])).is_err());
        assert!(check_rights(Role::Viewer, &rights(&["Hall"])).is_ok());
        assert!(check_rights(Role::Viewer, &rights(&[""])).is_err());
        let given = json!(rights(&["Hall"]));
        assert_eq!(given, json!({"areas": ["Hall"], "cameras": []}));
    }
}
