//! Times in queries: RFC 3339 or epoch seconds, and spans of them. Whatever is wrong is told with the parameter's name.

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
};

/// Further ahead of our clock a time is a mistake, not a clock that runs ahead of ours.
const AHEAD_90K: i64 = 24 * 3600 * TICKS_PER_SECOND;
/// Whole seconds and fractions of at most 12 digits: enough for any time, too few to overflow.
const DIGITS: usize = 12;

/// A stretch of time; never empty, never reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Utc90k,
    pub to: Utc90k,
}

/// What a query may say of a span, with the names it uses for both ends.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub start: (&'static str, Option<&'a str>),
    pub end: (&'static str, Option<&'a str>),
    /// Seconds; instead of the end, or with it alone instead of the start.
    pub duration: Option<&'a str>,
}

impl Asked<'_> {
    /// None where the query leaves an end open: that the caller decides. Given ends are in order.
    pub fn ends(&self, now: Utc90k) -> Result<(Option<Utc90k>, Option<Utc90k>)> {
        let end_of = |(name, text): (&'static str, Option<&str>)| text.map(|text| moment(name, text, now)).transpose();
        let (start, end) = (end_of(self.start)?, end_of(self.end)?);
        let duration = self.duration.map(|text| seconds("duration", text)).transpose()?;
        let (start, end) = match (start, end, duration) {
            (Some(_), Some(_), Some(_)) => return Err(invalid("duration", "either an end or a duration, not both")),
            (Some(start), None, Some(duration)) => (Some(start), Some(within("duration", start + duration, now)?)),
            (None, Some(end), Some(duration)) => (Some(within("duration", end + -duration, now)?), Some(end)),
            (None, None, Some(_)) => return Err(invalid(self.start.0, "a duration needs a start or an end")),
            (start, end, None) => (start, end),
        };
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            return Err(invalid(self.end.0, format!("must be after {}", self.start.0)));
        }
        Ok((start, end))
    }

    /// Like [`Self::ends`] with what an open end stands for; both are asked only when needed.
    pub fn span(&self, now: Utc90k, open_start: impl FnOnce(Utc90k) -> Utc90k, open_end: Utc90k) -> Result<Span> {
        let (start, end) = self.ends(now)?;
        let to = end.unwrap_or(open_end);
        let from = start.unwrap_or_else(|| open_start(to));
        if from >= to {
            return Err(invalid(self.start.0, "there is nothing yet after it"));
        }
        Ok(Span { from, to })
    }
}

/// `2026-11-20T03:50:00.125Z`, with any offset, or seconds since 1970 with fractions: `1795146600.125`. Rounded to the
/// nearest tick.
pub fn moment(name: &'static str, text: &str, now: Utc90k) -> Result<Utc90k> {
    within(name, any_moment(name, text)?, now)
}

/// The same for what may lie far ahead.
pub fn any_moment(name: &'static str, text: &str) -> Result<Utc90k> {
    let form = || invalid(name, "must be RFC 3339 like 2026-11-20T03:50:00Z, or seconds since 1970");
    if text.len() > 64 {
        return Err(form());
    }
    match decimal(text) {
        Some(ticks) => Ok(Utc90k(ticks)),
        None => rfc3339(text).ok_or_else(form),
    }
}

/// Seconds with fractions, as 90 kHz ticks; more than nothing.
pub fn seconds(name: &'static str, text: &str) -> Result<i64> {
    let ticks = decimal(text).ok_or_else(|| invalid(name, "must be seconds like 90 or 2.5"))?;
    if ticks <= 0 {
        return Err(invalid(name, "must be more than 0 seconds"));
    }
    Ok(ticks)
}

fn within(name: &str, at: Utc90k, now: Utc90k) -> Result<Utc90k> {
    if at < Utc90k(0) {
        return Err(invalid(name, "reaches back before 1970"));
    }
    if at > now + AHEAD_90K {
        return Err(invalid(name, "reaches into the future"));
    }
    Ok(at)
}

fn invalid(name: &str, message: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, message).at(name)
}

fn rfc3339(text: &str) -> Option<Utc90k> {
    // A date alone, or a time without offset, is a time in an unknown zone: jiff refuses both.
    let mut text = text.to_owned();
    // In a query `+` means a space, and few clients escape the one of an offset.
    if let Some(at) = text.len().checked_sub("+01:00".len())
        && text.as_bytes().get(at) == Some(&b' ')
    {
        text.replace_range(at..=at, "+");
    }
    let stamp: jiff::Timestamp = text.parse().ok()?;
    let ticks = (stamp.as_nanosecond() * 9 + 50_000).div_euclid(100_000);
    i64::try_from(ticks).ok().map(Utc90k)
}

/// `digits[.digits]` seconds as ticks; no sign, no exponent, no names of numbers.
fn decimal(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let number = |text: &str| -> Option<i64> {
        let fits = (1..=DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse().ok())?
    };
    let parts = 10_i64.pow(u32::try_from(fraction.len().min(DIGITS)).ok()?);
    let fraction_ticks = (i128::from(number(fraction)?) * 90_000 + i128::from(parts) / 2) / i128::from(parts);
    number(whole)?.checked_mul(TICKS_PER_SECOND)?.checked_add(i64::try_from(fraction_ticks).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14T22:13:20Z
    const NOW: Utc90k = Utc90k::from_seconds(1_700_000_000);

    #[test]
    fn moments_in_every_form() {
        let check = |text: &str, expected: i64| {
            assert_eq!(moment("start", text, NOW).map_err(|error| error.message), Ok(Utc90k(expected)), "{text}");
        };
        check("1700000000", NOW.0);
        check("1700000000.5", NOW.0 + 45_000);
        check("1699999999.999999999999", NOW.0);
        check("0", 0);
        check("2023-11-14T22:13:20Z", NOW.0);
        check("2023-11-14T22:13:20.125Z", NOW.0 + 11_250);
        check("2023-11-14T23:13:20+01:00", NOW.0);
        check("2023-11-14T23:13:20 01:00", NOW.0);
        check("2023-11-14T17:13:20-05:00", NOW.0);
        check("1700086400", NOW.0 + AHEAD_90K);
    }

    #[test]
    fn what_is_no_moment_is_refused_by_name() {
        for text in [
            "",
            " ",
            "now",
            "-1",
            "+5",
            "1e9",
            "NaN",
            "inf",
            "0x10",
            "1.",
            ".5",
            "1.2.3",
            "1700000000 ",
            "١٧",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-13-14T22:13:20Z",
            "1969-12-31T23:59:59Z",
            "1700086401",
            "9999-12-31T23:59:59Z",
            "9223372036854775807",
            "99999999999999999999999999",
            "1\u{fffd}",
            "\u{fffd}",
        ] {
            let error = moment("from", text, NOW).expect_err(text);
            assert_eq!((error.kind, error.path.as_deref()), (Kind::Invalid, Some("from")), "{text}");
        }
        assert!(moment("from", &"9".repeat(100_000), NOW).is_err());
    }

    #[test]
    fn spans_and_what_names_their_fault() {
        let check = |[start, end, duration]: [&str; 3], expected: Result<(i64, i64), &str>| {
            let [start_given, end_given, duration_given] =
                [start, end, duration].map(|text| Some(text).filter(|text| *text != "-"));
            let asked = Asked { start: ("start", start_given), end: ("end", end_given), duration: duration_given };
            let found = asked.span(NOW, |end| end + -TICKS_PER_SECOND, NOW);
            let found = found.map(|span| (NOW - span.from, NOW - span.to)).map_err(|error| error.path.unwrap());
            let expected = expected.map(|(from, to)| (from * TICKS_PER_SECOND, to * TICKS_PER_SECOND));
            assert_eq!(found, expected.map_err(str::to_owned), "{start} {end} {duration}");
        };
        check(["1699999900", "1699999990", "-"], Ok((100, 10)));
        check(["1699999900", "-", "60"], Ok((100, 40)));
        check(["-", "1699999990", "60"], Ok((70, 10)));
        check(["1699999900", "-", "-"], Ok((100, 0)));
        check(["-", "1699999990", "-"], Ok((11, 10)));
        check(["-", "-", "-"], Ok((1, 0)));
        check(["1699999900", "1699999900", "-"], Err("end"));
        check(["1699999990", "1699999900", "-"], Err("end"));
        check(["1700000100", "-", "-"], Err("start"));
        check(["1699999900", "1699999990", "60"], Err("duration"));
        check(["-", "-", "60"], Err("start"));
        for bad in ["0", "0.000001", "-5", "", "1h", "90000", "999999999999", "9999999999999"] {
            check(["1699999900", "-", bad], Err("duration"));
        }
        check(["-", "1699999900", "1700000000"], Err("duration"));
        check(["x", "1699999900", "-"], Err("start"));
        check(["1699999900", "x", "-"], Err("end"));
    }
}
