//! Strips of the worst state of every device over many minutes: incidents and what there is of footage.

use actix_web::{HttpResponse, http::header, web};
use serde::{Deserialize, Serialize};

use super::{
    State,
    heatmap::{each_incident, run},
    time::{Asked, Span},
};
use crate::{
    access::Caller,
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    incident::IncidentKind,
    playback::heatmap::{Cell, Columns, Strip},
};

const DAY_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;
/// As long as a timeline; the ring is shorter.
const STRIP_MAX_90K: i64 = 31 * DAY_90K;
/// Columns of one strip: the minutes of a day, and one more for a span that begins within a minute.
const COLUMNS_MAX: usize = 1441;
/// Without `step`, the first of these that makes few enough columns.
const STEPS: [u32; 7] = [60, 120, 300, 600, 900, 1800, 3600];
const STEP_MAX: u32 = 86_400;

#[derive(Debug, Deserialize)]
pub struct Query {
    from: Option<String>,
    to: Option<String>,
    duration: Option<String>,
    step: Option<String>,
}

#[derive(Serialize)]
struct Strips<'a> {
    from: String,
    to: String,
    step_seconds: u32,
    incidents_complete: bool,
    minutes: Vec<String>,
    devices: Vec<OneStrip<'a>>,
}

#[derive(Serialize)]
struct OneStrip<'a> {
    device_id: &'a str,
    device_name: &'a str,
    states: String,
}

/// `GET /api/host/heatmap?from&to&step`
pub async fn strip(state: State, caller: Caller, query: web::Query<Query>) -> Result<HttpResponse> {
    let now = state.clock.wall();
    let asked = Asked {
        start: ("from", query.from.as_deref()),
        end: ("to", query.to.as_deref()),
        duration: query.duration.as_deref(),
    };
    let span = asked.span(now, |to| Utc90k((to.0 - DAY_90K).max(0)), now)?;
    if span.to - span.from > STRIP_MAX_90K {
        return Err(Error::new(Kind::Invalid, "at most 31 days at once").at("to"));
    }
    let step = step_of(query.step.as_deref(), span)?;
    let columns = Columns::of(span.from, span.to, step);
    let devices = state.seen(&caller);
    let mut strips: Vec<_> = devices.iter().map(|_| Strip::new(columns)).collect();
    let all = Span { from: columns.first, to: columns.end() };
    let is_known = each_incident(&state, all, |incident| {
        let place = devices.iter().position(|device| device.id == incident.device);
        if let Some(strip) = place.and_then(|place| strips.get_mut(place)) {
            let end = incident.end.unwrap_or(now.max(incident.start));
            strip.mark(incident.start, end, cell(incident.kind));
        }
    })
    .await;
    let body = move || {
        for (device, strip) in devices.iter().zip(&mut strips) {
            let waiting = device.hot.waiting();
            let snapshot = device.index.snapshot();
            snapshot.around(all.from, all.to).iter().for_each(|chunk| strip.covered(chunk));
            for segment in &waiting {
                strip.mark(segment.arrived + -segment.duration_90k, segment.arrived, Cell::Ok);
            }
        }
        let told = Strips {
            from: all.from.rfc3339(),
            to: all.to.rfc3339(),
            step_seconds: step,
            incidents_complete: is_known,
            minutes: columns.starts().map(Utc90k::rfc3339).collect(),
            devices: devices
                .iter()
                .zip(&strips)
                .map(|(device, strip)| OneStrip {
                    device_id: device.id.as_str(),
                    device_name: device.camera.display_name(),
                    states: strip.text(is_known),
                })
                .collect(),
        };
        serde_json::to_vec(&told).map_err(|error| Error::new(Kind::Internal, error.to_string()))
    };
    // There: 64 devices and a day are 130 KB.
    let body = run(&state, body).await?;
    let mut reply = HttpResponse::Ok();
    reply.content_type("application/json").insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(reply.body(body))
}

fn cell(kind: IncidentKind) -> Cell {
    match kind {
        IncidentKind::Blackscreen => Cell::Black,
        IncidentKind::Freeze => Cell::Freeze,
        IncidentKind::Silence => Cell::Silence,
        IncidentKind::SignalLost => Cell::SignalLost,
    }
}

fn step_of(text: Option<&str>, span: Span) -> Result<u32> {
    let columns = |step: u32| Columns::of(span.from, span.to, step).count;
    let Some(text) = text else {
        let step = STEPS.into_iter().find(|step| columns(*step) <= COLUMNS_MAX);
        return Ok(step.unwrap_or(STEP_MAX));
    };
    let refuse = |why: String| Error::new(Kind::Invalid, why).at("step");
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let step = text.parse().ok().filter(|step| digits && (60..=STEP_MAX).contains(step));
    let step = step.ok_or_else(|| refuse(format!("must be 60 to {STEP_MAX} seconds")))?;
    if columns(step) > COLUMNS_MAX {
        return Err(refuse(format!("makes more than {COLUMNS_MAX} columns of that span")));
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_make_few_columns_and_bad_ones_are_named() {
        let check = |minutes: i64, step: Option<&str>, expected: std::result::Result<u32, &str>| {
            const MINUTE_90K: i64 = 60 * TICKS_PER_SECOND;
            let span = Span { from: Utc90k(MINUTE_90K), to: Utc90k((minutes + 1) * MINUTE_90K) };
            let found = step_of(step, span).map_err(|error| error.path.unwrap());
            assert_eq!(found, expected.map_err(str::to_owned), "{minutes} {step:?}");
        };
        check(1, None, Ok(60));
        check(1440, None, Ok(60));
        check(2880, None, Ok(120));
        check(31 * 1440, None, Ok(3600));
        check(1440, Some("60"), Ok(60));
        check(1440, Some("90"), Ok(90));
        check(1500, Some("60"), Err("step"));
        check(31 * 1440, Some("86400"), Ok(86_400));
        for bad in ["59", "0", "-60", "+60", "86401", "", "x", "60.5", "1e400", "99999999999999999999"] {
            check(1440, Some(bad), Err("step"));
        }
    }
}
