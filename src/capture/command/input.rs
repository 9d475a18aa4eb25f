//! The input side of the command: how each kind of source is opened, and which protocols it may use.

use std::ffi::OsString;

use crate::config::{Camera, RtspTransport, Source};

use super::{Args, Recipe, SOURCE_TIMEOUT, Sound, Video, test_source};

/// Adds the options of input 0, and of input 1 where sound has its own.
pub(super) fn add(args: &mut Args, camera: &Camera, recipe: &Recipe) {
    if let Video::Copy { key_frames_only: true, .. } = recipe.video {
        // Only pictures need the decoder here; the recording is copied. Key frames alone cost about a fiftieth.
        args.add("-skip_frame nokey -threads 1");
    }
    match &camera.source {
        Source::Test(test) => test_source::add(args, test, recipe),
        Source::File(file) => {
            args.add("-protocol_whitelist file -re");
            if file.looped {
                args.add("-stream_loop -1");
            }
            let mut url = OsString::from("file:");
            url.push(&file.path);
            args.pair("-i", url);
        }
        Source::Rtsp(rtsp) => {
            rtsp_options(args, rtsp.transport, recipe.audio != Sound::None);
            args.pair("-i", &rtsp.url);
        }
        Source::Http(http) => {
            http_options(args);
            if recipe.probe.needs_pacing() {
                args.add("-re");
            }
            if recipe.probe.format.contains("mpjpeg") {
                // Such a stream has no times at all; FFmpeg would count 25 pictures as a second.
                args.add("-use_wallclock_as_timestamps 1");
            }
            args.pair("-i", &http.url);
        }
        Source::V4l2(v4l2) => {
            args.add("-f v4l2 -thread_queue_size 64");
            if let Some(format) = &v4l2.format {
                args.pair("-input_format", format);
            }
            if let Some(fps) = camera.fps {
                args.pair("-framerate", fps.to_string());
            }
            if let Some(size) = v4l2.size {
                args.pair("-video_size", size.to_string());
            }
            args.pair("-i", &v4l2.path);
            if let (Some((system, name)), Sound::Encode) =
                (v4l2.audio.as_deref().and_then(|audio| audio.split_once(':')), recipe.audio)
            {
                // A second input has a thread and a queue of its own: a sound card that stalls leaves the pictures alone.
                args.pair("-f", system).add("-thread_queue_size 1024").pair("-i", name);
            }
        }
        Source::Screen(screen) => {
            args.add("-f x11grab -thread_queue_size 64");
            args.pair("-framerate", camera.fps.unwrap_or(SCREEN_FPS).to_string());
            args.pair("-video_size", screen.size.to_string());
            args.pair("-i", &screen.display);
        }
        Source::Replay(_) => {}
    }
}

/// Enough for a screen that people look at; each picture is grabbed and encoded whether it changed or not.
pub(super) const SCREEN_FPS: u32 = 15;

/// Shared with the probe, which must see what the recorder will see.
pub(super) fn rtsp_options(args: &mut Args, transport: RtspTransport, audio: bool) {
    args.add("-protocol_whitelist rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto");
    args.add(match transport {
        RtspTransport::Tcp => "-rtsp_transport tcp",
        RtspTransport::Udp => "-rtsp_transport udp",
    });
    // Not even asked for: a camera that announces sound and sends none cannot hold anything up then.
    args.add(if audio { "-allowed_media_types video+audio" } else { "-allowed_media_types video" });
    args.pair("-timeout", SOURCE_TIMEOUT.as_micros().to_string());
    // One second is a GOP of most cameras: enough to learn size and rate, quick enough to be back in 5 s.
    args.add("-analyzeduration 1000000 -probesize 1000000");
}

pub(super) fn http_options(args: &mut Args) {
    args.add("-protocol_whitelist http,https,httpproxy,tcp,tls,crypto,data");
    args.pair("-rw_timeout", SOURCE_TIMEOUT.as_micros().to_string());
    args.add("-analyzeduration 2000000");
}
