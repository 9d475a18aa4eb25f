//! One device whose pictures change while it is kept: another size, then H.265. What is served, and what Chromium plays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::process::Command;

use common::{Setup, TestDaemon, Turn, browser::Browser, daemon::finished, media, skip, until};
use serde_json::{Value, json};

const TEST: &str = "fps = 25\nsource = { kind = \"test\", pattern = \"testsrc2\", tone = 440 }";

/// Codecs of what was recorded, in the order of time.
fn coverage(daemon: &TestDaemon) -> Vec<(String, String, String)> {
    let told = daemon.json("/api/host/timeline/cam");
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let all = told["coverage"].as_array().unwrap().iter();
    all.map(|it| (text(it, "start"), text(it, "end"), text(it, "codec"))).collect()
}

/// Stops it and starts it again with another camera of the same id; waits for seconds of that.
fn change(daemon: &mut TestDaemon, fields: &str) {
    daemon.stop();
    daemon.setup.change_camera("cam", fields);
    daemon.start_again();
    until("some of it is on the disk", 60, || daemon.committed_seconds("cam") > 6.0);
}

#[test]
fn another_size_plays_through_and_h265_says_what_it_is() {
    let _turn = Turn::wait();
    let mut daemon = TestDaemon::start(Setup::new().camera("cam", &format!("quality = \"low\"\n{TEST}")));
    until("some of it is on the disk", 60, || daemon.committed_seconds("cam") > 6.0);
    change(&mut daemon, &format!("quality = \"sd\"\n{TEST}"));
    // The new size goes on in the open chunk, whose name tells of the old one: the next chunk names the new.
    let names_another = || coverage(&daemon).windows(2).any(|pair| pair[0].2 != pair[1].2);
    until("a chunk of the new size", 60, names_another);
    let before_h265 = coverage(&daemon);
    let (start, end) = (&before_h265[0].0, &before_h265.last().unwrap().1);
    let list = format!("/api/host/playlist/cam.m3u8?start={start}&end={end}");
    let sizes: Vec<_> = before_h265.iter().map(|(.., codec)| codec.split(',').next().unwrap().to_owned()).collect();
    assert!(sizes.first() != sizes.last() && sizes.iter().all(|codec| codec.starts_with("avc1.")), "{sizes:?}");
    let text = daemon.get(&list).text();
    assert!(text.matches("#EXT-X-MAP").count() >= 2 && text.contains("#EXT-X-DISCONTINUITY"), "{text}");
    plays_in_a_browser(&daemon, &list, start);

    // As a camera that is set to H.265.
    let file = daemon.setup.folder().join("h265.mp4");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=10"])
        .args(["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25:open-gop=0"])
        .args(["-pix_fmt", "yuv420p", "-tag:v", "hvc1"])
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    change(&mut daemon, &format!("quality = \"copy\"\nsource = {{ kind = \"file\", path = {file:?} }}"));
    let all = coverage(&daemon);
    let (from, to, codec) = all.last().unwrap();
    assert!(codec.starts_with("hvc1."), "{all:?}");
    // Told to the millisecond below: that much of the part before may be in it.
    let from = from.replace('Z', "9Z");
    let clip = daemon.get(&format!("/api/host/clip/cam.mp4?start={from}&end={to}"));
    let path = daemon.setup.folder().join("clip.mp4");
    std::fs::write(&path, &clip.body).unwrap();
    media::assert_decodes(&path);
    assert_eq!(media::codecs(&path), ["hevc"]);
    // Over the change no player takes one file: told with what does play.
    let over = daemon.get(&format!("/api/host/clip/cam.mp4?start={start}&end={to}"));
    assert_eq!((over.status, over.json()["error"]["kind"].as_str()), (409, Some("conflict")));
    let file = daemon.setup.folder().join("both.mp4");
    let mut line = vec!["clip", "cam", "--start", start.as_str(), "--end", to.as_str(), "-o", file.to_str().unwrap()];
    let (code, said) = finished(daemon.setup.command(&line));
    assert!(code == 1 && said.contains("--codec h264") && said.contains("h265 from "), "{code}: {said}");
    line.extend(["--codec", "h264"]);
    let (code, said) = finished(daemon.setup.command(&line));
    assert_eq!(code, 0, "{said}");
    media::assert_decodes(&file);
    assert_eq!(media::codecs(&file), ["h264", "aac"]);
    // Each part of a playlist begins with what a player needs to know.
    let text = daemon.get(&format!("/api/host/playlist/cam.m3u8?start={from}&end={to}")).text();
    let map = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")).unwrap();
    let (address, rest) = map.split_once("\",BYTERANGE=\"").unwrap();
    let (len, offset) = rest.trim_end_matches('"').split_once('@').unwrap();
    let (len, offset): (usize, usize) = (len.parse().unwrap(), offset.parse().unwrap());
    let init = daemon.get_with(address, &[("Range", &format!("bytes={offset}-{}", offset + len - 1))]);
    assert!(init.body.windows(4).any(|four| four == b"hvc1"), "{address}");

    // Without a daemon it is the same.
    daemon.stop();
    let without: Vec<_> = line.iter().copied().filter(|word| !["--codec", "h264"].contains(word)).collect();
    let (code, said) = finished(daemon.setup.command(&without));
    assert!(code == 1 && said.contains("--codec h264") && said.contains("h265 from "), "{code}: {said}");
    let pictures = media::frame_hashes(&file).len();
    let (code, said) = finished(daemon.setup.command(&line));
    assert_eq!(code, 0, "{said}");
    media::assert_decodes(&file);
    assert_eq!((media::codecs(&file), media::frame_hashes(&file).len()), (vec!["h264".into(), "aac".into()], pictures));
}

fn plays_in_a_browser(daemon: &TestDaemon, list: &str, start: &str) {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => return skip("e2e_codecs in a browser", &why),
    };
    if !daemon.get("/").text().contains("/assets/") {
        return skip("e2e_codecs in a browser", "the binary was built without its page");
    }
    let mut browser = Browser::start(&program, &format!("http://{}/", daemon.address()));
    browser.ask("open", json!({}));
    // From the first size over the seam to the second.
    let text = daemon.get(list).text();
    let seconds: f64 =
        text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.split(',').next()?.parse::<f64>().ok()).sum();
    let played = browser.ask("archive", json!({"url": list, "seeks": [1.0, seconds - 4.0]}));
    println!("{played}");
    assert_eq!((&played["errors"], &played["width"]), (&json!([]), &json!(640)), "{played}");
    for sought in played["sought"].as_array().unwrap() {
        assert!(sought["ended"] == true || sought["frames"].as_u64() >= Some(60), "{played}");
    }
    // Sound alone has no picture, and is heard.
    let sound = format!("/api/host/clip/cam.mp4?start={start}&duration=3&tracks=audio");
    let heard = browser.ask("sound", json!({"url": sound}));
    println!("{heard}");
    assert!(heard["decoded"].as_u64() > Some(1000) && heard["frames"] == 0 && heard["width"] == 0, "{heard}");
    assert!((heard["duration"].as_f64().unwrap() - 3.0).abs() < 0.1, "{heard}");
    assert_eq!(browser.ask("report", json!({}))["problems"], json!([]));
}
