//! What somebody might send who means no good, or whose program is broken: refused soon, served rightly, never a crash.

use std::io::{BufRead, BufReader};

use super::{timeline::recorded, *};

/// For part of a path; none of them names anything.
const BAD_PARTS: &[&str] = &[
    "..",
    "%2e%2e",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%252e%252e%252f",
    "..%5c..%5c",
    "....%2f%2f",
    "%00",
    "cam%00",
    "%ff%fe",
    "%c0%ae%c0%ae",
    "%e2%80%ae",
    "-1",
    "99999999999999999999",
    "*",
    "%20",
    "~",
];

#[test]
fn no_part_of_any_path_leads_elsewhere() {
    let host = recorded(&[(300, &[0, 1, 2, 3, 4], true)]).nothing_waits();
    let long = "a".repeat(3000);
    let good = [("{device}", "cam"), ("{hour}", "22"), ("{again}", "22"), ("{piece}", "050"), ("{index}", "0")];
    let mut asked = 0;
    for entry in ROUTES.iter().filter(|entry| entry.path.contains('{')) {
        let parts: Vec<_> = entry.path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        for part in parts {
            for bad in BAD_PARTS.iter().copied().chain([long.as_str()]) {
                let path = entry.path.replacen(&format!("{{{part}}}"), bad, 1);
                let path = good.iter().fold(path, |path, (name, value)| path.replace(name, value));
                for method in ["GET", "HEAD", "POST", "DELETE"] {
                    let headers: &[&str] = if method == "POST" { &["Content-Length: 0"] } else { &[] };
                    let reply = host.ask(method, &path, headers);
                    assert!([400, 404, 405].contains(&reply.status), "{method} {path}: {}", reply.status);
                    if method != "HEAD" && !reply.body.is_empty() {
                        let kind = reply.json()["error"]["kind"].as_str().map(str::to_owned);
                        assert!(kind.is_some(), "{method} {path}: {}", reply.text());
                        assert!(!reply.text().contains("root:"), "{path}");
                    }
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 1000, "{asked}");
}

/// Reversed, empty, negative, far ahead, ten years, beyond any number, no text: of every route with a span.
#[test]
fn no_span_is_too_strange() {
    let host = recorded(&[(300, &[0, 1, 2, 3, 4], true), (100, &[0, 1], false)]).nothing_waits();
    let year = 365 * 86_400;
    let spans = [
        ("1699999703", "1699999701", &[400][..]),
        ("1699999701", "1699999701", &[400]),
        ("-5", "1699999701", &[400]),
        ("1699999701", "-5", &[400]),
        ("1699999701", "9999-12-31T23:59:59Z", &[400]),
        ("1699999701", "99999999999999999999", &[400]),
        ("9223372036854775807", "9223372036854775808", &[400]),
        ("1e300", "1e301", &[400]),
        ("NaN", "inf", &[400]),
        ("%ff", "%fe", &[400]),
        ("1699999701", "%00", &[400]),
        ("", "", &[400]),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", &[200, 404]),
        ("0", "1700086400", &[200, 307, 400, 413]),
        (&(NOW.as_seconds() - 10 * year).to_string(), "1699999704", &[200, 400, 413]),
    ];
    for (path, start, end) in [
        ("/api/host/clip/cam.mp4", "start", "end"),
        ("/api/host/playlist/cam.m3u8", "start", "end"),
        ("/api/host/timeline/cam", "from", "to"),
    ] {
        for (from, to, expected) in &spans {
            let clock = Clock::system();
            let began = clock.mono();
            let reply = host.get(&format!("{path}?{start}={from}&{end}={to}"));
            assert!(expected.contains(&reply.status), "{path} {from} to {to}: {} {}", reply.status, reply.text());
            assert!(reply.body.len() < 64 << 10, "{path} {from} to {to}");
            assert!(clock.mono().since(began) < Duration::from_secs(5), "{path} {from} to {to}");
        }
        let device = path.replace("cam", "nobody");
        assert_eq!(host.get(&format!("{device}?{start}=1699999701&{end}=1699999703")).status, 404);
        let twice = host.get(&format!("{path}?{start}=1699999701&{start}=1699999702"));
        assert_eq!(twice.status, 400, "{path}: one parameter twice");
    }
}

#[test]
fn ten_thousand_tiny_ranges() {
    let host = recorded(&[(300, &[0, 1, 2, 3, 4], true), (190, &[0, 1, 2], true)]).nothing_waits();
    let path = "/api/host/clip/cam.mp4?start=1699999701&end=1699999812";
    let whole = host.get(path).body;
    // In one header: refused for its length, or answered with the whole; never ten thousand parts.
    for count in [500, 10_000] {
        let ranges: Vec<_> = (0..count).map(|i| format!("{}-{}", i % 90, i % 90)).collect();
        let mut stream = TcpStream::connect(host.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: bytes={}\r\n\r\n",
            ranges.join(",")
        );
        // It may hang up before it has read everything.
        let _ = stream.write_all(head.as_bytes());
        let mut raw = Vec::new();
        let _ = stream.read_to_end(&mut raw);
        let status = raw.get(9..12).map(|code| String::from_utf8_lossy(code).into_owned());
        assert!(status.is_none_or(|status| ["200", "400", "431"].contains(&status.as_str())), "{count} ranges");
        assert!(raw.len() <= whole.len() + 1000, "{count} ranges");
    }
    // One after the other on one connection.
    let stream = TcpStream::connect(host.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    let mut random = 17_u64;
    for i in 0..10_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let from = (random >> 33) as usize % whole.len();
        let to = (from + (random >> 20) as usize % 8).min(whole.len() - 1);
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={from}-{to}\r\n\r\n");
        // In one piece: a second small one would wait for the first to be acknowledged.
        writer.write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{i}: {head}");
        }
        assert!(head.starts_with("HTTP/1.1 206 "), "{i}: {head}");
        let mut body = vec![0; to - from + 1];
        reader.read_exact(&mut body).unwrap();
        assert_eq!(body, whole[from..=to], "{i}: {from} to {to}");
    }
}

/// Chunks, gaps and parts at random: any ranges of any clip, put together, are the clip.
#[test]
fn random_ranges_of_random_timelines_are_the_whole() {
    let mut random = 5_u64;
    let mut below = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit.max(1)
    };
    let mut clips = 0;
    for _ in 0..6 {
        let host = recorded(&[]).nothing_waits();
        let mut at = NOW.as_seconds() - 3000;
        while at < NOW.as_seconds() - 200 {
            // Seconds with a picture: some are missing, which are gaps inside the chunk.
            let seconds: Vec<_> = (0..2 + below(60)).filter(|second| *second == 0 || below(8) > 0).collect();
            host.record(Utc90k::from_seconds(at), &seconds, true);
            // A part follows at once, or after a gap.
            at += 1 + *seconds.last().unwrap() as i64 + [0, 0, 2, 100][below(4) as usize];
        }
        for _ in 0..10 {
            let from = NOW.as_seconds() - 3000 + below(2700) as i64;
            let to = from + 1 + below(600) as i64;
            let gap = ["keep", "skip"][below(2) as usize];
            let path = format!("/api/host/clip/cam.mp4?start={from}.{}&end={to}.{}&gap={gap}", below(10), below(10));
            let whole = host.get(&path);
            if whole.status != 200 {
                assert!([307, 404].contains(&whole.status), "{path}: {}", whole.text());
                continue;
            }
            clips += 1;
            let etag = whole.header("etag").unwrap();
            let len = whole.body.len();
            let mut cuts: Vec<_> =
                (0..1 + below(5)).map(|_| 1 + below(len as u64 - 1) as usize).chain([0, len]).collect();
            cuts.sort_unstable();
            cuts.dedup();
            let mut ranges: Vec<_> = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
            let turn = below(ranges.len() as u64) as usize;
            ranges.rotate_left(turn);
            let mut joined = vec![0; len];
            for range in ranges {
                let wanted = format!("Range: bytes={}-{}", range.start, range.end - 1);
                let part = host.ask("GET", &path, &[&wanted, &format!("If-Range: {etag}")]);
                assert_eq!((part.status, part.header("etag")), (206, Some(etag)), "{path} {wanted}");
                joined[range].copy_from_slice(&part.body);
            }
            assert!(joined == whole.body, "{path}");
        }
    }
    assert!(clips > 20, "{clips}");
}
