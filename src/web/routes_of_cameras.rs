//! The rows of the route table that are about cameras, areas and settings; [`super::routes`] has them in their order.

use actix_web::web;

use super::{
    active, areas, audit,
    cache::Keep,
    cameras,
    need::{ADMIN, DEVICES, FOUND, OPERATE},
    openapi::{Doc, Reply::*},
    route::{Also, Entry, Verb, action, entry, kept, read},
    routes::{ASKED, param},
    settings,
    shape::Shape,
    shapes, sights,
};

/// Of what changes cameras besides: what is not there, of the file, clashes, or was changed by somebody else.
const ORDERED: &[u16] = &[403, 404, 409, 412, 428, 500, 503, 507];
const MADE_ANEW: &[u16] = &[403, 409, 500, 503, 507];

pub const CAMERAS: Entry = Entry {
    more: &[Also {
        verb: Verb::Post,
        need: ADMIN,
        handler: || web::post().to(cameras::add),
        doc: Doc::new("One more; it records at once", Made(&shapes::CAMERA))
            .takes(&shapes::CAMERA_ASKED)
            .others(MADE_ANEW),
    }],
    ..entry(
        "/api/cameras",
        DEVICES,
        || read().to(cameras::list),
        Doc::new("What is configured, passwords apart", Json(&shapes::CAMERAS)),
    )
};

pub const ACTIVE: Entry = kept(
    Keep::OfStatus,
    "/api/cameras/active",
    DEVICES,
    || read().to(active::list),
    Doc::new("How each camera does, and how much of the day it recorded", Json(&shapes::ACTIVE)),
);

pub const PROBE: Entry = action(
    "/api/cameras/probe",
    ADMIN,
    || web::post().to(sights::probe),
    Doc::new("Opens a source for 5 s at most: what it is, and a picture of it", Json(&shapes::SIGHT))
        .takes(&shapes::SIGHT_ASKED)
        .others(&[403, 503]),
);

pub const CAMERA: Entry = Entry {
    more: &[
        Also {
            verb: Verb::Put,
            need: ADMIN,
            handler: || web::put().to(cameras::change),
            doc: Doc::new("Another form of it; needs If-Match", Json(&shapes::CAMERA))
                .takes(&shapes::CAMERA_ASKED)
                .others(ORDERED),
        },
        Also {
            verb: Verb::Delete,
            need: ADMIN,
            handler: || web::delete().to(cameras::remove),
            doc: Doc::new("It goes, its footage stays until it expires; needs If-Match", Nothing).others(ORDERED),
        },
    ],
    ..entry(
        "/api/cameras/{id}",
        FOUND,
        || read().to(cameras::one),
        Doc::new("One of them; its ETag is wanted for changes", Json(&shapes::CAMERA)).others(&[404, 503]),
    )
};

pub const AREAS: Entry = Entry {
    more: &[Also {
        verb: Verb::Post,
        need: ADMIN,
        handler: || web::post().to(areas::add),
        doc: Doc::new("One more", Made(&shapes::AREA)).takes(&shapes::AREA_ASKED).others(MADE_ANEW),
    }],
    ..kept(
        Keep::OfFleet,
        "/api/areas",
        DEVICES,
        || read().to(areas::list),
        Doc::new("Areas and the cameras in them", Json(&shapes::AREAS)),
    )
};

pub const AREA: Entry = Entry {
    more: &[
        Also {
            verb: Verb::Put,
            need: ADMIN,
            handler: || web::put().to(areas::rename),
            doc: Doc::new("Another name for it and its cameras; nothing is restarted", Json(&shapes::AREA))
                .takes(&shapes::AREA_ASKED)
                .others(&[403, 404, 409, 500, 503, 507]),
        },
        Also {
            verb: Verb::Delete,
            need: ADMIN,
            handler: || web::delete().to(areas::remove),
            doc: Doc::new("One without cameras goes", Nothing).others(&[403, 404, 409, 500, 503, 507]),
        },
    ],
    ..entry(
        "/api/areas/{name}",
        FOUND,
        || read().to(areas::show),
        Doc::new("One of them", Json(&shapes::AREA)).others(&[404]),
    )
};

pub const SETTINGS: Entry = Entry {
    more: &[Also {
        verb: Verb::Put,
        need: ADMIN,
        handler: || web::put().to(settings::change),
        doc: Doc::new("Other settings, at once; needs If-Match", Json(&shapes::SETTINGS_PUT))
            .takes(&shapes::SETTINGS_ASKED)
            .query(&[param("dry_run", Shape::Flag, "true: nothing is changed; told is what would be deleted or moved")])
            .others(&[403, 412, 428, 500, 503, 507]),
    }],
    ..kept(
        Keep::OfFleet,
        "/api/settings",
        OPERATE,
        || read().to(settings::show),
        Doc::new("The settings in force, secrets apart", Json(&shapes::SETTINGS)),
    )
};

pub const TEST_WEBHOOK: Entry = action(
    "/api/settings/notify/test",
    ADMIN,
    || web::post().to(settings::test),
    Doc::new("Sends a webhook one delivery to try it", Json(&shapes::TESTED))
        .takes(&shapes::TEST_ASKED)
        .others(&[403, 404, 500, 503]),
);

pub const RELOAD: Entry = action(
    "/api/host/reload",
    ADMIN,
    || web::post().to(settings::reload),
    Doc::new(
        "Reads the settings file again: cameras, and settings that can be changed, change at once",
        Json(&shapes::RELOADED),
    )
    .others(&[400, 403, 500, 503]),
);

pub const AUDIT: Entry = entry(
    "/api/audit",
    ADMIN,
    || read().to(audit::list),
    Doc::new("Who changed what, newest first", Json(&shapes::AUDIT)).others(ASKED).query(&[
        param("limit", Shape::Between(1, 1000), "on one page; 100 without it"),
        param("before", Shape::Count, "those before the entry of that id"),
    ]),
);
