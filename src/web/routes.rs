//! The one route table. A route cannot be in it without its description, of which `/api/openapi.json` is made.

use actix_web::{Route, web};

use super::{
    access_routes as access,
    cache::{Keep, entries as cache},
    chunks, clip_jobs, clips, events, heatmap, host, incidents, latest, live, maintenance, manifest, manual, metadata,
    mosaics,
    need::{DEVICE, DEVICES, FOUND, HOST, LIVE, Link, METRICS, OPEN, OPERATE_DEVICE, OPERATE_DEVICES, OPERATE_FOUND},
    openapi::{self, Doc, Param, Reply::*},
    playlists, restart,
    route::{Also, Entry, Verb, action, entry, kept, read},
    routes_of_cameras, routes_of_keeping,
    shape::Shape,
    shapes, stills, strips, thumbnails, timeline, ui,
    viewers::entries as viewers,
};
use crate::playback::heatmap::Status;
/// Stills side by side, of a minute.
const fn mosaic(path: &'static str, handler: fn() -> Route, about: &'static str) -> Entry {
    let doc = Doc::new(about, Bytes(&["image/jpeg"])).others(&[500, 503]).query(&[DATE]);
    kept(Keep::OfAll, path, DEVICES, handler, doc)
}

const HLS: &str = "application/vnd.apple.mpegurl";
/// What may also come of looking into the archive: a chunk that went meanwhile, a disk that fails or is too busy.
const ARCHIVE: &[u16] = &[404, 410, 500, 503];
/// A list leaves out a chunk that went, and pictures that went with it are not found.
const LISTED: &[u16] = &[404, 500, 503];
/// The same for what is made of footage up to an end, which is told in the address.
const MADE: &[u16] = &[307, 404, 410, 413, 500, 503];

/// And a result that grew beyond its budget.
const ENCODED: &[u16] = &[307, 404, 409, 410, 413, 500, 503, 507];
/// Pictures of several codecs are no file.
const WHOLE: &[u16] = &[307, 404, 409, 410, 413, 500, 503];

pub(super) const fn param(name: &'static str, shape: Shape, about: &'static str) -> Param {
    Param { name, shape, about, needed: false }
}

/// Of what asks the database.
pub(super) const ASKED: &[u16] = &[503];
/// Of what changes it: refused for other sites, and what a full or broken disk says.
const CHANGED: &[u16] = &[403, 500, 503, 507];
const YES_OR_NO: Shape = Shape::Word(&["0", "1", "false", "true"]);
const WHICH_INCIDENTS: &[Param] = &[
    param("device", Shape::Text, "of that device alone, whether or not it is still configured"),
    param("kind", Shape::Word(&["blackscreen", "freeze", "silence", "signal_lost"]), "of that kind alone"),
    param("open", YES_OR_NO, "`1`: those that last; `0`: those that are over"),
    param("from", Shape::Moment, "some part of it lies after this"),
    param("to", Shape::Moment, "it began before this"),
    param("acknowledged", YES_OR_NO, "those that somebody has seen, or not"),
    param("discarded", YES_OR_NO, "those that somebody said are none, or not"),
    param("limit", Shape::Between(1, 1000), "on one page; 100 without it"),
    param("after", Shape::Like(r"^-?[0-9]+\.[A-Za-z0-9_-]+$"), "the page that follows: `next` of the page before"),
];

const MULTIVARIANT: Param =
    param("multivariant", Shape::Word(&["0", "1"]), "`1`: a list that names the codecs and leads to this one");
const DATE: Param = param("date", Shape::Date, "that UTC day, instead of the latest");
pub(super) const START: Param = param("start", Shape::Moment, "RFC 3339 or seconds since 1970");
const END: Param = param("end", Shape::Moment, "likewise; up to now without it");
const DURATION: Param = param("duration", Shape::Amount, "seconds; more than 0, stands for one end of the span");

const STEP: Param = param("step", Shape::Between(1, 3600), "seconds: the worst of each step instead of every frame");

/// Every route there is. The path is also the label in `/metrics`.
pub const ROUTES: &[Entry] = &[
    entry(
        "/",
        OPEN,
        || read().to(ui::index),
        Doc::new("The page, and of each address that it makes of itself: `/device/{id}`, `/incidents`, `/system`, `/settings`", Text("text/html; charset=utf-8")).others(&[304]),
    ),
    entry(
        "/assets/{name}",
        OPEN,
        || read().to(ui::asset),
        Doc::new("Files of the page", Text("*/*")).others(&[304, 404]),
    ),
    access::LOGIN,
    access::LOGOUT,
    access::PASSWORD,
    access::ME,
    access::USERS,
    access::USER,
    access::TOKENS,
    access::TOKEN,
    access::SHARE,
    entry("/healthz", OPEN, || read().to(host::healthz), Doc::new("The process serves", Json(&shapes::ALIVE))),
    entry(
        "/readyz",
        OPEN,
        || read().to(host::readyz),
        Doc::new("It records and is not about to stop", Json(&shapes::ALIVE)).others(&[503]),
    ),
    entry(
        "/metrics",
        METRICS,
        || read().to(host::metrics),
        Doc::new("OpenMetrics", Text("application/openmetrics-text; version=1.0.0; charset=utf-8")),
    ),
    Entry {
        compress: true,
        ..entry(
            "/api/openapi.json",
            HOST,
            || read().to(openapi::document),
            Doc::new("Every route, as OpenAPI 3.1", Json(&shapes::OPEN)),
        )
    },
    Entry {
        compress: true,
        ..entry(
            "/api/docs",
            HOST,
            || read().to(manual::page),
            Doc::new("The same for people", Text("text/html; charset=utf-8")),
        )
    },
    entry(
        "/api/host/state",
        DEVICES,
        || read().to(host::state),
        Doc::new("Actors, devices, load, cleaner, archive", Json(&shapes::STATE)),
    ),
    entry(
        "/api/host/health",
        DEVICES,
        || read().to(host::health),
        Doc::new("One line per check; 503 when any fails", Json(&shapes::HEALTH)).also(503),
    ),
    routes_of_keeping::HISTORY,
    entry(
        "/api/events",
        DEVICES,
        || read().to(events::listen),
        Doc::new("What happens, as server-sent events", Text("text/event-stream")).others(&[503]).query(&[
            param("topics", Shape::Text, "some of `device`, `incident`, `commit`, `lost`, `job`, with commas between"),
            param("device", Shape::Text, "of that device only"),
            param("after", Shape::Count, "first what came after the event of that id; a browser's `Last-Event-ID`"),
        ]),
    ),
    entry(
        "/api/host/screenshot/{device}",
        DEVICE.live_without("at").linked(Link::Moment),
        || read().to(stills::screenshot),
        Doc::new("The newest picture, or that of any past moment", Bytes(&["image/jpeg"])).others(ARCHIVE).query(&[
            param("at", Shape::Moment, "that moment: its key frame, the one before it at the latest"),
            param("exact", Shape::Word(&["0", "1", "false", "true"]), "`1`: the very picture of that moment"),
            param("width", Shape::Between(16, 8192), "pixels"),
        ]),
    ),
    action(
        "/api/host/restart-video/{device}",
        DEVICE,
        || web::post().to(restart::create),
        Doc::new("The last seconds, as an address that stays good", Json(&shapes::RESTART))
            .takes(&shapes::RESTART_ASKED),
    ),
    entry(
        "/api/host/segments/{device}/{hour}",
        DEVICE,
        || read().to(playlists::segments),
        Doc::new("Where the hour plays; 404 when it is empty", Json(&shapes::HOUR)).query(&[DATE]),
    ),
    entry(
        "/api/host/clip/{device}.mp4",
        DEVICE.linked(Link::Span),
        || read().to(clips::span),
        Doc::new(
            "Any span as one MP4, made while it is read",
            Bytes(&["video/mp4", "audio/mp4", "text/plain; charset=utf-8", "application/json"]),
        )
        .also(202)
        .others(ENCODED)
        .query(&[
            Param { needed: true, ..START },
            END,
            DURATION,
            param("gap", Shape::Word(&["keep", "skip"]), "`keep`: the last picture stands through a gap"),
            param("tracks", Shape::Word(&["all", "audio"]), "`audio`: the sound alone"),
            param("explain", Shape::Word(&["0", "1"]), "`1`: as text, which bytes come from where"),
            param(
                "preset",
                Shape::Word(&["fast", "medium", "high", "low", "pi_optimized"]),
                "encoded anew, as a job: the reply is that of `/api/host/clip-jobs/{id}`",
            ),
            param("codec", Shape::Word(&["h264"]), "the file where all of it is H.264, else the same as `preset=fast`"),
        ]),
    ),
    entry(
        "/api/host/clip-jobs/{id}.mp4",
        FOUND,
        || read().to(clip_jobs::result),
        Doc::new("What a clip encoded anew came to", Bytes(&["video/mp4"])).others(&[404, 410, 500, 503, 507]),
    ),
    Entry {
        more: &[Also {
            verb: Verb::Delete,
            need: FOUND,
            handler: || web::delete().to(clip_jobs::cancel),
            doc: Doc::new("Takes the job back, or its result", Nothing).others(&[403, 404]),
        }],
        ..entry(
            "/api/host/clip-jobs/{id}",
            FOUND,
            || read().to(clip_jobs::job),
            Doc::new("How far the encoding of a clip is", Json(&shapes::JOB))
                .also(202)
                .others(&[404, 410, 500, 503, 507]),
        )
    },
    entry(
        "/api/host/playlist/{device}.m3u8",
        DEVICE.linked(Link::Span),
        || read().to(playlists::span),
        Doc::new("HLS of any span; without `start` the last hour, without `end` it grows", Bytes(&[HLS]))
            .others(LISTED)
            .query(&[START, END, DURATION, MULTIVARIANT]),
    ),
    kept(
        Keep::OfDevice,
        "/api/host/timeline/{device}",
        DEVICE,
        || read().to(timeline::timeline),
        Doc::new("What was recorded, what is missing and why; the last day unless told", Json(&shapes::TIMELINE))
            .others(&[503])
            .query(&[
                param("from", START.shape, START.about),
                param("to", END.shape, END.about),
                DURATION,
                param("resolution", Shape::Amount, "seconds; shorter gaps are left out"),
            ]),
    ),
    Entry {
        more: &[Also {
            verb: Verb::Patch,
            need: OPERATE_DEVICES,
            handler: || web::patch().to(incidents::edit_many),
            doc: Doc::new("What somebody says of many", Json(&shapes::INCIDENTS_EDITED))
                .takes(&shapes::INCIDENTS_EDIT)
                .others(CHANGED),
        }],
        ..entry(
            "/api/host/incidents",
            DEVICES,
            || read().to(incidents::list),
            Doc::new("Black, frozen, silent or gone: newest first", Json(&shapes::INCIDENTS))
                .others(ASKED)
                .query(WHICH_INCIDENTS),
        )
    },
    Entry {
        more: &[Also {
            verb: Verb::Patch,
            need: OPERATE_FOUND,
            handler: || web::patch().to(incidents::edit),
            doc: Doc::new("What somebody says of it", Json(&shapes::INCIDENT))
                .takes(&shapes::INCIDENT_EDIT)
                .others(&[403, 404, 500, 503, 507]),
        }],
        ..entry(
            "/api/host/incidents/{id}",
            FOUND,
            || read().to(incidents::one),
            Doc::new("One of them", Json(&shapes::INCIDENT)).others(&[404, 503]),
        )
    },
    entry(
        "/api/host/incidents.csv",
        DEVICES,
        || read().to(incidents::table),
        Doc::new("The same as a table, all pages in one; `limit` is the most rows", Text("text/csv; charset=utf-8"))
            .others(ASKED)
            .query(WHICH_INCIDENTS),
    ),
    Entry {
        more: &[
            Also {
                verb: Verb::Put,
                need: OPERATE_DEVICE,
                handler: || web::put().to(maintenance::begin),
                doc: Doc::new(
                    "Somebody works on it: its incidents are not told until then",
                    Json(&shapes::MAINTENANCE),
                )
                .takes(&shapes::MAINTENANCE_ASKED)
                .others(CHANGED),
            },
            Also {
                verb: Verb::Delete,
                need: OPERATE_DEVICE,
                handler: || web::delete().to(maintenance::end),
                doc: Doc::new("It is done", Json(&shapes::MAINTENANCE)).others(CHANGED),
            },
        ],
        ..entry(
            "/api/host/maintenance/{device}",
            DEVICE,
            || read().to(maintenance::show),
            Doc::new("Whether somebody works on it", Json(&shapes::MAINTENANCE)).others(ASKED),
        )
    },
    routes_of_keeping::PINS,
    routes_of_keeping::PIN,
    routes_of_cameras::CAMERAS,
    // Before the one of any name.
    routes_of_cameras::ACTIVE,
    routes_of_cameras::PROBE,
    routes_of_cameras::CAMERA,
    routes_of_cameras::AREAS,
    routes_of_cameras::AREA,
    routes_of_cameras::SETTINGS,
    routes_of_cameras::TEST_WEBHOOK,
    routes_of_cameras::RELOAD,
    routes_of_cameras::AUDIT,
    entry(
        "/host/stream/{device}/evidence/{date}/{name}.jpg",
        DEVICE,
        || read().to(incidents::evidence),
        Doc::new("A picture that proves an incident", Bytes(&["image/jpeg"])).others(LISTED),
    ),
    entry(
        "/api/host/thumbnails/{device}/{hour}",
        DEVICE,
        || read().to(thumbnails::hour),
        Doc::new("The preview stills of the hour", Json(&shapes::STILLS)).others(&[500, 503]).query(&[DATE]),
    ),
    entry(
        "/api/host/preview/{device}",
        DEVICE,
        || read().to(thumbnails::nearest),
        Doc::new("The preview still of a moment, or the last before it", Bytes(&["image/jpeg"]))
            .others(LISTED)
            .query(&[param("at", Shape::Moment, "that moment; now without it")]),
    ),
    kept(
        Keep::OfAll,
        "/api/host/heatmap",
        DEVICES,
        || read().to(strips::strip),
        Doc::new(
            "The worst of every minute and device, a letter each; the last day unless told",
            Json(&shapes::STRIPS),
        )
        .others(ASKED)
        .query(&[
            param("from", START.shape, START.about),
            param("to", END.shape, END.about),
            DURATION,
            param("step", Shape::Between(60, 86_400), "seconds of a column; without it, at most 1441 columns"),
        ]),
    ),
    kept(
        Keep::OfAll,
        "/api/host/heatmap/{minute}.json",
        DEVICES,
        || read().to(heatmap::minute),
        Doc::new("How all devices did in that minute", Json(&shapes::HEATMAP)).others(ASKED).query(&[DATE]),
    ),
    // Before the one of all, whose pattern they match.
    mosaic("/api/host/heatmap/{minute}_ok.jpg", || mosaics::route(Some(Status::Ok)), "Stills of those that were well"),
    mosaic("/api/host/heatmap/{minute}_ko.jpg", || mosaics::route(Some(Status::Ko)), "Stills of those with an incident"),
    mosaic("/api/host/heatmap/{minute}.jpg", || mosaics::route(None), "Stills of all devices in that minute"),
    entry(
        "/api/host/metadata/{device}",
        DEVICE,
        || read().to(metadata::search),
        Doc::new("What was seen and heard, frame by frame; the last hour unless told", Json(&shapes::FRAMES))
            .others(&[500, 503])
            .query(&[
                param("from", START.shape, START.about),
                param("to", END.shape, END.about),
                DURATION,
                STEP,
                param("black", YES_OR_NO, "only black frames, or only others"),
                param("freeze", YES_OR_NO, "only frozen frames, or only others"),
                param("silence", YES_OR_NO, "only silent frames, or only others"),
                param("limit", Shape::Between(1, 10_000), "frames at most; `next` tells where to go on"),
            ]),
    ),
    routes_of_keeping::TRANSCODING,
    routes_of_keeping::ENABLE,
    routes_of_keeping::DISABLE,
    routes_of_keeping::RUN,
    routes_of_keeping::ROLL_BACK,
    viewers::START,
    viewers::HEARTBEAT,
    viewers::STOP,
    viewers::ACTIVE,
    viewers::STATS,
    viewers::HISTORY,
    cache::STATS,
    cache::INVALIDATE,
    cache::CLEAR,
    entry(
        "/host/stream/{device}/segments/output.m3u8",
        LIVE,
        || read().to(live::playlist),
        Doc::new("The live playlist; 503 before the first segment", Bytes(&[HLS]))
            .others(&[503])
            .query(&[viewers::OF_SESSION]),
    ),
    entry(
        "/host/stream/{device}/segments/segment_{key}.ts",
        LIVE,
        || read().to(live::segment),
        Doc::new("A live segment, from RAM", Bytes(&["video/mp2t"])).others(&[410, 500]),
    ),
    entry(
        "/host/stream/{device}/segments/archive_manifest.json",
        DEVICE,
        || read().to(manifest::archive),
        Doc::new("The finished chunks of the ring", Json(&shapes::MANIFEST)),
    ),
    entry(
        "/host/stream/{device}/segments/{hour}/archive.m3u8",
        DEVICE,
        || read().to(playlists::hour),
        Doc::new("HLS of the hour", Bytes(&[HLS])).others(LISTED).query(&[DATE, MULTIVARIANT]),
    ),
    entry(
        "/host/stream/{device}/segments/{hour}/archive_hour_{again}.mp4",
        DEVICE,
        || read().to(clips::hour),
        Doc::new("The clip of the hour", Bytes(&["video/mp4"])).others(WHOLE).query(&[DATE]),
    ),
    entry(
        "/host/stream/{device}/audio/{hour}/audio_10s_{piece}.m4a",
        DEVICE,
        || read().to(clips::sound),
        Doc::new("The sound of 10 s of the hour", Bytes(&["audio/mp4"])).others(MADE).query(&[DATE]),
    ),
    entry(
        "/host/stream/{device}/segments/{hour}/chunk_10min_{index}.mp4",
        DEVICE,
        || read().to(chunks::ring),
        Doc::new("The finished chunk in that place of the ring", Bytes(&["video/mp4", "audio/mp4"]))
            .others(ARCHIVE)
            .query(&[DATE]),
    ),
    entry(
        "/host/stream/{device}/segments/{hour}/metadata.json",
        DEVICE,
        || read().to(metadata::hour),
        Doc::new("All that is known of the hour, or of a part of it", Json(&shapes::HOUR_DOCUMENT))
            .others(&[500, 503])
            .query(&[
                DATE,
                param("from", START.shape, START.about),
                param("to", END.shape, "likewise; to the end of the hour without it"),
                STEP,
            ]),
    ),
    entry(
        "/host/stream/{device}/thumbnails/{hour}/thumbnails.vtt",
        DEVICE,
        || read().to(thumbnails::track),
        Doc::new("WebVTT for scrubbing through the hour: a still for each cue", Bytes(&["text/vtt; charset=utf-8"]))
            .others(&[500, 503])
            .query(&[DATE]),
    ),
    entry(
        "/host/stream/{device}/thumbnails/{hour}/{still}.jpg",
        DEVICE.linked(Link::Still),
        || read().to(thumbnails::still),
        Doc::new("A preview still", Bytes(&["image/jpeg"])).others(LISTED),
    ),
    entry(
        "/host/stream/{device}/captures/latest.jpg",
        LIVE,
        || read().to(latest::picture),
        Doc::new("The newest picture; 503 when it is no live one", Bytes(&["image/jpeg"])).others(LISTED),
    ),
    entry(
        "/host/stream/{device}/captures/latest.json",
        DEVICE,
        || read().to(latest::verdict),
        Doc::new("What the newest picture shows and what is heard; null is unknown", Json(&shapes::VERDICT))
            .others(&[503]),
    ),
    entry(
        "/host/stream/{device}/chunks/{key}.mp4",
        DEVICE.linked(Link::Bytes),
        || read().to(chunks::stable),
        Doc::new("A chunk by the address it has for life", Bytes(&["video/mp4", "audio/mp4"])).others(ARCHIVE),
    ),
];
