//! Watches one device for incidents: carries what its [`State`] decides to the book, to whoever listens, to the log and
//! the metrics, and has the proof kept. Outlives the actors of the device.
//!
//! Nothing here waits: observations come on the threads of the analysis pool.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use serde_json::json;
use slog::{Logger, info, warn};

use super::{
    evidence::{Evidence, Keep},
    lane::{Change, Mark, Owner, Proof, What},
    model::{Book, Incident, IncidentKind, MUTED},
    proof::Leases,
    state::{Signal, State},
    told::told,
};
use crate::{
    clock::{Clock, Mono, Utc90k, ticks_90k},
    config::Detect,
    events::{Events, Topic},
    frames::{Observation, Witness},
    storage::{
        HotDevice,
        layout::{EvidenceKey, PictureKind, Shot},
    },
    telemetry::{DeviceMetrics, KindLabel, Metrics},
};

/// How often the last bad frame of what is open is written down: what a kill can take from an incident's length.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// Incidents that are over but may still get their proof or be reopened.
const CLOSED_KEPT: usize = 16;

/// What a tracker is built on.
pub struct TrackerParts {
    pub owner: Owner,
    pub clock: Clock,
    pub log: Logger,
    /// Thresholds; they may change at any time.
    pub detect: Arc<ArcSwap<Detect>>,
    pub hot: Arc<HotDevice>,
    pub book: Arc<dyn Book>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub device_metrics: DeviceMetrics,
    /// None: pictures are not copied.
    pub evidence: Option<Evidence>,
    /// Whether nobody wants to know of trouble at this time.
    pub muted: Arc<dyn Fn(Utc90k) -> bool + Send + Sync>,
}

/// See the module.
pub struct Tracker {
    parts: TrackerParts,
    me: Weak<Self>,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    /// What was told last, oldest first: all that are open and some that were.
    cases: VecDeque<Case>,
    leases: Leases,
}

struct Case {
    incident: Incident,
    saved: Mono,
}

impl Tracker {
    pub fn new(parts: TrackerParts) -> Arc<Self> {
        let state = State::new(parts.owner.clone());
        let inner = Mutex::new(Inner { state, cases: VecDeque::new(), leases: Leases::default() });
        Arc::new_cyclic(|me| Self { parts, me: me.clone(), inner })
    }

    /// Incidents that were open when the daemon ended. Those of a kind that was opened meanwhile end where they were
    /// last seen.
    pub fn restore(&self, open: Vec<Incident>) {
        let mut inner = self.lock();
        let now = self.parts.clock.mono();
        let (late, in_time): (Vec<_>, Vec<_>) = open
            .into_iter()
            .filter(Incident::is_open)
            .partition(|incident| inner.state.open().any(|open| open.kind == incident.kind));
        for incident in &in_time {
            self.gauge(incident.kind).inc();
            inner.cases.push_back(Case { incident: incident.clone(), saved: now });
        }
        inner.state.restore(in_time);
        for mut incident in late {
            incident.end = Some(incident.last_bad);
            self.parts.book.save(&incident);
        }
    }

    /// What the analysis is to tell.
    pub fn witness(self: &Arc<Self>) -> Witness {
        let tracker = self.clone();
        Arc::new(move |seen, _| tracker.observe(seen))
    }

    /// One frame.
    pub fn observe(&self, seen: &Observation) {
        let mut inner = self.lock();
        let changes = if (self.parts.muted)(seen.at) {
            muted(inner.state.mute(seen.at))
        } else {
            inner.state.observe(seen, &self.parts.detect.load())
        };
        self.carry(&mut inner, changes);
        if self.parts.evidence.is_some() {
            let Inner { state, cases, leases } = &mut *inner;
            leases.follow(&self.parts.hot, state.proofs(), |kind, shot| is_kept(cases, kind, shot));
        }
    }

    /// Once a second.
    pub fn tick(&self, signal: Signal) {
        let now = self.parts.clock.wall();
        // By its age, on the monotonic clock: a wall clock that was set makes no picture old.
        let newest = [PictureKind::Thumbnail, PictureKind::Capture]
            .into_iter()
            .filter_map(|kind| self.parts.hot.newest_picture(kind).map(|picture| picture.age))
            .min()
            .map(|age| now + -ticks_90k(age));
        let mut inner = self.lock();
        let changes = if (self.parts.muted)(now) {
            muted(inner.state.mute(now))
        } else {
            inner.state.tick(now, newest, signal, &self.parts.detect.load())
        };
        self.carry(&mut inner, changes);
        self.save_open(&mut inner, SAVE_EVERY);
    }

    /// The device is off or gone: nobody will see what is open end.
    pub fn retire(&self) {
        let mut inner = self.lock();
        let changes = inner.state.mute(self.parts.clock.wall());
        self.carry(&mut inner, changes);
        // What is held for the proof of nothing would stay in hot.
        inner.leases = Leases::default();
    }

    /// The daemon ends: what is open is written down as it is.
    pub fn finish(&self) {
        self.save_open(&mut self.lock(), Duration::ZERO);
    }

    fn carry(&self, inner: &mut Inner, changes: Vec<Change>) {
        for Change { what, mut incident, proof, .. } in changes {
            let known = inner.cases.iter().position(|case| case.incident.id == incident.id);
            if let Some(case) = known.and_then(|at| inner.cases.remove(at)) {
                incident.evidence = case.incident.evidence;
            }
            self.parts.book.save(&incident);
            self.tell(what, &incident);
            inner.cases.push_back(Case { incident: incident.clone(), saved: self.parts.clock.mono() });
            if let Some(proof) = proof {
                self.prove(inner, what, &incident, proof);
            }
        }
        let closed = |case: &Case| !case.incident.is_open();
        while inner.cases.iter().filter(|case| closed(case)).count() > CLOSED_KEPT {
            let Some(oldest) = inner.cases.iter().position(closed) else { break };
            inner.cases.remove(oldest);
        }
    }

    fn tell(&self, what: What, incident: &Incident) {
        let Incident { id, kind, severity, .. } = incident;
        let (log, kind_name) = (&self.parts.log, kind.name());
        let seconds = || (incident.end.unwrap_or(incident.last_bad) - incident.start) / 90_000;
        match what {
            What::Opened | What::Reopened => {
                self.gauge(*kind).inc();
                warn!(log, "incident opened"; "kind" => kind_name, "id" => id, "again" => what == What::Reopened);
            }
            What::Worse => warn!(log, "incident lasts"; "kind" => kind_name, "id" => id, "severity" => severity.name()),
            What::Closed => {
                self.gauge(*kind).dec();
                info!(log, "incident closed"; "kind" => kind_name, "id" => id, "seconds" => seconds());
            }
        }
        let name = match what {
            What::Opened | What::Reopened => "incident_opened",
            What::Worse => "incident_changed",
            What::Closed => "incident_closed",
        };
        self.publish(name, incident, what == What::Reopened);
    }

    fn publish(&self, name: &'static str, incident: &Incident, again: bool) {
        let mut incident = json!(told(incident, self.parts.clock.wall()));
        // What people said is in the book alone; whoever knows it must not be told otherwise.
        if let Some(fields) = incident.as_object_mut() {
            fields.retain(|name, value| match name.as_str() {
                "acknowledged" | "discarded" => false,
                "comment" => *value == MUTED,
                _ => true,
            });
        }
        let mut data = json!({"incident": incident});
        if again && let Some(data) = data.as_object_mut() {
            data.insert("reopened".into(), true.into());
        }
        self.parts.events.publish(Topic::Incident, name, Some(&self.parts.owner.device), data);
    }

    /// Has the first frame kept when it opens, the worst and the last when it closes.
    fn prove(&self, inner: &mut Inner, what: What, incident: &Incident, proof: Proof) {
        let shots: &[(Shot, Mark)] = match what {
            What::Opened => &[(Shot::First, proof.first)],
            // One picture is all there is, as of a device that fell silent.
            What::Closed if proof.first.key == proof.last.key => &[],
            What::Closed => &[(Shot::Worst, proof.worst), (Shot::Last, proof.last)],
            What::Worse | What::Reopened => &[],
        };
        let Some(evidence) = &self.parts.evidence else { return };
        for (shot, mark) in shots {
            let among = proof.first.key..=proof.last.key;
            let lease = inner.leases.take(&self.parts.hot, incident.kind, *shot, *mark, among);
            let key = EvidenceKey::new(incident.start, incident.kind.name(), *shot);
            let Some((lease, key)) = lease.zip(key) else {
                self.parts.device_metrics.evidence_dropped.inc();
                continue;
            };
            let (me, id) = (self.me.clone(), incident.id.clone());
            evidence.keep(Keep {
                device: self.parts.owner.device.clone(),
                key,
                lease,
                metrics: self.parts.device_metrics.clone(),
                done: Box::new(move |path| {
                    if let Some(tracker) = me.upgrade() {
                        tracker.proved(&id, path);
                    }
                }),
            });
        }
    }

    /// A picture is on the disk.
    fn proved(&self, id: &str, path: String) {
        let mut inner = self.lock();
        let last_bad = inner.state.open().find(|open| open.id == id).map(|open| open.last_bad);
        let Some(case) = inner.cases.iter_mut().find(|case| case.incident.id == id) else { return };
        if !case.incident.evidence.contains(&path) {
            case.incident.evidence.push(path);
        }
        case.incident.last_bad = last_bad.unwrap_or(case.incident.last_bad);
        self.parts.book.save(&case.incident);
        self.publish("incident_changed", &case.incident, false);
    }

    fn save_open(&self, inner: &mut Inner, every: Duration) {
        let now = self.parts.clock.mono();
        let Inner { state, cases, .. } = inner;
        for open in state.open() {
            let Some(case) = cases.iter_mut().find(|case| case.incident.id == open.id) else { continue };
            if open.last_bad > case.incident.last_bad && now.since(case.saved) >= every {
                case.incident.last_bad = open.last_bad;
                case.saved = now;
                self.parts.book.save(&case.incident);
            }
        }
    }

    fn gauge(&self, kind: IncidentKind) -> prometheus_client::metrics::gauge::Gauge {
        self.parts.metrics.incidents_open.get_or_create_owned(&KindLabel { kind: kind.name() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With the words that the book has for them.
fn muted(mut changes: Vec<Change>) -> Vec<Change> {
    changes.iter_mut().filter(|it| it.incident.comment.is_empty()).for_each(|it| it.incident.comment = MUTED.into());
    changes
}

/// Whether the open incident of this kind has that picture on the disk.
fn is_kept(cases: &VecDeque<Case>, kind: IncidentKind, shot: Shot) -> bool {
    let open = cases.iter().find(|case| case.incident.kind == kind && case.incident.is_open());
    // Asked for when it opened: kept, on its way or dropped.
    open.is_some() && shot == Shot::First
}

#[cfg(test)]
mod tests;
