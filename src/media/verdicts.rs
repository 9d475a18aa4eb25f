//! What was seen and heard in one analysed frame, as one line of JSON: written once, read back from files that may be
//! torn.

use std::{io, ops::ControlFlow};

use serde::{Deserialize, Serialize};

use crate::{clock::Utc90k, media::mp4::ReadAt};

/// A line of more is none: ours have 200 bytes at most.
const LINE_BYTES_MAX: usize = 1024;
/// Read at a time; a minute of 5 frames a second.
const PIECE_BYTES: usize = 64 << 10;

/// One frame. Verdicts are true, false or unknown (`null`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FrameLine {
    /// When it was taken: seconds since 1970, UTC, to the millisecond.
    pub t: f64,
    /// Which analysed frame of the UTC hour it is, counted from 1; anew after a restart.
    pub frame: u64,
    pub black: Option<bool>,
    /// Dark pixels in the rows that are looked at, percent.
    pub black_pct: Option<f32>,
    pub freeze: Option<bool>,
    /// Pixels that moved, percent.
    pub freeze_diff: Option<f32>,
    /// True: there is sound, and it is not silent.
    pub audio: Option<bool>,
    pub mean_volume_db: Option<f32>,
    pub volume_percentage: Option<u8>,
    /// The slate of a capture card without input. Only told when it is so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_signal: bool,
    /// Frames before this one that nobody looked at. Only told when there are some.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skipped: u32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Milliseconds are more than any camera keeps; two digits of percent and dB are more than any detector.
impl FrameLine {
    pub fn new(at: Utc90k, frame: u64) -> Self {
        Self { t: at.as_ms() as f64 / 1000.0, frame, ..Self::default() }
    }

    pub fn at(&self) -> Utc90k {
        Utc90k::from_ms((self.t * 1000.0).round() as i64)
    }

    /// With its end of line.
    pub fn encode(&self) -> String {
        let short =
            |value: Option<f32>| value.filter(|value| value.is_finite()).map(|value| (value * 100.0).round() / 100.0);
        let line = Self {
            black_pct: short(self.black_pct),
            freeze_diff: short(self.freeze_diff),
            mean_volume_db: short(self.mean_volume_db),
            ..self.clone()
        };
        // Numbers and flags always make JSON.
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        text
    }

    /// None for what [`Self::encode`] did not write.
    pub fn parse(line: &[u8]) -> Option<Self> {
        // Beyond this, ticks overflow; it is the year 33000.
        const T_MAX: f64 = 1e12;
        let line: Self = serde_json::from_slice(line).ok()?;
        (line.t.abs() <= T_MAX).then_some(line)
    }
}

/// What a file came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// End of the last good line.
    pub len: u64,
    /// Lines that are none of ours.
    pub bad: u64,
    /// `each` did not want to see them all.
    pub stopped: bool,
}

/// Gives every whole line of the first `len` bytes to `each`, in order, until that has enough. Memory is one piece,
/// whatever the file holds.
pub fn scan<R: ReadAt + ?Sized>(
    source: &R,
    len: u64,
    each: &mut dyn FnMut(FrameLine) -> ControlFlow<()>,
) -> io::Result<Scanned> {
    scan_from(source, 0, len, each)
}

/// The same from `offset` on, where a line begins.
pub fn scan_from<R: ReadAt + ?Sized>(
    source: &R,
    offset: u64,
    len: u64,
    each: &mut dyn FnMut(FrameLine) -> ControlFlow<()>,
) -> io::Result<Scanned> {
    let mut out = Scanned::default();
    let mut held: Vec<u8> = Vec::new();
    let mut read_to = offset;
    // In the middle of a line that is too long.
    let mut skipping = false;
    while read_to < len {
        let had = held.len();
        let want = usize::try_from(len - read_to).unwrap_or(usize::MAX).min(PIECE_BYTES);
        held.resize(had + want, 0);
        let count = crate::media::mp4::read_full(source, held.get_mut(had..).unwrap_or_default(), read_to)?;
        held.truncate(had + count);
        read_to += count as u64;
        let mut from = 0;
        while let Some(end) = memchr::memchr(b'\n', held.get(from..).unwrap_or_default()).map(|at| from + at) {
            let line = held.get(from..end).unwrap_or_default();
            from = end + 1;
            match FrameLine::parse(line).filter(|_| !skipping && line.len() <= LINE_BYTES_MAX) {
                Some(line) => {
                    out.len = read_to - (held.len() - from) as u64;
                    if each(line).is_break() {
                        out.stopped = true;
                        return Ok(out);
                    }
                }
                None => out.bad += 1,
            }
            skipping = false;
        }
        held.drain(..from);
        if held.len() > LINE_BYTES_MAX {
            skipping = true;
            held.clear();
        }
        if count < want {
            break;
        }
    }
    Ok(out)
}

/// Where a line begins behind which every line of `from` or later lies, found by halving: lines of one chunk follow the
/// time. 0 when what lies there is not ours.
pub fn seek<R: ReadAt + ?Sized>(source: &R, len: u64, from: Utc90k) -> io::Result<u64> {
    let (mut before, mut behind) = (0, len);
    let mut look = [0; 2 * LINE_BYTES_MAX];
    // Less is quicker read than searched.
    while behind - before > PIECE_BYTES as u64 / 4 {
        let middle = before + (behind - before) / 2;
        let count = crate::media::mp4::read_full(source, &mut look, middle)?;
        let seen = look.get(..count).unwrap_or_default();
        let Some(start) = memchr::memchr(b'\n', seen).map(|at| at + 1) else { break };
        let rest = seen.get(start..).unwrap_or_default();
        let Some(line) = memchr::memchr(b'\n', rest).and_then(|end| FrameLine::parse(rest.get(..end)?)) else { break };
        if line.at() < from {
            before = middle + start as u64;
        } else {
            behind = middle;
        }
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(ms: i64, frame: u64) -> FrameLine {
        FrameLine {
            black: Some(false),
            black_pct: Some(12.345),
            freeze_diff: Some(0.1),
            audio: Some(true),
            mean_volume_db: Some(-20.504),
            volume_percentage: Some(66),
            ..FrameLine::new(Utc90k::from_ms(ms), frame)
        }
    }

    fn all(bytes: &[u8]) -> (Vec<FrameLine>, Scanned) {
        let mut lines = Vec::new();
        let mut each = |line| {
            lines.push(line);
            ControlFlow::Continue(())
        };
        let scanned = scan(bytes, bytes.len() as u64, &mut each).expect("no error");
        (lines, scanned)
    }

    #[test]
    fn a_line_has_the_words_of_the_contract_and_reads_back() {
        let written = line(1_795_147_200_125, 7);
        let text = written.encode();
        let expected = concat!(
            r#"{"t":1795147200.125,"frame":7,"black":false,"black_pct":12.35,"freeze":null,"freeze_diff":0.1,"#,
            r#""audio":true,"mean_volume_db":-20.5,"volume_percentage":66}"#,
            "\n"
        );
        assert_eq!(text, expected);
        let read = FrameLine::parse(text.trim_end().as_bytes()).expect("our own line");
        assert_eq!((read.at(), read.frame), (Utc90k::from_ms(1_795_147_200_125), 7));
        let rare = FrameLine { no_signal: true, skipped: 3, black_pct: Some(f32::NAN), ..line(-1, 1) };
        let read = FrameLine::parse(rare.encode().trim_end().as_bytes()).expect("our own line");
        assert_eq!((read.no_signal, read.skipped, read.black_pct, read.at()), (true, 3, None, Utc90k::from_ms(-1)));
    }

    #[test]
    fn what_is_no_line_is_none() {
        for bad in ["", "{}", "null", r#"{"t":1e300,"frame":1}"#, r#"{"t":"1","frame":1}"#, r#"{"t":1,"frame":-1}"#] {
            assert_eq!(FrameLine::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    /// `kill -9` or a power cut may leave any prefix, and zeros.
    #[test]
    fn cut_anywhere_it_ends_at_a_whole_line() {
        let texts: Vec<String> = (0..3).map(|number| line(number * 200, number as u64).encode()).collect();
        let text = texts.concat();
        for cut in 0..=text.len() {
            let whole: usize = texts
                .iter()
                .scan(0, |end, text| {
                    *end += text.len();
                    Some(*end)
                })
                .take_while(|end| *end <= cut)
                .last()
                .unwrap_or(0);
            for tail in [&b""[..], &[0; 3000], b"\0\0\n"] {
                let torn = [&text.as_bytes()[..cut], tail].concat();
                let (lines, scanned) = all(&torn);
                assert_eq!(scanned.len, whole as u64, "{cut}");
                assert!(texts.concat().starts_with(&lines.iter().map(FrameLine::encode).collect::<String>()));
            }
        }
    }

    #[test]
    fn files_longer_than_a_piece_are_read_to_their_end_or_to_where_one_stops() {
        let mut text: String = (0..2000).map(|number| line(number * 200, number as u64).encode()).collect();
        let (lines, scanned) = all(text.as_bytes());
        assert_eq!((lines.len(), scanned.len, scanned.bad), (2000, text.len() as u64, 0));
        assert!(lines.iter().zip(0..).all(|(line, number)| line.frame == number));
        text.insert_str(0, &format!("{}\n", "x".repeat(3 * PIECE_BYTES)));
        assert_eq!((all(text.as_bytes()).0.len(), all(text.as_bytes()).1.bad), (2000, 1));
        let mut seen = 0;
        let mut two = |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        assert!(scan(text.as_bytes(), text.len() as u64, &mut two).expect("no error").stopped);
        assert_eq!(seen, 2);
    }

    proptest! {
        #[test]
        fn what_is_sought_is_not_passed_over(
            steps in proptest::collection::vec(0_i64..2_000, 0..600),
            from in 0_i64..600_000,
        ) {
            let mut ms = 0;
            let lines: Vec<_> = (1..).zip(steps).map(|(number, step)| { ms += step; line(ms, number) }).collect();
            let text: String = lines.iter().map(FrameLine::encode).collect();
            let from = Utc90k::from_ms(from);
            let start = seek(text.as_bytes(), text.len() as u64, from).expect("no error") as usize;
            prop_assert!(start == 0 || text.as_bytes()[start - 1] == b'\n');
            let after = all(&text.as_bytes()[start..]).0;
            let wanted = |lines: &[FrameLine]| lines.iter().filter(|line| line.at() >= from).count();
            prop_assert_eq!(wanted(&after), wanted(&lines));
            prop_assert!(after.iter().filter(|line| line.at() < from).count() <= 300);
        }

        #[test]
        fn any_bytes_are_sought_in_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40_000)) {
            prop_assert!(seek(&bytes[..], bytes.len() as u64, Utc90k::from_ms(5)).expect("no error") <= bytes.len() as u64);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert!(all(&bytes).1.len <= bytes.len() as u64);
        }
    }
}
