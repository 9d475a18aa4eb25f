//! Keeps every segment that ever appears in hot, so that a test can ask: is each of its frames on disk, once?

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use capstan::storage::layout::{HotKind, HotLayout, parse_hot_name};

use super::{HotDir, pause};

/// A thread that hard-links finished segments aside: no copy, no race with deletion (a segment stays for the live
/// window, far longer than one look).
pub struct Keeper {
    folders: Vec<(String, PathBuf)>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub fn start(hot: &HotDir, devices: &[&str]) -> Self {
        let layout = HotLayout::new(hot.hot());
        let folders: Vec<_> = devices
            .iter()
            .map(|device| {
                let from = layout.folder(&device.parse().unwrap(), HotKind::Segment);
                ((*device).to_owned(), from, hot.aside(&format!("kept-{device}")))
            })
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (folders, stop) = (folders.clone(), Arc::clone(&stop));
            move || loop {
                // The flag is read before the last look, so that nothing is missed between the two.
                let last = stop.load(Ordering::Relaxed);
                folders.iter().for_each(|(_, from, to)| keep(from, to));
                if last {
                    return;
                }
                pause();
            }
        });
        let folders = folders.into_iter().map(|(device, _, to)| (device, to)).collect();
        Self { folders, stop, thread: Some(thread) }
    }

    /// Ends the watch and returns, for each run of the device in order, its segments in order.
    pub fn finish(&mut self, device: &str) -> Vec<Vec<PathBuf>> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        let (_, folder) = self.folders.iter().find(|(name, _)| name == device).expect("a kept device");
        let mut runs: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let key = parse_hot_name(HotKind::Segment, entry.file_name().to_str().unwrap()).unwrap();
            runs.entry(key.epoch).or_default().insert(key.number, entry.path());
        }
        runs.into_values().map(|run| run.into_values().collect()).collect()
    }
}

fn keep(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| parse_hot_name(HotKind::Segment, name).is_some()) {
            // Already kept, or gone since the look: both are fine.
            let _ = fs::hard_link(entry.path(), to.join(name));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
