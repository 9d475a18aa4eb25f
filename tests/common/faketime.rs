//! A wall clock of the daemon's own, set while it runs; the monotonic one stays that of the machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Setup;

/// Where Debian's package has it, on any architecture.
const LIBRARY: &str = "faketime/libfaketime.so.1";

/// So many seconds ahead of the machine's.
pub struct WallClock {
    offset: PathBuf,
}

impl WallClock {
    /// None where there is no faketime.
    pub fn of(setup: Setup, ahead_s: i64) -> Option<(Setup, Self)> {
        let library = library()?;
        let clock = Self { offset: setup.folder().join("offset") };
        clock.set(ahead_s);
        let setup = setup
            .environment("LD_PRELOAD", library.to_str()?)
            .environment("FAKETIME_TIMESTAMP_FILE", clock.offset.to_str()?)
            .environment("FAKETIME_NO_CACHE", "1")
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .environment("DONT_FAKE_MONOTONIC", "1");
        Some((setup, clock))
    }

    pub fn set(&self, ahead_s: i64) {
        let aside = self.offset.with_extension("tmp");
        fs::write(&aside, format!("{ahead_s:+}")).unwrap();
        fs::rename(&aside, &self.offset).unwrap();
    }
}

fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join(LIBRARY));
    folders.chain([Path::new("/usr/lib").join(LIBRARY)]).find(|path| path.exists())
}
