//! A real disk for tests: an ext4 image on a loop device. Needs root; without it a test says so and passes.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// 32 MiB of ext4. Unmounted and detached when dropped.
pub(crate) struct Disk {
    folder: TempDir,
    device: String,
}

impl Disk {
    /// None, and said so, without root.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: loop mounts need root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", "-m", "0", image.to_str().unwrap()]);
        let device = run("losetup", &["--find", "--show", image.to_str().unwrap()]);
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let disk = Self { folder, device };
        disk.mount();
        Some(disk)
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub fn device(&self) -> &str {
        &self.device
    }

    pub fn mount(&self) {
        run("mount", &["-o", "noatime", &self.device, self.root().to_str().unwrap()]);
    }

    pub fn remount(&self, how: &str) {
        run("mount", &["-o", &format!("remount,{how}"), self.root().to_str().unwrap()]);
    }

    /// As when a disk is pulled: the name goes although the daemon holds files.
    pub fn unmount(&self) {
        run("umount", &["-l", self.root().to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l".as_ref(), self.root().as_os_str()]).stderr(Stdio::null()).status();
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
