//! Ranges of footage that somebody said must stay: read without waiting by whoever deletes, moves or encodes anew.

use crate::{clock::Utc90k, ids::DeviceId};

/// One range of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub id: i64,
    pub device: DeviceId,
    pub start: Utc90k,
    pub end: Utc90k,
    /// It ends by itself then; never without.
    pub until: Option<Utc90k>,
    /// The very bytes as recorded: neither encoded anew, nor may a kept original go.
    pub original: bool,
    pub why: String,
    pub by: String,
    pub created: Utc90k,
}

impl Pin {
    pub fn is_in_force(&self, now: Utc90k) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// All of a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    list: Vec<Pin>,
    /// For each: how far it and those of its device before it reach, so that a look ends early.
    reach: Vec<Utc90k>,
}

impl Pins {
    pub fn new(mut list: Vec<Pin>) -> Self {
        list.sort_by(|a, b| (&a.device, a.start, a.id).cmp(&(&b.device, b.start, b.id)));
        let mut reach: Vec<Utc90k> = Vec::with_capacity(list.len());
        for (at, pin) in list.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| Some((list.get(before)?, *reach.get(before)?)));
            let before = before.filter(|(before, _)| before.device == pin.device).map(|(_, reach)| reach);
            reach.push(before.map_or(pin.end, |before| before.max(pin.end)));
        }
        Self { list, reach }
    }

    /// By device and start.
    pub fn list(&self) -> &[Pin] {
        &self.list
    }

    /// Whether some of `start..end` must stay.
    pub fn hold(&self, device: &DeviceId, start: Utc90k, end: Utc90k, now: Utc90k) -> bool {
        self.over(device, start, end, now).next().is_some()
    }

    /// Whether some of it must stay as it was recorded.
    pub fn hold_original(&self, device: &DeviceId, start: Utc90k, end: Utc90k, now: Utc90k) -> bool {
        self.over(device, start, end, now).any(|pin| pin.original)
    }

    fn over(&self, device: &DeviceId, start: Utc90k, end: Utc90k, now: Utc90k) -> impl Iterator<Item = &Pin> {
        let first = self.list.partition_point(|pin| pin.device < *device);
        let behind = self.list.partition_point(|pin| (&pin.device, pin.start) < (device, end));
        let begun = self.list.get(first..behind).unwrap_or_default().iter();
        let reach = self.reach.get(first..behind).unwrap_or_default().iter();
        // From the last that began before `end`, back to where none reaches `start` any more.
        let near = begun.zip(reach).rev().take_while(move |(_, reach)| **reach > start).map(|(pin, _)| pin);
        near.filter(move |pin| pin.end > start && pin.is_in_force(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_touch_until_they_end() {
        let at = Utc90k::from_seconds;
        let pin = |id, device: &str, start, end, until: Option<i64>, original| Pin {
            id,
            device: device.parse().unwrap(),
            start: at(start),
            end: at(end),
            until: until.map(at),
            original,
            why: String::new(),
            by: String::new(),
            created: at(0),
        };
        let pins = Pins::new(vec![
            pin(1, "b", 100, 200, None, false),
            pin(2, "a", 100, 200, Some(1000), true),
            pin(3, "b", 500, 600, Some(1000), true),
        ]);
        let check = |device: &str, start, end, now, expected: (bool, bool)| {
            let (device, start, end, now) = (device.parse().unwrap(), at(start), at(end), at(now));
            let found = (pins.hold(&device, start, end, now), pins.hold_original(&device, start, end, now));
            assert_eq!(found, expected, "{device} {start:?}..{end:?}");
        };
        check("b", 0, 100, 0, (false, false));
        check("b", 0, 101, 0, (true, false));
        check("b", 199, 300, 5000, (true, false));
        check("b", 200, 500, 0, (false, false));
        check("b", 150, 550, 999, (true, true));
        check("b", 550, 560, 1000, (false, false));
        check("a", 0, 1000, 999, (true, true));
        check("c", 0, 1000, 0, (false, false));
    }
}
