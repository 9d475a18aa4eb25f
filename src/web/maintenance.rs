//! `/api/host/maintenance/{device}`: somebody works on it, so that nobody is told what its picture shows meanwhile.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::Value;

use super::{
    State, WebState, fresh,
    incidents::{fields, invalid, text, unknown},
    time::any_moment,
};
use crate::{
    access::Caller,
    clock::{TICKS_PER_SECOND, Utc90k},
    error::Result,
    ids::DeviceId,
};

/// A month: what is longer was forgotten.
const LONGEST_90K: i64 = 31 * 24 * 3600 * TICKS_PER_SECOND;
const WHY_CHARS_MAX: usize = 500;

#[derive(Serialize)]
struct Body<'a> {
    device: &'a DeviceId,
    active: bool,
    from: Option<String>,
    until: Option<String>,
    why: Option<String>,
}

/// `GET`
pub async fn show(state: State, device: web::Path<String>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    told(&state, &device.id)
}

/// `PUT` `{until, why?}`: from now on, or on with another end.
pub async fn begin(
    state: State,
    caller: Caller,
    device: web::Path<String>,
    body: web::Json<Value>,
) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let (until, why) = asked(&body, state.clock.wall())?;
    state.registry.maintain(device.id.clone(), until, why, caller.name()).await?;
    told(&state, &device.id)
}

/// `DELETE`: also when there was none.
pub async fn end(state: State, device: web::Path<String>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    state.registry.end_maintenance(device.id.clone()).await?;
    told(&state, &device.id)
}

fn told(state: &WebState, device: &DeviceId) -> Result<HttpResponse> {
    let all = state.registry.maintenance()?;
    let now = all.of(device, state.clock.wall());
    let body = Body {
        device,
        active: now.is_some(),
        from: now.map(|it| it.from.rfc3339()),
        until: now.map(|it| it.until.rfc3339()),
        why: now.map(|it| it.why.clone()),
    };
    Ok(fresh(HttpResponse::Ok(), body))
}

fn asked(body: &Value, now: Utc90k) -> Result<(Utc90k, String)> {
    let (mut until, mut why) = (None, String::new());
    for (name, value) in fields(body)? {
        match (name.as_str(), value) {
            ("until", Value::String(text)) => until = Some(any_moment("until", text)?),
            ("until", Value::Number(number)) => until = Some(any_moment("until", &number.to_string())?),
            ("until", _) => return Err(invalid("until", "must be RFC 3339 or seconds since 1970")),
            ("why", value) => why = text("why", value, WHY_CHARS_MAX)?,
            (other, _) => return Err(unknown(other)),
        }
    }
    let until = until.ok_or_else(|| invalid("until", "is missing"))?;
    if until <= now {
        return Err(invalid("until", "must be in the future"));
    }
    if until - now > LONGEST_90K {
        return Err(invalid("until", "must be within 31 days"));
    }
    Ok((until, why))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_ends_within_a_month() {
        let now = Utc90k::from_seconds(1_700_000_000);
        let check = |body: Value, expected: std::result::Result<i64, Option<&str>>| {
            let found =
                asked(&body, now).map(|(until, _)| (until - now) / TICKS_PER_SECOND).map_err(|error| error.path);
            assert_eq!(found, expected.map_err(|path| path.map(str::to_owned)), "{body}");
        };
        check(json!({"until": 1_700_000_060}), Ok(60));
        check(json!({"until": 1_700_000_060.5, "why": "new lens"}), Ok(60));
        check(json!({"until": "1700000060"}), Ok(60));
        check(json!({"until": "2023-11-14T23:13:20Z"}), Ok(3600));
        check(json!({"until": 1_700_000_000 + 31 * 86_400}), Ok(31 * 86_400));
        for bad in
            [json!(1_700_000_000), json!(0), json!(-5), json!(1e300), json!(1_702_678_401), json!("soon"), json!(null)]
        {
            check(json!({"until": bad}), Err(Some("until")));
        }
        check(json!({}), Err(Some("until")));
        check(json!({"until": 1_700_000_060, "why": "x".repeat(501)}), Err(Some("why")));
        check(json!({"until": 1_700_000_060, "why": 5}), Err(Some("why")));
        check(json!({"until": 1_700_000_060, "for": "ever"}), Err(Some("for")));
        check(json!([]), Err(None));
    }
}
