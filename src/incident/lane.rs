//! One kind of trouble of one device: suspicion, incident, end. Pure; all times are those of the media.

use std::collections::VecDeque;

use super::model::{Incident, IncidentKind, Severity};
use crate::{
    clock::{TICKS_PER_SECOND, Utc90k},
    ids::{DeviceId, SegmentKey},
};

/// Not looked at for so long, a suspicion is worth nothing.
const SUSPICION_UNSEEN_90K: i64 = 10 * TICKS_PER_SECOND;
/// Not looked at for so long, nobody can say that an incident still lasts.
const OPEN_UNSEEN_90K: i64 = 60 * TICKS_PER_SECOND;
/// A daemon that comes back within this continues an incident: a minute for the restart, and half of one because the
/// last bad frame is written down that rarely.
const RESTART_HOLE_90K: i64 = 90 * TICKS_PER_SECOND;
/// Starts remembered, so that no two incidents get the same id when the clock was set back over one.
const STARTS_KEPT: usize = 32;

/// A frame that proves something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    pub key: SegmentKey,
    pub at: Utc90k,
    /// Since when what it shows was so, as far as it tells; not after `at`.
    pub since: Utc90k,
    /// Higher is worse; comparable within one incident only.
    pub badness: f32,
}

/// The frames that prove an incident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proof {
    pub first: Mark,
    pub worst: Mark,
    pub last: Mark,
}

/// What became of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Opened,
    /// Its severity rose.
    Worse,
    Closed,
    /// It had been closed, and the trouble came back soon: the same incident goes on.
    Reopened,
}

/// An incident came into another state.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub what: What,
    pub incident: Incident,
    /// When the stretch of trouble began that this is about; later than the incident's start where it was reopened.
    pub since: Utc90k,
    /// None when no frame was seen, as when a device never gave one.
    pub proof: Option<Proof>,
}

/// Whose incidents these are.
#[derive(Clone, Debug)]
pub struct Owner {
    pub host: String,
    pub device: DeviceId,
}

/// Thresholds in ticks, and how often pictures come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub open_after_90k: i64,
    pub close_after_90k: i64,
    pub join_gap_90k: i64,
    pub picture_90k: i64,
}

pub(super) struct Lane {
    kind: IncidentKind,
    phase: Phase,
    /// Since when no frame has told anything of this kind.
    unknown_since: Option<Utc90k>,
    /// The last one that ended by itself: trouble that comes back soon continues it.
    recent: Option<(Incident, Option<Proof>)>,
    starts_ms: VecDeque<i64>,
}

enum Phase {
    Calm,
    Suspect { proof: Proof, frames: u32 },
    Open(Open),
}

struct Open {
    incident: Incident,
    since: Utc90k,
    proof: Option<Proof>,
    clear_since: Option<Utc90k>,
    /// From before a restart, and not yet seen since.
    restored: bool,
}

impl Proof {
    fn of(mark: Mark) -> Self {
        Self { first: mark, worst: mark, last: mark }
    }

    fn add(&mut self, mark: Mark) {
        self.last = mark;
        if mark.badness > self.worst.badness {
            self.worst = mark;
        }
    }

    /// What came before in the same incident.
    fn after(mut self, earlier: Option<Self>) -> Self {
        if let Some(earlier) = earlier {
            self.first = earlier.first;
            if earlier.worst.badness >= self.worst.badness {
                self.worst = earlier.worst;
            }
        }
        self
    }
}

impl Open {
    /// The trouble still lasted at `at`; tells a severity that rose.
    fn lasts(&mut self, at: Utc90k) -> Option<Change> {
        self.restored = false;
        self.clear_since = None;
        self.incident.last_bad = self.incident.last_bad.max(at);
        let rose = self.rise(self.incident.last_bad);
        rose.then(|| self.told(What::Worse))
    }

    fn told(&self, what: What) -> Change {
        Change { what, incident: self.incident.clone(), since: self.since, proof: self.proof }
    }

    fn rise(&mut self, until: Utc90k) -> bool {
        let severity = Severity::of_seconds((until - self.incident.start) / TICKS_PER_SECOND);
        let rose = severity > self.incident.severity;
        self.incident.severity = self.incident.severity.max(severity);
        rose
    }
}

impl Lane {
    pub fn new(kind: IncidentKind) -> Self {
        Self { kind, phase: Phase::Calm, unknown_since: None, recent: None, starts_ms: VecDeque::new() }
    }

    pub fn kind(&self) -> IncidentKind {
        self.kind
    }

    /// An incident that was open when the daemon ended.
    pub fn restore(&mut self, incident: Incident) {
        self.remember(incident.start.as_ms());
        let since = incident.start;
        self.phase = Phase::Open(Open { incident, since, proof: None, clear_since: None, restored: true });
    }

    pub fn open(&self) -> Option<&Incident> {
        match &self.phase {
            Phase::Open(open) => Some(&open.incident),
            _ => None,
        }
    }

    /// Of what is suspected or open.
    pub fn proof(&self) -> Option<Proof> {
        match &self.phase {
            Phase::Calm => None,
            Phase::Suspect { proof, .. } => Some(*proof),
            Phase::Open(open) => open.proof,
        }
    }

    /// One frame's verdict.
    pub fn see(&mut self, verdict: Option<bool>, mark: Mark, times: &Times, owner: &Owner, out: &mut Vec<Change>) {
        match verdict {
            None => return self.unknown(mark.at, mark.at, times, out),
            Some(true) => self.bad(mark, times, owner, out),
            Some(false) => self.clear(mark.at, times, out),
        }
        self.unknown_since = None;
    }

    /// Nothing is known of the frames between these moments: that neither proves nor clears, but not for ever.
    pub fn unknown(&mut self, from: Utc90k, to: Utc90k, times: &Times, out: &mut Vec<Change>) {
        let unseen = to - *self.unknown_since.get_or_insert(from);
        match &self.phase {
            Phase::Suspect { .. } if unseen > SUSPICION_UNSEEN_90K => self.phase = Phase::Calm,
            Phase::Open(open) if unseen > OPEN_UNSEEN_90K => {
                let one_more = if open.restored { 0 } else { times.picture_90k };
                let end = open.clear_since.unwrap_or((open.incident.last_bad + one_more).min(to));
                out.extend(self.close(end, false));
            }
            _ => {}
        }
    }

    /// No frame comes at all, since `start`; no suspicion is needed.
    pub fn absent(
        &mut self,
        start: Utc90k,
        now: Utc90k,
        seen: Option<Mark>,
        times: &Times,
        owner: &Owner,
        out: &mut Vec<Change>,
    ) {
        self.unknown_since = None;
        out.extend(self.give_up(now));
        match &mut self.phase {
            Phase::Open(open) => out.extend(open.lasts(now)),
            Phase::Suspect { proof, .. } => {
                let proof = *proof;
                out.push(self.begin(proof.first.since.min(start), now, Some(proof), times, owner));
            }
            Phase::Calm => out.push(self.begin(start, now, seen.map(Proof::of), times, owner)),
        }
    }

    /// No trouble at `at`.
    pub fn clear(&mut self, at: Utc90k, times: &Times, out: &mut Vec<Change>) {
        match &mut self.phase {
            Phase::Calm => {}
            Phase::Suspect { .. } => self.phase = Phase::Calm,
            // Nobody saw when it ended.
            Phase::Open(open) if open.restored => out.extend(self.interrupt()),
            Phase::Open(open) => {
                let since = *open.clear_since.get_or_insert(at);
                if at - since >= times.close_after_90k {
                    out.extend(self.close(since, true));
                }
            }
        }
    }

    /// Other trouble that explains this one began at `at`.
    pub fn hide(&mut self, at: Utc90k) -> Option<Change> {
        if let Phase::Open(open) = &mut self.phase {
            open.incident.last_bad = open.incident.last_bad.min(at).max(open.incident.start);
        }
        self.close(at, false)
    }

    /// From before a restart, and too long ago to go on at `now`.
    pub fn give_up(&mut self, now: Utc90k) -> Option<Change> {
        if self.is_too_old(now) { self.interrupt() } else { None }
    }

    /// Time jumped, or nobody watched: what was open ends where it was last seen.
    pub fn interrupt(&mut self) -> Option<Change> {
        let last_bad = self.open().map(|incident| incident.last_bad).unwrap_or_default();
        self.close(last_bad, false)
    }

    fn bad(&mut self, mark: Mark, times: &Times, owner: &Owner, out: &mut Vec<Change>) {
        out.extend(self.give_up(mark.at));
        match &mut self.phase {
            Phase::Calm => self.phase = Phase::Suspect { proof: Proof::of(mark), frames: 1 },
            Phase::Suspect { proof, frames } => {
                proof.add(mark);
                *frames += 1;
                if mark.at - proof.first.at >= times.open_after_90k {
                    let proof = *proof;
                    out.push(self.begin(proof.first.since, mark.at, Some(proof), times, owner));
                }
            }
            Phase::Open(open) => {
                match &mut open.proof {
                    Some(proof) => proof.add(mark),
                    none => *none = Some(Proof::of(mark)),
                }
                out.extend(open.lasts(mark.at));
            }
        }
    }

    /// An incident from before a restart, of which nothing is known for so long that it may have ended meanwhile.
    fn is_too_old(&self, at: Utc90k) -> bool {
        let Phase::Open(open) = &self.phase else { return false };
        let hole = at - open.incident.last_bad;
        open.restored && !(0..=RESTART_HOLE_90K).contains(&hole)
    }

    fn begin(&mut self, start: Utc90k, last_bad: Utc90k, proof: Option<Proof>, times: &Times, owner: &Owner) -> Change {
        let soon = |end: Utc90k| (0..=times.join_gap_90k).contains(&(start - end));
        let recent = self.recent.take().filter(|(incident, _)| incident.end.is_some_and(soon));
        let (what, incident, proof) = match recent {
            Some((incident, earlier)) => {
                let proof = proof.map(|proof| proof.after(earlier)).or(earlier);
                let last_bad = last_bad.max(incident.last_bad);
                (What::Reopened, Incident { end: None, last_bad, ..incident }, proof)
            }
            None => (What::Opened, self.fresh(start, last_bad, owner), proof),
        };
        let mut open = Open { since: start.max(incident.start), incident, proof, clear_since: None, restored: false };
        open.rise(open.incident.last_bad);
        let change = open.told(what);
        self.phase = Phase::Open(open);
        change
    }

    fn fresh(&mut self, mut start: Utc90k, last_bad: Utc90k, owner: &Owner) -> Incident {
        while self.starts_ms.contains(&start.as_ms()) {
            start = Utc90k::from_ms(start.as_ms() + 1);
        }
        self.remember(start.as_ms());
        Incident {
            id: Incident::id_of(&owner.device, self.kind, start),
            host: owner.host.clone(),
            device: owner.device.clone(),
            kind: self.kind,
            start,
            end: None,
            last_bad: last_bad.max(start),
            severity: Severity::Minor,
            evidence: Vec::new(),
            acknowledged: false,
            discarded: false,
            comment: String::new(),
        }
    }

    /// `joins`: it ended by itself, so that it may come back.
    fn close(&mut self, end: Utc90k, joins: bool) -> Option<Change> {
        self.recent = None;
        self.unknown_since = None;
        let Phase::Open(mut open) = std::mem::replace(&mut self.phase, Phase::Calm) else { return None };
        let end = end.max(open.incident.last_bad);
        open.incident.end = Some(end);
        open.rise(end);
        if joins {
            self.recent = Some((open.incident.clone(), open.proof));
        }
        Some(open.told(What::Closed))
    }

    fn remember(&mut self, start_ms: i64) {
        if self.starts_ms.len() == STARTS_KEPT {
            self.starts_ms.pop_front();
        }
        self.starts_ms.push_back(start_ms);
    }
}
