//! Every metric name and the logger. Counting is lock-free: a stage holds its device's counters, not the families.

mod device;
mod labels;
pub mod logging;
mod serving;
mod transcode;

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

pub use device::{DeviceMetrics, Written};
pub use labels::{
    ActorLabel, ClassLabel, DeviceLabel, GateLabel, HotFilesLabel, KindLabel, LoginLabel, LoginOutcome, LossLabel,
    LossReason, ReasonLabel, ReceiverLabel, RequestLabel, TopicLabel, VolumeLabel, WriteLabel,
};
pub use serving::ServingMetrics;
pub use transcode::TranscodeMetrics;

/// Seconds with fractions.
pub type SecondsCounter = Counter<f64, AtomicU64>;
/// A gauge of a real number.
pub type FloatGauge = Gauge<f64, AtomicU64>;

/// The families behind `/metrics`. Names and labels are the contract of `docs/api.md`.
pub struct Metrics {
    pub registry: Registry,
    pub device_up: Family<DeviceLabel, Gauge>,
    pub segments: Family<DeviceLabel, Counter>,
    pub segment_faults: Family<DeviceLabel, Counter>,
    pub committed_seconds: Family<DeviceLabel, SecondsCounter>,
    pub lost_seconds: Family<LossLabel, SecondsCounter>,
    pub disk_written_bytes: Family<WriteLabel, Counter>,
    pub media_bytes: Family<DeviceLabel, Counter>,
    pub write_amplification: FloatGauge,
    pub commit_seconds: Family<DeviceLabel, Histogram, fn() -> Histogram>,
    pub commit_failures: Family<DeviceLabel, Counter>,
    pub chunks_sealed: Family<DeviceLabel, Counter>,
    pub sibling_failures: Family<DeviceLabel, Counter>,
    pub sibling_drops: Family<DeviceLabel, Counter>,
    pub hot_bytes: Family<DeviceLabel, Gauge>,
    pub hot_files: Family<HotFilesLabel, Gauge>,
    pub frames: Family<DeviceLabel, Counter>,
    pub frames_dropped: Family<DeviceLabel, Counter>,
    pub frames_failed: Family<DeviceLabel, Counter>,
    pub frames_skipped: Family<DeviceLabel, Counter>,
    pub frame_queue_depth: Family<DeviceLabel, Gauge>,
    pub analysis_seconds: Histogram,
    pub ffmpeg_restarts: Family<DeviceLabel, Counter>,
    pub actor_restarts: Family<ActorLabel, Counter>,
    pub inotify_overflows: Counter,
    pub chunks_expired: Family<DeviceLabel, Counter>,
    pub chunks_evicted: Family<DeviceLabel, Counter>,
    pub chunks_shelved: Family<DeviceLabel, Counter>,
    pub chunks_moved: Family<DeviceLabel, Counter>,
    pub oldest_chunk_age_seconds: Family<DeviceLabel, FloatGauge>,
    library_bytes: Family<VolumeLabel, Gauge>,
    pub library_ok: Gauge,
    /// What oldest ages are measured against: window and retention.
    pub keep_seconds: FloatGauge,
    pub unknown_files: Gauge,
    pub days_until_full: FloatGauge,
    pub cleaner_success_seconds: FloatGauge,
    pub cameras: Family<KindLabel, Gauge>,
    pub camera_changes: Family<KindLabel, Counter>,
    pub settings_refused: Gauge,
    pub incidents_open: Family<KindLabel, Gauge>,
    pub pins: Gauge,
    pub db_ok: Gauge,
    pub db_write_seconds: Histogram,
    pub db_queue_depth: Gauge,
    pub db_dropped: Counter,
    pub db_set_aside: Counter,
    db_written_bytes: Counter,
    pub free_bytes: Gauge,
    pub volume_ok: Gauge,
    pub hot_ok: Gauge,
    pub cpu_percent: FloatGauge,
    pub foreign_cpu_percent: FloatGauge,
    pub io_wait_percent: FloatGauge,
    pub io_pressure_percent: FloatGauge,
    pub evidence_dropped: Family<DeviceLabel, Counter>,
    pub webhook_sent: Family<ReceiverLabel, Counter>,
    pub webhook_failed: Family<ReceiverLabel, Counter>,
    pub webhook_dropped: Family<ReceiverLabel, Counter>,
    pub webhook_queue_depth: Family<ReceiverLabel, Gauge>,
    pub log_lines_dropped: Counter,
    pub event_listeners: Gauge,
    logins: Family<LoginLabel, Counter>,
    pub events: Family<TopicLabel, Counter>,
    pub http_requests: Family<RequestLabel, Counter>,
    pub http_request_seconds: Histogram,
    pub transcode: TranscodeMetrics,
    pub serving: ServingMetrics,
    totals: Totals,
}

/// Sums over devices, for the amplification and the history.
#[derive(Clone, Default)]
struct Totals {
    media_bytes: Counter,
    written_bytes: Counter,
    writes: Counter,
}

/// From a tenth of a millisecond, which a look takes, to the seconds of one who is behind.
const ANALYSIS_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

/// From 0.5 ms to 16 s: an SSD's fdatasync to a card that stalls.
fn commit_buckets() -> Histogram {
    Histogram::new([0.0005, 0.002, 0.008, 0.03, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0])
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let request_seconds = Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 5.0]);
        let mut metrics = Self {
            registry: Registry::with_prefix("capstan"),
            device_up: Family::default(),
            segments: Family::default(),
            segment_faults: Family::default(),
            committed_seconds: Family::default(),
            lost_seconds: Family::default(),
            disk_written_bytes: Family::default(),
            media_bytes: Family::default(),
            write_amplification: FloatGauge::default(),
            commit_seconds: Family::new_with_constructor(commit_buckets),
            commit_failures: Family::default(),
            chunks_sealed: Family::default(),
            sibling_failures: Family::default(),
            sibling_drops: Family::default(),
            hot_bytes: Family::default(),
            hot_files: Family::default(),
            frames: Family::default(),
            frames_dropped: Family::default(),
            frames_failed: Family::default(),
            frames_skipped: Family::default(),
            frame_queue_depth: Family::default(),
            analysis_seconds: Histogram::new(ANALYSIS_BUCKETS),
            ffmpeg_restarts: Family::default(),
            actor_restarts: Family::default(),
            inotify_overflows: Counter::default(),
            chunks_expired: Family::default(),
            chunks_evicted: Family::default(),
            chunks_shelved: Family::default(),
            chunks_moved: Family::default(),
            oldest_chunk_age_seconds: Family::default(),
            library_bytes: Family::default(),
            library_ok: Gauge::default(),
            keep_seconds: FloatGauge::default(),
            unknown_files: Gauge::default(),
            days_until_full: FloatGauge::default(),
            cleaner_success_seconds: FloatGauge::default(),
            cameras: Family::default(),
            camera_changes: Family::default(),
            settings_refused: Gauge::default(),
            incidents_open: Family::default(),
            pins: Gauge::default(),
            db_ok: Gauge::default(),
            db_write_seconds: commit_buckets(),
            db_queue_depth: Gauge::default(),
            db_dropped: Counter::default(),
            db_set_aside: Counter::default(),
            db_written_bytes: Counter::default(),
            free_bytes: Gauge::default(),
            volume_ok: Gauge::default(),
            hot_ok: Gauge::default(),
            cpu_percent: FloatGauge::default(),
            foreign_cpu_percent: FloatGauge::default(),
            io_wait_percent: FloatGauge::default(),
            io_pressure_percent: FloatGauge::default(),
            evidence_dropped: Family::default(),
            webhook_sent: Family::default(),
            webhook_failed: Family::default(),
            webhook_dropped: Family::default(),
            webhook_queue_depth: Family::default(),
            log_lines_dropped: Counter::default(),
            event_listeners: Gauge::default(),
            logins: Family::default(),
            events: Family::default(),
            http_requests: Family::default(),
            http_request_seconds: request_seconds,
            transcode: TranscodeMetrics::default(),
            serving: ServingMetrics::default(),
            totals: Totals::default(),
        };
        let database = WriteLabel { device: String::new(), kind: "db" };
        metrics.db_written_bytes = metrics.disk_written_bytes.get_or_create_owned(&database);
        for kind in ["blackscreen", "freeze", "silence", "signal_lost"] {
            metrics.incidents_open.get_or_create_owned(&KindLabel { kind });
        }
        for kind in ["added", "changed", "removed", "refused"] {
            metrics.camera_changes.get_or_create_owned(&KindLabel { kind });
        }
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("device_up", "1 while the device's segments arrive", self.device_up.clone());
        r.register("segments", "Segments that arrived in hot", self.segments.clone());
        r.register("segment_faults", "Faults skipped inside segments", self.segment_faults.clone());
        r.register_with_unit("committed", "Media durable on disk", Unit::Seconds, self.committed_seconds.clone());
        r.register_with_unit("lost", "Media made but not recorded", Unit::Seconds, self.lost_seconds.clone());
        r.register_with_unit(
            "disk_written",
            "Bytes written to the archive",
            Unit::Bytes,
            self.disk_written_bytes.clone(),
        );
        r.register_with_unit("media", "Elementary stream bytes committed", Unit::Bytes, self.media_bytes.clone());
        r.register("write_amplification", "Bytes written per media byte", self.write_amplification.clone());
        r.register("commit_seconds", "Append and fdatasync of one commit", self.commit_seconds.clone());
        r.register("commit_failures", "Commits that the disk refused", self.commit_failures.clone());
        r.register("chunks_sealed", "Chunks finished", self.chunks_sealed.clone());
        r.register(
            "sibling_failures",
            "Times that stills or verdicts beside a chunk could not be written",
            self.sibling_failures.clone(),
        );
        r.register("sibling_drops", "Stills and verdicts that did not reach the disk", self.sibling_drops.clone());
        r.register_with_unit("hot", "Bytes in hot", Unit::Bytes, self.hot_bytes.clone());
        r.register("hot_files", "Files in hot", self.hot_files.clone());
        r.register("frames", "Pictures that arrived in hot", self.frames.clone());
        r.register("frames_dropped", "Thumbnails pushed out of a full queue", self.frames_dropped.clone());
        r.register("frames_failed", "Thumbnails that could not be looked at", self.frames_failed.clone());
        r.register("frames_skipped", "Thumbnails passed over to catch up", self.frames_skipped.clone());
        r.register("frame_queue_depth", "Thumbnails that wait to be looked at", self.frame_queue_depth.clone());
        r.register("analysis_seconds", "From a thumbnail in its place to its verdict", self.analysis_seconds.clone());
        r.register("ffmpeg_restarts", "Starts of FFmpeg after the first", self.ffmpeg_restarts.clone());
        r.register("actor_restarts", "Restarts of actors", self.actor_restarts.clone());
        r.register(
            "inotify_overflows",
            "Times the kernel dropped file events and hot was rescanned",
            self.inotify_overflows.clone(),
        );
        r.register("chunks_expired", "Chunks deleted by age", self.chunks_expired.clone());
        r.register("chunks_evicted", "Chunks deleted because space was short", self.chunks_evicted.clone());
        r.register("chunks_shelved", "Chunks moved from the ring into the library", self.chunks_shelved.clone());
        r.register("chunks_moved", "Chunks brought to the library's own volume", self.chunks_moved.clone());
        r.register_with_unit("library", "Bytes in the library, by volume", Unit::Bytes, self.library_bytes.clone());
        // Alerts need not know who has one.
        self.library_ok.set(1);
        let help = "1 while the library's own volume can be reached, or there is none";
        r.register("library_ok", help, self.library_ok.clone());
        let help = "For how long footage is kept, ring and library together";
        r.register_with_unit("keep", help, Unit::Seconds, self.keep_seconds.clone());
        r.register("unknown_files", "Files in folders of footage that are none of ours", self.unknown_files.clone());
        r.register(
            "days_until_full",
            "Days until the oldest footage has to go before its time; +Inf: never, NaN: not known yet",
            self.days_until_full.clone(),
        );
        r.register_with_unit(
            "cleaner_success",
            "Unix time of the last round of the cleaner that nothing held back",
            Unit::Seconds,
            self.cleaner_success_seconds.clone(),
        );
        r.register_with_unit(
            "oldest_chunk_age",
            "Age of the oldest chunk that nobody pinned",
            Unit::Seconds,
            self.oldest_chunk_age_seconds.clone(),
        );
        r.register("cameras", "Cameras that are configured, by where", self.cameras.clone());
        r.register("camera_changes", "Cameras added, changed and removed while running", self.camera_changes.clone());
        r.register(
            "settings_refused",
            "Faults for which settings changed in the page do not hold",
            self.settings_refused.clone(),
        );
        r.register("incidents_open", "Incidents that last", self.incidents_open.clone());
        r.register("pins", "Ranges of footage that somebody said must stay", self.pins.clone());
        r.register("db_ok", "1 while the database takes what it is told", self.db_ok.clone());
        r.register("db_write_seconds", "One transaction of the database", self.db_write_seconds.clone());
        r.register("db_queue_depth", "Changes that wait to be written down", self.db_queue_depth.clone());
        r.register("db_dropped", "Incidents forgotten because the disk took none for long", self.db_dropped.clone());
        r.register("db_set_aside", "Databases found damaged and set aside", self.db_set_aside.clone());
        r.register_with_unit("free", "Free bytes on the archive's file system", Unit::Bytes, self.free_bytes.clone());
        r.register("volume_ok", "1 while the archive volume is the expected one", self.volume_ok.clone());
        r.register("hot_ok", "1 while hot is the tmpfs it must be", self.hot_ok.clone());
        r.register("cpu_percent", "Load of the whole machine", self.cpu_percent.clone());
        let foreign = self.foreign_cpu_percent.clone();
        r.register("foreign_cpu_percent", "The same without our own children", foreign);
        r.register("io_wait_percent", "Time in iowait", self.io_wait_percent.clone());
        r.register("io_pressure_percent", "PSI io some avg10", self.io_pressure_percent.clone());
        r.register("evidence_dropped", "Proof of incidents that the disk did not take", self.evidence_dropped.clone());
        r.register("webhook_sent", "Events that a receiver took", self.webhook_sent.clone());
        r.register("webhook_failed", "Attempts that a receiver did not take", self.webhook_failed.clone());
        r.register("webhook_dropped", "Events that a receiver never got", self.webhook_dropped.clone());
        r.register("webhook_queue_depth", "Events that wait for a receiver", self.webhook_queue_depth.clone());
        r.register(
            "log_lines_dropped",
            "Log lines dropped because the writer was behind",
            self.log_lines_dropped.clone(),
        );
        r.register("event_listeners", "Who listens to /api/events", self.event_listeners.clone());
        r.register("logins", "Attempts to sign in", self.logins.clone());
        r.register("events", "Events published", self.events.clone());
        self.transcode.register(r);
        self.serving.register(r);
        r.register("http_requests", "Requests answered", self.http_requests.clone());
        r.register("http_request_seconds", "Time to first byte", self.http_request_seconds.clone());
    }

    /// The text of `/metrics` (OpenMetrics).
    pub fn render(&self) -> String {
        let (media, written) = (self.total_media_bytes(), self.total_written_bytes());
        self.write_amplification.set(if media == 0 { 0.0 } else { written as f64 / media as f64 });
        let mut text = String::with_capacity(16 << 10);
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::from("# EOF\n"),
        }
    }

    /// Attempts to sign in that ended like this.
    pub fn logins(&self, outcome: LoginOutcome) -> Counter {
        self.logins.get_or_create_owned(&LoginLabel { outcome: outcome.name() })
    }

    /// What was published of each topic.
    pub fn event_counters(&self) -> EventCounters {
        EventCounters(self.events.clone())
    }

    /// Bytes of the database handed to the archive's file system.
    pub fn wrote_database(&self, bytes: u64) {
        self.db_written_bytes.inc_by(bytes);
        self.totals.wrote(bytes);
    }

    /// Of the library on that volume: `home` or `away`.
    pub fn library_bytes(&self, volume: &'static str) -> Gauge {
        self.library_bytes.get_or_create_owned(&VolumeLabel { volume })
    }

    pub fn total_media_bytes(&self) -> u64 {
        self.totals.media_bytes.get()
    }

    pub fn total_written_bytes(&self) -> u64 {
        self.totals.written_bytes.get()
    }

    /// Times that something was handed to the archive's file system.
    pub fn total_writes(&self) -> u64 {
        self.totals.writes.get()
    }

    /// Of a webhook that is told nothing more.
    pub fn forget_webhook(&self, label: &ReceiverLabel) {
        for counters in [&self.webhook_sent, &self.webhook_failed, &self.webhook_dropped] {
            counters.remove(label);
        }
        self.webhook_queue_depth.remove(label);
    }

    /// The counters of one webhook, made at zero.
    pub fn webhook(&self, label: &ReceiverLabel) -> WebhookMetrics {
        WebhookMetrics {
            sent: self.webhook_sent.get_or_create_owned(label),
            failed: self.webhook_failed.get_or_create_owned(label),
            dropped: self.webhook_dropped.get_or_create_owned(label),
            queue_depth: self.webhook_queue_depth.get_or_create_owned(label),
        }
    }
}

impl Totals {
    fn wrote(&self, bytes: u64) {
        self.written_bytes.inc_by(bytes);
        self.writes.inc();
    }
}

/// Counts events by their topic.
#[derive(Clone)]
pub struct EventCounters(Family<TopicLabel, Counter>);

impl EventCounters {
    pub fn count(&self, topic: &'static str) {
        self.0.get_or_create_owned(&TopicLabel { topic }).inc();
    }
}

/// Counters of one webhook.
pub struct WebhookMetrics {
    pub sent: Counter,
    pub failed: Counter,
    pub dropped: Counter,
    pub queue_depth: Gauge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_names_are_exported() {
        let metrics = Metrics::new();
        let device = metrics.device(&"cam".parse().unwrap());
        device.wrote(Written::Media, 101);
        device.committed_media(100);
        let text = metrics.render();
        for name in [
            "capstan_device_up{device=\"cam\"}",
            "capstan_segments_total{",
            "capstan_committed_seconds_total{",
            "capstan_lost_seconds_total{device=\"cam\",reason=\"hot_full\"}",
            "capstan_disk_written_bytes_total{",
            "capstan_media_bytes_total{",
            "capstan_write_amplification 1.01",
            "capstan_commit_seconds_bucket{",
            "capstan_hot_bytes{",
            "capstan_hot_files{",
            "capstan_frames_total{",
            "capstan_frames_dropped_total{",
            "capstan_frames_failed_total{",
            "capstan_frames_skipped_total{",
            "capstan_frame_queue_depth{",
            "capstan_analysis_seconds_bucket{",
            "capstan_ffmpeg_restarts_total{",
            "capstan_oldest_chunk_age_seconds{",
            "capstan_chunks_shelved_total{",
            "capstan_days_until_full",
            "capstan_unknown_files",
            "capstan_free_bytes",
            "capstan_http_request_seconds",
        ] {
            assert!(text.contains(name), "{name} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
