//! What each route takes and replies, as shapes. The contract test holds real replies against them, in both directions.

use super::shape::Shape::{self, *};

pub const ERROR: Shape = Fields(&[(
    "error",
    Fields(&[
        (
            "kind",
            Word(&[
                "invalid",
                "not_found",
                "gone",
                "conflict",
                "stale",
                "unavailable",
                "full",
                "io",
                "corrupt",
                "internal",
                "method_not_allowed",
                "too_long",
            ]),
        ),
        ("message", Text),
        ("path?", Text),
        ("playlist_url?", Link),
    ]),
)]);

pub const ALIVE: Shape = Fields(&[("status", Word(&["ok", "ready"]))]);

/// The OpenAPI document about itself.
pub const OPEN: Shape = Open;

pub const HEALTH: Shape = Fields(&[
    ("ok", Flag),
    ("checks", List(&Fields(&[("name", Text), ("device?", Text), ("ok", Flag), ("message", Text)]))),
]);

const ACTOR: Shape = Fields(&[
    ("name", Text),
    ("state", Word(&["starting", "running", "restarting", "failed", "stopping", "stopped"])),
    ("generation", Count),
    ("restarts", Count),
    (
        "last_exit",
        Maybe(&Fields(&[
            ("kind", Word(&["normal", "stopped", "panic", "arbiter_lost", "hang"])),
            ("message?", Text),
            ("at", Time),
        ])),
    ),
]);

const HOT: Shape = Fields(&[
    ("segments", Count),
    ("waiting", Count),
    ("captures", Count),
    ("thumbnails", Count),
    ("bytes", Count),
    ("waiting_bytes", Count),
    ("quota_bytes", Count),
    ("newest_segment_age_seconds", Maybe(&Amount)),
    ("newest_picture_age_seconds", Maybe(&Amount)),
    ("oldest_waiting_age_seconds", Maybe(&Amount)),
    ("losing", Flag),
]);

const DEVICE: Shape = Fields(&[
    ("id", Text),
    ("name", Text),
    ("area", Maybe(&Text)),
    ("source", Word(&crate::config::Source::KINDS)),
    ("status", Word(&["starting", "online", "degraded", "offline", "failed", "disabled"])),
    ("since", Maybe(&Time)),
    ("reason", Maybe(&Text)),
    ("recorder", Open),
    ("playlist_url", Link),
    ("manifest_url", Link),
    ("hot", HOT),
    ("chunks", Fields(&[("count", Count), ("bytes", Count), ("oldest", Maybe(&Time)), ("newest", Maybe(&Time))])),
    ("open_chunk", Maybe(&Fields(&[("url", Link), ("start", Time), ("end", Time), ("bytes", Count)]))),
    ("segments_total", Count),
    ("segment_faults", Count),
    ("frames_total", Count),
    ("committed_seconds", Amount),
    ("lost_seconds", Map(&Amount)),
    ("commit_failures", Count),
    ("chunks_sealed", Count),
    ("ffmpeg_restarts", Count),
    ("media_bytes", Count),
    ("written_bytes", Count),
]);

pub const STATE: Shape = Fields(&[
    ("host", Fields(&[("version", Text), ("time", Time), ("ready", Flag)])),
    (
        "archive",
        Fields(&[
            ("root", Text),
            ("ok", Flag),
            ("error", Maybe(&Text)),
            ("free_bytes", Count),
            ("total_bytes", Count),
            ("min_free_bytes", Count),
        ]),
    ),
    ("load", Fields(&[("cpu_percent", Amount), ("io_wait_percent", Amount), ("io_pressure_percent", Maybe(&Amount))])),
    (
        "cleaner",
        Fields(&[
            ("gate", Word(&["open", "cpu", "io_wait", "volume"])),
            ("free_bytes", Count),
            ("total_bytes", Count),
            ("expired", Count),
            ("evicted", Count),
            ("last_round", Maybe(&Time)),
            ("volume_error", Maybe(&Text)),
            ("hot_error", Maybe(&Text)),
            ("out_of_space", Flag),
            ("backlog", Flag),
        ]),
    ),
    ("actors", List(&ACTOR)),
    ("devices", List(&DEVICE)),
]);

pub const TIMELINE: Shape = Fields(&[
    ("device", Text),
    ("start", Time),
    ("end", Time),
    ("exact", Flag),
    ("coverage", List(&Fields(&[("start", Time), ("end", Time), ("codec", Text)]))),
    (
        "gaps",
        List(&Fields(&[
            ("start", Time),
            ("end", Time),
            ("reason", Word(&["not_kept", "not_recorded", "not_committed"])),
        ])),
    ),
    // Nothing finds any yet.
    ("incidents", List(&Open)),
    (
        "chunks",
        List(&Fields(&[
            ("name", Text),
            ("url", Link),
            ("start", Time),
            ("end", Time),
            ("bytes", Count),
            ("codec", Text),
            ("generation", Count),
            ("gaps", Count),
            ("sealed", Flag),
            ("pinned", Flag),
        ])),
    ),
]);

pub const MANIFEST: Shape = Fields(&[
    ("total_duration_seconds", Count),
    ("window_hours", Count),
    ("segments_per_window", Count),
    (
        "manifests",
        List(&Fields(&[
            ("name", Text),
            ("window_index", Between(0, 23)),
            ("chunk_index", Count),
            ("start_time_seconds", Amount),
            ("end_time_seconds", Amount),
            ("duration_seconds", Amount),
            ("start", Time),
            ("end", Time),
            ("url", Link),
            ("bytes", Count),
            ("codecs", Text),
            ("gaps", Count),
        ])),
    ),
]);

pub const HOUR: Shape = Fields(&[("hour", Between(0, 23)), ("manifest_url", Link)]);

pub const RESTART_ASKED: Shape = Fields(&[("duration_seconds", NumberBetween(1, 60))]);
pub const RESTART: Shape =
    Fields(&[("success", Flag), ("video_url", Link), ("video_id", Text), ("start", Time), ("end", Time)]);

/// A clip that is encoded anew: 202 while it is not done, 200 with `url` and `compression_ratio` when it is.
pub const JOB: Shape = Fields(&[
    ("success", Flag),
    ("url?", Link),
    ("size", Count),
    ("compression_ratio?", Amount),
    ("count", Count),
    ("state", Word(&["queued", "running", "done"])),
    ("progress", NumberBetween(0, 1)),
    ("job_url", Link),
]);
