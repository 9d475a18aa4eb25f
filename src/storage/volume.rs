//! Stand-in for the held archive root, until the real one lands.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::{Error, Result},
    storage::layout::ColdLayout,
};

pub struct Volume {
    root: PathBuf,
    layout: ColdLayout,
}

impl Volume {
    pub fn at(root: &Path) -> Arc<Self> {
        Arc::new(Self { root: root.to_owned(), layout: ColdLayout::new("") })
    }

    pub fn layout(&self) -> &ColdLayout {
        &self.layout
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn open_read(&self, path: &Path) -> Result<File> {
        File::open(self.root.join(path)).map_err(|e| Error::io("opening", path, e))
    }

    pub fn open_rw(&self, path: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.open(self.root.join(path)).map_err(|e| Error::io("opening", path, e))
    }

    pub fn create_new(&self, path: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.root.join(path)).map_err(|e| Error::io("creating", path, e))
    }

    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(self.root.join(from), self.root.join(to)).map_err(|e| Error::io("renaming", from, e))
    }

    pub fn unlink(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(self.root.join(path)).map_err(|e| Error::io("removing", path, e))
    }

    pub fn mkdir_all(&self, path: &Path) -> Result<()> {
        std::fs::create_dir_all(self.root.join(path)).map_err(|e| Error::io("creating", path, e))
    }

    pub fn fsync_dir(&self, path: &Path) -> Result<()> {
        let directory = self.open_read(path)?;
        directory.sync_all().map_err(|e| Error::io("syncing", path, e))
    }
}
