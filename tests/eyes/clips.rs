//! Makes the clips of the corpus with FFmpeg and turns them into thumbnails and PCM as the product does.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use capstan::{
    capture::{
        Encoder, Probed, SourceProbe, VideoStream,
        command::{self, Attempt},
    },
    clock::Utc90k,
    config,
    ids::Epoch,
    storage::layout::HotLayout,
};
use serde::Deserialize;

/// One clip and what is to be found in it. See `corpus.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clip {
    pub name: String,
    /// How long it is; one that holds no trouble is ten minutes long in the full round.
    pub seconds: f64,
    /// FFmpeg's input, `{film}` and the like standing for files; empty = no pictures.
    #[serde(default)]
    pub input: String,
    #[serde(default)]
    pub filter: String,
    /// Options of libx264.
    #[serde(default)]
    pub encode: String,
    /// A graph of sound, or `{speech}` through `afilter`.
    #[serde(default)]
    pub sound: String,
    #[serde(default)]
    pub afilter: String,
    /// `[kind, from, to]`, seconds.
    #[serde(default)]
    pub spells: Vec<(String, f64, f64)>,
    /// Only key frames are looked at, as where a stream is copied.
    #[serde(default)]
    pub key_frames: bool,
    /// Only in the full round: long, or of media that are fetched.
    #[serde(default)]
    pub full: bool,
    /// Thresholds that differ.
    #[serde(default)]
    pub detect: config::DetectOverride,
}

pub fn corpus() -> Vec<Clip> {
    let file = root().join("tests/eyes/corpus.json");
    let mut clips: Vec<Clip> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    if is_full() {
        for clip in clips.iter_mut().filter(|clip| clip.spells.is_empty()) {
            clip.seconds = 600.0;
        }
    } else {
        clips.retain(|clip| !clip.full);
    }
    if let Ok(only) = std::env::var("CAPSTAN_EYES_ONLY") {
        clips.retain(|clip| clip.name.contains(&only));
    }
    clips
}

pub fn is_full() -> bool {
    std::env::var("CAPSTAN_EYES").is_ok_and(|round| round == "full")
}

/// Thumbnails in order, each with its time in the clip.
pub fn thumbnails(clip: &Clip, folder: &Path) -> Vec<(Utc90k, Vec<u8>)> {
    let video = folder.join("clip.mp4");
    let keep_sound = "-map 0:v:0 -an";
    let mut make = words(&clip.input);
    make.extend(words(&format!("{keep_sound} -t {}", clip.seconds)));
    if !clip.filter.is_empty() {
        make.extend(["-vf".into(), clip.filter.clone()]);
    }
    make.extend(words("-c:v libx264 -preset veryfast -threads 2 -pix_fmt yuv420p"));
    make.extend(words(&clip.encode));
    make.push(video.display().to_string());
    ffmpeg(&make);
    let (chain, output) = as_the_product_does(folder);
    let mut take = words(if clip.key_frames { "-skip_frame nokey" } else { "" });
    take.extend(["-i".into(), video.display().to_string(), "-vf".into(), chain]);
    take.extend(output);
    ffmpeg(&take);
    std::fs::remove_file(&video).unwrap();
    let mut pictures: Vec<_> = std::fs::read_dir(folder.join("cam/thumbnails"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let ticks: i64 = name.rsplit('_').next().unwrap().parse().unwrap();
            (Utc90k(ticks * 900), std::fs::read(&path).unwrap())
        })
        .collect();
    pictures.sort_by_key(|(at, _)| *at);
    pictures
}

/// 16 kHz mono, as FFmpeg's pipe gives it.
pub fn pcm(clip: &Clip, folder: &Path) -> Vec<u8> {
    let file = folder.join("sound.pcm");
    let mut make = words(&clip.sound);
    if !clip.afilter.is_empty() {
        make.extend(["-af".into(), clip.afilter.clone()]);
    }
    make.extend(words(&format!("-t {} -vn -ar 16000 -ac 1 -f s16le", clip.seconds)));
    make.push(file.display().to_string());
    ffmpeg(&make);
    std::fs::read(file).unwrap()
}

/// The filter and the output options of thumbnails, cut out of the command that the product runs for a file.
fn as_the_product_does(hot: &Path) -> (String, Vec<String>) {
    let settings = config::parse(
        "[[camera]]\nid = \"cam\"\nquality = \"copy\"\n\
         source = { kind = \"file\", path = \"/clip.mp4\", loop = false }",
    )
    .unwrap();
    let probed = Probed { version: "5.1".into(), encoder: Some(Encoder::X264), draw_text: true };
    let video = VideoStream { codec: "h264".into(), width: 1280, height: 720, has_b_frames: 0, fps: Some(25.0) };
    let probe = SourceProbe { format: "mov,mp4".into(), video: Some(video), audio: None, duration: Some(10.0) };
    let layout = HotLayout::new(hot);
    let attempt = Attempt { audio: false, hear: false, make_dts: false };
    let built = command::build(&settings.camera[0], &settings, &probed, Epoch(1), &layout, &probe, attempt).unwrap();
    let args: Vec<String> = built.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let graph = args.iter().find(|arg| arg.ends_with("[t]") && arg.contains("[t0]")).unwrap();
    let chain = graph.rsplit("[t0]").next().unwrap().trim_end_matches("[t]").to_owned();
    let map = args.iter().rposition(|arg| arg == "[t]").unwrap();
    std::fs::create_dir_all(hot.join("cam/thumbnails")).unwrap();
    (chain, args[map + 1..].to_vec())
}

fn ffmpeg(arguments: &[String]) {
    let output = Command::new("ffmpeg").args(words("-nostdin -v error -y")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg {}\n{said}", arguments.join(" "));
}

/// Splits at blanks and puts the files in.
fn words(text: &str) -> Vec<String> {
    let film = root().join("tests/fixtures/eyes/film.mp4");
    let still = root().join("tests/fixtures/eyes/still.jpg");
    let speech = root().join("tests/fixtures/eyes/speech.ogg");
    let fetched = root().join("target/eyes/media");
    let fill = |word: &str| {
        word.replace("{film}", &film.display().to_string())
            .replace("{still}", &still.display().to_string())
            .replace("{speech}", &speech.display().to_string())
            .replace("{media}", &fetched.display().to_string())
    };
    text.split_whitespace().map(fill).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
