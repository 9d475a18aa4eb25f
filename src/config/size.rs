//! Values written with a unit: `"200MiB"`, `"320x180"`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes: `"200MiB"`, `"1.5GiB"`, `"64kB"` or a plain integer. KiB/MiB/GiB/TiB are powers of 1024,
/// kB/MB/GB/TB powers of 1000.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is not a size like \"200MiB\"");
        let (number, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number.trim_end(), *unit)))
            .unwrap_or((text, 1));
        if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(refuse());
        }
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(unit).map(Self).ok_or_else(refuse);
        }
        let bytes = number.parse::<f64>().map_err(|_| refuse())? * unit as f64;
        // f64 is exact to 2^53, which is 8 PiB: more than any limit here means.
        if bytes.is_finite() && (0.0..=9e15).contains(&bytes) { Ok(Self(bytes as u64)) } else { Err(refuse()) }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS[..4].iter().rev().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        match exact {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// As it is written in the settings: messages about them show it.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size like \"200MiB\" or a number of bytes")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Bytes, E> {
                u64::try_from(bytes).map(Bytes).map_err(|_| E::custom("a size is not negative"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Pixels: `"320x180"`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PictureSize {
    pub width: u16,
    pub height: u16,
}

impl FromStr for PictureSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse =
            |side: &str| side.parse::<u16>().ok().filter(|n| *n >= 16 && side.bytes().all(|b| b.is_ascii_digit()));
        text.split_once('x')
            .and_then(|(width, height)| Some(Self { width: parse(width)?, height: parse(height)? }))
            .ok_or_else(|| format!("{text:?} is not a size like \"320x180\" (at least 16x16)"))
    }
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// As it is written in the settings: messages about them show it.
impl fmt::Debug for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for PictureSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PictureSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        let check = |text: &str, bytes: u64, printed: &str| {
            let size: Bytes = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, printed));
        };
        check("200MiB", 200 << 20, "200MiB");
        check("1.5GiB", 3 << 29, "1536MiB");
        check("64 kB", 64_000, "64000B");
        check("0", 0, "0B");
        check("7", 7, "7B");
        for bad in ["", "MiB", "-1", "1e9", "1 parsec", "nan", "99999999999999999999TiB", "20000000TiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn picture_sizes_read_and_print() {
        assert_eq!("320x180".parse(), Ok(PictureSize { width: 320, height: 180 }));
        for bad in ["", "320", "320x", "x180", "0x0", "+320x180", "320x180x2", "99999x1"] {
            assert!(bad.parse::<PictureSize>().is_err(), "{bad}");
        }
    }
}
