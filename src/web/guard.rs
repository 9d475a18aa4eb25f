//! Before each handler: who asks, and whether the route table lets them. What the handler gets is a [`Caller`].

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderValue},
    },
    web,
};

use super::{
    WebDevice, WebState,
    client::Client,
    need::{Link, Named, Need, Of, Refusal},
    route::Entry,
    time::{Asked, moment},
};
use crate::{
    access::{Caller, Share, same},
    clock::Utc90k,
    config::MetricsFor,
    error::{Error, Kind, Result},
    ids::DeviceId,
};

pub const COOKIE: &str = "capstan_session";
pub const CSRF_HEADER: &str = "x-csrf-token";
/// The parameter of a signed link.
const SHARE: &str = "share";
/// All that a link may ask besides: what is made of a range within the range.
const WITH_SHARE: [&str; 9] = [SHARE, "start", "end", "duration", "gap", "tracks", "at", "exact", "width"];

/// What the query says, in order.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &HttpRequest) -> Self {
        // What cannot be read says nothing; the handler refuses it.
        Self(web::Query::from_query(request.query_string()).map(web::Query::into_inner).unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Who asks, put into the request for its handler; None for a method that the route itself refuses, which tells nothing.
pub fn admit(state: &WebState, entry: &Entry, request: &ServiceRequest) -> Result<Option<Caller>> {
    let Some(need) = entry.need(request.method()) else { return Ok(None) };
    let caller = enter(state, request.request(), &need)?;
    request.extensions_mut().insert(caller.clone());
    Ok(Some(caller))
}

fn enter(state: &WebState, request: &HttpRequest, need: &Need) -> Result<Caller> {
    let caller = match identify(state, request) {
        Ok(caller) => caller,
        // What is open needs nobody, and must answer also when users are not known.
        Err(_) if need.is_open() => return Ok(Caller::nobody()),
        Err(error) => return Err(error),
    };
    let query = Query::of(request);
    let id = match need.devices() {
        Of::Path => request.match_info().get("device"),
        Of::Listed => query.get("device"),
        Of::Host | Of::Found => None,
    };
    let found = id.and_then(|id| state.devices.load().iter().find(|device| device.id.as_str() == id).cloned());
    let named = id.map(|id| {
        let area = found.as_ref().map_or("", |device| device.camera.area.as_str());
        Named { id, area, is_public: state.access.is_public(area) }
    });
    let near = state.settings.auth.metrics == MetricsFor::Loopback
        && Client::of(request.head(), &state.settings.server).is_near();
    match need.decide(&caller, named, |name| query.has(name), near) {
        Ok(()) if need.is_open() => Ok(caller),
        Ok(()) => check_csrf(request, &caller).map(|()| caller),
        Err(refusal) => match link(state, request, need, &query)? {
            Some(by_link) => Ok(by_link),
            None => Err(refused(refusal, need)),
        },
    }
}

/// By token, then cookie. A token that is wrong is told: its program would take an empty list for the truth.
fn identify(state: &WebState, request: &HttpRequest) -> Result<Caller> {
    let access = &state.access;
    if !access.is_on() {
        return Ok(Caller::everybody());
    }
    access.known()?;
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
        let said = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, said)| said.trim());
        let known = said.and_then(|said| access.token(said));
        return known.ok_or_else(|| Error::new(Kind::Unauthorized, "the token is unknown or has expired"));
    }
    // Another application of the same host name may have set one of that name, too.
    let known = cookies(request).find_map(|said| access.session(said));
    Ok(known.unwrap_or_else(|| access.nobody()))
}

pub(super) fn cookies(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value).take(4)
}

/// A browser sends cookies along for whoever asks it to; the header only pages of ours can send.
fn check_csrf(request: &HttpRequest, caller: &Caller) -> Result<()> {
    let Some(expected) = caller.csrf().filter(|_| changes(request.method())) else { return Ok(()) };
    let said = request.headers().get(CSRF_HEADER).map_or(&b""[..], HeaderValue::as_bytes);
    if same(said, expected.as_bytes()) {
        return Ok(());
    }
    Err(Error::new(Kind::Forbidden, "X-CSRF-Token is missing or is not that of the session"))
}

pub(super) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn refused(refusal: Refusal, need: &Need) -> Error {
    match (refusal, need.role_name()) {
        (Refusal::SignIn, _) => Error::new(Kind::Unauthorized, "sign in first, or bring a token"),
        (Refusal::Forbidden, Some("viewer" | "metrics") | None) => Error::new(Kind::Forbidden, "not for you to see"),
        (Refusal::Forbidden, Some(role)) => {
            Error::new(Kind::Forbidden, format!("needs the rights of an {role}, and to this device"))
        }
    }
}

/// None when there is no link; an error when it does not open what is asked.
fn link(state: &WebState, request: &HttpRequest, need: &Need, query: &Query) -> Result<Option<Caller>> {
    let Some(said) = query.get(SHARE).filter(|_| need.link() != Link::Nothing) else { return Ok(None) };
    let caller = state.access.link(said);
    let caller = caller.ok_or_else(|| Error::new(Kind::Unauthorized, "the link is not ours, or has expired"))?;
    let inside = caller.share().is_some_and(|share| opens(share, state.clock.wall(), request, need.link(), query));
    if inside { Ok(Some(caller)) } else { Err(Error::new(Kind::Forbidden, "the link is for another range")) }
}

fn opens(share: &Share, now: Utc90k, request: &HttpRequest, link: Link, query: &Query) -> bool {
    // Twice the same could be read one way here and another way there.
    let mut names: Vec<_> = query.0.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let is_plain =
        names.iter().all(|name| WITH_SHARE.contains(name)) && names.windows(2).all(|two| two[..1] != two[1..]);
    let is_its = request.match_info().get("device") == Some(share.device.as_str());
    let at = |at: Utc90k| share.covers(at, at);
    is_plain
        && is_its
        && match link {
            Link::Nothing => false,
            Link::Bytes => true,
            Link::Span => {
                let start = ("start", query.get("start"));
                let asked = Asked { start, end: ("end", query.get("end")), duration: query.get("duration") };
                matches!(asked.ends(now), Ok((Some(start), Some(end))) if share.covers(start, end))
            }
            Link::Moment => query.get("at").and_then(|text| moment("at", text, now).ok()).is_some_and(at),
            Link::Still => {
                let ms = request.match_info().get("still").and_then(|text| text.parse().ok());
                ms.map(Utc90k::from_ms).is_some_and(at)
            }
        }
}

/// Whoever came by a link goes on by it.
pub fn keep_link<B>(caller: &Caller, response: &mut ServiceResponse<B>) {
    let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
    if let Some(Ok(to)) = to.map(|to| HeaderValue::try_from(caller.follow(to))) {
        response.headers_mut().insert(header::LOCATION, to);
    }
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(|| Error::new(Kind::Internal, "nobody asked who asks")))
    }
}

impl WebState {
    /// Those that the caller may see, in the order of the configuration.
    pub(super) fn seen(&self, caller: &Caller) -> Vec<std::sync::Arc<WebDevice>> {
        self.devices.load().iter().filter(|device| device.is_seen(caller)).cloned().collect()
    }

    /// For questions to the database: None is all.
    pub(super) fn only(&self, caller: &Caller) -> Option<Vec<DeviceId>> {
        caller.only(self.devices.load().iter().map(|device| (&device.id, device.camera.area.as_str())))
    }

    /// Also of a device that is no longer configured.
    pub(super) fn sees(&self, caller: &Caller, id: &DeviceId) -> bool {
        let devices = self.devices.load();
        let area = devices.iter().find(|device| device.id == *id).map_or("", |device| device.camera.area.as_str());
        caller.sees(id.as_str(), area)
    }
}

impl WebDevice {
    fn is_seen(&self, caller: &Caller) -> bool {
        caller.sees(self.id.as_str(), &self.camera.area)
    }
}
