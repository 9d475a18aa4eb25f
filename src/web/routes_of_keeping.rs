//! The rows of the route table that are about what stays, what is encoded anew, and how the host did; [`super::routes`] has
//! them in their order.

use actix_web::web;

use super::{
    history,
    need::{ADMIN, DEVICES, FOUND, HOST, OPERATE_FOUND},
    openapi::{Doc, Reply::*},
    pins,
    route::{Also, Entry, Verb, action, entry, read},
    routes::{ASKED, START, param},
    shape::Shape,
    shapes, transcode,
};

/// Of the transcoder's switch: refused when the settings say otherwise.
const SWITCHED: &[u16] = &[403, 409, 500, 503, 507];
/// Of what is asked for one file.
const OF_A_FILE: &[u16] = &[403, 404, 409, 500, 503, 507];

pub const PINS: Entry = Entry {
    more: &[Also {
        verb: Verb::Post,
        need: OPERATE_FOUND,
        handler: || web::post().to(pins::pin),
        doc: Doc::new("A range that must stay", Made(&shapes::PIN))
            .takes(&shapes::PIN_ASKED)
            .others(&[403, 404, 409, 500, 503, 507]),
    }],
    ..entry(
        "/api/host/pins",
        DEVICES,
        || read().to(pins::list),
        Doc::new("Ranges that must stay, by device and start", Json(&shapes::PINS)).others(ASKED).query(&[param(
            "device",
            Shape::Text,
            "of that device alone, whether or not it is still configured",
        )]),
    )
};

pub const PIN: Entry = Entry {
    more: &[Also {
        verb: Verb::Delete,
        need: OPERATE_FOUND,
        handler: || web::delete().to(pins::unpin),
        doc: Doc::new("It may go like any other", Nothing).others(&[403, 404, 500, 503, 507]),
    }],
    ..entry(
        "/api/host/pins/{id}",
        FOUND,
        || read().to(pins::one),
        Doc::new("One of them", Json(&shapes::PIN)).others(&[404, 503]),
    )
};

pub const HISTORY: Entry = Entry {
    compress: true,
    ..entry(
        "/api/host/history",
        HOST,
        || read().to(history::history),
        Doc::new("The host's last day, minute by minute since the start", Json(&shapes::HISTORY)).query(&[param(
            "from",
            START.shape,
            "what ended after that moment; all without it",
        )]),
    )
};

pub const TRANSCODING: Entry = entry(
    "/api/transcode",
    HOST,
    || read().to(transcode::stats),
    Doc::new("What was transcoded, what is in work, and what holds it", Json(&shapes::TRANSCODING)).others(ASKED),
);

pub const ENABLE: Entry = action(
    "/api/transcode/enable",
    ADMIN,
    || web::post().to(transcode::enable),
    Doc::new("Old footage is encoded anew, from now on", Json(&shapes::TRANSCODING)).others(SWITCHED),
);

pub const DISABLE: Entry = action(
    "/api/transcode/disable",
    ADMIN,
    || web::post().to(transcode::disable),
    Doc::new("No more after the file in work, over restarts", Json(&shapes::TRANSCODING)).others(SWITCHED),
);

pub const RUN: Entry = action(
    "/api/transcode/run",
    ADMIN,
    || web::post().to(transcode::run),
    Doc::new(
        "One file, or all that qualify; `force`: whatever the age and the time",
        Json(&shapes::TRANSCODE_ACCEPTED),
    )
    .takes(&shapes::TRANSCODE_RUN)
    .also(202)
    .others(OF_A_FILE),
);

pub const ROLL_BACK: Entry = action(
    "/api/transcode/rollback",
    ADMIN,
    || web::post().to(transcode::roll_back),
    Doc::new("Takes the kept original of a file back", Json(&shapes::TRANSCODE_BACK))
        .takes(&shapes::TRANSCODE_FILE)
        .others(OF_A_FILE),
);
