//! Metrics of the transcoder, `capstan_transcode_…`.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{FloatGauge, GateLabel, ReasonLabel, SecondsCounter};

#[derive(Clone, Default)]
pub struct TranscodeMetrics {
    pub files: Counter,
    pub failures: Family<ReasonLabel, Counter>,
    /// Bytes of sources and of what became of them.
    pub original_bytes: Counter,
    pub transcoded_bytes: Counter,
    pub written_bytes: Counter,
    /// 1 for the gate that holds, `open` when none does.
    pub gate: Family<GateLabel, Gauge>,
    pub running: Gauge,
    pub paused: Gauge,
    pub progress: FloatGauge,
    /// Of a running encoder, stopped because others came first.
    pub pauses: Counter,
    pub paused_seconds: SecondsCounter,
    pub originals: Gauge,
    pub originals_bytes: Gauge,
    pub originals_expired: Counter,
    pub rollbacks: Counter,
    /// Chunks whose swap a cut had interrupted.
    pub healed: Counter,
    /// Percent, since the beginning; 0 before the first file.
    pub savings_percent: Gauge<f64, AtomicU64>,
    /// What the settings hope for.
    pub target_savings_percent: Gauge<f64, AtomicU64>,
}

impl TranscodeMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("transcode_files", "Chunks replaced by smaller ones", self.files.clone());
        r.register("transcode_failures", "Chunks that stay as they are, by reason", self.failures.clone());
        r.register("transcode_original_bytes", "Bytes of chunks before", self.original_bytes.clone());
        r.register("transcode_transcoded_bytes", "Bytes of the same after", self.transcoded_bytes.clone());
        r.register("transcode_written_bytes", "Bytes written, thrown away or not", self.written_bytes.clone());
        r.register("transcode_gate", "1 for what holds the transcoder", self.gate.clone());
        r.register("transcode_running", "1 while a chunk is transcoded", self.running.clone());
        r.register("transcode_paused", "1 while its encoder is stopped", self.paused.clone());
        r.register("transcode_progress", "Share of the chunk that is done", self.progress.clone());
        r.register("transcode_pauses", "Times that a running encoder was stopped", self.pauses.clone());
        r.register("transcode_paused_seconds", "Time for which encoders were stopped", self.paused_seconds.clone());
        r.register("transcode_originals", "Originals kept for rolling back", self.originals.clone());
        r.register("transcode_originals_bytes", "Their bytes", self.originals_bytes.clone());
        r.register("transcode_originals_expired", "Originals deleted by age", self.originals_expired.clone());
        r.register("transcode_rollbacks", "Originals taken back", self.rollbacks.clone());
        r.register("transcode_healed", "Swaps put right after a cut", self.healed.clone());
        r.register("transcode_savings_percent", "Space saved of all transcoded", self.savings_percent.clone());
        let help = "Space that is to be saved, by the settings";
        r.register("transcode_target_savings_percent", help, self.target_savings_percent.clone());
    }
}
