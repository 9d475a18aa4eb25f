//! The routes of viewers, for the one table, with what they take and reply.

use actix_web::web;

use crate::web::{
    need::{FOUND, OPERATE_DEVICES},
    openapi::{Doc, Param, Reply::Json},
    route::{Entry, action, entry, read},
    shape::Shape::{self, *},
};

const DEVICE: Shape = Text;
const COUNTS: Shape = Map(&Count);

const VIEWING: Shape = Fields(&[
    ("number", Count),
    ("device", DEVICE),
    ("client", Text),
    ("agent", Text),
    ("began", Time),
    ("last", Time),
    ("watched_seconds", Count),
    ("ended", Flag),
]);
const SESSION: Shape = Fields(&[("session", Text)]);

const fn param(name: &'static str, shape: Shape, about: &'static str) -> Param {
    Param { name, shape, about, needed: false }
}

/// Of the live playlist, which counts as a heartbeat.
pub const OF_SESSION: Param =
    param("session", Like(r"^[0-9a-f]{32}$"), "as `/api/viewer/start` named it: whose heartbeat this is");

const OF_DEVICE: Param = param("device", Text, "of that device alone, whether or not it is still configured");

pub const START: Entry = action(
    "/api/viewer/start",
    FOUND,
    || web::post().to(super::start),
    Doc::new(
        "Somebody begins to watch",
        Json(&Fields(&[
            ("session", Text),
            ("number", Count),
            ("device", DEVICE),
            ("heartbeat_seconds", Count),
            ("expires_seconds", Count),
        ])),
    )
    .takes(&Fields(&[("device", DEVICE)]))
    .others(&[403, 404, 500, 503]),
);

pub const HEARTBEAT: Entry = action(
    "/api/viewer/heartbeat",
    FOUND,
    || web::post().to(super::heartbeat),
    Doc::new("And is still there; 404: start anew", Json(&Fields(&[("device", DEVICE), ("expires_seconds", Count)])))
        .takes(&SESSION)
        .others(&[403, 404]),
);

pub const STOP: Entry = action(
    "/api/viewer/stop",
    FOUND,
    || web::post().to(super::stop),
    Doc::new("And leaves", Json(&VIEWING)).takes(&SESSION).others(&[403, 404]),
);

pub const ACTIVE: Entry = entry(
    "/api/viewer/active",
    OPERATE_DEVICES,
    || read().to(super::active),
    Doc::new(
        "Who watches now, no later than 15 s",
        Json(&Fields(&[("viewers", Count), ("devices", COUNTS), ("sessions", List(&VIEWING))])),
    )
    .query(&[OF_DEVICE]),
);

pub const STATS: Entry = entry(
    "/api/viewer/stats",
    OPERATE_DEVICES,
    || read().to(super::stats),
    Doc::new(
        "How many watch, and what could not be counted",
        Json(&Fields(&[
            ("viewers", Count),
            ("viewers_max", Count),
            ("devices", COUNTS),
            ("refused", Count),
            ("waiting", Count),
            ("forgotten", Count),
        ])),
    )
    .query(&[OF_DEVICE]),
);

pub const HISTORY: Entry = entry(
    "/api/viewer/history",
    OPERATE_DEVICES,
    || read().to(super::history),
    Doc::new(
        "Who watched in the last 90 days, newest first, with the sums of each device over all pages",
        Json(&Fields(&[
            (
                "totals",
                List(&Fields(&[("device", Text), ("sessions", Count), ("watched_seconds", Count), ("last", Time)])),
            ),
            ("sessions", List(&VIEWING)),
            ("next", Maybe(&Count)),
        ])),
    )
    .others(&[503])
    .query(&[
        OF_DEVICE,
        param("from", Moment, "some part of it lies after this"),
        param("to", Moment, "it began before this"),
        param("limit", Between(1, 1000), "on one page; 100 without it"),
        param("before", Count, "the page that follows: `next` of the page before"),
    ]),
);
