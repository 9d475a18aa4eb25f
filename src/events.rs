//! What happened, told to whoever listens: pages over server-sent events, programs over webhooks.
//!
//! Publishing never waits. Each listener has a bounded queue of its own; one that falls behind loses the oldest events
//! and is told how many.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::{
    clock::{Clock, Utc90k},
    ids::DeviceId,
    telemetry::{EventCounters, Metrics},
};

/// Events that wait for a slow listener; then the oldest go.
const WAITING_MAX: usize = 256;
/// Events a listener that comes back can still get: a page that reconnects after a few seconds misses none.
const KEPT_MAX: usize = 256;

/// What an event is about; the name of the server-sent event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// A device's status changed.
    Device,
    /// An incident was opened, changed or closed.
    Incident,
    /// Footage became durable.
    Commit,
    /// Footage was lost.
    Lost,
    /// A job started, went on or ended.
    Job,
}

impl Topic {
    pub const ALL: [Self; 5] = [Self::Device, Self::Incident, Self::Commit, Self::Lost, Self::Job];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Incident => "incident",
            Self::Commit => "commit",
            Self::Lost => "lost",
            Self::Job => "job",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Counts up by one; starts at a higher number after each start of the daemon.
    pub id: u64,
    pub at: Utc90k,
    pub topic: Topic,
    /// What happened, for people who filter: `device_down`, `incident_opened`, `recording_lost`, …
    pub kind: &'static str,
    pub device: Option<DeviceId>,
    /// An object; what is in it depends on the kind.
    pub data: Value,
}

impl Event {
    /// As clients get it: `{"id", "at", "kind", "device", …data}`.
    pub fn json(&self) -> Value {
        let mut told = match &self.data {
            Value::Object(data) => data.clone(),
            _ => serde_json::Map::new(),
        };
        told.insert("id".into(), self.id.into());
        told.insert("at".into(), self.at.rfc3339().into());
        told.insert("kind".into(), self.kind.into());
        if let Some(device) = &self.device {
            told.insert("device".into(), device.as_str().into());
        }
        Value::Object(told)
    }
}

/// Where events are published and heard. Cheap to clone.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    clock: Clock,
    sender: broadcast::Sender<Arc<Event>>,
    counters: EventCounters,
    log: Mutex<Log>,
}

struct Log {
    next: u64,
    /// Oldest first.
    kept: VecDeque<Arc<Event>>,
}

/// The next thing a listener hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Event(Arc<Event>),
    /// It was too slow: so many events are gone.
    Missed(u64),
}

/// One listener.
pub struct Listener {
    earlier: VecDeque<Arc<Event>>,
    missed: u64,
    receiver: broadcast::Receiver<Arc<Event>>,
}

impl Events {
    /// Counted by nobody but itself.
    pub fn new(clock: Clock) -> Self {
        Self::counted(clock, &Metrics::new())
    }

    pub fn counted(clock: Clock, metrics: &Metrics) -> Self {
        let counters = metrics.event_counters();
        let (sender, _) = broadcast::channel(WAITING_MAX);
        // Microseconds since 1970: ids grow over restarts as long as fewer than a million events come a second.
        let next = u64::try_from(clock.wall().as_ms()).unwrap_or(1).saturating_mul(1000);
        let log = Mutex::new(Log { next, kept: VecDeque::with_capacity(KEPT_MAX) });
        Self(Arc::new(Inner { clock, sender, counters, log }))
    }

    /// Tells everybody. `data` should be an object.
    pub fn publish(&self, topic: Topic, kind: &'static str, device: Option<&DeviceId>, data: Value) {
        let mut log = self.log();
        let event =
            Arc::new(Event { id: log.next, at: self.0.clock.wall(), topic, kind, device: device.cloned(), data });
        log.next += 1;
        if log.kept.len() == KEPT_MAX {
            log.kept.pop_front();
        }
        log.kept.push_back(event.clone());
        self.0.counters.count(topic.name());
        // Inside the lock, so that nobody hears events in another order. Nobody listening is no failure.
        let _ = self.0.sender.send(event);
    }

    /// Hears what comes from now on; with `after`, the id of the last event it had, first what was missed since.
    pub fn listen(&self, after: Option<u64>) -> Listener {
        let log = self.log();
        let receiver = self.0.sender.subscribe();
        let Some(after) = after else { return Listener { earlier: VecDeque::new(), missed: 0, receiver } };
        let earlier: VecDeque<_> = log.kept.iter().filter(|event| event.id > after).cloned().collect();
        let oldest = earlier.front().map_or(log.next, |event| event.id);
        // An id of an earlier life of the daemon is far below: how many were missed then is not known.
        let missed = if after < log.next { oldest.saturating_sub(after + 1) } else { 0 };
        Listener { earlier, missed, receiver }
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.0.sender.receiver_count()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// None when the daemon ends.
    pub async fn next(&mut self) -> Option<Heard> {
        if self.missed > 0 {
            return Some(Heard::Missed(std::mem::take(&mut self.missed)));
        }
        if let Some(event) = self.earlier.pop_front() {
            return Some(Heard::Event(event));
        }
        match self.receiver.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use serde_json::json;

    use super::*;

    fn events() -> Events {
        Events::new(Clock::system())
    }

    fn publish(events: &Events, count: usize) {
        for number in 0..count {
            events.publish(Topic::Commit, "committed", Some(&"cam".parse().unwrap()), json!({"number": number}));
        }
    }

    fn hear(listener: &mut Listener) -> Vec<Heard> {
        std::iter::from_fn(|| listener.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn listeners_hear_all_from_now_on_in_order() {
        let events = events();
        publish(&events, 3);
        let mut listener = events.listen(None);
        assert_eq!(hear(&mut listener), []);
        publish(&events, 2);
        let heard = hear(&mut listener);
        let numbers: Vec<_> = heard
            .iter()
            .map(|heard| match heard {
                Heard::Event(event) => event.json()["number"].as_u64(),
                Heard::Missed(_) => None,
            })
            .collect();
        assert_eq!(numbers, [Some(0), Some(1)]);
        let Some(Heard::Event(event)) = heard.first() else { panic!("{heard:?}") };
        assert_eq!(event.json()["device"], "cam");
        assert_eq!(event.json()["kind"], "committed");
    }

    #[test]
    fn one_that_comes_back_gets_what_it_missed() {
        let events = events();
        publish(&events, 1);
        let Heard::Event(first) = ({
            let mut listener = events.listen(Some(0));
            assert!(matches!(hear(&mut listener)[0], Heard::Missed(_)), "an id of an earlier life");
            let mut listener = events.listen(None);
            publish(&events, 1);
            hear(&mut listener).remove(0)
        }) else {
            panic!()
        };
        publish(&events, 2);
        assert_eq!(hear(&mut events.listen(Some(first.id))).len(), 2);
        publish(&events, KEPT_MAX);
        let heard = hear(&mut events.listen(Some(first.id)));
        assert_eq!((&heard[0], heard.len()), (&Heard::Missed(2), 1 + KEPT_MAX));
        assert_eq!(hear(&mut events.listen(Some(first.id + 1_000_000))), [], "an id that was never given");
    }

    #[test]
    fn a_slow_listener_loses_the_oldest_and_is_told() {
        let events = events();
        let mut listener = events.listen(None);
        publish(&events, WAITING_MAX + 10);
        let heard = hear(&mut listener);
        assert_eq!((&heard[0], heard.len()), (&Heard::Missed(10), 1 + WAITING_MAX));
    }
}
