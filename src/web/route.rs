//! What an entry of the route table is, and how the table is put in force.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, Route, guard,
    http::Method,
    middleware::{Compress, from_fn},
    web,
};

use super::{error, guard::admit, need::Need, openapi::Doc, routes::ROUTES, ui};
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
    Entry { path, need, handler, doc, verb: Verb::Get, more: &[], compress: false }
}

/// Answers POST.
pub(super) const fn action(path: &'static str, need: Need, handler: fn() -> Route, doc: Doc) -> Entry {
    Entry { verb: Verb::Post, ..entry(path, need, handler, doc) }
}

/// GET and HEAD alike.
pub(super) fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
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
        let resource = resource.route(refuse).wrap(from_fn(move |request, next| admit(entry, request, next)));
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
    config.default_service(web::to(elsewhere));
}
