//! Clips encoded anew: one at a time, for as long as somebody asks how it goes; the results in RAM within a budget.
//!
//! The bytes of the clip are piped into FFmpeg, what comes out is a file in hot: nothing of it touches the disk.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use futures_util::StreamExt;
use serde_json::json;
use tokio::{
    sync::{Notify, Semaphore},
    time::sleep,
};

use super::{
    State, facts,
    reader::Readers,
    slices::{Content, Slice, pieces, respond},
};
use crate::{
    capture::{
        Input, Spawner,
        command::{Preset, encode_clip},
    },
    clock::{Clock, Mono},
    config::Settings,
    error::{Error, Kind, Result},
    playback::clip::Clip,
    storage::{layout::HotLayout, tmpfs::hot_facts},
};

/// A job of which nobody has asked for so long has lost its reader.
const LEASE: Duration = Duration::from_secs(20);
/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(250);
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
    folder: PathBuf,
    /// One permit, first come, first served.
    turn: Semaphore,
    /// Oldest first.
    jobs: Mutex<VecDeque<Job>>,
}

struct Job {
    id: String,
    /// When somebody last asked.
    asked: Mono,
    stage: Stage,
    source: Origin,
}

/// What it is made of.
#[derive(Clone, Debug)]
struct Origin {
    bytes: u64,
    chunks: usize,
    /// What the result is called when somebody keeps it.
    file_name: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
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
    pub fn new(spawner: Spawner, readers: Readers, settings: Arc<Settings>, clock: Clock) -> Self {
        let folder = HotLayout::new(&settings.storage.hot).encoded();
        // Not there is the usual case; what cannot be removed is overwritten or told when it is in the way.
        let _ = fs::remove_dir_all(&folder);
        let (turn, jobs) = (Semaphore::new(1), Mutex::default());
        Self(Arc::new(Inner { spawner, readers, settings, clock, folder, turn, jobs }))
    }

    /// Starts the job, or looks at it when it is known; the same clip and preset are the same job. `Unavailable` when
    /// too many wait. What failed is told once and then tried again.
    pub(super) fn ask(&self, clip: Clip, preset: Preset) -> Result<HttpResponse> {
        let id = format!("{}-{}", clip.etag().trim_matches('"'), preset.name());
        if let Some(known) = self.look(&id) {
            if matches!(known.1, Stage::Failed { .. }) {
                self.0.forget(&id);
            }
            return reply(&id, known);
        }
        let source = Origin {
            bytes: clip.len(),
            chunks: clip.chunks(),
            file_name: clip.file_name().replace(".mp4", &format!("_{}.mp4", preset.name())),
        };
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
            jobs.push_back(Job { id: id.clone(), asked, stage: Stage::Queued, source });
        }
        let ending = Ending { inner: self.0.clone(), id: id.clone() };
        let (inner, name) = (self.0.clone(), id.clone());
        self.0.spawner.spawn(async move {
            let _ending = ending;
            let outcome = tokio::select! {
                outcome = inner.work(&name, clip, preset) => outcome,
                () = inner.abandoned(&name) => return inner.forget(&name),
            };
            inner.set(
                &name,
                match outcome {
                    Ok(bytes) => Stage::Done { bytes },
                    Err(error) => Stage::Failed { kind: error.kind, message: error.message },
                },
            );
        })?;
        reply(&id, (source, Stage::Queued))
    }

    /// What is known of a job; asking keeps it alive.
    fn look(&self, id: &str) -> Option<(Origin, Stage)> {
        let mut jobs = self.0.jobs();
        let job = jobs.iter_mut().find(|job| job.id == id)?;
        job.asked = self.0.clock.mono();
        Some((job.source.clone(), job.stage.clone()))
    }

    fn known(&self, id: &str) -> Result<(Origin, Stage)> {
        self.look(id).ok_or_else(|| Error::new(Kind::NotFound, "there is no such job, or no more"))
    }
}

/// A job that ends by a defect ends as failed.
struct Ending {
    inner: Arc<Inner>,
    id: String,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut jobs = self.inner.jobs();
        let open = |job: &&mut Job| matches!(job.stage, Stage::Queued | Stage::Running { .. });
        if let Some(job) = jobs.iter_mut().find(|job| job.id == self.id).filter(open) {
            job.stage = Stage::Failed { kind: Kind::Internal, message: "the encoding was abandoned".into() };
        }
    }
}

impl Inner {
    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, id: &str, stage: Stage) {
        if let Some(job) = self.jobs().iter_mut().find(|job| job.id == id) {
            job.stage = stage;
        }
    }

    fn forget(&self, id: &str) {
        self.jobs().retain(|job| job.id != id);
        let _ = fs::remove_file(self.file(id));
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
    async fn abandoned(&self, id: &str) {
        loop {
            let asked = self.jobs().iter().find(|job| job.id == id).map(|job| job.asked);
            if asked.is_none_or(|asked| self.clock.mono().since(asked) > LEASE) {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// Encodes when its turn has come; returns the bytes of the result.
    async fn work(self: &Arc<Self>, id: &str, clip: Clip, preset: Preset) -> Result<u64> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::io("keeping an encoded clip", path, error)
        };
        let turn = self.turn.acquire().await;
        let _turn = turn.map_err(|_| Error::new(Kind::Unavailable, "no clips are encoded now"))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed(&self.folder))?;
        self.sweep();
        let room = self.room()?;
        self.set(id, Stage::Running { share: 0.0, bytes: 0 });
        let full = Arc::new(Notify::new());
        let (inner, name, too_large) = (self.clone(), id.to_owned(), full.clone());
        let duration_us = (clip.wish.span.end - clip.movie.start).max(1) as f64 * 100.0 / 9.0;
        let hear = Box::new(move |progress: crate::capture::Progress| {
            let share = (progress.out_time_us.max(0) as f64 / duration_us).min(0.99);
            inner.set(&name, Stage::Running { share, bytes: progress.bytes });
            if !inner.make_room(progress.bytes, room) {
                too_large.notify_one();
            }
        });
        let unfinished = Unfinished(self.folder.join(format!("{id}.part")));
        let command = encode_clip(&self.settings, preset, &unfinished.0);
        let limit = Duration::from_secs(self.settings.limits.encode_seconds);
        let too_large =
            || Error::new(Kind::Full, format!("the result is larger than the {room} bytes there are for it"));
        tokio::select! {
            done = self.spawner.encode(command, stream(clip, &self.readers), hear, limit) => done?,
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
        let quotas = facts::quota_bytes(&self.settings);
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

/// The bytes of a clip, as FFmpeg reads them.
pub fn stream(clip: Clip, readers: &Readers) -> Input {
    let mut slices = Vec::with_capacity(1 + clip.movie.pieces.len());
    slices.extend(clip.slices().map(|(file, range)| Slice::File(file.clone(), range)));
    slices.insert(0, Slice::Bytes(clip.movie.head.clone()));
    pieces(slices, readers.clone()).boxed()
}

/// `GET /api/host/clip-jobs/{id}`
pub(super) async fn job(state: State, id: web::Path<String>) -> Result<HttpResponse> {
    let known = state.encodes.known(&id)?;
    reply(&id, known)
}

/// `GET /api/host/clip-jobs/{id}.mp4`: the result.
pub(super) async fn result(request: HttpRequest, state: State, id: web::Path<String>) -> Result<HttpResponse> {
    let (source, stage) = state.encodes.known(&id)?;
    let Stage::Done { bytes } = stage else { return Err(Error::new(Kind::Unavailable, "it is not finished")) };
    // In RAM: opening does not wait. Evicted meanwhile is gone.
    let file = File::open(state.encodes.0.file(&id)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(Kind::Gone, "the result was evicted; ask for it again"),
        _ => Error::io("opening an encoded clip", "hot", error),
    })?;
    let content = Content {
        slices: vec![Slice::File(Arc::new(file), 0..bytes)],
        content_type: "video/mp4",
        // The same clip encoded again may have other bytes.
        etag: None,
        cache_control: "no-store",
        location: None,
        file_name: Some(source.file_name),
    };
    Ok(respond(&request, &state.readers, content))
}

/// 200 when it is done, 202 while it is not, and what went wrong.
fn reply(id: &str, (source, stage): (Origin, Stage)) -> Result<HttpResponse> {
    let job_url = format!("/api/host/clip-jobs/{id}");
    let (state, share, bytes) = match stage {
        Stage::Failed { kind, message } => return Err(Error::new(kind, message)),
        Stage::Done { bytes } => {
            let ratio = source.bytes as f64 / bytes.max(1) as f64;
            return Ok(super::fresh(
                HttpResponse::Ok(),
                json!({
                    "success": true,
                    "url": format!("{job_url}.mp4"),
                    "size": bytes,
                    "compression_ratio": (ratio * 100.0).round() / 100.0,
                    "count": source.chunks,
                    "state": "done",
                    "progress": 1.0,
                    "job_url": job_url,
                }),
            ));
        }
        Stage::Queued => ("queued", 0.0, 0),
        Stage::Running { share, bytes } => ("running", share, bytes),
    };
    let mut reply = HttpResponse::build(StatusCode::ACCEPTED);
    reply.insert_header((header::LOCATION, job_url.as_str())).insert_header((header::RETRY_AFTER, "1"));
    let progress = (share * 1000.0_f64).round() / 1000.0;
    Ok(super::fresh(
        reply,
        json!({
            "success": false, "state": state, "progress": progress, "size": bytes, "count": source.chunks, "job_url": job_url,
        }),
    ))
}
