//! One FFmpeg that encodes what streams in: at the lowest priority, watched, and gone with whoever asked for it.

use std::{collections::VecDeque, io, process::Stdio, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use rustix::process::Signal;
use tokio::{io::AsyncWriteExt, sync::oneshot, time::timeout};

use crate::{
    error::{Error, Kind, Result},
    limits::WorkGroup,
};

use super::{
    command::FfmpegCommand,
    process::{Progress, keep},
    spawner::{Job, Priority, Spawner, each_line, signal, spawn},
};

/// What an encoder reads on its input.
pub type Input = BoxStream<'static, io::Result<Bytes>>;
/// Hears of its progress, twice a second.
pub type Hearer = Box<dyn FnMut(Progress) + Send>;

impl Spawner {
    /// Runs `command` at the lowest priority with `input` on its standard input. Dropping the future kills it.
    ///
    /// Errors: `Unavailable` when it cannot run or takes longer than `limit`, `Corrupt` with its last words when it
    /// fails, `Io` when the input ends early.
    pub async fn encode(&self, command: FfmpegCommand, input: Input, hear: Hearer, limit: Duration) -> Result<()> {
        let (mut reply, answer) = oneshot::channel();
        let work = move |group: WorkGroup| -> BoxFuture<'static, ()> {
            Box::pin(async move {
                tokio::select! {
                    done = encode(&command, input, hear, limit, group) => drop(reply.send(done)),
                    () = reply.closed() => {}
                }
            })
        };
        self.submit(Job::Work(Box::new(work)))?;
        answer.await.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the encoding was abandoned")))
    }

    /// Runs `task` on the permanent thread. It must not block.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.submit(Job::Work(Box::new(move |_| Box::pin(task))))
    }
}

async fn encode(
    command: &FfmpegCommand,
    mut input: Input,
    mut hear: Hearer,
    limit: Duration,
    group: WorkGroup,
) -> Result<()> {
    let mut child = spawn(command, Stdio::piped(), None, group, Priority::Lowest)
        .map_err(|error| Error::new(Kind::Unavailable, format!("ffmpeg cannot be started: {error}")))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut words = VecDeque::new();
    let mut progress = Progress::default();
    let work = async {
        let feed = async {
            let Some(mut stdin) = stdin else { return Ok(()) };
            while let Some(piece) = input.next().await {
                // A child that ends early closes its end; its exit code tells why.
                if stdin.write_all(&piece?).await.is_err() {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        };
        let watch = each_line(stdout, |line| {
            progress.read(line);
            if line.starts_with("progress=") {
                hear(progress);
            }
        });
        let listen = each_line(stderr, |line| keep(&mut words, line));
        let (fed, (), (), status) = tokio::join!(feed, watch, listen, child.wait());
        (fed, status)
    };
    match timeout(limit, work).await {
        Ok((Err(error), _)) => Err(Error::io("reading the footage", "", error)),
        Ok((Ok(()), Ok(status))) if status.success() => Ok(()),
        Ok(_) => {
            let why = words.back().map_or("it said nothing", String::as_str);
            Err(Error::new(Kind::Corrupt, format!("ffmpeg could not encode it: {why}")))
        }
        Err(_) => {
            signal(&child, Signal::KILL);
            let _ = child.wait().await;
            Err(Error::new(Kind::Unavailable, format!("encoding took longer than {} s", limit.as_secs())))
        }
    }
}
