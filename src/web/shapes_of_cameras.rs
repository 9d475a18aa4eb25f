//! The shapes of cameras, areas and settings, as [`super::shapes`] has all others.

use super::shape::Shape::{self, *};

const STATUS: Shape = Word(&["starting", "online", "degraded", "offline", "failed", "disabled"]);
const ID: Shape = Text;
const SOURCE: Shape = Open;
const QUALITY: Shape = Word(&["low", "sd", "hd", "copy"]);
const SOUND: Shape = Word(&["auto", "off"]);

pub const CAMERA_ASKED: Shape = Fields(&[
    ("id?", ID),
    ("name?", Text),
    ("area?", Text),
    ("enabled?", Flag),
    ("quality?", QUALITY),
    ("size?", Text),
    ("fps?", Between(1, 120)),
    ("audio?", SOUND),
    ("source", SOURCE),
    ("live?", Open),
    ("detect?", Open),
]);
pub const CAMERA: Shape = Fields(&[
    ("id", ID),
    ("name", Text),
    ("area", Text),
    ("enabled", Flag),
    ("quality", QUALITY),
    ("size?", Text),
    ("fps?", Count),
    ("audio", SOUND),
    ("source", SOURCE),
    ("live", Open),
    ("detect", Open),
    ("origin", Word(&["file", "api"])),
    ("revision", Maybe(&Count)),
    ("created", Maybe(&Time)),
    ("changed", Maybe(&Time)),
    ("shadows", Flag),
    ("refused", Maybe(&Text)),
]);
pub const CAMERAS: Shape = Fields(&[("cameras", List(&CAMERA)), ("complete", Flag)]);

pub const ACTIVE: Shape = Fields(&[
    (
        "cameras",
        List(&Fields(&[
            ("id", ID),
            ("name", Text),
            ("area", Text),
            ("source", Word(&crate::config::Source::KINDS)),
            ("enabled", Flag),
            ("status", STATUS),
            ("since", Maybe(&Time)),
            ("reason", Maybe(&Text)),
            ("message", Maybe(&Text)),
            ("last_seen", Maybe(&Time)),
            ("uptime_seconds", Maybe(&Amount)),
            ("availability_24h", Maybe(&NumberBetween(0, 1))),
        ])),
    ),
    ("online", Count),
    ("total", Count),
]);

pub const SIGHT_ASKED: Shape = Fields(&[("source", SOURCE), ("id?", Text), ("fps?", Between(1, 120))]);
pub const SIGHT: Shape = Fields(&[
    ("ok", Flag),
    ("reason", Maybe(&Text)),
    ("message", Maybe(&Text)),
    ("words", List(&Text)),
    ("format", Text),
    (
        "video",
        Maybe(&Fields(&[
            ("codec", Text),
            ("width", Count),
            ("height", Count),
            ("fps", Maybe(&Amount)),
            ("copy", Flag),
        ])),
    ),
    ("audio", Maybe(&Fields(&[("codec", Text), ("sample_rate", Count), ("channels", Count), ("flows", Flag)]))),
    ("still", Maybe(&Text)),
    ("seconds", Amount),
]);

pub const AREA_ASKED: Shape = Fields(&[("name", Text)]);
pub const AREA: Shape = Fields(&[("name", Text), ("cameras", List(&ID))]);
pub const AREAS: Shape = Fields(&[("areas", List(&AREA))]);

const CHANGED: Shape = Fields(&[("detect", Open), ("archive", Open), ("transcode", Open), ("notify", Open)]);
pub const SETTINGS_ASKED: Shape = Fields(&[
    ("detect?", Maybe(&Open)),
    ("archive?", Maybe(&Open)),
    ("transcode?", Maybe(&Open)),
    ("notify?", Maybe(&Open)),
]);
pub const SETTINGS: Shape = Fields(&[
    ("settings", Open),
    ("file", CHANGED),
    ("changed_here", CHANGED),
    ("changeable", List(&Text)),
    ("warnings", List(&Text)),
    ("revision", Count),
]);
pub const OUTLOOK: Shape = Fields(&[
    ("chunks", Count),
    ("bytes", Count),
    ("moved_chunks", Count),
    ("moved_bytes", Count),
    ("oldest_kept", Maybe(&Time)),
    ("warnings", List(&Text)),
]);
/// Of a change, or of a look at what it would come to.
pub const SETTINGS_PUT: Shape = Either(&[SETTINGS, OUTLOOK]);
pub const TEST_ASKED: Shape = Fields(&[("id", Text)]);
pub const TESTED: Shape = Fields(&[("status", Between(100, 999)), ("ms", Count)]);

pub const RELOADED: Shape = Fields(&[
    ("added", List(&ID)),
    ("changed", List(&ID)),
    ("removed", List(&ID)),
    ("thresholds", List(&ID)),
    ("settings", List(&Text)),
    ("refused", List(&Fields(&[("device", ID), ("message", Text)]))),
    ("needs_restart", List(&Text)),
]);

pub const AUDIT: Shape = Fields(&[(
    "entries",
    List(&Fields(&[
        ("id", Count),
        ("at", Time),
        ("who", Text),
        ("action", Text),
        ("subject", Text),
        ("before", Maybe(&Open)),
        ("after", Maybe(&Open)),
    ])),
)]);
