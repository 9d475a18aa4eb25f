//! Tells other programs what happened: webhooks, each with a queue and a thread of its own.
//!
//! Whoever publishes an event waits for nobody here; a receiver that is down or hangs holds up its own queue alone.

mod outbox;
mod sender;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use serde::Serialize;
use slog::{Logger, o, warn};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Utc90k},
    config::Webhook,
    error::{Error, Result},
    events::{Event, Events, Heard, Listener},
    telemetry::{Metrics, ReceiverLabel, WebhookMetrics},
};
use outbox::{Letter, Outbox};
use sender::Sender;

/// What webhooks are told of; other events are for pages.
pub const KINDS: [&str; 5] = ["device_up", "device_down", "incident_opened", "incident_closed", "recording_lost"];
/// The end of the daemon waits no longer for what is being sent.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What a notifier is built on.
pub struct NotifierParts<'a> {
    pub webhooks: &'a [Webhook],
    /// Goes into each event.
    pub host: String,
    pub events: &'a Events,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub log: Logger,
}

/// All webhooks of the host.
pub struct Notifier {
    hooks: Vec<Arc<Hook>>,
    stop: CancellationToken,
    /// Hears nothing, and is disconnected once every thread has ended.
    ended: Mutex<Receiver<()>>,
}

struct Hook {
    kinds: Vec<String>,
    outbox: Arc<Outbox>,
    status: Arc<Status>,
}

/// How one receiver does, as `/api/host/state` shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WebhookStatus {
    /// Host and port; the rest of the address may be a secret.
    pub receiver: String,
    /// Empty: all of [`KINDS`].
    pub kinds: Vec<String>,
    pub waiting: usize,
    pub sent: u64,
    pub failed: u64,
    pub dropped: u64,
    /// RFC 3339.
    pub last_sent: Option<String>,
    /// Of the last attempt; None when it was taken.
    pub error: Option<String>,
}

/// Counts for one receiver.
struct Status {
    receiver: String,
    metrics: WebhookMetrics,
    last: Mutex<(Option<Utc90k>, Option<String>)>,
}

impl Notifier {
    pub fn start(parts: NotifierParts) -> Result<Self> {
        let stop = CancellationToken::new();
        let (alive, ended) = channel::<()>();
        let mut hooks = Vec::new();
        for (webhook, receiver) in parts.webhooks.iter().zip(receivers(parts.webhooks)) {
            let label = ReceiverLabel { receiver: receiver.clone() };
            let status = Status { receiver, metrics: parts.metrics.webhook(&label), last: Mutex::default() };
            let hook = Hook { kinds: webhook.kinds.clone(), outbox: Arc::default(), status: Arc::new(status) };
            let sender = Sender {
                webhook: webhook.clone(),
                outbox: hook.outbox.clone(),
                status: hook.status.clone(),
                clock: parts.clock.clone(),
                log: parts.log.new(o!("receiver" => hook.status.receiver.clone())),
            };
            let alive = alive.clone();
            spawn("webhook", move || {
                sender.run();
                drop(alive);
            })?;
            hooks.push(Arc::new(hook));
        }
        if !hooks.is_empty() {
            let listener = parts.events.listen(None);
            let desk = Desk { hooks: hooks.clone(), host: parts.host, log: parts.log };
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.map_err(|error| Error::io("starting the webhooks", "", error))?;
            let stop = stop.clone();
            spawn("notify", move || {
                runtime.block_on(desk.listen(listener, stop));
                drop(alive);
            })?;
        }
        Ok(Self { hooks, stop, ended: Mutex::new(ended) })
    }

    pub fn status(&self) -> Vec<WebhookStatus> {
        self.hooks.iter().map(|hook| hook.status.told(&hook.kinds, hook.outbox.waiting())).collect()
    }

    /// Ends the threads; what could not be sent by then is lost. Waits a second at most.
    pub fn stop(&self, log: &Logger) {
        self.stop.cancel();
        self.hooks.iter().for_each(|hook| hook.outbox.end());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // One that hangs in a request ends with the process.
        let hangs = ended.recv_timeout(STOP_LIMIT) == Err(RecvTimeoutError::Timeout);
        let waiting: usize = self.hooks.iter().map(|hook| hook.outbox.waiting()).sum();
        if waiting > 0 || hangs {
            warn!(log, "webhooks end with events unsent"; "waiting" => waiting, "hangs" => hangs);
        }
    }
}

/// Hands events out to the outboxes.
struct Desk {
    hooks: Vec<Arc<Hook>>,
    host: String,
    log: Logger,
}

impl Desk {
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
                    warn!(self.log, "webhooks missed events"; "events" => missed);
                    self.hooks.iter().for_each(|hook| hook.status.dropped(missed));
                }
            }
        }
    }

    fn hand_out(&self, event: &Event) {
        let wants = |hook: &&Arc<Hook>| hook.kinds.is_empty() || hook.kinds.iter().any(|kind| kind == event.kind);
        if !KINDS.contains(&event.kind) {
            return;
        }
        let mut body = event.json();
        if let Some(body) = body.as_object_mut() {
            body.insert("host".into(), self.host.as_str().into());
        }
        let letter = Arc::new(Letter { id: event.id, kind: event.kind, body: body.to_string().into_bytes() });
        for hook in self.hooks.iter().filter(wants) {
            if !hook.outbox.push(letter.clone()) {
                hook.status.dropped(1);
            }
            hook.status.waits(hook.outbox.waiting());
        }
    }
}

impl Status {
    fn took(&self, at: Utc90k) {
        self.metrics.sent.inc();
        *self.last() = (Some(at), None);
    }

    fn refused(&self, why: &str) {
        self.failed(why);
        self.dropped(1);
    }

    fn failed(&self, why: &str) {
        self.metrics.failed.inc();
        self.last().1 = Some(why.to_owned());
    }

    fn dropped(&self, count: u64) {
        self.metrics.dropped.inc_by(count);
    }

    fn waits(&self, count: usize) {
        self.metrics.queue_depth.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn told(&self, kinds: &[String], waiting: usize) -> WebhookStatus {
        let (last_sent, error) = self.last().clone();
        WebhookStatus {
            receiver: self.receiver.clone(),
            kinds: kinds.to_vec(),
            waiting,
            sent: self.metrics.sent.get(),
            failed: self.metrics.failed.get(),
            dropped: self.metrics.dropped.get(),
            last_sent: last_sent.map(Utc90k::rfc3339),
            error,
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, (Option<Utc90k>, Option<String>)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each is called: host and port, with a number where several are at one host.
fn receivers(webhooks: &[Webhook]) -> Vec<String> {
    let mut seen = HashMap::<String, usize>::new();
    let name = |webhook: &Webhook| {
        let rest = webhook.url.split_once("://").map_or(webhook.url.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default().to_owned();
        let count = seen.entry(host.clone()).or_default();
        *count += 1;
        if *count == 1 { host } else { format!("{host}#{count}") }
    };
    webhooks.iter().map(name).collect()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(name.into()).spawn(run);
    spawned.map(|_| ()).map_err(|error| Error::io("starting the thread of a webhook", name, error))
}

#[cfg(test)]
mod tests;
