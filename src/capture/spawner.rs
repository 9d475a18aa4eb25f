//! Children are started, drained, stopped and reaped on one permanent thread, whatever happens to any actor.
//!
//! The thread must be permanent because `PR_SET_PDEATHSIG` fires when the *thread* that started a child ends, and
//! because an unread pipe stops FFmpeg within seconds. It reads into bounded places only: the newest progress and the
//! last words.

use std::{collections::VecDeque, os::fd::OwnedFd, process::Stdio, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, FusedFuture},
};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::{
    error::{Error, Kind, Result},
    limits::WorkGroup,
};

use super::{
    command::FfmpegCommand,
    pcm,
    process::{ChildExit, Order, Running, SoundSink, keep},
};

/// Longest line kept.
const WORD_BYTES_MAX: usize = 400;
/// Output of a look that is kept; what ffprobe prints of two streams is below 2 kB.
const LOOK_BYTES_MAX: u64 = 64 << 10;
/// Of a conversion: a JPEG of 4096×2304 at the best quality has 9 MB.
const CONVERTED_BYTES_MAX: u64 = 16 << 20;
/// After `q`, then after SIGINT: FFmpeg needs well under a second to finish its segment; a stuck one never does. With
/// the drain, all within the 3.5 s that the device grants.
const QUIT_LIMIT: Duration = Duration::from_millis(2000);
const INTERRUPT_LIMIT: Duration = Duration::from_millis(700);
/// Pipes may outlive the child when something inherited them.
pub(super) const DRAIN_LIMIT: Duration = Duration::from_millis(300);

/// What a bounded look returned.
#[derive(Debug)]
pub(super) enum Look {
    Done { code: Option<i32>, output: Vec<u8>, words: Vec<String> },
    NotStarted(String),
    TooLong(Vec<String>),
}

/// How much of the processor a child gets when others want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    Usual,
    /// nice 19.
    Lowest,
    /// nice 19, the scheduler's idle class, the disk's idle class, first to go when memory is short.
    Idle,
}

pub(super) enum Job {
    Run {
        command: FfmpegCommand,
        running: Arc<Running>,
        orders: mpsc::Receiver<Order>,
        sound: SoundSink,
    },
    Look {
        command: FfmpegCommand,
        feed: Feed,
        limit: Duration,
        reply: oneshot::Sender<Look>,
    },
    /// Anything else that starts children or must outlive who asked for it.
    Work(Box<dyn FnOnce(WorkGroup) -> BoxFuture<'static, ()> + Send>),
}

/// What a look reads on its input, and how much of its output is kept.
pub(super) struct Feed {
    input: Bytes,
    output_bytes_max: u64,
}

/// A handle on the permanent thread. It lives as long as any handle does.
#[derive(Clone)]
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// Children are born into `group`.
    pub fn start(group: WorkGroup) -> Result<Self> {
        // Two jobs per device and start: full means that this thread is stuck, and waiting would not help.
        let (jobs, mut receiver) = mpsc::channel::<Job>(256);
        let failed = |error| Error::io("starting the thread that keeps FFmpeg", "capstan-ffmpeg", error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let keep = move || {
            runtime.block_on(async {
                while let Some(job) = receiver.recv().await {
                    // A task each: a panic in one is its own end only.
                    tokio::spawn(job.run(group.clone()));
                }
            });
        };
        std::thread::Builder::new().name("capstan-ffmpeg".into()).spawn(keep).map_err(failed)?;
        Ok(Self { jobs })
    }

    pub(super) fn run(
        &self,
        command: FfmpegCommand,
        running: Arc<Running>,
        orders: mpsc::Receiver<Order>,
        sound: SoundSink,
    ) -> Result<()> {
        self.submit(Job::Run { command, running, orders, sound })
    }

    pub(super) fn submit(&self, job: Job) -> Result<()> {
        self.jobs
            .try_send(job)
            .map_err(|_| Error::new(Kind::Unavailable, "the thread that keeps FFmpeg is not serving"))
    }

    /// Runs a short command to its end or to `limit`; never leaves it behind.
    pub(super) async fn look(&self, command: FfmpegCommand, limit: Duration) -> Look {
        self.feed(command, Feed { input: Bytes::new(), output_bytes_max: LOOK_BYTES_MAX }, limit).await
    }

    /// What `command` makes of `input`: pipe in, pipe out. Errors: `Unavailable` when it cannot run or takes longer than
    /// `limit`, `Corrupt` with its last words when it fails or prints nothing.
    pub async fn convert(&self, command: FfmpegCommand, input: Bytes, limit: Duration) -> Result<Bytes> {
        let feed = Feed { input, output_bytes_max: CONVERTED_BYTES_MAX };
        match self.feed(command, feed, limit).await {
            Look::Done { code: Some(0), output, .. } if !output.is_empty() => Ok(output.into()),
            Look::Done { words, .. } => {
                let why = words.last().map_or("it printed nothing", String::as_str);
                Err(Error::new(Kind::Corrupt, format!("ffmpeg made nothing of it: {why}")))
            }
            Look::NotStarted(why) => Err(Error::new(Kind::Unavailable, format!("ffmpeg cannot be started: {why}"))),
            Look::TooLong(_) => Err(Error::new(Kind::Unavailable, "ffmpeg took too long")),
        }
    }

    /// Whether `command` ends well on `input` within `limit`. Blocks: not for an actor.
    pub fn works(&self, command: FfmpegCommand, input: Bytes, limit: Duration) -> bool {
        let (reply, answer) = oneshot::channel();
        let feed = Feed { input, output_bytes_max: LOOK_BYTES_MAX };
        let is_asked = self.submit(Job::Look { command, feed, limit, reply }).is_ok();
        is_asked && matches!(answer.blocking_recv(), Ok(Look::Done { code: Some(0), .. }))
    }

    async fn feed(&self, command: FfmpegCommand, feed: Feed, limit: Duration) -> Look {
        let (reply, answer) = oneshot::channel();
        if let Err(error) = self.submit(Job::Look { command, feed, limit, reply }) {
            return Look::NotStarted(error.to_string());
        }
        answer.await.unwrap_or_else(|_| Look::NotStarted("the look was abandoned".into()))
    }
}

impl Job {
    async fn run(self, group: WorkGroup) {
        match self {
            Self::Run { command, running, orders, sound } => run(command, &running, orders, &sound, group).await,
            Self::Work(work) => work(group).await,
            Self::Look { command, feed, limit, mut reply } => {
                // Whoever asked may leave: then the child goes too, by `kill_on_drop`.
                tokio::select! {
                    look = look(&command, feed, limit, group) => drop(reply.send(look)),
                    () = reply.closed() => {}
                }
            }
        }
    }
}

/// From start to reaped.
async fn run(
    command: FfmpegCommand,
    running: &Running,
    mut orders: mpsc::Receiver<Order>,
    sink: &SoundSink,
    group: WorkGroup,
) {
    // Should this task ever end early, its child dies with it and the place becomes free.
    let _finish = FinishOnDrop(running);
    let spawned = pcm::open()
        .and_then(|(sound, end)| Ok((spawn(&command, Stdio::piped(), Some(end), group, Priority::Usual)?, sound)));
    let (mut child, sound) = match spawned {
        Ok(spawned) => spawned,
        Err(error) => {
            let words = vec![format!("{}: {error}", command.program.display())];
            return running.finish(ChildExit { not_started: true, words, ..ChildExit::default() });
        }
    };
    running.lives(child.id());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pipes = async {
        tokio::join!(
            each_line(stdout, |line| {
                let mut progress = running.progress();
                progress.read(line);
                running.report(progress);
            }),
            each_line(stderr, |line| running.hear(line)),
            pcm::drain(sound, running.epoch, sink),
        );
    };
    let mut stdin = stdin;
    let life = async {
        loop {
            let order = tokio::select! {
                status = child.wait() => return status,
                order = orders.recv() => order,
            };
            match order {
                Some(Order::Quit) => {
                    if let Some(mut stdin) = stdin.take() {
                        let _ = stdin.write_all(b"q").await;
                        let _ = stdin.flush().await;
                        if let Ok(status) = obey(&mut child, &mut orders, QUIT_LIMIT).await {
                            return status;
                        }
                    }
                    signal(&child, Signal::INT);
                    if let Ok(status) = obey(&mut child, &mut orders, INTERRUPT_LIMIT).await {
                        return status;
                    }
                    signal(&child, Signal::KILL);
                }
                Some(Order::Kill) | None => signal(&child, Signal::KILL),
            }
            if order != Some(Order::Quit) {
                return child.wait().await;
            }
        }
    };
    // Both may be closed by a child that goes on: then it can no longer be watched, but it can be waited for.
    let mut pipes = std::pin::pin!(pipes.fuse());
    let mut life = std::pin::pin!(life);
    let status = loop {
        tokio::select! {
            status = &mut life => break status,
            () = &mut pipes => {}
        }
    };
    if !pipes.is_terminated() {
        let _ = timeout(DRAIN_LIMIT, pipes).await;
    }
    running.finish(exit_of(status));
}

struct FinishOnDrop<'a>(&'a Running);

impl Drop for FinishOnDrop<'_> {
    fn drop(&mut self) {
        self.0.finish(ChildExit { words: vec!["its keeper was abandoned".into()], ..ChildExit::default() });
    }
}

/// Waits for the end up to `limit`; an order to kill cuts the wait short.
async fn obey(
    child: &mut Child,
    orders: &mut mpsc::Receiver<Order>,
    limit: Duration,
) -> Result<std::io::Result<std::process::ExitStatus>, ()> {
    let deadline = sleep(limit);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status),
            () = &mut deadline => return Err(()),
            order = orders.recv() => if order != Some(Order::Quit) { return Err(()) },
        }
    }
}

async fn look(command: &FfmpegCommand, feed: Feed, limit: Duration, group: WorkGroup) -> Look {
    let stdin = if feed.input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = match spawn(command, stdin, None, group, Priority::Usual) {
        Ok(child) => child,
        Err(error) => return Look::NotStarted(format!("{}: {error}", command.program.display())),
    };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut words = VecDeque::new();
    let mut output = Vec::new();
    let work = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // A child that has seen enough closes its end; its exit code tells whether all is well.
                let _ = stdin.write_all(&feed.input).await;
            }
        };
        let read = async {
            if let Some(stdout) = stdout {
                let _ = stdout.take(feed.output_bytes_max).read_to_end(&mut output).await;
            }
        };
        let hear = each_line(stderr, |line| keep(&mut words, line));
        tokio::join!(write, read, hear, child.wait()).3
    };
    match timeout(limit, work).await {
        Ok(status) => Look::Done { code: status.ok().and_then(|status| status.code()), output, words: words.into() },
        Err(_) => {
            signal(&child, Signal::KILL);
            let _ = child.wait().await;
            Look::TooLong(words.into())
        }
    }
}

pub(super) fn spawn(
    command: &FfmpegCommand,
    stdin: Stdio,
    third: Option<OwnedFd>,
    group: WorkGroup,
    priority: Priority,
) -> std::io::Result<Child> {
    let parent = rustix::process::getpid();
    let mut spawn = Command::new(&command.program);
    spawn.args(&command.args).current_dir(&command.dir);
    // Its complaints are read by us: in English and without colours.
    spawn.env("LC_ALL", "C").env("AV_LOG_FORCE_NOCOLOR", "1").env("TZ", "UTC");
    spawn.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: a terminal's Ctrl-C stops the daemon, which then stops FFmpeg in order.
    spawn.process_group(0).kill_on_drop(true);
    // SAFETY: prctl, getppid, setpriority, what `hand_over` and `rest` call, the one write(2) of `enter` and making an
    // error from an errno are async-signal-safe and allocate nothing.
    unsafe {
        spawn.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            // The daemon died between fork and prctl: nobody is left to send the signal.
            if libc::getppid() != parent.as_raw_nonzero().get() {
                return Err(std::io::Error::from_raw_os_error(libc::ECHILD));
            }
            // A kernel that refuses lets it run all the same.
            if priority != Priority::Usual {
                libc::setpriority(libc::PRIO_PROCESS, 0, 19);
            }
            if priority == Priority::Idle {
                rest();
            }
            if let Some(end) = &third {
                pcm::hand_over(end)?;
            }
            group.enter()
        });
    }
    spawn.spawn()
}

/// Takes what is left over and nothing else. In the child, between fork and exec: allocates nothing, makes
/// async-signal-safe calls only. A kernel that refuses one of them lets it run all the same.
fn rest() {
    /// `IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)` and `IOPRIO_WHO_PROCESS` of linux/ioprio.h.
    const DISK_IDLE: libc::c_int = 3 << 13;
    const WHO_PROCESS: libc::c_int = 1;
    let idle = libc::sched_param { sched_priority: 0 };
    // SAFETY: plain system calls on this process; the pointers are to live values, the path ends in NUL.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &idle);
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, DISK_IDLE);
        let score = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if score >= 0 {
            libc::write(score, c"1000".as_ptr().cast(), 4);
            libc::close(score);
        }
    }
}

/// To the whole group. Only this thread reaps, so a pid that the child still has cannot be another's.
pub(super) fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process_group(pid, signal);
    }
}

pub(super) fn exit_of(status: std::io::Result<std::process::ExitStatus>) -> ChildExit {
    use std::os::unix::process::ExitStatusExt;
    match status {
        Ok(status) => ChildExit { code: status.code(), signal: status.signal(), ..ChildExit::default() },
        Err(error) => ChildExit { words: vec![format!("waiting for it: {error}")], ..ChildExit::default() },
    }
}

/// Calls `take` with each line; `\r` ends one too. Lines beyond [`WORD_BYTES_MAX`] come in pieces, so that a child
/// that never ends its line costs no memory.
pub(super) async fn each_line(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&str)) {
    let Some(pipe) = pipe else { return };
    let mut pipe = BufReader::with_capacity(4096, pipe);
    let mut line = Vec::with_capacity(WORD_BYTES_MAX);
    let mut flush = |line: &mut Vec<u8>| {
        if !line.is_empty() {
            take(&String::from_utf8_lossy(line));
            line.clear();
        }
    };
    loop {
        let used = match pipe.fill_buf().await {
            Ok([]) | Err(_) => return flush(&mut line),
            Ok(bytes) => {
                for byte in bytes {
                    match byte {
                        b'\n' | b'\r' => flush(&mut line),
                        _ => line.push(*byte),
                    }
                    if line.len() >= WORD_BYTES_MAX {
                        flush(&mut line);
                    }
                }
                bytes.len()
            }
        };
        pipe.consume(used);
    }
}
