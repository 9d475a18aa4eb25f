//! Starts an actor as a task whose end is always noticed: normal, panic, or its arbiter gone.
//!
//! actix's own `Supervisor` sees no panic and keeps the broken struct; here each generation is a fresh actor from a
//! factory, and the future that drives it reports how it ended.

use std::{
    any::Any,
    cell::RefCell,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use actix::{
    Actor, Addr, AsyncContext, Context,
    dev::{ContextFut, channel},
};
use actix_rt::ArbiterHandle;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{faults::Poison, heartbeat::Heartbeat, members::Witness};

/// How a generation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "message", rename_all = "snake_case")]
pub enum Exit {
    /// It stopped itself without being asked.
    Normal,
    /// Its token was revoked: asked to end, or its tree was replaced.
    Stopped,
    /// A handler, `started`, `stopped` or the factory panicked; with the place when the hook is installed.
    Panic(String),
    /// The arbiter ended, or could not be started.
    ArbiterLost(String),
    /// No sign of life from the named actor of the tree.
    Hang(String),
}

impl Exit {
    /// True when the end was wanted.
    pub fn is_wanted(&self) -> bool {
        matches!(self, Self::Stopped)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("ended by itself"),
            Self::Stopped => f.write_str("stopped"),
            Self::Panic(message) => write!(f, "panic: {message}"),
            Self::ArbiterLost(message) => write!(f, "arbiter lost: {message}"),
            Self::Hang(actor) => write!(f, "no sign of life from {actor}"),
        }
    }
}

/// One running generation. Dropping it lets the actor run on unwatched.
pub struct Watched<A: Actor> {
    /// The only `Addr`; put it into a [`Slot`](super::Slot).
    pub addr: Addr<A>,
    report: oneshot::Receiver<Exit>,
    exit: Option<Exit>,
}

impl<A: Actor> Watched<A> {
    /// Resolves when the generation has ended and its struct is dropped; may be asked again.
    pub async fn exit(&mut self) -> Exit {
        if let Some(exit) = &self.exit {
            return exit.clone();
        }
        let lost = |_| Exit::ArbiterLost("the event loop ended".into());
        let exit = (&mut self.report).await.unwrap_or_else(lost);
        self.exit = Some(exit.clone());
        exit
    }
}

/// What a generation is given along with its arbiter.
pub struct Conditions {
    /// Messages that may wait; at least 1 (0 would mean unbounded to actix).
    pub mailbox: usize,
    pub heartbeat: Heartbeat,
    /// How often the actor's own context beats.
    pub beat_every: Duration,
    /// Cancelled to end the actor: its context is dropped, which runs `stopping` and `stopped`.
    pub token: CancellationToken,
    pub poison: Option<mpsc::Receiver<Poison>>,
    /// Dropped when the generation has ended, whichever way.
    pub witness: Witness,
}

/// Starts one generation on `arbiter`. The factory runs there, under the same watch as the actor.
///
/// The context beats by itself, so a beat proves that the actor's mailbox and futures are being served. That interval
/// also keeps the actor alive when nobody holds its address: it ends by token, by `ctx.stop()`, or by failing.
pub fn start<A, F>(arbiter: &ArbiterHandle, conditions: Conditions, factory: F) -> Watched<A>
where
    A: Actor<Context = Context<A>>,
    F: FnOnce(&mut Context<A>) -> A + Send + 'static,
{
    let (sender, receiver) = channel::channel(conditions.mailbox.max(1));
    let (report, reported) = oneshot::channel();
    // A refusal drops the closure and with it `report`: the exit then reads as a lost arbiter.
    let _ = arbiter.spawn_fn(move || {
        let heartbeat = conditions.heartbeat.clone();
        let beat_every = conditions.beat_every;
        let born = conditions.witness.turn(|| {
            caught(move || {
                let mut ctx = Context::with_receiver(receiver);
                ctx.run_interval(beat_every, move |_, _| heartbeat.beat());
                let actor = factory(&mut ctx);
                ctx.into_future(actor)
            })
        });
        match born {
            Ok(future) => {
                actix_rt::spawn(drive(Guarded(Some(future)), conditions, report));
            }
            Err(message) => {
                drop(conditions);
                let _ = report.send(Exit::Panic(message));
            }
        }
    });
    Watched { addr: Addr::new(sender), report: reported, exit: None }
}

/// Drives a context to its end and reports it.
async fn drive<A: Actor<Context = Context<A>>>(
    mut context: Guarded<A>,
    conditions: Conditions,
    report: oneshot::Sender<Exit>,
) {
    let Conditions { token, mut poison, witness, .. } = conditions;
    let mut revoked = std::pin::pin!(token.cancelled());
    let mut exit = poll_fn(|cx| {
        if let Some(Poll::Ready(Some(poison))) = poison.as_mut().map(|poison| poison.poll_recv(cx))
            && let Err(message) = witness.turn(|| caught(|| poison.strike()))
        {
            return Poll::Ready(Exit::Panic(message));
        }
        // First the token: a revoked generation gets no further turn.
        if revoked.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Exit::Stopped);
        }
        let Some(future) = context.0.as_mut() else { return Poll::Ready(Exit::Normal) };
        match witness.turn(|| caught(|| Pin::new(future).poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(Exit::Normal),
            Err(message) => Poll::Ready(Exit::Panic(message)),
        }
    })
    .await;
    if let (Err(message), false) = (witness.turn(|| context.end()), matches!(exit, Exit::Panic(_))) {
        exit = Exit::Panic(message);
    }
    drop(witness);
    let _ = report.send(exit);
}

/// Drops a context outside any unwinding. Dropping runs `stopping` and `stopped` of the actor: a panic there while
/// another panic unwinds would abort the process.
struct Guarded<A: Actor<Context = Context<A>>>(Option<ContextFut<A, Context<A>>>);

impl<A: Actor<Context = Context<A>>> Guarded<A> {
    fn end(&mut self) -> Result<(), String> {
        let context = self.0.take();
        caught(move || drop(context))
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Guarded<A> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

thread_local! {
    static PANIC_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Replaces the default panic hook: panics go to the log, with their place, which [`Exit::Panic`] then tells too.
pub fn install_panic_hook(log: slog::Logger) {
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = text_of(info.payload());
        slog::error!(log, "panic"; "message" => message, "at" => &place,
            "thread" => std::thread::current().name().unwrap_or("?"));
        // Fails only while the thread ends; then nobody reads it.
        let _ = PANIC_PLACE.try_with(|cell| cell.try_borrow_mut().map(|mut cell| *cell = Some(place)));
    }));
}

/// Runs `work`; a panic becomes its message.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = text_of(payload.as_ref()).to_owned();
        // The payload's own destructor may panic as well.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        match PANIC_PLACE.with(|cell| cell.borrow_mut().take()) {
            Some(place) if !place.is_empty() => format!("{message} ({place})"),
            _ => message,
        }
    })
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "not a text",
    }
}
