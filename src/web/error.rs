//! How errors leave over HTTP: the status of each kind and the body `{"error":{"kind","message","path"?}}`.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    error::JsonPayloadError,
    http::{StatusCode, header},
};
use serde_json::{Value, json};

use crate::error::{Error, Kind};

/// One more attempt to sign in is let through in so long.
const RETRY_LOGIN_SECONDS: &str = "6";

/// The one mapping from kinds to statuses.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Gone => StatusCode::GONE,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Changed => StatusCode::PRECONDITION_FAILED,
        Kind::Unconditional => StatusCode::PRECONDITION_REQUIRED,
        Kind::Stale | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Io | Kind::Corrupt | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The body. Paths and errno of our own disks are for the log, not for whoever asks: only the path of an invalid
/// field comes back, which the client itself named.
pub fn body(error: &Error) -> Value {
    match &error.path {
        Some(path) if error.kind == Kind::Invalid => {
            json!({"error": {"kind": error.kind.name(), "message": error.message, "path": path}})
        }
        _ => json!({"error": {"kind": error.kind.name(), "message": error.message}}),
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status(self.kind)
    }

    fn error_response(&self) -> HttpResponse {
        let mut reply = HttpResponse::build(self.status_code());
        reply.insert_header((header::CACHE_CONTROL, "no-store"));
        if matches!(self.kind, Kind::Stale | Kind::Unavailable) {
            reply.insert_header((header::RETRY_AFTER, "1"));
        }
        if self.kind == Kind::TooMany {
            reply.insert_header((header::RETRY_AFTER, RETRY_LOGIN_SECONDS));
        }
        if self.kind == Kind::Unauthorized {
            // No `Basic`, for which a browser would ask with a window of its own.
            reply.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        reply.json(body(self))
    }
}

/// Refusals that are no [`Error`] of ours: unknown route, wrong method, oversized or malformed input.
pub fn refusal(status: StatusCode, kind: &str, message: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({"error": {"kind": kind, "message": message}}))
}

/// For every path that is in no route.
pub async fn no_such_route(request: HttpRequest) -> HttpResponse {
    let shown: String = request.path().chars().take(200).collect();
    refusal(StatusCode::NOT_FOUND, "not_found", &format!("there is nothing at {shown}"))
}

/// For a route asked with a method it does not have.
pub fn method_not_allowed(allowed: &str) -> HttpResponse {
    let message = format!("this address answers {allowed} only");
    let mut reply = refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &message);
    if let Ok(allowed) = header::HeaderValue::from_str(allowed) {
        reply.headers_mut().insert(header::ALLOW, allowed);
    }
    reply
}

/// For a body that is no JSON, or not said to be.
pub fn bad_json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let message = match error {
        JsonPayloadError::ContentType => "the body must be JSON, with Content-Type: application/json".to_owned(),
        error => format!("the body cannot be read: {error}"),
    };
    Error::new(Kind::Invalid, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_status() {
        let check = |kind: Kind, expected: u16| assert_eq!(status(kind).as_u16(), expected, "{}", kind.name());
        check(Kind::Invalid, 400);
        check(Kind::NotFound, 404);
        check(Kind::Gone, 410);
        check(Kind::Unauthorized, 401);
        check(Kind::Forbidden, 403);
        check(Kind::TooMany, 429);
        check(Kind::Conflict, 409);
        check(Kind::Changed, 412);
        check(Kind::Unconditional, 428);
        check(Kind::Stale, 503);
        check(Kind::Unavailable, 503);
        check(Kind::Full, 507);
        check(Kind::Io, 500);
        check(Kind::Corrupt, 500);
        check(Kind::Internal, 500);
    }

    #[test]
    fn bodies_name_what_the_client_named_and_hide_our_disks() {
        let asked = Error::new(Kind::Invalid, "must be YYYY-MM-DD").at("date");
        assert_eq!(
            body(&asked),
            json!({"error": {"kind": "invalid", "message": "must be YYYY-MM-DD", "path": "date"}})
        );
        let disk = Error::io("read chunk", "/secret/place", std::io::Error::other("boom"));
        assert_eq!(body(&disk), json!({"error": {"kind": "io", "message": "read chunk"}}));
    }
}
