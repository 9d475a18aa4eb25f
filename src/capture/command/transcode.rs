//! H.264 in an old chunk becomes HEVC on a pipe: the encoders, what `quality` and `preset` mean to each, and the commands
//! that try, encode, decode and compare.

use std::path::Path;

use super::{Args, FfmpegCommand};

/// Best first: what costs the processor least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HevcEncoder {
    Qsv,
    Vaapi,
    Nvenc,
    V4l2m2m,
    X265,
}

impl HevcEncoder {
    pub const ALL: [Self; 5] = [Self::Qsv, Self::Vaapi, Self::Nvenc, Self::V4l2m2m, Self::X265];

    /// FFmpeg's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qsv => "hevc_qsv",
            Self::Vaapi => "hevc_vaapi",
            Self::Nvenc => "hevc_nvenc",
            Self::V4l2m2m => "hevc_v4l2m2m",
            Self::X265 => "libx265",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoder| encoder.name() == name)
    }

    /// Whether its driver may decode as well: then pictures never leave the graphics memory.
    pub fn can_decode(self) -> bool {
        self != Self::X265
    }
}

/// How much work a picture may cost, by the names of x264 and x265.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    Ultrafast,
    Superfast,
    Veryfast,
    Faster,
    Fast,
    #[default]
    Medium,
    Slow,
    Slower,
    Veryslow,
}

impl Effort {
    pub const ALL: [Self; 9] = [
        Self::Ultrafast,
        Self::Superfast,
        Self::Veryfast,
        Self::Faster,
        Self::Fast,
        Self::Medium,
        Self::Slow,
        Self::Slower,
        Self::Veryslow,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::Slower => "slower",
            Self::Veryslow => "veryslow",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == name)
    }
}

/// The worst `quality`.
pub const QUALITY_MAX: u8 = 51;

/// Everything decided about one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transcode<'a> {
    pub encoder: HevcEncoder,
    /// The encoder's driver decodes too.
    pub hardware_decode: bool,
    pub effort: Effort,
    /// 0 to [`QUALITY_MAX`], lower is better.
    pub quality: u8,
    /// At least 1.
    pub threads: usize,
    /// Pictures a second.
    pub fps: f64,
    /// Of the source's video.
    pub source_kbps: u64,
    /// At most so much, where the encoder can hold both a quality and a rate; None: whatever the quality takes.
    pub kbps_max: Option<u64>,
    /// Where key frames must be, in µs of the input's own time.
    pub keys_us: &'a [i64],
}

/// The PID of the video that [`transcode`] prints.
pub const TRANSCODE_PID: u16 = 0x100;

/// Reads the sealed chunk on its input, prints its video as HEVC in a transport stream. Times are those of the sample
/// table, its edit list left aside: a picture's is its place in the chunk plus a constant.
pub fn transcode(program: &Path, job: &Transcode<'_>) -> FfmpegCommand {
    let mut args = Args::default();
    args.add("-nostdin -hide_banner -nostats -loglevel error -xerror -filter_threads 1");
    device(&mut args, job.encoder);
    args.add("-copyts -err_detect explode -ignore_editlist 1");
    decoder(&mut args, job);
    // By descriptor: the chunk may be renamed meanwhile, and its disk taken away.
    args.add("-protocol_whitelist file -f mov -i file:/proc/self/fd/0 -map 0:v:0");
    // In the chunk's own ticks: rounded to a guessed frame rate, two pictures of a jittery camera would share one.
    args.add("-fps_mode passthrough -enc_time_base:v -1");
    encoder(&mut args, job);
    let keys: Vec<String> =
        job.keys_us.iter().map(|us| format!("{}.{:06}", us.div_euclid(1_000_000), us.rem_euclid(1_000_000))).collect();
    if !keys.is_empty() {
        args.pair("-force_key_frames", keys.join(","));
    }
    // Only where the forced ones fail: those come first.
    args.pair("-g", format!("{}", (job.fps * 10.0).clamp(10.0, 3000.0).round()));
    args.pair("-streamid", format!("0:{TRANSCODE_PID}"));
    args.add("-f mpegts -mpegts_copyts 1 -avoid_negative_ts disabled -muxdelay 0 -muxpreload 0 pipe:1");
    command(program, args)
}

/// Encodes ten pictures of the H.264 on its input the way chunks are; exit code 0 = the encoder works.
pub fn hevc_trial(program: &Path, encoder_: HevcEncoder, hardware_decode: bool) -> FfmpegCommand {
    let job = Transcode {
        encoder: encoder_,
        hardware_decode,
        effort: Effort::Ultrafast,
        quality: 30,
        threads: 1,
        fps: 25.0,
        source_kbps: 1000,
        kbps_max: None,
        keys_us: &[],
    };
    let mut args = Args::default();
    args.add("-nostdin -hide_banner -loglevel error -xerror -filter_threads 1");
    device(&mut args, encoder_);
    decoder(&mut args, &job);
    args.add("-protocol_whitelist pipe -f h264 -i pipe:0 -map 0:v:0 -frames:v 10");
    encoder(&mut args, &job);
    args.add("-g 5 -f null -");
    command(program, args)
}

/// Decodes the video on its input to the end, or to the first error; tells on its output how many pictures there were.
pub fn decode_all(program: &Path, threads: usize) -> FfmpegCommand {
    let mut args = Args::default();
    args.add("-nostdin -hide_banner -nostats -loglevel error -xerror -filter_threads 1");
    args.add("-progress pipe:1 -stats_period 0.5 -err_detect explode");
    args.pair("-threads", threads.to_string());
    args.add("-protocol_whitelist file -f mov -i file:/proc/self/fd/0 -map 0:v:0");
    args.add("-fps_mode passthrough -enc_time_base:v -1 -f null -");
    command(program, args)
}

/// Compares a second of two chunks, on its input and on descriptor 3, from `at_us` on; prints one line a picture.
pub fn ssim(program: &Path, threads: usize, at_us: i64) -> FfmpegCommand {
    let at = format!("{}.{:06}", at_us.div_euclid(1_000_000), at_us.rem_euclid(1_000_000));
    let mut args = Args::default();
    args.add("-nostdin -hide_banner -nostats -loglevel error -filter_threads 1 -filter_complex_threads 1");
    for descriptor in [0, 3] {
        args.pair("-threads", threads.to_string()).pair("-ss", at.as_str());
        args.add("-t 1 -protocol_whitelist file -f mov");
        args.pair("-i", format!("file:/proc/self/fd/{descriptor}"));
    }
    args.add("-filter_complex [0:v:0][1:v:0]ssim=stats_file=- -an -f null -");
    command(program, args)
}

fn device(args: &mut Args, encoder: HevcEncoder) {
    match encoder {
        HevcEncoder::Vaapi => args.add("-vaapi_device /dev/dri/renderD128"),
        HevcEncoder::Qsv => args.add("-init_hw_device qsv=hw -filter_hw_device hw"),
        HevcEncoder::Nvenc | HevcEncoder::V4l2m2m | HevcEncoder::X265 => args,
    };
}

fn decoder(args: &mut Args, job: &Transcode<'_>) {
    // More than four frames in flight cost memory and give nothing: the encoder is what takes time.
    args.pair("-threads", job.threads.clamp(1, 4).to_string());
    if !job.hardware_decode {
        return;
    }
    match job.encoder {
        HevcEncoder::Qsv => args.add("-hwaccel qsv -hwaccel_device hw -hwaccel_output_format qsv -c:v h264_qsv"),
        HevcEncoder::Vaapi => args.add("-hwaccel vaapi -hwaccel_output_format vaapi"),
        HevcEncoder::Nvenc => args.add("-hwaccel cuda -hwaccel_output_format cuda"),
        HevcEncoder::V4l2m2m => args.add("-c:v h264_v4l2m2m"),
        HevcEncoder::X265 => args,
    };
}

/// The one table of what `quality` and `preset` mean.
///
/// | encoder | quality q | at most | preset | by |
/// |---|---|---|---|---|
/// | `libx265` | CRF q − 1 | VBV of 2 s | the same name | measured, docs/decisions/0018: CRF 22 keeps SSIM 0.98 of what our recorder wrote |
/// | `hevc_qsv` | ICQ, `global_quality` q | no | the same name, nothing below `veryfast` | FFmpeg's QSV documentation: ICQ 1 to 51, lower is better, no rate beside it |
/// | `hevc_vaapi` | constant QP q | no | none | FFmpeg's VAAPI documentation: not every driver has more than CQP |
/// | `hevc_nvenc` | `-rc vbr -cq` q, no mean rate | `maxrate` | p1 to p7 | NVIDIA Video Codec SDK, "constant quality" and presets P1 (fastest) to P7 |
/// | `hevc_v4l2m2m` | bit rate: half the source's at 23, half again each 6 | that | none | the kernel's stateful encoders know bit rates alone; six steps of QP double or halve the rate (H.265 §8.6.1) |
fn encoder(args: &mut Args, job: &Transcode<'_>) {
    let quality = job.quality.min(QUALITY_MAX);
    let effort = job.effort;
    args.pair("-c:v", job.encoder.name());
    // Whole GOPs only: a reader begins at any of them, and one picture never needs the next one.
    args.add("-flags +cgop");
    match job.encoder {
        HevcEncoder::X265 => {
            // Frames side by side cost memory each; two keep two cores busy.
            let frames = job.threads.clamp(1, 2);
            args.pair("-crf", quality.saturating_sub(1).to_string()).pair("-preset", effort.name());
            capped(args, job);
            args.add("-forced-idr 1");
            // Its own settings, 2 KB before each key frame, are of no use to a player.
            let threads = job.threads.max(1);
            let own = format!("pools={threads}:frame-threads={frames}:open-gop=0:info=0:log-level=error");
            args.pair("-x265-params", own);
        }
        HevcEncoder::Qsv => {
            upload(args, job, "format=nv12,hwupload=extra_hw_frames=64");
            args.pair("-global_quality", quality.max(1).to_string());
            args.pair("-preset", effort.max(Effort::Veryfast).name()).add("-forced_idr 1");
        }
        HevcEncoder::Vaapi => {
            upload(args, job, "format=nv12,hwupload");
            args.add("-rc_mode CQP").pair("-qp", quality.max(1).to_string());
        }
        HevcEncoder::Nvenc => {
            let preset = match effort {
                Effort::Ultrafast | Effort::Superfast => "p1",
                Effort::Veryfast => "p2",
                Effort::Faster | Effort::Fast => "p3",
                Effort::Medium => "p4",
                Effort::Slow => "p5",
                Effort::Slower => "p6",
                Effort::Veryslow => "p7",
            };
            // 0 would mean: choose by yourself.
            args.pair("-preset", preset).add("-rc vbr -b:v 0").pair("-cq", quality.max(1).to_string());
            capped(args, job);
            args.add("-forced-idr 1");
        }
        HevcEncoder::V4l2m2m => {
            if !job.hardware_decode {
                args.add("-pix_fmt yuv420p");
            }
            let share = 0.5 * 2f64.powf((23.0 - f64::from(quality)) / 6.0);
            let kbps =
                (job.source_kbps as f64 * share).round().max(32.0).min(job.kbps_max.map_or(f64::MAX, |max| max as f64));
            args.pair("-b:v", format!("{kbps}k"));
        }
    }
}

fn capped(args: &mut Args, job: &Transcode<'_>) {
    if let Some(kbps) = job.kbps_max {
        args.pair("-maxrate", format!("{kbps}k")).pair("-bufsize", format!("{}k", 2 * kbps));
    }
}

/// Into the graphics memory, unless the decoder left them there.
fn upload(args: &mut Args, job: &Transcode<'_>, filter: &str) {
    if !job.hardware_decode {
        args.pair("-vf", filter);
    }
}

fn command(program: &Path, args: Args) -> FfmpegCommand {
    FfmpegCommand { program: program.into(), dir: "/".into(), args: args.0 }
}
