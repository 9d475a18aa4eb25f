//! `/api/users` and `/api/tokens`: admins alone.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::{
    State, fresh,
    incidents::{fields, invalid, text, unknown},
    time::any_moment,
};
use crate::{
    access::{Caller, NewToken, NewUser, UserChange},
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::DeviceId,
    registry::users::{Rights, Role},
};

const TEXT_CHARS_MAX: usize = 512;

/// `GET /api/users`
pub async fn list(state: State) -> Result<HttpResponse> {
    state.access.known()?;
    Ok(fresh(HttpResponse::Ok(), json!({"users": state.access.users()})))
}

/// `GET /api/users/{user}`
pub async fn one(state: State, name: web::Path<String>) -> Result<HttpResponse> {
    Ok(fresh(HttpResponse::Ok(), state.access.one_user(&name)?))
}

/// `POST /api/users` `{name, role, password?, areas?, cameras?}`
pub async fn add(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let body = fields(&body)?;
    let change = change(body, &["name"])?;
    let name = text("name", body.get("name").unwrap_or(&Value::Null), TEXT_CHARS_MAX)?;
    let role = change.role.ok_or_else(|| invalid("role", "is missing"))?;
    let rights = Rights { areas: change.areas.unwrap_or_default(), cameras: change.cameras.unwrap_or_default() };
    let new = NewUser { name, password: change.password, role, rights };
    Ok(fresh(HttpResponse::Ok(), state.access.add_user(&caller, new).await?))
}

/// `PATCH /api/users/{user}` `{role?, password?, areas?, cameras?}`
pub async fn edit(
    state: State,
    caller: Caller,
    name: web::Path<String>,
    body: web::Json<Value>,
) -> Result<HttpResponse> {
    let body = fields(&body)?;
    if body.is_empty() {
        return Err(Error::new(Kind::Invalid, "says nothing: role, password, areas or cameras"));
    }
    let change = change(body, &[])?;
    Ok(fresh(HttpResponse::Ok(), state.access.change_user(&caller, &name, change).await?))
}

/// `DELETE /api/users/{user}`
pub async fn remove(state: State, caller: Caller, name: web::Path<String>) -> Result<HttpResponse> {
    state.access.remove_user(&caller, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /api/tokens`
pub async fn tokens(state: State) -> Result<HttpResponse> {
    state.access.known()?;
    Ok(fresh(HttpResponse::Ok(), json!({"tokens": state.access.tokens()})))
}

/// `GET /api/tokens/{token}`
pub async fn token(state: State, id: web::Path<String>) -> Result<HttpResponse> {
    Ok(fresh(HttpResponse::Ok(), state.access.one_token(&id)?))
}

/// `POST /api/tokens` `{name, scope, expires, user?}`: of whoever asks, unless another is named.
pub async fn add_token(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let (mut name, mut user, mut scope, mut expires) = (None, None, None, None);
    for (field, value) in fields(&body)? {
        match field.as_str() {
            "name" => name = Some(text(field, value, TEXT_CHARS_MAX)?),
            "user" => user = Some(text(field, value, TEXT_CHARS_MAX)?),
            "scope" => scope = value.as_str().and_then(Role::of_scope),
            "expires" => expires = Some(moment("expires", value)?),
            other => return Err(unknown(other)),
        }
    }
    let user = match (user, caller.account()) {
        (Some(user), _) => user,
        (None, Some(own)) => own.to_owned(),
        (None, None) => return Err(invalid("user", "is missing")),
    };
    let new = NewToken {
        user,
        name: name.ok_or_else(|| invalid("name", "is missing"))?,
        scope: scope.ok_or_else(|| invalid("scope", "must be read, operate or admin"))?,
        expires: expires.ok_or_else(|| invalid("expires", "is missing"))?,
    };
    Ok(fresh(HttpResponse::Ok(), state.access.add_token(&caller, new).await?))
}

/// `DELETE /api/tokens/{token}`
pub async fn remove_token(state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    state.access.remove_token(&caller, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// RFC 3339 or seconds since 1970, as text or number.
pub(super) fn moment(name: &'static str, value: &Value) -> Result<Utc90k> {
    match value {
        Value::String(text) => any_moment(name, text),
        Value::Number(number) => any_moment(name, &number.to_string()),
        _ => Err(invalid(name, "must be RFC 3339 or seconds since 1970")),
    }
}

/// Refuses what it does not know: a typo must not give somebody all cameras.
fn change(body: &Map<String, Value>, besides: &[&str]) -> Result<UserChange> {
    let mut change = UserChange::default();
    for (name, value) in body {
        let list = || -> Option<Vec<String>> {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        match name.as_str() {
            "role" => {
                let role = value.as_str().and_then(Role::parse);
                change.role = Some(role.ok_or_else(|| invalid("role", "must be viewer, operator or admin"))?);
            }
            "password" => {
                let password = value.as_str().ok_or_else(|| invalid("password", "must be a text"))?;
                change.password = Some(password.to_owned());
            }
            "areas" => change.areas = Some(list().ok_or_else(|| invalid("areas", "must be a list of names"))?),
            "cameras" => {
                let refuse = || invalid("cameras", "must be a list of ids of cameras");
                let ids = list().ok_or_else(refuse)?;
                let ids: Option<Vec<DeviceId>> = ids.iter().map(|id| id.parse().ok()).collect();
                change.cameras = Some(ids.ok_or_else(refuse)?);
            }
            other if besides.contains(&other) => {}
            other => return Err(unknown(other)),
        }
    }
    Ok(change)
}
