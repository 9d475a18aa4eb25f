//! Is the host well? Judges gathered facts with one line per check; shared by `capstan doctor` and `/api/host/health`.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{keep::Forecast, storage::HotFacts};

/// One line of the doctor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `hot`, `hot_quota`, `archive`, `free_space`, `space`, `cleaner`, `library`, `ffmpeg`, `database`, `transcoder`,
    /// `transcoded`, `actors`, `recorder`, `commits`, `archiver`,
    /// `oldest_chunk`, `daemon`.
    pub name: String,
    /// The device it is about; the whole host when absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<String>,
    pub ok: bool,
    pub message: String,
}

impl Check {
    pub fn host(name: &str, verdict: Verdict) -> Self {
        Self::new(name, None, verdict)
    }

    fn new(name: &str, device: Option<&str>, verdict: Verdict) -> Self {
        let ok = verdict.is_ok();
        let (Ok(message) | Err(message)) = verdict;
        Self { name: name.to_owned(), device: device.map(str::to_owned), ok, message }
    }
}

/// Well or not, each with what to tell.
pub type Verdict = Result<String, String>;

/// What is known about the host at one moment.
#[derive(Clone, Debug)]
pub struct HostFacts {
    pub hot: HotSide,
    pub archive: ArchiveFacts,
    /// First line of `ffmpeg -version`, or why there is none.
    pub ffmpeg: Verdict,
    pub database: Verdict,
    /// None when nobody transcodes, as without a daemon.
    pub transcoder: Option<TranscoderFacts>,
    pub actors: Vec<ActorFacts>,
    pub devices: Vec<DeviceFacts>,
}

#[derive(Clone, Debug)]
pub struct TranscoderFacts {
    /// Whether it gets on.
    pub work: Verdict,
    /// Whether what lies beside transcoded chunks is whole, and what was saved.
    pub files: Verdict,
}

#[derive(Clone, Debug)]
pub struct HotSide {
    pub path: PathBuf,
    /// None: the folder cannot be read.
    pub space: Option<HotFacts>,
    /// Sum of the byte quotas of all enabled devices.
    pub quota_bytes: u64,
}

#[derive(Clone, Debug)]
pub struct ArchiveFacts {
    pub root: PathBuf,
    /// Whether it is the expected volume and takes writes; else why not.
    pub volume: Result<(), String>,
    pub free_bytes: u64,
    pub min_free_bytes: u64,
    /// None without a running daemon.
    pub keeping: Option<KeepingFacts>,
}

/// How the cleaner does.
#[derive(Clone, Debug, Default)]
pub struct KeepingFacts {
    pub forecast: Option<Forecast>,
    pub interval: Duration,
    /// Since the last round that nothing held back; since the start where there was none.
    pub success_age: Option<Duration>,
    /// What holds it back now, and what went wrong last.
    pub held_by: Option<String>,
    /// The library's own volume, where there is one: whether it can be reached, else why not.
    pub library: Option<Verdict>,
}

#[derive(Clone, Debug)]
pub struct ActorFacts {
    pub name: String,
    /// It fails so often that it is tried again only rarely.
    pub failed: bool,
}

#[derive(Clone, Debug)]
pub struct DeviceFacts {
    pub id: String,
    /// `starting online degraded offline failed disabled`.
    pub status: String,
    pub reason: Option<String>,
    /// Time in this status.
    pub since: Option<Duration>,
    /// Since the newest segment arrived in hot.
    pub segment_age: Option<Duration>,
    /// Since the moment up to which footage is on disk.
    pub committed_age: Option<Duration>,
    pub oldest_chunk_age: Option<Duration>,
    /// How full hot is, now and as the live window will need it at the present bit rate.
    pub hot_bytes: u64,
    pub live_window_bytes: u64,
    pub quota_bytes: u64,
    pub commit: Duration,
    pub window: Duration,
}

/// FFmpeg's grace at start and one back-off; a device that is still starting after this is not well.
const START_GRACE: Duration = Duration::from_secs(30);
/// 1 s segments, an FFmpeg that is restarted when it makes none for 3 s.
const SEGMENT_AGE_MAX: Duration = Duration::from_secs(10);
/// A commit may wait for its turn and for a slow card: one interval more, and this.
const COMMIT_SLACK: Duration = Duration::from_secs(30);
/// A chunk leaves when it is whole hours old and the cleaner comes by once a minute, unless the machine is busy.
const EXPIRY_SLACK: Duration = Duration::from_secs(2 * 3600);

/// All checks, the host's first.
pub fn judge(facts: &HostFacts) -> Vec<Check> {
    let mut checks = vec![
        Check::host("hot", hot(&facts.hot)),
        Check::host("archive", archive(&facts.archive)),
        Check::host("free_space", free_space(&facts.archive)),
        Check::host("ffmpeg", facts.ffmpeg.clone()),
        Check::host("database", facts.database.clone()),
        Check::host("actors", actors(&facts.actors)),
    ];
    if let Some(keeping) = &facts.archive.keeping {
        checks.push(Check::host("space", space(keeping)));
        checks.push(Check::host("cleaner", cleaner(keeping)));
        checks.extend(keeping.library.clone().map(|verdict| Check::host("library", verdict)));
    }
    if let Some(transcoder) = &facts.transcoder {
        checks.push(Check::host("transcoder", transcoder.work.clone()));
        checks.push(Check::host("transcoded", transcoder.files.clone()));
    }
    for device in facts.devices.iter().filter(|device| device.status != "disabled") {
        let mut add = |name, verdict| checks.push(Check::new(name, Some(&device.id), verdict));
        add("recorder", recorder(device));
        add("commits", commits(device));
        add("archiver", archiver(device));
        add("hot_quota", hot_quota(device));
        add("oldest_chunk", oldest_chunk(device));
    }
    checks
}

pub fn healthy(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.ok)
}

fn hot(hot: &HotSide) -> Verdict {
    let path = hot.path.display();
    let Some(space) = hot.space else { return Err(format!("{path} cannot be read; `capstan hot setup` makes it")) };
    if !space.is_tmpfs {
        return Err(format!("{path} is not tmpfs: recording there would wear out the disk; run `capstan hot setup`"));
    }
    if space.size_bytes == 0 {
        return Ok(format!("{path} is tmpfs without a limit"));
    }
    let percent = space.size_bytes.saturating_sub(space.free_bytes) * 100 / space.size_bytes;
    let told = format!("{path} is tmpfs, {percent} % of {} used", bytes(space.size_bytes));
    if hot.quota_bytes > space.size_bytes {
        return Err(format!(
            "{path} has {} but the devices' quotas add up to {}; run `capstan hot setup`",
            bytes(space.size_bytes),
            bytes(hot.quota_bytes)
        ));
    }
    if percent < 90 { Ok(told) } else { Err(format!("{told}; must stay below 90 %")) }
}

fn archive(archive: &ArchiveFacts) -> Verdict {
    let root = archive.root.display();
    match &archive.volume {
        Ok(()) => Ok(format!("{root} is the expected volume and takes writes")),
        Err(why) => Err(format!("{root}: {why}")),
    }
}

/// The cleaner keeps `min_free_bytes`; a tenth less means that it could not.
fn free_space(archive: &ArchiveFacts) -> Verdict {
    let told = format!("{} free, {} to keep", bytes(archive.free_bytes), bytes(archive.min_free_bytes));
    if archive.free_bytes >= archive.min_free_bytes / 10 * 9 { Ok(told) } else { Err(told) }
}

/// A small disk is a choice: it is told, and fails nothing.
fn space(keeping: &KeepingFacts) -> Verdict {
    let Some(told) = keeping.forecast else {
        return Ok("too little was recorded to tell how long the disk lasts".into());
    };
    let rate = format!("at {} a day", bytes(told.bytes_per_day));
    Ok(match told.days_until_full {
        None => format!("{rate} the {:.1} days asked for fit, {:.1} would", told.wanted_days, told.holds_days),
        Some(days) => format!(
            "warning: {rate} {:.1} of the {:.1} days asked for fit; the oldest go early in {days:.1} days",
            told.holds_days, told.wanted_days
        ),
    })
}

fn cleaner(keeping: &KeepingFacts) -> Verdict {
    let why = keeping.held_by.as_ref().map(|why| format!(", held back by {why}")).unwrap_or_default();
    match keeping.success_age {
        None => Ok("looks through the archive first".into()),
        Some(age) if age <= keeping.interval + EXPIRY_SLACK => Ok(format!("did its round {} ago{why}", duration(age))),
        Some(age) => Err(format!("has done no whole round for {}{why}", duration(age))),
    }
}

fn actors(actors: &[ActorFacts]) -> Verdict {
    let failed: Vec<&str> = actors.iter().filter(|actor| actor.failed).map(|actor| actor.name.as_str()).collect();
    if failed.is_empty() {
        Ok(format!("{} actors run", actors.len()))
    } else {
        Err(format!("failed again and again: {}", failed.join(", ")))
    }
}

fn recorder(device: &DeviceFacts) -> Verdict {
    let reason = device.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match device.status.as_str() {
        "starting" if device.since.is_none_or(|since| since < START_GRACE) => return Ok("is starting".into()),
        "online" | "degraded" => {}
        status => return Err(format!("is {status}{reason}")),
    }
    match device.segment_age {
        Some(age) if age <= SEGMENT_AGE_MAX => Ok(format!("newest segment is {} old", duration(age))),
        Some(age) => Err(format!("newest segment is {} old", duration(age))),
        None if device.since.is_none_or(|since| since < START_GRACE) => Ok("waits for its first segment".into()),
        None => Err("has made no segment".into()),
    }
}

/// Only judged while segments arrive: an offline device has nothing to commit.
fn commits(device: &DeviceFacts) -> Verdict {
    if device.segment_age.is_none_or(|age| age > SEGMENT_AGE_MAX) {
        return Ok("nothing to commit".into());
    }
    let limit = 2 * device.commit + COMMIT_SLACK;
    match device.committed_age {
        Some(age) if age <= limit => Ok(format!("on disk up to {} ago", duration(age))),
        Some(age) => Err(format!("on disk only up to {} ago, should be within {}", duration(age), duration(limit))),
        None if device.since.is_none_or(|since| since < limit) => Ok("waits for its first commit".into()),
        None => Err(format!("nothing on disk after {}", duration(device.since.unwrap_or_default()))),
    }
}

/// The archiver evicts on every arrival, so hot never exceeds the quota by more than what arrived just now.
fn archiver(device: &DeviceFacts) -> Verdict {
    let told = format!("{} of {} in hot", bytes(device.hot_bytes), bytes(device.quota_bytes));
    if device.hot_bytes <= device.quota_bytes.saturating_add(device.quota_bytes / 20) { Ok(told) } else { Err(told) }
}

fn hot_quota(device: &DeviceFacts) -> Verdict {
    let needed = device.live_window_bytes;
    if needed <= device.quota_bytes {
        return Ok(format!("the live window needs {} of {}", bytes(needed), bytes(device.quota_bytes)));
    }
    Err(format!(
        "the live window needs {} at this bit rate but hot.device_bytes is {}: raise it or lower hot.segments",
        bytes(needed),
        bytes(device.quota_bytes)
    ))
}

fn oldest_chunk(device: &DeviceFacts) -> Verdict {
    let Some(age) = device.oldest_chunk_age else { return Ok("no chunk yet".into()) };
    let told = format!("oldest chunk is {} old, kept for {}", duration(age), duration(device.window));
    if age <= device.window + EXPIRY_SLACK { Ok(told) } else { Err(told) }
}

/// `1.5 GiB`, for people.
pub fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// `3 s`, `12 min`, `5.2 h`, for people.
fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    fn well() -> DeviceFacts {
        DeviceFacts {
            id: "cam".into(),
            status: "online".into(),
            reason: None,
            since: seconds(1000),
            segment_age: seconds(1),
            committed_age: seconds(61),
            oldest_chunk_age: seconds(24 * 3600 + 600),
            hot_bytes: 50 << 20,
            live_window_bytes: 40 << 20,
            quota_bytes: 200 << 20,
            commit: Duration::from_secs(60),
            window: Duration::from_secs(24 * 3600),
        }
    }

    fn host() -> HostFacts {
        HostFacts {
            hot: HotSide {
                path: "/run/capstan".into(),
                space: Some(HotFacts { is_tmpfs: true, size_bytes: 1 << 30, free_bytes: 3 << 28 }),
                quota_bytes: 800 << 20,
            },
            archive: ArchiveFacts {
                root: "/var/lib/capstan".into(),
                volume: Ok(()),
                free_bytes: 10 << 30,
                min_free_bytes: 512 << 20,
                keeping: Some(KeepingFacts {
                    forecast: None,
                    interval: Duration::from_secs(60),
                    success_age: seconds(30),
                    held_by: None,
                    library: Some(Ok("is there".into())),
                }),
            },
            ffmpeg: Ok("ffmpeg version 5.1".into()),
            database: Ok("is whole".into()),
            transcoder: Some(TranscoderFacts { work: Ok("waits: idle".into()), files: Ok("none".into()) }),
            actors: vec![ActorFacts { name: "device/cam/merger".into(), failed: false }],
            devices: vec![well()],
        }
    }

    /// The names of the checks that fail, with parts of their messages.
    fn check(change: impl FnOnce(&mut HostFacts), expected: &[(&str, &str)]) {
        let mut facts = host();
        change(&mut facts);
        let checks = judge(&facts);
        let failed: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
        assert_eq!(
            failed.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
            expected.iter().map(|e| e.0).collect::<Vec<_>>()
        );
        for (check, (_, part)) in failed.iter().zip(expected) {
            assert!(check.message.contains(part), "{check:?} should contain {part:?}");
        }
        assert_eq!(healthy(&checks), expected.is_empty());
    }

    #[test]
    fn a_well_host_passes_all() {
        check(|_| {}, &[]);
        assert_eq!(judge(&host()).len(), 16);
    }

    #[test]
    fn the_host_is_judged() {
        check(|f| f.hot.space = None, &[("hot", "hot setup")]);
        check(|f| f.hot.space = f.hot.space.map(|s| HotFacts { is_tmpfs: false, ..s }), &[("hot", "not tmpfs")]);
        check(|f| f.hot.space = f.hot.space.map(|s| HotFacts { free_bytes: 74 << 20, ..s }), &[("hot", "92 %")]);
        check(|f| f.hot.quota_bytes = 2 << 30, &[("hot", "2.0 GiB")]);
        check(|f| f.archive.volume = Err("is read-only".into()), &[("archive", "read-only")]);
        check(|f| f.archive.free_bytes = 1 << 20, &[("free_space", "1.0 MiB free")]);
        check(|f| f.ffmpeg = Err("ffmpeg: not found".into()), &[("ffmpeg", "not found")]);
        check(|f| f.database = Err("disk I/O error".into()), &[("database", "I/O")]);
        let transcoder = |work: Verdict, files: Verdict| Some(TranscoderFacts { work, files });
        check(|f| f.transcoder = transcoder(Err("for 31 min".into()), Ok("".into())), &[("transcoder", "31 min")]);
        check(|f| f.transcoder = transcoder(Ok("".into()), Err("cannot".into())), &[("transcoded", "cannot")]);
        check(|f| f.transcoder = None, &[]);
        check(|f| f.actors[0].failed = true, &[("actors", "cam/merger")]);
        let keeping = |change: fn(&mut KeepingFacts), expected: &[(&str, &str)]| {
            check(|f| change(f.archive.keeping.as_mut().unwrap()), expected);
        };
        keeping(|k| k.library = Some(Err("nothing is mounted".into())), &[("library", "mounted")]);
        keeping(|k| (k.success_age, k.held_by) = (seconds(4 * 3600), Some("cpu".into())), &[("cleaner", "by cpu")]);
        // A disk that holds less than was asked for is told, not an alarm.
        let short = Forecast { bytes_per_day: 1 << 30, days_until_full: Some(2.0), holds_days: 5.0, wanted_days: 31.0 };
        let told = KeepingFacts { forecast: Some(short), ..KeepingFacts::default() };
        assert!(space(&told).is_ok_and(|text| text.starts_with("warning: at 1.0 GiB a day 5.0 of the 31.0 days")));
    }

    #[test]
    fn each_device_is_judged() {
        let device =
            |change: fn(&mut DeviceFacts), expected: &[(&str, &str)]| check(|f| change(&mut f.devices[0]), expected);
        device(|d| d.status = "disabled".into(), &[]);
        device(
            |d| (d.status, d.reason) = ("offline".into(), Some("refused".into())),
            &[("recorder", "offline: refused")],
        );
        device(|d| d.segment_age = seconds(60), &[("recorder", "60 s old")]);
        device(|d| (d.status, d.since) = ("starting".into(), seconds(5)), &[]);
        device(|d| (d.status, d.since) = ("starting".into(), seconds(60)), &[("recorder", "starting")]);
        device(|d| d.committed_age = seconds(400), &[("commits", "within 2 min")]);
        device(|d| (d.committed_age, d.since) = (None, seconds(20)), &[]);
        device(|d| d.committed_age = None, &[("commits", "nothing on disk")]);
        device(|d| d.hot_bytes = 220 << 20, &[("archiver", "220.0 MiB of 200.0 MiB")]);
        device(|d| d.live_window_bytes = 300 << 20, &[("hot_quota", "hot.device_bytes")]);
        device(|d| d.oldest_chunk_age = seconds(30 * 3600), &[("oldest_chunk", "30.0 h")]);
    }
}
