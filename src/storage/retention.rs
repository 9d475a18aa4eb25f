//! The clock by which footage ages: persisted, driven by monotonic time, so that no step of the wall clock deletes early.

use std::{
    io::Read,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Clock, Mono, Utc90k, ticks_90k},
    error::{Error, Kind, Result},
    storage::volume::Volume,
};

/// 2020-01-01: nothing was recorded before it, so a clock that says so was not set yet.
pub const PLAUSIBLE: Utc90k = Utc90k::from_seconds(1_577_836_800);

/// A tenth: the retention clock runs 10 % faster or slower until it meets a wall clock that no time service vouches
/// for. One that is wrong by a day for an hour then ages footage by six minutes at most. A host without NTP that was
/// off for a day keeps footage a day longer at first, as far as there is space: eviction does not ask for age.
const SLEW_DIVISOR: i64 = 10;

/// How often the clock goes to disk. What a power cut takes back only delays expiry by as much.
const SAVE_EVERY: Duration = Duration::from_secs(3600);

/// The two clocks that bound an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub wall: Utc90k,
    pub retention: Utc90k,
}

impl Moment {
    /// The moment ages are measured by: the earlier of both, without a wall clock that was never set.
    pub fn for_ages(self) -> Utc90k {
        if self.wall < PLAUSIBLE { self.retention } else { self.wall.min(self.retention) }
    }

    /// How long ago footage ended; zero for the future.
    pub fn age(self, end: Utc90k) -> Duration {
        Duration::from_micros(u64::try_from(self.for_ages() - end).unwrap_or(0).saturating_mul(100) / 9)
    }
}

/// A handle on the one retention clock of a volume.
#[derive(Debug)]
pub struct Retention {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    at: Utc90k,
    as_of: Mono,
    saved: Option<Mono>,
}

/// Content of `ROOT/retention.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    retention_ms: i64,
}

impl Retention {
    /// Continues where the volume's `retention.json` stopped; without one, begins at the wall clock.
    pub fn load(volume: &Volume, clock: Clock) -> Arc<Self> {
        let mut text = String::new();
        let saved = volume
            .open_read(&volume.layout().retention())
            .ok()
            .and_then(|file| file.take(4096).read_to_string(&mut text).ok())
            .and_then(|_| serde_json::from_str::<Saved>(&text).ok());
        let at = saved.map_or(clock.wall(), |saved| Utc90k::from_ms(saved.retention_ms));
        Arc::new(Self::at(at, clock))
    }

    /// Begins at a given moment.
    pub fn at(at: Utc90k, clock: Clock) -> Self {
        let state = State { at, as_of: clock.mono(), saved: None };
        Self { clock, state: Mutex::new(state) }
    }

    pub fn now(&self) -> Moment {
        let (wall, mono) = (self.clock.wall(), self.clock.mono());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.at = match self.clock.synchronised() {
            true => wall,
            false => slew(state.at, wall, mono.since(state.as_of)),
        };
        state.as_of = mono;
        Moment { wall, retention: state.at }
    }

    /// Whether footage that ended at `end` is older than `window`, however the wall clock was set since.
    ///
    /// Footage labelled before [`PLAUSIBLE`] has no known age and is never expired by this.
    pub fn expired(&self, end: Utc90k, window: Duration) -> bool {
        end >= PLAUSIBLE && self.now().for_ages() - end >= ticks_90k(window)
    }

    /// Writes the clock down when that is due, or now with `force` (on an orderly stop).
    pub fn save(&self, volume: &Volume, force: bool) -> Result<()> {
        let moment = self.now();
        let mono = self.clock.mono();
        let saved = self.state.lock().unwrap_or_else(PoisonError::into_inner).saved;
        if !force && saved.is_some_and(|saved| mono.since(saved) < SAVE_EVERY) {
            return Ok(());
        }
        let text = serde_json::to_vec(&Saved { retention_ms: moment.retention.as_ms() })
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        volume.write_atomic(&volume.layout().retention(), &text)?;
        self.state.lock().unwrap_or_else(PoisonError::into_inner).saved = Some(mono);
        Ok(())
    }
}

/// Where the retention clock stands after `elapsed` monotonic time.
fn slew(at: Utc90k, wall: Utc90k, elapsed: Duration) -> Utc90k {
    // The first time the clock is set there is no age to protect yet that could be known.
    if at < PLAUSIBLE && wall >= PLAUSIBLE {
        return wall;
    }
    let elapsed = ticks_90k(elapsed);
    let ran = at + elapsed;
    let most = elapsed / SLEW_DIVISOR;
    ran + (wall - ran).clamp(-most, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const HOUR: i64 = 3600;
    /// 2026-11-20T03:50:00Z.
    const NOW: i64 = 1_795_146_600;

    /// Starts both clocks at `NOW`, steps the wall clock by `step_s`, waits `wait_s`; how far has retention gone?
    fn check(step_s: i64, wait_s: u64, expected_s: i64) {
        let manual = ManualClock::at(Utc90k::from_seconds(NOW));
        let retention = Retention::at(Utc90k::from_seconds(NOW), manual.clock());
        manual.step_wall(Utc90k::from_seconds(NOW + step_s));
        manual.advance(Duration::from_secs(wait_s));
        assert_eq!(retention.now().retention.as_seconds() - NOW, expected_s, "step {step_s}, wait {wait_s}");
    }

    #[test]
    fn steps_are_absorbed_slowly_in_both_directions() {
        check(0, 3600, HOUR);
        check(24 * HOUR, 3600, HOUR + 360);
        check(-24 * HOUR, 3600, HOUR - 360);
        check(-NOW, 3600, HOUR - 360);
        check(60, 3600, HOUR + 60);
    }

    #[test]
    fn a_time_service_is_believed_at_once() {
        let manual = ManualClock::at(Utc90k::from_seconds(NOW));
        let retention = Retention::at(Utc90k::from_seconds(NOW), manual.clock());
        manual.step_wall(Utc90k::from_seconds(NOW + 72 * HOUR));
        manual.set_synchronised(true);
        assert_eq!(retention.now().retention.as_seconds(), NOW + 72 * HOUR);
    }

    #[test]
    fn the_first_setting_of_the_clock_is_taken_at_once() {
        let manual = ManualClock::at(Utc90k::from_seconds(100));
        let retention = Retention::at(Utc90k::from_seconds(100), manual.clock());
        manual.advance(Duration::from_secs(10));
        assert_eq!(retention.now().retention.as_seconds(), 110);
        manual.step_wall(Utc90k::from_seconds(NOW));
        assert_eq!(retention.now().retention.as_seconds(), NOW);
        let from_before = Utc90k::from_seconds(50);
        assert!(!retention.expired(from_before, Duration::from_secs(1)), "its true age is unknown");
    }

    #[test]
    fn a_jump_of_an_hour_expires_nothing_early() {
        let manual = ManualClock::at(Utc90k::from_seconds(NOW));
        let retention = Retention::at(Utc90k::from_seconds(NOW), manual.clock());
        let (end, day) = (Utc90k::from_seconds(NOW - 23 * HOUR), Duration::from_secs(86_400));
        manual.step_wall(Utc90k::from_seconds(NOW + HOUR));
        assert!(!retention.expired(end, day));
        manual.advance(Duration::from_secs(600));
        manual.step_wall(Utc90k::from_seconds(NOW + 600));
        assert!(!retention.expired(end, day));
        manual.advance(Duration::from_secs(3600 - 600));
        assert!(retention.expired(end, day));
    }
}
