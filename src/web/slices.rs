//! A body as a list of slices of memory and files, so that Range, ETag, HEAD and 416 come for free to every route.

use std::{collections::VecDeque, fs::File, io, ops::Range, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{Method, StatusCode, header},
};
use bytes::Bytes;
use futures_util::{Stream, stream};

use super::{
    error::refusal,
    range::{Precondition, Wanted, precondition, wanted},
    reader::{PIECE_BYTES, Readers},
};

/// The HTTP layer keeps the write buffer of each connection at the size of what went through it, up to 128 KiB: with a
/// segment of 1 Mb/s in one piece, 2,000 viewers held 330 MB. A quarter as much costs three calls to the kernel more.
const MEMORY_PIECE_BYTES: usize = PIECE_BYTES / 2;

/// A stretch of a body.
#[derive(Clone, Debug)]
pub enum Slice {
    Bytes(Bytes),
    /// These bytes of the file; it stays open, and so readable, while they are sent, even when it is unlinked.
    File(Arc<File>, Range<u64>),
}

impl Slice {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, range) => range.end.saturating_sub(range.start),
        }
    }

    /// The part `within` of this slice; `within` lies inside.
    fn cut(&self, within: Range<u64>) -> Self {
        match self {
            // Fits usize: it is at most the length of bytes that are in memory.
            Self::Bytes(bytes) => Self::Bytes(bytes.slice(within.start as usize..within.end as usize)),
            Self::File(file, range) => {
                Self::File(Arc::clone(file), range.start + within.start..range.start + within.end)
            }
        }
    }
}

/// Everything about a reply but the request.
pub struct Content {
    pub slices: Vec<Slice>,
    pub content_type: &'static str,
    /// With quotes: `"lobby-1700000000000-0"`. None for what still changes.
    pub etag: Option<String>,
    pub cache_control: &'static str,
    /// The stable address, when this one is an alias.
    pub location: Option<String>,
    /// What the file is called when somebody keeps it.
    pub file_name: Option<String>,
}

impl Content {
    /// A JPEG.
    pub fn picture(jpeg: Slice, etag: String, cache_control: &'static str) -> Self {
        let (slices, etag) = (vec![jpeg], Some(etag));
        Self { slices, content_type: "image/jpeg", etag, cache_control, location: None, file_name: None }
    }
}

/// Answers GET and HEAD with the part that `request` wants: 200, 206, 304, 412 or 416.
pub fn respond(request: &HttpRequest, readers: &Readers, content: Content) -> HttpResponse {
    let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let etag = content.etag.as_deref();
    let len: u64 = content.slices.iter().map(Slice::len).sum();
    match precondition(text(header::IF_MATCH), text(header::IF_NONE_MATCH), etag) {
        Precondition::Go => {}
        Precondition::NotModified => return head(StatusCode::NOT_MODIFIED, &content).finish(),
        Precondition::Failed => {
            return refusal(StatusCode::PRECONDITION_FAILED, "conflict", "the content is not the one in If-Match");
        }
    }
    // A Range with any method but GET is ignored (RFC 9110 §14.2): HEAD tells the whole length.
    let range = text(header::RANGE).filter(|_| request.method() == Method::GET);
    match wanted(range, text(header::IF_RANGE), etag, len) {
        Wanted::Whole => {
            let reply = head(StatusCode::OK, &content);
            finish(request, readers, reply, content.slices, len)
        }
        Wanted::Part(range) => {
            let mut reply = head(StatusCode::PARTIAL_CONTENT, &content);
            reply.insert_header((
                header::CONTENT_RANGE,
                format!("bytes {}-{}/{len}", range.start, range.end.saturating_sub(1)),
            ));
            let size = range.end - range.start;
            finish(request, readers, reply, cut(&content.slices, range), size)
        }
        Wanted::Unsatisfiable => {
            let mut reply =
                refusal(StatusCode::RANGE_NOT_SATISFIABLE, "invalid", &format!("the range is beyond the {len} bytes"));
            if let Ok(value) = header::HeaderValue::from_str(&format!("bytes */{len}")) {
                reply.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            reply
        }
    }
}

fn head(status: StatusCode, content: &Content) -> HttpResponseBuilder {
    let mut reply = HttpResponse::build(status);
    reply
        .insert_header((header::CONTENT_TYPE, content.content_type))
        .insert_header((header::CACHE_CONTROL, content.cache_control))
        .insert_header((header::ACCEPT_RANGES, "bytes"));
    if let Some(etag) = &content.etag {
        reply.insert_header((header::ETAG, etag.as_str()));
    }
    if let Some(name) = &content.file_name {
        // Inline: it plays where it is opened. Our names need no escaping.
        reply.insert_header((header::CONTENT_DISPOSITION, format!("inline; filename=\"{name}\"")));
    }
    if let Some(location) = &content.location {
        reply.insert_header((header::CONTENT_LOCATION, location.as_str()));
    }
    reply
}

fn finish(
    request: &HttpRequest,
    readers: &Readers,
    mut reply: HttpResponseBuilder,
    slices: Vec<Slice>,
    len: u64,
) -> HttpResponse {
    // actix polls the body even for HEAD and throws the bytes away: give it the length and no bytes to read.
    let slices = if request.method() == Method::HEAD { Vec::new() } else { slices };
    reply.body(SizedStream::new(len, pieces(slices, readers.clone())))
}

/// The slices of `range`, in order. `range` lies within the sum of lengths.
fn cut(slices: &[Slice], range: Range<u64>) -> Vec<Slice> {
    let (mut at, mut out) = (0, Vec::new());
    for slice in slices {
        let end = at + slice.len();
        let (from, to) = (range.start.max(at), range.end.min(end));
        if from < to {
            out.push(slice.cut(from - at..to - at));
        }
        at = end;
    }
    out
}

/// The bytes in pieces of at most [`PIECE_BYTES`]. A file that ends early is an error: the connection is closed, so
/// that the client sees a short body and not a wrong one.
pub fn pieces(slices: Vec<Slice>, readers: Readers) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((VecDeque::from(slices), readers), |(mut slices, readers)| async move {
        let Some(slice) = slices.pop_front() else { return Ok(None) };
        let (piece, rest) = match slice {
            Slice::Bytes(mut bytes) => {
                let piece = bytes.split_to(bytes.len().min(MEMORY_PIECE_BYTES));
                (piece, Slice::Bytes(bytes))
            }
            Slice::File(file, range) => {
                let piece = readers.read(&file, range.start, range.end - range.start).await?;
                if piece.is_empty() && range.start < range.end {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let next = range.start + piece.len() as u64;
                (piece, Slice::File(file, next..range.end))
            }
        };
        if rest.len() > 0 {
            slices.push_front(rest);
        }
        Ok(Some((piece, (slices, readers))))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use actix_web::{body::to_bytes, test::TestRequest};

    use super::*;

    /// "0123456789abcdefghij": ten bytes of memory, then ten of a file that has strangers around them.
    fn twenty() -> Vec<Slice> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"--abcdefghij--").unwrap();
        vec![Slice::Bytes(Bytes::from_static(b"0123456789")), Slice::File(Arc::new(file), 2..12)]
    }

    fn content(slices: Vec<Slice>) -> Content {
        let etag = Some("\"x-1-0\"".to_owned());
        Content { slices, content_type: "video/mp4", etag, cache_control: "private", location: None, file_name: None }
    }

    #[actix_web::test]
    async fn ranges_cut_across_slices() {
        let readers = Readers::start().unwrap();
        let check = async |range: &str, status: u16, expected: &str, content_range: Option<&str>| {
            let request = TestRequest::get().insert_header(("Range", range)).to_http_request();
            let reply = respond(&request, &readers, content(twenty()));
            assert_eq!(reply.status().as_u16(), status, "{range}");
            let told = reply.headers().get("content-range").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(told.as_deref(), content_range, "{range}");
            if status != 416 {
                assert_eq!(to_bytes(reply.into_body()).await.unwrap_or_default(), expected, "{range}");
            }
        };
        check("bytes=0-", 206, "0123456789abcdefghij", Some("bytes 0-19/20")).await;
        check("bytes=8-11", 206, "89ab", Some("bytes 8-11/20")).await;
        check("bytes=10-10", 206, "a", Some("bytes 10-10/20")).await;
        check("bytes=-1", 206, "j", Some("bytes 19-19/20")).await;
        check("bytes=0-1,3-4", 200, "0123456789abcdefghij", None).await;
        check("bytes=20-", 416, "", Some("bytes */20")).await;
    }

    #[actix_web::test]
    async fn conditions_and_head() {
        let readers = Readers::start().unwrap();
        let check = |request: TestRequest, status: u16| {
            let reply = respond(&request.to_http_request(), &readers, content(twenty()));
            assert_eq!(reply.status().as_u16(), status);
            reply
        };
        check(TestRequest::get().insert_header(("If-None-Match", "\"x-1-0\"")), 304);
        check(TestRequest::get().insert_header(("If-Match", "\"other\"")), 412);
        check(TestRequest::get().insert_header(("Range", "bytes=0-1")).insert_header(("If-Range", "\"old\"")), 200);
        let head = check(TestRequest::default().method(Method::HEAD).insert_header(("Range", "bytes=0-1")), 200);
        assert_eq!(head.headers().get("accept-ranges").unwrap(), "bytes");
    }

    #[actix_web::test]
    async fn a_file_that_ends_early_is_an_error() {
        let readers = Readers::start().unwrap();
        let short = Slice::File(Arc::new(tempfile::tempfile().unwrap()), 0..5);
        let reply = respond(&TestRequest::get().to_http_request(), &readers, content(vec![short]));
        assert!(to_bytes(reply.into_body()).await.is_err());
    }
}
