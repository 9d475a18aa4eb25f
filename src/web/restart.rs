//! `restart-video`: the last seconds as an address that stays good as long as the footage itself. Nothing is copied.

use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::Value;

use super::{State, WebDevice, WebState, fresh};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    ids::DeviceId,
    playback::clip::settled_until,
};

const TICKS_PER_MS: i64 = TICKS_PER_SECOND / 1000;
const SECONDS_MAX: f64 = 60.0;
/// Footage on the disk that is no older than this is new enough: whoever asks in a loop causes one commit in so long.
const FRESH_90K: i64 = 3 * TICKS_PER_SECOND;

#[derive(Debug, PartialEq, Serialize)]
struct Made {
    success: bool,
    video_url: String,
    /// Another for each call.
    video_id: String,
    start: String,
    end: String,
}

/// `POST /api/host/restart-video/{device}` `{"duration_seconds": 1 to 60}`
pub async fn create(state: State, device: web::Path<String>, body: web::Json<Value>) -> Result<HttpResponse> {
    let device = state.device(&device)?;
    let ticks = duration_90k(&body)?;
    let end = newest(&state, &device).await?;
    Ok(fresh(HttpResponse::Ok(), made(&device.id, end + -ticks, end)))
}

/// The end of the footage, after what waits in hot was put on the disk: picture and sound have both reached it.
pub(super) async fn newest(state: &WebState, device: &WebDevice) -> Result<Utc90k> {
    let on_disk = || device.index.snapshot().newest().cloned();
    let end = || on_disk().map(|chunk| chunk.end);
    let before = end();
    let is_new = || end().is_some_and(|end| state.clock.wall() - end <= FRESH_90K);
    let is_there = || is_new() || end() > before;
    if !is_new() && device.hot.waiting_bytes() > 0 && device.tail.bring(is_there).await.is_err() {
        // The disk does not take it now. The newest waits in hot, and the address will be good when it is taken.
        let arrived = device.hot.waiting().last().map(|segment| segment.arrived);
        return Ok(arrived.unwrap_or_else(|| state.clock.wall()));
    }
    let chunk = on_disk().ok_or_else(|| Error::new(Kind::NotFound, format!("{} has no footage yet", device.id)))?;
    Ok(settled_until(state.table(device, &chunk).await?.as_ref()))
}

fn made(device: &DeviceId, start: Utc90k, end: Utc90k) -> Made {
    /// With the moment it makes a name that no other call has had, over restarts too.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    // Down to the millisecond that the address tells: rounded up, it would be beyond what there is.
    let [start, end] = [start, end].map(|at| Utc90k(at.0 - at.0.rem_euclid(TICKS_PER_MS)).rfc3339());
    Made {
        success: true,
        video_url: format!("/api/host/clip/{device}.mp4?start={start}&end={end}"),
        video_id: format!("{device}-{}-{}", end.replace([':', '.', '-'], ""), CALLS.fetch_add(1, Ordering::Relaxed)),
        start,
        end,
    }
}

fn duration_90k(body: &Value) -> Result<i64> {
    let refuse = |why: &str| Error::new(Kind::Invalid, why).at("duration_seconds");
    let asked = body.get("duration_seconds").ok_or_else(|| refuse("is missing"))?;
    let seconds = asked.as_f64().filter(|seconds| (1.0..=SECONDS_MAX).contains(seconds));
    let seconds = seconds.ok_or_else(|| refuse("must be a number from 1 to 60"))?;
    Ok((seconds * TICKS_PER_SECOND as f64) as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_one_to_sixty_seconds() {
        let check = |body: Value, expected: Option<i64>| {
            let found = duration_90k(&body);
            assert_eq!(found.as_ref().ok().copied(), expected, "{body}");
            if let Err(error) = found {
                assert_eq!((error.kind, error.path.as_deref()), (Kind::Invalid, Some("duration_seconds")));
            }
        };
        check(json!({"duration_seconds": 1}), Some(90_000));
        check(json!({"duration_seconds": 2.5}), Some(225_000));
        check(json!({"duration_seconds": 60, "other": true}), Some(5_400_000));
        for bad in [json!(0.9), json!(0), json!(-5), json!(60.1), json!(1e300), json!("10"), json!(null), json!([1])] {
            check(json!({"duration_seconds": bad}), None);
        }
        for body in [json!({}), json!([]), json!(10), json!(null)] {
            check(body, None);
        }
    }

    #[test]
    fn times_are_absolute_and_ids_unique() {
        let device = "cam".parse().unwrap();
        let end = Utc90k::from_ms(1_700_000_000_125);
        let one = made(&device, end + -900_000, end);
        let expected = "/api/host/clip/cam.mp4?start=2023-11-14T22:13:10.125Z&end=2023-11-14T22:13:20.125Z";
        assert_eq!(one.video_url, expected);
        assert_ne!(one.video_id, made(&device, end + -900_000, end).video_id);
    }
}
