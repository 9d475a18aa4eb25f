#!/usr/bin/python3
"""Serves RTSP cameras for tests, by GStreamer, on 127.0.0.1.

    rtsp_server.py [--port N] [--password USER:PASSWORD] [--clip NAME=FILE.mp4]...

Prints `ready PORT` when it listens (port 0: the system chooses). Cameras:
  /live     H.264 640x360 25 fps, A-law sound (no AAC: the recorder must encode it)
  /aac      H.264 640x360 25 fps, AAC sound
  /hevc     H.265 320x240 10 fps, no sound
  /mjpeg    JPEG 320x240 10 fps: must be encoded
  /mute     H.264 that announces a sound track and falls silent after its first packets: must not stall the picture
  /bframes  H.264 with B-frames: copying it into TS needs times that RTP does not carry
  /NAME     the H.264 track of a file, as it is
Needs python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-{base,good,bad,ugly}, gstreamer1.0-libav.
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURE = "videotestsrc is-live=true pattern={} ! video/x-raw,width={},height={},framerate={}/1"
H264 = "x264enc {} bitrate=600 key-int-max=25 ! h264parse config-interval=1 ! rtph264pay name=pay0 pt=96"
PLAIN = "tune=zerolatency speed-preset=ultrafast"
TONE = "audiotestsrc is-live=true wave=ticks ! audioconvert ! audioresample ! audio/x-raw,rate={},channels={}"


def cameras():
    hd = PICTURE.format("ball", 640, 360, 25)
    small = PICTURE.format("smpte", 320, 240, 10)
    alaw = TONE.format(8000, 1) + " ! alawenc ! rtppcmapay name=pay1 pt=8"
    aac = TONE.format(48000, 2) + " ! avenc_aac ! rtpmp4gpay name=pay1 pt=97"
    # Announced, then cut off: see `close_gate`.
    mute = TONE.format(8000, 1) + " ! alawenc ! identity name=gate ! rtppcmapay name=pay1 pt=8"
    yield "live", f"{hd} ! {H264.format(PLAIN)} {alaw}"
    yield "aac", f"{hd} ! {H264.format(PLAIN)} {aac}"
    yield "mute", f"{hd} ! {H264.format(PLAIN)} {mute}"
    yield "bframes", f"{hd} ! {H264.format('speed-preset=veryfast bframes=2 b-adapt=false')}"
    yield "hevc", (
        f"{small} ! x265enc tune=zerolatency speed-preset=ultrafast bitrate=300 key-int-max=10"
        " ! h265parse config-interval=1 ! rtph265pay name=pay0 pt=96"
    )
    yield "mjpeg", f"{small} ! videoconvert ! video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0 pt=26"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", default="0")
    arguments.add_argument("--password", help="USER:PASSWORD; every camera then needs it (basic)")
    arguments.add_argument("--clip", action="append", default=[], metavar="NAME=FILE")
    options = arguments.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    mounts = server.get_mount_points()
    launches = dict(cameras())
    for clip in options.clip:
        name, file = clip.split("=", 1)
        launches[name] = f"filesrc location={file} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1"
    for name, launch in launches.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        factory.set_shared(True)
        factory.connect("media-configure", close_gate)
        if options.password:
            role = GstRtspServer.RTSPToken()
            role.set_string("media.factory.role", "viewer")
            auth = GstRtspServer.RTSPAuth()
            user, password = options.password.split(":", 1)
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), role)
            server.set_auth(auth)
            factory.add_role_from_structure(permissions())
        mounts.add_factory("/" + name, factory)
    server.attach(None)
    print("ready", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


def close_gate(_factory, media):
    gate = media.get_element().get_by_name("gate")
    if not gate:
        return
    passed = []

    def drop_later(_pad, _info):
        # A few packets must pass: this server answers PLAY only when every track plays.
        passed.append(1)
        return Gst.PadProbeReturn.OK if len(passed) <= 3 else Gst.PadProbeReturn.DROP

    gate.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, drop_later)


def permissions():
    permission = Gst.Structure.new_empty("viewer")
    permission.set_value("media.factory.access", True)
    permission.set_value("media.factory.construct", True)
    return permission


if __name__ == "__main__":
    main()
