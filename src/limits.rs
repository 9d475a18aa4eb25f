//! Binds the daemon's own memory and CPU without binding FFmpeg: two groups inside the one systemd delegates to us.
//!
//! FFmpeg's children share the unit's control group, and so do the pages of hot that they fill: `MemoryMax=` in the unit
//! would end recordings to contain a leak of ours. So the unit delegates its group, the daemon moves into `daemon/`
//! with limits, and every FFmpeg is born into `work/` without (docs/decisions/0003-limits.md). Outside systemd
//! (`make run`, tests) nothing is asked for and nothing happens.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    config::Bytes,
    error::{Error, Kind, Result},
};

/// The period of `cpu.max` in µs; the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

/// What the unit asks for in its environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `CAPSTAN_DAEMON_MEMORY_MAX=512MiB`.
    pub memory_bytes: Option<u64>,
    /// `CAPSTAN_DAEMON_CPU_MAX=200%`: percent of one core.
    pub cpu_percent: Option<u64>,
}

impl Limits {
    /// Reads both through `get`, which is `std::env::var` outside tests.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let memory_bytes = read(&get, "CAPSTAN_DAEMON_MEMORY_MAX", |text| text.parse::<Bytes>().ok().map(|b| b.0))?;
        let cpu_percent = read(&get, "CAPSTAN_DAEMON_CPU_MAX", |text| {
            text.strip_suffix('%')?.parse().ok().filter(|percent| (1..=100_000).contains(percent))
        })?;
        Ok(Self { memory_bytes, cpu_percent })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn read(get: impl Fn(&str) -> Option<String>, name: &str, parse: impl Fn(&str) -> Option<u64>) -> Result<Option<u64>> {
    let Some(text) = get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match parse(&text) {
        Some(number) => Ok(Some(number)),
        None => Err(Error::new(Kind::Invalid, format!("{text:?} must look like 512MiB or 200%")).at(name)),
    }
}

/// What the unit sets too: enough for 64 devices and thousands of viewers, whatever shell started the daemon.
const OPEN_FILES_WISHED: u64 = 65_536;

/// Raises the soft limit on open files, which shells set to 1024, as far as the hard one allows. Returns what holds now.
pub fn raise_open_files() -> u64 {
    let had = getrlimit(Resource::Nofile);
    let wished = had.maximum.unwrap_or(u64::MAX).min(OPEN_FILES_WISHED);
    let current = had.current.unwrap_or(u64::MAX);
    if current < wished && setrlimit(Resource::Nofile, Rlimit { current: Some(wished), ..had }).is_ok() {
        return wished;
    }
    current
}

/// Where children go. Cheap to clone; empty outside systemd.
#[derive(Clone, Debug, Default)]
pub struct WorkGroup(Option<Arc<File>>);

impl WorkGroup {
    /// Moves the calling process into the group. One `write(2)`: safe between fork and exec.
    pub fn enter(&self) -> io::Result<()> {
        match &self.0 {
            // "0" is the writer itself.
            Some(procs) => procs.as_ref().write_all(b"0"),
            None => Ok(()),
        }
    }

    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// The delegated group of this process: `/sys/fs/cgroup` + the `0::` line of `/proc/self/cgroup`.
pub fn own_group(cgroup_fs: &Path, proc_self_cgroup: &str) -> Option<PathBuf> {
    let path = proc_self_cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(cgroup_fs.join(path.trim_start_matches('/')))
}

/// Splits `group` and moves this process into its limited half. Call it once, before any child exists.
///
/// Returns where children go, and the limits that this kernel does not offer (its controllers are elsewhere or off).
///
/// # Errors
/// The group is not ours to split: not delegated, or no cgroup v2.
pub fn split(group: &Path, limits: Limits) -> Result<(WorkGroup, Vec<&'static str>)> {
    let (daemon, work) = (group.join("daemon"), group.join("work"));
    for half in [&daemon, &work] {
        match fs::create_dir(half) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("split the control group", half, error));
            }
            _ => {}
        }
    }
    // First out of the parent: controllers cannot be handed down while a process lives in it.
    put(&daemon.join("cgroup.procs"), "0")?;
    let mut missing = Vec::new();
    if let Some(bytes) = limits.memory_bytes {
        let file = daemon.join("memory.max");
        if put(&group.join("cgroup.subtree_control"), "+memory").and_then(|()| put(&file, &bytes.to_string())).is_err()
        {
            missing.push("memory");
        }
    }
    if let Some(percent) = limits.cpu_percent {
        let quota = format!("{} {CPU_PERIOD_US}", percent * CPU_PERIOD_US / 100);
        let file = daemon.join("cpu.max");
        if put(&group.join("cgroup.subtree_control"), "+cpu").and_then(|()| put(&file, &quota)).is_err() {
            missing.push("cpu");
        }
    }
    let procs = work.join("cgroup.procs");
    let procs = open(&procs).map_err(|error| Error::io("open the group of children", &procs, error))?;
    Ok((WorkGroup(Some(Arc::new(procs))), missing))
}

fn put(file: &Path, text: &str) -> Result<()> {
    open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .map_err(|error| Error::io(format!("write {text:?}"), file, error))
}

fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile);
        let now = raise_open_files();
        assert!(now >= before.current.unwrap_or(u64::MAX), "{now} {before:?}");
        assert!(now >= before.maximum.unwrap_or(u64::MAX).min(OPEN_FILES_WISHED), "{now} {before:?}");
        assert_eq!(raise_open_files(), now);
    }

    #[test]
    fn limits_are_read_from_the_units_environment() {
        let check = |memory: &str, cpu: &str, expected: Option<Limits>| {
            let get = |name: &str| {
                let text = if name.contains("MEMORY") { memory } else { cpu };
                (!text.is_empty()).then(|| text.to_owned())
            };
            assert_eq!(Limits::from_environment(get).ok(), expected, "{memory} {cpu}");
        };
        let limits = |memory_bytes, cpu_percent| Some(Limits { memory_bytes, cpu_percent });
        check("", "", limits(None, None));
        check("512MiB", "200%", limits(Some(512 << 20), Some(200)));
        check("512MiB", "", limits(Some(512 << 20), None));
        check("much", "", None);
        check("", "200", None);
        check("", "0%", None);
    }

    #[test]
    fn the_own_group_is_the_unified_line() {
        let text = "5:memory:/old\n0::/system.slice/capstan.service\n";
        let expected = Path::new("/sys/fs/cgroup/system.slice/capstan.service");
        assert_eq!(own_group(Path::new("/sys/fs/cgroup"), text).as_deref(), Some(expected));
        assert_eq!(own_group(Path::new("/sys/fs/cgroup"), "5:memory:/old\n"), None);
    }

    /// A folder with the files that the kernel would make.
    fn fake_group(controllers: bool) -> tempfile::TempDir {
        let group = tempfile::tempdir().unwrap();
        let mut files = vec!["cgroup.subtree_control", "daemon/cgroup.procs", "work/cgroup.procs"];
        if controllers {
            files.extend(["daemon/memory.max", "daemon/cpu.max"]);
        }
        for file in files {
            let path = group.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(path).unwrap();
        }
        group
    }

    #[test]
    fn the_daemon_is_bound_and_children_are_not() {
        let group = fake_group(true);
        let limits = Limits { memory_bytes: Some(1 << 20), cpu_percent: Some(150) };
        let (work, missing) = split(group.path(), limits).unwrap();
        assert!(missing.is_empty());
        work.enter().unwrap();
        let read = |file: &str| fs::read_to_string(group.path().join(file)).unwrap();
        assert_eq!(read("daemon/cgroup.procs"), "0");
        assert_eq!(read("daemon/memory.max"), "1048576");
        assert_eq!(read("daemon/cpu.max"), "150000 100000");
        assert_eq!(read("work/cgroup.procs"), "0");
    }

    #[test]
    fn missing_controllers_are_told_and_the_split_stands() {
        let group = fake_group(false);
        let limits = Limits { memory_bytes: Some(1), cpu_percent: Some(1) };
        let (work, missing) = split(group.path(), limits).unwrap();
        assert!(work.is_some());
        assert_eq!(missing, ["memory", "cpu"]);
    }

    #[test]
    fn a_group_that_is_not_ours_is_an_error() {
        assert!(split(Path::new("/proc/self/no-group"), Limits::default()).is_err());
        WorkGroup::default().enter().unwrap();
    }
}
