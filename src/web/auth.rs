//! Signing in and out over HTTP, and who somebody is.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    web,
};
use serde_json::{Value, json};

use super::{
    State, WebState,
    client::Client,
    fresh,
    guard::COOKIE,
    incidents::{fields, invalid, unknown},
};
use crate::{
    access::{Caller, Opened},
    error::Result,
};

/// `POST /api/auth/login` `{username, password}`
pub async fn login(request: HttpRequest, state: State, body: web::Json<Value>) -> Result<HttpResponse> {
    let [name, password] = both(&body, ["username", "password"])?;
    let client = Client::of(request.head(), &state.settings.server);
    let opened = state.access.login(&name, password, client.address).await?;
    Ok(signed_in(&state, client, &opened))
}

/// `POST /api/auth/password` `{password, new_password}`
pub async fn password(
    request: HttpRequest,
    state: State,
    caller: Caller,
    body: web::Json<Value>,
) -> Result<HttpResponse> {
    let [password, new] = both(&body, ["password", "new_password"])?;
    let client = Client::of(request.head(), &state.settings.server);
    let opened = state.access.change_own_password(&caller, password, new, client.address).await?;
    Ok(signed_in(&state, client, &opened))
}

/// `POST /api/auth/logout`
pub async fn logout(request: HttpRequest, state: State, caller: Caller) -> Result<HttpResponse> {
    let ended = state.access.logout(&caller).await;
    let client = Client::of(request.head(), &state.settings.server);
    // The browser forgets it in any case: the session is over in RAM.
    let mut reply = match ended {
        Ok(()) => fresh(HttpResponse::Ok(), json!({"success": true})),
        Err(error) => actix_web::ResponseError::error_response(&error),
    };
    let gone = cookie(&state, client, "", 0);
    if reply.add_cookie(&gone).is_err() {
        return Err(crate::error::Error::new(crate::error::Kind::Internal, "a cookie cannot be written"));
    }
    Ok(reply)
}

/// `GET /api/auth/me`
pub async fn me(state: State, caller: Caller) -> HttpResponse {
    let devices = state.devices.load();
    let public = devices.iter().filter(|device| state.access.is_on() && state.access.is_public(&device.camera.area));
    let live = public.map(|device| {
        json!({
            "id": device.id,
            "name": device.camera.display_name(),
            "area": device.camera.area,
            "playlist_url": format!("/host/stream/{}/segments/output.m3u8", device.id),
        })
    });
    let mut body = json!({
        "auth": state.access.is_on(),
        "user": caller.is_known().then(|| who(&caller)),
        "live": live.collect::<Vec<_>>(),
    });
    if let Some(csrf) = caller.csrf() {
        body["csrf_token"] = csrf.into();
    }
    fresh(HttpResponse::Ok(), body)
}

/// Two texts, and nothing else.
fn both(body: &Value, names: [&str; 2]) -> Result<[String; 2]> {
    let body = fields(body)?;
    if let Some(other) = body.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(unknown(other));
    }
    let text = |name| match body.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(invalid(name, "must be a text")),
        None => Err(invalid(name, "is missing")),
    };
    Ok([text(names[0])?, text(names[1])?])
}

fn signed_in(state: &WebState, client: Client, opened: &Opened) -> HttpResponse {
    let seconds = i64::from(state.settings.auth.session_hours) * 3600;
    let body = json!({
        "success": true,
        "user": who(&opened.caller),
        "csrf_token": opened.caller.csrf(),
        "session_seconds": seconds,
    });
    let mut reply = HttpResponse::Ok();
    reply.cookie(cookie(state, client, &opened.secret, seconds));
    fresh(reply, body)
}

fn who(caller: &Caller) -> Value {
    let rights = caller.rights();
    json!({"name": caller.name(), "role": caller.role(), "areas": rights.areas, "cameras": rights.cameras})
}

fn cookie(state: &WebState, client: Client, value: &str, seconds: i64) -> Cookie<'static> {
    let public_tls = state.settings.server.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
    Cookie::build(COOKIE, value.to_owned())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(client.is_secure || public_tls)
        .max_age(Duration::seconds(seconds))
        .finish()
}
