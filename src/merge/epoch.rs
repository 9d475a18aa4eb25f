//! Numbers for FFmpeg's runs: they only grow, over restarts and power cuts too, and never wait for the disk.
//!
//! `ROOT/<device>/epoch.json` holds a number nobody has used yet; it is moved ahead in blocks, so that one small write
//! serves many restarts of a flapping source.

use std::{
    io::Read,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Kind, Result},
    ids::{DeviceId, Epoch},
    merge::committer::Committer,
    storage::{Volume, inventory},
    telemetry::{DeviceMetrics, Written},
};

/// Runs served by one write. At one restart every 2 s (the back-off's cap) that is a write in two minutes.
const BLOCK: u32 = 64;
/// The next block is reserved when this few are left, in the background: a stalled disk delays no restart.
const LOW: u32 = 16;

/// More runs than an open chunk can hold: an hour of restarts every 2 s is 1800. Its last mark is known only later.
const OPEN_CHUNK_RUNS: u32 = 2000;

/// Pure: which number is next, and when to reserve more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    next: u32,
    /// Below this, numbers are safe to use: a later start begins here.
    reserved: u32,
}

impl Block {
    /// The next number above `seen`, and the reservation to write when one is due.
    fn take(&mut self, seen: Epoch) -> (Epoch, Option<u32>) {
        self.next = self.next.max(seen.0.saturating_add(1));
        let taken = self.next;
        self.next = self.next.saturating_add(1);
        let low = self.reserved < self.next.saturating_add(LOW);
        (Epoch(taken), low.then(|| self.next.saturating_add(BLOCK)))
    }
}

/// Content of `epoch.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    /// The first number a later start may use.
    next: u32,
}

/// The run numbers of one device. Outlives actors.
pub struct EpochSource {
    device: DeviceId,
    volume: Arc<Volume>,
    committer: Committer,
    metrics: DeviceMetrics,
    log: slog::Logger,
    block: Mutex<Block>,
}

impl EpochSource {
    /// Goes on where `epoch.json` says. Without it, where the chunks do: footage under a number that was used before
    /// would be taken for what is on disk already.
    pub fn open(
        device: DeviceId,
        volume: Arc<Volume>,
        committer: Committer,
        metrics: DeviceMetrics,
        log: slog::Logger,
    ) -> Arc<Self> {
        let next = match read(&volume, &device) {
            Ok(Some(next)) => next,
            Ok(None) => above_chunks(&volume, &device),
            Err(error) => {
                slog::warn!(log, "run numbers cannot be read"; "error" => %error);
                above_chunks(&volume, &device)
            }
        };
        let block = Mutex::new(Block { next, reserved: next });
        Arc::new(Self { device, volume, committer, metrics, log, block })
    }

    /// A number above all before it and above `seen`. Does not touch the disk itself.
    pub fn next(self: &Arc<Self>, seen: Option<Epoch>) -> Epoch {
        let (epoch, reserve) = self.lock().take(seen.unwrap_or_default());
        if let Some(upto) = reserve {
            let this = self.clone();
            if let Err(error) = self.committer.submit(Box::new(move || this.reserve(upto))) {
                slog::warn!(self.log, "run numbers cannot be reserved now"; "error" => %error);
            }
        }
        epoch
    }

    /// A run number was found in a chunk: later ones must be above it.
    pub fn seen(&self, epoch: Epoch) {
        let mut block = self.lock();
        block.next = block.next.max(epoch.0.saturating_add(1));
    }

    /// On the commit thread. A failure is not fatal: the next run asks again, and recording goes on meanwhile.
    fn reserve(&self, upto: u32) {
        match write(&self.volume, &self.device, upto) {
            Ok(bytes) => {
                self.metrics.wrote(Written::State, bytes);
                let mut block = self.lock();
                block.reserved = block.reserved.max(upto);
            }
            Err(error) => slog::warn!(self.log, "run numbers were not reserved"; "error" => %error),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Block> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number above all in the chunks; 1 for a device that is new.
fn above_chunks(volume: &Volume, device: &DeviceId) -> u32 {
    let scanned = inventory::scan_device(volume, device).unwrap_or_default();
    let sealed = scanned.last_segment.map_or(0, |newest| newest.epoch.0);
    if sealed == 0 && scanned.in_temp.is_empty() { 1 } else { sealed.saturating_add(OPEN_CHUNK_RUNS) }
}

/// None when there is none.
fn read(volume: &Volume, device: &DeviceId) -> Result<Option<u32>> {
    let path = volume.layout().epoch(device);
    let file = match volume.open_read(&path) {
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(|error| Error::io("reading", &path, error))?;
    let saved: Saved =
        serde_json::from_str(&text).map_err(|error| Error::new(Kind::Corrupt, error.to_string()).at(path.display()))?;
    Ok(Some(saved.next.max(1)))
}

fn write(volume: &Volume, device: &DeviceId, next: u32) -> Result<u64> {
    let text = serde_json::to_vec(&Saved { next }).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    volume.mkdir_all(&volume.layout().device(device))?;
    volume.write_atomic(&volume.layout().epoch(device), &text)?;
    Ok(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{clock::Clock, config, storage::Op, telemetry::Metrics};

    #[test]
    fn numbers_grow_and_blocks_are_reserved_before_they_run_out() {
        let mut block = Block { next: 5, reserved: 5 };
        assert_eq!(block.take(Epoch(0)), (Epoch(5), Some(70)));
        block.reserved = 70;
        assert_eq!(block.take(Epoch(0)), (Epoch(6), None));
        assert_eq!(block.take(Epoch(52)), (Epoch(53), None));
        assert_eq!(block.take(Epoch(53)), (Epoch(54), Some(119)), "16 left");
        assert_eq!(Block { next: 1, reserved: 1 }.take(Epoch(900)).0, Epoch(901));
    }

    fn source(storage: &config::Storage) -> (Arc<EpochSource>, Arc<Volume>, Committer) {
        let volume = Volume::open(storage, &Clock::system()).unwrap();
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let committer = Committer::start("commit", 8, log.clone()).unwrap();
        let device: DeviceId = "cam".parse().unwrap();
        let metrics = Metrics::new().device(&device);
        (EpochSource::open(device, volume.clone(), committer.clone(), metrics, log), volume, committer)
    }

    fn settle(committer: &Committer) {
        let (done, wait) = mpsc::channel();
        committer.submit(Box::new(move || done.send(()).unwrap())).unwrap();
        wait.recv().unwrap();
    }

    #[test]
    fn a_restart_uses_no_number_twice_even_if_the_disk_refused() {
        let folder = tempfile::tempdir().unwrap();
        let storage = config::Storage { root: folder.path().to_owned(), ..config::Storage::default() };
        let first = {
            let (epochs, _volume, committer) = source(&storage);
            let first = epochs.next(None);
            settle(&committer);
            assert_eq!(epochs.next(None), Epoch(first.0 + 1));
            settle(&committer);
            first
        };
        let (epochs, volume, committer) = source(&storage);
        let second = epochs.next(None);
        assert!(second > Epoch(first.0 + 1));
        volume.faults().arm(Op::Write, 0, u32::MAX, crate::storage::Effect::Fail(libc::EIO));
        for n in 1..200 {
            assert_eq!(epochs.next(None), Epoch(second.0 + n), "a sick disk holds nobody up");
        }
        settle_when_free(&committer);
    }

    /// The queue is short on purpose: a sick disk fills it, and that must not matter.
    fn settle_when_free(committer: &Committer) {
        let deadline = Clock::system().mono() + std::time::Duration::from_secs(10);
        let (done, wait) = mpsc::channel();
        while committer
            .submit(Box::new({
                let done = done.clone();
                move || done.send(()).unwrap()
            }))
            .is_err()
        {
            assert!(Clock::system().mono() < deadline);
            std::thread::yield_now();
        }
        wait.recv().unwrap();
    }
}
