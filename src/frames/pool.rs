//! The threads that look at frames, shared by all devices.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use slog::{Logger, error};

use crate::error::{Error, Kind, Result};

type Job = Box<dyn FnOnce() + Send>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    threads: Arc<rayon::ThreadPool>,
    /// In the order of their coming. A thread of rayon's serves what it spawned itself first: a device that goes on and on
    /// would keep the others waiting. One job per device is in here at most.
    jobs: Arc<Mutex<VecDeque<Job>>>,
}

impl Pool {
    /// `threads`: 0 = one less than there are cores, so that one is always left for recording; at least one.
    pub fn start(threads: usize, log: &Logger) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads == 0 { cores.saturating_sub(1).max(1) } else { threads };
        let log = log.clone();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("capstan-eyes-{number}"))
            // Without it a panic that no job caught would abort the daemon.
            .panic_handler(move |_| error!(log, "a job of the analysis pool panicked"))
            .build()
            .map_err(|error| Error::new(Kind::Io, format!("the analysis pool cannot start: {error}")))?;
        Ok(Self { threads: Arc::new(pool), jobs: Arc::default() })
    }

    /// First come, first served: a device that comes again waits behind the others.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(Box::new(job));
        let jobs = Arc::clone(&self.jobs);
        self.threads.spawn(move || {
            let first = jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(job) = first {
                job();
            }
        });
    }

    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }
}
