//! The page at `/` and its files, embedded in the binary: no internet, nothing inline, a strict Content-Security-Policy.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web,
};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{error::refusal, range};

#[derive(RustEmbed)]
#[folder = "ui/dist"]
struct Files;

/// `blob:` is hls.js: Media Source feeds the player through blob URLs.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; \
                      media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// First parts of the addresses that the page makes of itself: each is the page, so that a reload or a link leads back.
pub const PAGES: [&str; 6] = ["device", "heatmap", "incidents", "system", "settings", "login"];

/// Whether somebody opens such an address. Whatever else is in no route is refused, as programs expect.
pub fn is_page(request: &HttpRequest) -> bool {
    let first = request.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    matches!(*request.method(), Method::GET | Method::HEAD) && PAGES.contains(&first)
}

/// `GET /`, and the addresses of [`is_page`].
pub async fn index(request: HttpRequest) -> HttpResponse {
    match Files::get("index.html") {
        // Asked for each time: it names the files of this very build.
        Some(file) => reply(&request, "text/html; charset=utf-8", "no-cache", file),
        None => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .body(UNBUILT),
    }
}

/// `GET /assets/{name}`: names carry a hash of their content.
pub async fn asset(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    match Files::get(&format!("assets/{name}")) {
        Some(file) => reply(&request, content_type(&name), "public, max-age=31536000, immutable", file),
        None => refusal(StatusCode::NOT_FOUND, "not_found", "the page has no such file"),
    }
}

/// Address of the page's file of that kind, `css` or `svg`; None in a binary that was built without its page.
pub fn file(suffix: &str) -> Option<String> {
    Files::iter().find(|name| name.ends_with(suffix)).map(|name| format!("/{name}"))
}

fn reply(request: &HttpRequest, content_type: &str, cache_control: &str, file: EmbeddedFile) -> HttpResponse {
    let hash: String = file.metadata.sha256_hash().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    // Weak: the same file also goes out compressed.
    let etag = format!("W/\"{hash}\"");
    let asked = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let known = range::precondition(None, asked, Some(&etag)) == range::Precondition::NotModified;
    let mut reply = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    reply
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CACHE_CONTROL, cache_control))
        .insert_header((header::ETAG, etag))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
    if known { reply.finish() } else { reply.body(Bytes::from(file.data.into_owned())) }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

const UNBUILT: &str = "<!doctype html><meta charset=utf-8><title>Capstan</title><h1>Capstan</h1>\
<p>This binary was built without its page. Run <code>make ui</code> and build again. The daemon itself is \
complete: see <a href=/api/host/state>/api/host/state</a> and <a href=/metrics>/metrics</a>.</p>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_files_that_a_build_makes() {
        for name in Files::iter() {
            if name.starts_with("assets/") {
                assert_ne!(content_type(&name), "application/octet-stream", "{name}");
            }
        }
        assert_eq!(content_type("index-BKVyYgQW.css"), "text/css; charset=utf-8");
        assert_eq!(content_type("../etc/passwd"), "application/octet-stream");
    }

    #[test]
    fn addresses_of_the_page_are_the_page() {
        let check = |method: Method, path: &str, expected: bool| {
            let request = actix_web::test::TestRequest::with_uri(path).method(method).to_http_request();
            assert_eq!(is_page(&request), expected, "{path}");
        };
        for path in ["/device/lobby", "/device/lobby?t=1763610000", "/settings/users", "/system", "/login", "/heatmap/"]
        {
            check(Method::GET, path, true);
        }
        check(Method::HEAD, "/incidents", true);
        check(Method::POST, "/incidents", false);
        for path in
            ["/", "/api/none", "/host/none", "/assets/device", "/devices", "/metrics/device", "/%64evice", "//api/none"]
        {
            check(Method::GET, path, false);
        }
    }

    /// `path: "/device/:id"` in `ui/src/pages/device/page.ts`.
    #[test]
    fn every_page_survives_a_reload() {
        let mut count = 0;
        for folder in std::fs::read_dir("ui/src/pages").unwrap() {
            let Ok(text) = std::fs::read_to_string(folder.unwrap().path().join("page.ts")) else { continue };
            let path = text.split("path: \"/").nth(1).and_then(|rest| rest.split('"').next()).expect(&text);
            let first = path.split('/').next().unwrap();
            assert!(first.is_empty() || PAGES.contains(&first), "{path} is not in PAGES");
            count += 1;
        }
        assert!(count >= 4, "{count}");
    }

    #[test]
    fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
        let page = Files::get("index.html").map_or(UNBUILT.as_bytes().to_vec(), |file| file.data.into_owned());
        let page = String::from_utf8(page).unwrap();
        for forbidden in ["<style", "style=", "onclick", "http://", "https://", "//cdn"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(!page.replace("<script type=\"module\" crossorigin src=\"/assets/", "").contains("<script"));
    }
}
