//! What an entry of the route table is, and how the table is put in force.

use std::sync::Arc;

use actix_web::{
    Error as HttpError, HttpRequest, HttpResponse, Route,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    guard as of_actix,
    http::Method,
    middleware::{Compress, Next, from_fn},
    web,
};

use super::{
    State,
    cache::{self, Keep},
    error, guard,
    limiter::{self, Class},
    need::Need,
    openapi::Doc,
    routes::ROUTES,
    ui,
};
use crate::error::{Error, Kind};

/// One address.
pub struct Entry {
    pub path: &'static str,
    /// Who may call it.
    pub need: Need,
    pub(super) handler: fn() -> Route,
    pub doc: Doc,
    /// What it answers; GET stands for HEAD too.
    pub verb: Verb,
    /// Other methods of the same address.
    pub more: &'static [Also],
    /// Only what does not change is worth the CPU.
    pub(super) compress: bool,
    /// Whether replies are given again, and what they are made of.
    pub keep: Keep,
}

/// One more method of an address.
pub struct Also {
    pub verb: Verb,
    /// Who may call it.
    pub need: Need,
    pub(super) handler: fn() -> Route,
    pub doc: Doc,
}

/// What can be done to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Patch,
    Put,
    Delete,
}

impl Verb {
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl Entry {
    /// Every method with who may call it and what it does.
    pub fn operations(&self) -> impl Iterator<Item = (Verb, &Need, &Doc)> {
        let more = self.more.iter().map(|it| (it.verb, &it.need, &it.doc));
        std::iter::once((self.verb, &self.need, &self.doc)).chain(more)
    }

    /// None: it is not asked by this method.
    pub(super) fn need(&self, method: &Method) -> Option<Need> {
        let name = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.operations().find(|(verb, ..)| verb.name() == name).map(|(_, need, _)| *need)
    }

    /// `GET, HEAD, PATCH`
    fn allowed(&self) -> String {
        let names = self.operations().map(|(verb, ..)| if verb == Verb::Get { "GET, HEAD" } else { verb.name() });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Answers GET and HEAD.
pub(super) const fn entry(path: &'static str, need: Need, handler: fn() -> Route, doc: Doc) -> Entry {
    Entry { path, need, handler, doc, verb: Verb::Get, more: &[], compress: false, keep: Keep::Never }
}

/// Answers GET and HEAD, with replies that are given again until what they are made of changes.
pub(super) const fn kept(keep: Keep, path: &'static str, need: Need, handler: fn() -> Route, doc: Doc) -> Entry {
    Entry { keep, ..entry(path, need, handler, doc) }
}

/// Answers POST.
pub(super) const fn action(path: &'static str, need: Need, handler: fn() -> Route, doc: Doc) -> Entry {
    Entry { verb: Verb::Post, ..entry(path, need, handler, doc) }
}

/// GET and HEAD alike.
pub(super) fn read() -> Route {
    web::route().guard(of_actix::Any(of_actix::Get()).or(of_actix::Head()))
}

/// What no route names: one of the page's own addresses, or nothing.
async fn elsewhere(request: HttpRequest) -> HttpResponse {
    if ui::is_page(&request) { ui::index(request).await } else { error::no_such_route(request).await }
}

/// Puts the table in force; what it does not name, or not with that method, is refused.
pub fn routes(config: &mut web::ServiceConfig) {
    // Each address is tried in turn, and players ask for footage all the time. No address of footage is another's too.
    let (footage, others): (Vec<_>, Vec<_>) = ROUTES.iter().partition(|entry| entry.path.starts_with("/host/stream/"));
    for entry in footage.into_iter().chain(others) {
        let allowed: Arc<str> = entry.allowed().into();
        let refuse = web::to(move || std::future::ready(error::method_not_allowed(&allowed)));
        let handlers = std::iter::once(entry.handler).chain(entry.more.iter().map(|it| it.handler));
        let resource = handlers.fold(web::resource(entry.path), |resource, handler| resource.route(handler()));
        let resource = resource.route(refuse);
        let classes = (Class::of(entry.path, Verb::Get), Class::of(entry.path, Verb::Post));
        if entry.compress {
            let around = from_fn(move |request, next| enter(entry, classes, request, next));
            config.service(resource.wrap(Compress::default()).wrap(around));
        } else {
            config.service(resource.wrap(from_fn(move |request, next| enter(entry, classes, request, next))));
        }
    }
    config.app_data(
        web::QueryConfig::default()
            .error_handler(|error, _| Error::new(Kind::Invalid, format!("the query cannot be read: {error}")).into()),
    );
    config.default_service(web::to(elsewhere));
}

/// Around the handlers of one entry: what is asked too often is not looked at, and what is kept is given to those alone
/// who were let in.
async fn enter<B: MessageBody + 'static>(
    entry: &'static Entry,
    (reading, changing): (Class, Class),
    request: ServiceRequest,
    next: Next<B>,
) -> std::result::Result<ServiceResponse<EitherBody<B>>, HttpError> {
    let state = request.app_data::<State>().cloned();
    let state = state.ok_or_else(|| Error::new(Kind::Internal, "a route has no state"))?;
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    // Until the reply begins: what is sent after it is bounded by connections.
    let _place = match limiter::admit(&state, if is_read { reading } else { changing }, request.head()) {
        Ok(place) => place,
        Err(refused) => return Ok(request.into_response(refused.reply()).map_into_right_body()),
    };
    let caller = match guard::admit(&state, entry, &request) {
        Ok(caller) => caller,
        Err(error) => return Ok(request.error_response(error).map_into_right_body()),
    };
    let mut response = cache::keep(&state, entry.keep, request, next).await?;
    if let Some(caller) = caller.filter(|caller| caller.share().is_some()) {
        guard::keep_link(&caller, &mut response);
    }
    Ok(response)
}
