//! Footage without a recorder: pictures that show their own number, in chunks as a daemon of before left them. Pages that
//! play the past need not wait until there is some.

use std::{
    ops::Range,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use capstan::{
    clock::{Clock, Utc90k},
    config::Storage,
    ids::{DeviceId, Epoch, SegmentKey},
    media::{VideoCodec, VideoConfig, annexb::nal_units},
    merge::chunk::{ChunkSpec, ChunkWriter, Fragment, MarkInfo, OutSample, TrackRun},
    storage::{Volume, layout::RingSlot},
};

use super::{Setup, chunks::into_ring};

pub const FPS: u32 = 25;
const PICTURE_90K: u32 = 90_000 / FPS;
/// A number is a row of squares from the upper left corner, white for 1, the lowest first.
const BITS: usize = 12;
const SQUARE: usize = 24;
const WIDTH: usize = 320;
const HEIGHT: usize = 180;

/// Compressed pictures, a key picture each second.
pub struct Footage {
    codec: VideoCodec,
    es: Vec<u8>,
    pictures: Vec<(Range<usize>, bool)>,
}

impl Footage {
    /// At most 163 s of H.264, or there would be too few bits.
    pub fn numbered(seconds: u32) -> Self {
        let squares: Vec<_> = (0..BITS)
            .flat_map(|bit| {
                let at = format!("x={}:y=0:w={SQUARE}:h={SQUARE}:t=fill", bit * SQUARE);
                let is_set = format!("mod(floor(n/{})\\,2)", 1 << bit);
                [format!("drawbox={at}:color=black"), format!("drawbox={at}:color=white:enable='{is_set}'")]
            })
            .collect();
        let arguments = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "28", "-bf", "0", "-g", "25"];
        let more = ["-sc_threshold", "0", "-bsf:v", "h264_metadata=aud=insert", "-f", "h264"];
        Self::encoded(VideoCodec::H264, seconds, &squares.join(","), &[&arguments[..], &more[..]].concat())
    }

    pub fn h265(seconds: u32) -> Self {
        let arguments = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params"];
        let more = ["log-level=error:keyint=25:open-gop=0:bframes=0:aud=1", "-f", "hevc"];
        Self::encoded(VideoCodec::H265, seconds, "null", &[&arguments[..], &more[..]].concat())
    }

    fn encoded(codec: VideoCodec, seconds: u32, filter: &str, arguments: &[&str]) -> Self {
        let source = format!("testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS}:duration={seconds},{filter},format=yuv420p");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &source]).args(arguments).arg("-");
        let made = ffmpeg.stderr(Stdio::inherit()).output().unwrap();
        assert!(made.status.success());
        let es = made.stdout;
        let is_delimiter = |first: u8| match codec {
            VideoCodec::H264 => first & 0x1f == 9,
            VideoCodec::H265 => first >> 1 & 0x3f == 35,
        };
        let codes = es.windows(4).enumerate().filter(|(_, it)| it[..3] == [0, 0, 1] && is_delimiter(it[3]));
        let mut starts: Vec<_> = codes.map(|(at, _)| if at > 0 && es[at - 1] == 0 { at - 1 } else { at }).collect();
        starts.push(es.len());
        let is_key = |nal: &[u8]| match codec {
            VideoCodec::H264 => nal[0] & 0x1f == 5,
            VideoCodec::H265 => (16..=21).contains(&(nal[0] >> 1 & 0x3f)),
        };
        let pictures: Vec<_> =
            starts.windows(2).map(|it| (it[0]..it[1], nals(&es[it[0]..it[1]]).any(is_key))).collect();
        assert_eq!(pictures.len(), (seconds * FPS) as usize);
        Self { codec, es, pictures }
    }

    fn config(&self) -> VideoConfig {
        let first = &self.es[self.pictures[0].0.clone()];
        let is_set = |nal: &&[u8]| match self.codec {
            VideoCodec::H264 => matches!(nal[0] & 0x1f, 7 | 8),
            VideoCodec::H265 => (32..=34).contains(&(nal[0] >> 1 & 0x3f)),
        };
        let sets = nals(first).filter(is_set).map(<[u8]>::to_vec).collect();
        VideoConfig::from_parameter_sets(self.codec, sets).unwrap()
    }

    /// Sealed chunks in the ring of a daemon that is not running, one for each `(start in ms, seconds of this footage)`, on
    /// the grid of 10 s that [`Setup::new`] asks for.
    pub fn keep(&self, setup: &Setup, device: &str, chunks: &[(i64, Range<u32>)]) {
        let device: DeviceId = device.parse().unwrap();
        let volume = Volume::open(&Storage { root: setup.root(), ..Storage::default() }, &Clock::system()).unwrap();
        for (number, (start, seconds)) in chunks.iter().enumerate() {
            self.write(&volume, &device, Utc90k::from_ms(*start), seconds, number as u64);
        }
    }

    fn write(&self, volume: &Arc<Volume>, device: &DeviceId, start: Utc90k, seconds: &Range<u32>, number: u64) {
        let (video, fps) = (Some(self.config()), f64::from(FPS));
        let spec = ChunkSpec { device: device.clone(), start, generation: 0, video, audio: None, fps };
        let mut writer = ChunkWriter::create(Arc::clone(volume), spec).unwrap();
        for second in seconds.clone() {
            let its = (second * FPS) as usize..((second + 1) * FPS) as usize;
            let sample = |(data, sync): &(Range<usize>, bool)| OutSample {
                duration: PICTURE_90K,
                cts: 0,
                sync: *sync,
                data: data.clone(),
            };
            let samples: Vec<_> = self.pictures[its].iter().map(sample).collect();
            let base = u64::from(second - seconds.start) * 90_000;
            let run = TrackRun { base, samples: &samples, es: &self.es };
            writer.append(&Fragment { video: Some(run), audio: None }).unwrap();
        }
        writer.commit(MarkInfo { last: SegmentKey { epoch: Epoch(1), number }, ..MarkInfo::default() }).unwrap();
        into_ring(volume, device, RingSlot::of(start, 10), &writer.seal().unwrap());
    }
}

fn nals(es: &[u8]) -> impl Iterator<Item = &[u8]> {
    nal_units(es).map(|at| &es[at])
}

/// The number that a saved picture shows, and its size.
pub fn number_in(picture: &Path) -> (u32, [usize; 2]) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-i"]).arg(picture).args(["-f", "rawvideo", "-pix_fmt", "gray", "-"]);
    let grey = ffmpeg.output().unwrap().stdout;
    assert_eq!(grey.len(), WIDTH * HEIGHT, "{picture:?}");
    let is_white = |bit: usize| grey[SQUARE / 2 * WIDTH + bit * SQUARE + SQUARE / 2] > 127;
    ((0..BITS).filter(|bit| is_white(*bit)).map(|bit| 1 << bit).sum(), [WIDTH, grey.len() / WIDTH])
}
