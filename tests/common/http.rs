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
    send(server, "POST", path, body)
}

/// Sends JSON.
pub fn send(server: SocketAddr, method: &str, path: &str, body: &serde_json::Value) -> Result<Response, String> {
    let body = body.to_string();
    let headers = [("Content-Type", "application/json"), ("Content-Length", &body.len().to_string())];
    exchange(server, method, path, &headers, &body).map_err(|error| format!("{method} {path}: {error}"))
}

/// Sends JSON, with more headers.
pub fn send_with(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &serde_json::Value,
) -> Result<Response, String> {
    let body = body.to_string();
    let length = body.len().to_string();
    let headers = [&[("Content-Type", "application/json"), ("Content-Length", &length)], headers].concat();
    exchange(server, method, path, &headers, &body).map_err(|error| format!("{method} {path}: {error}"))
}

/// A reply without an end, as of `/api/events`: read as it comes.
pub struct Stream {
    stream: TcpStream,
    /// The body so far, with the marks of its transfer.
    raw: Vec<u8>,
    pub head: Response,
}

impl Stream {
    pub fn open(server: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, String> {
        let mut stream = begin(server, "GET", path, headers, "")?;
        let mut raw = Vec::new();
        let end = loop {
            match raw.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end,
                None => read_some(&mut stream, &mut raw)?,
            }
        };
        let (status, headers) = parse_head(&raw[..end])?;
        let head = Response { status, headers, body: Vec::new() };
        Ok(Self { stream, raw: raw.split_off(end + 4), head })
    }

    /// Reads until `text` is in it, with the empty line behind; all so far. An error when nothing comes for 10 s, or at the end.
    pub fn until(&mut self, text: &str) -> Result<String, String> {
        loop {
            let told = String::from_utf8_lossy(&self.raw).into_owned();
            if told.split_once(text).is_some_and(|(_, rest)| rest.contains("\n\n")) {
                return Ok(told);
            }
            read_some(&mut self.stream, &mut self.raw).map_err(|error| format!("{error}, {text} is not in {told}"))?;
        }
    }

    /// The next event of `/api/events`; None when nothing comes for 10 s, or at the end.
    pub fn next_event(&mut self) -> Option<serde_json::Value> {
        loop {
            if let Some(end) = self.raw.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.raw.drain(..end + 2).collect();
                let text = String::from_utf8(event).ok()?;
                if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
                    return serde_json::from_str(data).ok();
                }
                continue;
            }
            read_some(&mut self.stream, &mut self.raw).ok()?;
        }
    }

    /// True when the reply ends within the limit of a read.
    pub fn ends(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok()
    }
}

fn read_some(stream: &mut TcpStream, into: &mut Vec<u8>) -> Result<(), String> {
    let mut piece = [0; 4096];
    match stream.read(&mut piece) {
        Ok(0) => Err("the connection ended".into()),
        Ok(len) => {
            into.extend_from_slice(&piece[..len]);
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn exchange(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response, String> {
    let mut stream = begin(server, method, path, headers, body)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).map_err(|error| error.to_string())?;
    parse(&reply, method == "HEAD")
}

fn begin(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<TcpStream, String> {
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
    Ok(stream)
}

fn parse_head(head: &[u8]) -> Result<(u16, Vec<(String, String)>), String> {
    let head = std::str::from_utf8(head).map_err(|error| error.to_string())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: Vec<_> =
        lines.filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned()))).collect();
    Ok((status.ok_or("no status")?, headers))
}

fn parse(reply: &[u8], head_only: bool) -> Result<Response, String> {
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no end of headers")?;
    let (status, headers) = parse_head(&reply[..end])?;
    let mut response = Response { status, headers, body: reply[end + 4..].to_vec() };
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
