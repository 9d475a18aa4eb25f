//! An HTTP client that reads as fast, or as slowly, as a bench wants, over connections that are kept.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use capstan::clock::Clock;

/// Room for the head of a reply and the first bytes behind it.
const BUFFER_BYTES: usize = 256 << 10;

pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A reply of which the body is still to be read.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    pub text: String,
    /// Of the whole body.
    pub len: u64,
    /// Bytes of the body that came with the head.
    pub had: u64,
}

impl Client {
    pub fn new(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream, buffer: vec![0; BUFFER_BYTES] }
    }

    /// Asks, and reads until the head and the first byte of the body are there.
    pub fn begin(&mut self, path: &str, range: Option<(u64, u64)>) -> Head {
        let range = range.map(|(from, to)| format!("Range: bytes={from}-{to}\r\n")).unwrap_or_default();
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: bench\r\n{range}\r\n").unwrap();
        let mut had = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[had..]).unwrap();
            assert!(count > 0, "{path}: the connection ended");
            had += count;
            let Some(end) = self.buffer[..had].windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&self.buffer[..end]).to_lowercase();
            let field = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
            let len = field("content-length:").map_or(0, |len| len.parse().unwrap());
            if had > end + 4 || len == 0 {
                let status = text[9..12].parse().unwrap();
                return Head { status, len, had: (had - end - 4) as u64, text };
            }
        }
    }

    /// Reads the rest of the body. The number of bytes of all of it.
    pub fn finish(&mut self, head: &Head) -> u64 {
        let mut had = head.had;
        while had < head.len {
            match self.stream.read(&mut self.buffer) {
                Ok(0) => panic!("the body ended after {had} of {} bytes", head.len),
                Ok(count) => had += count as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error} after {had} of {} bytes", head.len),
            }
        }
        assert_eq!(had, head.len);
        had
    }

    /// A reply of status 200 or 206 read to its end.
    pub fn get(&mut self, path: &str, range: Option<(u64, u64)>) -> u64 {
        let head = self.begin(path, range);
        assert!(matches!(head.status, 200 | 206), "{path}: {}", head.text);
        self.finish(&head)
    }
}

/// From the wish to connect until the first byte of the body, and that body's length. The rest is not read.
pub fn first_byte(server: SocketAddr, path: &str) -> (Duration, u64) {
    let clock = Clock::system();
    let before = clock.mono();
    let head = Client::new(server).begin(path, None);
    let took = clock.mono().since(before);
    assert_eq!(head.status, 200, "{path}: {}", head.text);
    (took, head.len)
}

/// From the wish to connect until the last byte, and how many.
pub fn whole(server: SocketAddr, path: &str) -> (Duration, u64) {
    let clock = Clock::system();
    let before = clock.mono();
    let len = Client::new(server).get(path, None);
    (clock.mono().since(before), len)
}
