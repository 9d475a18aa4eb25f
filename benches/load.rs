//! Load for the bench of viewers: thousands of kept connections on one thread, each a player, a page or silent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench reports on its output")]

use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};

use capstan::clock::Clock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};

/// Room for the head of a reply; bodies are read through it, piece by piece.
const BUFFER_BYTES: usize = 16 << 10;

/// What came of the requests of one kind.
#[derive(Default)]
pub struct Times {
    pub took: Vec<Duration>,
    pub errors: usize,
    pub hits: usize,
    pub bytes: u64,
}

impl Times {
    /// Milliseconds below which `percent` of the replies were complete.
    pub fn at(&self, percent: f64) -> f64 {
        let mut sorted = self.took.clone();
        sorted.sort();
        let last = sorted.len().saturating_sub(1);
        let place = ((sorted.len() as f64 * percent / 100.0) as usize).min(last);
        sorted.get(place).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    }
}

pub type Book = Rc<RefCell<Times>>;

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    clock: Clock,
    buffer: Vec<u8>,
    /// Sent with each request, ends of lines included.
    headers: Rc<str>,
}

pub struct Reply {
    pub status: u16,
    pub is_hit: bool,
    pub body: Vec<u8>,
}

impl Connection {
    pub async fn open(server: SocketAddr, headers: &Rc<str>) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, clock: Clock::system(), buffer: vec![0; BUFFER_BYTES], headers: headers.clone() }
    }

    /// The whole reply, written down; `keep` gets its body. What fails or is no success is an error.
    pub async fn ask(&mut self, book: &Book, request: &str, body: &str, keep: bool) -> Option<Reply> {
        let began = self.clock.mono();
        let reply = self.exchange(request, body, keep).await;
        let took = self.clock.mono().since(began);
        let mut book = book.borrow_mut();
        match reply {
            Ok((reply, bytes)) if reply.status == 200 => {
                book.took.push(took);
                book.hits += usize::from(reply.is_hit);
                book.bytes += bytes;
                Some(reply)
            }
            Ok((reply, _)) => {
                if book.errors == 0 {
                    println!("load: {request}: {} {}", reply.status, String::from_utf8_lossy(&reply.body));
                }
                book.errors += 1;
                None
            }
            Err(error) => {
                if book.errors == 0 {
                    println!("load: {request}: {error}");
                }
                book.errors += 1;
                None
            }
        }
    }

    async fn exchange(&mut self, request: &str, body: &str, keep: bool) -> std::io::Result<(Reply, u64)> {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let (headers, length) = (&self.headers, body.len());
        let text =
            format!("{request} HTTP/1.1\r\nHost: localhost\r\n{headers}{kind}Content-Length: {length}\r\n\r\n{body}");
        self.stream.write_all(text.as_bytes()).await?;
        let mut had = 0;
        let end = loop {
            let count = self.stream.read(&mut self.buffer[had..]).await?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            had += count;
            if let Some(end) = self.buffer[..had].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_lowercase();
        let field = |name: &str| head.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        let status: u16 = head[9..12].parse().unwrap();
        let length: usize = field("content-length:").map_or(0, |length| length.parse().unwrap());
        let is_hit = field("x-cache:").is_some_and(|told| told == "hit");
        let keep = keep || status != 200;
        let mut kept = if keep { self.buffer[end..had].to_vec() } else { Vec::new() };
        let mut left = length - (had - end);
        while left > 0 {
            let room = left.min(BUFFER_BYTES);
            let count = self.stream.read(&mut self.buffer[..room]).await?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if keep {
                kept.extend_from_slice(&self.buffer[..count]);
            }
            left -= count;
        }
        Ok((Reply { status, is_hit, body: kept }, length as u64))
    }
}

/// Runs on one thread of its own until all are done.
pub fn run(all: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, all);
}

/// `share` of `shares` of a second behind the others, then each `period`.
pub async fn beats(share: usize, shares: usize, period: Duration) -> time::Interval {
    time::sleep(period.mul_f64(share as f64 / shares as f64)).await;
    let mut beats = time::interval(period);
    beats.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    beats
}
