//! A file that appears whole or not at all, and the bar that tells how far it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{IsTerminal, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{AtFlags, CWD, linkat};

use crate::{
    clock::{Clock, Mono},
    error::{Error, Kind, Result},
};

/// The file in the making, on the file system where it will be.
///
/// It has no name until [`publish`](Self::publish), so nothing is left when we are killed; where the file system knows no
/// such files it has a hidden one.
#[derive(Debug)]
pub struct Aside {
    file: File,
    to: PathBuf,
    name: PathBuf,
    is_named: bool,
}

impl Aside {
    pub fn beside(to: &Path) -> Result<Self> {
        let (Some(last), false) = (to.file_name(), to.is_dir()) else {
            return Err(Error::new(Kind::Conflict, "is not the name of a file").at(to.display()));
        };
        let folder = match to.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(last);
        hidden.push(format!(".{}.part", std::process::id()));
        let name = folder.join(hidden);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let unnamed = options.clone().custom_flags(libc::O_TMPFILE).open(folder);
        let (file, is_named) = match unnamed {
            Ok(file) => (file, false),
            Err(_) => (options.create_new(true).open(&name).map_err(|error| failed(to, error))?, true),
        };
        Ok(Self { file, to: to.to_owned(), name, is_named })
    }

    /// Where another process of ours can open it.
    pub fn path(&self) -> PathBuf {
        if self.is_named {
            return self.name.clone();
        }
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| failed(&self.to, error))
    }

    /// Gives it its name, in place of what had it; durable when this returns. Its bytes.
    pub fn publish(mut self) -> Result<u64> {
        let failed = |error| failed(&self.to, error);
        self.file.sync_all().map_err(failed)?;
        let bytes = self.file.metadata().map_err(failed)?.len();
        if !self.is_named {
            // A link cannot replace a file, a rename can.
            linkat(CWD, self.path(), CWD, &self.name, AtFlags::SYMLINK_FOLLOW).map_err(|error| failed(error.into()))?;
            self.is_named = true;
        }
        fs::rename(&self.name, &self.to).map_err(|error| self::failed(&self.to, error))?;
        self.is_named = false;
        if let Some(folder) = self.name.parent() {
            // Not every file system syncs folders; the file is whole in any case.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(bytes)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.is_named {
            let _ = fs::remove_file(&self.name);
        }
    }
}

fn failed(to: &Path, error: std::io::Error) -> Error {
    Error::io("writing the clip", to, error)
}

/// Drawn on a terminal only, a few times a second.
pub struct Bar {
    clock: Option<Clock>,
    last: Option<Mono>,
}

const BAR_CELLS: usize = 30;
const REDRAW: Duration = Duration::from_millis(100);

impl Bar {
    pub fn new() -> Self {
        Self { clock: std::io::stderr().is_terminal().then(Clock::system), last: None }
    }

    /// `share`: 0 to 1.
    pub fn show(&mut self, share: f64, note: &str) {
        let Some(now) = self.clock.as_ref().map(Clock::mono) else { return };
        if self.last.is_none_or(|last| share >= 1.0 || now.since(last) >= REDRAW) {
            self.last = Some(now);
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}", line(share, note));
        }
    }

    /// Takes it off the terminal.
    pub fn finish(&mut self) {
        if self.last.take().is_some() {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

fn line(share: f64, note: &str) -> String {
    let share = share.clamp(0.0, 1.0);
    let full = (share * BAR_CELLS as f64) as usize;
    format!("[{}{}] {:3.0} %  {note}", "#".repeat(full), "-".repeat(BAR_CELLS - full), (share * 100.0).floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        let check = |share: f64, full: usize, percent: &str| {
            let expected = format!("[{}{}] {percent} %  x", "#".repeat(full), "-".repeat(30 - full));
            assert_eq!(line(share, "x"), expected);
        };
        check(0.0, 0, "  0");
        check(0.5, 15, " 50");
        check(0.999, 29, " 99");
        check(1.0, 30, "100");
        check(7.0, 30, "100");
        check(-1.0, 0, "  0");
        check(f64::NAN, 0, "NaN");
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("x.mp4");
        let listed = || fs::read_dir(folder.path()).unwrap().count();
        fs::write(&to, "old").unwrap();
        let mut given_up = Aside::beside(&to).unwrap();
        given_up.write(b"half").unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"old");
        drop(given_up);
        assert_eq!((listed(), fs::read(&to).unwrap()), (1, b"old".to_vec()));

        let mut whole = Aside::beside(&to).unwrap();
        whole.write(b"who").unwrap();
        whole.write(b"le").unwrap();
        assert_eq!(fs::read(whole.path()).unwrap(), b"whole", "other processes find it");
        assert_eq!(whole.publish().unwrap(), 5);
        assert_eq!((listed(), fs::read(&to).unwrap()), (1, b"whole".to_vec()));

        assert_eq!(Aside::beside(folder.path()).unwrap_err().kind, Kind::Conflict);
        assert!(Aside::beside(&folder.path().join("no/x.mp4")).is_err());
    }
}
