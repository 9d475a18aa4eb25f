//! The counters of one device, as its stages hold them.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

use super::{
    ActorLabel, DeviceLabel, FloatGauge, HotFilesLabel, LossLabel, LossReason, Metrics, SecondsCounter, Totals,
    WriteLabel,
};
use crate::ids::DeviceId;

/// What a kind of write to the archive is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Heads, fragments and marks of chunks.
    Media,
    /// What sealing adds: moov, free, mdat header.
    Index,
    /// Epochs, volume identity.
    State,
    /// Pictures that prove incidents.
    Evidence,
    /// All captures, where they are asked for.
    Captures,
    /// Stills beside the chunks.
    Preview,
    /// Verdicts on frames beside the chunks.
    Metadata,
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
    written_evidence: Counter,
    written_captures: Counter,
    written_previews: Counter,
    written_metadata: Counter,
    media_bytes: Counter,
    pub commit_seconds: Histogram,
    pub commit_failures: Counter,
    pub chunks_sealed: Counter,
    pub sibling_failures: Counter,
    pub sibling_drops: Counter,
    pub hot_bytes: Gauge,
    pub hot_segments: Gauge,
    pub hot_captures: Gauge,
    pub hot_thumbnails: Gauge,
    pub frames: Counter,
    pub frames_dropped: Counter,
    pub frames_failed: Counter,
    pub frames_skipped: Counter,
    pub frame_queue_depth: Gauge,
    /// Of all devices.
    pub analysis_seconds: Histogram,
    pub evidence_dropped: Counter,
    pub ffmpeg_restarts: Counter,
    pub chunks_expired: Counter,
    pub chunks_evicted: Counter,
    pub chunks_shelved: Counter,
    pub chunks_moved: Counter,
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
            Written::Evidence => &self.written_evidence,
            Written::Captures => &self.written_captures,
            Written::Preview => &self.written_previews,
            Written::Metadata => &self.written_metadata,
        };
        counter.inc_by(bytes);
        self.totals.wrote(bytes);
    }

    /// Elementary stream bytes made durable.
    pub fn committed_media(&self, bytes: u64) {
        self.media_bytes.inc_by(bytes);
        self.totals.media_bytes.inc_by(bytes);
    }

    pub fn written_bytes(&self) -> u64 {
        let kinds = [&self.written_media, &self.written_index, &self.written_state];
        let beside = [&self.written_previews, &self.written_metadata, &self.written_evidence, &self.written_captures];
        kinds.into_iter().chain(beside).map(Counter::get).sum()
    }

    pub fn media_bytes(&self) -> u64 {
        self.media_bytes.get()
    }
}

impl Metrics {
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
            written_evidence: written("evidence"),
            written_captures: written("captures"),
            written_previews: written("preview"),
            written_metadata: written("metadata"),
            media_bytes: self.media_bytes.get_or_create_owned(&label),
            commit_seconds: self.commit_seconds.get_or_create_owned(&label),
            commit_failures: self.commit_failures.get_or_create_owned(&label),
            chunks_sealed: self.chunks_sealed.get_or_create_owned(&label),
            sibling_failures: self.sibling_failures.get_or_create_owned(&label),
            sibling_drops: self.sibling_drops.get_or_create_owned(&label),
            hot_bytes: self.hot_bytes.get_or_create_owned(&label),
            hot_segments: files("segments"),
            hot_captures: files("captures"),
            hot_thumbnails: files("thumbnails"),
            frames: self.frames.get_or_create_owned(&label),
            frames_dropped: self.frames_dropped.get_or_create_owned(&label),
            frames_failed: self.frames_failed.get_or_create_owned(&label),
            frames_skipped: self.frames_skipped.get_or_create_owned(&label),
            frame_queue_depth: self.frame_queue_depth.get_or_create_owned(&label),
            analysis_seconds: self.analysis_seconds.clone(),
            evidence_dropped: self.evidence_dropped.get_or_create_owned(&label),
            ffmpeg_restarts: self.ffmpeg_restarts.get_or_create_owned(&label),
            chunks_expired: self.chunks_expired.get_or_create_owned(&label),
            chunks_evicted: self.chunks_evicted.get_or_create_owned(&label),
            chunks_shelved: self.chunks_shelved.get_or_create_owned(&label),
            chunks_moved: self.chunks_moved.get_or_create_owned(&label),
            oldest_chunk_age_seconds: self.oldest_chunk_age_seconds.get_or_create_owned(&label),
            totals: self.totals.clone(),
        }
    }
}

impl Metrics {
    /// The device is gone: its series go. Who still counts, counts for nobody.
    pub fn forget_device(&self, id: &DeviceId) {
        let device = id.to_string();
        let label = DeviceLabel { device: device.clone() };
        self.device_up.remove(&label);
        for stage in ["", "/ffmpeg", "/frames", "/merger", "/archiver"] {
            self.actor_restarts.remove(&ActorLabel { actor: format!("device/{device}{stage}") });
        }
        for counters in [
            &self.segments,
            &self.segment_faults,
            &self.media_bytes,
            &self.commit_failures,
            &self.chunks_sealed,
            &self.sibling_failures,
            &self.sibling_drops,
            &self.frames,
            &self.frames_dropped,
            &self.frames_failed,
            &self.frames_skipped,
            &self.evidence_dropped,
            &self.ffmpeg_restarts,
            &self.chunks_expired,
            &self.chunks_evicted,
            &self.chunks_shelved,
            &self.chunks_moved,
        ] {
            counters.remove(&label);
        }
        self.committed_seconds.remove(&label);
        self.commit_seconds.remove(&label);
        self.hot_bytes.remove(&label);
        self.frame_queue_depth.remove(&label);
        self.oldest_chunk_age_seconds.remove(&label);
        for reason in LossReason::ALL {
            self.lost_seconds.remove(&LossLabel { device: device.clone(), reason });
        }
        for kind in ["media", "index", "state", "evidence", "captures", "preview", "metadata"] {
            self.disk_written_bytes.remove(&WriteLabel { device: device.clone(), kind });
        }
        for kind in ["segments", "captures", "thumbnails"] {
            self.hot_files.remove(&HotFilesLabel { device: device.clone(), kind });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_gone_leaves_no_series() {
        let metrics = Metrics::new();
        let (gone, stays): (DeviceId, DeviceId) = ("gone".parse().unwrap(), "stays".parse().unwrap());
        let _held = (metrics.device(&gone), metrics.device(&stays));
        assert!(metrics.render().contains("\"gone\""));
        metrics.forget_device(&gone);
        let text = metrics.render();
        assert!(!text.contains("\"gone\"") && text.contains("\"stays\""), "{text}");
    }
}
