//! Hours and minutes in paths: `{h}` is the latest UTC hour of that number that has begun, or with `?date=` that of the
//! day; `{HHMM}` likewise.

use jiff::{civil::Date, tz::TimeZone};
use serde::Deserialize;

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    storage::layout::parse_hour,
};

const HOUR_90K: i64 = 3600 * TICKS_PER_SECOND;
const MINUTE_90K: i64 = 60 * TICKS_PER_SECOND;
const DAY_90K: i64 = 24 * HOUR_90K;

#[derive(Clone, Debug, Default, Deserialize)]
pub struct OfDay {
    /// `YYYY-MM-DD`, UTC.
    pub date: Option<String>,
}

/// One UTC hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    /// 0–23.
    pub number: u8,
    pub from: Utc90k,
    pub to: Utc90k,
}

impl Hour {
    /// Errors name `hour` or `date`.
    pub fn parse(hour: &str, day: &OfDay, now: Utc90k) -> Result<Self> {
        let number = parse_hour(hour).ok_or_else(|| Error::new(Kind::Invalid, "an hour is 0 to 23").at("hour"))?;
        let from = of_day(i64::from(number) * HOUR_90K, day, now)?;
        Ok(Self { number, from, to: from + HOUR_90K })
    }
}

/// One UTC minute, `{HHMM}` in paths: likewise the latest of that name that has begun, or that of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    pub from: Utc90k,
    pub to: Utc90k,
}

impl Minute {
    /// Errors name `minute` or `date`.
    pub fn parse(name: &str, day: &OfDay, now: Utc90k) -> Result<Self> {
        let within_day = minute_of_day(name)
            .ok_or_else(|| Error::new(Kind::Invalid, "a minute is 0000 to 2359").at("minute"))?
            .saturating_mul(MINUTE_90K);
        let from = of_day(within_day, day, now)?;
        Ok(Self { from, to: from + MINUTE_90K })
    }
}

fn minute_of_day(name: &str) -> Option<i64> {
    if name.len() != 4 || !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = name.parse().ok()?;
    let (hour, minute) = (number / 100, number % 100);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// That time of the day that is asked for, or of the latest day on which it has begun.
fn of_day(within_day_90k: i64, day: &OfDay, now: Utc90k) -> Result<Utc90k> {
    if let Some(date) = &day.date {
        return Ok(start_of(date)? + within_day_90k);
    }
    let today = now + -now.0.rem_euclid(DAY_90K) + within_day_90k;
    Ok(if today > now { today + -DAY_90K } else { today })
}

/// Midnight of a day.
fn start_of(date: &str) -> Result<Utc90k> {
    let refuse = || Error::new(Kind::Invalid, "a date is YYYY-MM-DD").at("date");
    let day: Date = date.parse().ok().filter(|_| date.len() == "YYYY-MM-DD".len()).ok_or_else(refuse)?;
    let midnight = day.to_zoned(TimeZone::UTC).map_err(|_| refuse())?;
    Ok(Utc90k::from_ms(midnight.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_that_has_begun_or_that_of_a_day() {
        // 2023-11-14T22:13:20Z
        let now = Utc90k::from_seconds(1_700_000_000);
        let check = |hour: &str, date: Option<&str>, expected: Result<&str, &str>| {
            let found = Hour::parse(hour, &OfDay { date: date.map(str::to_owned) }, now);
            let found = found.map(|hour| {
                assert_eq!(hour.to - hour.from, HOUR_90K);
                hour.from.rfc3339()
            });
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(found.map_err(|error| error.path.unwrap()), expected, "{hour} {date:?}");
        };
        check("22", None, Ok("2023-11-14T22:00:00.000Z"));
        check("0", None, Ok("2023-11-14T00:00:00.000Z"));
        check("23", None, Ok("2023-11-13T23:00:00.000Z"));
        check("23", Some("2023-11-14"), Ok("2023-11-14T23:00:00.000Z"));
        check("7", Some("2020-02-29"), Ok("2020-02-29T07:00:00.000Z"));
        for hour in ["24", "-1", "07", "", "x", "1.5", "99999999999999999999"] {
            check(hour, None, Err("hour"));
        }
        for date in ["", "today", "2023-02-29", "2023-11-14T00", "20231114", "99999-01-01"] {
            check("7", Some(date), Err("date"));
        }
    }

    #[test]
    fn minutes_likewise() {
        // 2023-11-14T22:13:20Z
        let now = Utc90k::from_seconds(1_700_000_000);
        let check = |name: &str, date: Option<&str>, expected: Result<&str, &str>| {
            let found = Minute::parse(name, &OfDay { date: date.map(str::to_owned) }, now);
            let found = found.map(|minute| {
                assert_eq!(minute.to - minute.from, MINUTE_90K);
                minute.from.rfc3339()
            });
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(found.map_err(|error| error.path.unwrap()), expected, "{name} {date:?}");
        };
        check("2213", None, Ok("2023-11-14T22:13:00.000Z"));
        check("2214", None, Ok("2023-11-13T22:14:00.000Z"));
        check("0000", None, Ok("2023-11-14T00:00:00.000Z"));
        check("2359", Some("2020-02-29"), Ok("2020-02-29T23:59:00.000Z"));
        for name in ["2460", "2400", "2360", "99", "", "12345", "12:3", "-100", "+100", "abcd", "٠١٢٣", "2213_ok"] {
            check(name, None, Err("minute"));
        }
        check("2213", Some("yesterday"), Err("date"));
    }
}
