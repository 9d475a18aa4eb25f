//! Tells other programs what happened: webhooks, each with a queue and a thread of its own.
//!
//! Whoever publishes an event waits for nobody here; a receiver that is down or hangs holds up its own queue alone. Who is
//! told may change at any time; until it is known who, events wait.

mod hook;
mod outbox;
mod sender;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver as Ended, RecvTimeoutError, Sender as Alive, channel},
    },
    thread,
    time::Duration,
};

use serde_json::json;
use slog::{Logger, info, warn};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Receiver,
    error::{Error, Kind, Result},
    events::{Event, Events, Heard, Listener},
    telemetry::{Metrics, ReceiverLabel},
};
pub use hook::WebhookStatus;
use hook::{Hook, Status, host_of, name_of, pair};
use outbox::{Letter, WAITING_MAX};
use sender::Sender;

/// What webhooks are told of; other events are for pages.
pub const KINDS: [&str; 5] = ["device_up", "device_down", "incident_opened", "incident_closed", "recording_lost"];
/// What a receiver is sent when somebody tries it.
const TEST: &str = "test";
/// Tries at the same time; each may take as long as a receiver hangs.
const TESTS_MAX: usize = 2;
/// The end of the daemon waits no longer for what is being sent.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What a notifier is built on.
pub struct NotifierParts<'a> {
    /// Goes into each event.
    pub host: String,
    pub events: &'a Events,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub log: Logger,
}

/// All webhooks of the host.
pub struct Notifier {
    desk: Arc<Desk>,
    stop: CancellationToken,
    alive: Mutex<Option<Alive<()>>>,
    /// Hears nothing, and is disconnected once every thread has ended.
    ended: Mutex<Ended<()>>,
    tests: AtomicUsize,
}

impl Notifier {
    /// Nobody is told yet: see [`Self::replace`].
    pub fn start(parts: NotifierParts) -> Result<Self> {
        let stop = CancellationToken::new();
        let (alive, ended) = channel::<()>();
        let listener = parts.events.listen(None);
        let shelf = Mutex::new(Shelf { hooks: Vec::new(), early: Some(VecDeque::new()) });
        let desk = Desk { shelf, host: parts.host, clock: parts.clock, metrics: parts.metrics, log: parts.log };
        let desk = Arc::new(desk);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Error::io("starting the webhooks", "", error))?;
        let (listening, ends, lives) = (desk.clone(), stop.clone(), alive.clone());
        spawn("notify", move || {
            runtime.block_on(listening.listen(listener, ends));
            drop(lives);
        })?;
        let (alive, ended) = (Mutex::new(Some(alive)), Mutex::new(ended));
        Ok(Self { desk, stop, alive, ended, tests: AtomicUsize::new(0) })
    }

    /// Who is told from now on. One that stays (by its id, or by address and secret) keeps what waits for it; one that is
    /// gone is sent nothing more. What happened before anybody was known is told now. An error is one of starting a
    /// thread: that webhook is told nothing, the others are.
    pub fn replace(&self, receivers: &[Receiver]) -> Result<()> {
        let (kept, left) = pair(self.desk.lock().hooks.clone(), receivers);
        let kept: Vec<_> = receivers.iter().zip(kept).collect();
        let is_at =
            |hook: &Hook, receiver: &Receiver| host_of(&hook.settings.load().webhook.url) == host_of(&receiver.url);
        let mut names: Vec<String> = kept
            .iter()
            .filter_map(|(receiver, hook)| hook.as_ref().filter(|hook| is_at(hook, receiver)))
            .map(|hook| hook.status.load().receiver.clone())
            .collect();
        // Their counts go before another takes the name.
        let renamed = kept.iter().filter_map(|(receiver, hook)| hook.as_ref().filter(|hook| !is_at(hook, receiver)));
        for hook in left.iter().chain(renamed) {
            self.desk.metrics.forget_webhook(&ReceiverLabel { receiver: hook.status.load().receiver.clone() });
        }
        let (mut hooks, mut failed) = (Vec::new(), None);
        for (receiver, hook) in kept {
            let mut status = || {
                let name = name_of(&receiver.url, &names);
                names.push(name.clone());
                let metrics = self.desk.metrics.webhook(&ReceiverLabel { receiver: name.clone() });
                Status::new(name, metrics)
            };
            let hook = match hook {
                Some(hook) => {
                    if !is_at(&hook, receiver) {
                        hook.status.store(Arc::new(status()));
                    }
                    hook.settings.store(Arc::new(receiver.into()));
                    hook.outbox.wake();
                    hook
                }
                None => {
                    let hook = Arc::new(Hook::new(receiver, status()));
                    if let Err(error) = self.begin(&hook) {
                        failed = Some(error);
                        continue;
                    }
                    hook
                }
            };
            hooks.push(hook);
        }
        {
            let mut shelf = self.desk.lock();
            for letter in shelf.early.take().into_iter().flatten() {
                hooks.iter().for_each(|hook| hook.take(&letter));
            }
            shelf.hooks = hooks;
        }
        for gone in &left {
            gone.outbox.end();
            info!(self.desk.log, "webhook is told nothing more"; "receiver" => &gone.status.load().receiver,
                "waiting" => gone.outbox.waiting());
        }
        failed.map_or(Ok(()), Err)
    }

    fn begin(&self, hook: &Arc<Hook>) -> Result<()> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = Sender { hook: hook.clone(), clock: self.desk.clock.clone(), log: self.desk.log.clone() };
        spawn("webhook", move || {
            sender.run();
            drop(alive);
        })
    }

    pub fn status(&self) -> Vec<WebhookStatus> {
        self.desk.lock().hooks.iter().map(|hook| hook.told()).collect()
    }

    /// Sends one delivery past the queue, and tells the answer's status. Waits as long as any delivery may take: call it
    /// on a thread that may. [`Kind::Unavailable`] with the receiver's fault when it does not answer.
    pub fn test(&self, id: &str) -> Result<u16> {
        let found = self.desk.lock().hooks.iter().find(|hook| hook.settings.load().id == id).cloned();
        let hook = found.ok_or_else(|| Error::new(Kind::NotFound, "there is no webhook of that id").at("id"))?;
        let busy = self.tests.fetch_add(1, Ordering::AcqRel) >= TESTS_MAX;
        let done = if busy { Err("others are being tried: try again".into()) } else { self.desk.test(&hook) };
        self.tests.fetch_sub(1, Ordering::AcqRel);
        done.map_err(|why| Error::new(Kind::Unavailable, why))
    }

    /// Ends the threads; what could not be sent by then is lost. Waits a second at most.
    pub fn stop(&self, log: &Logger) {
        self.stop.cancel();
        drop(self.alive.lock().unwrap_or_else(PoisonError::into_inner).take());
        let hooks = self.desk.lock().hooks.clone();
        hooks.iter().for_each(|hook| hook.outbox.end());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // One that hangs in a request ends with the process.
        let hangs = ended.recv_timeout(STOP_LIMIT) == Err(RecvTimeoutError::Timeout);
        let early = self.desk.lock().early.as_ref().map_or(0, VecDeque::len);
        let waiting: usize = hooks.iter().map(|hook| hook.outbox.waiting()).sum::<usize>() + early;
        if waiting > 0 || hangs {
            warn!(log, "webhooks end with events unsent"; "waiting" => waiting, "hangs" => hangs);
        }
    }
}

/// Hands events out to the outboxes.
struct Desk {
    shelf: Mutex<Shelf>,
    host: String,
    clock: Clock,
    metrics: Arc<Metrics>,
    log: Logger,
}

/// Held for as long as a list is read or replaced.
struct Shelf {
    hooks: Vec<Arc<Hook>>,
    /// What happened before it is known who is told; then the oldest goes when there is too much.
    early: Option<VecDeque<Arc<Letter>>>,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(&self, mut listener: Listener, stop: CancellationToken) {
        loop {
            let heard = tokio::select! {
                heard = listener.next() => heard,
                () = stop.cancelled() => None,
            };
            match heard {
                None => return,
                Some(Heard::Event(event)) => self.hand_out(&event),
                Some(Heard::Missed(missed)) => {
                    let hooks = self.lock().hooks.clone();
                    warn!(self.log, "webhooks missed events"; "events" => missed);
                    hooks.iter().for_each(|hook| hook.status.load().dropped(missed));
                }
            }
        }
    }

    fn hand_out(&self, event: &Event) {
        if !KINDS.contains(&event.kind) {
            return;
        }
        let letter = Arc::new(self.letter(event.id, event.kind, event.json()));
        let mut shelf = self.lock();
        match &mut shelf.early {
            Some(early) => {
                if early.len() == WAITING_MAX {
                    early.pop_front();
                }
                early.push_back(letter);
            }
            None => shelf.hooks.iter().for_each(|hook| hook.take(&letter)),
        }
    }

    fn letter(&self, id: u64, kind: &'static str, mut body: serde_json::Value) -> Letter {
        if let Some(body) = body.as_object_mut() {
            body.insert("host".into(), self.host.as_str().into());
        }
        Letter { id, kind, body: body.to_string().into_bytes() }
    }

    fn test(&self, hook: &Hook) -> std::result::Result<u16, String> {
        let body = json!({"id": 0, "kind": TEST, "at": self.clock.wall().rfc3339()});
        sender::post(&sender::agent(), &hook.settings.load().webhook, &self.letter(0, TEST, body), &self.clock)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(name.into()).spawn(run);
    spawned.map(|_| ()).map_err(|error| Error::io("starting the thread of a webhook", name, error))
}

#[cfg(test)]
mod tests;
