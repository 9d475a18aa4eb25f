//! An HTTP/1.1 client of the size that tests need: one request, one connection, a limit on the wait.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}

/// Errors are connection errors and replies that are not HTTP.
pub fn request(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
    exchange(server, method, path, headers, "").map_err(|error| format!("{method} {path}: {error}"))
}

/// Sends JSON with POST.
pub fn post(server: SocketAddr, path: &str, body: &serde_json::Value) -> Result<Response, String> {
    let body = body.to_string();
    let headers = [("Content-Type", "application/json"), ("Content-Length", &body.len().to_string())];
    exchange(server, "POST", path, &headers, &body).map_err(|error| format!("POST {path}: {error}"))
}

fn exchange(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response, String> {
    let limit = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&server, limit).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit))).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    head += body;
    stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).map_err(|error| error.to_string())?;
    parse(&reply, method == "HEAD")
}

fn parse(reply: &[u8], head_only: bool) -> Result<Response, String> {
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no end of headers")?;
    let head = std::str::from_utf8(&reply[..end]).map_err(|error| error.to_string())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: Vec<_> =
        lines.filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned()))).collect();
    let mut response = Response { status: status.ok_or("no status")?, headers, body: reply[end + 4..].to_vec() };
    if response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        response.body = dechunk(&response.body).ok_or("bad chunked body")?;
    } else if let Some(length) = response.header("content-length").and_then(|text| text.parse::<usize>().ok())
        && !head_only
        && length != response.body.len()
    {
        return Err(format!("body of {} bytes, content-length says {length}", response.body.len()));
    }
    Ok(response)
}

fn dechunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let line = body.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&body[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(out);
        }
        out.extend_from_slice(body.get(line + 2..line + 2 + size)?);
        body = body.get(line + 2 + size + 2..)?;
    }
}
