//! The names of pictures that prove incidents.

use super::parse_digits;
use crate::{clock::Utc90k, ids::DeviceId};

/// Which moment of an incident a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shot {
    First,
    Worst,
    Last,
}

impl Shot {
    pub const ALL: [Self; 3] = [Self::First, Self::Worst, Self::Last];

    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Worst => "worst",
            Self::Last => "last",
        }
    }
}

/// A picture that proves an incident, by the incident's start and kind. Its folder is the UTC day of that start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EvidenceKey {
    start_ms: i64,
    kind: Box<str>,
    shot: Shot,
}

impl EvidenceKey {
    /// None for a kind that could be no part of a name: `[a-z_]`, at most 32.
    pub fn new(start: Utc90k, kind: &str, shot: Shot) -> Option<Self> {
        let is_word = (1..=32).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        is_word.then(|| Self { start_ms: start.as_ms(), kind: kind.into(), shot })
    }

    pub fn shot(&self) -> Shot {
        self.shot
    }

    /// `2026-11-20`
    pub fn date(&self) -> String {
        Utc90k::from_ms(self.start_ms).rfc3339().split('T').next().unwrap_or_default().to_owned()
    }

    /// `1795146600125-blackscreen-first.jpg`
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.jpg", self.start_ms, self.kind, self.shot.name())
    }

    /// Parses `(date folder, file name)`.
    pub fn parse(date: &str, name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".jpg")?.splitn(3, '-');
        let start_ms = i64::try_from(parse_digits(parts.next()?)?).ok()?;
        // Beyond it a time in ticks would not fit.
        (start_ms <= i64::MAX / 90).then_some(())?;
        let (kind, shot) = (parts.next()?, parts.next()?);
        let shot = Shot::ALL.into_iter().find(|known| known.name() == shot)?;
        let key = Self::new(Utc90k::from_ms(start_ms), kind, shot)?;
        (key.file_name() == name && key.date() == date).then_some(key)
    }

    /// Parses a path relative to the archive's root, as an incident names its evidence.
    pub fn parse_path(path: &str) -> Option<(DeviceId, Self)> {
        let mut parts = path.splitn(4, '/');
        let device: DeviceId = parts.next()?.parse().ok()?;
        (parts.next()? == "evidence").then_some(())?;
        Some((device, Self::parse(parts.next()?, parts.next()?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::layout::ColdLayout;

    #[test]
    fn evidence_is_named_by_what_it_proves() {
        let device: DeviceId = "cam".parse().unwrap();
        for shot in Shot::ALL {
            let key = EvidenceKey::new(Utc90k::from_ms(1_700_000_000_125), "signal_lost", shot).unwrap();
            let path = ColdLayout::new("").evidence(&device, &key);
            let text = path.to_str().unwrap();
            assert_eq!(text, format!("cam/evidence/2023-11-14/1700000000125-signal_lost-{}.jpg", shot.name()));
            assert_eq!(EvidenceKey::parse_path(text), Some((device.clone(), key)));
        }
        for (date, name) in [
            ("2023-11-15", "1700000000125-freeze-first.jpg"),
            ("2023-11-14", "01700000000125-freeze-first.jpg"),
            ("2023-11-14", "1700000000125-freeze-first.jpg.tmp"),
            ("2023-11-14", "1700000000125-freeze-second.jpg"),
            ("2023-11-14", "1700000000125-Freeze-first.jpg"),
            ("2023-11-14", "1700000000125--first.jpg"),
            ("2023-11-14", "../1700000000125-freeze-first.jpg"),
            ("..", "1700000000125-freeze-first.jpg"),
            ("2023-11-14", "9223372036854775807-freeze-first.jpg"),
        ] {
            assert_eq!(EvidenceKey::parse(date, name), None, "{date}/{name}");
        }
        assert_eq!(EvidenceKey::parse_path("cam/segments/2023-11-14/1700000000125-freeze-first.jpg"), None);
    }
}
