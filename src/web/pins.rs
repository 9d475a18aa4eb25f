//! `/api/host/pins`: ranges of footage that must stay, and the same for the command line.

use actix_web::{HttpResponse, http::header, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    State, WebState,
    control::Request,
    fresh,
    incidents::{fields, invalid, text, unknown},
    time::{any_moment, moment},
};
use crate::{
    access::Caller,
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    registry::{Registry, pins::Wish},
    storage::{Pin, Volume, inventory::devices},
};

/// One pin: a month. Who wants more footage to stay sets a longer retention.
const SPAN_MAX_90K: i64 = 31 * 24 * 3600 * TICKS_PER_SECOND;
/// Until when it may hold: ten years. Without an end it holds for ever.
const UNTIL_MAX_90K: i64 = 3653 * 24 * 3600 * TICKS_PER_SECOND;
const WHY_CHARS_MAX: usize = 500;

/// A pin as replies tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldPin {
    pub id: i64,
    pub device: DeviceId,
    pub start: String,
    pub end: String,
    pub until: Option<String>,
    pub original: bool,
    pub why: String,
    pub by: String,
    pub created: String,
    /// False once it has ended.
    pub active: bool,
}

impl ToldPin {
    fn of(pin: &Pin, now: Utc90k) -> Self {
        Self {
            id: pin.id,
            device: pin.device.clone(),
            start: pin.start.rfc3339(),
            end: pin.end.rfc3339(),
            until: pin.until.map(Utc90k::rfc3339),
            original: pin.original,
            why: pin.why.clone(),
            by: pin.by.clone(),
            created: pin.created.rfc3339(),
            active: pin.is_in_force(now),
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct Query {
    device: Option<String>,
}

/// `GET /api/host/pins?device=`
pub async fn list(state: State, caller: Caller, query: web::Query<Query>) -> Result<HttpResponse> {
    let parse = |text: &str| text.parse::<DeviceId>().map_err(|_| invalid("device", "is no name of a device"));
    let device = query.device.as_deref().map(parse).transpose()?;
    let mut pins = told(&state.registry, device.as_ref(), state.clock.wall())?;
    pins.retain(|pin| state.sees(&caller, &pin.device));
    Ok(fresh(HttpResponse::Ok(), json!({"pins": pins})))
}

/// `POST /api/host/pins` `{device, start, end, until?, why, original?}`
pub async fn pin(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let now = state.clock.wall();
    let wish = asked(&body, now)?;
    if !state.sees(&caller, &wish.device) {
        return Err(Error::new(Kind::Forbidden, "not for you to pin"));
    }
    if state.device(wish.device.as_str()).is_err() {
        // No camera of that name now; there may be footage of one.
        let volume = state.volume.clone();
        let known = state.readers.run(move || devices(&volume)).await;
        let known = known.map_err(|busy| Error::new(Kind::Unavailable, busy.to_string()))??;
        must_be_among(&known, &wish.device)?;
    }
    let pin = state.registry.pin(wish, caller.name()).await?;
    let mut reply = HttpResponse::Created();
    reply.insert_header((header::LOCATION, format!("/api/host/pins/{}", pin.id)));
    Ok(fresh(reply, ToldPin::of(&pin, now)))
}

/// `GET /api/host/pins/{id}`
pub async fn one(state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    Ok(fresh(HttpResponse::Ok(), find(&state, &caller, number(&id)?)?))
}

/// `DELETE /api/host/pins/{id}`: the range may go like any other.
pub async fn unpin(state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    let id = find(&state, &caller, number(&id)?)?.id;
    match state.registry.unpin(id, caller.name()).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(missing()),
    }
}

/// What a command about pins answers; None for all other commands. Waits for the database.
pub fn answer(
    registry: &Registry,
    volume: &Volume,
    now: Utc90k,
    is_camera: &dyn Fn(&DeviceId) -> bool,
    request: &Request,
) -> Option<Result<Value>> {
    let wait = |work: std::pin::Pin<Box<dyn Future<Output = Result<Value>> + '_>>| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.map_err(|error| Error::io("waiting for the database", "", error))?.block_on(work)
    };
    Some(match request {
        Request::Pins { device } => told(registry, device.as_ref(), now).map(|pins| json!(pins)),
        Request::Unpin { id } => wait(Box::pin(async {
            match registry.unpin(*id, Caller::local().name()).await? {
                true => Ok(Value::Null),
                false => Err(missing()),
            }
        })),
        Request::Pin { wish } => wait(Box::pin(async {
            let wish = asked(wish, now)?;
            if !is_camera(&wish.device) {
                must_be_among(&devices(volume)?, &wish.device)?;
            }
            Ok(json!(ToldPin::of(&registry.pin(wish, Caller::local().name()).await?, now)))
        })),
        _ => return None,
    })
}

impl WebState {
    /// For the command line.
    pub(super) fn answer_of_pins(&self, request: &Request) -> Option<Result<Value>> {
        let is_camera = |device: &DeviceId| self.device(device.as_str()).is_ok();
        answer(&self.registry, &self.volume, self.clock.wall(), &is_camera, request)
    }
}

fn told(registry: &Registry, device: Option<&DeviceId>, now: Utc90k) -> Result<Vec<ToldPin>> {
    let pins = registry.pins().ok_or_else(|| Error::new(Kind::Unavailable, "the database is being opened"))?;
    let wanted = pins.list().iter().filter(|pin| device.is_none_or(|device| pin.device == *device));
    Ok(wanted.map(|pin| ToldPin::of(pin, now)).collect())
}

/// Of a device that the caller may see.
fn find(state: &WebState, caller: &Caller, id: i64) -> Result<ToldPin> {
    let pins = told(&state.registry, None, state.clock.wall())?;
    let pin = pins.into_iter().find(|pin| pin.id == id && state.sees(caller, &pin.device));
    pin.ok_or_else(missing)
}

fn must_be_among(known: &[DeviceId], device: &DeviceId) -> Result<()> {
    if known.contains(device) {
        return Ok(());
    }
    Err(Error::new(Kind::NotFound, format!("there is no device {device}, and no footage of one")))
}

fn number(id: &str) -> Result<i64> {
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| digits).ok_or_else(missing)
}

fn missing() -> Error {
    Error::new(Kind::NotFound, "there is no such pin, or no more")
}

fn asked(body: &Value, now: Utc90k) -> Result<Wish> {
    let (mut device, mut start, mut end, mut until, mut why, mut original) = (None, None, None, None, None, false);
    for (name, value) in fields(body)? {
        match name.as_str() {
            "device" => {
                let id = value.as_str().and_then(|text| text.parse::<DeviceId>().ok());
                device = Some(id.ok_or_else(|| invalid(name, "is no name of a device"))?);
            }
            "start" => start = Some(moment("start", &time("start", value)?, now)?),
            "end" => end = Some(moment("end", &time("end", value)?, now)?),
            "until" if value.is_null() => {}
            "until" => until = Some(any_moment("until", &time("until", value)?)?),
            "why" => why = Some(text("why", value, WHY_CHARS_MAX)?),
            "original" => original = value.as_bool().ok_or_else(|| invalid(name, "must be true or false"))?,
            other => return Err(unknown(other)),
        }
    }
    let lacks = |name: &'static str| move || invalid(name, "is missing");
    let device = device.ok_or_else(lacks("device"))?;
    let (start, end) = (start.ok_or_else(lacks("start"))?, end.ok_or_else(lacks("end"))?);
    let why = why.filter(|why| !why.trim().is_empty()).ok_or_else(lacks("why"))?;
    if start >= end {
        return Err(invalid("end", "must be after start"));
    }
    if end - start > SPAN_MAX_90K {
        return Err(invalid("end", "must be within 31 days of start"));
    }
    if let Some(until) = until {
        if until <= now {
            return Err(invalid("until", "must be in the future"));
        }
        if until - now > UNTIL_MAX_90K {
            return Err(invalid("until", "must be within ten years; without it the pin holds for ever"));
        }
    }
    Ok(Wish { device, start, end, until, original, why })
}

fn time(name: &str, value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(invalid(name, "must be RFC 3339 or seconds since 1970")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_ranges_are_refused_by_the_name_of_the_field() {
        let now = Utc90k::from_seconds(1_700_000_000);
        let check = |change: &[(&str, Value)], expected: std::result::Result<(i64, i64), &str>| {
            let mut body = json!({"device": "cam", "start": 1_699_990_000, "end": 1_699_990_060, "why": "theft"});
            for (name, value) in change {
                body[*name] = value.clone();
            }
            body.as_object_mut().unwrap().retain(|_, value| *value != json!("absent"));
            let found = asked(&body, now).map(|wish| (wish.start.as_seconds(), wish.end.as_seconds()));
            assert_eq!(found.map_err(|error| error.path.unwrap()), expected.map_err(str::to_owned), "{body}");
        };
        let good = Ok((1_699_990_000, 1_699_990_060));
        check(&[], good);
        check(&[("start", json!("2023-11-14T19:26:40Z")), ("end", json!("1699990060"))], good);
        check(&[("until", json!(1_700_000_001)), ("original", json!(true))], good);
        check(&[("until", Value::Null)], good);
        check(&[("end", json!(1_699_990_000 + 31 * 86_400))], Err("end"));
        check(&[("start", json!(1_699_990_060 - 31 * 86_400))], Ok((1_699_990_060 - 31 * 86_400, 1_699_990_060)));
        check(&[("start", json!(1_699_990_059 - 31 * 86_400))], Err("end"));
        for name in ["device", "start", "end", "why"] {
            check(&[(name, json!("absent"))], Err(name));
            check(&[(name, json!([]))], Err(name));
            check(&[(name, json!(""))], Err(name));
        }
        for bad in [1_699_989_000, 1_699_990_000, 1_700_086_401, 9_999_999_999_i64, -5] {
            check(&[("end", json!(bad))], Err("end"));
        }
        for bad in [json!(1_700_000_000), json!(5), json!("soon"), json!(1e300), json!(2_100_000_000), json!(true)] {
            check(&[("until", bad)], Err("until"));
        }
        check(&[("why", json!("x".repeat(500)))], good);
        check(&[("why", json!("x".repeat(501)))], Err("why"));
        check(&[("why", json!(" "))], Err("why"));
        check(&[("why", json!("a\u{7}b"))], Err("why"));
        check(&[("device", json!("../x"))], Err("device"));
        check(&[("original", json!(1))], Err("original"));
        check(&[("by", json!("me"))], Err("by"));
        assert!(asked(&json!([]), now).is_err());
    }
}
