//! What of a device's merging outlives its actor: the open chunk, the timeline, and who may touch them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    clock::{
        Clock, Mono,
        anchor::{Step, StepWatch},
    },
    ids::SegmentKey,
    merge::{
        chunk::{ChunkWriter, SealedChunk},
        timeline::Timeline,
    },
    storage::layout::ChunkKey,
};

/// For `/api/host/state` and the health checks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MergeStatus {
    /// The files on disk were looked through; before, nothing is committed.
    pub recovered: bool,
    /// A job runs now.
    pub busy: bool,
    /// RFC 3339, end of the last job that committed something.
    pub committed_at: Option<String>,
    /// File name of the open chunk.
    pub open_chunk: Option<String>,
    /// Failed jobs since the last good one, and what the last of them said.
    pub failures: u32,
    pub error: Option<String>,
    /// Pictures dropped because no key frame came before them.
    pub undecodable: u64,
}

/// Owned by the device; actors come and go.
pub struct MergeCell {
    shared: Mutex<Shared>,
    busy: watch::Sender<bool>,
    status: ArcSwap<MergeStatus>,
    chunk_seconds: u32,
}

struct Shared {
    /// Of the present actor. An older one, back from a hang, gets nothing.
    token: u64,
    /// Away while a job has it.
    core: Option<Core>,
    steps: Vec<Step>,
    watch: StepWatch,
    newest: SegmentKey,
    ended: Option<(Mono, bool)>,
}

/// What a job works on.
pub(super) struct Core {
    pub writer: Option<ChunkWriter>,
    pub timeline: Timeline,
    /// Files whose write or sync failed, with the length of what was committed: to be sealed, not to go on with.
    pub spent: HashMap<ChunkKey, u64>,
    /// Sealed, and not in the ring yet.
    pub sealed: Vec<SealedChunk>,
    /// Streams of the last segment that could not be recorded, by name.
    pub skipped: Vec<String>,
    /// `temp` was looked through.
    pub recovered: bool,
    /// [`crate::storage::Volume::mounts`] as it was when the files were opened.
    pub mounts: u64,
}

impl Core {
    pub fn new(chunk_seconds: u32) -> Self {
        Self {
            writer: None,
            timeline: Timeline::new(chunk_seconds),
            spent: HashMap::new(),
            sealed: Vec::new(),
            skipped: Vec::new(),
            recovered: false,
            mounts: 0,
        }
    }
}

/// Permission of one actor generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u64);

impl MergeCell {
    pub fn new(chunk_seconds: u32) -> Arc<Self> {
        let shared = Shared {
            token: 0,
            core: Some(Core::new(chunk_seconds)),
            steps: Vec::new(),
            watch: StepWatch::default(),
            newest: SegmentKey::default(),
            ended: None,
        };
        Arc::new(Self {
            shared: Mutex::new(shared),
            busy: watch::Sender::new(false),
            status: ArcSwap::default(),
            chunk_seconds,
        })
    }

    /// A new actor takes over; a job that runs is waited for, not repeated.
    pub fn adopt(&self) -> Token {
        let mut shared = self.lock();
        shared.token += 1;
        Token(shared.token)
    }

    pub fn status(&self) -> Arc<MergeStatus> {
        self.status.load_full()
    }

    pub fn is_busy(&self) -> bool {
        *self.busy.borrow()
    }

    /// Resolves when no job runs.
    pub async fn idle(&self) {
        // The sender is ours, so the channel cannot close.
        let _ = self.busy.subscribe().wait_for(|busy| !busy).await;
    }

    /// Looks at the clocks; call about once a second with the newest waiting segment.
    pub fn look(&self, clock: &Clock, newest: Option<SegmentKey>) -> Option<Step> {
        let mut shared = self.lock();
        shared.newest = shared.newest.max(newest.unwrap_or_default());
        let newest = shared.newest;
        let step = shared.watch.look(clock, newest)?;
        shared.steps.push(step);
        Some(step)
    }

    /// How the job that ended since the last call went, and when.
    pub fn take_ended(&self) -> Option<(Mono, bool)> {
        self.lock().ended.take()
    }

    /// When the open chunk's time is over; None without one, or while a job runs.
    pub fn chunk_until(&self) -> Option<crate::clock::Utc90k> {
        self.lock().core.as_ref()?.timeline.chunk_until()
    }

    /// The right to run one job; None while another runs or when `token` is out of date.
    pub(super) fn claim(self: &Arc<Self>, token: Token) -> Option<Claim> {
        let mut shared = self.lock();
        if shared.token != token.0 {
            return None;
        }
        let core = shared.core.take()?;
        self.busy.send_replace(true);
        drop(shared);
        self.publish(|status| status.busy = true);
        Some(Claim { cell: self.clone(), core: Some(core) })
    }

    fn publish(&self, change: impl FnOnce(&mut MergeStatus)) {
        let mut status = MergeStatus::clone(&self.status.load());
        change(&mut status);
        self.status.store(Arc::new(status));
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One job's hold on the core. Dropped, it gives the core back; during a panic it gives back an empty one, and the
/// next job recovers from the files.
pub(super) struct Claim {
    cell: Arc<MergeCell>,
    core: Option<Core>,
}

impl Claim {
    /// The core, and the clock's steps that were noticed since the last job.
    pub fn work(&mut self) -> (&mut Core, Vec<Step>) {
        let steps = std::mem::take(&mut self.cell.lock().steps);
        let chunk_seconds = self.cell.chunk_seconds;
        (self.core.get_or_insert_with(|| Core::new(chunk_seconds)), steps)
    }

    /// A segment was taken before the actor could see it waiting.
    pub fn saw(&self, key: SegmentKey) {
        let mut shared = self.cell.lock();
        shared.newest = shared.newest.max(key);
    }

    /// Reports how it went, for the status and the actor's rhythm.
    pub fn end(self, clock: &Clock, committed: bool, error: Option<String>) {
        self.cell.lock().ended = Some((clock.mono(), error.is_none()));
        self.cell.publish(|status| {
            match &error {
                Some(_) => status.failures = status.failures.saturating_add(1),
                None => status.failures = 0,
            }
            if committed {
                status.committed_at = Some(clock.wall().rfc3339());
            }
            status.error = error;
        });
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let core = self.core.take().filter(|_| !std::thread::panicking());
        let core = core.unwrap_or_else(|| Core::new(self.cell.chunk_seconds));
        self.cell.publish(|status| {
            status.busy = false;
            status.recovered = core.recovered;
            status.open_chunk = core.writer.as_ref().map(|writer| writer.key().file_name());
            status.undecodable = core.timeline.undecodable;
        });
        self.cell.lock().core = Some(core);
        self.cell.busy.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_job_at_a_time_and_only_for_the_present_actor() {
        let cell = MergeCell::new(600);
        let old = cell.adopt();
        let claim = cell.claim(old).unwrap();
        let new = cell.adopt();
        assert!(cell.claim(new).is_none(), "the job of the old actor still runs");
        assert!(cell.is_busy() && cell.status().busy);
        drop(claim);
        assert!(cell.claim(old).is_none(), "an actor that was replaced gets nothing");
        assert!(cell.claim(new).is_some());
    }

    #[test]
    fn a_panicking_job_leaves_an_empty_core() {
        let cell = MergeCell::new(600);
        let token = cell.adopt();
        let job = cell.clone();
        let ended = std::thread::spawn(move || {
            let mut claim = job.claim(token).unwrap();
            claim.work().0.recovered = true;
            panic!("on purpose");
        });
        assert!(ended.join().is_err());
        let mut claim = cell.claim(token).unwrap();
        assert!(!claim.work().0.recovered, "the next job looks at the files again");
    }
}
