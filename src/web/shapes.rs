//! What each route takes and replies, as shapes. The contract test holds real replies against them, in both directions.

use super::shape::Shape::{self, *};
pub use super::shapes_of_cameras::*;

mod access;
mod history;
mod transcoding;

pub use access::*;
pub use history::HISTORY;
use transcoding::TRANSCODER;
pub use transcoding::{TRANSCODE_ACCEPTED, TRANSCODE_BACK, TRANSCODE_FILE, TRANSCODE_RUN, TRANSCODING};

pub const ERROR: Shape = Fields(&[(
    "error",
    Fields(&[
        (
            "kind",
            Word(&[
                "invalid",
                "not_found",
                "gone",
                "unauthorized",
                "forbidden",
                "too_many",
                "conflict",
                "precondition_failed",
                "precondition_required",
                "stale",
                "unavailable",
                "full",
                "io",
                "corrupt",
                "internal",
                "method_not_allowed",
                "too_long",
                "too_many",
            ]),
        ),
        ("message", Text),
        ("path?", Text),
        ("playlist_url?", Link),
        ("clip_url?", Link),
        ("spans?", List(&Fields(&[("start", Time), ("end", Time), ("codec", Word(&["h264", "h265"]))]))),
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

const LOUDNESS: Shape = Maybe(&NumberBetween(-200, 0));
const PERCENT: Shape = Maybe(&NumberBetween(0, 100));

const ANALYSIS: Shape = Fields(&[
    ("blackscreen", Maybe(&Flag)),
    ("freeze", Maybe(&Flag)),
    ("audio", Maybe(&Flag)),
    ("mean_volume_db", LOUDNESS),
    ("volume_percentage", PERCENT),
    ("at", Maybe(&Time)),
    ("age_seconds", Maybe(&Amount)),
    ("queue_depth", Count),
    ("dropped", Count),
    ("failed", Count),
    ("skipped", Count),
]);

pub const VERDICT: Shape = Fields(&[
    ("blackscreen", Maybe(&Flag)),
    ("freeze", Maybe(&Flag)),
    ("audio", Maybe(&Flag)),
    ("mean_volume_db", LOUDNESS),
    ("volume_percentage", PERCENT),
    ("no_signal", Maybe(&Flag)),
    ("black_percent", PERCENT),
    ("freeze_diff", PERCENT),
    ("t", Amount),
    ("frame", Text),
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
    ("analysis", Maybe(&ANALYSIS)),
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

/// What may hold the cleaner back.
const GATES: &[&str] = &["open", "cpu", "io_wait", "volume", "pins"];

/// How long the disks last at the rate of the last day.
const FORECAST: Shape = Fields(&[
    ("bytes_per_day", Count),
    ("days_until_full", Maybe(&Amount)),
    ("holds_days", Amount),
    ("wanted_days", Amount),
]);

/// The library's own volume.
const LIBRARY: Shape = Fields(&[
    ("root", Text),
    ("ok", Flag),
    ("error", Maybe(&Text)),
    ("gate", Word(GATES)),
    ("free_bytes", Count),
    ("total_bytes", Count),
    ("library_bytes", Count),
    ("moved", Count),
    ("deleted", Count),
    ("is_full", Flag),
    ("unknown_files", Count),
    ("copying", Maybe(&Text)),
]);

pub const STATE: Shape = Fields(&[
    ("host", Fields(&[("name", Text), ("version", Text), ("time", Time), ("ready", Flag)])),
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
    (
        "load",
        Fields(&[
            ("cpu_percent", Amount),
            ("foreign_cpu_percent", Amount),
            ("readings", Count),
            ("io_wait_percent", Amount),
            ("io_pressure_percent", Maybe(&Amount)),
        ]),
    ),
    (
        "cleaner",
        Fields(&[
            ("gate", Word(GATES)),
            ("free_bytes", Count),
            ("total_bytes", Count),
            ("expired", Count),
            ("evicted", Count),
            ("shelved", Count),
            ("originals_dropped", Count),
            ("last_round", Maybe(&Time)),
            ("last_success", Maybe(&Time)),
            ("error", Maybe(&Text)),
            ("volume_error", Maybe(&Text)),
            ("hot_error", Maybe(&Text)),
            ("out_of_space", Flag),
            ("backlog", Flag),
            ("unknown_files", Count),
            ("library_bytes", Count),
            ("forecast", Maybe(&FORECAST)),
            ("library", Maybe(&LIBRARY)),
        ]),
    ),
    ("transcoder", TRANSCODER),
    (
        "registry",
        Fields(&[
            ("state", Word(&["opening", "ready", "failing", "newer"])),
            ("error", Maybe(&Text)),
            ("queue", Count),
            ("dropped", Count),
            ("bytes", Count),
            ("written_bytes", Count),
            ("transactions", Count),
            ("last_backup", Maybe(&Time)),
            ("open", Map(&Count)),
        ]),
    ),
    (
        "serving",
        Fields(&[
            ("viewers", Count),
            ("viewers_refused", Count),
            ("cache_hits", Count),
            ("cache_misses", Count),
            ("limited", Count),
            ("overloaded", Count),
        ]),
    ),
    (
        "webhooks",
        List(&Fields(&[
            ("id", Text),
            ("receiver", Text),
            ("kinds", List(&Text)),
            ("waiting", Count),
            ("sent", Count),
            ("failed", Count),
            ("dropped", Count),
            ("last_sent", Maybe(&Time)),
            ("error", Maybe(&Text)),
        ])),
    ),
    ("actors", List(&ACTOR)),
    ("devices", List(&DEVICE)),
]);
const KIND: Shape = Word(&["blackscreen", "freeze", "silence", "signal_lost"]);

pub const INCIDENT: Shape = Fields(&[
    ("id", Text),
    ("host", Text),
    ("device", Text),
    ("kind", KIND),
    ("start", Time),
    ("end", Maybe(&Time)),
    ("duration_seconds", Amount),
    ("severity", Word(&["minor", "major", "critical"])),
    ("state", Word(&["open", "closed"])),
    ("evidence", List(&Link)),
    ("acknowledged", Flag),
    ("discarded", Flag),
    ("comment", Text),
]);
pub const INCIDENTS: Shape = Fields(&[("incidents", List(&INCIDENT)), ("next?", Text)]);
pub const INCIDENT_EDIT: Shape = Fields(&[("acknowledged?", Flag), ("discarded?", Flag), ("comment?", Text)]);
pub const INCIDENTS_EDIT: Shape =
    Fields(&[("ids", List(&Text)), ("acknowledged?", Flag), ("discarded?", Flag), ("comment?", Text)]);
pub const INCIDENTS_EDITED: Shape = Fields(&[("incidents", List(&INCIDENT)), ("missing", List(&Text))]);

pub const MAINTENANCE: Shape = Fields(&[
    ("device", Text),
    ("active", Flag),
    ("from", Maybe(&Time)),
    ("until", Maybe(&Time)),
    ("why", Maybe(&Text)),
]);
pub const MAINTENANCE_ASKED: Shape = Fields(&[("until", Moment), ("why?", Text)]);

pub const PIN: Shape = Fields(&[
    ("id", Count),
    ("device", Text),
    ("start", Time),
    ("end", Time),
    ("until", Maybe(&Time)),
    ("original", Flag),
    ("why", Text),
    ("by", Text),
    ("created", Time),
    ("active", Flag),
]);
pub const PINS: Shape = Fields(&[("pins", List(&PIN))]);
pub const PIN_ASKED: Shape = Fields(&[
    ("device", Text),
    ("start", Moment),
    ("end", Moment),
    ("until?", Maybe(&Moment)),
    ("why", Text),
    ("original?", Flag),
]);

/// Of a minute: how many frames, the worst verdict of each kind, the shares of bad ones.
const GLANCED: Shape = Fields(&[
    ("frames", Count),
    ("blackscreen", Maybe(&Flag)),
    ("freeze", Maybe(&Flag)),
    ("audio", Maybe(&Flag)),
    ("mean_volume_db", LOUDNESS),
    ("volume_percentage", PERCENT),
    ("blackscreen_percent?", Between(1, 100)),
    ("freeze_percent?", Between(1, 100)),
    ("silence_percent?", Between(1, 100)),
    ("incidents?", List(&KIND)),
]);

pub const HEATMAP: Shape = Fields(&[
    ("time_key", Text),
    ("timestamp", Time),
    ("incidents_count", Count),
    ("incidents_complete", Flag),
    (
        "devices",
        List(&Fields(&[
            ("host_name", Text),
            ("device_id", Text),
            ("device_name", Text),
            ("image_url", Maybe(&Link)),
            ("analysis_json", GLANCED),
            ("status", Word(&["ok", "ko", "unknown"])),
        ])),
    ),
]);

pub const STRIPS: Shape = Fields(&[
    ("from", Time),
    ("to", Time),
    ("step_seconds", Between(60, 86_400)),
    ("incidents_complete", Flag),
    ("minutes", List(&Time)),
    ("devices", List(&Fields(&[("device_id", Text), ("device_name", Text), ("states", Text)]))),
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
    ("incidents", List(&INCIDENT)),
    ("incidents_complete", Flag),
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

pub const STILLS: Shape = Fields(&[("hour", Between(0, 23)), ("count", Count), ("thumbnails", List(&Link))]);

const JUDGED: Shape = Maybe(&Flag);

pub const FRAMES: Shape = Fields(&[
    ("device", Text),
    ("start", Time),
    ("end", Time),
    ("step_seconds", Maybe(&Count)),
    ("count", Count),
    ("next", Maybe(&Time)),
    (
        "frames",
        List(&Fields(&[
            ("time", Time),
            ("frame", Count),
            ("frames", Count),
            ("black", JUDGED),
            ("black_pct", PERCENT),
            ("freeze", JUDGED),
            ("freeze_diff", PERCENT),
            ("audio", JUDGED),
            ("mean_volume_db", Maybe(&NumberBetween(-200, 50))),
            ("volume_percentage", Maybe(&Between(0, 100))),
            ("no_signal", Flag),
            ("skipped", Count),
        ])),
    ),
]);

pub const HOUR_DOCUMENT: Shape = Fields(&[
    ("hour", Between(0, 23)),
    ("start_time", Time),
    ("duration_seconds", Amount),
    ("total_frames", Count),
    ("step_seconds", Maybe(&Count)),
    ("video_chunks", List(&Fields(&[("file", Text), ("url", Link), ("start", Time), ("duration", Amount)]))),
    (
        "frames",
        List(&Fields(&[("num", Count), ("time", Time), ("freeze", JUDGED), ("black", JUDGED), ("audio", JUDGED)])),
    ),
    (
        "audio_segments",
        List(&Fields(&[
            ("file", Text),
            ("url", Link),
            ("start", Time),
            ("duration", Amount),
            ("transcript", Maybe(&Text)),
        ])),
    ),
    (
        "incidents",
        List(&Fields(&[
            ("frame", Maybe(&Count)),
            ("type", Word(&["blackscreen", "freeze", "silence", "signal_lost"])),
            ("start", Time),
            ("duration", Amount),
            ("severity", Word(&["minor", "major", "critical"])),
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
