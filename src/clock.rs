//! The only source of time: wall clock (UTC) for labels on disk, monotonic clock for durations.
//!
//! Tests hold a [`ManualClock`] and move it; nothing in the crate sleeps to see time pass.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

pub mod anchor;

/// Ticks of the media clock in one second (ISO/IEC 13818-1: PTS and DTS count at 90 kHz).
pub const TICKS_PER_SECOND: i64 = 90_000;

/// A moment in UTC, in 90 kHz ticks since 1970-01-01T00:00:00Z. Wide enough for ±3 million years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc90k(pub i64);

impl Utc90k {
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms * 90)
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * TICKS_PER_SECOND)
    }

    /// Milliseconds since 1970, rounded down.
    pub const fn as_ms(self) -> i64 {
        self.0.div_euclid(90)
    }

    /// Seconds since 1970, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(TICKS_PER_SECOND)
    }

    /// RFC 3339 with milliseconds, as every API reply and log line writes it: `2026-11-20T03:50:00.125Z`.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.as_ms()) {
            Ok(stamp) => format!("{stamp:.3}"),
            Err(_) => format!("{}ms", self.as_ms()),
        }
    }
}

impl fmt::Display for Utc90k {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Adds ticks.
impl Add<i64> for Utc90k {
    type Output = Self;
    fn add(self, ticks_90k: i64) -> Self {
        Self(self.0.saturating_add(ticks_90k))
    }
}

/// Ticks from `other` to `self`.
impl Sub for Utc90k {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

/// A moment of the monotonic clock (`CLOCK_MONOTONIC`). Only differences mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(Duration);

impl Mono {
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

/// 90 kHz ticks of a duration, rounded down; saturates.
pub fn ticks_90k(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros() * 9 / 100).unwrap_or(i64::MAX)
}

/// A handle on the one clock of the process, cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

impl Clock {
    pub fn system() -> Self {
        Self(Arc::new(SystemSource))
    }

    /// Now in UTC, as the machine believes it: may step either way.
    pub fn wall(&self) -> Utc90k {
        self.0.wall()
    }

    /// Now on the monotonic clock: never steps, does not count suspended time.
    pub fn mono(&self) -> Mono {
        self.0.mono()
    }

    /// A file's time as this clock counts. The kernel stamps files by its own wall clock, which is ours, unless the
    /// process was given a faked one: then arrivals must not be told by another clock than everything else.
    pub fn of_file(&self, stamped: Utc90k) -> Utc90k {
        stamped + self.0.ahead_of_kernel_90k()
    }

    /// Whether a time service (NTP, PTP, GPS) disciplines the wall clock, so that a jump of it may be believed.
    /// Setting the clock by hand ends this.
    pub fn synchronised(&self) -> bool {
        self.0.synchronised()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.wall())
    }
}

trait Source: Send + Sync {
    fn wall(&self) -> Utc90k;
    fn mono(&self) -> Mono;
    fn synchronised(&self) -> bool;

    fn ahead_of_kernel_90k(&self) -> i64 {
        0
    }
}

struct SystemSource;

impl Source for SystemSource {
    /// Through libc, unlike rustix, which asks the kernel directly: `faketime` moves the daemon only so.
    #[allow(clippy::disallowed_methods)]
    fn wall(&self) -> Utc90k {
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Utc90k(ticks_90k(since)),
            Err(before) => Utc90k(-ticks_90k(before.duration())),
        }
    }

    fn mono(&self) -> Mono {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Mono(Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0)))
    }

    fn ahead_of_kernel_90k(&self) -> i64 {
        let kernel = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let ahead = self.wall() - (Utc90k::from_seconds(kernel.tv_sec) + kernel.tv_nsec * 9 / 100_000);
        // Less is the time between the two looks.
        if ahead.abs() > TICKS_PER_SECOND { ahead } else { 0 }
    }

    fn synchronised(&self) -> bool {
        // SAFETY: all-zero bytes are a valid `timex` (plain integers), and `modes: 0` only reads.
        let mut told: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live, exclusively borrowed `timex`.
        let state = unsafe { libc::adjtimex(&mut told) };
        if state == -1 {
            // Refused, as under systemd's ProtectClock=: systemd-timesyncd makes this file once it has the time.
            return std::path::Path::new("/run/systemd/timesync/synchronized").exists();
        }
        // A process under a faked clock is told the kernel's time here: then the two differ.
        let same = (told.time.tv_sec - self.wall().as_seconds()).abs() <= 1;
        state != libc::TIME_ERROR && told.status & libc::STA_UNSYNC == 0 && same
    }
}

/// A clock that moves only when told to.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<(Utc90k, Mono)>>, Arc<AtomicBool>);

impl ManualClock {
    pub fn at(wall: Utc90k) -> Self {
        Self(Arc::new(Mutex::new((wall, Mono::ZERO))), Arc::default())
    }

    pub fn clock(&self) -> Clock {
        Clock(Arc::new(self.clone()))
    }

    /// Both clocks go on by `duration`.
    pub fn advance(&self, duration: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 = now.0 + ticks_90k(duration);
        now.1 = now.1 + duration;
    }

    /// A time service begins or ends to discipline the wall clock; it does not at first.
    pub fn set_synchronised(&self, synchronised: bool) {
        self.1.store(synchronised, Ordering::Relaxed);
    }

    /// The wall clock jumps, as when NTP or a person sets it; the monotonic clock does not notice.
    pub fn step_wall(&self, to: Utc90k) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = to;
    }
}

impl Source for ManualClock {
    fn wall(&self) -> Utc90k {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn mono(&self) -> Mono {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn synchronised(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_rfc3339_utc() {
        assert_eq!(Utc90k::from_ms(1_700_000_000_125).to_string(), "2023-11-14T22:13:20.125Z");
        assert_eq!(Utc90k::from_ms(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_wall_step_leaves_the_monotonic_clock_alone() {
        let manual = ManualClock::at(Utc90k::from_seconds(1000));
        let clock = manual.clock();
        let before = clock.mono();
        manual.step_wall(Utc90k::from_seconds(5));
        assert_eq!(clock.mono().since(before), Duration::ZERO);
        manual.advance(Duration::from_secs(2));
        assert_eq!(clock.wall(), Utc90k::from_seconds(7));
        assert_eq!(clock.mono().since(before), Duration::from_secs(2));
    }

    #[test]
    fn system_clocks_run() {
        let clock = Clock::system();
        assert!(clock.wall() > Utc90k::from_seconds(1_600_000_000));
        assert!(clock.mono() > Mono::ZERO);
    }
}
