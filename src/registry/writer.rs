//! The one thread that writes the database. It gathers what waits into one transaction a second, or at once for people.
//!
//! After a few quiet seconds the log is folded into the file and the file is closed: at rest the database is one file
//! that nobody holds, so that a volume can be remounted or let go of, and a quiet host writes nothing.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    thread,
};

use rusqlite::Connection;
use slog::{info, warn};

use super::{
    RegistryStatus, Shared, State, audit, cameras, incidents, maintenance,
    pending::{Waiting, Work},
    pins,
    sqlite::{self, failed},
    store, viewers,
};
use crate::error::{Error, Kind, Result};

/// Seconds without work after which the file is closed.
const QUIET_TICKS: u32 = 5;
/// Incidents let go of in one transaction.
const LET_GO: usize = 256;

pub struct Writer {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    /// Of the volume, when the connection was opened.
    mounts: u64,
    /// The file was looked through since it was last in doubt.
    checked: bool,
    quiet: u32,
    open: BTreeMap<&'static str, u64>,
    transactions: u64,
    written_bytes: u64,
}

impl Writer {
    pub fn start(shared: Arc<Shared>) -> Result<()> {
        let mut writer = Self {
            shared,
            connection: None,
            mounts: 0,
            checked: false,
            quiet: 0,
            open: BTreeMap::new(),
            transactions: 0,
            written_bytes: 0,
        };
        let spawned = thread::Builder::new().name("registry".into()).spawn(move || writer.run());
        spawned.map(|_| ()).map_err(|error| Error::io("starting the registry's thread", "", error))
    }

    fn run(&mut self) {
        // The first turn opens, whether or not anything waits.
        let mut work = Work { wanted: true, ..Work::default() };
        loop {
            let end = work.end;
            if catch_unwind(AssertUnwindSafe(|| self.turn(work))).is_err() {
                // Hook and log have told. A fresh connection knows nothing of a transaction half done.
                self.connection = None;
            }
            if end {
                break;
            }
            work = self.shared.inbox.next(self.connection.is_some());
        }
        self.close();
        self.shared.inbox.ended();
    }

    fn turn(&mut self, work: Work) {
        self.let_go_of_a_volume_that_went();
        if work.incidents.is_empty() && work.edits.is_empty() && !work.tidy && !work.wanted {
            self.quiet = self.quiet.saturating_add(1);
            match self.quiet {
                quiet if quiet < QUIET_TICKS => {}
                _ if !self.shared.is_read() => self.counted(Self::close),
                QUIET_TICKS => self.counted(|it| it.fold("PASSIVE")),
                _ => {}
            }
            return;
        }
        self.quiet = 0;
        let Work { incidents, mut edits, tidy, .. } = work;
        let outcome = self.counted(|it| it.write(&incidents, &mut edits));
        self.shared.inbox.wrote(&incidents, outcome.is_ok());
        self.tell(&outcome);
        let outcome = outcome.map_err(|error| match error.kind {
            // Whoever asks has done nothing wrong, and cannot help it.
            Kind::Full => error,
            _ => Error::new(Kind::Unavailable, error.message),
        });
        for edit in edits {
            edit.answer(&outcome);
        }
        if tidy && outcome.is_ok() {
            let tidied = self.counted(Self::tidy);
            self.tell(&tidied);
        }
    }

    /// A file system with an open file on it lives on, broken or not (see [`crate::storage::Volume`]).
    fn let_go_of_a_volume_that_went(&mut self) {
        let is_suspect = self.shared.suspect.swap(false, Ordering::AcqRel);
        if is_suspect || self.mounts != self.shared.parts.volume.mounts() {
            self.connection = None;
            self.checked = false;
        }
    }

    fn connection(&mut self) -> Result<&Connection> {
        let parts = &self.shared.parts;
        if self.connection.is_none() {
            self.mounts = parts.volume.mounts();
            let gone = parts.volume.metadata(&parts.volume.layout().database());
            // Somebody deleted it: it is made anew, of its copy and of what is known.
            self.checked &= gone.err().is_none_or(|error| error.kind != Kind::NotFound);
            let opened = if self.checked {
                sqlite::open(&parts.volume.root().join(parts.volume.layout().database()))
                    .map_err(failed("opening the database"))?
            } else {
                let mut is_another = false;
                let opened = store::open(parts, || {
                    is_another = true;
                    self.shared.replaced();
                })?;
                if let Some(known) = self.shared.pins.load_full().filter(|_| is_another) {
                    pins::put_back(&opened, &known)?;
                }
                self.shared.publish(pins::load(&opened)?);
                self.shared.maintenance.store(Arc::new(maintenance::load(&opened)?));
                self.shared.roster.store(Arc::new(self.reinstated(&opened)?));
                self.open = incidents::open_by_kind(&opened)?;
                self.checked = true;
                opened
            };
            self.connection = Some(opened);
        }
        self.connection.as_ref().ok_or_else(|| Error::new(Kind::Internal, "the database is not open"))
    }

    /// What people entered. What was known of it before holds: a file in the place of another knows less.
    fn reinstated(&self, opened: &Connection) -> Result<cameras::Roster> {
        let (found, known) = (cameras::load(opened)?, self.shared.roster.load());
        if !cameras::differs(&found, &known) {
            return Ok(found);
        }
        warn!(self.shared.parts.log, "cameras are written down again"; "count" => known.cameras.len());
        sqlite::savepoint(opened, |connection| cameras::reinstate(connection, &known))?;
        cameras::load(opened)
    }

    /// All of it, or nothing.
    fn write(&mut self, incidents: &[Waiting], edits: &mut [Box<dyn super::pending::Asked>]) -> Result<()> {
        let shared = self.shared.clone();
        let began = shared.parts.clock.mono();
        let connection = self.connection()?;
        if incidents.is_empty() && edits.is_empty() {
            return Ok(());
        }
        // An incident whose last state a power cut takes back goes on or is closed at the next start, by what its device
        // shows then; what people were told is done must stay done.
        let synchronous = if edits.is_empty() { "NORMAL" } else { "FULL" };
        let doing = failed("writing to the database");
        connection.pragma_update(None, "synchronous", synchronous).map_err(&doing)?;
        let done = connection.execute_batch("BEGIN IMMEDIATE").map_err(&doing).and_then(|()| {
            let (maintenance, now) = (shared.maintenance.load(), shared.parts.clock.wall());
            for waiting in incidents.iter().filter(|it| !maintenance.hides(&it.incident, now)) {
                match incidents::save(connection, &waiting.incident) {
                    // Never to be written, however often it is tried.
                    Err(error) if error.kind == Kind::Internal => {
                        warn!(shared.parts.log, "incident cannot be written down"; "id" => &waiting.incident.id,
                            "error" => %error);
                    }
                    done => done?,
                }
            }
            for edit in edits.iter_mut() {
                if let Some(error) = edit.run(connection) {
                    return Err(error);
                }
            }
            connection.execute_batch("COMMIT").map_err(&doing)
        });
        if done.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        done?;
        let open = incidents::open_by_kind(connection)?;
        if !edits.is_empty() {
            shared.maintenance.store(Arc::new(maintenance::load(connection)?));
            shared.publish(pins::load(connection)?);
            if audit::newest(connection)? != shared.roster.load().newest {
                shared.roster.store(Arc::new(cameras::load(connection)?));
            }
        }
        self.open = open;
        self.transactions += 1;
        shared.parts.metrics.db_write_seconds.observe(shared.parts.clock.mono().since(began).as_secs_f64());
        Ok(())
    }

    /// One step; asks for the next when there is more to do.
    fn tidy(&mut self) -> Result<()> {
        let shared = self.shared.clone();
        let now = shared.parts.retention.now().for_ages();
        let most = shared.inbox.room_for_expired().min(LET_GO);
        let connection = self.connection()?;
        let ended = pins::let_go(connection, now)?;
        if ended > 0 {
            shared.publish(pins::load(connection)?);
            info!(shared.parts.log, "pins forgotten that ended a week ago"; "count" => ended);
        }
        viewers::let_go(connection, now)?;
        let gone = sqlite::savepoint(connection, |connection| incidents::let_go(connection, now, most))?;
        if gone.is_empty() {
            // The database itself is well: nothing waits for the copy, and it is tried again in an hour.
            if let Err(error) = store::backup(&shared.parts, connection) {
                warn!(shared.parts.log, "database not copied"; "error" => %error);
            }
            return Ok(());
        }
        shared.changed();
        if gone.len() == LET_GO {
            shared.inbox.tidy();
        }
        info!(shared.parts.log, "old incidents let go of"; "count" => gone.len());
        shared.inbox.add_expired(gone);
        self.transactions += 1;
        Ok(())
    }

    /// Folds the log into the file first: what is closed is whole by itself.
    fn close(&mut self) {
        self.quiet = 0;
        self.fold("TRUNCATE");
        self.connection = None;
    }

    /// Puts what lies in the log into the file, and makes it durable. Readers may hold it back: then the log stays, and
    /// is read with the file.
    fn fold(&self, how: &str) {
        if let Some(connection) = &self.connection {
            let _ = connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(()));
        }
    }

    /// By the kernel's count of what this thread handed to file systems; it writes nothing else.
    fn counted<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = handed_over();
        let done = work(self);
        let bytes = handed_over().saturating_sub(before);
        self.written_bytes += bytes;
        self.shared.parts.metrics.wrote_database(bytes);
        done
    }

    fn tell(&mut self, outcome: &Result<()>) {
        let shared = self.shared.clone();
        let before = shared.status.load();
        let state = match outcome {
            Ok(()) => State::Ready,
            Err(error) if store::is_newer(error) => State::Newer,
            Err(_) => State::Failing,
        };
        match outcome {
            Ok(()) if before.state != State::Ready => info!(shared.parts.log, "database is ready"),
            Err(error) if before.state != state => {
                warn!(shared.parts.log, "database cannot be used"; "error" => %error)
            }
            _ => {}
        }
        if let Err(error) = outcome {
            // A full disk and a busy one leave the connection as it was.
            if !matches!(error.kind, Kind::Full | Kind::Unavailable) {
                self.connection = None;
                self.checked &= error.kind != Kind::Corrupt;
            }
        }
        let metrics = &shared.parts.metrics;
        metrics.db_ok.set(i64::from(state == State::Ready));
        shared.status.store(Arc::new(RegistryStatus {
            state,
            error: outcome.as_ref().err().map(ToString::to_string),
            bytes: store::bytes(&shared.parts.volume),
            written_bytes: self.written_bytes,
            transactions: self.transactions,
            last_backup: store::last_backup(&shared.parts),
            open: self.open.clone(),
            ..RegistryStatus::default()
        }));
        shared.inbox.opened();
    }
}

/// Bytes of all writes of this thread; 0 where the kernel does not count.
fn handed_over() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
