//! An FFmpeg that fails in every way: a script in its place, which lets the trial pass.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use capstan::{
    capture::command::HevcEncoder,
    transcode::{Codec, Limits, Options, Reason},
};

use crate::{
    rig::{RECORDED, Rig, options},
    support::{Media, encode},
};

/// The trial reads `pipe:0`, encoding prints `mpegts`, the check tells its `-progress`, the comparison is by `ssim`.
/// `instead` is what is done in the place of the one that `of` names.
fn fake(folder: &std::path::Path, of: &str, instead: &str) -> PathBuf {
    let path = folder.join("ffmpeg");
    let script = format!("#!/bin/sh\ncase \"$*\" in\n*\"{of}\"*) {instead} ;;\nesac\nexec ffmpeg \"$@\"\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

struct Case {
    of: &'static str,
    instead: &'static str,
    options: fn(&mut Options),
    reason: Reason,
    part: &'static str,
}

fn check(media: &Media, case: &Case) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options { ffmpeg: fake(folder.path(), case.of, case.instead), ..options() };
    (case.options)(&mut options);
    let rig = Rig::new(media, options);
    let before = std::fs::read(rig.source()).unwrap();
    let failure = rig.run().unwrap_err();
    assert_eq!(failure.reason, case.reason, "{}: {}", case.instead, failure.message);
    assert!(failure.message.contains(case.part), "{}: {}", case.instead, failure.message);
    assert!(!rig.successor().exists(), "{}", case.instead);
    assert!(std::fs::read(rig.source()).unwrap() == before, "{}", case.instead);
}

fn cases() -> Vec<Case> {
    const ENCODE: &str = "mpegts";
    /// An encoder of the right kind that reads something else than it should.
    const X265: &str = "-c:v libx265 -preset ultrafast -x265-params log-level=none:open-gop=0 -forced-idr 1";
    const TS: &str = "-streamid 0:256 -f mpegts -mpegts_copyts 1 -avoid_negative_ts disabled pipe:1; exit";
    let plain = |_: &mut Options| {};
    let mut cases = vec![
        Case {
            of: ENCODE,
            instead: "echo broken >&2; exit 3",
            options: plain,
            reason: Reason::Encoder,
            part: "broken",
        },
        Case { of: ENCODE, instead: "exit 0", options: plain, reason: Reason::Encoder, part: "nothing" },
        Case {
            of: ENCODE,
            instead: "head -c 1000000 /dev/urandom; exit 0",
            options: plain,
            reason: Reason::Encoder,
            part: "transport stream",
        },
        Case {
            of: ENCODE,
            instead: "sleep 60 & wait",
            options: |options| options.limits.silence = Duration::from_millis(600),
            reason: Reason::Time,
            part: "printed nothing",
        },
        Case {
            of: ENCODE,
            instead: "while :; do head -c 188 /dev/zero | tr '\\0' 'G'; sleep 0.1; done",
            options: |options| {
                options.limits = Limits { base: Duration::from_millis(900), encode_factor: 0.0, ..Limits::default() }
            },
            reason: Reason::Time,
            part: "longer",
        },
        Case { of: ENCODE, instead: "kill -9 $$", options: plain, reason: Reason::Cancelled, part: "outside" },
        Case { of: ENCODE, instead: "kill -SEGV $$", options: plain, reason: Reason::Encoder, part: "signal 11" },
        Case {
            of: ENCODE,
            instead: "ffmpeg \"$@\" | head -c 60000; exit 1",
            options: plain,
            reason: Reason::Encoder,
            part: "",
        },
        Case { of: "progress", instead: "exit 1", options: plain, reason: Reason::Decode, part: "" },
        Case { of: "progress", instead: "echo frame=199; exit 0", options: plain, reason: Reason::Decode, part: "199" },
        Case { of: "ssim", instead: "exit 0", options: plain, reason: Reason::Quality, part: "0 pictures" },
        Case {
            of: "ssim",
            instead: "echo n:1 All:0.93; exit 0",
            options: plain,
            reason: Reason::Quality,
            part: "0.9300",
        },
        Case {
            of: "nothing at all",
            instead: "",
            options: |options| options.min_savings_percent = 99.0,
            reason: Reason::Savings,
            part: "bytes",
        },
        Case {
            of: "nothing at all",
            instead: "",
            options: |options| options.quality = 0,
            reason: Reason::Savings,
            part: "not finished",
        },
        Case {
            of: "nothing at all",
            instead: "",
            options: |options| options.codec = Codec::Named(HevcEncoder::Nvenc),
            reason: Reason::Cancelled,
            part: "libx265 works",
        },
        Case { of: "", instead: "exit 1", options: plain, reason: Reason::Cancelled, part: "no HEVC encoder" },
    ];
    let made = |input: &str, more: &str| -> &'static str {
        format!("ffmpeg -v error {input} -copyts -fps_mode passthrough -enc_time_base:v -1 {more} {X265} {TS}").leak()
    };
    let own = "-ignore_editlist 1 -f mov -i /proc/self/fd/0 -an";
    for (instead, reason, part) in [
        // Half as long; every other picture; one too many; 40 ms later from the middle on.
        (made(&format!("{own} -t 3"), ""), Reason::Frames, "missing at the end"),
        (made(own, r"-vf 'select=not(mod(n\,2))'"), Reason::Frames, "another time"),
        (
            made(&format!("{own} -f lavfi -i testsrc2=size=320x180:rate=25:duration=13"), "-map 1"),
            Reason::Frames,
            "more",
        ),
        (made(own, r"-vf 'setpts=PTS+gte(N\,100)*900'"), Reason::Frames, "another time"),
        (made(own, "-vf scale=160:90"), Reason::Structure, "160×90"),
        // No key frame but the first.
        (made(own, "-g 9999 -vf hue=s=0"), Reason::Quality, "SSIM"),
    ] {
        cases.push(Case { of: ENCODE, instead, options: |options| options.ssim_min = 0.97, reason, part });
    }
    let h264 = format!("ffmpeg -v error {own} -copyts -fps_mode passthrough -c:v copy {TS}").leak();
    cases.push(Case {
        of: ENCODE,
        instead: h264,
        options: |options| options.min_savings_percent = 0.0,
        reason: Reason::Structure,
        part: "codec",
    });
    cases
}

/// Every fourth case, so that tests run side by side.
fn quarter(number: usize) {
    let media = encode(tempfile::tempdir().unwrap().path(), &RECORDED.replace("duration=12", "duration=8"));
    cases().iter().skip(number).step_by(4).for_each(|case| check(&media, case));
}

#[test]
fn every_way_to_fail_has_its_name_1() {
    quarter(0);
}

#[test]
fn every_way_to_fail_has_its_name_2() {
    quarter(1);
}

#[test]
fn every_way_to_fail_has_its_name_3() {
    quarter(2);
}

#[test]
fn every_way_to_fail_has_its_name_4() {
    quarter(3);
}
