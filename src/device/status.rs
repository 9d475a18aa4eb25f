//! How a device does, decided purely from what its stages tell.

use serde::Serialize;

use crate::{capture::Reason, clock::Utc90k};

/// The words of the contract (docs/api.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    #[default]
    Starting,
    Online,
    /// Pictures arrive but something behind them is wrong: the disk does not take them, hot overflows.
    Degraded,
    Offline,
    /// Its actors or its FFmpeg cannot run at all; retried rarely.
    Failed,
    Disabled,
}

impl DeviceState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Online => "online",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
        }
    }
}

/// State, since when, and why it is not online.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub state: DeviceState,
    pub since: Utc90k,
    /// A word for programs, as [`Status::reason`] is for people.
    pub kind: Option<&'static str>,
    pub reason: Option<String>,
}

/// What the stages tell at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub enabled: bool,
    /// The recorder's own state and reason.
    pub capture: DeviceState,
    pub capture_reason: Option<Reason>,
    /// What it shows is the card of a recorder or player without a picture.
    pub no_signal: bool,
    /// An actor of the device fails again and again.
    pub actors_failed: bool,
    /// Hot sheds uncommitted footage.
    pub losing: bool,
    /// Commits fail: how often in a row, and what the last said.
    pub commit_failures: u32,
    pub commit_error: Option<String>,
    pub volume_ok: bool,
}

impl Status {
    /// The status that follows from `reading`; `since` moves only when the state does.
    pub fn next(&self, reading: &Reading, now: Utc90k) -> Self {
        let (state, because) = judge(reading);
        let (kind, reason) = because.unzip();
        Self { state, kind, reason, since: if state == self.state { self.since } else { now } }
    }
}

/// The worst thing first.
fn judge(reading: &Reading) -> (DeviceState, Option<(&'static str, String)>) {
    let because = |state, kind, reason: &str| (state, Some((kind, reason.to_owned())));
    if !reading.enabled {
        return (DeviceState::Disabled, None);
    }
    if reading.actors_failed {
        return because(DeviceState::Failed, "actors", "its actors fail again and again");
    }
    match reading.capture {
        DeviceState::Online => {}
        state => return (state, reading.capture_reason.map(|reason| (reason.name(), reason.to_string()))),
    }
    if reading.losing {
        return because(DeviceState::Degraded, "hot_full", "hot is full, oldest footage is being lost");
    }
    if !reading.volume_ok {
        let told = "the archive volume cannot be written; recording in RAM";
        return because(DeviceState::Degraded, "volume", told);
    }
    if reading.commit_failures > 0 {
        let error = reading.commit_error.as_deref().unwrap_or("unknown");
        return because(DeviceState::Degraded, "commits", &format!("commits fail: {error}"));
    }
    if reading.no_signal {
        return because(DeviceState::Degraded, "no_signal", "the source shows that it has no signal");
    }
    (DeviceState::Online, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Reading {
        Reading { enabled: true, capture: DeviceState::Online, volume_ok: true, ..Reading::default() }
    }

    #[test]
    fn the_worst_trouble_is_told() {
        use DeviceState::*;
        let check = |reading: Reading, state, part: Option<&str>| {
            let (found, because) = judge(&reading);
            assert_eq!(found, state);
            match part {
                Some(part) => assert!(because.is_some_and(|(_, reason)| reason.contains(part)), "{part}"),
                None => assert_eq!(because, None),
            }
        };
        check(well(), Online, None);
        check(Reading { enabled: false, actors_failed: true, ..well() }, Disabled, None);
        check(Reading { actors_failed: true, capture: Offline, ..well() }, Failed, Some("actors"));
        check(
            Reading { capture: Offline, capture_reason: Some(Reason::Refused), losing: true, ..well() },
            Offline,
            Some("refused"),
        );
        check(Reading { no_signal: true, ..well() }, Degraded, Some("no signal"));
        check(Reading { losing: true, volume_ok: false, ..well() }, Degraded, Some("hot is full"));
        check(Reading { volume_ok: false, ..well() }, Degraded, Some("archive volume"));
        check(Reading { commit_failures: 1, commit_error: Some("EIO".into()), ..well() }, Degraded, Some("EIO"));
    }

    #[test]
    fn since_moves_with_the_state_only() {
        let (early, late) = (Utc90k::from_seconds(1), Utc90k::from_seconds(2));
        let online = Status::default().next(&well(), early);
        assert_eq!(online.since, early);
        assert_eq!(online.next(&well(), late).since, early);
        let degraded = online.next(&Reading { losing: true, ..well() }, late);
        assert_eq!((degraded.state, degraded.since), (DeviceState::Degraded, late));
    }
}
