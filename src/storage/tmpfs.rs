//! Proves that hot is RAM: a tmpfs large enough for the quotas of all devices. Anything else would wear out the card.

use std::{fs::File, path::Path};

use crate::{
    error::{Error, Kind, Result},
    storage::lock::lock,
};

/// `TMPFS_MAGIC` of statfs(2). ramfs is refused on purpose: it has no size and would eat the machine.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// What hot is, for `doctor` and `hot status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotFacts {
    pub is_tmpfs: bool,
    /// 0 = a tmpfs without limit.
    pub size_bytes: u64,
    pub free_bytes: u64,
}

/// Looks at the file system under `path`, or under its nearest existing parent.
pub fn hot_facts(path: &Path) -> Result<HotFacts> {
    let mut there = path;
    while !there.exists() {
        there = there.parent().ok_or_else(|| Error::new(Kind::NotFound, "no such folder").at(path.display()))?;
    }
    let stat = rustix::fs::statfs(there).map_err(|error| Error::io("looking at hot", there, error.into()))?;
    let block = u64::try_from(stat.f_bsize).unwrap_or(0);
    Ok(HotFacts {
        #[allow(clippy::unnecessary_cast)] // f_type's width differs between architectures.
        is_tmpfs: stat.f_type as i64 == TMPFS_MAGIC,
        size_bytes: stat.f_blocks.saturating_mul(block),
        free_bytes: stat.f_bavail.saturating_mul(block),
    })
}

/// Refuses a hot folder that is not on tmpfs, or whose tmpfs is smaller than `quotas_bytes` (the sum over devices),
/// and makes the folder where its parent is a fitting tmpfs. The message says how to put it right.
pub fn check_hot(path: &Path, quotas_bytes: u64) -> Result<HotFacts> {
    let facts = look(path, quotas_bytes)?;
    std::fs::create_dir_all(path).map_err(|error| Error::io("making the hot folder", path, error))?;
    Ok(facts)
}

/// Keeps every other daemon out of the hot folder for as long as the returned handle lives; a killed daemon's is let go
/// by the kernel. The folder itself is locked, so that nothing is left behind in it.
pub fn lock_hot(path: &Path) -> Result<File> {
    let folder = File::open(path).map_err(|error| Error::io("opening the hot folder", path, error))?;
    if lock(&folder).map_err(|error| Error::io("locking the hot folder", path, error.into()))? {
        return Ok(folder);
    }
    let message = "another daemon already runs on this hot folder: stop it, or choose another storage.hot";
    Err(Error::new(Kind::Conflict, message).at(path.display()))
}

/// The same without making anything: the check that is repeated every few seconds.
pub fn look(path: &Path, quotas_bytes: u64) -> Result<HotFacts> {
    let facts = hot_facts(path)?;
    judge(path, facts, quotas_bytes)?;
    Ok(facts)
}

fn judge(path: &Path, facts: HotFacts, quotas_bytes: u64) -> Result<()> {
    // A tenth more than the quotas: files FFmpeg is still writing, playlists, the directory entries themselves.
    let megabytes = (quotas_bytes + quotas_bytes / 10).div_ceil(1 << 20).max(16);
    let shown = path.display();
    let remedy = format!(
        "run `capstan hot setup`, or add to /etc/fstab: tmpfs {shown} tmpfs size={megabytes}m,mode=0750,noexec,nodev,nosuid 0 0"
    );
    if !facts.is_tmpfs {
        return Err(Error::new(Kind::Invalid, format!("storage.hot is not a tmpfs: {remedy}")).at(shown));
    }
    if facts.size_bytes != 0 && facts.size_bytes < quotas_bytes {
        let message = format!(
            "the tmpfs holds {} MiB but the devices' quotas (hot.device_bytes) add up to {} MiB: {remedy}",
            facts.size_bytes >> 20,
            quotas_bytes.div_ceil(1 << 20),
        );
        return Err(Error::new(Kind::Invalid, message).at(shown));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hot_must_be_a_tmpfs_that_fits_the_quotas() {
        let check = |is_tmpfs, size_bytes, quotas_bytes, refusal: &[&str]| {
            let facts = HotFacts { is_tmpfs, size_bytes, free_bytes: 0 };
            match judge(Path::new("/run/x"), facts, quotas_bytes) {
                Ok(()) => assert!(refusal.is_empty(), "{facts:?} was accepted"),
                Err(error) => {
                    let message = error.to_string();
                    assert!(!refusal.is_empty(), "{message}");
                    for part in refusal {
                        assert!(message.contains(part), "{message:?} should contain {part:?}");
                    }
                }
            }
        };
        check(true, 100 << 20, 100 << 20, &[]);
        check(true, 0, 1 << 40, &[]);
        check(false, 1 << 40, 1, &["/run/x", "not a tmpfs", "capstan hot setup", "tmpfs /run/x tmpfs size=16m"]);
        check(true, 99 << 20, 100 << 20, &["99 MiB", "100 MiB", "size=110m"]);
    }

    #[test]
    fn a_folder_on_a_tmpfs_is_made_and_one_on_a_disk_is_not() {
        let shm = Path::new("/dev/shm");
        let below = tempfile::tempdir_in(shm).unwrap();
        let hot = below.path().join("a/b");
        assert!(check_hot(&hot, 1 << 20).unwrap().is_tmpfs);
        assert!(hot.is_dir());
        let proc = Path::new("/proc/capstan");
        assert_eq!(check_hot(proc, 1).unwrap_err().kind, Kind::Invalid);
    }

    #[test]
    fn one_daemon_at_a_time_locks_a_hot_folder() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock_hot(folder.path()).unwrap();
        let refused = lock_hot(folder.path()).expect_err("it is held");
        assert_eq!(refused.kind, Kind::Conflict);
        assert!(refused.to_string().contains(folder.path().to_str().unwrap()), "{refused}");
        drop(held);
        assert!(lock_hot(folder.path()).is_ok());
    }
}
