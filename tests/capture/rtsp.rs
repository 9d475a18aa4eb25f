//! A small RTSP camera (RFC 2326, RTP interleaved over TCP) that can misbehave: B-frames, sound that never comes,
//! wrong credentials, sudden death.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use capstan::{
    clock::Clock,
    media::{VideoTrack, mpegts},
};

pub struct Camera {
    pub address: SocketAddr,
    alive: Arc<AtomicBool>,
}

/// Descriptions of sound that is never sent.
pub const MUTE_ALAW: &str = "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";
pub const MUTE_AAC: &str = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/2\r\na=fmtp:97 streamtype=5;profile-level-id=1;\
    mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190\r\n";

/// Announced in a way that no decoder takes (Scalable Sample Rate).
pub const ODD_AAC: &str = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/2\r\na=fmtp:97 streamtype=5;profile-level-id=1;\
    mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1990\r\n";

#[derive(Clone)]
pub struct Film {
    /// `RTP/AVP` descriptions after the session's own lines.
    sdp: String,
    /// Of each picture in sending order: presentation time and NAL units.
    pictures: Vec<(i64, Vec<Vec<u8>>)>,
    lap_90k: i64,
    /// Seconds of the run in which a loud tone is sent as A-law.
    sound: Vec<Range<usize>>,
}

impl Film {
    /// From a TS with H.264. `mute` is the description of a track of which not one packet comes.
    pub fn new(ts: &[u8], mute: &str) -> Self {
        let video: VideoTrack = mpegts::demux(ts, None).unwrap().video.unwrap();
        let sets = &video.config.as_ref().unwrap().parameter_sets;
        let sets: Vec<_> = sets.iter().map(|set| base64(set)).collect();
        let mut sdp = format!(
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={}\r\na=control:track0\r\n",
            sets.join(",")
        );
        if !mute.is_empty() {
            sdp += &format!("{mute}a=control:track1\r\n");
        }
        let pictures: Vec<_> =
            video.samples.iter().map(|sample| (sample.pts_90k, nal_units(&video.es[sample.data.clone()]))).collect();
        let lap_90k = 3600 * i64::try_from(pictures.len()).unwrap();
        Self { sdp, pictures, lap_90k, sound: Vec::new() }
    }

    /// With [`MUTE_ALAW`], which then is not.
    pub fn sounding(self, sound: &[Range<usize>]) -> Self {
        Self { sound: sound.to_vec(), ..self }
    }
}

impl Camera {
    /// On a port of the system's choice.
    pub fn start(film: Film) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), film)
    }

    pub fn start_at(address: SocketAddr, film: Film) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let alive = Arc::new(AtomicBool::new(true));
        let running = Arc::clone(&alive);
        std::thread::spawn(move || {
            while running.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let (film, running) = (film.clone(), Arc::clone(&running));
                        // A client that hangs up is no failure of the camera.
                        std::thread::spawn(move || drop(serve(stream, &film, &running)));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Self { address, alive }
    }

    pub fn url(&self, path: &str) -> String {
        format!("rtsp://{}/{path}", self.address)
    }
}

/// Unplugged: all connections close and nobody listens.
impl Drop for Camera {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Relaxed);
    }
}

fn serve(stream: TcpStream, film: &Film, alive: &AtomicBool) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line);
        }
        let request = head.first().map(String::as_str).unwrap_or_default();
        let header = |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned();
        let cseq = header("CSeq:");
        let mut answer = |status: &str, more: &str, body: &str| {
            write!(
                out,
                "RTSP/1.0 {status}\r\nCSeq: {cseq}\r\nSession: 1;timeout=60\r\n{more}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        if request.contains("/secret") {
            answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"camera\"\r\n", "")?;
        } else if request.contains("/missing") {
            answer("404 Not Found", "", "")?;
        } else if request.starts_with("OPTIONS") {
            answer("200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", "")?;
        } else if request.starts_with("DESCRIBE") {
            let body = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=film\r\nt=0 0\r\n{}", film.sdp);
            answer("200 OK", "Content-Type: application/sdp\r\n", &body)?;
        } else if request.starts_with("SETUP") {
            answer("200 OK", &format!("Transport: {}\r\n", header("Transport:")), "")?;
        } else if request.starts_with("PLAY") {
            answer("200 OK", "Range: npt=0-\r\n", "")?;
            return play(&mut out, film, alive);
        } else {
            answer("200 OK", "", "")?;
        }
    }
}

/// Round and round at 25 pictures a second.
fn play(out: &mut TcpStream, film: &Film, alive: &AtomicBool) -> std::io::Result<()> {
    let clock = Clock::system();
    let began = clock.mono();
    let mut sequence = 0_u16;
    for (n, (lap, (pts, units))) in
        (0..).flat_map(|lap| film.pictures.iter().map(move |picture| (lap, picture))).enumerate()
    {
        let due = Duration::from_millis(40) * u32::try_from(n).unwrap();
        while clock.mono().since(began) < due {
            if !alive.load(Ordering::Relaxed) {
                return out.shutdown(std::net::Shutdown::Both);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        if film.sound.iter().any(|seconds| seconds.contains(&(n / 25))) {
            out.write_all(&tone(n))?;
        }
        let time = (pts + lap * film.lap_90k) as u32;
        for (i, unit) in units.iter().enumerate() {
            let last = i + 1 == units.len();
            for (packet, end) in fragments(unit) {
                let marker = if last && end { 0x80 } else { 0 };
                let mut rtp = vec![0x80, marker | 96];
                rtp.extend(sequence.to_be_bytes());
                rtp.extend(time.to_be_bytes());
                rtp.extend([0, 0, 0, 1]);
                rtp.extend(packet);
                let mut framed = vec![b'$', 0];
                framed.extend(u16::try_from(rtp.len()).unwrap().to_be_bytes());
                framed.extend(rtp);
                out.write_all(&framed)?;
                sequence = sequence.wrapping_add(1);
            }
        }
    }
    Ok(())
}

/// The 40 ms of sound beside picture `n`: a square wave of 500 Hz, interleaved as channel 2 (RFC 2326 10.12).
fn tone(n: usize) -> Vec<u8> {
    let mut rtp = vec![0x80, 8];
    rtp.extend((n as u16).to_be_bytes());
    rtp.extend((n as u32 * 320).to_be_bytes());
    rtp.extend([0, 0, 0, 2]);
    // G.711: these two are a quarter of full scale, positive and negative.
    rtp.extend((0..320).map(|sample| if sample % 16 < 8 { 0xb5 } else { 0x35 }));
    [&[b'$', 2], (rtp.len() as u16).to_be_bytes().as_slice(), &rtp].concat()
}

/// RFC 6184: whole when small, FU-A otherwise. With each whether it is the last.
fn fragments(unit: &[u8]) -> Vec<(Vec<u8>, bool)> {
    const MAX: usize = 1300;
    if unit.len() <= MAX {
        return vec![(unit.to_vec(), true)];
    }
    let pieces: Vec<_> = unit[1..].chunks(MAX).collect();
    let count = pieces.len();
    let of = |(i, piece): (usize, &&[u8])| {
        let mut packet = vec![unit[0] & 0xe0 | 28];
        packet.push(unit[0] & 0x1f | if i == 0 { 0x80 } else { 0 } | if i + 1 == count { 0x40 } else { 0 });
        packet.extend_from_slice(piece);
        (packet, i + 1 == count)
    };
    pieces.iter().enumerate().map(of).collect()
}

fn nal_units(annex_b: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = annex_b.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(i, _)| i).collect();
    let of = |(n, start): (usize, &usize)| -> Range<usize> {
        let end = starts.get(n + 1).copied().unwrap_or(annex_b.len());
        start + 3..end
    };
    let unit = |range: Range<usize>| {
        let mut unit = annex_b[range].to_vec();
        while unit.last() == Some(&0) {
            unit.pop();
        }
        unit
    };
    // 9 = access unit delimiter, which RTP does without.
    starts.iter().enumerate().map(of).map(unit).filter(|unit| unit.first().is_some_and(|b| b & 0x1f != 9)).collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= three.len() { letter as char } else { '=' });
        }
    }
    text
}
