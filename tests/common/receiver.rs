//! A program that is told of events by webhook: takes every request, and says what was in it and when.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
};

use capstan::clock::{Clock, Utc90k};
use serde_json::Value;

/// An event, and the wall clock when it arrived.
#[derive(Debug)]
pub struct Heard {
    pub at: Utc90k,
    pub body: Value,
}

/// Bodies of the requests, each answered with 200.
pub fn receive(listener: TcpListener) -> mpsc::Receiver<Heard> {
    let (tell, told) = mpsc::channel();
    let clock = Clock::system();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut reader = BufReader::new(&stream);
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            let body = serde_json::from_slice(&body).unwrap();
            if tell.send(Heard { at: clock.wall(), body }).is_err() {
                return;
            }
        }
    });
    told
}
