//! HTTP/1.1 of the size that asking our own daemon needs: one GET, one connection, a limit on silence.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use serde_json::Value;

use super::{bad_answer, pinned::connect};
use crate::error::{Error, Kind, Result};

/// The daemon may wait for a slow disk, not longer.
const SILENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
/// All lines before the body; ours are below 1 kB.
const HEAD_BYTES_MAX: u64 = 64 << 10;
/// A body that is read as JSON.
const JSON_BYTES_MAX: u64 = 1 << 20;

/// The head of an answer, and its body to be read.
pub struct Reply {
    pub status: u16,
    pub length: Option<u64>,
    location: Option<String>,
    pub is_json: bool,
    pub body: Box<dyn Read>,
}

impl Reply {
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    pub fn json(self) -> Result<Value> {
        serde_json::from_reader(self.body.take(JSON_BYTES_MAX)).map_err(|error| bad_answer(&error))
    }
}

/// Where it listens, and what it asks for.
pub struct Daemon {
    pub address: SocketAddr,
    /// Of the control socket, which trusts us.
    pub pass: Option<String>,
    /// It speaks TLS with this one.
    pub certificate: Option<PathBuf>,
}

/// `path` with its query, ready to be sent.
pub fn get(daemon: &Daemon, path: &str) -> Result<Reply> {
    let address = daemon.address;
    let failed = |error: std::io::Error| {
        Error::new(Kind::Unavailable, format!("the daemon does not answer at {address}: {error}"))
    };
    let stream = TcpStream::connect_timeout(&address, CONNECT).map_err(failed)?;
    stream.set_read_timeout(Some(SILENCE)).and_then(|()| stream.set_write_timeout(Some(SILENCE))).map_err(failed)?;
    let pass = daemon.pass.as_ref().map(|pass| format!("Authorization: Bearer {pass}\r\n")).unwrap_or_default();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept-Encoding: identity\r\n{pass}\r\n"
    );
    let mut stream: Box<dyn Both> = match &daemon.certificate {
        Some(certificate) => Box::new(connect(stream, certificate)?),
        None => Box::new(stream),
    };
    stream.write_all(head.as_bytes()).map_err(failed)?;
    read(stream).map_err(failed)
}

trait Both: Read + Write {}

impl<T: Read + Write> Both for T {}

fn read(stream: impl Read + 'static) -> std::io::Result<Reply> {
    let strange = || std::io::Error::new(std::io::ErrorKind::InvalidData, "its answer is not HTTP");
    let mut head = BufReader::new(stream).take(HEAD_BYTES_MAX);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).ok_or_else(strange)?;
    let (mut length, mut location, mut is_json) = (None, None, false);
    loop {
        line.clear();
        head.read_line(&mut line)?;
        let text = line.strip_suffix("\r\n").ok_or_else(strange)?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(": ").ok_or_else(strange)?;
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse().map_err(|_| strange())?);
        } else if name.eq_ignore_ascii_case("location") {
            location = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("content-type") {
            is_json = value.starts_with("application/json");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            // We asked for nothing that is sent in chunks.
            return Err(strange());
        }
    }
    let body = head.into_inner().take(length.unwrap_or(u64::MAX));
    Ok(Reply { status, length, location, is_json, body: Box::new(body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let check = |text: &'static str, expected: Option<(u16, Option<u64>, Option<&str>, &str)>| {
            let Ok(mut reply) = read(text.as_bytes()) else { return assert!(expected.is_none(), "{text:?}") };
            let mut body = String::new();
            reply.body.read_to_string(&mut body).unwrap();
            assert_eq!(Some((reply.status, reply.length, reply.location(), &*body)), expected, "{text:?}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", Some((200, Some(3), None, "abc")));
        check("HTTP/1.1 200 OK\r\n\r\nabc", Some((200, None, None, "abc")));
        check(
            "HTTP/1.1 307 X\r\nlocation: /a?b=c\r\ncontent-length: 0\r\n\r\n",
            Some((307, Some(0), Some("/a?b=c"), "")),
        );
        for bad in [
            "",
            "HTTP/1.1 2",
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3",
            "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            check(bad, None);
        }
    }
}
