//! How long the disks last at the measured rate.

use serde::Serialize;

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    storage::index::Chunks,
};

const DAY: f64 = 86_400.0;
/// The rate is measured over so much of the past at most.
pub const MEASURED_90K: i64 = 86_400 * TICKS_PER_SECOND;
/// Less says nothing about a day.
const MEASURED_MIN_90K: i64 = 600 * TICKS_PER_SECOND;

/// One volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side {
    /// Footage on it.
    pub have_bytes: u64,
    /// What may be added before something has to go.
    pub room_bytes: u64,
    /// How many seconds of footage it shall hold.
    pub wanted_seconds: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Forecast {
    pub bytes_per_day: u64,
    /// Until the oldest has to go before its time; None when it never has to.
    pub days_until_full: Option<f64>,
    /// Days of footage that fit, on the volume that holds the fewest for what it shall hold.
    pub holds_days: f64,
    pub wanted_days: f64,
}

/// None while too little was recorded to tell.
pub fn forecast(bytes_per_second: f64, sides: &[Side]) -> Option<Forecast> {
    if bytes_per_second <= 0.0 {
        return None;
    }
    let of = |side: &Side| {
        let holds = (side.have_bytes as f64 + side.room_bytes as f64) / bytes_per_second;
        let until = (holds < side.wanted_seconds).then(|| side.room_bytes as f64 / bytes_per_second / DAY);
        Forecast {
            bytes_per_day: (bytes_per_second * DAY) as u64,
            days_until_full: until,
            holds_days: holds / DAY,
            wanted_days: side.wanted_seconds / DAY,
        }
    };
    // The scarcest decides.
    let share = |it: &Forecast| it.holds_days / it.wanted_days.max(f64::MIN_POSITIVE);
    sides.iter().map(of).min_by(|a, b| share(a).total_cmp(&share(b)))
}

/// Bytes a second of what one device recorded lately; 0 when that is too little to tell.
pub fn bytes_per_second(chunks: &Chunks, now: Utc90k) -> f64 {
    let from = now + -MEASURED_90K;
    let lately = chunks.around(from, now).iter().filter(|chunk| chunk.end > from);
    let (mut bytes, mut first) = (0_u64, now);
    for chunk in lately {
        bytes += chunk.bytes;
        first = first.min(chunk.start.max(from));
    }
    let span = now - first;
    if span < MEASURED_MIN_90K { 0.0 } else { bytes as f64 * TICKS_PER_SECOND as f64 / span as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    #[test]
    fn the_scarcest_volume_tells_how_long_it_lasts() {
        let side = |have, room, days: f64| Side { have_bytes: have, room_bytes: room, wanted_seconds: days * DAY };
        // 10 GB a day.
        let rate = 10e9 / DAY;
        let check = |sides: &[Side], until: Option<f64>, holds: f64| {
            let told = forecast(rate, sides).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
            assert!(near(told.holds_days, holds), "{told:?}");
            assert_eq!(told.days_until_full.is_some(), until.is_some(), "{told:?}");
            assert!(near(told.days_until_full.unwrap_or(0.0), until.unwrap_or(0.0)), "{told:?}");
        };
        check(&[side(5 * GB, 6 * GB, 1.0)], None, 1.1);
        check(&[side(5 * GB, 95 * GB, 31.0)], Some(9.5), 10.0);
        check(&[side(300 * GB, 0, 31.0)], Some(0.0), 30.0);
        check(&[side(5 * GB, 20 * GB, 1.0), side(0, 100 * GB, 30.0)], Some(10.0), 10.0);
        assert_eq!(forecast(0.0, &[side(0, 0, 1.0)]), None);
    }
}
