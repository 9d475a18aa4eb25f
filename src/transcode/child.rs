//! One FFmpeg of a job from start to reaped: paused and cancelled by whoever steers, and ended when it takes too long.

use std::{fs::File, time::Duration};

use procfs::process::Process;

use crate::{
    capture::{ChildExit, Event, FfmpegCommand, Spawner},
    clock::Clock,
};

use super::{Failure, Reason, Steer};

/// Gets what a child prints, and for how long it has been at work.
pub type Take<'a> = dyn FnMut(&[u8], Duration) -> Result<(), Failure> + 'a;

/// What a run needs besides its command.
pub struct Keeper<'a> {
    pub spawner: &'a Spawner,
    pub clock: &'a Clock,
    pub control: &'a dyn Steer,
    /// Without a byte of output.
    pub silence: Duration,
    /// Altogether.
    pub limit: Duration,
}

impl Keeper<'_> {
    /// Runs `command` on `input`, and `third` as its descriptor 3; `take` gets what it prints. The child is reaped when this returns, however it does.
    pub fn run(
        &self,
        command: FfmpegCommand,
        input: File,
        third: Option<File>,
        take: &mut Take<'_>,
    ) -> Result<ChildExit, Failure> {
        let unavailable = |error: crate::error::Error| Failure::new(Reason::Cancelled, error.to_string());
        let mut child = self.spawner.pipe(command, input, third).map_err(unavailable)?;
        let mut group = None;
        let mut time = Time::default();
        let mut failure = None;
        let exit = loop {
            let before = self.clock.mono();
            let event = child.wait();
            let waited = self.clock.mono().since(before);
            let taken = match event {
                Event::Started(started) => {
                    group = Some(started);
                    self.control.encodes(group);
                    Ok(())
                }
                Event::Ended(exit) => break exit,
                // After its failure the rest is let go.
                _ if failure.is_some() => Ok(()),
                Event::Output(bytes) => {
                    time.pass(waited, false);
                    time.silent = Duration::ZERO;
                    take(&bytes, time.active)
                }
                Event::Tick => {
                    time.pass(waited, group.is_some_and(is_stopped));
                    Ok(())
                }
            };
            let outcome = taken.and_then(|()| if failure.is_some() { Ok(()) } else { self.check(&time) });
            if let Err(why) = outcome {
                child.kill();
                failure = Some(why);
            }
        };
        if group.is_some() {
            self.control.encodes(None);
        }
        match failure {
            Some(failure) => Err(failure),
            None if self.control.is_cancelled() => Err(Failure::cancelled()),
            None => Ok(exit),
        }
    }

    fn check(&self, time: &Time) -> Result<(), Failure> {
        if self.control.is_cancelled() {
            return Err(Failure::cancelled());
        }
        let too_long = |what: &str, limit: Duration| {
            Err(Failure::new(Reason::Time, format!("ffmpeg {what} {} s", limit.as_secs())))
        };
        if time.silent > self.silence {
            return too_long("printed nothing for", self.silence);
        }
        if time.active > self.limit {
            return too_long("took longer than", self.limit);
        }
        Ok(())
    }
}

/// How long it was waited for, not counted while it was stopped, nor while we were busy with what it had printed.
#[derive(Default)]
struct Time {
    active: Duration,
    silent: Duration,
}

impl Time {
    fn pass(&mut self, waited: Duration, is_stopped: bool) {
        if !is_stopped {
            self.active += waited;
            self.silent += waited;
        }
    }
}

/// Whether the leader of the group stands still by a signal.
fn is_stopped(group: i32) -> bool {
    Process::new(group).and_then(|leader| leader.stat()).is_ok_and(|stat| stat.state == 'T')
}

/// What an exit says. `decodes_h264`: a decoder of ours reads the source, and its complaints blame that.
pub fn judge(exit: &ChildExit, decodes_h264: bool) -> Result<(), Failure> {
    let last = exit.words.last().map_or("it said nothing", String::as_str);
    match (exit.code, exit.signal) {
        (Some(0), _) => Ok(()),
        _ if exit.not_started => Err(Failure::new(Reason::Cancelled, format!("ffmpeg cannot be started: {last}"))),
        (_, Some(libc::SIGKILL | libc::SIGTERM | libc::SIGINT)) => {
            // Not by us: the kernel short of memory, or a hand.
            Err(Failure::new(Reason::Cancelled, "ffmpeg was ended from outside"))
        }
        _ if decodes_h264 && exit.words.iter().any(|word| blames_source(word)) => {
            Err(Failure::new(Reason::Source, format!("it does not decode: {last}")))
        }
        (Some(code), _) => Err(Failure::new(Reason::Encoder, format!("ffmpeg ended with {code}: {last}"))),
        (None, signal) => {
            let signal = signal.map_or_else(|| "an unknown signal".into(), |signal| format!("signal {signal}"));
            Err(Failure::new(Reason::Encoder, format!("ffmpeg ended by {signal}: {last}")))
        }
    }
}

/// A line of FFmpeg 5 to 7 about what it reads.
fn blames_source(line: &str) -> bool {
    ["[h264 @", "[mov,mp4", "Error while decoding", "Decoding error", "Error submitting packet to decoder"]
        .iter()
        .any(|part| line.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_ffmpeg_says_whose_fault_it_was() {
        let check = |exit: ChildExit, expected: Option<Reason>| {
            assert_eq!(judge(&exit, true).err().map(|failure| failure.reason), expected, "{exit:?}");
        };
        let exit = |code, words: &[&str]| ChildExit {
            code: Some(code),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            ..ChildExit::default()
        };
        let signal = |signal| ChildExit { signal: Some(signal), ..ChildExit::default() };
        check(exit(0, &["[h264 @ 0x1] a warning"]), None);
        check(exit(1, &[]), Some(Reason::Encoder));
        check(exit(1, &["[libx265 @ 0x1] Cannot open libx265 encoder."]), Some(Reason::Encoder));
        check(exit(69, &["Error while decoding stream #0:0: Invalid data"]), Some(Reason::Source));
        check(exit(1, &["[h264 @ 0x1] error while decoding MB 3 4", "Conversion failed!"]), Some(Reason::Source));
        check(exit(69, &["[vist#0:0/h264] [dec:h264] Error submitting packet to decoder"]), Some(Reason::Source));
        check(signal(libc::SIGKILL), Some(Reason::Cancelled));
        check(signal(libc::SIGSEGV), Some(Reason::Encoder));
        check(ChildExit { not_started: true, ..ChildExit::default() }, Some(Reason::Cancelled));
        let decoding = judge(&exit(69, &["[hevc @ 0x1] Error while decoding"]), false);
        assert_eq!(decoding.err().map(|failure| failure.reason), Some(Reason::Encoder));
    }

    #[test]
    fn time_does_not_pass_while_it_is_stopped() {
        let mut time = Time::default();
        for (seconds, is_stopped) in [(2, false), (50, true), (3, false)] {
            time.pass(Duration::from_secs(seconds), is_stopped);
        }
        assert_eq!(time.active, Duration::from_secs(5));
        assert_eq!(time.silent, Duration::from_secs(5));
    }
}
