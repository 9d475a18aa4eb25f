//! Who may change something: programs, and pages of this daemon; no page of another site in somebody's browser.

use actix_web::{
    Error as HttpError, HttpRequest, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderValue},
    },
    middleware::Next,
};

use super::{State, guard::changes};
use crate::error::{Error, Kind};

/// Around every request: what a browser tells of the page behind it, and what pages of other sites are told.
///
/// A request that changes something and comes from another site ends here. So does any that was meant for another name,
/// where nobody has to sign in: a page whose own name was made to lead to this machine could otherwise read everything.
pub async fn refuse_others<B: MessageBody>(
    state: State,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, HttpError> {
    let server = &state.settings.server;
    let host = host(request.request());
    let told = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let origin = told(header::ORIGIN).filter(|origin| server.cors_origins.iter().any(|known| known == origin));
    let origin = origin.map(str::to_owned);
    if !state.access.is_on() && server.listen.ip().is_loopback() && !is_ours(&host, server.public_url.as_deref()) {
        let error = Error::new(Kind::Forbidden, "this machine is asked by a name that is not its own");
        return Ok(request.error_response(error).map_into_right_body());
    }
    if changes(request.method()) && is_foreign(request.headers(), &host, server.public_url.as_deref()) {
        let error = Error::new(Kind::Forbidden, "another site's page may not change anything here");
        return Ok(request.error_response(error).map_into_right_body());
    }
    let asks_first = request.method() == Method::OPTIONS && told(header::ACCESS_CONTROL_REQUEST_METHOD).is_some();
    if let Some(origin) = origin.as_deref().filter(|_| asks_first) {
        let mut reply = HttpResponse::NoContent().finish();
        may_read(reply.headers_mut(), origin);
        return Ok(request.into_response(reply).map_into_right_body());
    }
    let mut response = next.call(request).await?;
    if let Some(origin) = origin {
        may_read(response.headers_mut(), &origin);
    }
    Ok(response.map_into_left_body())
}

/// Without cookies: a page of another site brings a token, or sees what is public.
fn may_read(headers: &mut HeaderMap, origin: &str) {
    let Ok(origin) = HeaderValue::try_from(origin) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let lists = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Range, If-None-Match, Last-Event-ID"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Content-Range, Accept-Ranges, Retry-After"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    for (name, list) in lists {
        headers.insert(name, HeaderValue::from_static(list));
    }
}

fn host(request: &HttpRequest) -> String {
    let told = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    told.or(request.uri().authority().map(|it| it.as_str())).unwrap_or_default().to_ascii_lowercase()
}

/// An address, which no name server can make lead elsewhere, or a name that always means this machine.
fn is_ours(host: &str, public_url: Option<&str>) -> bool {
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |it| it.0);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_address = bare.parse::<std::net::IpAddr>().is_ok();
    let is_public = || public_url.and_then(|url| url.split_once("://")).is_some_and(|(_, authority)| authority == host);
    // Browsers say it always; programs that do not are no page of anybody.
    host.is_empty() || is_address || name == "localhost" || name.ends_with(".localhost") || is_public()
}

/// By what browsers say and pages cannot change. Programs say neither.
fn is_foreign(headers: &HeaderMap, host: &str, public_url: Option<&str>) -> bool {
    let told = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    if let Some(site) = told("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    // A proxy may have put another name into `Host`.
    let is_other = |origin: String| origin.split_once("://").is_none_or(|(_, authority)| authority != host);
    told("origin").filter(|origin| public_url != Some(origin.as_str())).is_some_and(is_other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_from_ours_and_from_programs() {
        let check = |lines: &[(&'static str, &'static str)], foreign: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.insert(header::HeaderName::from_static(name), header::HeaderValue::from_static(value));
            }
            let public_url = Some("https://public.example");
            assert_eq!(is_foreign(&headers, "cam.example:8080", public_url), foreign, "{lines:?}");
        };
        check(&[], false);
        check(&[("origin", "http://cam.example:8080")], false);
        check(&[("origin", "https://CAM.example:8080")], false);
        check(&[("origin", "https://public.example")], false);
        check(&[("origin", "http://public.example")], true);
        check(&[("origin", "http://cam.example")], true);
        check(&[("origin", "http://evil.example")], true);
        check(&[("origin", "http://cam.example:8080.evil.example")], true);
        check(&[("origin", "null")], true);
        check(&[("origin", "")], true);
        check(&[("sec-fetch-site", "same-origin"), ("origin", "https://public.example")], false);
        check(&[("sec-fetch-site", "none")], false);
        check(&[("sec-fetch-site", "same-site"), ("origin", "http://cam.example:8080")], true);
        check(&[("sec-fetch-site", "cross-site")], true);
    }

    #[test]
    fn a_name_that_somebody_else_gives_out_is_not_ours() {
        let check = |host: &str, ours: bool| {
            assert_eq!(is_ours(host, Some("https://cams.example:444")), ours, "{host}");
        };
        for host in ["localhost", "localhost:8080", "a.localhost:1", "127.0.0.1", "127.0.0.1:8080", "10.0.0.2", ""] {
            check(host, true);
        }
        for host in ["[::1]", "[::1]:8080", "cams.example:444"] {
            check(host, true);
        }
        for host in
            ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "cams.example"]
        {
            check(host, false);
        }
    }
}
