//! Chunks that were encoded anew: what readers get before, while and after one takes the place of what it was made of,
//! and how H.264 and H.265 lie side by side.

use std::{os::unix::fs::MetadataExt, process::Command};

use serde_json::json;

use super::{access::guarded, timeline::recorded, *};
use crate::{
    media::mpegts,
    merge::chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, OutSample, TrackRun},
    registry::users::Role,
    storage::layout::Companion,
};

const X264: &str = "libx264 -preset ultrafast -tune zerolatency -g 10 -qp 0 -pix_fmt yuv420p";
const X265: &str = "libx265 -preset ultrafast -x265-params log-level=error:keyint=10:open-gop=0:bframes=0";
/// Pictures of 0.1 s.
const PICTURES: usize = 60;

impl Host {
    /// A finished chunk of real media that begins so many seconds ago, not listed; and where its file lies.
    fn encoded(&self, ago: i64, encoder: &str, generation: u32) -> (ChunkEntry, std::path::PathBuf) {
        let file = self.dir.path().join("made.ts");
        let noisy = "testsrc2=size=640x360:rate=10:duration=6,noise=alls=30:allf=t,format=yuv420p";
        let done = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", noisy, "-c:v"])
            .args(encoder.split(' '))
            .args(["-f", "mpegts"])
            .arg(&file)
            .status();
        assert!(done.unwrap().success());
        let track = mpegts::demux(&fs::read(&file).unwrap(), None).unwrap().video.unwrap();
        let start = NOW + -ago * 90_000;
        let device = self.device();
        let spec =
            ChunkSpec { device: device.id.clone(), start, generation, video: track.config, audio: None, fps: 10.0 };
        let mut writer = ChunkWriter::create(Arc::clone(&self.state.volume), spec).unwrap();
        assert_eq!(track.samples.len(), PICTURES);
        for (number, gop) in track.samples.chunks(10).enumerate() {
            let of = |sample: &crate::media::VideoSample| OutSample {
                duration: 9000,
                cts: 0,
                sync: sample.sync,
                data: sample.data.clone(),
            };
            let samples: Vec<_> = gop.iter().map(of).collect();
            let run = TrackRun { base: number as u64 * 90_000, samples: &samples, es: &track.es };
            writer.append(&Fragment { video: Some(run), audio: None }).unwrap();
        }
        writer.commit(MarkInfo::default()).unwrap();
        let (key, end, codecs, path) = (writer.key(), writer.end(), writer.codecs().into(), writer.path().clone());
        let bytes = writer.seal().unwrap().bytes;
        let slot = RingSlot::of(start, 600);
        let place = Place::Ring(slot);
        let (gaps, holes, sealed, original) = (0, None, true, false);
        (ChunkEntry { key, place, start, end, bytes, codecs, gaps, holes, sealed, original }, self.root().join(path))
    }

    fn ring_file(&self, entry: &ChunkEntry) -> std::path::PathBuf {
        self.root().join(entry.path(self.state.volume.layout(), &self.device().id))
    }

    /// The same, in its place of the ring and listed.
    fn settled(&self, ago: i64, encoder: &str, generation: u32, copy: u16) -> ChunkEntry {
        let (mut entry, made) = self.encoded(ago, encoder, generation);
        entry.place = Place::Ring(RingSlot::of(entry.start, 600).with_copy(copy));
        let to = self.ring_file(&entry);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(made, to).unwrap();
        self.device().index.put(entry.clone());
        entry
    }
}

fn stable(entry: &ChunkEntry) -> String {
    format!("/host/stream/cam/chunks/{}", entry.key.file_name())
}

#[test]
fn readers_over_a_swap_get_what_they_began_with_or_are_told() {
    let host = recorded(&[]).nothing_waits();
    let old = host.settled(400, X264, 0, 1);
    let (new, made) = host.encoded(400, X265, 1);
    assert_eq!(old.key.start_ms, new.key.start_ms);
    let file = host.ring_file(&old);
    let (old_bytes, new_bytes) = (fs::read(&file).unwrap(), fs::read(&made).unwrap());
    assert!(old_bytes.len() > 8 << 20, "more than sockets hold: {}", old_bytes.len());
    let clip_address = "/api/host/clip/cam.mp4?start=1699999601&end=1699999605";
    let clip = host.get(clip_address);
    assert_eq!(clip.status, 200, "{:?}", String::from_utf8_lossy(&clip.body));
    // These have asked, and take nothing yet.
    let begin = |path: &str| {
        let mut stream = TcpStream::connect(host.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut first = [0; 1];
        stream.peek(&mut first).unwrap();
        stream
    };
    let under_way = [(begin(&stable(&old)), &old_bytes), (begin(clip_address), &clip.body)];

    // The new one has the name, and is not listed yet.
    let original = Companion::Original.beside(&file);
    fs::hard_link(&file, &original).unwrap();
    fs::rename(&made, &file).unwrap();
    let check = |path: &str, status: u16, etag: &str, body: &[u8]| {
        let reply = host.get(path);
        assert_eq!((reply.status, reply.header("etag")), (status, Some(etag)), "{path}");
        assert!(reply.body == body, "{path}: other bytes");
        reply
    };
    let [old_etag, new_etag] = [0, 1].map(|it| format!("\"cam-{}-{it}\"", old.key.start_ms));
    check(&stable(&old), 200, &old_etag, &old_bytes);
    check(clip_address, 200, clip.header("etag").unwrap(), &clip.body);
    let index = &host.device().index;
    index.replace(&old.key, new.clone(), true);

    // Both have an address; the name in the ring is the new one's.
    check(&stable(&old), 200, &old_etag, &old_bytes);
    check(&stable(&new), 200, &new_etag, &new_bytes);
    let name = "/host/stream/cam/segments/22/chunk_10min_0.mp4";
    let ring = check(name, 200, &new_etag, &new_bytes);
    assert_eq!(ring.header("content-location"), Some(stable(&new).as_str()));
    let resumed = host.ask("GET", name, &["Range: bytes=100-199", &format!("If-Range: {old_etag}")]);
    assert_eq!((resumed.status, resumed.body.len()), (200, new_bytes.len()), "no half of each");
    let part = host.ask("GET", &stable(&old), &["Range: bytes=100-199", &format!("If-Range: {old_etag}")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &old_bytes[100..200]));
    let after = host.get(clip_address);
    assert!(after.status == 200 && after.header("etag") != clip.header("etag") && after.body != clip.body);
    let resumed = format!("If-Range: {}", clip.header("etag").unwrap());
    let resumed = host.ask("GET", clip_address, &["Range: bytes=5-", &resumed]);
    assert_eq!((resumed.status, resumed.body == after.body), (200, true));
    let list = host.get("/api/host/playlist/cam.m3u8?start=1699999600&end=1699999606");
    assert!(list.text().contains(&stable(&new)) && !list.text().contains(&stable(&old)), "{}", list.text());

    // The original goes. Who reads it reads on; others hear that it was replaced.
    index.remove_original(&old.key).unwrap();
    fs::remove_file(&original).unwrap();
    let gone = host.get(&stable(&old));
    assert_eq!((gone.status, gone.json()["error"]["kind"].as_str()), (410, Some("gone")));
    for (stream, expected) in under_way {
        let reply = read_reply(stream);
        assert_eq!((reply.status, reply.body.len()), (200, expected.len()));
        assert!(reply.body == *expected, "whole, and of one generation");
    }
    assert_eq!(fs::metadata(&file).unwrap().size(), new.bytes);
}

#[test]
fn a_link_plays_on_when_what_its_playlist_names_is_encoded_anew() {
    let host = guarded(|_| {});
    let root = host.bearer("admin", Role::Admin);
    let index = &host.device().index;
    index.snapshot().iter().for_each(|chunk| drop(index.remove(&chunk.key)));
    let old = host.settled(400, X264, 0, 1);
    let body = json!({"device": "cam", "start": 1_699_999_601, "end": 1_699_999_603, "expires": 1_700_000_600});
    let told = host.call("POST", "/api/host/share", &[&root], &body).json();
    // As a player reads it: the head, then each entry.
    let named = |list: &str| -> Vec<(String, String)> {
        let list = m3u8_rs::parse_media_playlist_res(list.as_bytes()).unwrap();
        let range = |told: Option<m3u8_rs::ByteRange>| {
            let (from, length) = told.map(|told| (told.offset.unwrap(), told.length)).unwrap();
            format!("Range: bytes={from}-{}", from + length - 1)
        };
        let of = |one: m3u8_rs::MediaSegment| {
            one.map.map(|map| (map.uri, map.byte_range)).into_iter().chain([(one.uri, one.byte_range)])
        };
        list.segments.into_iter().flat_map(of).map(|(uri, told)| (uri, range(told))).collect()
    };
    let playlist = || host.get(told["playlist_url"].as_str().unwrap()).text().to_owned();
    let before = named(&playlist());
    let bytes_of = |list: &[(String, String)]| -> Vec<(u16, Vec<u8>)> {
        let replies = list.iter().map(|(path, range)| host.ask("GET", path, &[range]));
        replies.map(|reply| (reply.status, reply.body)).collect()
    };
    let played = bytes_of(&before);
    assert!(before.len() >= 2 && played.iter().all(|(status, _)| *status == 206), "{before:?}");

    let (new, made) = host.encoded(400, X265, 1);
    let file = host.ring_file(&old);
    let original = Companion::Original.beside(&file);
    fs::hard_link(&file, &original).unwrap();
    fs::rename(&made, &file).unwrap();
    assert_eq!(bytes_of(&before), played, "it has the name and is not listed yet");
    index.replace(&old.key, new.clone(), true);
    assert_eq!(bytes_of(&before), played, "the kept original");
    let after = named(&playlist());
    assert!(after[0].0.contains(&stable(&new)), "{after:?}");
    assert!(bytes_of(&after).iter().all(|(status, _)| *status == 206));
    for list in [&before, &after] {
        let beyond = host.ask("GET", &list[0].0, &["Range: bytes=0-9999999"]);
        assert_eq!(beyond.status, 403, "no more of it than the link is for");
    }

    // 24 h later it is gone for good, and says so.
    index.remove_original(&old.key).unwrap();
    fs::remove_file(&original).unwrap();
    assert!(bytes_of(&before).iter().all(|(status, _)| *status == 410));
}

#[test]
fn both_codecs_side_by_side() {
    let host = recorded(&[]).nothing_waits();
    let (h264, h265) = (host.settled(400, X264, 0, 1), host.settled(394, X265, 1, 2));
    let span = |from: i64, to: i64| format!("start={}&end={}", 1_699_999_600 + from, 1_699_999_600 + to);
    let clip = |from: i64, to: i64, more: &str| format!("/api/host/clip/cam.mp4?{}{more}", span(from, to));
    let codec_of = |reply: &Reply| {
        let file = host.dir.path().join("reply.mp4");
        fs::write(&file, &reply.body).unwrap();
        let told = Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-show_entries"])
            .args(["stream=codec_name,codec_tag_string,nb_read_frames", "-of", "csv=p=0"])
            .arg(&file)
            .output()
            .unwrap();
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    };

    // The timeline tells where they meet.
    let told = host.get(&format!("/api/host/timeline/cam?from={}&to={}", 1_699_999_600, 1_699_999_612)).json();
    let [of_h264, of_h265] = [&h264, &h265].map(|chunk| chunk.codecs.to_string());
    assert!(of_h264.starts_with("avc1.") && of_h265.starts_with("hvc1."), "{of_h264} {of_h265}");
    let seam = "2023-11-14T22:06:46.000Z";
    assert_eq!(
        told["coverage"],
        json!([
            {"start": "2023-11-14T22:06:40.000Z", "end": seam, "codec": of_h264},
            {"start": seam, "end": "2023-11-14T22:06:52.000Z", "codec": of_h265},
        ])
    );
    assert_eq!((&told["chunks"][1]["generation"], &told["chunks"][1]["codec"]), (&json!(1), &json!(of_h265)));

    // A clip of both is refused, with what plays instead.
    for path in [clip(2, 10, ""), "/host/stream/cam/segments/22/archive_hour_22.mp4?date=2023-11-14".to_owned()] {
        // The hour is over.
        if path.contains("hour") {
            host.manual.advance(Duration::from_secs(3600));
            host.record(NOW + 3600 * 90_000, &[0], true);
        }
        let refused = host.get(&path);
        assert_eq!(refused.status, 409, "{path}: {}", refused.text());
        let error = refused.json()["error"].clone();
        assert_eq!(error["kind"], "conflict");
        assert!(error["message"].as_str().unwrap().contains("codec=h264"), "{error}");
        let spans = error["spans"].as_array().unwrap();
        assert_eq!(spans.iter().map(|span| span["codec"].as_str().unwrap()).collect::<Vec<_>>(), ["h264", "h265"]);
        assert_eq!((&spans[0]["end"], &spans[1]["start"]), (&json!(seam), &json!(seam)));
        for (span, name) in spans.iter().zip(["h264,avc1", "hevc,hvc1"]) {
            let [start, end] = ["start", "end"].map(|name| span[name].as_str().unwrap());
            let part = host.get(&format!("/api/host/clip/cam.mp4?start={start}&end={end}"));
            assert_eq!(part.status, 200);
            assert!(codec_of(&part).starts_with(name), "{span}: {}", codec_of(&part));
        }
        assert_eq!(host.get(error["playlist_url"].as_str().unwrap()).status, 200);
        assert_eq!(host.ask("HEAD", error["clip_url"].as_str().unwrap(), &[]).status, 202);
    }
    assert_eq!(host.get(&clip(2, 10, "&explain=1")).status, 200);

    // codec=h264: at once where it is that already, else as a job.
    let direct = host.get(&clip(1, 5, "&codec=h264"));
    assert_eq!((direct.status, direct.body == host.get(&clip(1, 5, "")).body), (200, true));
    let done = |path: &str| {
        let mut last = host.get(path);
        for _ in 0..3000 {
            if last.status != 202 {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(20));
            last = host.get(path);
        }
        assert_eq!(last.status, 200, "{path}: {}", last.text());
        host.get(last.json()["url"].as_str().unwrap())
    };
    for (from, to, more) in [(7, 11, "&codec=h264"), (2, 10, "&codec=h264"), (2, 10, "&preset=low&codec=h264")] {
        let result = done(&clip(from, to, more));
        assert_eq!(codec_of(&result), format!("h264,avc1,{}", 10 * (to - from)), "{from}..{to}{more}");
    }
    for (query, path) in [("&codec=h265", "codec"), ("&codec=", "codec"), ("&codec=h264&tracks=audio", "codec")] {
        let reply = host.get(&clip(1, 2, query));
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, Some(path)), "{query}");
    }
    // An end that is still to come is told first, and what was asked stays asked.
    let led = host.get("/api/host/clip/cam.mp4?start=1699999601&end=1700009999&codec=h264");
    assert!(led.status == 307 && led.header("location").unwrap().ends_with("&codec=h264"));

    // Playlists: each part begins with its own map, and another list names all codecs.
    let address = format!("/api/host/playlist/cam.m3u8?{}", span(0, 12));
    let text = host.get(&address).text().to_owned();
    let list = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
    let maps: Vec<_> =
        list.segments.iter().filter_map(|segment| segment.map.as_ref()).map(|map| map.uri.clone()).collect();
    assert_eq!(maps, [stable(&h264), stable(&h265)]);
    assert!(list.segments.iter().any(|segment| segment.discontinuity));
    let leading = host.get(&format!("{address}&multivariant=1"));
    let leading = m3u8_rs::parse_master_playlist_res(&leading.body).unwrap();
    let [variant] = leading.variants.as_slice() else { panic!("one variant") };
    assert_eq!(variant.codecs.as_deref(), Some(format!("{of_h264},{of_h265}").as_str()));
    assert_eq!((variant.uri.as_str(), host.get(&variant.uri).text()), (address.as_str(), text.as_str()));
    let hour = host.get("/host/stream/cam/segments/22/archive.m3u8?multivariant=1&date=2023-11-14");
    assert!(hour.text().ends_with("\n/host/stream/cam/segments/22/archive.m3u8?date=2023-11-14\n"), "{}", hour.text());
    assert_eq!(host.get(&format!("{address}&multivariant=2")).json()["error"]["path"], "multivariant");

    // Pictures of it.
    for query in ["at=1699999608.55", "at=1699999608.55&exact=1", "at=1699999608.55&exact=1&width=64"] {
        let still = host.get(&format!("/api/host/screenshot/cam?{query}"));
        assert_eq!((still.status, &still.body[..2]), (200, &[0xff, 0xd8][..]), "{query}");
        assert!(still.header("x-picture-time").unwrap().starts_with("2023-11-14t22:06:48"), "{query}");
    }
}
