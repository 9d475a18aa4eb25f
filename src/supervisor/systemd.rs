//! The talk with the service manager: ready, reloading, stopping, and the watchdog's sign of life.

use std::{thread, time::Duration};

use sd_notify::NotifyState;
use slog::{Logger, crit, warn};

/// The service manager, when there is one: without `NOTIFY_SOCKET` every call does nothing. See sd_notify(3).
#[derive(Clone)]
pub struct Systemd {
    log: Logger,
}

impl Systemd {
    pub fn new(log: Logger) -> Self {
        Self { log }
    }

    /// Recording has begun.
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Before settings are read again; [`ready`](Self::ready) ends it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.tell(&[NotifyState::Status(text)]);
    }

    /// Pings the service manager's watchdog (`WatchdogSec`) from a thread of its own, but only while `is_alive`, as
    /// of [`Supervisor::is_alive`](super::Supervisor::is_alive): a daemon that lives and no longer supervises is
    /// restarted. Returns whether the manager wants pings.
    pub fn ping_while(&self, is_alive: impl Fn() -> bool + Send + 'static) -> bool {
        let mut limit_us = 0;
        if !sd_notify::watchdog_enabled(false, &mut limit_us) {
            return false;
        }
        // A quarter: sd_watchdog_enabled(3) advises half; one late ping must not be the end.
        let pause = Duration::from_micros(limit_us / 4);
        let manager = self.clone();
        let ping = move || {
            let mut was_alive = true;
            loop {
                let alive = is_alive();
                match (was_alive, alive) {
                    (_, true) => manager.tell(&[NotifyState::Watchdog]),
                    (true, false) => crit!(manager.log, "supervision stands still, watchdog no longer pinged"),
                    (false, false) => {}
                }
                was_alive = alive;
                thread::sleep(pause);
            }
        };
        let started = thread::Builder::new().name("watchdog".into()).spawn(ping);
        if let Err(error) = &started {
            warn!(self.log, "no watchdog thread"; "error" => %error);
        }
        started.is_ok()
    }

    fn tell(&self, state: &[NotifyState]) {
        if let Err(error) = sd_notify::notify(false, state) {
            warn!(self.log, "service manager not told"; "error" => %error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        os::unix::net::UnixDatagram,
        process::Stdio,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::{super::shutdown::tests::this_test, *};

    /// The daemon's side of the test below, which starts this one as a process with a `NOTIFY_SOCKET`.
    #[test]
    fn in_the_role_of_the_daemon() {
        let manager = Systemd::new(Logger::root(slog::Discard, slog::o!()));
        if std::env::var_os("WATCHDOG_USEC").is_none() {
            assert!(!manager.ping_while(|| true), "nobody wants pings");
            return;
        }
        static ALIVE: AtomicBool = AtomicBool::new(true);
        manager.ready();
        assert!(manager.ping_while(|| ALIVE.load(Ordering::SeqCst)));
        io::stdin().read_line(&mut String::new()).unwrap();
        ALIVE.store(false, Ordering::SeqCst);
        manager.reloading();
        manager.stopping();
    }

    #[test]
    fn the_service_manager_hears_of_every_step_and_of_life() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut child = this_test(concat!(module_path!(), "::in_the_role_of_the_daemon"))
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "40000")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let hear = || {
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap().trim().to_owned()
        };
        assert_eq!(hear(), "READY=1");
        for _ in 0..3 {
            assert_eq!(hear(), "WATCHDOG=1");
        }
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let mut later = std::iter::repeat_with(hear).skip_while(|said| said == "WATCHDOG=1");
        let reloading = later.next().unwrap();
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(later.find(|said| said != "WATCHDOG=1").unwrap(), "STOPPING=1");
        assert!(child.wait().unwrap().success());
    }
}
