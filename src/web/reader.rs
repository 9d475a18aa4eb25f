//! Reader threads for cold files: a disk that stalls holds these, never an HTTP worker and never a commit.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    ops::Range,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::sync::oneshot;

/// Bytes read at a time. The HTTP layer copies a piece into its write buffer, so this bounds memory per connection:
/// 500 slow viewers hold 32 MB at most. Both copies of a piece fit the cache of one core; the calls to the kernel that
/// larger ones would save cost less.
pub const PIECE_BYTES: usize = 64 << 10;

/// Buffers kept to be filled again; more at a time come from the allocator. A worker has one in its hands at a time,
/// and each reader thread one more.
const BUFFERS: usize = 16;

/// Two per core of a small host: cards answer few requests at once, and a stall must not cost many stacks.
pub(super) const THREADS: usize = 8;

/// Jobs that may wait for a thread; beyond it requests are refused, not queued without end.
const QUEUE: usize = 512;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed crew of threads behind one bounded queue. Cheap to clone. When full: [`io::ErrorKind::WouldBlock`].
#[derive(Clone)]
pub struct Readers {
    queue: mpsc::SyncSender<Job>,
    buffers: Arc<Buffers>,
}

impl Readers {
    /// Starts the crew; it ends when the last handle is dropped.
    pub fn start() -> io::Result<Self> {
        let (queue, jobs) = mpsc::sync_channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for i in 0..THREADS {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name(format!("read-{i}")).stack_size(256 << 10).spawn(move || {
                loop {
                    let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match job {
                        // A panic in one read must not shrink the crew; its asker sees the dropped channel.
                        Ok(job) => drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job))),
                        Err(mpsc::RecvError) => return,
                    }
                }
            })?;
        }
        Ok(Self { queue, buffers: Arc::default() })
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
        let mut piece = Buffers::take(&self.buffers);
        piece.len = read_cached(file, piece.room(0..want), offset);
        if piece.len == want {
            return Ok(Bytes::from_owner(piece));
        }
        let file = Arc::clone(file);
        self.run(move || {
            let had = piece.len;
            piece.len += read_fully(&file, piece.room(had..want), offset + had as u64)?;
            Ok(Bytes::from_owner(piece))
        })
        .await?
    }
}

/// Buffers that were sent. A new one of this size costs as much as filling it: it is zeroed, and often asked of the
/// kernel.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn take(this: &Arc<Self>) -> Piece {
        let kept = this.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Piece { bytes: kept.unwrap_or_else(|| vec![0; PIECE_BYTES]), len: 0, home: Arc::clone(this) }
    }

    /// When full, the buffer goes.
    fn give(&self, bytes: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < BUFFERS {
            kept.push(bytes);
        }
    }
}

/// A buffer that returns to its home once what was read into it is sent.
struct Piece {
    bytes: Vec<u8>,
    /// Bytes read; behind them lies what was read before.
    len: usize,
    home: Arc<Buffers>,
}

impl Piece {
    fn room(&mut self, range: Range<usize>) -> &mut [u8] {
        self.bytes.get_mut(range).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.home.give(std::mem::take(&mut self.bytes));
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

    /// What lies behind the bytes read is another reader's.
    #[actix_web::test]
    async fn a_buffer_used_again_shows_nothing_of_before() {
        let (file, readers) = (file_of(&[7; PIECE_BYTES]), Readers::start().unwrap());
        drop(readers.read(&file, 0, u64::MAX).await.unwrap());
        let short = file_of(&[1, 2, 3]);
        assert_eq!(readers.read(&short, 0, u64::MAX).await.unwrap(), [1, 2, 3].as_slice());
        let held: Vec<_> = (0..2 * BUFFERS).map(|_| Buffers::take(&readers.buffers)).collect();
        drop(held);
        assert_eq!(readers.buffers.0.lock().unwrap().len(), BUFFERS);
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
