//! Whether the time of day allows work, in local time, over midnight and over changes of the clock.

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

use crate::{clock::Utc90k, config::RunWindows};

/// Windows of a day in a zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    windows: RunWindows,
    zone: TimeZone,
}

impl Schedule {
    pub fn new(windows: RunWindows, zone: TimeZone) -> Self {
        Self { windows, zone }
    }

    pub fn is_open(&self, at: Utc90k) -> bool {
        self.windows.0.is_empty() || self.around(at).any(|(from, to)| from <= at && at < to)
    }

    /// When the next window begins; None while one is open.
    pub fn next_open(&self, at: Utc90k) -> Option<Utc90k> {
        if self.is_open(at) {
            return None;
        }
        self.around(at).map(|(from, _)| from).filter(|from| *from > at).min()
    }

    /// The windows that begin yesterday, today and in the two days that follow: one that the clock skips is the shorter
    /// for it, or gone, and then the next day's counts.
    fn around(&self, at: Utc90k) -> impl Iterator<Item = (Utc90k, Utc90k)> {
        let now = Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
        let today = now.to_zoned(self.zone.clone()).date();
        let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
        let days = days.into_iter().chain([today.tomorrow().and_then(Date::tomorrow).ok()]).flatten();
        days.flat_map(move |day| self.windows.0.iter().filter_map(move |(from, to)| self.window(day, *from, *to)))
    }

    fn window(&self, day: Date, from: u16, to: u16) -> Option<(Utc90k, Utc90k)> {
        let last = if to <= from { day.tomorrow().ok()? } else { day };
        Some((self.at(day, from)?, self.at(last, to)?))
    }

    /// A time that the clock skips is as much later, one that comes twice is the first of both.
    fn at(&self, day: Date, minute: u16) -> Option<Utc90k> {
        let time = Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
        let at = day.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
        Some(Utc90k::from_ms(at.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules as POSIX writes them, so that no database of zones is needed.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
    const AUCKLAND: &str = "NZST-12NZDT,M9.5.0,M4.1.0/3";
    const UTC: &str = "UTC0";

    fn at(text: &str) -> Utc90k {
        Utc90k::from_ms(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn windows_are_of_local_time() {
        let check = |windows: &str, zone: &str, now: &str, next: Option<&str>| {
            let schedule = Schedule::new(windows.parse().unwrap(), TimeZone::posix(zone).unwrap());
            assert_eq!(schedule.is_open(at(now)), next.is_none(), "{windows} {zone} {now}");
            assert_eq!(schedule.next_open(at(now)), next.map(at), "{windows} {zone} {now}");
        };
        check("", BERLIN, "2026-11-20T03:50:00Z", None);
        check("02:00-06:00", UTC, "2026-11-20T01:59:59.999Z", Some("2026-11-20T02:00:00Z"));
        check("02:00-06:00", UTC, "2026-11-20T02:00:00Z", None);
        check("02:00-06:00", UTC, "2026-11-20T06:00:00Z", Some("2026-11-21T02:00:00Z"));
        check("02:00-06:00", BERLIN, "2026-11-20T01:00:00Z", None);
        check("02:00-06:00", NEW_YORK, "2026-11-20T06:59:00Z", Some("2026-11-20T07:00:00Z"));
        // Over midnight.
        check("22:00-06:00", UTC, "2026-11-20T23:59:00Z", None);
        check("22:00-06:00", UTC, "2026-11-20T05:59:00Z", None);
        check("22:00-06:00", UTC, "2026-11-20T06:00:00Z", Some("2026-11-20T22:00:00Z"));
        check("20:00-24:00", UTC, "2026-11-20T23:59:59Z", None);
        check("20:00-24:00", UTC, "2026-11-21T00:00:00Z", Some("2026-11-21T20:00:00Z"));
        check("22:00-06:00", AUCKLAND, "2026-12-31T10:00:00Z", None);
        // Several.
        check("02:00-03:00,12:00-13:00", UTC, "2026-11-20T04:00:00Z", Some("2026-11-20T12:00:00Z"));
    }

    #[test]
    fn clocks_that_change_make_a_window_longer_or_shorter_and_lose_none() {
        let minutes = |windows: &str, from: &str| {
            let schedule = Schedule::new(windows.parse().unwrap(), TimeZone::posix(BERLIN).unwrap());
            let begin = at(from);
            (0..24 * 60).filter(|minute| schedule.is_open(begin + minute * 60 * 90_000)).count()
        };
        // 2026-03-29: 02:00 becomes 03:00; 2026-10-25: 03:00 becomes 02:00. Noon to noon, local.
        let (spring, autumn, usual) = ("2026-03-28T11:00:00Z", "2026-10-24T10:00:00Z", "2026-06-01T10:00:00Z");
        for (windows, expected) in [
            ("02:00-06:00", [180, 300, 240]),
            ("22:00-06:00", [420, 540, 480]),
            ("02:15-02:45", [30, 30, 30]),
            ("01:30-02:30", [60, 60, 60]),
            ("01:00-03:00", [60, 180, 120]),
        ] {
            let found = [spring, autumn, usual].map(|from| minutes(windows, from));
            assert_eq!(found, expected, "{windows}");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_a_time_like_any_other() {
        let schedule = Schedule::new("02:00-06:00".parse().unwrap(), TimeZone::UTC);
        assert_eq!(schedule.next_open(Utc90k::from_seconds(0)), Some(Utc90k::from_seconds(2 * 3600)));
        assert!(!schedule.is_open(Utc90k(i64::MIN / 4)));
    }
}
