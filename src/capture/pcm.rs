//! The pipe on which FFmpeg gives decoded sound: its end in FFmpeg, and the reading of it.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{Receiver, pipe},
};

use super::process::SoundSink;
use crate::ids::Epoch;

/// The first number behind stdin, stdout and stderr.
pub(super) const FD: i32 = 3;

/// 32 s. FFmpeg stops when the pipe is full, after 2 s with the usual 64 KiB; a host may stand still for longer.
const PIPE_BYTES: i32 = 1 << 20;
/// 256 ms; FFmpeg writes a tenth of a second at a time.
const READ_BYTES: usize = 8 << 10;

/// The end to read and the end that becomes [`FD`] in the child.
pub(super) fn open() -> io::Result<(Receiver, OwnedFd)> {
    let (sender, receiver) = pipe()?;
    let end = sender.into_blocking_fd()?;
    // SAFETY: the descriptor is open, and the call only sets a number. The kernel refuses beyond its limit for one user;
    // then the usual size has to do.
    unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
    Ok((receiver, end))
}

/// In the child, between fork and exec: allocates nothing, makes async-signal-safe calls only.
///
/// Nothing else can have taken [`FD`] there: `end` was opened before, and the kernel gives the lowest number that is free.
pub(super) fn hand_over(end: &OwnedFd) -> io::Result<()> {
    let raw = end.as_raw_fd();
    // SAFETY: both are plain system calls on a descriptor that is open.
    let done = unsafe { if raw == FD { libc::fcntl(raw, libc::F_SETFD, 0) } else { libc::dup2(raw, FD) } };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// To its end, whether or not somebody listens: a pipe that is not read stops FFmpeg, and one that is closed ends it.
pub(super) async fn drain(mut pipe: Receiver, epoch: Epoch, sink: &SoundSink) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => sink(epoch, buffer.get(..read).unwrap_or_default()),
        }
    }
}
