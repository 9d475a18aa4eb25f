//! The OpenAPI document, made of the route table: every route brings its description, or it cannot be in the table.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    cache::Keep,
    guard::COOKIE,
    limiter::Class,
    need::{Link, Need},
    route::{Entry, Verb},
    routes::ROUTES,
    shape::Shape,
    shapes,
};

/// What a route says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    about: &'static str,
    reply: Reply,
    query: &'static [Param],
    /// JSON of the request.
    body: Option<&'static Shape>,
    /// Besides those that follow from the reply, the path and the query.
    others: &'static [u16],
    /// A status with the same body as 200.
    also: Option<u16>,
}

/// What comes with 200.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// 204 in its stead.
    Nothing,
    Json(&'static Shape),
    /// 201 in its stead: what was made.
    Made(&'static Shape),
    /// Made for each request, or with an ETag of its own.
    Text(&'static str),
    /// Of one of these types; `Range` and conditions as in [`super::slices`].
    Bytes(&'static [&'static str]),
}

/// One parameter of a query.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub name: &'static str,
    pub shape: Shape,
    pub about: &'static str,
    pub needed: bool,
}

impl Doc {
    pub const fn new(about: &'static str, reply: Reply) -> Self {
        Self { about, reply, query: &[], body: None, others: &[], also: None }
    }

    pub const fn query(self, query: &'static [Param]) -> Self {
        Self { query, ..self }
    }

    pub const fn takes(self, body: &'static Shape) -> Self {
        Self { body: Some(body), ..self }
    }

    pub const fn others(self, others: &'static [u16]) -> Self {
        Self { others, ..self }
    }

    pub const fn also(self, status: u16) -> Self {
        Self { also: Some(status), ..self }
    }

    fn content(&self) -> Value {
        match self.reply {
            Reply::Nothing => json!({}),
            Reply::Json(shape) | Reply::Made(shape) => json!({"application/json": {"schema": shape.schema()}}),
            Reply::Text(kind) => json!({kind: {}}),
            Reply::Bytes(kinds) => {
                kinds.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect::<Map<_, _>>().into()
            }
        }
    }

    /// All statuses but 200, in order.
    fn statuses(&self, path: &str, need: &Need, more: &[u16]) -> Vec<u16> {
        let mut all = [self.others, more].concat();
        if !need.is_open() {
            all.extend([401, 403]);
        }
        if matches!(self.reply, Reply::Bytes(_)) {
            all.extend([206, 304, 412, 416]);
        }
        if path.contains("{device}") {
            all.push(404);
        }
        if path.contains("{hour}") || !self.query.is_empty() || self.body.is_some() {
            all.push(400);
        }
        all.extend(self.also);
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The parts of paths by their surroundings: `{key}` of a segment is not that of a chunk.
const PATH_PARTS: &[(&str, Shape, &str)] = &[
    ("{device}", Shape::Like(r"^[A-Za-z0-9][A-Za-z0-9_-]*$"), "the id of a camera"),
    ("{hour}", Shape::Between(0, 23), "UTC; the latest hour of that number that has begun, or that of `date`"),
    ("{minute}", Shape::Like(r"^([01][0-9]|2[0-3])[0-5][0-9]$"), "UTC; the latest of that name, or that of `date`"),
    ("segment_{key}", Shape::Like(r"^[0-9]+_[0-9]{9,}$"), "run and number, as the playlist names it"),
    ("chunks/{key}", Shape::Like(r"^-?[0-9]+-[0-9]+$"), "start in milliseconds since 1970, and generation"),
    ("archive_hour_{again}", Shape::Between(0, 23), "the hour once more"),
    ("audio_10s_{piece}", Shape::Like(r"^[0-3][0-9]{2}$"), "`000` to `359`"),
    ("chunk_10min_{index}", Shape::Like(r"^[0-9]+(-[0-9]+)?$"), "place within the hour; `-2` and up for newcomers"),
    ("/{still}", Shape::Like(r"^[0-9]+$"), "milliseconds since 1970"),
    ("clip-jobs/{id}", Shape::Text, "as the clip's reply names it"),
    ("assets/{name}", Shape::Text, "as the page names it"),
    ("incidents/{id}", Shape::Text, "as the list names it"),
    ("pins/{id}", Shape::Like(r"^[0-9]+$"), "as the list names it"),
    ("cameras/{id}", Shape::Text, "as the list names it"),
    ("areas/{name}", Shape::Text, "as the list names it"),
    ("users/{user}", Shape::Like(r"^[A-Za-z0-9][A-Za-z0-9._@-]*$"), "the name of a user"),
    ("tokens/{token}", Shape::Like(r"^[0-9a-f]+$"), "`id` of a token"),
    ("evidence/{date}", Shape::Date, "the UTC day on which the incident began"),
    (
        "/{name}.jpg",
        Shape::Like(r"^[0-9]+-[a-z_]+-(first|worst|last)$"),
        "start in milliseconds since 1970, kind, moment",
    ),
];

/// `GET /api/openapi.json`
pub async fn document() -> HttpResponse {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| DOCUMENT.to_string().into());
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(TEXT.clone())
}

/// The document, made once: the table is a constant.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let paths: Map<_, _> = ROUTES.iter().map(|entry| (entry.path.to_owned(), path_item(entry))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Capstan",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            "description": "Every address of this daemon; what answers GET answers HEAD. Times in replies are RFC 3339 in UTC. An error's `path` names \
                            the parameter or field at fault. Another method than those listed answers 405, an address \
                            that is not listed 404, both with the same shape of error. `x-role` is who may call: \
                            whoever may not see all cameras is told of theirs alone.",
        },
        "servers": [{"url": "/"}],
        "tags": TAGS.iter().map(|(name, about)| json!({"name": name, "description": about})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {"schemas": {"Error": shapes::ERROR.schema()}, "parameters": conditions(), "securitySchemes": schemes()},
    })
});

const TAGS: [(&str, &str); 4] = [
    ("cameras", "What is configured, and changes of it while all else records"),
    ("host", "The host, its devices, and what was recorded in any span of time"),
    ("stream", "Files of a device, live and finished, by names that players use"),
    ("daemon", "The process, its metrics, its page and this description"),
];

fn tag(path: &str) -> &'static str {
    let [(cameras, _), (host, _), (stream, _), (daemon, _)] = TAGS;
    match path {
        _ if ["/api/cameras", "/api/areas", "/api/settings", "/api/audit"].iter().any(|it| path.starts_with(it)) => {
            cameras
        }
        _ if path.starts_with("/api/host/") => host,
        _ if path.starts_with("/host/stream/") => stream,
        _ => daemon,
    }
}

fn path_item(entry: &Entry) -> Value {
    let path = entry.path;
    let parts = PATH_PARTS.iter().filter(|(part, ..)| path.contains(part)).map(|(part, shape, about)| {
        let name = part.split_once('{').map_or(*part, |(_, rest)| rest.split('}').next().unwrap_or(rest));
        json!({"name": name, "in": "path", "required": true, "description": about, "schema": shape.schema()})
    });
    let mut item = json!({"parameters": parts.collect::<Vec<_>>()});
    for (verb, need, doc) in entry.operations() {
        let method = verb.name().to_lowercase();
        let mut more = match Class::of(path, verb) {
            Class::Footage => vec![],
            Class::State | Class::Write => vec![429],
            Class::Heavy => vec![429, 503],
        };
        more.extend((entry.keep != Keep::Never && verb == Verb::Get).then_some(304));
        let operation = |method: &str| operation(method, path, need, doc, &more);
        item[&method] = operation(&method);
        if verb == Verb::Get {
            item["head"] = operation("head");
        }
    }
    item
}

/// Any of these; none where the list is empty.
fn security(method: &str, need: &Need) -> Value {
    if need.is_open() {
        return json!([]);
    }
    let changes = !matches!(method, "get" | "head");
    let session = if changes { json!({"session": [], "csrf": []}) } else { json!({"session": []}) };
    let mut ways = vec![session, json!({"token": []})];
    if need.link() != Link::Nothing {
        ways.push(json!({"link": []}));
    }
    if need.is_live(|_| false) {
        // The public, where it may.
        ways.push(json!({}));
    }
    ways.into()
}

fn schemes() -> Value {
    json!({
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "set by POST /api/auth/login"},
        "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token",
                 "description": "`csrf_token` of the login's reply, besides the cookie, wherever something changes"},
        "token": {"type": "http", "scheme": "bearer", "description": "of POST /api/tokens or `capstan user token`"},
        "link": {"type": "apiKey", "in": "query", "name": "share",
                 "description": "of POST /api/host/share: one range of one camera"},
    })
}

fn operation_id(method: &str, path: &str) -> String {
    let words: Vec<_> = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!("{method}_{}", if words.is_empty() { "page".into() } else { words.join("_") })
}

fn operation(method: &str, path: &str, need: &Need, doc: &Doc, more: &[u16]) -> Value {
    let is_head = method == "head";
    let statuses = doc.statuses(path, need, more).into_iter();
    let mut replies: Map<_, _> = statuses.map(|status| (status.to_string(), reply(status, doc, is_head))).collect();
    let done = match doc.reply {
        Reply::Nothing => 204,
        Reply::Made(_) => 201,
        _ => 200,
    };
    replies.insert(done.to_string(), reply(done, doc, is_head));
    let mut operation = json!({
        "operationId": operation_id(method, path),
        "summary": doc.about,
        "tags": [tag(path)],
        "responses": replies,
        "security": security(method, need),
    });
    if let Some(role) = need.role_name() {
        operation["x-role"] = role.into();
    }
    if let Some(body) = doc.body {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": body.schema()}}});
    }
    let query = doc.query.iter().map(|param| {
        json!({"name": param.name, "in": "query", "required": param.needed, "description": param.about,
               "schema": param.shape.schema()})
    });
    let mut parameters: Vec<_> = query.collect();
    if matches!(doc.reply, Reply::Bytes(_)) && !is_head {
        let all = conditions();
        let names = all.as_object().into_iter().flatten().map(|(name, _)| name);
        parameters.extend(names.map(|name| json!({"$ref": format!("#/components/parameters/{name}")})));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation
}

fn reply(status: u16, doc: &Doc, is_head: bool) -> Value {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Other");
    let mut reply = json!({"description": reason});
    let content = match status {
        200 | 201 | 206 => doc.content(),
        status if doc.also == Some(status) => doc.content(),
        204 | 304 => return reply,
        307 => {
            let location = "the same with its end told";
            reply["headers"] = json!({"Location": {"description": location, "schema": Shape::Link.schema()}});
            return reply;
        }
        _ => json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}),
    };
    if !is_head {
        reply["content"] = content;
    }
    reply
}

/// Headers that every route of bytes understands.
fn conditions() -> Value {
    let header = |name: &str, about: &str| json!({"name": name, "in": "header", "required": false, "description": about, "schema": Shape::Text.schema()});
    json!({
        "Range": header("Range", "one range of bytes; several are answered with the whole"),
        "IfRange": header("If-Range", "the part only while this ETag holds, else the whole"),
        "IfMatch": header("If-Match", "412 when the ETag is another"),
        "IfNoneMatch": header("If-None-Match", "304 when the ETag is the same"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// `ui/openapi.json`, of which the page's types are made (`npm run api` in `ui/`).
    #[test]
    fn the_page_knows_this_document() {
        let text = format!("{}\n", serde_json::to_string_pretty(&*DOCUMENT).unwrap());
        if std::env::var_os("CAPSTAN_BLESS").is_some() {
            std::fs::write("ui/openapi.json", &text).unwrap();
        }
        let kept = std::fs::read_to_string("ui/openapi.json").unwrap_or_default();
        assert!(kept == text, "CAPSTAN_BLESS=1 writes it anew; then `npm run api` in ui/");
    }

    #[test]
    fn every_part_of_a_path_is_described_once_and_every_operation_has_its_own_name() {
        let mut names = HashSet::new();
        for entry in ROUTES {
            let item = &DOCUMENT["paths"][entry.path];
            let described: Vec<_> = item["parameters"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
            let parts = entry.path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
            let parts: HashSet<_> = parts.collect();
            assert_eq!(described.len(), parts.len(), "{}: {described:?}", entry.path);
            assert!(parts.iter().all(|part| described.contains(&&json!(part))), "{}: {described:?}", entry.path);
            for (verb, _, doc) in entry.operations() {
                let method = &item[verb.name().to_lowercase()];
                assert!(names.insert(method["operationId"].as_str().unwrap()), "{method}");
                let query = method["parameters"].as_array().into_iter().flatten().filter(|it| it["in"] == "query");
                let unique: HashSet<_> = query.map(|it| &it["name"]).collect();
                assert_eq!(unique.len(), doc.query.len(), "{}: {unique:?}", entry.path);
                assert!(parts.iter().all(|part| !unique.contains(&json!(part))), "{}", entry.path);
            }
            assert_eq!(item.get("head").is_some(), item.get("get").is_some(), "{}", entry.path);
        }
    }

    #[test]
    fn statuses_follow_from_what_a_route_is() {
        let check = |path: &str, method: &str, expected: &[&str]| {
            let replies = DOCUMENT["paths"][path][method]["responses"].as_object().unwrap();
            assert_eq!(replies.keys().collect::<Vec<_>>(), expected, "{path}");
        };
        check("/healthz", "get", &["200"]);
        check("/api/host/health", "head", &["200", "401", "403", "503"]);
        let live = ["200", "206", "304", "400", "401", "403", "404", "412", "416", "503"];
        check("/host/stream/{device}/segments/output.m3u8", "get", &live);
        let restart = ["200", "400", "401", "403", "404", "429", "503"];
        check("/api/host/restart-video/{device}", "post", &restart);
        let timeline = ["200", "304", "400", "401", "403", "404", "429", "503"];
        check("/api/host/timeline/{device}", "get", &timeline);
        check("/api/viewer/stats", "get", &["200", "400", "401", "403", "429"]);
    }
}
