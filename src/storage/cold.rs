//! File operations on the archive, all relative to one held directory: after an unmount they cannot land beneath.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags};

use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    error::{Error, Kind, Result},
    storage::faults::{Faults, Op},
};

/// What the daemon makes is for its user alone to write and its group to read.
const FILE_MODE: Mode = Mode::from_raw_mode(0o640);
const DIR_MODE: Mode = Mode::from_raw_mode(0o750);

/// The archive's root directory, held open. Paths given to it are relative, as `ColdLayout::new("")` makes them.
#[derive(Debug)]
pub struct ColdDir {
    root: PathBuf,
    /// None while the file system it belonged to is no longer mounted at the root.
    fd: ArcSwapOption<OwnedFd>,
    suspect: AtomicBool,
    faults: Faults,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: OsString,
    pub is_dir: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMeta {
    pub bytes: u64,
    pub is_dir: bool,
    pub modified: Utc90k,
    pub inode: u64,
    /// It has another name, too.
    pub is_linked: bool,
}

impl ColdDir {
    pub(super) fn new(root: PathBuf, fd: OwnedFd) -> Self {
        Self { fd: ArcSwapOption::from_pointee(fd), ..Self::absent(root) }
    }

    /// Nothing is mounted there yet.
    pub(super) fn absent(root: PathBuf) -> Self {
        Self { root, fd: ArcSwapOption::empty(), suspect: AtomicBool::new(false), faults: Faults::default() }
    }

    /// The absolute path the operator knows. For messages only: opening by it would miss an unmount.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Test hooks.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn fd(&self) -> Option<Arc<OwnedFd>> {
        self.fd.load_full()
    }

    /// With None every operation fails as on a device that is gone.
    pub(super) fn replace_fd(&self, fd: Option<Arc<OwnedFd>>) {
        self.fd.store(fd);
    }

    /// True after an operation failed in a way that speaks against the whole volume.
    pub(super) fn suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    pub(super) fn set_suspect(&self, suspect: bool) {
        self.suspect.store(suspect, Ordering::Release);
    }

    pub fn open_read(&self, path: &Path) -> Result<File> {
        self.open("opening", Op::Read, path, OFlags::RDONLY)
    }

    /// Opens an existing file for reading and writing.
    pub fn open_rw(&self, path: &Path) -> Result<File> {
        self.open("opening for writing", Op::Create, path, OFlags::RDWR)
    }

    /// Makes a file that must not exist yet ([`Kind::Conflict`] if it does). Its name is durable only after [`Self::fsync_dir`] of its folder.
    pub fn create_new(&self, path: &Path) -> Result<File> {
        self.open("creating", Op::Create, path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
            .map_err(conflict_when_taken)
    }

    /// Replaces a small file so that a power cut leaves the old or the new content: write aside, fsync, rename, fsync.
    pub fn write_atomic(&self, path: &Path, content: &[u8]) -> Result<()> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".tmp");
        let aside = PathBuf::from(aside);
        let file = self.open("creating", Op::Create, &aside, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        let written = self.write_at(&file, &aside, content, 0).and_then(|()| self.sync_data(&file, &aside));
        drop(file);
        if let Err(error) = written.and_then(|()| self.rename(&aside, path)) {
            // A full disk must not be filled by halves.
            let _ = self.unlink(&aside);
            return Err(error);
        }
        self.fsync_dir(parent(path))
    }

    /// Writes all of `bytes` at `offset`. `path` is for the message.
    pub fn write_at(&self, file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<()> {
        let done = self.faults.strike(Op::Write).and_then(|()| file.write_all_at(bytes, offset));
        self.told("writing", path, done)
    }

    /// fdatasync: the file's bytes and its length are durable afterwards. After a failure nothing may be assumed.
    pub fn sync_data(&self, file: &File, path: &Path) -> Result<()> {
        let done = self.faults.strike(Op::SyncFile).and_then(|()| file.sync_data());
        self.told("flushing", path, done)
    }

    /// Renames over whatever is at `to`.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.at("renaming to", Op::Rename, to, |fd| fs::renameat(fd, relative(from)?, fd, to))
    }

    /// Renames, or fails with [`Kind::Conflict`] when `to` is taken.
    pub fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        let done = self.at("renaming to", Op::Rename, to, |fd| {
            match fs::renameat_with(fd, relative(from)?, fd, to, RenameFlags::NOREPLACE) {
                // A file system without the flag: one daemon per root makes look-then-rename safe enough.
                Err(rustix::io::Errno::INVAL) => match fs::statat(fd, to, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(_) => Err(rustix::io::Errno::EXIST),
                    Err(_) => fs::renameat(fd, from, fd, to),
                },
                done => done,
            }
        });
        done.map_err(conflict_when_taken)
    }

    /// Each takes the other's name, at once.
    pub fn exchange(&self, one: &Path, other: &Path) -> Result<()> {
        let flags = RenameFlags::EXCHANGE;
        self.at("exchanging", Op::Rename, other, |fd| fs::renameat_with(fd, relative(one)?, fd, other, flags))
    }

    /// Hard link, or [`Kind::Conflict`] when `to` is taken.
    pub fn link(&self, from: &Path, to: &Path) -> Result<()> {
        let done = self.at("linking", Op::Link, to, |fd| fs::linkat(fd, relative(from)?, fd, to, AtFlags::empty()));
        done.map_err(conflict_when_taken)
    }

    pub fn unlink(&self, path: &Path) -> Result<()> {
        self.at("deleting", Op::Unlink, path, |fd| fs::unlinkat(fd, path, AtFlags::empty()))
    }

    /// Deletes an empty folder.
    pub fn rmdir(&self, path: &Path) -> Result<()> {
        self.at("deleting folder", Op::Unlink, path, |fd| fs::unlinkat(fd, path, AtFlags::REMOVEDIR))
    }

    /// Makes `path` and what is missing above it; each new name is fsynced into its parent.
    pub fn mkdir_all(&self, path: &Path) -> Result<()> {
        let mut made = PathBuf::new();
        for part in path.components() {
            let above = made.clone();
            made.push(part);
            match self.at("making folder", Op::Mkdir, &made, |fd| fs::mkdirat(fd, &made, DIR_MODE)) {
                Ok(()) => self.fsync_dir(&above)?,
                Err(error) if is(&error, io::ErrorKind::AlreadyExists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the names in a folder durable. `""` is the root.
    pub fn fsync_dir(&self, path: &Path) -> Result<()> {
        self.at("flushing folder", Op::SyncDir, dot(path), |fd| fs::fsync(open_dir(fd, path)?))
    }

    /// Names in a folder in no order, without `.` and `..`; an absent folder is empty.
    pub fn read_dir(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let list = self.at("listing", Op::Read, dot(path), |fd| {
            let dir = open_dir(fd, path)?;
            let mut list = Vec::new();
            for entry in fs::Dir::read_from(&dir)? {
                let entry = entry?;
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." {
                    continue;
                }
                let is_dir = match entry.file_type() {
                    // Some file systems do not tell the type while listing.
                    FileType::Unknown => {
                        let stat = fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                        FileType::from_raw_mode(stat.st_mode) == FileType::Directory
                    }
                    kind => kind == FileType::Directory,
                };
                list.push(DirEntry { name: name.to_owned(), is_dir });
            }
            Ok(list)
        });
        match list {
            Err(error) if error.kind == Kind::NotFound => Ok(Vec::new()),
            list => list,
        }
    }

    pub fn metadata(&self, path: &Path) -> Result<FileMeta> {
        self.at("reading", Op::Read, path, |fd| fs::statat(fd, path, AtFlags::SYMLINK_NOFOLLOW)).map(|stat| FileMeta {
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            is_dir: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
            modified: Utc90k(
                stat.st_mtime.saturating_mul(TICKS_PER_SECOND) + (stat.st_mtime_nsec as i64) * 9 / 100_000,
            ),
            inode: stat.st_ino,
            is_linked: stat.st_nlink > 1,
        })
    }

    /// Whether the path names anything; an error counts as no.
    pub fn exists(&self, path: &Path) -> bool {
        self.metadata(path).is_ok()
    }

    /// Space left for us on the file system, and its size.
    pub fn space(&self) -> Result<Space> {
        let stat = self.at("asking for free space", Op::Read, Path::new("."), |fd| fs::fstatvfs(fd))?;
        Ok(Space { free_bytes: stat.f_bavail * stat.f_frsize, total_bytes: stat.f_blocks * stat.f_frsize })
    }

    /// Tells the volume of a failure that happened on a file handle of its own, so that the next check looks closer.
    pub fn note(&self, error: &io::Error) {
        // Not ENOSPC: a full disk is the expected disk.
        const AGAINST_THE_VOLUME: [i32; 7] =
            [libc::EIO, libc::EROFS, libc::ENODEV, libc::ENXIO, libc::ESTALE, libc::ESHUTDOWN, libc::ENOTCONN];
        if error.raw_os_error().is_some_and(|errno| AGAINST_THE_VOLUME.contains(&errno)) {
            self.set_suspect(true);
        }
    }

    fn open(&self, doing: &str, op: Op, path: &Path, flags: OFlags) -> Result<File> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        self.at(doing, op, path, |fd| fs::openat(fd, path, flags, FILE_MODE)).map(File::from)
    }

    fn at<T>(
        &self,
        doing: &str,
        op: Op,
        path: &Path,
        call: impl FnOnce(&OwnedFd) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let done = self.faults.strike(op).and_then(|()| {
            relative(path)?;
            Ok(call(self.fd().ok_or(rustix::io::Errno::NODEV)?.as_ref())?)
        });
        self.told(doing, path, done)
    }

    fn told<T>(&self, doing: &str, path: &Path, done: io::Result<T>) -> Result<T> {
        done.map_err(|error| {
            self.note(&error);
            let missing = error.kind() == io::ErrorKind::NotFound;
            let mut error = Error::io(doing, self.root.join(path), error);
            if missing {
                error.kind = Kind::NotFound;
            }
            error
        })
    }
}

/// Of the archive's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// Whether an operating-system error of this kind is behind `error`.
fn is(error: &Error, kind: io::ErrorKind) -> bool {
    error.os().is_some_and(|os| os.kind() == kind)
}

fn conflict_when_taken(mut error: Error) -> Error {
    if is(&error, io::ErrorKind::AlreadyExists) {
        error.kind = Kind::Conflict;
    }
    error
}

/// Refuses what would leave the held directory.
fn relative(path: &Path) -> rustix::io::Result<&Path> {
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if inside { Ok(path) } else { Err(rustix::io::Errno::INVAL) }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn dot(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn open_dir(fd: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    fs::openat(fd, dot(path), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}
