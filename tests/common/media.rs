//! Asks ffmpeg and ffprobe, who did not write our files, what is in them.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::TestDaemon;

/// One compressed packet as a demuxer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub video: bool,
    pub pts_seconds: f64,
    pub size: u64,
    pub key: bool,
}

/// Every decoded video frame's hash, in order of presentation, duplicates and all.
#[track_caller]
pub fn frame_hashes(file: &Path) -> Vec<String> {
    let arguments =
        ["-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base:v", "-1", "-f", "framehash", "-hash", "md5", "-"];
    let (out, complaints) = ffmpeg(file, &arguments);
    assert_eq!(complaints, "", "{file:?} does not decode cleanly");
    out.lines().filter(|line| !line.starts_with('#')).map(|line| hash_column(line).to_owned()).collect()
}

/// Decoded pictures of all chunks, in order, are exactly the decoded pictures of all segments, run by run.
#[track_caller]
pub fn assert_all_frames_once(daemon: &TestDaemon, device: &str, runs: &[Vec<PathBuf>]) {
    let mut captured = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let joined = daemon.setup.folder().join(format!("{device}-{number}.ts"));
        join_segments(run, &joined);
        captured.extend(frame_hashes(&joined));
    }
    let chunks = daemon.chunks(device);
    let recorded: Vec<_> = chunks.iter().flat_map(|chunk| frame_hashes(chunk)).collect();
    assert!(captured.len() > 20, "{device}: only {} frames captured", captured.len());
    assert_same(&recorded, &captured, &format!("{device}: frames recorded, frames captured ({chunks:?})"));
}

/// Two lists are equal; says where they part instead of printing thousands of hashes.
#[track_caller]
pub fn assert_same(left: &[String], right: &[String], what: &str) {
    let at = left.iter().zip(right).position(|(a, b)| a != b);
    let at = at.or((left.len() != right.len()).then_some(left.len().min(right.len())));
    if let Some(at) = at {
        panic!(
            "{what}: {} and {}, different from {at} on: {:?} {:?}",
            left.len(),
            right.len(),
            left.get(at),
            right.get(at)
        );
    }
}

/// Every audio packet's hash, without ADTS headers, so that TS and MP4 compare.
#[track_caller]
pub fn audio_hashes(file: &Path) -> Vec<String> {
    let adts = file.extension().is_some_and(|kind| kind == "ts");
    let mut arguments = vec!["-map", "0:a:0?", "-c", "copy"];
    if adts {
        arguments.extend(["-bsf:a", "aac_adtstoasc"]);
    }
    arguments.extend(["-f", "framehash", "-hash", "md5", "-"]);
    let (out, _) = ffmpeg(file, &arguments);
    out.lines().filter(|line| !line.starts_with('#')).map(|line| hash_column(line).to_owned()).collect()
}

/// `stream, dts, pts, duration, size, hash` and then side data, which TS and MP4 carry differently.
fn hash_column(line: &str) -> &str {
    line.split(',').nth(5).unwrap_or_default().trim()
}

/// Decodes everything; panics on any complaint.
#[track_caller]
pub fn assert_decodes(file: &Path) {
    // In the file's own ticks: rounded to a guessed frame rate, two pictures of a jittery camera would share one.
    let own_times = ["-map", "0", "-fps_mode", "passthrough", "-enc_time_base:v", "-1", "-f", "null", "-"];
    let (_, complaints) = ffmpeg(file, &own_times);
    assert_eq!(complaints, "", "{file:?} does not decode cleanly");
}

#[track_caller]
fn ffmpeg(file: &Path, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-xerror", "-i"]).arg(file).args(arguments);
    let output = command.stdin(Stdio::null()).output().expect("ffmpeg runs");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {complaints}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), complaints)
}

/// All packets of the first video and the first audio track, in file order.
#[track_caller]
pub fn packets(file: &Path) -> Vec<Packet> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_entries", "packet=codec_type,pts_time,size,flags", "-of", "json"]).arg(file);
    let output = command.output().expect("ffprobe runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let reply: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packets = reply["packets"].as_array().unwrap();
    packets
        .iter()
        .map(|packet| {
            let text = |name: &str| packet[name].as_str().unwrap_or_default();
            Packet {
                video: text("codec_type") == "video",
                pts_seconds: text("pts_time").parse().unwrap_or(f64::NAN),
                size: text("size").parse().unwrap_or(0),
                key: text("flags").starts_with('K'),
            }
        })
        .collect()
}

/// Presentation times of one track, ascending.
pub fn times(packets: &[Packet], video: bool) -> Vec<f64> {
    let mut times: Vec<f64> = packets.iter().filter(|p| p.video == video).map(|p| p.pts_seconds).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Codec names as ffprobe has them, video first.
#[track_caller]
pub fn codecs(file: &Path) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of", "csv=p=0"]).arg(file);
    let output = command.output().expect("ffprobe runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut streams: Vec<_> = text.lines().filter_map(|line| line.split_once(',')).collect();
    streams.sort_by_key(|(_, kind)| *kind != "video");
    streams.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// Seconds, as the container says.
#[track_caller]
pub fn duration_seconds(file: &Path) -> f64 {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]).arg(file);
    let output = command.output().expect("ffprobe runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or_else(|_| panic!("{file:?} has no duration"))
}

/// Joins TS segments byte by byte, as a player of a playlist does.
pub fn join_segments(segments: &[PathBuf], to: &Path) {
    let mut joined = fs::File::create(to).unwrap();
    for segment in segments {
        joined.write_all(&fs::read(segment).unwrap()).unwrap();
    }
}

/// A folder for a `replay` source: `seconds` segments of the clip, and with `pictures_per_second` > 0 as many captures
/// and thumbnails.
pub fn prepare_replay(folder: &Path, seconds: u32, pictures_per_second: u32) {
    let names = ["segments", "captures", "thumbnails"].map(|name| folder.join(name));
    names.iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-stream_loop", "-1", "-i"]).arg(super::clip());
    command.args(["-t", &seconds.to_string(), "-map", "0", "-c", "copy", "-f", "hls", "-hls_time", "1"]);
    command.args(["-hls_list_size", "0", "-hls_segment_filename"]).arg(names[0].join("%05d.ts"));
    command.arg(folder.join("list.m3u8"));
    if pictures_per_second > 0 {
        let fps = pictures_per_second.to_string();
        let limit = seconds.to_string();
        command.args(["-t", &limit, "-map", "0:v", "-r", &fps, "-q:v", "5"]).arg(names[1].join("%06d.jpg"));
        command.args(["-t", &limit, "-map", "0:v", "-r", &fps, "-s", "320x180"]).arg(names[2].join("%06d.jpg"));
    }
    let output = command.output().expect("ffmpeg runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The types of an MP4's top-level boxes (ISO/IEC 14496-12 §4.2), in order.
#[track_caller]
pub fn top_boxes(file: &Path) -> Vec<String> {
    let bytes = fs::read(file).unwrap();
    let (mut at, mut found) = (0_usize, Vec::new());
    while let Some(head) = bytes.get(at..at + 8) {
        let small = u64::from(u32::from_be_bytes(head[..4].try_into().unwrap()));
        let size = match small {
            0 => (bytes.len() - at) as u64,
            1 => u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap()),
            size => size,
        };
        assert!(size >= 8, "{file:?}: a box of {size} bytes at {at}");
        found.push(String::from_utf8_lossy(&head[4..8]).into_owned());
        at = at.checked_add(usize::try_from(size).unwrap()).unwrap();
    }
    assert_eq!(at, bytes.len(), "{file:?}: the last box leaves the file: {found:?}");
    found
}

/// A sealed chunk is a plain progressive MP4: its table comes before its media, so that a player starts at once.
#[track_caller]
pub fn assert_table_first(file: &Path) {
    let boxes = top_boxes(file);
    let place = |name: &str| boxes.iter().position(|have| have == name);
    let (moov, mdat) = (place("moov"), place("mdat"));
    assert!(moov.is_some() && moov < mdat, "{file:?}: {boxes:?}");
    assert_eq!(place("moof"), None, "{file:?} is sealed, its fragments lie inside mdat: {boxes:?}");
}
