//! What the command line of this host asks: the same with a running daemon and without one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Access, Caller, NewToken, NewUser, Result, Rights, Role, UserChange, secret};
use crate::{clock::TICKS_PER_SECOND, ids::DeviceId};

const DAY_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;

/// `capstan user …`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Without a password one is made and told.
    Add {
        name: String,
        password: Option<String>,
        role: Role,
        areas: Vec<String>,
        cameras: Vec<DeviceId>,
    },
    Passwd {
        name: String,
        password: Option<String>,
    },
    Token {
        user: String,
        name: String,
        scope: String,
        days: u16,
    },
    List,
}

impl Access {
    pub async fn command(&self, command: Command) -> Result<Value> {
        let by = Caller::local();
        match command {
            Command::Add { name, password, role, areas, cameras } => {
                self.add_user(&by, NewUser { name, password, role, rights: Rights { areas, cameras } }).await
            }
            Command::Passwd { name, password } => {
                let made = if password.is_none() { Some(secret::password()?) } else { None };
                let change = UserChange { password: password.or_else(|| made.clone()), ..UserChange::default() };
                let mut told = self.change_user(&by, &name, change).await?;
                if let Some(made) = made {
                    told["password"] = made.into();
                }
                Ok(told)
            }
            Command::Token { user, name, scope, days } => {
                let scope = Role::of_scope(&scope).ok_or_else(|| {
                    super::Error::new(super::Kind::Invalid, "must be read, operate or admin").at("scope")
                })?;
                let expires = self.now() + i64::from(days) * DAY_90K;
                self.add_token(&by, NewToken { user, name, scope, expires }).await
            }
            Command::List => {
                self.known()?;
                Ok(json!({"users": self.users(), "tokens": self.tokens()}))
            }
        }
    }
}
