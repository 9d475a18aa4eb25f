//! One webhook: its address, its queue, its thread and how it does. It stays itself while its settings change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use serde::Serialize;

use super::outbox::{Letter, Outbox};
use crate::{
    clock::Utc90k,
    config::{Receiver, Webhook},
    telemetry::WebhookMetrics,
};

pub(super) struct Hook {
    pub settings: ArcSwap<Settings>,
    pub outbox: Outbox,
    pub status: ArcSwap<Status>,
}

/// What it was told to do.
pub(super) struct Settings {
    pub id: String,
    pub webhook: Webhook,
}

impl From<&Receiver> for Settings {
    fn from(receiver: &Receiver) -> Self {
        Self { id: receiver.id.clone(), webhook: receiver.webhook() }
    }
}

/// How one receiver does, as `/api/host/state` shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WebhookStatus {
    /// The one of `/api/settings`.
    pub id: String,
    /// Host and port; the rest of the address may be a secret.
    pub receiver: String,
    /// Empty: all of [`super::KINDS`].
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

impl Hook {
    pub fn new(receiver: &Receiver, status: Status) -> Self {
        let settings = ArcSwap::from_pointee(receiver.into());
        Self { settings, outbox: Outbox::default(), status: ArcSwap::from_pointee(status) }
    }

    pub fn take(&self, letter: &Arc<Letter>) {
        let settings = self.settings.load();
        let kinds = &settings.webhook.kinds;
        if !kinds.is_empty() && !kinds.iter().any(|kind| kind == letter.kind) {
            return;
        }
        let status = self.status.load();
        if !self.outbox.push(letter.clone()) {
            status.dropped(1);
        }
        status.waits(self.outbox.waiting());
    }

    pub fn told(&self) -> WebhookStatus {
        let (settings, status) = (self.settings.load(), self.status.load());
        let (last_sent, error) = status.last().clone();
        WebhookStatus {
            id: settings.id.clone(),
            receiver: status.receiver.clone(),
            kinds: settings.webhook.kinds.clone(),
            waiting: self.outbox.waiting(),
            sent: status.metrics.sent.get(),
            failed: status.metrics.failed.get(),
            dropped: status.metrics.dropped.get(),
            last_sent: last_sent.map(Utc90k::rfc3339),
            error,
        }
    }
}

/// Counts for one receiver.
pub(super) struct Status {
    pub receiver: String,
    metrics: WebhookMetrics,
    last: Mutex<(Option<Utc90k>, Option<String>)>,
}

impl Status {
    pub fn new(receiver: String, metrics: WebhookMetrics) -> Self {
        Self { receiver, metrics, last: Mutex::default() }
    }

    pub fn took(&self, at: Utc90k) {
        self.metrics.sent.inc();
        *self.last() = (Some(at), None);
    }

    pub fn refused(&self, why: &str) {
        self.failed(why);
        self.dropped(1);
    }

    pub fn failed(&self, why: &str) {
        self.metrics.failed.inc();
        self.last().1 = Some(why.to_owned());
    }

    pub fn dropped(&self, count: u64) {
        self.metrics.dropped.inc_by(count);
    }

    pub fn waits(&self, count: usize) {
        self.metrics.queue_depth.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn last(&self) -> MutexGuard<'_, (Option<Utc90k>, Option<String>)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Host and port.
pub(super) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// What a receiver is called: host and port, with a number where others that are `taken` are at the same host.
pub(super) fn name_of(url: &str, taken: &[String]) -> String {
    let host = host_of(url);
    let numbered = (2..).map(|number| format!("{host}#{number}"));
    let mut names = std::iter::once(host.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

/// For each receiver the webhook that it was, if it was one, and those that are none any more. By their ids first: of two
/// with one address, each stays itself.
pub(super) fn pair(mut hooks: Vec<Arc<Hook>>, receivers: &[Receiver]) -> (Vec<Option<Arc<Hook>>>, Vec<Arc<Hook>>) {
    let mut take = |is_it: &dyn Fn(&Settings) -> bool| {
        let at = hooks.iter().position(|hook| is_it(&hook.settings.load()))?;
        Some(hooks.remove(at))
    };
    let mut kept: Vec<_> = receivers.iter().map(|wanted| take(&|known| known.id == wanted.id)).collect();
    for (wanted, slot) in receivers.iter().zip(&mut kept).filter(|(_, slot)| slot.is_none()) {
        *slot = take(&|known| known.webhook.url == wanted.url && known.webhook.secret == wanted.secret);
    }
    (kept, hooks)
}
