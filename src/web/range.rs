//! Which bytes a request wants: Range, If-Range, If-Match and If-None-Match as pure functions (RFC 9110 §13, §14).

use std::ops::Range;

/// What to send of a body of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// 200 with everything.
    Whole,
    /// 206 with these bytes; never empty, within the body.
    Part(Range<u64>),
    /// 416: the range begins at or after the end.
    Unsatisfiable,
}

/// What the conditional headers say before any body is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    Go,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// The part of a body of `len` bytes that `Range` asks for.
///
/// A header that is malformed, of another unit, or that lists several ranges is ignored, as RFC 9110 §14.2 allows: no
/// client of ours needs `multipart/byteranges`, and ignoring it leaves nothing to attack with a thousand ranges.
/// `If-Range` holds only when it equals a strong `etag`; a date never does, because we send no Last-Modified.
pub fn wanted(range: Option<&str>, if_range: Option<&str>, etag: Option<&str>, len: u64) -> Wanted {
    let Some(spec) = range.and_then(single_range) else { return Wanted::Whole };
    if let Some(validator) = if_range
        && !etag.is_some_and(|etag| strong_equal(validator.trim(), etag))
    {
        return Wanted::Whole;
    }
    let part = match spec {
        Spec::From(first, last) => first..last.saturating_add(1).min(len),
        Spec::Last(count) => len.saturating_sub(count)..len,
    };
    if part.start < part.end { Wanted::Part(part) } else { Wanted::Unsatisfiable }
}

/// `If-Match` is judged first, `If-None-Match` only when it passed (RFC 9110 §13.2.2). Bodies without an `etag`
/// (still growing) match nothing but `*`.
pub fn precondition(if_match: Option<&str>, if_none_match: Option<&str>, etag: Option<&str>) -> Precondition {
    let any = |list: &str, equal: fn(&str, &str) -> bool| {
        list.trim() == "*" || etag.is_some_and(|etag| list.split(',').any(|one| equal(one.trim(), etag)))
    };
    if if_match.is_some_and(|list| !any(list, strong_equal)) {
        return Precondition::Failed;
    }
    if if_none_match.is_some_and(|list| any(list, weak_equal)) {
        return Precondition::NotModified;
    }
    Precondition::Go
}

enum Spec {
    /// First and last byte, both included; an open end is `u64::MAX`.
    From(u64, u64),
    /// That many bytes at the end.
    Last(u64),
}

/// One well-formed `bytes=` range; None for everything that is to be ignored.
fn single_range(header: &str) -> Option<Spec> {
    let (unit, spec) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    match (first, last) {
        ("", last) => Some(Spec::Last(digits(last)?)),
        (first, "") => Some(Spec::From(digits(first)?, u64::MAX)),
        (first, last) => {
            let (first, last) = (digits(first)?, digits(last)?);
            (first <= last).then_some(Spec::From(first, last))
        }
    }
}

/// Decimal digits of any length: a number too large for 64 bits is still a number beyond every file.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

fn strong_equal(one: &str, etag: &str) -> bool {
    !one.starts_with("W/") && !etag.starts_with("W/") && one == etag
}

fn weak_equal(one: &str, etag: &str) -> bool {
    one.trim_start_matches("W/") == etag.trim_start_matches("W/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_hundred_bytes() {
        let check = |header: &str, expected| assert_eq!(wanted(Some(header), None, None, 100), expected, "{header}");
        check("bytes=0-0", Wanted::Part(0..1));
        check("bytes=0-99", Wanted::Part(0..100));
        check("bytes=10-", Wanted::Part(10..100));
        check("bytes=90-500", Wanted::Part(90..100));
        check("bytes=-5", Wanted::Part(95..100));
        check("bytes=-500", Wanted::Part(0..100));
        check("BYTES = 1-2", Wanted::Part(1..3));
        check("bytes=0-99999999999999999999999999", Wanted::Part(0..100));
        check("bytes=99-18446744073709551615", Wanted::Part(99..100));
        check("bytes=100-", Wanted::Unsatisfiable);
        check("bytes=99999999999999999999999999-", Wanted::Unsatisfiable);
        check("bytes=-0", Wanted::Unsatisfiable);
        for ignored in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=0x1-2",
            "items=0-1",
            "bytes=0-1,2-3",
            "bytes=0-0,-1",
            "bytes=1 - 2",
            "bytes=--1",
        ] {
            check(ignored, Wanted::Whole);
        }
    }

    #[test]
    fn an_empty_body_satisfies_no_range() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(wanted(Some(header), None, None, 0), Wanted::Unsatisfiable, "{header}");
        }
        assert_eq!(wanted(None, None, None, 0), Wanted::Whole);
    }

    #[test]
    fn if_range_takes_only_the_same_strong_etag() {
        let check = |if_range, etag, expected| {
            assert_eq!(wanted(Some("bytes=1-2"), Some(if_range), etag, 100), expected, "{if_range} {etag:?}");
        };
        check("\"a\"", Some("\"a\""), Wanted::Part(1..3));
        check("\"b\"", Some("\"a\""), Wanted::Whole);
        check("W/\"a\"", Some("\"a\""), Wanted::Whole);
        check("\"a\"", None, Wanted::Whole);
        check("Tue, 01 Dec 2026 00:00:00 GMT", Some("\"a\""), Wanted::Whole);
    }

    #[test]
    fn conditional_headers() {
        use Precondition::*;
        let check = |if_match, if_none_match, etag, expected| {
            assert_eq!(
                precondition(if_match, if_none_match, etag),
                expected,
                "{if_match:?} {if_none_match:?} {etag:?}"
            );
        };
        let tag = Some("\"a\"");
        check(None, None, tag, Go);
        check(None, Some("\"a\""), tag, NotModified);
        check(None, Some("W/\"a\""), tag, NotModified);
        check(None, Some("\"x\", \"a\""), tag, NotModified);
        check(None, Some("*"), tag, NotModified);
        check(None, Some("\"b\""), tag, Go);
        check(None, Some("\"a\""), None, Go);
        check(Some("\"a\""), None, tag, Go);
        check(Some("*"), None, tag, Go);
        check(Some("W/\"a\""), None, tag, Failed);
        check(Some("\"b\""), None, tag, Failed);
        check(Some("\"a\""), None, None, Failed);
        check(Some("\"b\""), Some("\"a\""), tag, Failed);
    }
}
