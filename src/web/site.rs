//! Who may change something: programs, and pages of this daemon; no page of another site in somebody's browser.

use actix_web::{
    Error as HttpError, HttpRequest,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap},
    },
    middleware::Next,
};

use crate::error::{Error, Kind};

/// Around every request: one that changes something and comes from another site ends here.
pub async fn refuse_others<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, HttpError> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && is_foreign(request.headers(), &host(request.request())) {
        let error = Error::new(Kind::Forbidden, "another site's page may not change anything here");
        return Ok(request.error_response(error).map_into_right_body());
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

fn host(request: &HttpRequest) -> String {
    let told = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    told.or(request.uri().authority().map(|it| it.as_str())).unwrap_or_default().to_ascii_lowercase()
}

/// By what browsers say and pages cannot change. Programs say neither.
fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    let told = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    if let Some(site) = told("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    told("origin").is_some_and(|origin| origin.split_once("://").is_none_or(|(_, authority)| authority != host))
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
            assert_eq!(is_foreign(&headers, "cam.example:8080"), foreign, "{lines:?}");
        };
        check(&[], false);
        check(&[("origin", "http://cam.example:8080")], false);
        check(&[("origin", "https://CAM.example:8080")], false);
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
}
