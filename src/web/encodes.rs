//! Clips encoded anew: one at a time, for as long as somebody asks how it goes; the results in RAM within a budget.
//!
//! The bytes of the clip are piped into FFmpeg, what comes out is a file in hot: nothing of it touches the disk.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::HttpResponse;
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, Semaphore},
    time::sleep,
};

use super::{
    clip_jobs::{job_url, reply},
    reader::Readers,
    recode::{Scratch, Tools, encode},
};
use crate::{
    capture::{Spawner, command::Preset},
    clock::{Clock, Mono},
    config::Settings,
    error::{Error, Kind, Result},
    events::{Events, Topic},
    ids::DeviceId,
    playback::clip::Clip,
    storage::{layout::HotLayout, tmpfs::hot_facts},
};

/// A job of which nobody has asked for so long has lost its reader.
const LEASE: Duration = Duration::from_secs(20);
/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(250);
/// Between two events of how far a job is.
const TELL: Duration = Duration::from_millis(500);
/// Jobs that are remembered, with those that failed; the oldest are forgotten.
const JOBS_MAX: usize = 128;

/// Cheap to clone.
#[derive(Clone)]
pub struct Encodes(Arc<Inner>);

struct Inner {
    spawner: Spawner,
    readers: Readers,
    settings: Arc<Settings>,
    clock: Clock,
    events: Events,
    folder: PathBuf,
    /// Bytes of hot that belong to recording.
    quotas_bytes: Arc<AtomicU64>,
    /// One permit, first come, first served.
    turn: Semaphore,
    /// Oldest first.
    jobs: Mutex<VecDeque<Job>>,
    next_number: AtomicU64,
}

struct Job {
    id: String,
    /// Another for each job: one that was cancelled and asked for again has the same id.
    number: u64,
    /// Somebody took it back.
    cancelled: Arc<Notify>,
    /// When somebody last asked.
    asked: Mono,
    stage: Stage,
    source: Origin,
}

/// What it is made of.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub device: DeviceId,
    pub bytes: u64,
    pub chunks: usize,
    /// What the result is called when somebody keeps it.
    pub file_name: String,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    Queued,
    /// 0 to 1, and the bytes of the result so far.
    Running {
        share: f64,
        bytes: u64,
    },
    Done {
        bytes: u64,
    },
    Failed {
        kind: Kind,
        message: String,
    },
}

impl Encodes {
    /// Removes what an earlier run left in hot.
    pub fn new(
        spawner: Spawner,
        readers: Readers,
        settings: Arc<Settings>,
        clock: Clock,
        events: Events,
        quotas_bytes: Arc<AtomicU64>,
    ) -> Self {
        let folder = HotLayout::new(&settings.storage.hot).encoded();
        // Not there is the usual case; what cannot be removed is overwritten or told when it is in the way.
        let _ = fs::remove_dir_all(&folder);
        let (turn, jobs, next_number) = (Semaphore::new(1), Mutex::default(), AtomicU64::new(0));
        Self(Arc::new(Inner {
            spawner,
            readers,
            settings,
            clock,
            events,
            folder,
            quotas_bytes,
            turn,
            jobs,
            next_number,
        }))
    }

    /// Starts the job, or looks at it when it is known; the same clip and preset are the same job. `Unavailable` when
    /// too many wait. What failed is told once and then tried again.
    pub(super) fn ask(&self, clip: Clip, preset: Preset) -> Result<HttpResponse> {
        let id = id_of(&clip, preset);
        if let Some(known) = self.look(&id) {
            if matches!(known.1, Stage::Failed { .. }) {
                self.remove(&id);
            }
            return reply(&id, known);
        }
        let source = Origin::of(&clip, preset);
        let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
        let cancelled = Arc::new(Notify::new());
        {
            let mut jobs = self.0.jobs();
            if jobs.iter().any(|job| job.id == id) {
                // Somebody else asked in this moment.
                return reply(&id, (source, Stage::Queued));
            }
            let is_open = |job: &&Job| matches!(job.stage, Stage::Queued | Stage::Running { .. });
            // One is at work, the others wait.
            if jobs.iter().filter(is_open).count() > self.0.settings.limits.encode_queue {
                return Err(Error::new(Kind::Unavailable, "too many clips wait to be encoded"));
            }
            if jobs.len() >= JOBS_MAX {
                self.0.forget_one(&mut jobs);
            }
            let (asked, source) = (self.0.clock.mono(), source.clone());
            let cancelled = Arc::clone(&cancelled);
            jobs.push_back(Job { id: id.clone(), number, cancelled, asked, stage: Stage::Queued, source });
        }
        let ending = Ending { inner: self.0.clone(), number };
        let (inner, name, of) = (self.0.clone(), id.clone(), source.device.clone());
        self.0.spawner.spawn(async move {
            let _ending = ending;
            let outcome = tokio::select! {
                outcome = inner.work(&name, number, clip, preset) => outcome,
                () = inner.abandoned(number) => return inner.cancel(&name, number, &of),
                () = cancelled.notified() => return inner.cancel(&name, number, &of),
            };
            inner.end(&name, number, &of, outcome);
        })?;
        reply(&id, (source, Stage::Queued))
    }

    /// What [`Self::ask`] would answer; starts nothing.
    pub(super) fn peek(&self, clip: &Clip, preset: Preset) -> Result<HttpResponse> {
        let id = id_of(clip, preset);
        let known = self.0.jobs().iter().find(|job| job.id == id).map(|job| (job.source.clone(), job.stage.clone()));
        reply(&id, known.unwrap_or_else(|| (Origin::of(clip, preset), Stage::Queued)))
    }

    /// Takes the job back, or its result. False when there is none.
    pub(super) fn remove(&self, id: &str) -> bool {
        let mut jobs = self.0.jobs();
        let Some(job) = jobs.iter().position(|job| job.id == id).and_then(|place| jobs.remove(place)) else {
            return false;
        };
        job.cancelled.notify_one();
        let _ = fs::remove_file(self.0.file(id));
        true
    }

    /// What is known of a job; asking keeps it alive.
    fn look(&self, id: &str) -> Option<(Origin, Stage)> {
        let mut jobs = self.0.jobs();
        let job = jobs.iter_mut().find(|job| job.id == id)?;
        job.asked = self.0.clock.mono();
        Some((job.source.clone(), job.stage.clone()))
    }

    pub(super) fn known(&self, id: &str) -> Result<(Origin, Stage)> {
        self.look(id).ok_or_else(|| Error::new(Kind::NotFound, "there is no such job, or no more"))
    }

    /// Where the result lies.
    pub(super) fn file(&self, id: &str) -> PathBuf {
        self.0.file(id)
    }
}

impl Origin {
    fn of(clip: &Clip, preset: Preset) -> Self {
        Self {
            device: clip.device.clone(),
            bytes: clip.len(),
            chunks: clip.chunks(),
            file_name: clip.file_name().replace(".mp4", &format!("_{}.mp4", preset.name())),
        }
    }
}

/// The same clip and preset are the same job.
fn id_of(clip: &Clip, preset: Preset) -> String {
    format!("{}-{}", clip.etag().trim_matches('"'), preset.name())
}

/// A job that ends by a defect ends as failed.
struct Ending {
    inner: Arc<Inner>,
    number: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut jobs = self.inner.jobs();
        let open = |job: &&mut Job| matches!(job.stage, Stage::Queued | Stage::Running { .. });
        if let Some(job) = jobs.iter_mut().find(|job| job.number == self.number).filter(open) {
            job.stage = Stage::Failed { kind: Kind::Internal, message: "the encoding was abandoned".into() };
        }
    }
}

impl Inner {
    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when it was taken back.
    fn set(&self, number: u64, stage: Stage) -> bool {
        let mut jobs = self.jobs();
        let job = jobs.iter_mut().find(|job| job.number == number);
        job.map(|job| job.stage = stage).is_some()
    }

    fn end(&self, id: &str, number: u64, of: &DeviceId, outcome: Result<u64>) {
        match outcome {
            // Taken back when it was just finished.
            Ok(bytes) if !self.set(number, Stage::Done { bytes }) => {
                let _ = fs::remove_file(self.file(id));
                self.cancel(id, number, of);
            }
            Ok(bytes) => {
                self.tell("job_done", id, of, json!({"progress": 1.0, "size": bytes}));
            }
            Err(error) => {
                self.tell("job_failed", id, of, json!({"error": error.kind.name(), "message": error.message}));
                self.set(number, Stage::Failed { kind: error.kind, message: error.message });
            }
        }
    }

    /// Nobody waits for it any more. Its FFmpeg has ended with its work.
    fn cancel(&self, id: &str, number: u64, of: &DeviceId) {
        self.jobs().retain(|job| job.number != number);
        self.tell("job_cancelled", id, of, json!({}));
    }

    fn tell(&self, kind: &'static str, id: &str, of: &DeviceId, mut data: Value) {
        data["job_url"] = job_url(id).into();
        self.events.publish(Topic::Job, kind, Some(of), data);
    }

    /// The oldest that is over. False when none is.
    fn forget_one(&self, jobs: &mut VecDeque<Job>) -> bool {
        let is_over = |job: &Job| matches!(job.stage, Stage::Done { .. } | Stage::Failed { .. });
        let Some(job) = jobs.iter().position(is_over).and_then(|place| jobs.remove(place)) else { return false };
        let _ = fs::remove_file(self.file(&job.id));
        true
    }

    fn file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.mp4"))
    }

    /// Resolves when nobody asks any more.
    async fn abandoned(&self, number: u64) {
        loop {
            let asked = self.jobs().iter().find(|job| job.number == number).map(|job| job.asked);
            if asked.is_none_or(|asked| self.clock.mono().since(asked) > LEASE) {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// Encodes when its turn has come; returns the bytes of the result.
    async fn work(self: &Arc<Self>, id: &str, number: u64, clip: Clip, preset: Preset) -> Result<u64> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::io("keeping an encoded clip", path, error)
        };
        let turn = self.turn.acquire().await;
        let _turn = turn.map_err(|_| Error::new(Kind::Unavailable, "no clips are encoded now"))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed(&self.folder))?;
        self.sweep();
        let room = self.room()?;
        self.set(number, Stage::Running { share: 0.0, bytes: 0 });
        let of = clip.device.clone();
        self.tell("job_started", id, &of, json!({"preset": preset.name()}));
        let full = Arc::new(Notify::new());
        let (inner, name, too_large) = (self.clone(), id.to_owned(), full.clone());
        let duration_us = (clip.wish.span.end - clip.movie.start).max(1) as f64 * 100.0 / 9.0;
        let mut told = self.clock.mono();
        let hear = Box::new(move |progress: crate::capture::Progress| {
            let share = (progress.out_time_us.max(0) as f64 / duration_us).min(0.99);
            inner.set(number, Stage::Running { share, bytes: progress.bytes });
            let now = inner.clock.mono();
            if now.since(told) >= TELL {
                told = now;
                let thousandths = (share * 1000.0).round() / 1000.0;
                inner.tell("job_progress", &name, &of, json!({"progress": thousandths, "size": progress.bytes}));
            }
            if !inner.make_room(progress.bytes, room) {
                too_large.notify_one();
            }
        });
        let unfinished = Unfinished(self.folder.join(format!("{id}.part")));
        let scratch = |number| {
            let path = self.folder.join(format!("{id}.{number}.part"));
            Ok(Scratch { keep: Box::new(Unfinished(path.clone())), path })
        };
        let tools = Tools { spawner: &self.spawner, readers: &self.readers, settings: &self.settings };
        let limit = Duration::from_secs(self.settings.limits.encode_seconds);
        let too_large =
            || Error::new(Kind::Full, format!("the result is larger than the {room} bytes there are for it"));
        tokio::select! {
            done = encode(tools, clip, preset, &unfinished.0, scratch, hear, limit) => done?,
            () = full.notified() => return Err(too_large()),
        }
        let bytes = fs::metadata(&unfinished.0).map_err(failed(&unfinished.0))?.len();
        if !self.make_room(bytes, room) {
            return Err(too_large());
        }
        fs::rename(&unfinished.0, self.file(id)).map_err(failed(&unfinished.0))?;
        Ok(bytes)
    }

    /// A child that was killed while it opened its file leaves it behind.
    fn sweep(&self) {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        files.filter(|path| path.extension().is_some_and(|kind| kind == "part")).for_each(|path| {
            let _ = fs::remove_file(path);
        });
    }

    /// Bytes that results may take altogether: recording comes first, so only what the quotas leave.
    fn room(&self) -> Result<u64> {
        let facts = hot_facts(&self.folder)?;
        let quotas = self.quotas_bytes.load(Ordering::Relaxed);
        let wanted = self.settings.limits.encode_bytes.0;
        // A tmpfs without a limit.
        if facts.size_bytes == 0 {
            return Ok(wanted);
        }
        let free = facts.free_bytes.saturating_add(kept_bytes(&self.jobs()));
        Ok(wanted.min(facts.size_bytes.saturating_sub(quotas)).min(free))
    }

    /// Evicts the oldest results until `bytes` more fit. False when they fit in no case.
    fn make_room(&self, bytes: u64, room: u64) -> bool {
        let mut jobs = self.jobs();
        while kept_bytes(&jobs).saturating_add(bytes) > room {
            if !self.forget_one(&mut jobs) {
                return false;
            }
        }
        true
    }
}

/// Of finished results.
fn kept_bytes(jobs: &VecDeque<Job>) -> u64 {
    jobs.iter().map(|job| if let Stage::Done { bytes } = job.stage { bytes } else { 0 }).sum()
}

/// A file that goes away unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
