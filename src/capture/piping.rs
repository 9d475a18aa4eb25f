//! A child that takes only what is left over, reads a file and prints bytes: for whoever waits on a thread of its own.

use std::{collections::VecDeque, fs::File, os::fd::OwnedFd, process::Stdio, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, FusedFuture},
};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{error::Result, limits::WorkGroup};

use super::{
    command::FfmpegCommand,
    process::{ChildExit, keep},
    spawner::{DRAIN_LIMIT, Job, Priority, Spawner, each_line, exit_of, spawn},
};

/// Bytes taken from the pipe at once; as many as it holds.
const READ_BYTES: usize = 64 << 10;
/// Reads that wait for whoever takes them: 1 MiB. Full means that the child waits.
const QUEUE: usize = 16;
/// How often a silent child is reported: who waits can give up within a second.
const TICK: Duration = Duration::from_millis(200);

/// What becomes of the child.
#[derive(Debug)]
pub enum Event {
    /// It lives; its process group.
    Started(i32),
    Output(Bytes),
    /// Time has passed.
    Tick,
    /// Reaped; nothing follows.
    Ended(ChildExit),
}

/// A handle on the child; it is killed when this is dropped.
#[derive(Debug)]
pub struct Piped {
    events: mpsc::Receiver<Event>,
    stop: CancellationToken,
}

impl Piped {
    /// Waits for the next event. After the last it says again that the child ended.
    pub fn wait(&mut self) -> Event {
        self.events.blocking_recv().unwrap_or_else(|| Event::Ended(ChildExit::default()))
    }

    /// Ends its whole group. What it printed until then still comes, then [`Event::Ended`].
    pub fn kill(&self) {
        self.stop.cancel();
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Spawner {
    /// Starts `command` with `input` as its standard input and `third` as descriptor 3, idle in every respect.
    pub fn pipe(&self, command: FfmpegCommand, input: File, third: Option<File>) -> Result<Piped> {
        let (sender, events) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let work = move |group: WorkGroup| -> BoxFuture<'static, ()> {
            Box::pin(async move {
                let exit = keep_child(&command, input, third, group, &sender, &stopped).await;
                let _ = sender.send(Event::Ended(exit)).await;
            })
        };
        self.submit(Job::Work(Box::new(work)))?;
        Ok(Piped { events, stop })
    }
}

async fn keep_child(
    command: &FfmpegCommand,
    input: File,
    third: Option<File>,
    group: WorkGroup,
    events: &mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> ChildExit {
    let mut child = match spawn(command, Stdio::from(input), third.map(OwnedFd::from), group, Priority::Idle) {
        Ok(child) => child,
        Err(error) => {
            let words = vec![format!("{}: {error}", command.program.display())];
            return ChildExit { not_started: true, words, ..ChildExit::default() };
        }
    };
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = events.send(Event::Started(pid.as_raw_nonzero().get())).await;
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut words = VecDeque::new();
    let pipes = async {
        let read = async {
            let Some(mut stdout) = stdout else { return };
            let mut buffer = Vec::with_capacity(READ_BYTES);
            // Nobody listens any more: the token is about to end it.
            while let Ok(1..) = stdout.read_buf(&mut buffer).await
                && events.send(Event::Output(Bytes::copy_from_slice(&buffer))).await.is_ok()
            {
                buffer.clear();
            }
        };
        tokio::join!(read, each_line(stderr, |line| keep(&mut words, line)));
    };
    let mut exit;
    {
        let mut pipes = std::pin::pin!(pipes.fuse());
        let mut is_killed = false;
        {
            let mut wait = std::pin::pin!(child.wait());
            loop {
                tokio::select! {
                    status = &mut wait => {
                        exit = exit_of(status);
                        break;
                    }
                    () = &mut pipes => {}
                    () = stop.cancelled(), if !is_killed => {
                        is_killed = true;
                        // Not reaped yet, so that the number cannot be another's.
                        if let Some(pid) = pid {
                            let _ = kill_process_group(pid, Signal::KILL);
                        }
                    }
                    // Full: there is enough to wake up for.
                    () = sleep(TICK) => drop(events.try_send(Event::Tick)),
                }
            }
        }
        // What it printed last is still in the pipe. Something it left behind may hold that open for ever.
        while !pipes.is_terminated() {
            tokio::select! {
                () = &mut pipes => {}
                () = stop.cancelled() => {
                    let _ = timeout(DRAIN_LIMIT, &mut pipes).await;
                    break;
                }
                () = sleep(TICK) => drop(events.try_send(Event::Tick)),
            }
        }
    }
    exit.words.extend(words);
    exit
}
