//! Chunks of one device with what FFmpeg finds in them, and clips of them held against that.

use std::{
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use capstan::{
    clock::Utc90k,
    merge::chunk::ChunkSpec,
    playback::{
        ClipCache, TableCache,
        clip::{Clip, Made},
        virtual_mp4::{Cut, Gaps},
    },
    storage::{ChunkEntry, DeviceIndex, index::Place as Where},
};

use crate::support::{Media, Place, START, device, ffprobe};

/// A picture or a frame of sound, and when.
#[derive(Clone, Debug)]
pub struct Sample {
    pub is_video: bool,
    /// Seconds since [`START`].
    pub at: f64,
    pub bytes: Vec<u8>,
}

/// Chunks of one device and what lies in them.
pub struct Footage {
    pub place: Place,
    pub index: DeviceIndex,
    pub cache: TableCache,
    pub clips: ClipCache,
    pub samples: Vec<Sample>,
    /// Of decoded pictures: when, and the hash.
    pub frames: Vec<(f64, String)>,
}

/// Some GOPs of a recording as a chunk of their own.
pub struct Chunk {
    pub gops: std::ops::Range<usize>,
    /// Seconds by which it comes later than recorded.
    pub late: i64,
    pub sealed: bool,
}

pub const fn chunk(gops: std::ops::Range<usize>, late: i64) -> Chunk {
    Chunk { gops, late, sealed: true }
}

impl Footage {
    pub fn record(media: &Media, chunks: &[Chunk]) -> Self {
        let place = Place::new();
        let mut out = Self {
            place,
            index: DeviceIndex::new(device()),
            cache: TableCache::default(),
            clips: ClipCache::default(),
            samples: Vec::new(),
            frames: Vec::new(),
        };
        for chunk in chunks {
            out.add(media, chunk);
        }
        out.samples.sort_by(|one, other| one.at.total_cmp(&other.at));
        out
    }

    pub fn add(&mut self, media: &Media, chunk: &Chunk) {
        self.add_early(media, chunk, 0);
    }

    /// A chunk whose label says that it began earlier than it did.
    pub fn add_early(&mut self, media: &Media, chunk: &Chunk, early_90k: i64) {
        let mut gops = media.gops[chunk.gops.clone()].to_vec();
        let rate = media.spec.audio.as_ref().map_or(1, |audio| u64::from(audio.sample_rate));
        let video_at = gops[0].video.as_ref().map(|run| run.base);
        let audio_at = gops[0].audio.as_ref().map(|run| run.base * 90_000 / rate);
        let first = video_at.into_iter().chain(audio_at).min().unwrap();
        for gop in &mut gops {
            gop.video.iter_mut().for_each(|run| run.base -= first);
            gop.audio.iter_mut().for_each(|run| run.base -= first * rate / 90_000);
        }
        let start = START + first as i64 + chunk.late * 90_000 + -early_90k;
        let part = Media { spec: ChunkSpec { start, ..media.spec.clone() }, gops };
        let writer = part.record(&self.place, 2);
        let path = self.place.absolute(writer.path());
        let mut entry = ChunkEntry {
            key: writer.key(),
            place: Where::Temp,
            start,
            end: writer.end(),
            bytes: writer.published_len(),
            codecs: writer.codecs().into(),
            gaps: writer.gaps(),
            holes: None,
            sealed: chunk.sealed,
            original: false,
        };
        if chunk.sealed {
            entry.bytes = writer.seal().unwrap().bytes;
            self.learn(&path, start);
        }
        self.index.put(entry);
    }

    /// What a sealed chunk holds, as FFmpeg tells it.
    pub fn learn(&mut self, path: &Path, start: Utc90k) {
        let file = std::fs::read(path).unwrap();
        let since = (start - START) as f64 / 90_000.0;
        self.samples.extend(packets(path, &file).into_iter().map(|packet| Sample {
            is_video: packet.is_video,
            at: since + packet.pts,
            bytes: packet.bytes,
        }));
        self.frames.extend(frames(path).into_iter().map(|(at, hash)| (since + at, hash)));
    }

    /// Seconds since [`START`].
    pub fn clip(&self, from: f64, to: f64, gaps: Gaps, sound_only: bool) -> Option<Clip> {
        match self.ask(from, to, gaps, sound_only) {
            // Nothing follows in these tests.
            Made::Until(end) => self.clip(from, (end - START) as f64 / 90_000.0, gaps, sound_only),
            Made::Clip(clip) => Some(*clip),
            Made::Nothing => None,
        }
    }

    pub fn ask(&self, from: f64, to: f64, gaps: Gaps, sound_only: bool) -> Made {
        let at = |seconds: f64| START + (seconds * 90_000.0).round() as i64;
        let wish = Cut { span: at(from)..at(to), gaps, sound_only };
        Clip::make(&self.place.volume, &self.index, (&self.cache, &self.clips), wish).unwrap()
    }

    pub fn save(&self, clip: &Clip) -> PathBuf {
        let path = self.place.folder.path().join("clip.mp4");
        std::fs::write(&path, bytes_of(clip)).unwrap();
        path
    }

    /// A clip that keeps the time: all pictures and sounds of the span, no others, each at its moment.
    #[track_caller]
    pub fn check(&self, from: f64, to: f64, what: &str) {
        let what = format!("{what} {from}..{to}");
        let clip = self.clip(from, to, Gaps::Keep, false).unwrap_or_else(|| panic!("{what}: nothing"));
        let path = self.save(&clip);
        let file = std::fs::read(&path).unwrap();
        let zero = (clip.movie.start - START) as f64 / 90_000.0;
        assert!(zero >= from - 1e-4, "{what}");

        let span = |at: f64| at >= from - 1e-5 && at < to - 1e-5;
        let expected: Vec<_> = self.frames.iter().filter(|(at, _)| span(*at)).collect();
        let found = decoded(&path);
        let hashes = |list: Vec<&String>| list.into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            hashes(found.iter().map(|(_, hash)| hash).collect()),
            hashes(expected.iter().map(|(_, hash)| hash).collect()),
            "{what}: pictures"
        );
        for ((found, _), (expected, _)) in found.iter().zip(&expected) {
            assert!((zero + found - expected).abs() < 0.001, "{what}: a picture of {expected} at {}", zero + found);
        }
        assert_eq!(clip.movie.frames[0], expected.len(), "{what}");

        let heard: Vec<_> =
            packets(&path, &file).into_iter().filter(|packet| !packet.is_video && !packet.hidden).collect();
        let frame = 1024.0 / 44_100.0;
        let sounds: Vec<_> = self.samples.iter().filter(|sample| !sample.is_video).collect();
        for sound in sounds.iter().filter(|sound| sound.at >= zero + 1e-4 && sound.at < to - 1e-4) {
            assert!(heard.iter().any(|packet| packet.bytes == sound.bytes), "{what}: sound of {} is missing", sound.at);
        }
        for packet in &heard {
            let sound = sounds.iter().find(|sound| sound.bytes == packet.bytes).expect("sound of the chunks");
            assert!(sound.at > zero - frame - 1e-4 && sound.at < to, "{what}: sound of {}", sound.at);
            let apart = zero + packet.pts - sound.at;
            assert!(apart.abs() < 0.001, "{what}: sound of {} is {apart} s off", sound.at);
        }
    }
}

impl Footage {
    /// Picture and sound of one moment stay together, also where gaps are skipped.
    #[track_caller]
    pub fn check_skew(&self, clip: &Clip, from: f64, to: f64) {
        let path = self.save(clip);
        let (found, file) = (frames(&path), std::fs::read(&path).unwrap());
        for packet in packets(&path, &file).into_iter().filter(|packet| !packet.is_video && !packet.hidden) {
            let sound = self.samples.iter().find(|sound| sound.bytes == packet.bytes).unwrap();
            let apart = |at: f64| (at - sound.at).abs();
            let near = |one: &&(f64, String), other: &&(f64, String)| apart(one.0).total_cmp(&apart(other.0));
            let shown = || self.frames.iter().filter(|(at, _)| *at >= from - 1e-5 && *at < to - 1e-5);
            let (picture, _) = shown().min_by(near).unwrap();
            let number = shown().filter(|(at, _)| *at < picture - 1e-5).count();
            let skew = (packet.pts - found[number].0) - (sound.at - picture);
            assert!(skew.abs() <= 0.02, "{from}..{to}: sound of {} is {skew} s off", sound.at);
        }
    }
}

pub fn bytes_of(clip: &Clip) -> Vec<u8> {
    let mut out = clip.movie.head.to_vec();
    for (file, range) in clip.slices() {
        let mut piece = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut piece, range.start).unwrap();
        out.extend(piece);
    }
    assert_eq!(out.len() as u64, clip.len());
    out
}

pub struct Packet {
    pub is_video: bool,
    pub pts: f64,
    /// Decoded but not shown: the edit list leaves it out.
    pub hidden: bool,
    pub bytes: Vec<u8>,
}

pub fn packets(path: &Path, file: &[u8]) -> Vec<Packet> {
    let told = ffprobe(path, "-show_entries packet=codec_type,pts_time,size,pos,flags -of json");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let packet = |packet: &serde_json::Value| {
        let text = |name: &str| packet[name].as_str().unwrap_or_else(|| panic!("{name} in {packet}")).to_owned();
        let number = |name: &str| text(name).parse::<usize>().unwrap();
        Packet {
            is_video: text("codec_type") == "video",
            pts: text("pts_time").parse().unwrap(),
            hidden: text("flags").contains('D'),
            bytes: file[number("pos")..][..number("size")].to_vec(),
        }
    };
    told["packets"].as_array().unwrap().iter().map(packet).collect()
}

/// Decoded pictures: seconds and hash, in the order of presentation.
pub fn frames(path: &Path) -> Vec<(f64, String)> {
    pictures(&run(path, &["-v", "error", "-copyts"], &["-map", "0:v:0?"]))
}

/// The same of a file that decodes without any complaint, its sound too.
#[track_caller]
pub fn decoded(path: &Path) -> Vec<(f64, String)> {
    let output = run(path, &["-v", "warning", "-xerror", "-copyts"], &["-map", "0:v:0?", "-map", "0:a?"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", path.display());
    pictures(&output)
}

/// Hashes of what is mapped, pictures first.
fn run(path: &Path, before: &[&str], maps: &[&str]) -> Output {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner"]).args(before).arg("-i").arg(path).args(maps);
    command.args(["-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-f", "framemd5", "-"]);
    command.output().unwrap()
}

fn pictures(output: &Output) -> Vec<(f64, String)> {
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.contains("#media_type 0: video") {
        return Vec::new();
    }
    let line = |line: &str| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        (fields[2].parse::<f64>().unwrap() / 90_000.0, fields[5].to_owned())
    };
    text.lines().filter(|line| line.starts_with("0,")).map(line).collect()
}
