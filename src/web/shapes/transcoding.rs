//! The shapes of what the transcoder tells and is asked.

use crate::web::shape::Shape::{self, *};

const GATE: Shape = Word(&[
    "open",
    "database",
    "disabled",
    "volume",
    "library",
    "schedule",
    "cpu",
    "io_wait",
    "io_pressure",
    "recorder",
    "battery",
    "thermal",
    "space",
    "encoder",
    "write_budget",
    "pause",
    "error_pause",
    "idle",
]);

pub(super) const TRANSCODER: Shape = Fields(&[
    ("state", Word(&["waiting", "running", "paused", "disabled"])),
    ("gate", GATE),
    ("detail", Maybe(&Text)),
    ("since", Maybe(&Time)),
    ("enabled", Flag),
    (
        "current",
        Maybe(&Fields(&[
            ("device", Text),
            ("file", Text),
            ("start", Time),
            ("bytes", Count),
            ("began", Time),
            ("progress", NumberBetween(0, 1)),
            ("speed", Amount),
            ("paused_seconds", Amount),
        ])),
    ),
    ("next_run", Maybe(&Time)),
    ("queued", Count),
    ("forced", Flag),
    ("originals", Fields(&[("count", Count), ("bytes", Count)])),
]);

pub const TRANSCODING: Shape = Fields(&[
    ("files_transcoded", Count),
    ("files_failed", Count),
    ("files_rolled_back", Count),
    ("space_saved", Count),
    ("total_original", Count),
    ("total_transcoded", Count),
    ("errors", Map(&Count)),
    ("last_transcoded", Maybe(&Time)),
    ("average_savings_percent", Maybe(&Amount)),
    ("target_savings_percent", Amount),
    ("warning", Maybe(&Text)),
    ("written_today_bytes", Count),
    ("status", TRANSCODER),
]);

pub const TRANSCODE_RUN: Shape = Fields(&[("file?", Text), ("all?", Flag), ("force?", Flag)]);
pub const TRANSCODE_ACCEPTED: Shape = Fields(&[("success", Flag), ("queued", Count), ("gate", GATE)]);
pub const TRANSCODE_FILE: Shape = Fields(&[("file", Text)]);
pub const TRANSCODE_BACK: Shape =
    Fields(&[("success", Flag), ("device", Text), ("file", Text), ("chunk", Text), ("bytes", Count)]);
