//! The one route table. A route cannot be in it without its description, of which `/api/openapi.json` is made.

use actix_web::{Route, guard, middleware::Compress, web};

use super::{
    chunks, clips, encodes, error, host, live, manifest, manual,
    openapi::{self, Doc, Param, Reply::*},
    playlists, restart,
    shape::Shape,
    shapes, stills, timeline, ui,
};
use crate::error::{Error, Kind};

/// One address.
pub struct Entry {
    pub path: &'static str,
    handler: fn() -> Route,
    pub doc: Doc,
    /// POST alone; else GET and HEAD.
    pub posts: bool,
    /// Only what does not change is worth the CPU.
    compress: bool,
}

/// Answers GET and HEAD.
const fn entry(path: &'static str, handler: fn() -> Route, doc: Doc) -> Entry {
    Entry { path, handler, doc, posts: false, compress: false }
}

/// Answers POST.
const fn action(path: &'static str, handler: fn() -> Route, doc: Doc) -> Entry {
    Entry { posts: true, ..entry(path, handler, doc) }
}

const HLS: &str = "application/vnd.apple.mpegurl";
/// What may also come of looking into the archive: a chunk that went meanwhile, a disk that fails or is too busy.
const ARCHIVE: &[u16] = &[404, 410, 500, 503];
/// The same for what is made of footage up to an end, which is told in the address.
const MADE: &[u16] = &[307, 404, 410, 413, 500, 503];

/// And a result that grew beyond its budget.
const ENCODED: &[u16] = &[307, 404, 410, 413, 500, 503, 507];

const fn param(name: &'static str, shape: Shape, about: &'static str) -> Param {
    Param { name, shape, about, needed: false }
}

const DATE: Param = param("date", Shape::Date, "that UTC day, instead of the latest");
const START: Param = param("start", Shape::Moment, "RFC 3339 or seconds since 1970");
const END: Param = param("end", Shape::Moment, "likewise; up to now without it");
const DURATION: Param = param("duration", Shape::Amount, "seconds; more than 0, stands for one end of the span");

/// Every route there is. The path is also the label in `/metrics`.
pub const ROUTES: &[Entry] = &[
    Entry {
        compress: true,
        ..entry(
            "/",
            || read().to(ui::index),
            Doc::new("The page: devices live, their state and chunks", Text("text/html; charset=utf-8")).others(&[304]),
        )
    },
    Entry {
        compress: true,
        ..entry(
            "/assets/{name}",
            || read().to(ui::asset),
            Doc::new("Files of the page", Text("*/*")).others(&[304, 404]),
        )
    },
    entry("/healthz", || read().to(host::healthz), Doc::new("The process serves", Json(&shapes::ALIVE))),
    entry(
        "/readyz",
        || read().to(host::readyz),
        Doc::new("It records and is not about to stop", Json(&shapes::ALIVE)).others(&[503]),
    ),
    entry(
        "/metrics",
        || read().to(host::metrics),
        Doc::new("OpenMetrics", Text("application/openmetrics-text; version=1.0.0; charset=utf-8")),
    ),
    Entry {
        compress: true,
        ..entry(
            "/api/openapi.json",
            || read().to(openapi::document),
            Doc::new("Every route, as OpenAPI 3.1", Json(&shapes::OPEN)),
        )
    },
    Entry {
        compress: true,
        ..entry(
            "/api/docs",
            || read().to(manual::page),
            Doc::new("The same for people", Text("text/html; charset=utf-8")),
        )
    },
    entry(
        "/api/host/state",
        || read().to(host::state),
        Doc::new("Actors, devices, load, cleaner, archive", Json(&shapes::STATE)),
    ),
    entry(
        "/api/host/health",
        || read().to(host::health),
        Doc::new("One line per check; 503 when any fails", Json(&shapes::HEALTH)).also(503),
    ),
    entry(
        "/api/host/screenshot/{device}",
        || read().to(stills::screenshot),
        Doc::new("The newest picture, or that of any past moment", Bytes(&["image/jpeg"])).others(ARCHIVE).query(&[
            param("at", Shape::Moment, "that moment: its key frame, the one before it at the latest"),
            param("exact", Shape::Word(&["0", "1", "false", "true"]), "`1`: the very picture of that moment"),
            param("width", Shape::Between(16, 8192), "pixels"),
        ]),
    ),
    action(
        "/api/host/restart-video/{device}",
        || web::post().to(restart::create),
        Doc::new("The last seconds, as an address that stays good", Json(&shapes::RESTART))
            .takes(&shapes::RESTART_ASKED),
    ),
    entry(
        "/api/host/segments/{device}/{hour}",
        || read().to(playlists::segments),
        Doc::new("Where the hour plays; 404 when it is empty", Json(&shapes::HOUR)).query(&[DATE]),
    ),
    entry(
        "/api/host/clip/{device}.mp4",
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
        ]),
    ),
    entry(
        "/api/host/clip-jobs/{id}.mp4",
        || read().to(encodes::result),
        Doc::new("What a clip encoded anew came to", Bytes(&["video/mp4"])).others(&[404, 410, 500, 503, 507]),
    ),
    entry(
        "/api/host/clip-jobs/{id}",
        || read().to(encodes::job),
        Doc::new("How far the encoding of a clip is", Json(&shapes::JOB)).also(202).others(&[404, 410, 500, 503, 507]),
    ),
    entry(
        "/api/host/playlist/{device}.m3u8",
        || read().to(playlists::span),
        Doc::new("HLS of any span; without `start` the last hour, without `end` it grows", Bytes(&[HLS]))
            .others(ARCHIVE)
            .query(&[START, END, DURATION]),
    ),
    entry(
        "/api/host/timeline/{device}",
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
    entry(
        "/host/stream/{device}/segments/output.m3u8",
        || read().to(live::playlist),
        Doc::new("The live playlist; 503 before the first segment", Bytes(&[HLS])).others(&[503]),
    ),
    entry(
        "/host/stream/{device}/segments/segment_{key}.ts",
        || read().to(live::segment),
        Doc::new("A live segment, from RAM", Bytes(&["video/mp2t"])).others(&[410, 500]),
    ),
    entry(
        "/host/stream/{device}/segments/archive_manifest.json",
        || read().to(manifest::archive),
        Doc::new("The finished chunks of the ring", Json(&shapes::MANIFEST)),
    ),
    entry(
        "/host/stream/{device}/segments/{hour}/archive.m3u8",
        || read().to(playlists::hour),
        Doc::new("HLS of the hour", Bytes(&[HLS])).others(ARCHIVE).query(&[DATE]),
    ),
    entry(
        "/host/stream/{device}/segments/{hour}/archive_hour_{again}.mp4",
        || read().to(clips::hour),
        Doc::new("The clip of the hour", Bytes(&["video/mp4"])).others(MADE).query(&[DATE]),
    ),
    entry(
        "/host/stream/{device}/audio/{hour}/audio_10s_{piece}.m4a",
        || read().to(clips::sound),
        Doc::new("The sound of 10 s of the hour", Bytes(&["audio/mp4"])).others(MADE).query(&[DATE]),
    ),
    entry(
        "/host/stream/{device}/segments/{hour}/chunk_10min_{index}.mp4",
        || read().to(chunks::ring),
        Doc::new("The finished chunk in that place of the ring", Bytes(&["video/mp4", "audio/mp4"]))
            .others(ARCHIVE)
            .query(&[DATE]),
    ),
    entry(
        "/host/stream/{device}/chunks/{key}.mp4",
        || read().to(chunks::stable),
        Doc::new("A chunk by the address it has for life", Bytes(&["video/mp4", "audio/mp4"])).others(ARCHIVE),
    ),
];

fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

pub fn routes(config: &mut web::ServiceConfig) {
    for entry in ROUTES {
        let refuse = if entry.posts { web::to(error::only_posts) } else { web::to(error::only_reads) };
        let resource = web::resource(entry.path).route((entry.handler)()).route(refuse);
        if entry.compress {
            config.service(resource.wrap(Compress::default()));
        } else {
            config.service(resource);
        }
    }
    config.app_data(
        web::QueryConfig::default()
            .error_handler(|error, _| Error::new(Kind::Invalid, format!("the query cannot be read: {error}")).into()),
    );
    config.default_service(web::to(error::no_such_route));
}
