//! Folders in RAM and disks that can be filled, frozen, broken, pulled out and cut off.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use super::until;

/// A fresh name for this test of this process.
fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("capstan-test-{}-{}-{what}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A folder on `/dev/shm`, removed in the end. `hot()` is what the daemon gets; the rest is the test's own, on the same
/// file system, so that segments can be hard-linked aside.
pub struct HotDir(PathBuf);

impl HotDir {
    pub fn new() -> Self {
        let folder = Path::new("/dev/shm").join(unique("hot"));
        fs::create_dir_all(folder.join("hot")).unwrap();
        Self(folder)
    }

    pub fn hot(&self) -> PathBuf {
        self.0.join("hot")
    }

    pub fn aside(&self, name: &str) -> PathBuf {
        let folder = self.0.join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

impl Drop for HotDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An ext4 image, loop-mounted: the card of a small host.
pub struct LoopDisk {
    image: PathBuf,
    mount: PathBuf,
    device: PathBuf,
}

impl LoopDisk {
    /// None where loop mounts are not possible (not root, no loop devices); the caller skips loudly.
    pub fn new(megabytes: u64) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique("disk"));
        let (image, mount) = (folder.join("image"), folder.join("mount"));
        fs::create_dir_all(&mount).unwrap();
        File::create(&image).and_then(|file| file.set_len(megabytes << 20)).unwrap();
        run("mkfs.ext4", &["-q", "-F", "-m", "0", image.to_str()?])?;
        let device = PathBuf::from(run("losetup", &["--find", "--show", image.to_str()?])?.trim());
        let disk = Self { image, mount, device };
        disk.try_mount().then_some(disk)
    }

    pub fn mount_point(&self) -> &Path {
        &self.mount
    }

    /// Where the daemon records: a folder of its own would not be a mount, so the mount itself.
    pub fn root(&self) -> PathBuf {
        self.mount.clone()
    }

    /// Waits until the file system of the mount before is gone: a sick one lives on, and would be mounted again as it
    /// is, for as long as anybody holds a file on it.
    pub fn mount(&self) {
        // Newer kernels do not show an emergency in the mount's flags: only a write tells.
        let probe = self.mount.join("test-probe");
        until("the disk is mounted for writing", 30, || {
            let mounted = self.try_mount();
            let writable = mounted && File::create(&probe).and_then(|_| fs::remove_file(&probe)).is_ok();
            if mounted && !writable {
                self.detach();
            }
            writable
        });
    }

    fn try_mount(&self) -> bool {
        // errors=remount-ro: what distributions set for the root disk, and what `break_read_only` relies on.
        let (device, mount) = (self.device.to_str().unwrap(), self.mount.to_str().unwrap());
        run("mount", &["-t", "ext4", "-o", "noatime,errors=remount-ro", device, mount]).is_some()
    }

    /// As when a card is pulled: files that are open stay open, the path is bare at once.
    pub fn detach(&self) {
        assert!(run("umount", &["--lazy", self.mount.to_str().unwrap()]).is_some());
    }

    /// Unmounts when nobody uses it any more.
    pub fn unmount(&self) {
        until("the disk is unmounted", 10, || run("umount", &[self.mount.to_str().unwrap()]).is_some());
    }

    /// What is read after the next mount comes from the disk that holds the image, not from RAM.
    pub fn forget_image(&self) {
        let image = File::open(&self.image).unwrap();
        image.sync_all().unwrap();
        rustix::fs::fadvise(&image, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }

    /// Power cut: nothing more reaches the disk, not even ext4's journal. Every later call fails with EIO.
    /// Unmount and mount replays the journal, as a boot does.
    pub fn cut_power(&self) {
        /// `EXT4_IOC_SHUTDOWN` (fs/ext4/ext4.h): `_IOR('X', 125, __u32)`.
        const EXT4_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587D_u32 as libc::Ioctl;
        // EXT4_GOING_FLAGS_NOLOGFLUSH.
        let no_log_flush: u32 = 2;
        let folder = File::open(&self.mount).unwrap();
        // SAFETY: the request reads one u32 from a pointer that lives for the whole call; the descriptor is open.
        let done = unsafe { libc::ioctl(folder.as_raw_fd(), EXT4_IOC_SHUTDOWN, &raw const no_log_flush) };
        assert_eq!(done, 0, "EXT4_IOC_SHUTDOWN: {}", io::Error::last_os_error());
    }

    /// Every write waits, as on a card that stalls, until [`thaw`](Self::thaw).
    pub fn freeze(&self) {
        assert!(run("fsfreeze", &["--freeze", self.mount.to_str().unwrap()]).is_some());
    }

    pub fn thaw(&self) {
        assert!(run("fsfreeze", &["--unfreeze", self.mount.to_str().unwrap()]).is_some());
    }

    /// The kernel finds an error on the disk and makes it read-only while files are open for writing.
    pub fn break_read_only(&self) {
        let name = self.device.file_name().unwrap();
        fs::write(Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error"), "1").unwrap();
    }

    /// A file that leaves no room at all; removing it makes some again.
    pub fn fill(&self) -> PathBuf {
        let filler = self.mount.join("filler");
        let mut file = File::create(&filler).unwrap();
        let piece = vec![0; 256 << 10];
        while file.write_all(&piece).is_ok() {}
        filler
    }

    /// Bytes that reached the block device so far, journal included; syncs the file system first.
    pub fn written_bytes(&self) -> u64 {
        let folder = File::open(&self.mount).unwrap();
        rustix::fs::syncfs(&folder).unwrap();
        // Write sectors, always of 512 bytes.
        self.block_stat(7) * 512
    }

    /// Write requests that reached the block device so far.
    pub fn write_requests(&self) -> u64 {
        self.block_stat(5)
    }

    /// A field of /sys/block/…/stat as Documentation/block/stat.rst counts them, from 1.
    fn block_stat(&self, field: usize) -> u64 {
        let name = self.device.file_name().unwrap();
        let stat = fs::read_to_string(Path::new("/sys/block").join(name).join("stat")).unwrap();
        stat.split_whitespace().nth(field - 1).and_then(|field| field.parse().ok()).unwrap()
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("--unfreeze").arg(&self.mount).output();
        while run("umount", &["--lazy", self.mount.to_str().unwrap_or_default()]).is_some() {}
        run("losetup", &["--detach", self.device.to_str().unwrap_or_default()]);
        if let Some(folder) = self.image.parent() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Standard output, or None when the command is missing or fails.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
