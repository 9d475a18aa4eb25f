//! `/api/host/history`: the host's last day, a point for each minute since the start.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{State, fresh, time::moment};
use crate::{
    error::Result,
    supervisor::{Point, STEP},
};

#[derive(Deserialize)]
pub struct Query {
    from: Option<String>,
}

/// By columns, as charts take them: a third of the bytes of rows.
#[derive(Default, Serialize)]
struct Columns {
    step_seconds: u64,
    at: Vec<String>,
    cpu_percent: Vec<f64>,
    io_wait_percent: Vec<f64>,
    io_pressure_percent: Vec<Option<f64>>,
    written_bytes: Vec<u64>,
    media_bytes: Vec<u64>,
    writes: Vec<u64>,
    lost_seconds: Vec<f64>,
    hot_bytes: Vec<u64>,
}

/// `GET /api/host/history?from`
pub async fn history(state: State, query: web::Query<Query>) -> Result<HttpResponse> {
    let from = query.from.as_deref().map(|text| moment("from", text, state.clock.wall())).transpose()?;
    Ok(fresh(HttpResponse::Ok(), Columns::of(&state.history.points(from))))
}

impl Columns {
    fn of(points: &[Point]) -> Self {
        let mut columns = Self { step_seconds: STEP.as_secs(), ..Self::default() };
        for point in points {
            columns.at.push(point.at.rfc3339());
            columns.cpu_percent.push(point.cpu_percent);
            columns.io_wait_percent.push(point.io_wait_percent);
            columns.io_pressure_percent.push(point.io_pressure_percent);
            columns.written_bytes.push(point.sums.written_bytes);
            columns.media_bytes.push(point.sums.media_bytes);
            columns.writes.push(point.sums.writes);
            columns.lost_seconds.push(point.sums.lost_seconds);
            columns.hot_bytes.push(point.sums.hot_bytes);
        }
        columns
    }
}
