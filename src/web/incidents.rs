//! Incidents as people meet them: the list, the table, what is said of them, and the pictures that prove them.

use std::{os::unix::fs::MetadataExt as _, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    State, WebDevice, WebState, fresh,
    slices::{Content, Slice, respond},
    time::{Span, moment},
};
use crate::{
    access::Caller,
    clock::Utc90k,
    error::{Error, Kind, Result},
    ids::DeviceId,
    incident::{Incident, IncidentKind, Told, told},
    registry::{Edit, Filter, Page, incidents::ID_MAX},
    storage::layout::{EvidenceKey, Shot},
};

const PAGE_DEFAULT: usize = 100;
/// Also the rows of a table that are read at once.
const PAGE_MAX: usize = 1000;
const COMMENT_CHARS_MAX: usize = 2000;
const IDS_MAX: usize = 500;

#[derive(Debug, Default, Deserialize)]
pub struct Query {
    device: Option<String>,
    kind: Option<String>,
    open: Option<String>,
    from: Option<String>,
    to: Option<String>,
    acknowledged: Option<String>,
    discarded: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

#[derive(Serialize)]
struct List {
    incidents: Vec<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `GET /api/host/incidents`
pub async fn list(state: State, caller: Caller, query: web::Query<Query>) -> Result<HttpResponse> {
    let now = state.clock.wall();
    let filter = Filter { only: state.only(&caller), ..query.filter(now)? };
    let page = state.registry.incidents(filter).await?;
    let next = page.next.as_ref().map(ToString::to_string);
    Ok(fresh(HttpResponse::Ok(), List { incidents: all_told(&page, now), next }))
}

/// `GET /api/host/incidents.csv`: read while it is sent, a page at a time.
pub async fn table(
    request: HttpRequest,
    state: State,
    caller: Caller,
    query: web::Query<Query>,
) -> Result<HttpResponse> {
    let now = state.clock.wall();
    let is_limited = query.limit.is_some();
    let mut filter = Filter { only: state.only(&caller), ..query.filter(now)? };
    filter.limit = if is_limited { filter.limit } else { PAGE_MAX };
    // The first before the reply begins, so that what is wrong can still be told by its status.
    let first = state.registry.incidents(filter.clone()).await?;
    let mut reply = HttpResponse::Ok();
    reply
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"incidents.csv\""))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    if request.method() == actix_web::http::Method::HEAD {
        return Ok(reply.finish());
    }
    let pages = stream::unfold(Some((String::from(HEADINGS), first)), move |step| {
        let (state, mut filter) = (state.clone(), filter.clone());
        async move {
            let (mut text, page) = step?;
            all_told(&page, now).iter().for_each(|incident| put_row(&mut text, incident));
            filter.after = page.next.filter(|_| !is_limited);
            let next = match filter.after.is_some() {
                // An error ends the connection before the end of the body: no reader takes it for the whole.
                true => match state.registry.incidents(filter).await {
                    Ok(page) => Some((String::new(), page)),
                    Err(error) => return Some((Err(error), None)),
                },
                false => None,
            };
            Some((Ok::<_, Error>(Bytes::from(text)), next))
        }
    });
    Ok(reply.streaming(pages))
}

/// `GET /api/host/incidents/{id}`
pub async fn one(state: State, caller: Caller, id: web::Path<String>) -> Result<HttpResponse> {
    let id = known(id.into_inner())?;
    let found = state.registry.incident(id).await?.filter(|it| state.sees(&caller, &it.device)).ok_or_else(missing)?;
    Ok(fresh(HttpResponse::Ok(), told(&found, state.clock.wall())))
}

/// `PATCH /api/host/incidents/{id}` `{acknowledged?, discarded?, comment?}`
pub async fn edit(state: State, caller: Caller, id: web::Path<String>, body: web::Json<Value>) -> Result<HttpResponse> {
    let id = known(id.into_inner())?;
    let edit = edit_of(fields(&body)?, &[])?;
    let only = state.only(&caller);
    let changed = state.registry.edit_within(vec![id], edit, caller.name(), only).await?.pop().ok_or_else(missing)?;
    Ok(fresh(HttpResponse::Ok(), told(&changed, state.clock.wall())))
}

#[derive(Serialize)]
struct Edited {
    incidents: Vec<Told>,
    missing: Vec<String>,
}

/// `PATCH /api/host/incidents` `{ids, acknowledged?, discarded?, comment?}`: all that are there, in one transaction.
pub async fn edit_many(state: State, caller: Caller, body: web::Json<Value>) -> Result<HttpResponse> {
    let body = fields(&body)?;
    let edit = edit_of(body, &["ids"])?;
    let refuse = |why: &str| Error::new(Kind::Invalid, why).at("ids");
    let asked = body.get("ids").and_then(Value::as_array).ok_or_else(|| refuse("must be a list of ids"))?;
    if !(1..=IDS_MAX).contains(&asked.len()) {
        return Err(refuse("must be 1 to 500 ids"));
    }
    let id = |value: &Value| value.as_str().filter(|id| is_id(id)).map(str::to_owned);
    let mut ids: Vec<_> =
        asked.iter().map(id).collect::<Option<_>>().ok_or_else(|| refuse("must be ids of incidents"))?;
    ids.sort();
    ids.dedup();
    let incidents = state.registry.edit_within(ids.clone(), edit, caller.name(), state.only(&caller)).await?;
    ids.retain(|id| incidents.iter().all(|incident| incident.id != *id));
    let now = state.clock.wall();
    let incidents = incidents.iter().map(|incident| told(incident, now)).collect();
    Ok(fresh(HttpResponse::Ok(), Edited { incidents, missing: ids }))
}

/// `GET /host/stream/{device}/evidence/{date}/{name}.jpg`
pub async fn evidence(
    request: HttpRequest,
    state: State,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (device, date, name) = path.into_inner();
    let missing = || Error::new(Kind::NotFound, "there is no such picture");
    // Also of a camera that is no longer configured: its incidents are still listed.
    let device: DeviceId = device.parse().map_err(|_| missing())?;
    let key = EvidenceKey::parse(&date, &format!("{name}.jpg")).ok_or_else(missing)?;
    // An incident that comes back gets another worst and last picture under the same name.
    let cache_control = match key.shot() {
        Shot::First => "private, max-age=31536000, immutable",
        Shot::Worst | Shot::Last => "private, no-cache",
    };
    let volume = Arc::clone(&state.volume);
    let read = move || -> Result<_> {
        let path = volume.layout().evidence(&device, &key);
        let file = volume.open_read(&path)?;
        // Of the file that is open: the name may get another one at any moment.
        let meta = file.metadata().map_err(|error| Error::io("reading", &path, error))?;
        Ok((file, meta.len(), format!("\"{:x}-{:x}-{:x}\"", meta.ino(), meta.mtime(), meta.mtime_nsec())))
    };
    let opened = state.readers.run(read).await.map_err(|busy| Error::new(Kind::Unavailable, busy.to_string()))?;
    let (file, bytes, etag) = opened.map_err(|error| if error.kind == Kind::NotFound { missing() } else { error })?;
    let content = Content::picture(Slice::File(Arc::new(file), 0..bytes), etag, cache_control);
    Ok(respond(&request, &state.readers, content))
}

fn all_told(page: &Page, now: Utc90k) -> Vec<Told> {
    page.incidents.iter().map(|incident| told(incident, now)).collect()
}

impl Query {
    fn filter(&self, now: Utc90k) -> Result<Filter> {
        let time = |name, text: &Option<String>| text.as_deref().map(|text| moment(name, text, now)).transpose();
        let (from, to) = (time("from", &self.from)?, time("to", &self.to)?);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(invalid("to", "must be after from"));
        }
        let kind = |text: &str| {
            IncidentKind::parse(text)
                .ok_or_else(|| invalid("kind", "must be blackscreen, freeze, silence or signal_lost"))
        };
        Ok(Filter {
            only: None,
            device: parsed("device", &self.device, "must be the id of a camera")?,
            kind: self.kind.as_deref().map(kind).transpose()?,
            open: flag("open", &self.open)?,
            from,
            to,
            acknowledged: flag("acknowledged", &self.acknowledged)?,
            discarded: flag("discarded", &self.discarded)?,
            after: parsed("after", &self.after, "must be `next` of an earlier page")?,
            limit: limit(self.limit.as_deref())?,
        })
    }
}

fn parsed<T: std::str::FromStr>(name: &str, text: &Option<String>, rule: &str) -> Result<Option<T>> {
    text.as_deref().map(|text| text.parse().map_err(|_| invalid(name, rule))).transpose()
}

fn flag(name: &str, text: &Option<String>) -> Result<Option<bool>> {
    match text.as_deref() {
        None => Ok(None),
        Some("1" | "true") => Ok(Some(true)),
        Some("0" | "false") => Ok(Some(false)),
        Some(_) => Err(invalid(name, "must be 1, 0, true or false")),
    }
}

fn limit(text: Option<&str>) -> Result<usize> {
    let Some(text) = text else { return Ok(PAGE_DEFAULT) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=PAGE_MAX).contains(number));
    number.ok_or_else(|| invalid("limit", "must be 1 to 1000"))
}

fn missing() -> Error {
    Error::new(Kind::NotFound, "there is no such incident")
}

fn known(id: String) -> Result<String> {
    if is_id(&id) { Ok(id) } else { Err(missing()) }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_MAX
}

pub(super) fn fields(body: &Value) -> Result<&Map<String, Value>> {
    body.as_object().ok_or_else(|| Error::new(Kind::Invalid, "the body must be a JSON object"))
}

/// Refuses what it does not know: a typo must not silently change nothing.
fn edit_of(body: &Map<String, Value>, besides: &[&str]) -> Result<Edit> {
    let mut edit = Edit::default();
    for (name, value) in body {
        let flag = || value.as_bool().ok_or_else(|| invalid(name, "must be true or false"));
        match name.as_str() {
            "acknowledged" => edit.acknowledged = Some(flag()?),
            "discarded" => edit.discarded = Some(flag()?),
            "comment" => edit.comment = Some(text(name, value, COMMENT_CHARS_MAX)?),
            other if besides.contains(&other) => {}
            other => return Err(unknown(other)),
        }
    }
    if edit == Edit::default() {
        return Err(Error::new(Kind::Invalid, "says nothing: acknowledged, discarded or comment"));
    }
    Ok(edit)
}

pub(super) fn unknown(name: &str) -> Error {
    invalid(&name.chars().take(64).collect::<String>(), "is not known here")
}

/// Of at most so many characters, none of which would be invisible or do something.
pub(super) fn text(name: &str, value: &Value, chars_max: usize) -> Result<String> {
    let text = value.as_str().ok_or_else(|| invalid(name, "must be a text"))?;
    if text.chars().count() > chars_max {
        return Err(invalid(name, &format!("must be at most {chars_max} characters")));
    }
    if text.chars().any(|it| it.is_control() && it != '\n' && it != '\t') {
        return Err(invalid(name, "must not hold control characters"));
    }
    Ok(text.to_owned())
}

pub(super) fn invalid(name: &str, message: &str) -> Error {
    Error::new(Kind::Invalid, message).at(name)
}

const HEADINGS: &str = "id,host,device,kind,start,end,duration_seconds,severity,state,acknowledged,discarded,comment,\
                        evidence\r\n";

fn put_row(out: &mut String, it: &Told) {
    let (duration, acknowledged, discarded) =
        (it.duration_seconds.to_string(), it.acknowledged.to_string(), it.discarded.to_string());
    let cells: [&str; 13] = [
        &it.id,
        &it.host,
        it.device.as_str(),
        it.kind.name(),
        &it.start,
        it.end.as_deref().unwrap_or_default(),
        &duration,
        it.severity.name(),
        it.state,
        &acknowledged,
        &discarded,
        &it.comment,
        &it.evidence.join(" "),
    ];
    for (place, cell) in cells.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        put_cell(out, cell);
    }
    out.push_str("\r\n");
}

/// RFC 4180. Spreadsheets run a cell that begins like a formula, quoted or not: an apostrophe makes it text.
fn put_cell(out: &mut String, cell: &str) {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if !is_formula && !cell.contains([',', '"', '\r', '\n', ';']) {
        return out.push_str(cell);
    }
    out.push('"');
    if is_formula {
        out.push('\'');
    }
    out.push_str(&cell.replace('"', "\"\""));
    out.push('"');
}

/// Of one span at most; those that began last.
const OF_SPAN_MAX: usize = 1000;

/// Oldest first, and whether that is all: footage is told without them when the database does not answer.
pub(super) async fn of_span(state: &WebState, device: &WebDevice, span: Span) -> (Vec<Incident>, bool) {
    let (from, to) = (Some(span.from), Some(span.to));
    let filter = Filter { device: Some(device.id.clone()), from, to, limit: OF_SPAN_MAX, ..Filter::default() };
    match state.registry.incidents(filter).await {
        Ok(mut page) => {
            page.incidents.reverse();
            (page.incidents, page.next.is_none())
        }
        Err(_) => (Vec::new(), false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_text_and_nothing_else() {
        let check = |cell: &str, expected: &str| {
            let mut out = String::new();
            put_cell(&mut out, cell);
            assert_eq!(out, expected, "{cell}");
        };
        check("plain", "plain");
        check("", "");
        check("a,b", "\"a,b\"");
        check("say \"no\"", "\"say \"\"no\"\"\"");
        check("two\nlines", "\"two\nlines\"");
        check("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\"");
        check("+1", "\"'+1\"");
        check("-1", "\"'-1\"");
        check("@SUM(1)", "\"'@SUM(1)\"");
        check("\t=1", "\"'\t=1\"");
        check("a=1", "a=1");
    }

    #[test]
    fn edits_say_something_that_is_known() {
        let check = |body: Value, expected: std::result::Result<Edit, Option<&str>>| {
            let found = fields(&body).and_then(|body| edit_of(body, &[])).map_err(|error| error.path);
            assert_eq!(found, expected.map_err(|path| path.map(str::to_owned)), "{body}");
        };
        let edit = Edit { acknowledged: Some(true), discarded: None, comment: Some("x\ny".into()) };
        check(json!({"acknowledged": true, "comment": "x\ny"}), Ok(edit));
        check(json!({"discarded": false}), Ok(Edit { discarded: Some(false), ..Edit::default() }));
        check(json!({"comment": "é".repeat(2000)}), Ok(Edit { comment: Some("é".repeat(2000)), ..Edit::default() }));
        check(json!({"comment": "é".repeat(2001)}), Err(Some("comment")));
        check(json!({"comment": "a\u{1b}[2J"}), Err(Some("comment")));
        check(json!({"comment": null}), Err(Some("comment")));
        check(json!({"acknowledged": 1}), Err(Some("acknowledged")));
        check(json!({"acknowledged": true, "state": "closed"}), Err(Some("state")));
        check(json!({"ids": ["x"], "acknowledged": true}), Err(Some("ids")));
        check(json!({}), Err(None));
        check(json!([]), Err(None));
        check(json!("x"), Err(None));
    }
}
