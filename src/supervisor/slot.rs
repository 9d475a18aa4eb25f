//! The handle neighbours hold instead of an `Addr`: it stays valid while the actor behind it is restarted.

use std::{fmt, sync::Arc, time::Duration};

use actix::{
    Actor, Addr, Handler, Message,
    dev::{SendError, ToEnvelope},
};
use arc_swap::ArcSwapOption;

/// Why a message was not handled. The sender decides what that means for it; nothing is queued for a successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    #[error("the mailbox is full")]
    Full,
    /// No generation is alive just now: before the first start, between restarts, after the end.
    #[error("the actor is not running")]
    Vacant,
    /// The actor ended with the message in its mailbox, or while it handled it.
    #[error("the actor ended before it answered")]
    Lost,
    #[error("no answer in time")]
    TimedOut,
}

struct Occupant<A: Actor> {
    generation: u64,
    addr: Addr<A>,
}

struct Inner<A: Actor> {
    now: ArcSwapOption<Occupant<A>>,
}

/// A stable handle over the generations of one actor. Cheap to clone; all clones see the same occupant.
///
/// All senders share one `Addr`, because actix grants every clone of an `Addr` one message beyond the capacity: a
/// fresh clone per message would make a bounded mailbox unbounded.
pub struct Slot<A: Actor>(Arc<Inner<A>>);

impl<A: Actor> Slot<A> {
    /// An empty slot: every message is refused as [`Undelivered::Vacant`] until a child is started into it.
    pub fn new() -> Self {
        Self(Arc::new(Inner { now: ArcSwapOption::empty() }))
    }

    /// Generation of the occupant, counted from 1.
    pub fn generation(&self) -> Option<u64> {
        self.0.now.load().as_ref().map(|occupant| occupant.generation)
    }

    /// Puts a message into the mailbox, or says at once why not.
    pub fn try_send<M>(&self, message: M) -> Result<(), Undelivered>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let now = self.0.now.load();
        let occupant = now.as_ref().ok_or(Undelivered::Vacant)?;
        occupant.addr.try_send(message).map_err(|refusal| match refusal {
            SendError::Full(_) => Undelivered::Full,
            SendError::Closed(_) => Undelivered::Vacant,
        })
    }

    /// Asks, and waits for the answer no longer than `limit` (place in a full mailbox included).
    pub async fn send<M>(&self, message: M, limit: Duration) -> Result<M::Result, Undelivered>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + Unpin + 'static,
        M::Result: Send,
    {
        // The guard of the swap must not be held over an await: it would keep the old generation's Addr alive.
        let request = self.0.now.load().as_ref().map(|occupant| occupant.addr.send(message));
        match tokio::time::timeout(limit, request.ok_or(Undelivered::Vacant)?).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Undelivered::Lost),
            Err(_) => Err(Undelivered::TimedOut),
        }
    }

    /// Seats a new generation. A keeper of an abandoned tree that wakes late comes with an older one: ignored.
    pub(super) fn fill(&self, generation: u64, addr: Addr<A>) {
        let new = Arc::new(Occupant { generation, addr });
        self.0.now.rcu(|now| match now {
            Some(now) if now.generation > generation => Some(now.clone()),
            _ => Some(new.clone()),
        });
    }

    /// Empties the slot if that generation still sits in it.
    pub(super) fn clear(&self, generation: u64) {
        self.0.now.rcu(|now| match now {
            Some(now) if now.generation != generation => Some(now.clone()),
            _ => None,
        });
    }
}

impl<A: Actor> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Actor> Default for Slot<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor> fmt::Debug for Slot<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({:?})", self.generation())
    }
}
