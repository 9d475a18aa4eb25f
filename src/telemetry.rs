//! Every metric name and the logger. Counting is lock-free: a stage holds its device's counters, not the families.

pub mod logging;

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::ids::DeviceId;

/// Seconds with fractions.
pub type SecondsCounter = Counter<f64, AtomicU64>;
/// A gauge of a real number.
pub type FloatGauge = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeviceLabel {
    pub device: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LossLabel {
    pub device: String,
    pub reason: LossReason,
}

/// Why footage that was made did not reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum LossReason {
    /// Hot was at its byte quota and the disk did not take the oldest segments in time.
    hot_full,
    /// The segment could not be demuxed at all.
    corrupt,
    /// The segment's file was gone before it was committed.
    vanished,
}

impl LossReason {
    pub const ALL: [Self; 3] = [Self::hot_full, Self::corrupt, Self::vanished];
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HotFilesLabel {
    pub device: String,
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WriteLabel {
    pub device: String,
    /// `media`, `index` (moov, free, mdat header at sealing), `state` (epochs and the like).
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ActorLabel {
    pub actor: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabel {
    pub route: &'static str,
    pub status: u16,
}

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
    pub hot_bytes: Family<DeviceLabel, Gauge>,
    pub hot_files: Family<HotFilesLabel, Gauge>,
    pub frames: Family<DeviceLabel, Counter>,
    pub ffmpeg_restarts: Family<DeviceLabel, Counter>,
    pub actor_restarts: Family<ActorLabel, Counter>,
    pub inotify_overflows: Counter,
    pub chunks_expired: Family<DeviceLabel, Counter>,
    pub chunks_evicted: Family<DeviceLabel, Counter>,
    pub oldest_chunk_age_seconds: Family<DeviceLabel, FloatGauge>,
    pub free_bytes: Gauge,
    pub volume_ok: Gauge,
    pub hot_ok: Gauge,
    pub cpu_percent: FloatGauge,
    pub io_wait_percent: FloatGauge,
    pub io_pressure_percent: FloatGauge,
    pub log_lines_dropped: Counter,
    pub http_requests: Family<RequestLabel, Counter>,
    pub http_request_seconds: Histogram,
    totals: Totals,
}

/// Sums over devices, for the amplification.
#[derive(Clone, Default)]
struct Totals {
    media_bytes: Counter,
    written_bytes: Counter,
}

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
            hot_bytes: Family::default(),
            hot_files: Family::default(),
            frames: Family::default(),
            ffmpeg_restarts: Family::default(),
            actor_restarts: Family::default(),
            inotify_overflows: Counter::default(),
            chunks_expired: Family::default(),
            chunks_evicted: Family::default(),
            oldest_chunk_age_seconds: Family::default(),
            free_bytes: Gauge::default(),
            volume_ok: Gauge::default(),
            hot_ok: Gauge::default(),
            cpu_percent: FloatGauge::default(),
            io_wait_percent: FloatGauge::default(),
            io_pressure_percent: FloatGauge::default(),
            log_lines_dropped: Counter::default(),
            http_requests: Family::default(),
            http_request_seconds: request_seconds,
            totals: Totals::default(),
        };
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
        r.register_with_unit("hot", "Bytes in hot", Unit::Bytes, self.hot_bytes.clone());
        r.register("hot_files", "Files in hot", self.hot_files.clone());
        r.register("frames", "Pictures that arrived in hot", self.frames.clone());
        r.register("ffmpeg_restarts", "Starts of FFmpeg after the first", self.ffmpeg_restarts.clone());
        r.register("actor_restarts", "Restarts of actors", self.actor_restarts.clone());
        r.register(
            "inotify_overflows",
            "Times the kernel dropped file events and hot was rescanned",
            self.inotify_overflows.clone(),
        );
        r.register("chunks_expired", "Chunks deleted by age", self.chunks_expired.clone());
        r.register("chunks_evicted", "Chunks deleted because space was short", self.chunks_evicted.clone());
        r.register_with_unit(
            "oldest_chunk_age",
            "Age of the oldest chunk",
            Unit::Seconds,
            self.oldest_chunk_age_seconds.clone(),
        );
        r.register_with_unit("free", "Free bytes on the archive's file system", Unit::Bytes, self.free_bytes.clone());
        r.register("volume_ok", "1 while the archive volume is the expected one", self.volume_ok.clone());
        r.register("hot_ok", "1 while hot is the tmpfs it must be", self.hot_ok.clone());
        r.register("cpu_percent", "Load of the whole machine", self.cpu_percent.clone());
        r.register("io_wait_percent", "Time in iowait", self.io_wait_percent.clone());
        r.register("io_pressure_percent", "PSI io some avg10", self.io_pressure_percent.clone());
        r.register(
            "log_lines_dropped",
            "Log lines dropped because the writer was behind",
            self.log_lines_dropped.clone(),
        );
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

    fn total_media_bytes(&self) -> u64 {
        self.totals.media_bytes.get()
    }

    fn total_written_bytes(&self) -> u64 {
        self.totals.written_bytes.get()
    }

    /// The counters of one device, made at zero so that they are visible before the first event.
    pub fn device(&self, id: &DeviceId) -> DeviceMetrics {
        let device = id.to_string();
        let label = DeviceLabel { device: device.clone() };
        let lost = |reason| self.lost_seconds.get_or_create_owned(&LossLabel { device: device.clone(), reason });
        let written = |kind| self.disk_written_bytes.get_or_create_owned(&WriteLabel { device: device.clone(), kind });
        let files = |kind| self.hot_files.get_or_create_owned(&HotFilesLabel { device: device.clone(), kind });
        DeviceMetrics {
            up: self.device_up.get_or_create_owned(&label),
            segments: self.segments.get_or_create_owned(&label),
            segment_faults: self.segment_faults.get_or_create_owned(&label),
            committed_seconds: self.committed_seconds.get_or_create_owned(&label),
            lost_hot_full: lost(LossReason::hot_full),
            lost_corrupt: lost(LossReason::corrupt),
            lost_vanished: lost(LossReason::vanished),
            written_media: written("media"),
            written_index: written("index"),
            written_state: written("state"),
            media_bytes: self.media_bytes.get_or_create_owned(&label),
            commit_seconds: self.commit_seconds.get_or_create_owned(&label),
            commit_failures: self.commit_failures.get_or_create_owned(&label),
            chunks_sealed: self.chunks_sealed.get_or_create_owned(&label),
            hot_bytes: self.hot_bytes.get_or_create_owned(&label),
            hot_segments: files("segments"),
            hot_captures: files("captures"),
            hot_thumbnails: files("thumbnails"),
            frames: self.frames.get_or_create_owned(&label),
            ffmpeg_restarts: self.ffmpeg_restarts.get_or_create_owned(&label),
            chunks_expired: self.chunks_expired.get_or_create_owned(&label),
            chunks_evicted: self.chunks_evicted.get_or_create_owned(&label),
            oldest_chunk_age_seconds: self.oldest_chunk_age_seconds.get_or_create_owned(&label),
            totals: self.totals.clone(),
        }
    }
}

/// What a kind of write to the archive is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Heads, fragments and marks of chunks.
    Media,
    /// What sealing adds: moov, free, mdat header.
    Index,
    /// Epochs, volume identity.
    State,
}

/// One device's counters, cheap to clone and to count with.
#[derive(Clone)]
pub struct DeviceMetrics {
    pub up: Gauge,
    pub segments: Counter,
    pub segment_faults: Counter,
    pub committed_seconds: SecondsCounter,
    pub lost_hot_full: SecondsCounter,
    pub lost_corrupt: SecondsCounter,
    pub lost_vanished: SecondsCounter,
    written_media: Counter,
    written_index: Counter,
    written_state: Counter,
    media_bytes: Counter,
    pub commit_seconds: Histogram,
    pub commit_failures: Counter,
    pub chunks_sealed: Counter,
    pub hot_bytes: Gauge,
    pub hot_segments: Gauge,
    pub hot_captures: Gauge,
    pub hot_thumbnails: Gauge,
    pub frames: Counter,
    pub ffmpeg_restarts: Counter,
    pub chunks_expired: Counter,
    pub chunks_evicted: Counter,
    pub oldest_chunk_age_seconds: FloatGauge,
    totals: Totals,
}

impl DeviceMetrics {
    pub fn lost(&self, reason: LossReason) -> &SecondsCounter {
        match reason {
            LossReason::hot_full => &self.lost_hot_full,
            LossReason::corrupt => &self.lost_corrupt,
            LossReason::vanished => &self.lost_vanished,
        }
    }

    /// Bytes handed to the archive's file system.
    pub fn wrote(&self, kind: Written, bytes: u64) {
        let counter = match kind {
            Written::Media => &self.written_media,
            Written::Index => &self.written_index,
            Written::State => &self.written_state,
        };
        counter.inc_by(bytes);
        self.totals.written_bytes.inc_by(bytes);
    }

    /// Elementary stream bytes made durable.
    pub fn committed_media(&self, bytes: u64) {
        self.media_bytes.inc_by(bytes);
        self.totals.media_bytes.inc_by(bytes);
    }

    pub fn written_bytes(&self) -> u64 {
        self.written_media.get() + self.written_index.get() + self.written_state.get()
    }

    pub fn media_bytes(&self) -> u64 {
        self.media_bytes.get()
    }
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
            "capstan_ffmpeg_restarts_total{",
            "capstan_oldest_chunk_age_seconds{",
            "capstan_free_bytes",
            "capstan_http_request_seconds",
        ] {
            assert!(text.contains(name), "{name} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
