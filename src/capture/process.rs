//! One device's child as the rest of the daemon sees it: its progress, its last words, its end, and orders to it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    config::redact,
    error::{Error, Kind, Result},
    ids::Epoch,
};

use super::{command::FfmpegCommand, spawner::Spawner};

/// Lines of stderr kept of a run; an FFmpeg in trouble writes hundreds a second, and only the last explain its end.
const WORDS_MAX: usize = 40;

/// What FFmpeg last reported by `-progress`. Equal values mean that it did not get on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    pub frames: u64,
    pub out_time_us: i64,
    pub bytes: u64,
    pub fps: f64,
}

impl Progress {
    /// Takes one `key=value` line.
    pub(super) fn read(&mut self, line: &str) {
        let Some((key, value)) = line.split_once('=') else { return };
        let value = value.trim();
        match key {
            "frame" => self.frames = value.parse().unwrap_or(self.frames),
            "fps" => self.fps = value.parse().unwrap_or(self.fps),
            // Called `out_time_ms` and `out_time_us`, both in microseconds; N/A before the first packet.
            "out_time_us" => self.out_time_us = value.parse().unwrap_or(self.out_time_us),
            "total_size" => self.bytes = value.parse().unwrap_or(self.bytes),
            _ => {}
        }
    }

    /// Whether anything left FFmpeg since `earlier`.
    pub fn moved_since(&self, earlier: &Self) -> bool {
        (self.frames, self.out_time_us, self.bytes) != (earlier.frames, earlier.out_time_us, earlier.bytes)
    }
}

/// How a child ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildExit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// It could not be started at all.
    pub not_started: bool,
    /// Last lines of stderr, without credentials.
    pub words: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `q`, then SIGINT, then SIGKILL.
    Quit,
    Kill,
}

/// One run: a child, or a replay that behaves like one.
pub struct Running {
    pub epoch: Epoch,
    shared: Mutex<Shared>,
    orders: mpsc::Sender<Order>,
    ended: CancellationToken,
}

#[derive(Default)]
struct Shared {
    pid: Option<u32>,
    progress: Progress,
    words: VecDeque<String>,
    exit: Option<ChildExit>,
}

impl Running {
    pub(super) fn new(epoch: Epoch) -> (Arc<Self>, mpsc::Receiver<Order>) {
        // Two kinds of order exist and each is obeyed once: more than a few waiting mean nothing new.
        let (orders, receiver) = mpsc::channel(4);
        (Arc::new(Self { epoch, shared: Mutex::default(), orders, ended: CancellationToken::new() }), receiver)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While it lives.
    pub fn pid(&self) -> Option<u32> {
        self.shared().pid
    }

    pub fn progress(&self) -> Progress {
        self.shared().progress
    }

    /// None while it lives.
    pub fn exit(&self) -> Option<ChildExit> {
        self.shared().exit.clone()
    }

    /// Resolves when the child is reaped.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Asks it to finish its segment and go; ends it by force when it does not within 3 s.
    pub fn quit(&self) {
        let _ = self.orders.try_send(Order::Quit);
    }

    /// Ends it now.
    pub fn kill(&self) {
        let _ = self.orders.try_send(Order::Kill);
    }

    pub(super) fn report(&self, progress: Progress) {
        self.shared().progress = progress;
    }

    /// The first call counts.
    pub(super) fn finish(&self, mut exit: ChildExit) {
        let mut shared = self.shared();
        if shared.exit.is_some() {
            return;
        }
        shared.pid = None;
        exit.words.extend(shared.words.drain(..));
        shared.exit = Some(exit);
        drop(shared);
        self.ended.cancel();
    }

    pub(super) fn lives(&self, pid: Option<u32>) {
        self.shared().pid = pid;
    }

    pub(super) fn hear(&self, line: &str) {
        keep(&mut self.shared().words, line);
    }
}

/// Takes the decoded sound of a run, a tenth of a second at a time, on the thread that keeps all children: it must only
/// put it away.
pub type SoundSink = Arc<dyn Fn(Epoch, &[u8]) + Send + Sync>;

/// The one place of a device's child. Owned by the device, so that a restarted actor finds its FFmpeg running.
pub struct ProcessCell {
    spawner: Spawner,
    sound: SoundSink,
    now: Mutex<Option<Arc<Running>>>,
}

impl ProcessCell {
    /// Sound that FFmpeg decodes is heard by nobody.
    pub fn new(spawner: Spawner) -> Arc<Self> {
        Self::with_sound(spawner, Arc::new(|_, _| {}))
    }

    pub fn with_sound(spawner: Spawner, sound: SoundSink) -> Arc<Self> {
        Arc::new(Self { spawner, sound, now: Mutex::new(None) })
    }

    pub fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// The present or the last run.
    pub fn current(&self) -> Option<Arc<Running>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a child. Refused while another one of this device lives: two recorders would fight for the source.
    pub fn start(&self, command: FfmpegCommand, epoch: Epoch) -> Result<Arc<Running>> {
        self.occupy(epoch, |running, orders| self.spawner.run(command, running, orders, Arc::clone(&self.sound)))
    }

    pub(super) fn occupy(
        &self,
        epoch: Epoch,
        start: impl FnOnce(Arc<Running>, mpsc::Receiver<Order>) -> Result<()>,
    ) -> Result<Arc<Running>> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_ref().is_some_and(|running| running.exit().is_none()) {
            return Err(Error::new(Kind::Conflict, "this device's ffmpeg is still running"));
        }
        let (running, orders) = Running::new(epoch);
        start(Arc::clone(&running), orders)?;
        *now = Some(Arc::clone(&running));
        Ok(running)
    }
}

/// A device that is dropped takes its child with it: nobody else would ever stop it.
impl Drop for ProcessCell {
    fn drop(&mut self) {
        if let Some(running) = self.current() {
            running.kill();
        }
    }
}

/// Adds a line to bounded last words.
pub(super) fn keep(words: &mut VecDeque<String>, line: &str) {
    if words.len() >= WORDS_MAX {
        words.pop_front();
    }
    words.push_back(clean(line));
}

/// Without user and password of any URL in it, and without control characters.
fn clean(line: &str) -> String {
    let words: Vec<_> = line.split(' ').map(redact).collect();
    words.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_line_by_line() {
        let mut progress = Progress::default();
        for line in
            ["frame=50", "fps=25.00", "out_time_us=N/A", "out_time_us=2000000", "total_size=N/A", "speed=1x", "?"]
        {
            progress.read(line);
        }
        assert_eq!(progress, Progress { frames: 50, out_time_us: 2_000_000, bytes: 0, fps: 25.0 });
        assert!(!Progress { fps: 1.0, ..progress }.moved_since(&progress), "a rate is no movement");
        assert!(Progress { frames: 51, ..progress }.moved_since(&progress));
    }

    #[test]
    fn words_carry_no_credentials_and_no_control_characters() {
        let check = |line: &str, expected: &str| assert_eq!(clean(line), expected);
        check("rtsp://u:p@camera/live: Connection refused", "rtsp://***@camera/live: Connection refused");
        check("from 'http://u:p@h/x' to", "from 'http://***@h/x' to");
        check("a\x1b[31mb", "a [31mb");
    }
}
