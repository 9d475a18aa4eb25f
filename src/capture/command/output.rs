//! The output side: one filter graph, the TS segments, and the pictures; all of it into the device's hot folder.

use std::{ffi::OsString, fmt::Write};

use crate::{
    capture::{PICTURE_TICKS_PER_SECOND, encoder::Encoder, pcm},
    config::{Camera, Source},
    ids::Epoch,
    storage::layout::{HotKind, HotLayout, PictureKind, hot_pattern},
};

use super::{Args, Recipe, Sound, Tier, Video, input::SCREEN_FPS, test_source::FPS as TEST_FPS};

impl Recipe<'_> {
    /// Options that must stand before the inputs.
    pub(super) fn encoder_device(&self, args: &mut Args) {
        match self.video {
            Video::Encode { encoder: Encoder::Vaapi, .. } => args.add("-vaapi_device /dev/dri/renderD128"),
            Video::Encode { encoder: Encoder::Qsv, .. } => args.add("-init_hw_device qsv=hw -filter_hw_device hw"),
            _ => args,
        };
    }

    /// One graph for every output: `-vf` cannot feed several, and a second decoder would double the work.
    pub(super) fn filters(&self, args: &mut Args) {
        let pictures = self.wanted_pictures();
        let encode = matches!(self.video, Video::Encode { .. });
        let branches = pictures.len() + usize::from(encode);
        if branches == 0 {
            return;
        }
        let mut graph = String::from("[0:v:0]");
        if let Video::Encode { tier, .. } = self.video {
            graph += &self.fit(tier);
            graph.push(',');
        }
        let _ = write!(graph, "split={branches}");
        if let Video::Encode { encoder, .. } = self.video {
            let upload = match encoder {
                Encoder::X264 | Encoder::V4l2m2m => "format=yuv420p",
                Encoder::Vaapi => "format=nv12,hwupload",
                Encoder::Qsv => "format=nv12,hwupload=extra_hw_frames=16",
            };
            graph += "[main]";
            for (name, _) in &pictures {
                let _ = write!(graph, "[{name}0]");
            }
            let _ = write!(graph, ";[main]{upload}[v]");
        } else {
            for (name, _) in &pictures {
                let _ = write!(graph, "[{name}0]");
            }
        }
        for (name, kind) in &pictures {
            let _ = write!(graph, ";[{name}0]{}[{name}]", self.picture_chain(*kind));
        }
        args.pair("-filter_complex", graph);
    }

    /// Rate and size of what is encoded. Never enlarged, never distorted: the tier's size is a frame to fit into.
    fn fit(&self, tier: Tier) -> String {
        if matches!(self.camera.source, Source::Test(_)) {
            return "null".into();
        }
        let rate = tier.fps.map(|fps| format!("fps={fps},")).unwrap_or_default();
        format!("{rate}{}", shrink(tier.size.width, tier.size.height))
    }

    fn wanted_pictures(&self) -> Vec<(&'static str, PictureKind)> {
        let capture = &self.settings.capture;
        let all = [
            ("c", PictureKind::Capture, capture.captures_fps, self.settings.hot.captures),
            ("t", PictureKind::Thumbnail, capture.thumbnails_fps, self.settings.hot.thumbnails),
        ];
        let wanted = all.into_iter().filter(|(_, _, fps, kept)| *fps > 0.0 && *kept > 0);
        wanted.map(|(name, kind, ..)| (name, kind)).collect()
    }

    /// `select` keeps the picture's own time, where `fps` would move it to a grid: the name must tell the truth within
    /// one picture. 1 ms of tolerance, because 1/30 s has no exact value.
    fn picture_chain(&self, kind: PictureKind) -> String {
        let capture = &self.settings.capture;
        let every = |fps: f64| {
            let apart = (1.0 / fps - 0.001).max(0.0);
            format!("select='isnan(prev_selected_t)+gte(t-prev_selected_t,{apart:.3})'")
        };
        match kind {
            PictureKind::Capture => format!("{},scale=out_range=full", every(capture.captures_fps)),
            PictureKind::Thumbnail => {
                let size = capture.thumbnail_size;
                format!("{},{}:out_range=full", every(capture.thumbnails_fps), shrink(size.width, size.height))
            }
        }
    }

    /// Video and sound as 1 s TS segments.
    pub(super) fn recording(&self, args: &mut Args, epoch: Epoch, hot: &HotLayout) {
        match self.video {
            Video::Copy { held_back, .. } => {
                args.add("-map 0:v:0 -c:v copy");
                if let Source::Rtsp(_) = self.camera.source {
                    args.pair("-bsf:v", first_times(held_back));
                }
            }
            Video::Encode { encoder, tier } => {
                args.add("-map [v]");
                encode(args, encoder, tier, self.gop());
            }
        }
        if self.audio != Sound::None {
            args.pair("-map", format!("{}:a:0?", self.audio_input()));
        }
        match self.audio {
            Sound::None => {}
            Sound::Copy => {
                args.add("-c:a copy");
            }
            Sound::Encode => {
                let kbps = self.tier().map_or(96, |tier| tier.audio_kbps);
                // `async` fills holes and drops surplus: sound cards and cameras drift against their pictures.
                args.pair("-c:a", "aac").pair("-b:a", format!("{kbps}k")).add("-ar 48000 -af aresample=async=1");
                // Encoded sound must have begun before the muxer can: pictures wait for it, for 3 s. Then FFmpeg gives up
                // and the next attempt does without. (Below the threshold the count would not be looked at.)
                args.pair("-max_muxing_queue_size", (self.gop() * 3).to_string());
                args.add("-muxing_queue_data_threshold 0");
                if self.probe.audio.as_ref().is_none_or(|stream| stream.channels != 1) {
                    args.add("-ac 2");
                }
            }
        }
        // Sound that stops may hold pictures back for half a second, not for FFmpeg's 10 s.
        args.add("-max_interleave_delta 500000");
        // No shifting by either muxer: a picture's time and its segment's time stay tied (see `TS_OFFSET_90K`).
        args.add("-avoid_negative_ts disabled -f hls -hls_segment_options avoid_negative_ts=disabled");
        // `temp_file`: the rename is what "ready" means. No `delete_segments`: the daemon alone deletes.
        args.add("-hls_time 1 -hls_list_size 2 -hls_flags temp_file -hls_segment_type mpegts");
        args.pair("-hls_segment_filename", pattern(hot, self.camera, HotKind::Segment, epoch));
        args.0.push(hot.ffmpeg_playlist(&self.camera.id).into());
    }

    /// Which input has the sound.
    fn audio_input(&self) -> u8 {
        match self.camera.source {
            Source::Test(_) | Source::V4l2(_) => 1,
            _ => 0,
        }
    }

    /// Decoded for the analysis, on a pipe of its own: 16 kHz mono, a tenth of a second at a time. An output of its own
    /// waits for nobody and nobody for it. `async` with `first_pts=0` fills and trims, so that counting samples from the
    /// run's start tells their time.
    pub(super) fn sound(&self, args: &mut Args) {
        if !self.hears {
            return;
        }
        args.pair("-map", format!("{}:a:0", self.audio_input()));
        args.add("-c:a pcm_s16le -af");
        args.0.push(
            "aresample=16000:async=1:first_pts=0,aformat=sample_fmts=s16:channel_layouts=mono,asetnsamples=n=1600:p=0"
                .into(),
        );
        args.add("-f s16le -flush_packets 1").0.push(format!("pipe:{}", pcm::FD).into());
    }

    /// Pictures in one second, for encoders that count them and ignore forced key frames.
    fn gop(&self) -> u32 {
        let known = self.probe.video.as_ref().and_then(|video| video.fps);
        // 30 at most for what says nothing of itself: a closed GOP a little too short costs a few bits only.
        let guess = || known.map_or(30, |fps| (fps.round() as u32).clamp(1, 120));
        self.tier().and_then(|tier| tier.fps).unwrap_or_else(|| match self.camera.source {
            Source::Test(_) => TEST_FPS,
            Source::Screen(_) => SCREEN_FPS,
            _ => guess(),
        })
    }

    /// JPEGs whose names carry their time in [`PICTURE_TICKS_PER_SECOND`].
    pub(super) fn pictures(&self, args: &mut Args, epoch: Epoch, hot: &HotLayout) {
        for (name, kind) in self.wanted_pictures() {
            args.pair("-map", format!("[{name}]"));
            // 4 and 6 look alike at these sizes; a thumbnail of 320×180 takes 6 to 12 kB.
            let quality = if kind == PictureKind::Capture { "4" } else { "6" };
            args.add("-c:v mjpeg -pix_fmt yuvj420p -threads 1").pair("-q:v", quality);
            args.add("-fps_mode passthrough").pair("-enc_time_base", format!("1:{PICTURE_TICKS_PER_SECOND}"));
            args.add("-f image2 -atomic_writing 1 -frame_pts 1");
            args.0.push(pattern(hot, self.camera, HotKind::Picture(kind), epoch));
        }
    }
}

/// An absolute pattern. (The settings refuse a hot folder with `%`: the HLS muxer has no way to escape one.)
fn pattern(hot: &HotLayout, camera: &Camera, kind: HotKind, epoch: Epoch) -> OsString {
    hot.folder(&camera.id, kind).join(hot_pattern(kind, epoch)).into()
}

/// RTP gives the first picture of a run no time, and with B-frames FFmpeg 5.1 knows decoding times only when it has seen
/// one more picture than are held back; its TS muxer refuses the one and its guess for the others is out of order. So the
/// first is set before its neighbour (at most 3 pictures too early), and those decoding times count up from far enough.
fn first_times(held_back: u32) -> String {
    if held_back == 0 {
        let first = r"if(eq(PTS\,NOPTS)\,NEXT_PTS-DURATION\,";
        return format!(r"setts=pts={first}PTS):dts={first}DTS)");
    }
    let (early, earlier) = (held_back + 2, 2 * held_back + 4);
    format!(
        r"setts=pts=if(eq(PTS\,NOPTS)\,NEXT_PTS-{early}*DURATION\,PTS):dts=if(eq(N\,0)\,NEXT_PTS-{earlier}*DURATION\,if(lt(N\,{})\,PREV_OUTDTS+1\,DTS))",
        held_back + 1
    )
}

fn shrink(width: u16, height: u16) -> String {
    format!("scale=w='min({width},iw)':h='min({height},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2")
}

/// Closed GOPs of one second without B-frames; parameter sets in front of each (the TS muxer repeats them).
fn encode(args: &mut Args, encoder: Encoder, tier: Tier, gop: u32) {
    args.pair("-c:v", encoder.name());
    let (rate, buffer) = (format!("{}k", tier.kbps), format!("{}k", tier.kbps * 2));
    args.pair("-b:v", &rate).pair("-maxrate", &rate).pair("-bufsize", buffer);
    args.pair("-g", gop.to_string());
    args.pair("-force_key_frames", "expr:gte(t,n_forced)");
    args.add("-bf 0 -flags:v +cgop -fps_mode vfr");
    match encoder {
        Encoder::X264 => {
            // zerolatency cuts pictures into slices, one per thread: small pictures lose quality by it and gain nothing.
            let threads = if tier.size.height > 360 { "2" } else { "1" };
            args.add("-preset veryfast -tune zerolatency -sc_threshold 0").pair("-threads:v", threads);
        }
        Encoder::Qsv => {
            args.add("-forced_idr 1 -look_ahead 0");
        }
        Encoder::V4l2m2m | Encoder::Vaapi => {}
    }
}
