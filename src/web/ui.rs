//! The page at `/` and its files, embedded in the binary: no internet, nothing inline, a strict Content-Security-Policy.
//!
//! `ui/scripts/compress.mjs` has put a `.gz` and a `.br` beside each; what the browser takes is sent as it lies here.

use std::borrow::Cow;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, AcceptEncoding, ContentEncoding, Encoding, Header},
    },
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
    // Asked for each time: it names the files of this very build.
    match reply(&request, "index.html", "text/html; charset=utf-8", "no-cache") {
        Some(reply) => reply,
        None => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .body(UNBUILT),
    }
}

/// `GET /assets/{name}`: names carry a hash of their content.
pub async fn asset(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let reply = reply(&request, &format!("assets/{name}"), content_type(&name), "public, max-age=31536000, immutable");
    reply.unwrap_or_else(|| refusal(StatusCode::NOT_FOUND, "not_found", "the page has no such file"))
}

/// Address of the page's file of that kind, `css` or `svg`; None in a binary that was built without its page.
pub fn file(suffix: &str) -> Option<String> {
    Files::iter().find(|name| name.ends_with(suffix)).map(|name| format!("/{name}"))
}

/// None when there is no such file.
fn reply(request: &HttpRequest, name: &str, content_type: &str, cache_control: &str) -> Option<HttpResponse> {
    let plain = Files::get(name)?;
    let hash: String = plain.metadata.sha256_hash().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    // Weak: of all codings of the file.
    let etag = format!("W/\"{hash}\"");
    let asked = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let known = range::precondition(None, asked, Some(&etag)) == range::Precondition::NotModified;
    let mut reply = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    reply
        .insert_header((header::CONTENT_TYPE, content_type))
        .insert_header((header::CACHE_CONTROL, cache_control))
        .insert_header((header::ETAG, etag))
        .insert_header((header::VARY, header::ACCEPT_ENCODING.as_str()))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
    if known {
        return Some(reply.finish());
    }
    let (file, coding) = match packed(request, name) {
        Some((file, coding)) => (file, Some(coding)),
        None => (plain, None),
    };
    if let Some(coding) = coding {
        reply.insert_header(coding);
    }
    Some(reply.body(bytes_of(file)))
}

/// The smallest form of a file that the request takes; None when that is the file itself.
fn packed(request: &HttpRequest, name: &str) -> Option<(EmbeddedFile, ContentEncoding)> {
    let accepted = AcceptEncoding::parse(request).ok().filter(|accepted| !accepted.is_empty())?;
    let forms = [(ContentEncoding::Brotli, ".br"), (ContentEncoding::Gzip, ".gz")];
    let takes = |coding| accepted.negotiate([&Encoding::Known(coding)].into_iter()) == Some(Encoding::Known(coding));
    forms.into_iter().filter(|(coding, _)| takes(*coding)).find_map(|(coding, suffix)| {
        let file = Files::get(&format!("{name}{suffix}"))?;
        Some((file, coding))
    })
}

/// Without a copy where the file is part of the binary.
fn bytes_of(file: EmbeddedFile) -> Bytes {
    match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
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
            let is_packed = name.ends_with(".gz") || name.ends_with(".br");
            if name.starts_with("assets/") && !is_packed {
                assert_ne!(content_type(&name), "application/octet-stream", "{name}");
            }
        }
        assert_eq!(content_type("index-BKVyYgQW.css"), "text/css; charset=utf-8");
        assert_eq!(content_type("../etc/passwd"), "application/octet-stream");
    }

    /// Of a file that a real build has in all three forms.
    #[test]
    fn each_browser_gets_the_smallest_form_that_it_takes() {
        let Some(name) = Files::iter().find(|name| name.ends_with(".css")) else { return };
        let check = |asked: Option<&str>, expected: Option<ContentEncoding>| {
            let request = actix_web::test::TestRequest::get();
            let request = asked.iter().fold(request, |it, asked| it.insert_header((header::ACCEPT_ENCODING, *asked)));
            let found = packed(&request.to_http_request(), &name);
            assert_eq!(found.as_ref().map(|(_, coding)| *coding), expected, "{asked:?}");
            if let Some((file, _)) = found {
                let plain = Files::get(&name).unwrap();
                assert!(file.data.len() * 3 < plain.data.len(), "{} of {}", file.data.len(), plain.data.len());
            }
        };
        check(Some("gzip, deflate, br, zstd"), Some(ContentEncoding::Brotli));
        check(Some("gzip, deflate"), Some(ContentEncoding::Gzip));
        check(Some("br;q=0, gzip"), Some(ContentEncoding::Gzip));
        for none in
            [None, Some(""), Some("*"), Some("identity"), Some("zstd"), Some("gzip;q=0"), Some("gzip;q=x"), Some(",,")]
        {
            check(none, None);
        }
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
