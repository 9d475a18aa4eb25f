//! The names of things: devices, runs, segments. Nothing else may decide what a legal name is.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest device id in bytes. Short enough for any file name, metric label or log column.
pub const DEVICE_ID_MAX: usize = 64;

/// A device's name in paths, URLs, metrics and logs: `[A-Za-z0-9][A-Za-z0-9_-]*`, at most [`DEVICE_ID_MAX`] bytes.
///
/// It can only be made by parsing, so whoever holds one may join it to a path without a second look.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceId {
    type Err = BadDeviceId;

    fn from_str(text: &str) -> Result<Self, BadDeviceId> {
        let first_ok = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest_ok = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if first_ok && rest_ok && text.len() <= DEVICE_ID_MAX {
            Ok(Self(text.into()))
        } else {
            Err(BadDeviceId(text.into()))
        }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = BadDeviceId;

    fn try_from(text: String) -> Result<Self, BadDeviceId> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a [`DeviceId`]; shows the text with control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadDeviceId(String);

impl fmt::Display for BadDeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "device id {:?} is not 1 to {DEVICE_ID_MAX} letters, digits, '_' or '-', starting with a letter or digit",
            self.0
        )
    }
}

impl std::error::Error for BadDeviceId {}

/// One uninterrupted stretch of one FFmpeg. Numbers of a device only grow, over restarts too, so that
/// `(epoch, segment number)` names a segment for ever although FFmpeg counts from 0 at every start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A segment's name for life: its run and its number within the run. Ordered as recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentKey {
    pub epoch: Epoch,
    pub number: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_ids_are_safe_in_paths() {
        for good in ["a", "cam-1", "Lobby_2", "0", &"x".repeat(DEVICE_ID_MAX)] {
            assert_eq!(good.parse::<DeviceId>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "../x", ".", "a/b", "-a", "_a", "a b", "a.b", "é", "a\0", &"x".repeat(DEVICE_ID_MAX + 1)] {
            assert!(bad.parse::<DeviceId>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn segments_order_by_run_then_number() {
        let key = |epoch, number| SegmentKey { epoch: Epoch(epoch), number };
        assert!(key(1, 900) < key(2, 0));
        assert!(key(2, 0) < key(2, 1));
    }
}
