//! Brings what waits in hot to the disk because somebody asks for it: once for all who ask in that moment, and rarely.

use std::{sync::Arc, time::Duration};

use futures_util::future::LocalBoxFuture;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::{
    clock::{Clock, Mono},
    error::{Error, Kind, Result},
};

/// Between two commits that were asked for. Each costs an fdatasync beside the one a minute, so a reader in a loop
/// must not decide how often a disk is written.
const PAUSE: Duration = Duration::from_secs(2);
/// For the turn, the pause and the commit together.
const LIMIT: Duration = Duration::from_secs(6);

/// Puts what waits on the disk now; resolves when it is durable.
pub type Commit = Arc<dyn Fn() -> LocalBoxFuture<'static, Result<()>> + Send + Sync>;

/// The newest footage of one device.
pub struct Tail {
    clock: Clock,
    commit: Commit,
    /// Whoever holds it commits; the others wait for their turn and find that it is done.
    last: Mutex<Option<Attempt>>,
}

/// The last commit that was asked for.
struct Attempt {
    began: Mono,
    /// None when whoever asked went away before it ended.
    ended: Option<(Mono, Option<Failure>)>,
}

type Failure = (Kind, String);

impl Tail {
    pub fn new(clock: Clock, commit: Commit) -> Self {
        Self { clock, commit, last: Mutex::default() }
    }

    /// Commits, unless it `is_there` by then. Those who wait share a failure; `Unavailable` when it takes too long.
    pub async fn bring(&self, is_there: impl Fn() -> bool) -> Result<()> {
        let late = |_| Err(Error::new(Kind::Unavailable, "what waits in RAM is not on the disk yet"));
        timeout(LIMIT, self.take_turn(is_there)).await.unwrap_or_else(late)
    }

    async fn take_turn(&self, is_there: impl Fn() -> bool) -> Result<()> {
        let asked = self.clock.mono();
        let mut last = self.last.lock().await;
        if is_there() {
            return Ok(());
        }
        if let Some(attempt) = &*last {
            if let Some((ended, Some((kind, message)))) = &attempt.ended
                && *ended > asked
            {
                return Err(Error::new(*kind, message.clone()));
            }
            let since = self.clock.mono().since(attempt.began);
            if since < PAUSE {
                sleep(PAUSE - since).await;
                if is_there() {
                    return Ok(());
                }
            }
        }
        *last = Some(Attempt { began: self.clock.mono(), ended: None });
        let done = (self.commit)().await;
        let failure = done.as_ref().err().map(|error| (error.kind, error.message.clone()));
        if let Some(attempt) = &mut *last {
            attempt.ended = Some((self.clock.mono(), failure));
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;
    use crate::clock::{ManualClock, Utc90k};

    struct Bench {
        manual: ManualClock,
        commits: Arc<AtomicUsize>,
        tail: Tail,
    }

    /// Each commit takes 10 ms of the clock, fails when `fails`, and is seen by `is_there` as a higher count.
    fn bench(fails: bool) -> Bench {
        let manual = ManualClock::at(Utc90k::from_seconds(1_700_000_000));
        let commits = Arc::new(AtomicUsize::new(0));
        let (count, clock) = (commits.clone(), manual.clone());
        let commit: Commit = Arc::new(move || {
            let (count, clock) = (count.clone(), clock.clone());
            Box::pin(async move {
                tokio::task::yield_now().await;
                clock.advance(Duration::from_millis(10));
                count.fetch_add(1, Ordering::Relaxed);
                if fails { Err(Error::new(Kind::Unavailable, "no disk")) } else { Ok(()) }
            })
        });
        Bench { tail: Tail::new(manual.clock(), commit), manual, commits }
    }

    #[actix_web::test]
    async fn those_who_ask_together_cause_one_commit() {
        let Bench { commits, tail, .. } = bench(false);
        let done = join_all((0..20).map(|_| tail.bring(|| commits.load(Ordering::Relaxed) > 0))).await;
        assert!(done.iter().all(Result::is_ok));
        assert_eq!(commits.load(Ordering::Relaxed), 1);
    }

    #[actix_web::test]
    async fn a_failure_is_shared_and_then_tried_again() {
        let Bench { manual, commits, tail } = bench(true);
        let done = join_all((0..20).map(|_| tail.bring(|| false))).await;
        assert!(done.iter().all(Result::is_err));
        assert_eq!(commits.load(Ordering::Relaxed), 1);
        manual.advance(PAUSE);
        assert!(tail.bring(|| false).await.is_err());
        assert_eq!(commits.load(Ordering::Relaxed), 2);
    }

    #[actix_web::test]
    async fn what_is_there_is_not_brought() {
        let Bench { commits, tail, .. } = bench(false);
        assert!(tail.bring(|| true).await.is_ok());
        assert_eq!(commits.load(Ordering::Relaxed), 0);
    }

    #[actix_web::test]
    async fn one_who_asks_in_a_loop_waits_between_commits() {
        let Bench { commits, tail, .. } = bench(false);
        assert!(tail.bring(|| false).await.is_ok());
        let second = tail.bring(|| commits.load(Ordering::Relaxed) > 1);
        assert!(timeout(Duration::from_millis(50), second).await.is_err(), "it waits for the pause");
        assert_eq!(commits.load(Ordering::Relaxed), 1);
    }
}
