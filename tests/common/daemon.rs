//! Starts the built binary with settings of its own, asks it over HTTP, kills it, starts it again.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::{fs::MetadataExt as _, net::UnixStream, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, SystemTime},
};

use capstan::{
    ids::SegmentKey,
    media::mp4,
    storage::layout::{ChunkKey, ColdLayout, HotKind, HotLayout, RingSlot, parse_hot_name},
};
use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::{HotDir, LoopDisk, holds_within, http, now, until};

/// What a test daemon is given. Folders live as long as this does, over any number of starts.
pub struct Setup {
    settings: toml::Table,
    environment: Vec<(String, String)>,
    open_files: Option<u32>,
    pub hot: HotDir,
    /// None: a plain folder of the target directory.
    pub disk: Option<LoopDisk>,
    folder: tempfile::TempDir,
}

impl Setup {
    /// Commits every 2 s, chunks of 10 s, 32 MiB of hot per device, a plain folder as archive.
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let setup = Self {
            settings: toml::Table::new(),
            environment: Vec::new(),
            open_files: None,
            hot: HotDir::new(),
            disk: None,
            folder,
        };
        let (root, hot) = (setup.folder.path().join("root"), setup.hot.hot());
        setup
            // Whoever tests access says so; everybody else asks as before there was any.
            .set("auth.enabled", false)
            .set("storage.root", root.to_str().unwrap())
            .set("storage.hot", hot.to_str().unwrap())
            .set("archive.commit_seconds", 2)
            .set("archive.chunk_seconds", 10)
            .set("archive.min_free_bytes", "16MiB")
            .set("hot.device_bytes", "32MiB")
            .set("hot.captures", 30)
            .set("hot.thumbnails", 30)
    }

    /// Records onto this disk, which the daemon must find mounted.
    pub fn on(self, disk: LoopDisk) -> Self {
        let root = disk.root();
        let mut setup = self.set("storage.root", root.to_str().unwrap()).set("storage.require_mount", true);
        setup.disk = Some(disk);
        setup
    }

    /// `set("archive.commit_seconds", 2)`.
    pub fn set(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        let (section, option) = key.split_once('.').expect("section.option");
        let table = self.settings.entry(section).or_insert_with(|| toml::Table::new().into());
        table.as_table_mut().unwrap().insert(option.into(), value.into());
        self
    }

    /// `fields` is TOML: `source = { kind = "test" }` and whatever else a camera may say.
    pub fn camera(mut self, id: &str, fields: &str) -> Self {
        let mut camera: toml::Table = fields.parse().unwrap();
        camera.insert("id".into(), id.into());
        let cameras = self.settings.entry("camera").or_insert_with(|| toml::Value::Array(Vec::new()));
        cameras.as_array_mut().unwrap().push(camera.into());
        self
    }

    /// The same id from now on with these fields; for the next start.
    pub fn change_camera(&mut self, id: &str, fields: &str) {
        let mut camera: toml::Table = fields.parse().unwrap();
        camera.insert("id".into(), id.into());
        let cameras = self.settings["camera"].as_array_mut().unwrap();
        let place = cameras.iter().position(|camera| camera["id"].as_str() == Some(id)).unwrap();
        cameras[place] = camera.into();
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The hard limit of `capstan serve`; that of the tests otherwise.
    pub fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    pub fn root(&self) -> PathBuf {
        PathBuf::from(self.settings["storage"]["root"].as_str().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the settings and returns the file.
    pub fn write(&self) -> PathBuf {
        let file = self.folder.path().join("capstan.toml");
        fs::write(&file, toml::to_string(&self.settings).unwrap()).unwrap();
        file
    }

    /// `capstan ARGUMENTS --config FILE`, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.open_files {
            Some(limit) => {
                let mut shell = Command::new("sh");
                let limited = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
                shell.args(["-c", &limited, env!("CARGO_BIN_EXE_capstan")]).args(arguments).stdin(Stdio::null());
                shell
            }
            None => capstan(arguments),
        };
        command.arg("--config").arg(self.write()).envs(self.environment.iter().cloned());
        command
    }
}

/// The built binary with a clean environment of Capstan's own variables.
pub fn capstan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capstan"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAPSTAN__")) {
        command.env_remove(name);
    }
    command
}

/// Runs to its end; panics when that takes longer than a minute: encoding is niced. Returns the code and everything it said.
pub fn finished(mut command: Command) -> (i32, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut status = None;
    let ended = holds_within(Duration::from_secs(60), || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if !ended {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(ended, "{command:?} goes on: {said}");
    (status.and_then(|status| status.code()).unwrap_or(-1), said)
}

pub struct TestDaemon {
    pub setup: Setup,
    child: Child,
    address: SocketAddr,
    starts: u32,
}

impl TestDaemon {
    /// Starts and waits until it is ready.
    #[track_caller]
    pub fn start(setup: Setup) -> Self {
        let address = free_address();
        let setup = setup.set("server.listen", address.to_string());
        let child = spawn(&setup, 1);
        let mut daemon = Self { setup, child, address, starts: 1 };
        daemon.wait_ready();
        daemon
    }

    /// Starts again after [`kill`](Self::kill) or [`stop`](Self::stop), on the same address and folders.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.starts += 1;
        self.child = spawn(&self.setup, self.starts);
        self.wait_ready();
    }

    #[track_caller]
    fn wait_ready(&mut self) {
        let (address, child) = (self.address, &mut self.child);
        let mut ended = None;
        let ready = holds_within(Duration::from_secs(20), || {
            ended = child.try_wait().unwrap();
            ended.is_some() || http::request(address, "GET", "/readyz", &[]).is_ok_and(|reply| reply.status == 200)
        });
        assert!(ready && ended.is_none(), "the daemon is not ready (ended: {ended:?})\n{}", self.log());
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SIGKILL: no chance to say goodbye.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// SIGTERM; returns how it ended and how long that took. Panics after 15 s (10 s are promised).
    #[track_caller]
    pub fn stop(&mut self) -> (ExitStatus, Duration) {
        let start = now();
        self.signal(Signal::TERM);
        let child = &mut self.child;
        let mut status = None;
        until("the daemon ends after SIGTERM", 15, || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), now().since(start))
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> http::Response {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> http::Response {
        http::request(self.address, "GET", path, headers).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        self.get(path).json()
    }

    /// One request of the command line, over the control socket.
    #[track_caller]
    pub fn control(&self, request: &Value) -> Value {
        let mut stream = UnixStream::connect(HotLayout::new(self.setup.hot.hot()).control_socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The value of one series of `/metrics`, by its full name with labels in any order; None when it is not there.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let text = self.get("/metrics").text();
        let line = text.lines().find(|line| {
            let Some(rest) = line.strip_prefix(name) else { return false };
            let whole = rest.starts_with(['{', ' ']);
            whole && labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub fn committed_seconds(&self, device: &str) -> f64 {
        self.metric("capstan_committed_seconds_total", &[("device", device)]).unwrap_or(0.0)
    }

    /// Sum over all reasons.
    pub fn lost_seconds(&self, device: &str) -> f64 {
        let text = self.get("/metrics").text();
        let lost = text.lines().filter(|line| {
            line.starts_with("capstan_lost_seconds_total{") && line.contains(&format!("device=\"{device}\""))
        });
        lost.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// `online`, `offline`, … of `/api/host/state`.
    pub fn device_status(&self, device: &str) -> String {
        let state = self.json("/api/host/state");
        let found = find_device(&state, device).unwrap_or_else(|| panic!("{device} is not in {state:#}"));
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Everything the daemon logged since this start.
    pub fn log(&self) -> String {
        fs::read_to_string(log_file(&self.setup, self.starts)).unwrap_or_default()
    }

    /// Processes of this daemon: `(pid, folder it works in and command line)`.
    pub fn children(&self) -> Vec<(Pid, String)> {
        children_of(self.pid())
    }

    /// Finished segments in hot, in order.
    pub fn hot_segments(&self, device: &str) -> Vec<PathBuf> {
        let folder = HotLayout::new(self.setup.hot.hot()).folder(&device.parse().unwrap(), HotKind::Segment);
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries
            .filter_map(|entry| Some((parse_hot_name(HotKind::Segment, entry.file_name().to_str()?)?, entry.path())))
            .collect();
        found.sort();
        found.into_iter().map(|(_, path)| path).collect()
    }

    /// Sealed chunks of the ring in the order they were sealed.
    pub fn ring(&self, device: &str) -> Vec<PathBuf> {
        let segments = ColdLayout::new(self.setup.root()).segments(&device.parse().unwrap());
        let hours = fs::read_dir(segments).into_iter().flatten().flatten();
        let mut found = Vec::new();
        for hour in hours {
            let name = hour.file_name().into_string().unwrap_or_default();
            for chunk in fs::read_dir(hour.path()).into_iter().flatten().flatten() {
                if RingSlot::parse(&name, chunk.file_name().to_str().unwrap_or_default()).is_some() {
                    found.push(chunk.path());
                }
            }
        }
        by_time(found)
    }

    /// Chunks in `temp`: the open one, and parts that await recovery.
    pub fn open_chunks(&self, device: &str) -> Vec<PathBuf> {
        let temp = ColdLayout::new(self.setup.root()).temp(&device.parse().unwrap());
        let entries = fs::read_dir(temp).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_chunk = |path: &PathBuf| path.file_name().and_then(|name| ChunkKey::parse(name.to_str()?)).is_some();
        by_time(entries.filter(is_chunk).collect())
    }

    /// Everything recorded, oldest first.
    pub fn chunks(&self, device: &str) -> Vec<PathBuf> {
        let mut all = self.ring(device);
        all.extend(self.open_chunks(device));
        // A power cut may bring back the name in temp of a chunk that is in the ring already.
        let mut files = HashSet::new();
        all.retain(|path| fs::metadata(path).is_ok_and(|meta| files.insert(meta.ino())));
        all
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            println!("--- the daemon's last lines");
            tail.iter().rev().for_each(|line| println!("{line}"));
        }
    }
}

fn spawn(setup: &Setup, start: u32) -> Child {
    let log = fs::File::create(log_file(setup, start)).unwrap();
    let mut command = setup.command(&["serve"]);
    command.stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().expect("the binary starts")
}

fn log_file(setup: &Setup, start: u32) -> PathBuf {
    setup.folder().join(format!("daemon-{start}.log"))
}

/// An address that was free a moment ago. The kernel gives each asker another one, so tests do not meet.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap()
}

/// As recorded: by the last segment that each says it holds, whatever the clock did; growing ones come last. The time of
/// the last write alone would not do: two files of one commit may share a tick of the file system's clock.
fn by_time(files: Vec<PathBuf>) -> Vec<PathBuf> {
    // What moved from temp into the ring since it was listed is left out.
    let mut keyed: Vec<_> = files.into_iter().filter_map(|path| Some((recorded(&path).ok()?, path))).collect();
    keyed.sort();
    keyed.into_iter().map(|(_, path)| path).collect()
}

fn recorded(path: &Path) -> io::Result<(bool, Option<SegmentKey>, SystemTime)> {
    let (file, mut first) = (File::open(path)?, Vec::new());
    let written = file.metadata()?.modified()?;
    file.take(4096).read_to_end(&mut first)?;
    let sealed = mp4::head(&first).and_then(|meta| meta.sealed).and_then(|sealed| sealed.last_mark);
    Ok((sealed.is_none(), sealed.map(|mark| mark.last), written))
}

pub fn children_of(parent: Pid) -> Vec<(Pid, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { continue };
        // proc(5): pid (comm) state ppid …; comm may hold anything, so count from its end.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        if after.split(' ').nth(1) == Some(&parent.as_raw_nonzero().to_string()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let folder = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            found.push((pid, format!("{}/ {}", folder.display(), String::from_utf8_lossy(&line).replace('\0', " "))));
        }
    }
    found
}

/// The `status` beside the device's id, wherever the tree keeps it.
fn find_device<'a>(value: &'a Value, device: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => {
            let named = ["id", "device"].iter().any(|key| map.get(*key).and_then(Value::as_str) == Some(device));
            let own = map.get("status").filter(|status| named && status.is_string());
            own.or_else(|| map.values().find_map(|inner| find_device(inner, device)))
        }
        Value::Array(items) => items.iter().find_map(|inner| find_device(inner, device)),
        _ => None,
    }
}

/// What a process has used so far.
pub struct Usage {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
}

impl Usage {
    pub fn of(pid: Pid) -> Self {
        let process = procfs::process::Process::new(pid.as_raw_nonzero().get()).unwrap();
        let stat = process.stat().unwrap();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss * rustix::param::page_size() as u64,
        }
    }
}

/// True while a process of this id exists and is not a zombie.
pub fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// True when the process ended by this signal.
pub fn ended_by(status: ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal.as_raw())
}
