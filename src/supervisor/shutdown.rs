//! The end of the daemon: signals, the second signal, and the watchdog of last resort.
//!
//! Signals are served by a thread of their own. Neither a busy event loop nor a stalled disk keeps the daemon from
//! hearing that it should end, from ending at once when told twice, or from ending at last after a limit.

use std::{io, sync::mpsc, thread, time::Duration};

use slog::{Logger, crit, info};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// EX_TEMPFAIL of sysexits.h: an orderly stop took too long; what is in hot is merged at the next start.
pub const EXIT_TOO_SLOW: i32 = 75;

/// Knows whether the daemon has been asked to end or to read its settings again.
#[derive(Clone)]
pub struct Shutdown {
    asked: CancellationToken,
    reloads: watch::Receiver<u64>,
}

impl Shutdown {
    /// Takes SIGTERM, SIGINT and SIGHUP for the rest of the process.
    ///
    /// The first SIGTERM or SIGINT (or [`ask`](Self::ask)) resolves [`asked`](Self::asked) and starts the last-resort
    /// watchdog: `_exit(75)` after `limit`. The second signal ends the process at once with 128 + its number.
    pub fn listen(log: Logger, limit: Duration) -> Result<Self> {
        let asked = CancellationToken::new();
        let (reload, reloads) = watch::channel(0);
        let (ready, listening) = mpsc::channel();
        let token = asked.clone();
        let serve = move || match listeners() {
            Ok((runtime, signals)) => {
                let _ = ready.send(Ok(()));
                runtime.block_on(serve(signals, token, reload, limit, log));
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        };
        let failed = |error| Error::io("listening for signals", "", error);
        thread::Builder::new().name("signals".into()).spawn(serve).map_err(failed)?;
        listening.recv().unwrap_or_else(|_| Err(io::Error::other("the signal thread ended"))).map_err(failed)?;
        Ok(Self { asked, reloads })
    }

    /// Resolves when the daemon should end.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    pub fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Cancelled when the daemon should end.
    pub fn token(&self) -> &CancellationToken {
        &self.asked
    }

    /// Asks as the first signal does.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Resolves at the next SIGHUP; those that came together count as one.
    pub async fn next_reload(&mut self) {
        if self.reloads.changed().await.is_err() {
            // The signal thread ended: no reload will come.
            std::future::pending::<()>().await;
        }
    }
}

struct Listeners {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

fn listeners() -> io::Result<(tokio::runtime::Runtime, Listeners)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let inside = runtime.enter();
    let signals = Listeners {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hangup: signal(SignalKind::hangup())?,
    };
    drop(inside);
    Ok((runtime, signals))
}

async fn serve(
    mut signals: Listeners,
    asked: CancellationToken,
    reload: watch::Sender<u64>,
    limit: Duration,
    log: Logger,
) {
    let mut told = false;
    loop {
        let (name, number) = tokio::select! {
            _ = signals.terminate.recv() => ("SIGTERM", libc::SIGTERM),
            _ = signals.interrupt.recv() => ("SIGINT", libc::SIGINT),
            _ = signals.hangup.recv() => {
                info!(log, "reload asked"; "by" => "SIGHUP");
                reload.send_modify(|count| *count += 1);
                continue;
            }
            () = asked.cancelled(), if !told => ("request", 0),
        };
        if told {
            crit!(log, "second signal, ending at once"; "by" => name);
            exit_now(128 + number);
        }
        told = true;
        info!(log, "stop asked"; "by" => name, "limit_seconds" => limit.as_secs());
        exit_after(limit, log.clone());
        asked.cancel();
    }
}

/// Ends the process with [`EXIT_TOO_SLOW`] after `limit`, whatever the rest of it does.
pub fn exit_after(limit: Duration, log: Logger) {
    let watchdog = thread::Builder::new().name("last-resort".into()).spawn(move || {
        thread::sleep(limit);
        crit!(log, "stop took too long, ending at once"; "limit_ms" => u64::try_from(limit.as_millis()).unwrap_or(0));
        // Lets the log thread write that line; it may be what is stuck, so no longer.
        thread::sleep(Duration::from_millis(50));
        exit_now(EXIT_TOO_SLOW);
    });
    // No thread to be had: an end without a limit would be worse than a hasty one.
    if watchdog.is_err() {
        exit_now(EXIT_TOO_SLOW);
    }
}

fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any code and does not return. It runs no exit handlers: those may wait for a stuck thread.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        os::unix::process::ExitStatusExt,
        process::{Child, ChildStdout, Command, Stdio},
    };

    use super::*;

    const ROLE: &str = "CAPSTAN_TEST_ROLE";

    /// A process of this very test binary that runs only the test of that full name. Through a shell, so that
    /// `WATCHDOG_PID` can be its own, as systemd sets it.
    pub(crate) fn this_test(name: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        let exe = std::env::current_exe().unwrap();
        let (_crate, name) = name.split_once("::").unwrap();
        command.args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"]).arg(exe);
        command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
        command
    }

    /// Says one line to the test that started this process.
    fn say(line: &str) {
        let mut out = io::stdout();
        writeln!(out, "\n> {line}").unwrap();
        out.flush().unwrap();
    }

    /// The daemon's side of the tests below: they start this very test with a role. Without one there is nothing to do.
    #[test]
    fn in_the_role_of_the_daemon() {
        let Ok(role) = std::env::var(ROLE) else { return };
        let log = Logger::root(slog::Discard, slog::o!());
        let limit = Duration::from_millis(if role == "slow" { 100 } else { 60_000 });
        let mut shutdown = Shutdown::listen(log, limit).unwrap();
        say("listening");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            loop {
                let stop = shutdown.clone();
                tokio::select! {
                    () = stop.asked() => break,
                    () = shutdown.next_reload() => say("reload"),
                }
            }
        });
        say("asked");
        // The event loop is stuck from here on; only the second signal or the watchdog ends this process.
        loop {
            thread::park();
        }
    }

    struct Daemon {
        child: Child,
        lines: BufReader<ChildStdout>,
    }

    impl Daemon {
        fn start(role: &str) -> Self {
            let mut child = this_test(concat!(module_path!(), "::in_the_role_of_the_daemon"))
                .env(ROLE, role)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap());
            let mut daemon = Self { child, lines };
            daemon.hear("listening");
            daemon
        }

        /// Reads until the line is said; a daemon that ends instead fails the test.
        fn hear(&mut self, wanted: &str) {
            let mut line = String::new();
            while line.trim_end() != format!("> {wanted}") {
                line.clear();
                assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "ended before it said {wanted}");
            }
        }

        fn signal(&self, signal: rustix::process::Signal) {
            let pid = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(pid, signal).unwrap();
        }

        fn exit_code(mut self) -> i32 {
            let status = self.child.wait().unwrap();
            status.code().unwrap_or_else(|| -status.signal().unwrap())
        }
    }

    use rustix::process::Signal as Sig;

    #[test]
    fn the_first_signal_asks_the_second_ends() {
        for (first, second, code) in
            [(Sig::TERM, Sig::TERM, 143), (Sig::INT, Sig::TERM, 143), (Sig::TERM, Sig::INT, 130)]
        {
            let mut daemon = Daemon::start("stuck");
            daemon.signal(first);
            daemon.hear("asked");
            daemon.signal(second);
            assert_eq!(daemon.exit_code(), code, "{first:?} then {second:?}");
        }
    }

    #[test]
    fn a_stop_that_takes_too_long_is_ended() {
        let mut daemon = Daemon::start("slow");
        daemon.signal(Sig::TERM);
        daemon.hear("asked");
        assert_eq!(daemon.exit_code(), EXIT_TOO_SLOW);
    }

    #[test]
    fn a_hangup_asks_for_a_reload_each_time() {
        let mut daemon = Daemon::start("stuck");
        for _ in 0..2 {
            daemon.signal(Sig::HUP);
            daemon.hear("reload");
        }
        daemon.signal(Sig::TERM);
        daemon.hear("asked");
        daemon.signal(Sig::TERM);
        assert_eq!(daemon.exit_code(), 143);
    }
}
