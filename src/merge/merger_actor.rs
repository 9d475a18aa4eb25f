//! Decides each second whether a device's waiting segments should go to disk; the work itself is a [`super::job`].

use std::{ops::Range, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use crate::{
    clock::{Clock, Mono, Utc90k},
    config::Settings,
    error::{Error, Kind, Result},
    ids::{DeviceId, SegmentKey},
    merge::{
        cell::{MergeCell, Token},
        committer::Committer,
        epoch::EpochSource,
        job,
        plan::{Due, Rhythm, Situation},
    },
    storage::{Beside, DeviceIndex, HotDevice, Retention, Volume},
    supervisor::Finish,
    telemetry::DeviceMetrics,
};

/// How often the actor looks: a commit may be late by this much, a clock step is noticed within it.
const TICK: Duration = Duration::from_secs(1);

/// Frees at least that many bytes on the archive by evicting oldest footage. Called on the commit thread.
pub type Evict = Arc<dyn Fn(u64) + Send + Sync>;

/// Whether footage from there to there outlives the ring: in the library, or pinned. Called on the commit thread.
pub type Stays = Arc<dyn Fn(Utc90k, Utc90k) -> bool + Send + Sync>;

/// Hears of each commit: the footage that became durable, and its bytes. Called on the commit thread: must not wait.
pub type Told = Arc<dyn Fn(Range<Utc90k>, u64) + Send + Sync>;
/// Told after each job how the run of that segment is tied to the wall clock (wall = run time + offset), and when the job
/// began. Called on the commit thread.
pub type Tied = Arc<dyn Fn(SegmentKey, i64, Mono) + Send + Sync>;

/// Everything merging needs; owned by the device, shared by its actors and jobs.
pub struct MergerParts {
    pub device: DeviceId,
    /// Which of how many devices, so that their commits spread over the interval.
    pub stagger: (usize, usize),
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub log: slog::Logger,
    pub hot: Arc<HotDevice>,
    pub index: Arc<DeviceIndex>,
    pub volume: Arc<Volume>,
    pub retention: Arc<Retention>,
    pub committer: Committer,
    pub cell: Arc<MergeCell>,
    pub epochs: Arc<EpochSource>,
    pub metrics: DeviceMetrics,
    pub evict: Evict,
    pub stays: Stays,
    pub told: Told,
    pub beside: Arc<dyn Beside>,
    pub tied: Tied,
}

/// One generation of a device's merger.
pub struct MergerActor {
    parts: Arc<MergerParts>,
    token: Token,
    rhythm: Rhythm,
}

/// Segments may wait: a wake-up without content, for what waits is hot's to know.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SegmentArrived;

/// Commits what waits, now; resolves when it is durable. An error leaves the segments in hot.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<()>")]
pub struct CommitNow;

impl MergerActor {
    /// Takes over from the generation before; a job that still runs is waited for.
    pub fn new(parts: impl Into<Arc<MergerParts>>) -> Self {
        let parts = parts.into();
        let token = parts.cell.adopt();
        let rhythm = Rhythm::new(parts.settings.archive.commit_seconds, parts.stagger, parts.clock.mono());
        Self { parts, token, rhythm }
    }

    fn tick(&mut self) {
        let Self { parts, token, rhythm } = self;
        let waiting = parts.hot.waiting();
        // Steps are kept in the cell until a job takes them, and logged there.
        let _ = parts.cell.look(&parts.clock, waiting.last().map(|segment| segment.key));
        if let Some((at, ok)) = parts.cell.take_ended() {
            rhythm.ended(at, ok);
        }
        if parts.cell.is_busy() {
            return;
        }
        let situation = Situation {
            mono: parts.clock.mono(),
            wall: parts.clock.wall(),
            waiting: waiting.len(),
            waiting_bytes: parts.hot.waiting_bytes(),
            quota_bytes: parts.settings.hot.device_bytes.0,
            chunk_until: parts.cell.chunk_until(),
        };
        // What is on disk should be known, and finished, also while nothing arrives.
        let due = if parts.cell.status().recovered || parts.cell.status().failures > 0 {
            rhythm.due(&situation)
        } else {
            Some(Due::Start)
        };
        if let Some(due) = due {
            // A full queue is no failure: the next tick asks again.
            let _ = start(parts, *token, due, None);
        }
    }
}

/// Puts a job on the commit thread. [`Kind::Unavailable`] when it cannot take one now.
fn start(parts: &Arc<MergerParts>, token: Token, due: Due, reply: Option<oneshot::Sender<Result<()>>>) -> Result<()> {
    let claim = parts
        .cell
        .claim(token)
        .ok_or_else(|| Error::new(Kind::Unavailable, "another commit runs").at(&parts.device))?;
    parts.committer.submit(job::boxed(parts.clone(), claim, due, reply))
}

impl Actor for MergerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.tick();
        ctx.run_interval(TICK, |actor, _| actor.tick());
    }
}

impl Handler<SegmentArrived> for MergerActor {
    type Result = ();

    fn handle(&mut self, _: SegmentArrived, _: &mut Self::Context) {
        self.tick();
    }
}

impl Handler<CommitNow> for MergerActor {
    type Result = ResponseFuture<Result<()>>;

    fn handle(&mut self, _: CommitNow, _: &mut Self::Context) -> Self::Result {
        Box::pin(final_commit(self.parts.clone(), self.token))
    }
}

/// The device stops: what waits goes to disk.
impl Handler<Finish> for MergerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Finish, _: &mut Self::Context) -> Self::Result {
        let (parts, token) = (self.parts.clone(), self.token);
        Box::pin(async move {
            if let Err(error) = final_commit(parts.clone(), token).await {
                slog::warn!(parts.log, "segments stay in hot for the next start"; "error" => %error);
            }
        })
    }
}

/// For a device whose actors have ended: commits what waits and seals the open chunk. An error leaves the segments in hot.
pub async fn conclude(parts: &Arc<MergerParts>) -> Result<()> {
    commit(parts.clone(), parts.cell.adopt(), Due::Last).await
}

async fn final_commit(parts: Arc<MergerParts>, token: Token) -> Result<()> {
    commit(parts, token, Due::Final).await
}

async fn commit(parts: Arc<MergerParts>, token: Token, due: Due) -> Result<()> {
    parts.cell.idle().await;
    let (reply, answer) = oneshot::channel();
    start(&parts, token, due, Some(reply))?;
    answer.await.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the commit job panicked")))
}
