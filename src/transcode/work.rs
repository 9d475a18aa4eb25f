//! One chunk from source to successor in its place, and what is made of the outcome.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use slog::{info, warn};

use super::{
    Failure, Job, Made, Reason,
    control::Control,
    gate::Gate,
    runner::{Next, Runner, Running},
    swap::Swap,
    tuning::Tuning,
};
use crate::{
    error::Kind,
    storage::{ChunkEntry, DeviceIndex, layout::Companion},
    telemetry::ReasonLabel,
};

impl Runner {
    pub(super) fn run(&self, next: &Next) {
        let Next { index, source, forced } = next;
        // It ends by what it began with.
        let tuning = self.tuning();
        let volume = self.parts.volume.holding(source.place);
        let path = source.path(volume.layout(), index.device());
        let job = Job {
            device: index.device().clone(),
            volume,
            source: source.clone(),
            successor: Companion::Successor.beside(&path),
        };
        let control = Arc::new(Control::new(self.parts.clock.clone()));
        let running = Running {
            control: control.clone(),
            device: job.device.clone(),
            source: source.clone(),
            path: path.clone(),
            began: self.parts.clock.wall(),
            forced: *forced,
            swaps_since: None,
            tenths: 0,
            _watching: self.parts.watch.begin(),
        };
        {
            let mut inner = self.lock();
            if inner.ending {
                return;
            }
            inner.running = Some(running);
        }
        let file = path.display().to_string();
        self.parts.metrics.transcode.running.set(1);
        info!(self.parts.log, "transcoding begins"; "device" => %job.device, "file" => &file, "bytes" => source.bytes);
        self.tell("job_started", &job.device, json!({"file": file, "bytes": source.bytes}));
        let made = catch_unwind(AssertUnwindSafe(|| self.parts.encode.run(&job, control.as_ref())));
        let made = made.unwrap_or_else(|_| {
            // Hook and log have told; what it wrote is nobody's.
            let _ = job.volume.unlink(&job.successor);
            Err(Failure { reason: Reason::Encoder, message: "it panicked".into() })
        });
        let outcome = made.and_then(|made| self.swap(index, source, &made, &tuning).map(|()| made));
        let outcome = outcome.map_err(|failure| match failure.reason {
            Reason::Cancelled if control.gave_up() => {
                Failure { reason: Reason::Time, message: "it was held for too long".into() }
            }
            _ => failure,
        });
        self.finish(&job, outcome, control.written_bytes());
        let metrics = &self.parts.metrics.transcode;
        metrics.paused_seconds.inc_by(control.told().held_by.map_or(0.0, |_| control.told().paused.as_secs_f64()));
        for gauge in [&metrics.running, &metrics.paused] {
            gauge.set(0);
        }
        metrics.progress.set(0.0);
        let mut inner = self.lock();
        inner.running = None;
        if inner.wanted.front().is_some_and(|it| it.device == job.device && it.key == source.key) {
            inner.wanted.pop_front();
        }
        self.job_ended.notify_all();
    }

    fn swap(&self, index: &DeviceIndex, source: &ChunkEntry, made: &Made, tuning: &Tuning) -> Result<(), Failure> {
        if let Some(running) = &mut self.lock().running {
            running.swaps_since = Some(self.parts.clock.mono());
        }
        let swap = Swap { volume: &self.parts.volume, index, keeping: self.keeping(tuning) };
        let pins = (self.parts.pins)();
        let is_free = pins
            .is_some_and(|pins| !pins.hold_original(index.device(), source.start, source.end, self.parts.clock.wall()));
        let done = match is_free {
            true => swap.swap(source, made),
            false => swap.give_up(source, "it was pinned as recorded meanwhile"),
        };
        done.map_err(|error| {
            let reason = match error.kind {
                Kind::Conflict => Reason::Cancelled,
                Kind::Full => Reason::Full,
                _ => Reason::Disk,
            };
            Failure { reason, message: error.to_string() }
        })
    }

    fn finish(&self, job: &Job, outcome: Result<Made, Failure>, written_bytes: u64) {
        let (log, metrics) = (&self.parts.log, &self.parts.metrics.transcode);
        metrics.written_bytes.inc_by(written_bytes);
        let file = job.source.path(job.volume.layout(), &job.device).display().to_string();
        let tuning = self.tuning();
        let settings = &tuning.settings;
        let (pause, gate) = match &outcome {
            Ok(made) => {
                let (before, after) = (job.source.bytes, made.entry.bytes);
                let saved = before.saturating_sub(after) as f64 * 100.0 / before.max(1) as f64;
                let saved = (saved * 10.0).round() / 10.0;
                metrics.files.inc();
                metrics.original_bytes.inc_by(before);
                metrics.transcoded_bytes.inc_by(after);
                info!(log, "transcoded"; "device" => %job.device, "file" => &file, "before" => before,
                    "after" => after, "saved_percent" => saved, "encoder" => made.encoder, "ssim" => made.ssim);
                let data = json!({"file": file, "bytes": after, "original_bytes": before, "saved_percent": saved,
                    "encoder": made.encoder});
                self.tell("job_done", &job.device, data);
                (settings.pause_between_seconds, Gate::Pause)
            }
            Err(failure) => {
                metrics.failures.get_or_create_owned(&ReasonLabel { reason: failure.reason.name() }).inc();
                let quiet = matches!(failure.reason, Reason::Cancelled | Reason::Savings | Reason::Quality);
                match quiet {
                    true => info!(log, "not transcoded"; "device" => %job.device, "file" => &file,
                        "reason" => failure.reason.name(), "why" => &failure.message),
                    false => warn!(log, "transcoding failed"; "device" => %job.device, "file" => &file,
                        "reason" => failure.reason.name(), "why" => &failure.message,
                        "tried_again" => !failure.reason.is_final()),
                }
                let data = json!({"file": file, "reason": failure.reason.name(), "message": failure.message});
                self.tell("job_failed", &job.device, data);
                // A chunk that is small already is no error.
                match failure.reason {
                    Reason::Savings | Reason::Quality => (settings.pause_between_seconds, Gate::Pause),
                    _ => (settings.error_pause_seconds, Gate::ErrorPause),
                }
            }
        };
        self.book(job, &outcome, written_bytes);
        self.lock().rest = Some((self.parts.clock.mono() + Duration::from_secs(pause), gate));
    }
}
