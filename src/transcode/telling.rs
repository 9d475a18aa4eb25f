//! What the runner tells: its status, what the doctor should know, the gate that holds, events.

use std::time::Duration;

use serde_json::Value;
use slog::info;

use super::{
    gate::Gate,
    runner::{Inner, Runner},
    status::{Current, Originals, State, Stats, TranscoderStatus, below_target},
};
use crate::{
    clock::{Utc90k, ticks_90k},
    error::{Error, Kind, Result},
    events::Topic,
    ids::DeviceId,
    telemetry::GateLabel,
};

/// Without progress for so long, somebody should look.
pub const STUCK: Duration = Duration::from_secs(1800);

impl Runner {
    /// A snapshot: costs a look at what is in RAM.
    pub fn status(&self) -> TranscoderStatus {
        let (now, wall) = (self.parts.clock.mono(), self.parts.clock.wall());
        let tuning = self.tuning();
        let originals = self.originals();
        let inner = self.lock();
        let enabled = tuning.settings.enabled && !inner.known.as_ref().is_some_and(|it| it.totals.disabled);
        let current = inner.running.as_ref().map(|running| {
            let told = running.control.told();
            Current {
                device: running.device.to_string(),
                file: running.path.display().to_string(),
                start: running.source.start.rfc3339(),
                bytes: running.source.bytes,
                began: running.began.rfc3339(),
                progress: (told.share * 1000.0).round() / 1000.0,
                speed: (told.speed * 100.0).round() / 100.0,
                paused_seconds: told.paused.as_secs_f64(),
            }
        });
        let held = inner.running.as_ref().is_some_and(|running| running.control.told().held_by.is_some());
        let state = match (&current, held) {
            (Some(_), true) => State::Paused,
            (Some(_), false) => State::Running,
            (None, _) if !enabled => State::Disabled,
            (None, _) => State::Waiting,
        };
        let rested = inner.rest.map(|(until, _)| wall + ticks_90k(until.since(now)));
        let next = match tuning.schedule.next_open(wall) {
            _ if !enabled || inner.running.is_some() => None,
            Some(open) => Some(rested.map_or(open, |rested| rested.max(open))),
            None => Some(rested.unwrap_or(wall).max(wall)),
        };
        TranscoderStatus {
            state,
            gate: inner.gate,
            detail: match inner.gate {
                Gate::Encoder => inner.no_encoder.clone(),
                Gate::Library => Some("the library's own volume does not answer".into()),
                gate => inner.detail.clone().filter(|_| gate == inner.machine),
            },
            since: inner.gate_since.map(Utc90k::rfc3339),
            enabled,
            current,
            next_run: next.map(Utc90k::rfc3339),
            queued: inner.wanted.len(),
            forced: inner.force_all,
            originals,
        }
    }

    pub(super) fn originals(&self) -> Originals {
        let mut told = Originals::default();
        for index in (self.parts.devices)() {
            let kept = index.originals();
            told = Originals { count: told.count + kept.len(), bytes: told.bytes + kept.bytes() };
        }
        told
    }

    /// [`Kind::Unavailable`] until the database was read.
    pub fn stats(&self) -> Result<Stats> {
        let (status, day) = (self.status(), self.day());
        let unknown = || Error::new(Kind::Unavailable, "the database is being opened");
        let inner = self.lock();
        let totals = &inner.known.as_ref().ok_or_else(unknown)?.totals;
        Ok(Stats::new(totals, self.tuning().settings.target_space_savings, day, status))
    }

    /// For the doctor: what is wrong with the files, and what is saved.
    pub fn file_verdict(&self) -> std::result::Result<String, String> {
        let inner = self.lock();
        if !inner.troubles.is_empty() {
            return Err(format!("swaps that cannot be put right: {}", inner.troubles.join("; ")));
        }
        let totals = inner.known.as_ref().map(|known| &known.totals);
        let target = self.tuning().settings.target_space_savings;
        // No failure: footage is as safe as ever.
        if let Some(warning) = totals.and_then(|totals| below_target(totals, target)) {
            return Ok(format!("warning: {warning}"));
        }
        let files = totals.map_or(0, |totals| totals.files_transcoded);
        let saved = totals.and_then(|totals| totals.savings_percent()).unwrap_or(0.0);
        Ok(format!("{files} transcoded, {saved:.1} % saved"))
    }

    /// For the doctor: well or not, with what to tell.
    pub fn verdict(&self) -> std::result::Result<String, String> {
        let inner = self.lock();
        if self.is_lost(&inner) {
            return Err("waits for the library's own volume, which does not answer".into());
        }
        match &inner.running {
            Some(running) if running.control.told().quiet >= STUCK => {
                let minutes = running.control.told().quiet.as_secs() / 60;
                Err(format!("has not got on with {} for {minutes} min", running.path.display()))
            }
            Some(running) => Ok(format!("works on {}", running.path.display())),
            None => Ok(format!("waits: {}", inner.gate.name())),
        }
    }

    /// Logs transitions only.
    pub(super) fn tell_gate(&self, inner: &mut Inner, gate: Gate) {
        let before = std::mem::replace(&mut inner.gate, gate);
        if before == gate && inner.gate_since.is_some() {
            return;
        }
        inner.gate_since = Some(self.parts.clock.wall());
        for one in Gate::ALL {
            let label = GateLabel { gate: one.name() };
            self.parts.metrics.transcode.gate.get_or_create_owned(&label).set(i64::from(one == gate));
        }
        // What rests after each file would fill the journal of a busy night.
        if !matches!(gate, Gate::Pause | Gate::Open | Gate::Idle) && inner.running.is_none() {
            info!(self.parts.log, "transcoder waits"; "gate" => gate.name(), "detail" => &inner.detail);
        }
    }

    pub(super) fn tell(&self, kind: &'static str, device: &DeviceId, mut data: Value) {
        data["job"] = "transcode".into();
        self.parts.events.publish(Topic::Job, kind, Some(device), data);
    }
}
