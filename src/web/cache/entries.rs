//! The routes of kept replies, for the one table, with what they take and reply.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::{
    error::Result,
    web::{
        State, fresh,
        incidents::{fields, invalid, text, unknown},
        need::ADMIN,
        openapi::{Doc, Reply::Json},
        route::{Entry, action, entry, read},
        shape::Shape::{self, *},
    },
};

const PATTERN_CHARS_MAX: usize = 256;

const GONE: Shape = Fields(&[("success", Flag), ("data", Fields(&[("removed", Count)]))]);

pub const STATS: Entry = entry(
    "/api/cache/stats",
    ADMIN,
    || read().to(stats),
    Doc::new(
        "How often a reply was given again",
        Json(&Fields(&[
            ("success", Flag),
            (
                "data",
                Fields(&[
                    ("hits", Count),
                    ("misses", Count),
                    ("sets", Count),
                    ("evictions", Count),
                    ("size", Count),
                    ("maxSize", Count),
                    ("hitRate", Text),
                ]),
            ),
        ])),
    ),
);

pub const INVALIDATE: Entry = action(
    "/api/cache/invalidate",
    ADMIN,
    || web::post().to(invalidate),
    Doc::new("Forgets replies whose address holds this; `*` stands for anything", Json(&GONE))
        .takes(&Fields(&[("pattern", Text)]))
        .others(&[403]),
);

pub const CLEAR: Entry = action(
    "/api/cache/clear",
    ADMIN,
    || web::post().to(clear),
    Doc::new("Forgets all kept replies", Json(&GONE)).others(&[403]),
);

async fn stats(state: State) -> HttpResponse {
    fresh(HttpResponse::Ok(), json!({"success": true, "data": state.replies.stats().await}))
}

async fn invalidate(state: State, body: web::Json<Value>) -> Result<HttpResponse> {
    let fields = fields(&body)?;
    if let Some(other) = fields.keys().find(|name| *name != "pattern") {
        return Err(unknown(other));
    }
    let told = fields.get("pattern").ok_or_else(|| invalid("pattern", "must be told"))?;
    let pattern = text("pattern", told, PATTERN_CHARS_MAX)?;
    if pattern.is_empty() {
        return Err(invalid("pattern", "must not be empty; `*` is all"));
    }
    let removed = state.replies.invalidate(&pattern).await;
    Ok(fresh(HttpResponse::Ok(), json!({"success": true, "data": {"removed": removed}})))
}

async fn clear(state: State) -> HttpResponse {
    let removed = state.replies.clear().await;
    fresh(HttpResponse::Ok(), json!({"success": true, "data": {"removed": removed}}))
}
