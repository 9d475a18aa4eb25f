//! Stills and verdicts beside the chunks of a real recording: complete, playable, and none the worse for `kill -9`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use capstan::{clock::Utc90k, media::mp4::pack};
use common::{Setup, TestDaemon, Turn, daemon::finished, media, until};

const CAMERA: &str = "quality = \"low\"\nfps = 10\nsource = { kind = \"test\", pattern = \"testsrc2\", tone = 440 }";

/// Where what lies beside a chunk of the ring is.
fn beside(chunk: &Path, folder: &str, extension: &str) -> PathBuf {
    PathBuf::from(chunk.to_str().unwrap().replace("/segments/", &format!("/{folder}/"))).with_extension(extension)
}

fn stills(pack: &Path) -> Vec<Utc90k> {
    let bytes = fs::read(pack).unwrap_or_else(|error| panic!("{}: {error}", pack.display()));
    let read = pack::check(&bytes, bytes.len() as u64).unwrap().expect("a pack");
    assert!(read.is_sealed, "{}", pack.display());
    read.stills.iter().map(|still| still.at).collect()
}

fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
}

fn files_below(folder: &Path) -> usize {
    let hours = fs::read_dir(folder).into_iter().flatten().flatten();
    hours.flat_map(|hour| fs::read_dir(hour.path()).unwrap()).count()
}

#[test]
fn every_chunk_has_its_stills_and_lines_also_after_a_kill() {
    let _turn = Turn::wait();
    let setup = Setup::new().set("archive.preview_interval_seconds", 2).camera("cam", CAMERA);
    let device = setup.root().join("cam");
    let mut daemon = TestDaemon::start(setup);
    until("two chunks are finished", 60, || daemon.ring("cam").len() >= 2);
    until("a still waits or lies beside the open chunk", 20, || {
        let temp = fs::read_dir(device.join("segments/temp")).unwrap().flatten();
        temp.into_iter().any(|file| file.file_name().to_string_lossy().ends_with(".previews.mp4"))
    });
    daemon.kill();
    let before = daemon.ring("cam").len();
    daemon.start_again();
    until("two more are", 60, || daemon.ring("cam").len() >= before + 2);
    until("what lies beside them has come too", 10, || {
        daemon.ring("cam").iter().all(|chunk| beside(chunk, "metadata", "jsonl").exists())
    });

    let chunks = daemon.ring("cam");
    let (mut of_chunks, mut of_stills, mut of_lines, mut twice, mut all) = (0, 0, 0, 0, Vec::new());
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    for chunk in &chunks {
        let (pack, verdicts) = (beside(chunk, "thumbnails", "mp4"), beside(chunk, "metadata", "jsonl"));
        let (times, lines) = (stills(&pack), lines(&verdicts));
        let seconds = media::duration_seconds(chunk);
        println!("{seconds:.1} s: {} stills, {} lines", times.len(), lines.len());
        // One in each 2 s of UTC; the kill and the restart cost some frames, or bring a second one.
        twice += times.windows(2).filter(|pair| pair[0].as_seconds() / 2 == pair[1].as_seconds() / 2).count();
        assert!(twice <= 1 && times.is_sorted(), "{times:?}");
        assert!(times.len() as f64 >= seconds / 2.0 - 3.0 && times.len() as f64 <= seconds / 2.0 + 2.0);
        assert!(lines.len() as f64 >= seconds * 3.0 && lines.iter().all(|line| line["black"] == false));
        media::assert_decodes(&pack);
        assert_eq!(media::codecs(&pack), ["mjpeg"]);
        of_chunks += size(chunk);
        of_stills += size(&pack);
        of_lines += size(&verdicts);
        all.extend(times);
    }
    println!("{of_chunks} bytes of chunks, {of_stills} of stills, {of_lines} of lines");
    assert_eq!(files_below(&device.join("thumbnails")), chunks.len(), "none without its chunk");
    assert_eq!(files_below(&device.join("metadata")), chunks.len());

    for at in all.iter().step_by(5) {
        let hour = at.as_seconds() % 86_400 / 3600;
        let list = daemon.json(&format!("/api/host/thumbnails/cam/{hour}"));
        let url = format!("/host/stream/cam/thumbnails/{hour}/{}.jpg", at.as_ms());
        assert!(list["thumbnails"].as_array().unwrap().iter().any(|told| *told == url.as_str()), "{url}");
        let jpeg = daemon.get(&url).body;
        assert_eq!(pack::jpeg_size(&jpeg), Some([320, 180]), "{url}");
        let nearest = daemon.get(&format!("/api/host/preview/cam?at={}", at.as_ms() as f64 / 1000.0));
        assert!(nearest.body == jpeg, "{url} is not the nearest to its own time");
    }
    let frames = daemon.json("/api/host/metadata/cam?limit=10000");
    assert!(
        frames["count"].as_u64().unwrap() as usize
            >= chunks.iter().map(|it| lines(&beside(it, "metadata", "jsonl")).len()).sum::<usize>()
    );
    let hour = all[0].as_seconds() % 86_400 / 3600;
    let document = daemon.json(&format!("/host/stream/cam/segments/{hour}/metadata.json"));
    let sound = document["audio_segments"][0]["url"].as_str().expect("there is sound");
    assert!([200, 307].contains(&daemon.get(sound).status), "{sound}");
    let file = document["video_chunks"][0]["file"].as_str().unwrap();
    assert_eq!(daemon.get(&format!("/host/stream/cam/segments/{hour}/{file}")).status, 200);

    assert_eq!(daemon.metric("capstan_sibling_failures_total", &[("device", "cam")]), Some(0.0));

    // Cut by whatever means, it is told and mended, and what was whole of it is still there.
    daemon.stop();
    for file in [beside(&chunks[0], "thumbnails", "mp4"), beside(&chunks[0], "metadata", "jsonl")] {
        fs::File::options().write(true).open(&file).unwrap().set_len(size(&file) - 30).unwrap();
    }
    let archive = |word: &str| finished(daemon.setup.command(&["archive", word]));
    let (code, said) = archive("verify");
    assert!(said.contains("stills are damaged") && said.contains("metadata is cut"), "{code}: {said}");
    archive("repair");
    let (_, said) = archive("verify");
    assert!(said.contains("0 of"), "{said}");
    assert!(!stills(&beside(&chunks[0], "thumbnails", "mp4")).is_empty());
}

#[test]
fn nothing_lies_beside_chunks_that_nobody_watched() {
    let _turn = Turn::wait();
    let setup = Setup::new().set("analysis.enabled", false).camera("cam", CAMERA);
    let device = setup.root().join("cam");
    let daemon = TestDaemon::start(setup);
    until("a chunk is finished", 60, || !daemon.ring("cam").is_empty());
    assert!(!device.join("thumbnails").exists() && !device.join("metadata").exists());
    let chunk = &daemon.json("/host/stream/cam/segments/archive_manifest.json")["manifests"][0];
    let hour = chunk["window_index"].as_u64().unwrap();
    assert_eq!(daemon.json(&format!("/api/host/thumbnails/cam/{hour}"))["count"], 0);
    assert_eq!(daemon.json("/api/host/metadata/cam")["count"], 0);
    assert_eq!(daemon.get("/api/host/preview/cam").status, 404);
    let document = daemon.json(&format!("/host/stream/cam/segments/{hour}/metadata.json"));
    assert_eq!(
        (&document["total_frames"], document["video_chunks"].as_array().map(Vec::is_empty)),
        (&0.into(), Some(false))
    );
}
