//! The archive volume: proves that the root is the disk it should be, keeps a second daemon out, watches that it stays.

use std::{
    fs::File,
    io::Read,
    ops::Deref,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::fs::{AtFlags, Mode, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Clock,
    config,
    error::{Error, Kind, Result},
    storage::{
        cold::ColdDir,
        index::Place,
        layout::{ColdLayout, Shelf},
        lock,
    },
};

/// The archive, opened and locked. All cold I/O goes through it; see [`ColdDir`] for the operations.
#[derive(Debug)]
pub struct Volume {
    dir: ColdDir,
    layout: ColdLayout,
    rules: Rules,
    /// Unset while a library of its own was never seen.
    id: OnceLock<String>,
    clock: Clock,
    /// `ROOT/.lock`, held with flock; the mutex also keeps two checks from following a new mount at once.
    /// None while the volume is let go.
    lock: Mutex<Option<File>>,
    ok: AtomicBool,
    mounts: AtomicU64,
    /// `[storage] library_root`; never set without one.
    away: OnceLock<Arc<Volume>>,
}

/// What the settings demand of the root.
#[derive(Clone, Debug)]
struct Rules {
    require_mount: bool,
    volume_id: Option<String>,
    /// A library of its own: where nothing is mounted its folder lies on a disk that is not meant.
    not_on_devices: Vec<(u32, u32)>,
}

impl Rules {
    fn own_mount(&self) -> bool {
        self.require_mount || self.volume_id.is_some()
    }
}

/// Content of `ROOT/volume.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    id: String,
    created: String,
}

impl Volume {
    /// Opens the root, makes it where that is allowed, and locks it until the volume is dropped.
    ///
    /// [`Kind::Invalid`]: it is not the mount or volume the settings demand; nothing was written to it then.
    /// [`Kind::Conflict`]: another process holds it; the message names its pid.
    pub fn open(storage: &config::Storage, clock: &Clock) -> Result<Arc<Self>> {
        let rules = Rules {
            require_mount: storage.require_mount,
            volume_id: storage.volume_id.clone(),
            not_on_devices: Vec::new(),
        };
        let root = storage.root.as_path();
        if !rules.own_mount() {
            std::fs::create_dir_all(root).map_err(|error| Error::io("making the archive's root", root, error))?;
        }
        let fd = open_root(root)?;
        rules.check_mount(root, &fd)?;
        let dir = ColdDir::new(root.to_owned(), fd);
        let layout = ColdLayout::new("");
        if rules.volume_id.is_some() {
            rules.check_id(root, read_identity(&dir, &layout)?.as_ref())?;
        }
        let lock = take_lock(&dir, &layout)?;
        let id = match read_identity(&dir, &layout)? {
            Some(identity) => identity.id,
            None => initialise(&dir, &layout, clock)?,
        };
        Ok(Arc::new(Self {
            dir,
            layout,
            rules,
            id: id.into(),
            clock: clock.clone(),
            lock: Mutex::new(Some(lock)),
            ok: AtomicBool::new(true),
            mounts: AtomicU64::new(1),
            away: OnceLock::new(),
        }))
    }

    /// The library's own volume, which may be absent now and come and go as it likes: nothing of it is touched before
    /// [`Self::check`]. It must be another file system than `home`'s and the system's, so that a disk that is missing is
    /// told from an empty one.
    pub fn away(root: &Path, home: &Self) -> Arc<Self> {
        let device_of = |fd: &OwnedFd| statx(fd, root).ok().map(|stat| (stat.stx_dev_major, stat.stx_dev_minor));
        let system = open_root(Path::new("/")).ok();
        let not_on_devices =
            [home.fd().as_deref(), system.as_ref()].into_iter().flatten().filter_map(device_of).collect();
        Arc::new(Self {
            dir: ColdDir::absent(root.to_owned()),
            layout: ColdLayout::new(""),
            rules: Rules { require_mount: false, volume_id: None, not_on_devices },
            id: OnceLock::new(),
            clock: home.clock.clone(),
            lock: Mutex::new(None),
            ok: AtomicBool::new(false),
            mounts: AtomicU64::new(0),
            away: OnceLock::new(),
        })
    }

    /// For whoever works on the archive alone: with the library's own volume by the settings, if it is there.
    pub fn open_with_library(storage: &config::Storage, clock: &Clock) -> Result<Arc<Self>> {
        let home = Self::open(storage, clock)?;
        if let Some(root) = &storage.library_root {
            let away = Self::away(root, &home);
            // Absent it is told as such by whoever wants something of it.
            let _ = away.check();
            home.set_away(away);
        }
        Ok(home)
    }

    /// The library's own volume, when there is one by the settings.
    pub fn library(&self) -> Option<&Arc<Self>> {
        self.away.get()
    }

    /// The volume on which a chunk in that place lies: this one, or the library's own.
    pub fn of(&self, place: Place) -> &Self {
        match place {
            Place::Library(_, Shelf::Away) => self.away.get().map_or(self, |away| away),
            _ => self,
        }
    }

    /// The same for who keeps a handle of it.
    pub fn holding(self: &Arc<Self>, place: Place) -> Arc<Self> {
        match place {
            Place::Library(_, Shelf::Away) => Arc::clone(self.away.get().unwrap_or(self)),
            _ => Arc::clone(self),
        }
    }

    /// Opens a chunk, or what lies beside one, on the volume of its place. [`Kind::Unavailable`] when that is the library's
    /// own and does not answer: the footage is not lost, only out of reach.
    pub fn open_at(&self, place: Place, path: &Path) -> Result<File> {
        let on = self.of(place);
        if !matches!(place, Place::Library(_, Shelf::Away)) {
            return on.open_read(path);
        }
        let away = |why: String| {
            let message = format!("this footage lies on the library's own volume, which is out of reach: {why}");
            Error::new(Kind::Unavailable, message)
        };
        if !on.is_ok() {
            return Err(away("it is not mounted, or does not answer".into()));
        }
        match on.open_read(path) {
            Err(error) if error.kind != Kind::NotFound => Err(away(error.to_string())),
            opened => opened,
        }
    }

    /// Whoever watches it has had no answer for too long: readers are not sent there until the next [`Self::check`].
    pub fn doubt(&self) {
        self.ok.store(false, Ordering::Release);
    }

    /// Where the library lies, when it has a disk of its own. Once, at start.
    pub fn set_away(&self, away: Arc<Self>) {
        // A second call would be a defect of the wiring; the first stays.
        let _ = self.away.set(away);
    }

    /// All volumes on which a library may lie: this one, and the library's own.
    pub fn shelves(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.away.get().map(|away| away.as_ref()))
    }

    /// Paths relative to the root, for every operation of this volume.
    pub fn layout(&self) -> &ColdLayout {
        &self.layout
    }

    /// The id in `volume.json`.
    pub fn id(&self) -> &str {
        self.id.get().map_or("", String::as_str)
    }

    /// Counts how often the root became another mount, or none of ours. A file handle opened at a lower count belongs to
    /// a disk that is gone: close it, and write to a new file.
    pub fn mounts(&self) -> u64 {
        self.mounts.load(Ordering::Acquire)
    }

    /// What the last [`Self::check`] said, or false since an operation failed as on a sick disk. Costs nothing.
    pub fn is_ok(&self) -> bool {
        self.ok.load(Ordering::Acquire) && !self.suspect()
    }

    /// Free bytes for us; 0 when the file system does not answer.
    pub fn free_bytes(&self) -> u64 {
        self.space().map_or(0, |space| space.free_bytes)
    }

    /// Looks whether the root is still the same mounted, writable volume, and follows it onto a new mount of the same
    /// volume. May block as long as the disk does: never call it on an arbiter.
    pub fn check(&self) -> Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.look(&mut lock);
        self.ok.store(found.is_ok(), Ordering::Release);
        if found.is_ok() {
            self.set_suspect(false);
        }
        found
    }

    fn look(&self, lock: &mut Option<File>) -> Result<()> {
        let root = self.root();
        let at_path = open_root(root)?;
        let held = self.fd().filter(|held| {
            let (there, here) = (mount_identity(&at_path, root), mount_identity(held.as_fd(), root));
            matches!((there, here), (Ok(there), Ok(here)) if there == here)
        });
        let held = match held {
            Some(held) => held,
            None => self.follow(at_path, lock).inspect_err(|_| self.let_go(lock))?,
        };
        let flags = rustix::fs::fstatvfs(held)
            .map_err(|error| Error::io("asking for the mount's flags", root, error.into()))?
            .f_flag;
        if flags.contains(StatVfsMountFlags::RDONLY) {
            return Err(Error::new(Kind::Io, "the archive is mounted read-only").at(root.display()));
        }
        // Writing every 5 s would cost the card; after a failure only a real write tells whether it is over.
        if self.suspect() { self.probe() } else { Ok(()) }
    }

    /// The root is another mount now. If it is our volume come back, we go on there.
    fn follow(&self, new: OwnedFd, lock: &mut Option<File>) -> Result<Arc<OwnedFd>> {
        let root = self.root();
        self.rules.check_mount(root, &new)?;
        let new = ColdDir::new(root.to_owned(), new);
        let found = read_identity(&new, &self.layout)?;
        let seen = self.id.get();
        if let Some(seen) = seen.filter(|seen| found.as_ref().map(|identity| &identity.id) != Some(*seen)) {
            return Err(not_the_volume(root, seen, found.as_ref()));
        }
        // The same file system mounted anew: our own lock would stand in our way.
        *lock = None;
        *lock = Some(take_lock(&new, &self.layout)?);
        if seen.is_none() {
            let id = match found {
                Some(identity) => identity.id,
                None => initialise(&new, &self.layout, &self.clock)?,
            };
            let _ = self.id.set(id);
        }
        self.replace_fd(new.fd());
        self.mounts.fetch_add(1, Ordering::AcqRel);
        new.fd().ok_or_else(|| Error::new(Kind::Unavailable, "the archive was let go").at(root.display()))
    }

    /// What we held is no longer mounted. A file system with an open file on it lives on, broken or not: it could be
    /// neither checked nor mounted afresh, so nothing of it is kept open.
    fn let_go(&self, lock: &mut Option<File>) {
        if self.fd().is_some() {
            *lock = None;
            self.replace_fd(None);
            self.mounts.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn probe(&self) -> Result<()> {
        let path = self.layout.probe();
        match self.write_atomic(&path, b"capstan\n").and_then(|()| self.unlink(&path)) {
            // A full disk writes nothing and is well all the same: the cleaner's affair.
            Err(error) if error.kind == Kind::Full => Ok(()),
            done => done,
        }
    }
}

impl Deref for Volume {
    type Target = ColdDir;

    fn deref(&self) -> &ColdDir {
        &self.dir
    }
}

impl Rules {
    fn check_mount(&self, root: &Path, fd: &OwnedFd) -> Result<()> {
        if !self.not_on_devices.is_empty() {
            let stat = statx(fd, root)?;
            if self.not_on_devices.contains(&(stat.stx_dev_major, stat.stx_dev_minor)) {
                let message = "no disk of its own is mounted here for storage.library_root";
                return Err(Error::new(Kind::Unavailable, message).at(root.display()));
            }
        }
        if !self.own_mount() || is_mount_root(fd, root)? {
            return Ok(());
        }
        let message = "nothing is mounted here, but storage.require_mount or storage.volume_id demands a volume of its \
                       own: mount it, or correct the setting";
        Err(Error::new(Kind::Invalid, message).at(root.display()))
    }

    fn check_id(&self, root: &Path, found: Option<&Identity>) -> Result<()> {
        match &self.volume_id {
            Some(wanted) if found.map(|identity| &identity.id) != Some(wanted) => {
                Err(not_the_volume(root, wanted, found))
            }
            _ => Ok(()),
        }
    }
}

fn not_the_volume(root: &Path, wanted: &str, found: Option<&Identity>) -> Error {
    let has = match found {
        Some(identity) => format!("is volume {}", identity.id),
        None => "holds no volume.json".to_owned(),
    };
    let message = format!("{has}, not volume {wanted}: mount the right disk, or correct storage.volume_id");
    Error::new(Kind::Invalid, message).at(root.display())
}

fn open_root(root: &Path) -> Result<OwnedFd> {
    // Symlinks on the way to the root are the operator's choice; below it there are none.
    rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io("opening the archive's root", root, error.into()))
}

/// Device, inode and mount of a directory: together they change whenever something else is mounted there.
fn mount_identity(fd: impl AsFd, root: &Path) -> Result<(u32, u32, u64, u64)> {
    let stat = statx(fd, root)?;
    Ok((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino, stat.stx_mnt_id))
}

fn is_mount_root(fd: &OwnedFd, root: &Path) -> Result<bool> {
    let stat = statx(fd, root)?;
    if stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    // Linux before 5.8: another device than the parent's. Misses bind mounts of the same file system.
    let above = rustix::fs::openat(fd, "..", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io("opening the parent of", root, error.into()))?;
    let above = statx(&above, root)?;
    Ok((above.stx_dev_major, above.stx_dev_minor) != (stat.stx_dev_major, stat.stx_dev_minor))
}

fn statx(fd: impl AsFd, root: &Path) -> Result<rustix::fs::Statx> {
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)
        .map_err(|error| Error::io("looking at", root, error.into()))
}

fn take_lock(dir: &ColdDir, layout: &ColdLayout) -> Result<File> {
    let path = layout.lock();
    if !dir.exists(&path) {
        match dir.create_new(&path) {
            Err(error) if error.kind != Kind::Conflict => return Err(error),
            _ => {}
        }
    }
    // Held for reading: a file open for writing would forbid the operator to remount the volume read-only.
    let mut file = dir.open_read(&path)?;
    if !lock::lock(&file).map_err(|error| Error::io("locking", dir.root().join(&path), error.into()))? {
        let mut holder = String::new();
        let _ = Read::by_ref(&mut file).take(32).read_to_string(&mut holder);
        let holder = match holder.trim() {
            "" => "another process".to_owned(),
            pid => format!("process {pid}"),
        };
        let message = format!("{holder} already runs on this archive: stop it, or choose another storage.root");
        return Err(Error::new(Kind::Conflict, message).at(dir.root().display()));
    }
    // Informative only, so neither flushed nor fatal.
    let pid = format!("{:<10}\n", std::process::id());
    if let Ok(writable) = dir.open_rw(&path) {
        let _ = dir.write_at(&writable, &path, pid.as_bytes(), 0);
    }
    Ok(file)
}

/// None when the root was never initialised. An unreadable text counts as that: recording matters more, and with a
/// demanded id it is refused anyway.
fn read_identity(dir: &ColdDir, layout: &ColdLayout) -> Result<Option<Identity>> {
    let file = match dir.open_read(&layout.volume()) {
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.take(64 << 10)
        .read_to_string(&mut text)
        .map_err(|error| Error::io("reading", dir.root().join(layout.volume()), error))?;
    Ok(serde_json::from_str(&text).ok())
}

fn initialise(dir: &ColdDir, layout: &ColdLayout, clock: &Clock) -> Result<String> {
    let id = random_id()?;
    let identity = Identity { id: id.clone(), created: clock.wall().rfc3339() };
    let text = serde_json::to_string(&identity).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    dir.write_atomic(&layout.volume(), format!("{text}\n").as_bytes())?;
    Ok(id)
}

/// 128 random bits in hex.
fn random_id() -> Result<String> {
    let source = Path::new("/dev/urandom");
    let mut bits = [0_u8; 16];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bits))
        .map_err(|error| Error::io("drawing a volume id", source, error))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bits)))
}

#[cfg(test)]
mod tests;
