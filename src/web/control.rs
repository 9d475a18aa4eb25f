//! The daemon's end of `HOT/control.sock`, and the words spoken on it: one JSON line asks, one JSON line answers.
//!
//! ```text
//! > {"op":"archive_list","device":"lobby"}
//! < {"ok":[…]}                      or  {"error":{"kind":"not_found","message":"…"}}
//! ```
//! Whoever may open the socket is trusted: it is 0600, and the caller's uid must be the daemon's or root's.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::Work;
use crate::{
    access::Command,
    error::{Error, Kind, Result},
    ids::DeviceId,
    supervisor::Poison,
};

/// What the command line may ask a running daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// `[Check]`.
    Health,
    /// The body of `/api/host/state`.
    State,
    /// `[ArchiveRow]`, all devices when none is named.
    ArchiveList {
        device: Option<DeviceId>,
    },
    /// `[ArchiveRow]` with what is wrong with each file.
    ArchiveVerify {
        device: Option<DeviceId>,
    },
    /// The same after mending what can be mended; the open chunk is left alone.
    ArchiveRepair {
        device: Option<DeviceId>,
    },
    /// `[ToldPin]`, of all devices when none is named.
    Pins {
        device: Option<DeviceId>,
    },
    /// The body of a POST to `/api/host/pins`; answers the pin.
    Pin {
        wish: Value,
    },
    /// Takes one back.
    Unpin {
        id: i64,
    },
    /// The body of `/api/transcode`.
    TranscodeStats,
    TranscodeEnable,
    TranscodeDisable,
    /// `{success, queued, gate}`; an absolute path, or one relative to the archive's root.
    TranscodeFile {
        file: PathBuf,
    },
    TranscodeAll {
        force: bool,
    },
    TranscodeRollback {
        file: PathBuf,
    },
    /// `[camera]` as `/api/cameras` tells it.
    CameraList,
    /// The camera, in the shape of `[[camera]]`.
    CameraAdd {
        camera: Value,
    },
    CameraRemove {
        id: DeviceId,
    },
    CameraEnable {
        id: DeviceId,
        enabled: bool,
    },
    /// What came of reading the settings file again.
    Reload,
    /// Users and their tokens.
    User {
        command: Command,
    },
    /// A token of this run for the command line, which then asks over HTTP.
    Pass,
    /// Breaks an actor on purpose, by its full name; refused unless started with `CAPSTAN_FAULTS=1`.
    Inject {
        actor: String,
        poison: Poison,
    },
}

impl Request {
    /// What is to be done with which device's files, if that is what it asks.
    pub fn archive(&self) -> Option<(Work, Option<&DeviceId>)> {
        match self {
            Self::ArchiveList { device } => Some((Work::List, device.as_ref())),
            Self::ArchiveVerify { device } => Some((Work::Verify, device.as_ref())),
            Self::ArchiveRepair { device } => Some((Work::Repair, device.as_ref())),
            _ => None,
        }
    }
}

/// Answers a request; runs on a thread of its own, may take its time.
pub type Handler = Arc<dyn Fn(Request) -> Result<Value> + Send + Sync>;

/// Longest request; ours are a few dozen bytes.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// Callers at a time; more are told to come back.
const CALLERS_MAX: usize = 8;
/// For a caller that connects and says nothing.
const SILENCE: Duration = Duration::from_secs(10);

/// The listening socket; dropping it stops listening and removes the file.
pub struct ControlServer {
    path: PathBuf,
    stop: Arc<AtomicBool>,
}

impl ControlServer {
    /// Listens at `path`. A file left by a killed daemon is replaced; a socket that answers is a conflict.
    pub fn start(path: &Path, handler: Handler, log: slog::Logger) -> Result<Self> {
        let failed = |error| Error::io("listen for commands", path, error);
        if UnixStream::connect(path).is_ok() {
            return Err(Error::new(Kind::Conflict, "another daemon listens here").at(path.display()));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        // Connecting before this line is harmless: the uid is checked as well.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let server = Self { path: path.to_owned(), stop: Arc::clone(&stop) };
        thread::Builder::new()
            .name("control".into())
            .spawn(move || accept(&listener, &stop, &handler, &log))
            .map_err(failed)?;
        Ok(server)
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread out of accept(); without it the thread would live until the next caller.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
    }
}

fn accept(listener: &UnixListener, stop: &AtomicBool, handler: &Handler, log: &slog::Logger) {
    let callers = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                slog::warn!(log, "control socket cannot accept"; "error" => %error);
                // Out of descriptors, most likely: without a pause this would spin.
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if callers.fetch_add(1, Ordering::Relaxed) >= CALLERS_MAX {
            callers.fetch_sub(1, Ordering::Relaxed);
            send(&stream, &Err(Error::new(Kind::Unavailable, "too many commands at once")));
            continue;
        }
        let (handler, done) = (Arc::clone(handler), Arc::clone(&callers));
        let started = thread::Builder::new().name("control-caller".into()).spawn(move || {
            let _counted = Counted(done);
            let _ = stream.set_read_timeout(Some(SILENCE));
            let _ = stream.set_write_timeout(Some(SILENCE));
            let reply = trusted(&stream).and_then(|()| read_request(&stream)).and_then(|request| handler(request));
            send(&stream, &reply);
        });
        if started.is_err() {
            callers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Gives its place back also when the handler panics.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn trusted(stream: &UnixStream) -> Result<()> {
    let caller = rustix::net::sockopt::socket_peercred(stream)
        .map_err(|error| Error::io("ask who calls", "control.sock", error.into()))?;
    let us = rustix::process::geteuid();
    if caller.uid == us || caller.uid.is_root() {
        return Ok(());
    }
    Err(Error::new(Kind::Forbidden, format!("uid {} may not give commands", caller.uid.as_raw())))
}

fn read_request(stream: &UnixStream) -> Result<Request> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX))
        .read_line(&mut line)
        .map_err(|error| Error::io("read the command", "control.sock", error))?;
    serde_json::from_str(&line).map_err(|error| Error::new(Kind::Invalid, format!("not a command: {error}")))
}

fn send(mut stream: &UnixStream, reply: &Result<Value>) {
    let mut line = match reply {
        Ok(value) => json!({ "ok": value }),
        // Unlike HTTP, the caller is the operator: paths and errno are what they need.
        Err(error) => json!({"error": {"kind": error.kind.name(), "message": error.to_string()}}),
    }
    .to_string();
    line.push('\n');
    // A caller that went away has no use for the answer.
    let _ = stream.write_all(line.as_bytes());
}

/// Asks the daemon behind `path`. None: no daemon listens there.
pub fn ask(path: &Path, request: &Request, limit: Duration) -> Result<Option<Value>> {
    let failed = |error| Error::io("ask the daemon", path, error);
    let mut stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    stream.set_read_timeout(Some(limit)).map_err(failed)?;
    let line = serde_json::to_string(request).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    stream.write_all(format!("{line}\n").as_bytes()).map_err(failed)?;
    let mut reply = String::new();
    BufReader::new(&stream).read_line(&mut reply).map_err(failed)?;
    let reply: Value = serde_json::from_str(&reply)
        .map_err(|_| Error::new(Kind::Unavailable, "the daemon hung up without an answer").at(path.display()))?;
    match (reply.get("ok"), reply.get("error")) {
        (Some(value), _) => Ok(Some(value.clone())),
        (None, error) => {
            let message = error.and_then(|error| error.get("message")).and_then(Value::as_str);
            Err(Error::new(Kind::Unavailable, message.unwrap_or("the daemon gave no answer")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> slog::Logger {
        slog::Logger::root(slog::Discard, slog::o!())
    }

    fn echo() -> Handler {
        Arc::new(|request| match request {
            Request::Health => Ok(json!("well")),
            Request::State => panic!("a defect in a handler"),
            other => Err(Error::new(Kind::NotFound, format!("{other:?}"))),
        })
    }

    #[test]
    fn commands_are_answered_and_defects_are_survived() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let ask = |request| ask(&path, &request, Duration::from_secs(5));
        assert!(ask(Request::Health).unwrap().is_none(), "no daemon yet");

        let server = ControlServer::start(&path, echo(), quiet()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(ask(Request::Health).unwrap(), Some(json!("well")));
        for _ in 0..2 * CALLERS_MAX {
            assert!(ask(Request::State).is_err());
        }
        let device = Some("lobby".parse().unwrap());
        let refused = ask(Request::ArchiveList { device }).unwrap_err();
        assert!(refused.message.contains("lobby"), "{refused}");

        let second = ControlServer::start(&path, echo(), quiet()).err().expect("two daemons on one socket");
        assert_eq!(second.kind, Kind::Conflict);
        drop(server);
        assert!(ask(Request::Health).unwrap().is_none(), "stopped");
    }

    #[test]
    fn a_socket_left_by_a_killed_daemon_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        let _server = ControlServer::start(&path, echo(), quiet()).unwrap();
        assert_eq!(ask(&path, &Request::Health, Duration::from_secs(5)).unwrap(), Some(json!("well")));
    }

    #[test]
    fn nonsense_is_answered_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let _server = ControlServer::start(&path, echo(), quiet()).unwrap();
        for nonsense in ["", "{}", "{\"op\":\"fly\"}", "{\"op\":\"archive_list\",\"device\":\"../x\"}", "\u{1}"] {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.write_all(format!("{nonsense}\n").as_bytes()).unwrap();
            let mut reply = String::new();
            BufReader::new(stream).read_line(&mut reply).unwrap();
            assert!(reply.contains("not a command"), "{nonsense:?}: {reply}");
        }
    }
}
