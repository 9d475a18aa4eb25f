//! Reader threads for cold files: a disk that stalls holds these, never an HTTP worker and never a commit.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    sync::{Arc, mpsc},
    thread,
};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::sync::oneshot;

/// Bytes read at a time. The HTTP layer copies a piece into its write buffer, so this bounds memory per connection:
/// 500 slow viewers hold 64 MB at most.
pub const PIECE_BYTES: usize = 128 << 10;

/// Two per core of a small host: cards answer few requests at once, and a stall must not cost many stacks.
const THREADS: usize = 8;

/// Jobs that may wait for a thread; beyond it requests are refused, not queued without end.
const QUEUE: usize = 512;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed crew of threads behind one bounded queue. Cheap to clone. When full: [`io::ErrorKind::WouldBlock`].
#[derive(Clone)]
pub struct Readers {
    queue: mpsc::SyncSender<Job>,
}

impl Readers {
    /// Starts the crew; it ends when the last handle is dropped.
    pub fn start() -> io::Result<Self> {
        let (queue, jobs) = mpsc::sync_channel::<Job>(QUEUE);
        let jobs = Arc::new(std::sync::Mutex::new(jobs));
        for i in 0..THREADS {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name(format!("read-{i}")).stack_size(256 << 10).spawn(move || {
                loop {
                    let job = jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
                    match job {
                        // A panic in one read must not shrink the crew; its asker sees the dropped channel.
                        Ok(job) => drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job))),
                        Err(mpsc::RecvError) => return,
                    }
                }
            })?;
        }
        Ok(Self { queue })
    }

    /// Runs blocking `work` on a thread of the crew.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Whoever asked may have gone away.
            let _ = reply.send(work());
        });
        self.queue
            .try_send(job)
            .map_err(|_| io::Error::new(io::ErrorKind::WouldBlock, "too many reads wait for the disk"))?;
        answer.await.map_err(|_| io::Error::other("the reading thread failed"))
    }

    /// Bytes of `file` from `offset`, at most [`PIECE_BYTES`] and `len`; fewer only at the end of the file.
    ///
    /// The page cache is tried first, in place; only what would wait for the disk goes to a thread.
    pub async fn read(&self, file: &Arc<File>, offset: u64, len: u64) -> io::Result<Bytes> {
        let want = len.min(PIECE_BYTES as u64) as usize;
        let mut piece = vec![0; want];
        let had = read_cached(file, &mut piece, offset);
        if had == want {
            return Ok(piece.into());
        }
        let file = Arc::clone(file);
        self.run(move || {
            let rest = piece.get_mut(had..).unwrap_or_default();
            let more = read_fully(&file, rest, offset + had as u64)?;
            piece.truncate(had + more);
            Ok(piece.into())
        })
        .await?
    }
}

/// What the page cache holds of it. File systems without `RWF_NOWAIT` say so at once and all reads go to threads.
fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> usize {
    let mut had = 0;
    while let Some(rest) = buffer.get_mut(had..).filter(|rest| !rest.is_empty()) {
        match preadv2(file, &mut [IoSliceMut::new(rest)], offset + had as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => break,
            Ok(more) => had += more,
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    had
}

/// Like `read_exact_at`, but an early end of the file is told by a smaller number.
fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut had = 0;
    while let Some(rest) = buffer.get_mut(had..).filter(|rest| !rest.is_empty()) {
        match std::os::unix::fs::FileExt::read_at(file, rest, offset + had as u64) {
            Ok(0) => break,
            Ok(more) => had += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(had)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures_util::FutureExt;

    use super::*;

    fn file_of(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    #[actix_web::test]
    async fn reads_stop_at_the_piece_the_wish_and_the_end() {
        let bytes: Vec<u8> = (0..PIECE_BYTES + 1000).map(|i| (i % 251) as u8).collect();
        let (file, readers) = (file_of(&bytes), Readers::start().unwrap());
        let read = async |offset: u64, len: u64| readers.read(&file, offset, len).await.unwrap();
        assert_eq!(read(0, u64::MAX).await, &bytes[..PIECE_BYTES]);
        assert_eq!(read(7, 5).await, &bytes[7..12]);
        assert_eq!(read(PIECE_BYTES as u64, u64::MAX).await, &bytes[PIECE_BYTES..]);
        assert_eq!(read(1 << 40, 10).await, Bytes::new());
    }

    #[actix_web::test]
    async fn a_full_queue_refuses_and_a_panic_costs_no_thread() {
        let readers = Readers::start().unwrap();
        for _ in 0..2 * THREADS {
            assert!(readers.run(|| panic!("a defect while reading")).await.is_err());
        }
        let gate = Arc::new(std::sync::RwLock::new(()));
        let closed = gate.write().unwrap();
        let inside = Arc::new(AtomicUsize::new(0));
        let stalled = || -> Job {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            Box::new(move || {
                inside.fetch_add(1, Ordering::SeqCst);
                drop(gate.read());
            })
        };
        (0..THREADS).for_each(|_| readers.queue.try_send(stalled()).expect("the queue was empty"));
        while inside.load(Ordering::SeqCst) < THREADS {
            thread::yield_now();
        }
        (0..QUEUE).for_each(|i| readers.queue.try_send(stalled()).unwrap_or_else(|_| panic!("{i} wait")));
        let refused = readers.run(|| ()).now_or_never().expect("refused at once");
        assert_eq!(refused.map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
        drop(closed);
        while readers.run(|| ()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
